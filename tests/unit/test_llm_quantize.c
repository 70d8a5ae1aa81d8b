/* Quantizing language models: what is written, resuming, limits, failures. Models are made here. */
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "adze/llm_quantize.h"
#include "base/context.h"
#include "base/file.h"
#include "formats/gguf.h"
#include "kernels/kernels.h"
#include "test.h"

enum { WIDTH = 256, VOCABULARY = 96, EXPERTS = 2, MOST = 32 };

/* ---- a model ---- */

/* What models are made of, found from here until the test's process ends. */
static void *kept[8 * MOST];
static int kept_count;

static void *keep(size_t size)
{
    CHECK(kept_count < 8 * MOST);
    return kept[kept_count++] = malloc(size);
}

typedef struct made {
    adze_gguf_plan plans[MOST];
    void *data[MOST];
    int count;
    uint64_t seed;
} made;

static void add(made *m, const char *name, adze_dtype dtype, int rank, int64_t a, int64_t b,
                int64_t c)
{
    adze_gguf_plan *plan = &m->plans[m->count];
    *plan = (adze_gguf_plan){.name = name, .dtype = dtype, .rank = rank, .dims = {a, b, c}};
    size_t n = (size_t)adze_shape_elements(rank, plan->dims);
    float *values = keep(n * sizeof *values);
    test_random_floats(values, n, -1, 1, ++m->seed);
    m->data[m->count++] = values;
    if (dtype == ADZE_F32)
        return;
    adze_kernels kernels;
    adze_kernels_init(&kernels, ADZE_CPU_REF);
    void *blocks = keep(adze_dtype_bytes(dtype, (int64_t)n));
    kernels.blocks.codec[dtype].encode(values, (int64_t)n, NULL, NULL, blocks);
    m->data[m->count - 1] = blocks;
}

static made make(adze_dtype dtype)
{
    made m = {0};
    add(&m, "token_embd.weight", dtype, 2, VOCABULARY, WIDTH, 0);
    add(&m, "output_norm.weight", ADZE_F32, 1, WIDTH, 0, 0);
    add(&m, "blk.0.attn_q.weight", dtype, 2, WIDTH, WIDTH, 0);
    add(&m, "blk.0.attn_v.weight", dtype, 2, 64, WIDTH, 0);
    add(&m, "blk.0.ffn_gate_inp.weight", ADZE_F32, 2, EXPERTS, WIDTH, 0);
    add(&m, "blk.0.ffn_up_exps.weight", dtype, 3, EXPERTS, 64, WIDTH);
    add(&m, "blk.0.ffn_down_exps.weight", dtype, 3, EXPERTS, WIDTH, 64);
    return m;
}

static const char *save(made *m, const char *name)
{
    adze_error err;
    adze_arena arena = {0};
    adze_gguf_meta meta;
    const char *path = test_tmpfile(name);
    adze_gguf_meta_init(&meta, &arena);
    CHECK(adze_gguf_set_string(&meta, "general.architecture", "llama", 5));
    CHECK(adze_gguf_set_int(&meta, "general.file_type", ADZE_GGUF_U32, 1));
    CHECK(adze_gguf_set_int(&meta, "llama.block_count", ADZE_GGUF_U32, 1));
    CHECK(adze_gguf_set_int(&meta, "llama.attention.head_count", ADZE_GGUF_U32, 4));
    CHECK(adze_gguf_set_int(&meta, "llama.attention.head_count_kv", ADZE_GGUF_U32, 1));
    CHECK(adze_gguf_set_int(&meta, "llama.expert_count", ADZE_GGUF_U32, EXPERTS));
    CHECK(adze_gguf_set_string(&meta, "kept", "as it is", 8));
    CHECK_OK(adze_gguf_write(path, &meta, m->plans, (const void *const *)m->data, m->count, &err),
             &err);
    adze_arena_free(&arena);
    return path;
}

static const char *save_of_type(adze_dtype dtype, const char *name)
{
    made m = make(dtype);
    return save(&m, name);
}

static float *weights_of(made *m, const char *name)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->plans[i].name, name) == 0)
            return m->data[i];
    return NULL;
}

/* ---- running ---- */

static adze_context *context_of(int threads, const char *level)
{
    adze_error err;
    adze_context *context;
    adze_context_options options = {.threads = threads, .cpu_level = level};
    CHECK_OK(adze_context_open(&context, &options, &err), &err);
    return context;
}

static adze_status run(const char *in, const char *out, const adze_llm_quantize_options *options,
                       int threads, adze_error *err)
{
    adze_context *context = context_of(threads, NULL);
    adze_llm_quantization *q = NULL;
    adze_status status = adze_llm_quantization_open(&q, context, in, options, err);
    if (status == ADZE_OK)
        status = adze_llm_quantization_run(q, out, err);
    adze_llm_quantization_close(&q);
    adze_context_close(&context);
    return status;
}

static adze_llm_quantize_options as(const char *type)
{
    adze_llm_quantize_options options = adze_llm_quantize_options_default();
    options.type = type;
    options.output_type = "q8_0";
    return options;
}

static void check_same(const char *a, const char *b)
{
    char *x, *y;
    size_t m, n;
    adze_error err;
    CHECK_OK(adze_file_read(&x, &m, a, 1 << 28, &err), &err);
    CHECK_OK(adze_file_read(&y, &n, b, 1 << 28, &err), &err);
    CHECK_EQ(m, n);
    CHECK_BYTES(x, y, m);
    adze_free(x);
    adze_free(y);
}

static bool exists(const char *path, const char *suffix)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return adze_file_exists(name);
}

static void check_nothing_there(const char *path)
{
    CHECK(!exists(path, ""));
    CHECK(!exists(path, ".part"));
    CHECK(!exists(path, ".part.journal"));
}

static adze_llm_tensor_report report_of(const adze_llm_quantization *q, const char *name)
{
    for (int i = 0; i < adze_llm_quantization_count(q); i++)
        if (strcmp(adze_llm_quantization_tensor(q, i)->name, name) == 0)
            return *adze_llm_quantization_tensor(q, i);
    FAIL("no tensor %s", name);
    return (adze_llm_tensor_report){0};
}

/* ---- what is written ---- */

static void check_tensor(const adze_gguf *gguf, const made *m, int i, const adze_kernels *kernels)
{
    const adze_gguf_tensor *t = adze_map_get(&gguf->by_name, m->plans[i].name);
    CHECK(t != NULL);
    CHECK_EQ(t->tensor.rank, m->plans[i].rank);
    int64_t width = t->tensor.dims[t->tensor.rank - 1];
    CHECK_EQ(width, m->plans[i].dims[m->plans[i].rank - 1]);
    int64_t rows = adze_tensor_elements(&t->tensor) / width;
    size_t row_bytes = adze_dtype_bytes(t->tensor.dtype, width);
    void *row = malloc(row_bytes);
    for (int64_t r = 0; r < rows; r++) {
        const float *from = (const float *)m->data[i] + r * width;
        kernels->blocks.codec[t->tensor.dtype].encode(from, width, NULL, NULL, row);
        CHECK_BYTES((const char *)t->tensor.data + (size_t)r * row_bytes, row, row_bytes);
    }
    free(row);
}

TEST(rows_are_encoded_and_metadata_kept)
{
    adze_error err;
    made m = make(ADZE_F32);
    const char *in = save(&m, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    CHECK(!exists(out, ".part"));
    CHECK(!exists(out, ".part.journal"));

    adze_gguf *gguf;
    adze_context *context = context_of(1, NULL);
    CHECK_OK(adze_gguf_open(&gguf, out, &err), &err);
    CHECK_EQ(gguf->tensor_count, m.count);
    for (int i = 0; i < m.count; i++)
        check_tensor(gguf, &m, i, context->kernels);
    CHECK_EQ(adze_gguf_int(&gguf->meta, "general.file_type", -1), 2);
    CHECK_EQ(adze_gguf_int(&gguf->meta, "general.quantization_version", -1), 2);
    CHECK_STR(adze_gguf_string(&gguf->meta, "kept", NULL), "as it is");
    CHECK_STR(gguf->meta.entries[0].key, "general.architecture");
    CHECK_STR(gguf->meta.entries[1].key, "llama.block_count");
    const adze_gguf_tensor *embedding = adze_map_get(&gguf->by_name, "token_embd.weight");
    CHECK_EQ(embedding->tensor.dtype, ADZE_Q8_0); /* tied */
    const adze_gguf_tensor *router = adze_map_get(&gguf->by_name, "blk.0.ffn_gate_inp.weight");
    CHECK_EQ(router->tensor.dtype, ADZE_F32);
    adze_gguf_close(&gguf);
    adze_context_close(&context);
}

TEST(same_bytes_whatever_threads_and_memory)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf");
    const char *one = test_tmpfile("one.gguf"), *three = test_tmpfile("three.gguf");
    adze_llm_quantize_options options = as("Q5_1");
    CHECK_OK(run(in, one, &options, 1, &err), &err);
    options.max_ram = 1 << 30;
    CHECK_OK(run(in, three, &options, 3, &err), &err);
    check_same(one, three);
}

TEST(copy_changes_nothing)
{
    adze_error err;
    made m = make(ADZE_F16);
    const char *in = save(&m, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("COPY");
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    adze_gguf *gguf;
    CHECK_OK(adze_gguf_open(&gguf, out, &err), &err);
    CHECK_EQ(adze_gguf_int(&gguf->meta, "general.file_type", -1), 1);
    for (int i = 0; i < m.count; i++) {
        const adze_gguf_tensor *t = adze_map_get(&gguf->by_name, m.plans[i].name);
        CHECK_BYTES(t->tensor.data, m.data[i], t->tensor.size);
    }
    adze_gguf_close(&gguf);
}

TEST(plan_says_what_comes)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_context *context = context_of(2, NULL);
    adze_llm_quantization *q;
    adze_llm_quantize_options options = as("Q8_0");
    options.measure_error = true;
    CHECK_OK(adze_llm_quantization_open(&q, context, in, &options, &err), &err);
    double seconds = -1;
    CHECK_OK(adze_llm_quantization_estimate(&seconds, q, &err), &err);
    CHECK(seconds > 0 && seconds < 10);
    CHECK(adze_llm_quantization_memory(q) >= adze_peak_rss());
    check_nothing_there(out);
    CHECK_OK(adze_llm_quantization_run(q, out, &err), &err);
    CHECK_EQ(adze_llm_quantization_bytes(q), adze_file_size(out));
    adze_llm_tensor_report t = report_of(q, "blk.0.attn_q.weight");
    CHECK_EQ(t.to, ADZE_Q8_0);
    CHECK(t.error > 1e-4 && t.error < 1e-2);
    CHECK_EQ(t.bytes, WIDTH * WIDTH / 32 * 34);
    CHECK(report_of(q, "output_norm.weight").error < 0);
    char *json, *text;
    CHECK_OK(adze_llm_quantization_describe(q, seconds, &json, &text, &err), &err);
    CHECK(strstr(json, "\"blk.0.attn_q.weight\"") && strstr(text, "blk.0.attn_q.weight"));
    adze_free(json);
    adze_free(text);
    adze_llm_quantization_close(&q);
    adze_context_close(&context);
}

/* ---- going on ---- */

typedef struct stopper {
    int calls, stop_at;
    double first_share;
} stopper;

static bool stop_at(void *user, const adze_llm_progress *progress)
{
    stopper *s = user;
    if (s->calls == 0)
        s->first_share = progress->share;
    return ++s->calls != s->stop_at;
}

static stopper run_stopped(const char *in, const char *out, adze_llm_quantize_options options,
                           int at, adze_status expected)
{
    adze_error err;
    stopper s = {.stop_at = at};
    options.progress = stop_at;
    options.user = &s;
    CHECK_FAILS(run(in, out, &options, 2, &err), expected, &err);
    if (expected == ADZE_CANCELLED)
        CHECK(strstr(err.message, ".part") != NULL);
    return s;
}

static void damage(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file && fseek(file, at, at < 0 ? SEEK_END : SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(byte != EOF && fseek(file, -1, SEEK_CUR) == 0);
    CHECK(fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
}

TEST(goes_on_where_it_was)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    const char *whole = test_tmpfile("whole.gguf");
    adze_llm_quantize_options options = as("Q4_1");
    CHECK_OK(run(in, whole, &options, 1, &err), &err);

    run_stopped(in, out, options, 5, ADZE_CANCELLED);
    CHECK(!exists(out, ""));
    CHECK(exists(out, ".part") && exists(out, ".part.journal"));
    stopper s = run_stopped(in, out, options, 2, ADZE_CANCELLED); /* one tensor further */
    CHECK(s.first_share > 0.3);
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    check_same(out, whole);
    CHECK(!exists(out, ".part") && !exists(out, ".part.journal"));

    /* bytes that are not as the journal says */
    unlink(out);
    run_stopped(in, out, options, 6, ADZE_CANCELLED);
    char part[512], journal[512];
    snprintf(part, sizeof part, "%s.part", out);
    snprintf(journal, sizeof journal, "%s.part.journal", out);
    adze_gguf *gguf;
    CHECK_OK(adze_gguf_open(&gguf, whole, &err), &err);
    const adze_gguf_tensor *t = adze_map_get(&gguf->by_name, "blk.0.attn_q.weight");
    long at = (long)((const uint8_t *)t->tensor.data - adze_mapping_bytes(t->mapping)) + 1000;
    adze_gguf_close(&gguf);
    damage(part, at);
    s = run_stopped(in, out, options, 1, ADZE_CANCELLED);
    CHECK(s.first_share > 0.05 && s.first_share < 0.3);
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    check_same(out, whole);

    /* a torn line */
    unlink(out);
    run_stopped(in, out, options, 6, ADZE_CANCELLED);
    CHECK_EQ(truncate(journal, adze_file_size(journal) - 9), 0);
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    check_same(out, whole);
}

TEST(another_recipe_begins_anew)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    const char *whole = test_tmpfile("whole.gguf");
    adze_llm_quantize_options options = as("Q8_0"), other = as("Q5_0");
    CHECK_OK(run(in, whole, &options, 1, &err), &err);
    run_stopped(in, out, other, 5, ADZE_CANCELLED);
    stopper s = run_stopped(in, out, options, 4, ADZE_CANCELLED);
    CHECK_EQ(s.first_share * 1000, 0);
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    check_same(out, whole);
}

/* ---- importance ---- */

static const char *save_matrix(int64_t width, const char *name)
{
    adze_error err;
    adze_imatrix *m;
    float x[2 * WIDTH];
    const char *path = test_tmpfile(name);
    CHECK_OK(adze_imatrix_create(&m, &err), &err);
    test_random_floats(x, 2 * WIDTH, 0, 3, 99);
    CHECK_OK(adze_imatrix_add(m, "blk.0.attn_q.weight", -1, 1, x, 2, width, &err), &err);
    CHECK_OK(adze_imatrix_add(m, "blk.0.attn_v.weight", -1, 1, x, 2, width, &err), &err);
    for (int e = 0; e < EXPERTS; e++) {
        CHECK_OK(
            adze_imatrix_add(m, "blk.0.ffn_up_exps.weight", e, EXPERTS, x + 7 * e, 1, width, &err),
            &err);
        CHECK_OK(
            adze_imatrix_add(m, "blk.0.ffn_down_exps.weight", e, EXPERTS, x, 1, width / 4, &err),
            &err);
    }
    CHECK_OK(adze_imatrix_save(m, path, &err), &err);
    adze_imatrix_close(&m);
    return path;
}

TEST(importance_by_expert)
{
    adze_error err;
    made m = make(ADZE_F32);
    float x[2 * WIDTH], importance[WIDTH];
    uint8_t row[WIDTH];
    const char *in = save(&m, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q4_1");
    options.imatrix = save_matrix(WIDTH, "m.gguf");
    CHECK_OK(run(in, out, &options, 2, &err), &err);
    adze_gguf *gguf;
    CHECK_OK(adze_gguf_open(&gguf, out, &err), &err);
    CHECK_STR(adze_gguf_string(&gguf->meta, "quantize.imatrix.file", NULL), options.imatrix);
    CHECK_EQ(adze_gguf_int(&gguf->meta, "quantize.imatrix.entries_count", -1), 4);

    const adze_gguf_tensor *t = adze_map_get(&gguf->by_name, "blk.0.ffn_up_exps.weight");
    CHECK_EQ(t->tensor.dtype, ADZE_Q4_1);
    test_random_floats(x, 2 * WIDTH, 0, 3, 99);
    const float *weights = weights_of(&m, t->name);
    adze_context *context = context_of(1, NULL);
    size_t row_bytes = adze_dtype_bytes(ADZE_Q4_1, WIDTH);
    for (int r = 0; r < EXPERTS * 64; r++) {
        for (int j = 0; j < WIDTH; j++) {
            float value = x[7 * (r / 64) + j];
            importance[j] = value * value;
        }
        context->kernels->blocks.codec[ADZE_Q4_1].encode(weights + r * WIDTH, WIDTH, importance,
                                                         NULL, row);
        CHECK_BYTES((const uint8_t *)t->tensor.data + (size_t)r * row_bytes, row, row_bytes);
    }
    adze_context_close(&context);
    adze_gguf_close(&gguf);
}

TEST(a_matrix_of_another_model)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    options.imatrix = save_matrix(WIDTH / 2, "m.gguf");
    CHECK_FAILS(run(in, out, &options, 1, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "m.gguf") && strstr(err.message, "blk.0.attn_q.weight"));
    options.imatrix = in;
    CHECK_FAILS(run(in, out, &options, 1, &err), ADZE_BAD_FILE, &err);
    check_nothing_there(out);
}

TEST(types_that_need_a_matrix)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q2_K_S");
    adze_context *context = context_of(1, NULL);
    bool possible = context->kernels->blocks.codec[ADZE_Q2_K].encode != NULL;
    adze_context_close(&context);
    if (!possible)
        SKIP("no encoder of q2_K");
    CHECK_FAILS(run(in, out, &options, 1, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "importance matrix") != NULL);
    check_nothing_there(out);
}

/* ---- what is refused ---- */

static void check_refused(const char *in, adze_llm_quantize_options options, adze_status status,
                          const char *word)
{
    adze_error err;
    const char *out = test_tmpfile("refused.gguf");
    CHECK_FAILS(run(in, out, &options, 2, &err), status, &err);
    if (!strstr(err.message, word))
        FAIL("'%s' is not in: %s", word, err.message);
    check_nothing_there(out);
}

TEST(numbers_that_are_none)
{
    made m = make(ADZE_F32);
    float *weights = weights_of(&m, "blk.0.ffn_up_exps.weight");
    weights[70 * WIDTH + 5] = NAN;
    weights[90 * WIDTH + 5] = INFINITY;
    const char *in = save(&m, "in.gguf");
    check_refused(in, as("Q4_0"), ADZE_BAD_DATA,
                  "tensor blk.0.ffn_up_exps.weight, row 70, column 5: expected a finite number");
    weights[70 * WIDTH + 5] = weights[90 * WIDTH + 5] = 1;
    weights[3 * WIDTH + 9] = 1e5f;
    in = save(&m, "in.gguf");
    check_refused(in, as("F16"), ADZE_BAD_DATA, "row 3, column 9: 100000 is too large for f16");
    adze_error err;
    adze_llm_quantize_options options = as("BF16");
    CHECK_OK(run(in, test_tmpfile("bf16.gguf"), &options, 1, &err), &err);
}

TEST(quantized_already)
{
    adze_error err;
    const char *in = save_of_type(ADZE_Q8_0, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    check_refused(in, options, ADZE_BAD_ARGUMENT, "are quantized already (q8_0)");
    options.allow_requantize = true;
    CHECK_OK(run(in, out, &options, 1, &err), &err);
    /* what has the type already is copied */
    options = as("Q8_0");
    options.tensor_types = (const char *const[]){"ffn_down=q8_0"};
    options.tensor_type_count = 1;
    check_refused(in, as("Q8_K"), ADZE_BAD_ARGUMENT, "no mix is called 'Q8_K'");
    CHECK_OK(run(in, test_tmpfile("same.gguf"), &options, 1, &err), &err);
}

TEST(too_little_memory)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    options.max_ram = 1000000;
    check_refused(in, options, ADZE_LIMIT, "raise --max-ram");
    /* the plan for much says how little would do */
    options.max_ram = 1 << 30;
    CHECK_OK(run(in, out, &options, 1, &err), &err);
}

TEST(outputs_that_cannot_be)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    CHECK_FAILS(run(in, in, &options, 1, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(run(in, test_tmpdir(), &options, 1, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(run(in, test_tmpfile("no/such/out.gguf"), &options, 1, &err), ADZE_NOT_FOUND, &err);
    CHECK_FAILS(run("nowhere.gguf", test_tmpfile("o"), &options, 1, &err), ADZE_NOT_FOUND, &err);
    options.output_type = "q9_9";
    CHECK_FAILS(run(in, test_tmpfile("o"), &options, 1, &err), ADZE_BAD_ARGUMENT, &err);
}

TEST(two_at_once)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    run_stopped(in, out, options, 3, ADZE_CANCELLED);
    char part[512];
    snprintf(part, sizeof part, "%s.part", out);
    int other = open(part, O_RDWR);
    CHECK(other >= 0 && flock(other, LOCK_EX) == 0);
    CHECK_FAILS(run(in, out, &options, 1, &err), ADZE_IO, &err);
    CHECK(strstr(err.message, "another process") != NULL);
    CHECK(exists(out, ".part"));
    close(other);
    CHECK_OK(run(in, out, &options, 1, &err), &err);
}

TEST(no_memory_at_any_point)
{
    adze_error err;
    const char *in = save_of_type(ADZE_F16, "in.gguf"), *out = test_tmpfile("out.gguf");
    const char *whole = test_tmpfile("whole.gguf"), *matrix = save_matrix(WIDTH, "m.gguf");
    adze_llm_quantize_options options = as("Q4_0");
    options.imatrix = matrix;
    CHECK_OK(run(in, whole, &options, 1, &err), &err);
    adze_context *context = context_of(1, NULL);
    adze_status status = ADZE_NO_MEMORY;
    int failures = 0;
    for (long n = 1; status != ADZE_OK; n++) {
        adze_llm_quantization *q = NULL;
        adze_alloc_fail_after(n);
        status = adze_llm_quantization_open(&q, context, in, &options, &err);
        if (status == ADZE_OK)
            status = adze_llm_quantization_run(q, out, &err);
        adze_alloc_fail_after(0);
        adze_llm_quantization_close(&q);
        if (status != ADZE_OK)
            CHECK_EQ(status, ADZE_NO_MEMORY);
        failures += status != ADZE_OK;
        CHECK(n < 10000);
    }
    CHECK(failures > 20);
    check_same(out, whole);
    adze_context_close(&context);
}
