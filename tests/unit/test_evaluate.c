/* Models over data sets: batches free and fixed, paired differences, expected outputs, limits. */
#include "adze/eval.h"
#include "adze/formats.h"
#include "base/file.h"
#include "graph/ir.h"
#include "test.h"

enum { SAMPLES = 70, CLASSES = 3 };

typedef struct bench {
    adze_context *context;
    adze_dataset *data;
    adze_graph *graph;
    adze_plan *plan;
    adze_error err;
} bench;

static float score(int64_t sample, int64_t class)
{
    return (float)((sample * 5 + class * 3) % 7);
}

static int64_t best(int64_t sample)
{
    int64_t found = 0;
    for (int64_t c = 1; c < CLASSES; c++)
        found = score(sample, c) > score(sample, found) ? c : found;
    return found;
}

static void save(const char *name, adze_dtype dtype, int rank, const int64_t *dims, void *data)
{
    adze_error err;
    adze_tensor t = adze_tensor_view(dtype, rank, dims, data);
    CHECK_OK(adze_npy_save(&t, test_tmpfile(name), &err), &err);
}

/* Scores of 70 samples; labels that are right for all but samples 0, 10, 20, ... */
static void save_data(bool expected)
{
    static float scores[SAMPLES * CLASSES];
    static int64_t labels[SAMPLES];
    int64_t dims[2] = {SAMPLES, CLASSES};
    adze_error err;
    for (int64_t i = 0; i < SAMPLES; i++) {
        labels[i] = i % 10 ? best(i) : (best(i) + 1) % CLASSES;
        for (int64_t c = 0; c < CLASSES; c++)
            scores[i * CLASSES + c] = score(i, c);
    }
    save("x.npy", ADZE_F32, 2, dims, scores);
    if (!expected) {
        save("labels.npy", ADZE_I64, 1, dims, labels);
        return;
    }
    CHECK_OK(adze_folder_make(test_tmpfile("expected"), &err), &err);
    for (int64_t i = 0; i < SAMPLES * CLASSES; i++)
        scores[i] = 2 * scores[i] + 1; /* what the model below lacks is 1 */
    save("expected/y.npy", ADZE_F32, 2, dims, scores);
}

/* y = x * w; batch 0: symbolic. */
static void open_bench(bench *b, int64_t batch, const float *w)
{
    adze_context_options options = adze_context_options_default();
    options.threads = 1;
    CHECK_OK(adze_context_open(&b->context, &options, &b->err), &b->err);
    CHECK_OK(adze_graph_create(&b->graph, b->context, &b->err), &b->err);
    adze_dim dims[2] = {batch ? batch : adze_graph_symbol(b->graph, "N"), CLASSES};
    adze_type type = adze_type_tensor(ADZE_F32, 2, dims);
    adze_value *inputs[2] = {adze_graph_add_input(b->graph, "x", &type), NULL};
    adze_tensor weights = adze_tensor_view(ADZE_F32, 1, &dims[1], (void *)(uintptr_t)w);
    inputs[1] = adze_graph_add_constant(b->graph, "w", &weights, true);
    adze_node *node = adze_graph_add_node(b->graph, "", "Mul", "mul", 2, inputs, 1);
    CHECK(node && inputs[0] && inputs[1]);
    CHECK_OK(adze_graph_add_output(b->graph, node->outputs[0], &b->err), &b->err);
    CHECK_OK(adze_plan_create(&b->plan, b->graph, NULL, &b->err), &b->err);
    CHECK_OK(adze_dataset_open(&b->data, test_tmpdir(), NULL, &b->err), &b->err);
}

static void close_bench(bench *b)
{
    adze_dataset_close(&b->data);
    adze_plan_free(&b->plan);
    adze_graph_free(&b->graph);
    adze_context_close(&b->context);
}

static const float twice[CLASSES] = {2, 2, 2}, crooked[CLASSES] = {2, 2, -2};

TEST(same_result_at_every_batch)
{
    static const int64_t batches[] = {0, 1, 32, 7};
    save_data(false);
    for (size_t i = 0; i < ADZE_COUNT_OF(batches); i++) {
        bench b;
        adze_evaluation *e = NULL;
        open_bench(&b, batches[i], twice); /* 32 does not divide 70: the last run is filled up */
        CHECK_OK(adze_evaluate(&e, b.plan, b.data, NULL, NULL, &b.err), &b.err);
        CHECK_EQ(adze_evaluation_samples(e), SAMPLES);
        CHECK_EQ(adze_evaluation_classes(e), CLASSES);
        CHECK_NEAR(adze_evaluation_metric(e, ADZE_METRIC_top1)->value, 0.9, 1e-12);
        CHECK(adze_evaluation_metric(e, ADZE_METRIC_agreement) == NULL);
        CHECK(adze_evaluation_metric(e, ADZE_METRIC_mse) == NULL);
        for (int64_t k = 0; k < SAMPLES; k++)
            CHECK_EQ(adze_evaluation_predictions(e)[k], best(k));
        int64_t sum = 0;
        for (int k = 0; k < CLASSES * CLASSES; k++)
            sum += adze_evaluation_confusion(e)[k];
        CHECK_EQ(sum, SAMPLES);
        adze_evaluation_free(&e);
        close_bench(&b);
    }
}

TEST(against_an_original)
{
    bench a, b;
    adze_evaluation *original = NULL, *e = NULL;
    adze_evaluate_options how = adze_evaluate_options_default();
    save_data(false);
    open_bench(&a, 0, twice);
    open_bench(&b, 0, crooked);
    how.keep_outputs = true;
    CHECK_OK(adze_evaluate(&original, a.plan, a.data, NULL, &how, &a.err), &a.err);
    CHECK_OK(adze_evaluate(&e, b.plan, b.data, original, NULL, &b.err), &b.err);
    const adze_estimate *agreement = adze_evaluation_metric(e, ADZE_METRIC_agreement);
    CHECK(agreement && agreement->value < 1 && agreement->value > 0.3);
    CHECK(adze_evaluation_metric(e, ADZE_METRIC_mse)->value > 1);
    adze_estimate d;
    CHECK_OK(adze_evaluation_difference(&d, e, original, ADZE_METRIC_top1, 1, &b.err), &b.err);
    CHECK(d.value < 0 && d.low < d.value && d.value < d.high && d.high < 0);
    CHECK(adze_evaluation_mcnemar(e, original) < 0.01);
    CHECK_OK(adze_evaluation_difference(&d, e, original, ADZE_METRIC_f1, 0.5, &b.err), &b.err);
    CHECK(d.low < d.value && d.value < d.high);
    CHECK_EQ(adze_evaluation_difference(&d, e, original, ADZE_METRIC_mse, 1, &b.err),
             ADZE_BAD_ARGUMENT); /* the original has none */
    adze_facts mine = {.evaluation = e}, theirs = {.evaluation = original};
    adze_gate gates[2];
    CHECK_OK(adze_gate_parse(&gates[0], "top1>=original-1%", &b.err), &b.err);
    CHECK_OK(adze_gate_parse(&gates[1], "agreement>=0.1", &b.err), &b.err);
    adze_requirements requirements = {gates, 2, true};
    char *json = NULL, *text = NULL;
    CHECK_OK(adze_facts_report(&json, &text, &mine, &theirs, &requirements, b.data, &b.err),
             &b.err);
    CHECK(!requirements.passed);
    CHECK(strstr(text, "top1>=original-1%: fail") && strstr(text, "agreement>=0.1: pass"));
    CHECK(strstr(json, "\"mcnemar_p\"") && strstr(json, "\"verdict\": \"fail\""));
    adze_string_free(&json);
    adze_string_free(&text);
    adze_evaluation_free(&e);
    adze_evaluation_free(&original);
    close_bench(&a);
    close_bench(&b);
}

TEST(expected_outputs)
{
    bench b;
    adze_evaluation *e = NULL;
    save_data(true);
    open_bench(&b, 0, twice);
    CHECK_OK(adze_evaluate(&e, b.plan, b.data, NULL, NULL, &b.err), &b.err);
    CHECK(adze_evaluation_metric(e, ADZE_METRIC_top1) == NULL);
    const adze_estimate *mse = adze_evaluation_metric(e, ADZE_METRIC_mse);
    CHECK(mse != NULL);
    CHECK_NEAR(mse->value, 1, 1e-6);
    CHECK_NEAR(mse->high, 1, 1e-6);
    adze_evaluation_free(&e);
    close_bench(&b);
}

static bool stop_at_64(void *user, int64_t done, int64_t total)
{
    ADZE_UNUSED(user);
    return done < 64 && total == SAMPLES;
}

TEST(what_cannot_be_evaluated_says_so)
{
    bench b;
    adze_evaluation *e = NULL;
    adze_evaluate_options how = adze_evaluate_options_default();
    save_data(false);
    open_bench(&b, 0, twice);
    how.output = "nothing";
    CHECK_EQ(adze_evaluate(&e, b.plan, b.data, NULL, &how, &b.err), ADZE_BAD_ARGUMENT);
    how = adze_evaluate_options_default();
    how.keep_outputs = true;
    how.keep_bytes = 100;
    CHECK_EQ(adze_evaluate(&e, b.plan, b.data, NULL, &how, &b.err), ADZE_LIMIT);
    how = adze_evaluate_options_default();
    how.progress = stop_at_64;
    CHECK_EQ(adze_evaluate(&e, b.plan, b.data, NULL, &how, &b.err), ADZE_CANCELLED);
    how.progress = NULL;
    how.limit = 5;
    CHECK_OK(adze_evaluate(&e, b.plan, b.data, NULL, &how, &b.err), &b.err);
    CHECK_EQ(adze_evaluation_samples(e), 5);
    CHECK_NEAR(adze_evaluation_metric(e, ADZE_METRIC_top1)->value, 0.8, 1e-12);
    adze_evaluation *other = NULL;
    CHECK_EQ(adze_evaluate(&other, b.plan, b.data, e, NULL, &b.err), ADZE_BAD_ARGUMENT);
    CHECK(other == NULL);
    adze_evaluation_free(&e);
    close_bench(&b);
}

TEST(failed_allocations_leave_nothing)
{
    bench b;
    save_data(false);
    open_bench(&b, 0, twice);
    for (long n = 1; n < 400; n++) {
        adze_evaluation *e = NULL;
        adze_alloc_fail_after(n);
        adze_status status = adze_evaluate(&e, b.plan, b.data, NULL, NULL, &b.err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK ? e != NULL : e == NULL);
        adze_evaluation_free(&e);
        if (status == ADZE_OK)
            break;
    }
    close_bench(&b);
}
