/* The parts of a search: candidates, the ledger, the report. */
#include <stdlib.h>
#include <string.h>

#include "adze/model.h"
#include "adze/search.h"
#include "base/file.h"
#include "adze/formats.h"
#include "search/candidates.h"
#include "search/ledger.h"
#include "search/report.h"
#include "test.h"

TEST(search_candidates_are_distinct)
{
    adze_candidates list = {0};
    adze_candidates_coarse(&list);
    adze_candidates_grid(&list);
    CHECK(!list.failed);
    CHECK(list.count >= 20);
    for (int i = 0; i < list.count; i++)
        for (int k = 0; k < i; k++) {
            CHECK(strcmp(list.items[i].name, list.items[k].name) != 0);
            CHECK(!json_equal(list.items[i].recipe, list.items[k].recipe));
        }
    adze_candidates_free(&list);
}

TEST(search_refines_and_leaves_layers_in_float)
{
    adze_candidates list = {0};
    adze_candidates_grid(&list);
    int before = list.count;
    adze_candidate around = list.items[0];
    const char *nodes[] = {"first", "second"};
    adze_candidates_refine(&list, &around);
    CHECK_EQ(list.count, before + 3);
    adze_candidates_leave_float(&list, &around, "2 most sensitive layers", nodes, 2);
    CHECK_EQ(list.count, before + 4);
    const json_t *kept = json_object_get(list.items[before + 3].recipe, "float_nodes");
    CHECK_EQ((int)json_array_size(kept), 2);
    adze_candidates_leave_float(&list, &around, "2 most sensitive layers", nodes, 2);
    CHECK_EQ(list.count, before + 4); /* a name counts once */
    adze_candidates_free(&list);
}

#ifdef ADZE_HAVE_SQLITE
TEST(search_ledger_survives_reopening)
{
    adze_error err = {0};
    adze_ledger *ledger = NULL;
    json_t *record = NULL, *put = json_pack("{s:s, s:f}", "state", "measured", "x", 0.1);
    char path[4096];
    snprintf(path, sizeof path, "%s/ledger.sqlite", test_tmpdir());
    CHECK_OK(adze_ledger_open(&ledger, path, &err), &err);
    CHECK_OK(adze_ledger_get(&record, ledger, "key", &err), &err);
    CHECK(record == NULL);
    CHECK_OK(adze_ledger_put(ledger, "key", put, &err), &err);
    adze_ledger_close(&ledger);
    CHECK_OK(adze_ledger_open(&ledger, path, &err), &err);
    CHECK_EQ(adze_ledger_count(ledger), 1);
    CHECK_OK(adze_ledger_get(&record, ledger, "key", &err), &err);
    CHECK(json_equal(record, put));
    json_decref(record);
    json_decref(put);
    adze_ledger_close(&ledger);
}

TEST(search_ledger_refuses_other_files)
{
    adze_error err = {0};
    adze_ledger *ledger = NULL;
    char path[4096], junk[8192];
    memset(junk, 'x', sizeof junk);
    snprintf(path, sizeof path, "%s/junk.sqlite", test_tmpdir());
    CHECK_OK(adze_file_write(path, junk, sizeof junk, &err), &err);
    CHECK_EQ(adze_ledger_open(&ledger, path, &err), ADZE_BAD_FILE);
    CHECK(strstr(err.message, path) != NULL);
    CHECK(ledger == NULL);
}
#endif

#ifdef ADZE_HAVE_SQLITE
static adze_status same_type(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_infer_set(infer, 0, adze_infer_input(infer, 0));
    return ADZE_OK;
}

static adze_status half_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    for (int64_t i = 0; i < adze_tensor_elements(run->outputs[0]); i++)
        ((float *)run->outputs[0]->data)[i] = ((const float *)run->inputs[0]->data)[i] / 2;
    return ADZE_OK;
}

static adze_status register_half(adze_context *context, void *user, adze_error *err)
{
    static const adze_op half = {.domain = "local",
                                 .name = "Half",
                                 .since = 1,
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attrs = "",
                                 .infer = same_type,
                                 .run = half_run};
    ++*(int *)user;
    return adze_op_register(context, &half, err);
}

/* x[N, 8] -> MatMul -> Half, which only this test knows */
static void write_model(const char *path)
{
    adze_context *context;
    adze_graph *g;
    adze_model *model;
    adze_error err;
    float weights[8 * 4];
    int times = 0;
    test_random_floats(weights, 32, -1, 1, 1);
    CHECK_OK(adze_context_open(&context, NULL, &err), &err);
    CHECK_OK(register_half(context, &times, &err), &err);
    CHECK_OK(adze_graph_create(&g, context, &err), &err);
    adze_type type = adze_type_tensor(ADZE_F32, 2, (adze_dim[]){adze_graph_symbol(g, "N"), 8});
    adze_tensor t = adze_tensor_view(ADZE_F32, 2, (int64_t[]){8, 4}, weights);
    adze_value *operands[2] = {adze_graph_add_input(g, "x", &type),
                               adze_graph_add_constant(g, "w", &t, true)};
    adze_node *product = adze_graph_add_node(g, "", "MatMul", "product", 2, operands, 1);
    operands[0] = (adze_value *)adze_node_output(product, 0);
    adze_node *node = adze_graph_add_node(g, "local", "Half", "half", 1, operands, 1);
    CHECK_OK(adze_graph_add_output(g, (adze_value *)adze_node_output(node, 0), &err), &err);
    CHECK_OK(adze_model_from_graph(&model, &g, NULL, &err), &err);
    CHECK_OK(adze_model_save(model, path, NULL, &err), &err);
    adze_model_close(&model);
    adze_context_close(&context);
}

TEST(search_knows_the_operators_of_its_user)
{
    char model[4096], data[4096], output[4096], *json = NULL, *text = NULL;
    float samples[64 * 8];
    int times = 0;
    adze_error err = {0};
    snprintf(model, sizeof model, "%s/m.onnx", test_tmpdir());
    snprintf(data, sizeof data, "%s/x.npy", test_tmpdir());
    snprintf(output, sizeof output, "%s/out", test_tmpdir());
    write_model(model);
    test_random_floats(samples, 64 * 8, -1, 1, 2);
    adze_tensor x = adze_tensor_view(ADZE_F32, 2, (int64_t[]){64, 8}, samples);
    CHECK_OK(adze_npy_save(&x, data, &err), &err);
    adze_optimize_options options = adze_optimize_options_default();
    options.data = data;
    options.output = output;
    options.budget_seconds = 0.1;
    options.threads = 1;
    CHECK_FAILS(adze_optimize(model, &options, &json, &text, &err), ADZE_UNSUPPORTED, &err);
    CHECK(!json && !text && strstr(err.message, "Half"));
    options.operators = register_half;
    options.user = &times;
    /* Whether a candidate is faster is for the machine to say; that all could run is the point. */
    adze_status status = adze_optimize(model, &options, &json, &text, &err);
    CHECK(status == ADZE_OK || status == ADZE_GATE_FAILED);
    CHECK(json && strstr(json, "\"trials\""));
    CHECK_EQ(times, 1);
    adze_string_free(&json);
    adze_string_free(&text);
}
#endif

TEST(search_report_escapes_names)
{
    adze_text html = {0}, table = {0};
    json_t *trial =
        json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:{s:f, s:f, s:f}}", "name", "<script>&\"",
                  "scheme", "s", "status", "front", "reason", "", "size", 1000.0, "latency_ms", 1.5,
                  "metric", "value", 0.9, "low", 0.8, "high", 0.95);
    json_t *report = json_pack("{s:s, s:s, s:b, s:s, s:[o]}", "title", "m<1>", "verdict", "done",
                               "passed", 1, "metric", "top1", "trials", trial);
    adze_report_html(&html, report);
    adze_report_text(&table, report);
    CHECK(strstr(html.data, "<script>") == NULL);
    CHECK(strstr(html.data, "&lt;script&gt;&amp;&quot;") != NULL);
    CHECK(strstr(html.data, "m&lt;1&gt;") != NULL);
    CHECK(strstr(html.data, "http") == NULL); /* no network */
    CHECK(strstr(table.data, "<script>") != NULL);
    adze_text_free(&html);
    adze_text_free(&table);
    json_decref(report);
}
