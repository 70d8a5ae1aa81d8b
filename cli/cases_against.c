/* Comparing with ONNX Runtime: every node on ONNX Runtime's own inputs of it, then the same as adze runs it, rewritten. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "adze/profile.h"
#include "cases.h"

enum { AS_IS, REWRITTEN, WAYS };

static adze_status compare(adze_comparison out[WAYS], adze_peer *peer, const adze_model *model,
                           const adze_tensor *inputs, int64_t threads, adze_error *err)
{
    adze_peer_values *values = NULL;
    adze_status status = adze_peer_run(&values, peer, model, inputs, (int)threads, err);
    for (int way = 0; way < WAYS && status == ADZE_OK; way++) {
        const adze_compare_options how = {.fuse = way == REWRITTEN};
        status = adze_peer_compare(&out[way], values, model, inputs, &how, err);
    }
    adze_peer_values_free(&values);
    return status;
}

int cases_open_peer(adze_peer **peer, const char *against)
{
    adze_error err = {0};
    const char *path = strcmp(against, "onnxruntime") == 0 ? NULL : against;
    return adze_peer_open(peer, path, &err) == ADZE_OK ? 0 : cli_fail(&err);
}

/* ---- a case ---- */

/* False: not all are tensors, or they cannot be read. */
static bool load_inputs(adze_tensor *inputs, adze_test_value **values, const adze_graph *g,
                        const char *folder, adze_error *err)
{
    char path[4700];
    if (adze_graph_input_count(g) > CASE_INPUTS) {
        snprintf(err->message, sizeof err->message, "%d inputs; at most %d are supported",
                 adze_graph_input_count(g), CASE_INPUTS);
        return false;
    }
    for (int i = 0; i < adze_graph_input_count(g); i++) {
        snprintf(path, sizeof path, "%.4600s/test_data_set_0/input_%d.pb", folder, i);
        if (adze_test_value_open(&values[i], path, adze_value_type(adze_graph_input(g, i)), err) !=
            ADZE_OK)
            return false;
        const adze_item *item = adze_test_value_item(values[i]);
        if (item->kind != ADZE_VALUE_TENSOR) {
            snprintf(err->message, sizeof err->message, "input '%s' is not a tensor",
                     adze_value_name(adze_graph_input(g, i)));
            return false;
        }
        inputs[i] = item->tensor;
    }
    return true;
}

static case_outcome judge(const adze_comparison ways[WAYS], char *why)
{
    for (int way = 0; way < WAYS; way++)
        if (ways[way].different) {
            char text[1024];
            snprintf(text, sizeof text, "%s%.60s '%.150s' in its output %.150s: %.399s",
                     way == AS_IS ? "" : "rewritten: ", ways[way].op, ways[way].node,
                     ways[way].value, ways[way].what);
            snprintf(why, CASE_REASON, "%.*s", CASE_REASON - 1, text);
            return CASE_FAILED;
        }
    if (ways[AS_IS].values > 0)
        return CASE_PASSED;
    snprintf(why, CASE_REASON, "no value to compare: sequences, or random");
    return CASE_SKIPPED;
}

case_outcome cases_compare(adze_context *context, adze_peer *peer, const char *folder, char *why)
{
    adze_error err = {0};
    adze_model *model = NULL;
    adze_test_value *values[CASE_INPUTS] = {0};
    adze_tensor inputs[CASE_INPUTS] = {0};
    adze_comparison ways[WAYS] = {0};
    char path[4700];
    snprintf(path, sizeof path, "%.4600s/model.onnx", folder);
    bool ok = adze_model_open(&model, context, path, &err) == ADZE_OK &&
              load_inputs(inputs, values, adze_model_graph(model), folder, &err) &&
              compare(ways, peer, model, inputs, 1, &err) == ADZE_OK;
    case_outcome outcome = CASE_SKIPPED;
    if (ok)
        outcome = judge(ways, why);
    else
        snprintf(why, CASE_REASON, "%.*s", CASE_REASON - 1, err.message);
    for (int i = 0; i < CASE_INPUTS; i++)
        adze_test_value_close(&values[i]);
    adze_model_close(&model);
    return outcome;
}

/* ---- a model ---- */

static void show(const char *title, const adze_comparison *c)
{
    printf("%s: %d values compared, %d out of bounds\n", title, c->values, c->different);
    if (isfinite(c->worst_float))
        printf("  floats at most %.2g of a value's largest magnitude apart\n", c->worst_float);
    if (c->worst_steps > 0)
        printf("  8 and 16 bit integers at most %.0f steps apart, %.4f %% equal\n", c->worst_steps,
               100 * c->equal);
    if (c->different)
        printf("  FIRST TO DIFFER: %s '%s' in its output %s\n  %s\n", c->op, c->node, c->value,
               c->what);
}

static int compare_model(cli_model *m, adze_peer *peer, const cli_list *files)
{
    const adze_graph *graph = adze_model_graph(m->model);
    adze_error err = {0};
    adze_comparison ways[WAYS] = {0};
    adze_tensor *given = NULL, *random = NULL;
    int code = files->count ? cli_load_inputs(m, files, &given) : 0;
    if (code)
        return code;
    adze_status status = given ? ADZE_OK : adze_inputs_random(&random, graph, 1, &err);
    if (status == ADZE_OK)
        status = compare(ways, peer, m->model, given ? given : random, m->threads, &err);
    if (status == ADZE_OK) {
        printf("%s and ONNX Runtime %s\n", adze_model_path(m->model), adze_peer_version(peer));
        show("node by node", &ways[AS_IS]);
        show("rewritten, as it runs", &ways[REWRITTEN]);
        code = ways[AS_IS].different || ways[REWRITTEN].different;
    } else {
        code = cli_fail(&err);
    }
    adze_inputs_free(&random, graph);
    cli_free_inputs(m, given);
    return code;
}

int cases_compare_model(cli_model *m, const char *path, const cli_list *files, const char *library)
{
    adze_peer *peer = NULL;
    int code = cases_open_peer(&peer, library);
    if (!code)
        code = cli_open(m, path);
    if (!code)
        code = compare_model(m, peer, files);
    cli_close(m);
    adze_peer_close(&peer);
    return code;
}
