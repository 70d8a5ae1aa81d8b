/* Measuring: what timings say is checked on numbers, what machines say only for sense. */
#include "adze/eval.h"
#include "adze/profile.h"
#include "base/rng.h"
#include "graph/ir.h"
#include "test.h"

static adze_context *context_open(void)
{
    adze_context *context;
    adze_error err;
    adze_context_options options = adze_context_options_default();
    options.threads = 1;
    CHECK_OK(adze_context_open(&context, &options, &err), &err);
    return context;
}

/* y = relu(x), x: float32[N, 3], and an integer input that nothing uses. */
static adze_graph *small_graph(adze_context *context)
{
    adze_graph *graph;
    adze_error err;
    CHECK_OK(adze_graph_create(&graph, context, &err), &err);
    adze_dim dims[2] = {adze_graph_symbol(graph, "N"), 3};
    adze_type type = adze_type_tensor(ADZE_F32, 2, dims);
    adze_value *x = adze_graph_add_input(graph, "x", &type);
    type = adze_type_tensor(ADZE_I64, 1, &dims[1]);
    CHECK(adze_graph_add_input(graph, "ids", &type) != NULL);
    adze_node *node = adze_graph_add_node(graph, "", "Relu", "relu", 1, &x, 1);
    CHECK(node != NULL);
    CHECK_OK(adze_graph_add_output(graph, node->outputs[0], &err), &err);
    return graph;
}

TEST(latency_of_known_samples)
{
    static const double samples[5] = {5, 1, 4, 2, 3};
    adze_latency l;
    adze_error err;
    CHECK_OK(adze_latency_of(&l, samples, 5, &err), &err);
    CHECK_NEAR(l.min, 1, 0);
    CHECK_NEAR(l.mean, 3, 1e-12);
    CHECK_NEAR(l.p50, 3, 1e-12);
    CHECK_NEAR(l.p90, 4.6, 1e-12);
    CHECK_NEAR(l.p99, 4.96, 1e-12);
    CHECK_OK(adze_latency_of(&l, samples, 0, &err), &err);
    CHECK_EQ(l.mean, 0);
}

TEST(random_inputs_follow_seed_and_bounds)
{
    adze_context *context = context_open();
    adze_graph *graph = small_graph(context);
    adze_tensor *a = NULL, *b = NULL;
    adze_error err;
    CHECK_OK(adze_inputs_random(&a, graph, 7, &err), &err);
    CHECK_EQ(a[0].dims[0], 1); /* no bound: 1 */
    for (int i = 0; i < 3; i++)
        CHECK(((int64_t *)a[1].data)[i] >= 0 && ((int64_t *)a[1].data)[i] < 8);
    CHECK_OK(adze_graph_bound(graph, "N", 1, 4, &err), &err);
    CHECK_OK(adze_inputs_random(&b, graph, 7, &err), &err);
    CHECK_EQ(b[0].dims[0], 4);
    CHECK(memcmp(a[0].data, b[0].data, 3 * sizeof(float)) == 0);
    adze_inputs_free(&a, graph);
    adze_inputs_free(&b, graph);
    CHECK(a == NULL);
    adze_graph_free(&graph);
    adze_context_close(&context);
}

static bool stop(void *user)
{
    return ++*(int *)user > 3;
}

TEST(rounds_are_aligned_and_stop)
{
    adze_context *context = context_open();
    adze_graph *graph = small_graph(context);
    adze_plan *plan;
    adze_error err;
    CHECK_OK(adze_plan_create(&plan, graph, NULL, &err), &err);
    adze_contestant pair[2] = {{.plan = plan}, {.plan = plan}};
    adze_measure_options how = {.max_rounds = 300, .min_rounds = 300, .warmup_rounds = 1};
    adze_measurement *m = NULL;
    CHECK_OK(adze_measure(&m, pair, 2, &how, &err), &err);
    CHECK_EQ(adze_measurement_rounds(m), 300);
    for (int i = 0; i < 2; i++) {
        const adze_latency *l = adze_measurement_latency(m, i);
        CHECK(l->min > 0 && l->min <= l->p50 && l->p50 <= l->p95 && l->p95 <= l->p99);
        CHECK(adze_measurement_samples(m, i)[299] > 0);
    }
    CHECK(adze_measurement_seconds(m) > 0);
    adze_measurement_free(&m);
    int rounds = 0;
    how = (adze_measure_options){.seconds = 60, .cancelled = stop, .user = &rounds};
    CHECK_OK(adze_measure(&m, pair, 2, &how, &err), &err);
    CHECK_EQ(adze_measurement_rounds(m), 3);
    adze_measurement_free(&m);
    CHECK(m == NULL);
    CHECK_EQ(adze_measure(&m, pair, 0, &how, &err), ADZE_BAD_ARGUMENT);
    adze_plan_free(&plan);
    adze_graph_free(&graph);
    adze_context_close(&context);
}

TEST(peak_memory_needs_a_program)
{
    uint64_t bytes;
    adze_error err;
    adze_peak_options how = {0};
    CHECK_EQ(adze_measure_peak_memory(&bytes, "m.onnx", &how, &err), ADZE_UNSUPPORTED);
    how.program = "/nonexistent/program";
    CHECK_EQ(adze_measure_peak_memory(&bytes, "m.onnx", &how, &err), ADZE_IO);
    how.program = "/bin/true"; /* runs, but says nothing */
    CHECK_EQ(adze_measure_peak_memory(&bytes, "m.onnx", &how, &err), ADZE_IO);
}

TEST(facts_of_timings)
{
    enum { N = 400 };
    static double fast[N], slow[N];
    adze_rng rng = adze_rng_seed(3);
    for (int i = 0; i < N; i++) {
        double busy = i / 50 % 2 ? 1.3 : 1; /* disturbances that last */
        fast[i] = busy * (2 + 0.1 * adze_rng_f64(&rng));
        slow[i] = busy * (5 + 0.1 * adze_rng_f64(&rng));
    }
    adze_facts facts = {0}, original = {0};
    adze_error err;
    CHECK_OK(adze_facts_set_timing(&facts, fast, slow, N, 4, &err), &err);
    const adze_estimate *e = adze_facts_get(&facts, ADZE_METRIC_speedup);
    CHECK(e && e->low > 2.2 && e->high < 2.7 && e->samples == N);
    e = adze_facts_get(&facts, ADZE_METRIC_latency_p50);
    CHECK(e && e->value > 2e-3 && e->value < 2.8e-3 && e->low < e->high); /* seconds */
    CHECK(adze_facts_get(&facts, ADZE_METRIC_top1) == NULL);
    adze_facts_set_exact(&facts, ADZE_METRIC_size, 100);
    adze_facts_set_exact(&original, ADZE_METRIC_size, 400);
    adze_gate gate;
    CHECK_OK(adze_gate_parse(&gate, "size<=0.38*original", &err), &err);
    CHECK_EQ(adze_facts_judge(&gate, &facts, &original).verdict, ADZE_VERDICT_PASS);
    CHECK_EQ(adze_facts_judge(&gate, &facts, NULL).verdict, ADZE_VERDICT_UNDECIDED);
    CHECK_OK(adze_gate_parse(&gate, "speedup>=2", &err), &err);
    CHECK_EQ(adze_facts_judge(&gate, &facts, NULL).verdict, ADZE_VERDICT_PASS);
    CHECK_EQ(adze_facts_set_timing(&facts, fast, NULL, 1, 4, &err), ADZE_BAD_ARGUMENT);
}

TEST(device_is_described_and_measured)
{
    adze_context *context = context_open();
    adze_device device, other;
    adze_error err;
    adze_device_options how = {.seconds = 0.001, .buffer = 1 << 20, .max_threads = 2};
    char a[65], b[65], *json = NULL, *text = NULL;
    CHECK_OK(adze_device_measure(&device, context, &how, &err), &err);
    CHECK_EQ(device.peak_count, 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(device.peaks[i].threads, i + 1);
        CHECK(device.peaks[i].read_bandwidth > 1e6 && device.peaks[i].f32_operations > 1e6);
        CHECK(device.peaks[i].i8_operations > 1e6);
    }
    CHECK_EQ(adze_device_peak_at(&device, 8).threads, 2);
    CHECK_EQ(adze_device_peak_at(&device, 1).threads, 1);
    adze_device_describe(&other, context);
    adze_device_identity(a, &device);
    adze_device_identity(b, &other);
    CHECK_STR(a, b);
    other.cores++;
    adze_device_identity(b, &other);
    CHECK(strcmp(a, b) != 0);
    CHECK_OK(adze_device_format(&json, &text, &device, &err), &err);
    CHECK(strstr(json, "\"read_bytes_per_s\"") && strstr(text, "GFLOP/s"));
    adze_string_free(&json);
    adze_string_free(&text);
    adze_context_close(&context);
}
