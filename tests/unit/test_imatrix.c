/* Importance matrices: summing, merging, files in both forms, files that are broken. */
#include <stdio.h>
#include <stdlib.h>

#include "adze/llm_quantize.h"
#include "base/file.h"
#include "compress/imatrix.h"
#include "formats/gguf.h"
#include "llm/checkpoint.h"
#include "test.h"

static adze_imatrix *empty(void)
{
    adze_error err;
    adze_imatrix *m;
    CHECK_OK(adze_imatrix_create(&m, &err), &err);
    return m;
}

static void add(adze_imatrix *m, const char *name, int expert, int experts, const float *x,
                int tokens, int width)
{
    adze_error err;
    CHECK_OK(adze_imatrix_add(m, name, expert, experts, x, tokens, width, &err), &err);
}

static adze_imatrix *opened(const char *path)
{
    adze_error err;
    adze_imatrix *m;
    CHECK_OK(adze_imatrix_open(&m, path, &err), &err);
    return m;
}

static const float rows[] = {1, 2, 3, 4, 0, -1}; /* two of three columns */

TEST(sums_of_squares)
{
    adze_error err;
    adze_imatrix *m = empty();
    add(m, "b.weight", -1, 1, rows, 2, 3);
    add(m, "a.weight", 1, 2, rows, 1, 3);
    const adze_imatrix_entry *b = adze_imatrix_find(m, "b.weight");
    CHECK_EQ(adze_imatrix_count(m), 2);
    CHECK_STR(adze_imatrix_entry_at(m, 0)->name, "a.weight");
    CHECK_EQ(b->counts[0], 2);
    CHECK_NEAR(b->sums[0], 17, 0);
    CHECK_NEAR(b->sums[2], 10, 0);
    float weights[6];
    adze_imatrix_weights(weights, b);
    CHECK_NEAR(weights[1], 2, 0);
    adze_imatrix_weights(weights, adze_imatrix_find(m, "a.weight"));
    CHECK_NEAR(weights[0], 1, 0); /* an expert that saw nothing */
    CHECK_NEAR(weights[5], 9, 0);
    CHECK(adze_imatrix_find(m, "c.weight") == NULL);

    CHECK_FAILS(adze_imatrix_add(m, "b.weight", -1, 1, rows, 1, 2, &err), ADZE_BAD_DATA, &err);
    CHECK_FAILS(adze_imatrix_add(m, "b.weight", 2, 2, rows, 1, 3, &err), ADZE_BAD_ARGUMENT, &err);
    static const float wrong[] = {1, NAN, 1};
    CHECK_FAILS(adze_imatrix_add(m, "b.weight", -1, 1, wrong, 1, 3, &err), ADZE_BAD_DATA, &err);
    adze_imatrix_close(&m);
}

TEST(saved_and_read_again)
{
    adze_error err;
    char *text, *json;
    adze_imatrix *m = empty();
    const char *path = test_tmpfile("m.gguf");
    for (int i = 0; i < 600; i++)
        add(m, "blk.1.ffn_down.weight", -1, 1, rows, 2, 3);
    add(m, "blk.0.ffn_down.weight", 0, 2, rows, 2, 3);
    CHECK(adze_imatrix_add_dataset(m, "text.txt", 8));
    CHECK_OK(adze_imatrix_save(m, path, &err), &err);
    adze_imatrix *again = opened(path);
    CHECK_EQ(adze_imatrix_count(again), 2);
    CHECK_EQ(adze_imatrix_chunks(again), 2);
    CHECK_EQ(again->chunk_size, 512);
    CHECK_EQ(again->dataset_count, 1);
    CHECK_STR(again->datasets[0].data, "text.txt");
    const adze_imatrix_entry *e = adze_imatrix_find(again, "blk.0.ffn_down.weight");
    CHECK_EQ(e->experts, 2);
    CHECK_EQ(e->width, 3);
    CHECK_EQ(e->counts[1], 0);
    CHECK_NEAR(e->sums[1], 4, 0);
    CHECK_OK(adze_imatrix_describe(again, &json, &text, &err), &err);
    CHECK(strstr(json, "\"text.txt\"") && strstr(text, "1 of 2 experts saw nothing"));
    adze_free(json);
    adze_free(text);
    adze_imatrix_close(&again);
    adze_imatrix_close(&m);
}

TEST(merged)
{
    adze_error err;
    adze_imatrix *a = empty(), *b = empty(), *c = empty();
    add(a, "x.weight", -1, 1, rows, 2, 3);
    add(b, "x.weight", -1, 1, rows + 3, 1, 3);
    add(b, "y.weight", -1, 1, rows, 1, 6);
    add(c, "x.weight", -1, 1, rows, 1, 6);
    CHECK_OK(adze_imatrix_merge(a, b, &err), &err);
    CHECK_EQ(adze_imatrix_count(a), 2);
    CHECK_NEAR(adze_imatrix_find(a, "x.weight")->sums[0], 33, 0);
    CHECK_EQ(adze_imatrix_find(a, "x.weight")->counts[0], 3);
    CHECK_FAILS(adze_imatrix_merge(a, c, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "x.weight") != NULL);
    CHECK_EQ(adze_imatrix_find(a, "x.weight")->counts[0], 3);
    /* one count for all experts, as older files have it, and one for each */
    adze_imatrix *old = empty();
    add(old, "e.weight", -1, 1, rows, 1, 6);
    adze_imatrix *new = empty();
    add(new, "e.weight", 1, 2, rows, 2, 3);
    CHECK_OK(adze_imatrix_merge(old, new, &err), &err);
    const adze_imatrix_entry *e = adze_imatrix_find(old, "e.weight");
    CHECK_EQ(e->experts, 2);
    CHECK_EQ(e->counts[0], 1);
    CHECK_EQ(e->counts[1], 3);
    CHECK_NEAR(e->sums[3], 16 + 17, 0);
    adze_imatrix_close(&a);
    adze_imatrix_close(&b);
    adze_imatrix_close(&c);
    adze_imatrix_close(&old);
    adze_imatrix_close(&new);
}

/* ---- the older form ---- */

static size_t put(uint8_t *to, size_t at, const void *bytes, size_t size)
{
    memcpy(to + at, bytes, size);
    return at + size;
}

static size_t put_int(uint8_t *to, size_t at, int32_t value)
{
    return put(to, at, &value, sizeof value);
}

static size_t old_form(uint8_t *to)
{
    static const float values[] = {8, 4, 2};
    size_t n = put_int(to, 0, 1);
    n = put_int(to, n, 8);
    n = put(to, n, "x.weight", 8);
    n = put_int(to, n, 4);
    n = put_int(to, n, 3);
    n = put(to, n, values, sizeof values);
    n = put_int(to, n, 4);
    n = put_int(to, n, 5);
    return put(to, n, "t.txt", 5);
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    adze_error err;
    CHECK_OK(adze_file_write(path, bytes, size, &err), &err);
}

TEST(older_form)
{
    uint8_t bytes[256];
    float weights[3];
    const char *path = test_tmpfile("m.dat");
    size_t size = old_form(bytes);
    write_file(path, bytes, size);
    adze_imatrix *m = opened(path);
    const adze_imatrix_entry *e = adze_imatrix_find(m, "x.weight");
    adze_imatrix_weights(weights, e);
    CHECK_NEAR(weights[0], 2, 0);
    CHECK_NEAR(weights[2], 0.5, 0);
    CHECK_EQ(adze_imatrix_chunks(m), 4);
    CHECK_STR(m->datasets[0].data, "t.txt");
    adze_imatrix_close(&m);
    write_file(path, bytes, size - 13); /* without what was added later */
    m = opened(path);
    adze_imatrix_close(&m);
}

static void check_refused(const char *path, const char *word)
{
    adze_error err;
    adze_imatrix *m = NULL;
    CHECK_FAILS(adze_imatrix_open(&m, path, &err), ADZE_BAD_FILE, &err);
    CHECK(m == NULL);
    if (!strstr(err.message, path) || !strstr(err.message, word))
        FAIL("'%s' is not in: %s", word, err.message);
}

TEST(broken_files)
{
    uint8_t bytes[256];
    const char *path = test_tmpfile("m.dat");
    size_t size = old_form(bytes);
    for (size_t n = 0; n < size - 13; n++) {
        write_file(path, bytes, n);
        check_refused(path, "byte");
    }
    old_form(bytes);
    (void)put_int(bytes, 20, INT32_MAX); /* values */
    write_file(path, bytes, size);
    check_refused(path, "as many values");
    old_form(bytes);
    (void)put(bytes, 24, &(float){-1}, 4);
    write_file(path, bytes, size);
    check_refused(path, "finite sum of squares");
    old_form(bytes);
    (void)put_int(bytes, 4, -1); /* length of the name */
    write_file(path, bytes, size);
    check_refused(path, "name");
}

static void write_gguf(const char *path, const char *type, const adze_gguf_plan *plans,
                       const float *const *data, int count)
{
    adze_error err;
    adze_arena arena = {0};
    adze_gguf_meta meta;
    adze_gguf_plan own[4];
    memcpy(own, plans, (size_t)count * sizeof *plans);
    adze_gguf_meta_init(&meta, &arena);
    CHECK(adze_gguf_set_string(&meta, "general.type", type, strlen(type)));
    CHECK_OK(adze_gguf_write(path, &meta, own, (const void *const *)data, count, &err), &err);
    adze_arena_free(&arena);
}

TEST(wrong_gguf)
{
    static const float values[] = {1, 2, 3, 4}, wrong[] = {1, 2, NAN, 4};
    static const adze_gguf_plan plans[] = {
        {.name = "x.weight.in_sum2", .dtype = ADZE_F32, .rank = 2, .dims = {1, 4}},
        {.name = "x.weight.counts", .dtype = ADZE_F32, .rank = 2, .dims = {1, 1}}};
    const adze_gguf_plan odd[] = {
        plans[0], {.name = "x.weight.counts", .dtype = ADZE_F32, .rank = 2, .dims = {3, 1}}};
    const char *path = test_tmpfile("m.gguf");
    const float *fine[] = {values, values}, *bad[] = {wrong, values},
                *counts[] = {values, wrong + 2};
    write_gguf(path, "imatrix", plans, fine, 2);
    adze_imatrix *m = opened(path);
    CHECK_EQ(adze_imatrix_find(m, "x.weight")->width, 4);
    adze_imatrix_close(&m);
    write_gguf(path, "model", plans, fine, 2);
    check_refused(path, "expected an importance matrix");
    write_gguf(path, "imatrix", plans, fine, 1);
    check_refused(path, "one count for each matrix");
    write_gguf(path, "imatrix", odd, fine, 2);
    check_refused(path, "one count for each matrix");
    write_gguf(path, "imatrix", plans, bad, 2);
    check_refused(path, "value 2");
    write_gguf(path, "imatrix", plans, counts, 2);
    check_refused(path, "x.weight.counts");
    write_gguf(path, "imatrix", plans, fine, 0);
    check_refused(path, "found none");
}

TEST(no_memory)
{
    adze_error err;
    adze_imatrix *m = empty();
    const char *path = test_tmpfile("m.gguf");
    add(m, "x.weight", -1, 1, rows, 2, 3);
    CHECK_OK(adze_imatrix_save(m, path, &err), &err);
    adze_imatrix_close(&m);
    adze_status status = ADZE_NO_MEMORY;
    int failures = -1;
    for (long n = 1; status != ADZE_OK && n < 1000; n++, failures++) {
        adze_alloc_fail_after(n);
        status = adze_imatrix_open(&m, path, &err);
        if (status == ADZE_OK)
            status = adze_imatrix_save(m, path, &err);
        adze_alloc_fail_after(0);
        adze_imatrix_close(&m);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
    }
    CHECK_OK(status, &err);
    CHECK(failures > 5);
}

/* ---- collecting ---- */

enum { TOKENS = 70, CONTEXT = 32, CHUNKS = 2 };

static adze_imatrix *collected(const char *folder, const int32_t *ids)
{
    adze_error err;
    adze_context *context;
    adze_engine *engine;
    adze_imatrix *m = empty();
    const adze_context_options threads = {.threads = 2};
    const adze_engine_options sizes = {.context = CONTEXT, .batch = 8};
    adze_imatrix_collect_options how = adze_imatrix_collect_options_default();
    how.context = CONTEXT;
    how.dataset = "ids";
    CHECK_OK(adze_context_open(&context, &threads, &err), &err);
    CHECK_OK(adze_engine_open(&engine, context, folder, &sizes, &err), &err);
    CHECK_FAILS(adze_imatrix_collect(m, engine, ids, CONTEXT - 1, &how, &err), ADZE_BAD_DATA, &err);
    CHECK_OK(adze_imatrix_collect(m, engine, ids, TOKENS, &how, &err), &err);
    adze_engine_close(&engine);
    adze_context_close(&context);
    return m;
}

static void fill_ids(int32_t *ids, int32_t vocabulary)
{
    uint64_t seed = 5;
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (int32_t)(test_random(&seed) % (uint64_t)vocabulary);
}

static void read_row(const adze_checkpoint *c, const char *name, int64_t row, float *to)
{
    adze_error err;
    uint16_t half[256];
    const adze_checkpoint_tensor *t = adze_checkpoint_find(c, name);
    CHECK(t && t->row_bytes <= sizeof half * 2);
    int64_t width = t->dims[t->rank - 1];
    if (t->dtype == ADZE_F32) {
        CHECK_OK(adze_checkpoint_rows(c, t, row, 1, to, &err), &err);
        return;
    }
    CHECK_EQ(t->dtype, ADZE_BF16);
    CHECK_OK(adze_checkpoint_rows(c, t, row, 1, half, &err), &err);
    for (int64_t j = 0; j < width; j++) {
        uint32_t bits = (uint32_t)half[j] << 16;
        memcpy(&to[j], &bits, sizeof bits);
    }
}

/* The first layer's queries meet normed embeddings, which are easily made here. */
static void expected_of_queries(const char *folder, const int32_t *ids, int width, double *sums)
{
    adze_error err;
    adze_checkpoint *c;
    float x[256] = {0}, scale[256] = {0};
    CHECK_OK(adze_checkpoint_open(&c, folder, &err), &err);
    double epsilon =
        adze_gguf_float(adze_checkpoint_meta(c), "qwen3moe.attention.layer_norm_rms_epsilon", -1);
    CHECK(epsilon > 0);
    read_row(c, "blk.0.attn_norm.weight", 0, scale);
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int t = 0; t < CHUNKS * CONTEXT; t++) {
        double mean = 0;
        read_row(c, "token_embd.weight", ids[t], x);
        for (int j = 0; j < width; j++)
            mean += (double)x[j] * (double)x[j] / width;
        for (int j = 0; j < width; j++) {
            double value = (double)x[j] * (double)scale[j];
            sums[j] += value * value / (mean + epsilon);
        }
    }
    adze_checkpoint_close(&c);
}

TEST(collected_from_a_model)
{
    enum { WIDTH = 32, EXPERTS = 4, USED = 2 };
    int32_t ids[TOKENS];
    double sums[WIDTH];
    const char *folder = test_source_path("tests/golden/llm/qwen3-moe");
    fill_ids(ids, 80);
    adze_imatrix *m = collected(folder, ids);
    expected_of_queries(folder, ids, WIDTH, sums);
    const adze_imatrix_entry *q = adze_imatrix_find(m, "blk.0.attn_q.weight");
    CHECK(q != NULL);
    CHECK_EQ(q->width, WIDTH);
    CHECK_EQ(q->counts[0], CHUNKS * CONTEXT);
    for (int j = 0; j < WIDTH; j++)
        CHECK_NEAR(q->sums[j], sums[j], 1e-4 * (1 + sums[j]));

    static const char *const of_experts[] = {
        "blk.1.ffn_gate_exps.weight", "blk.1.ffn_up_exps.weight", "blk.1.ffn_down_exps.weight"};
    for (int i = 0; i < 3; i++) {
        const adze_imatrix_entry *e = adze_imatrix_find(m, of_experts[i]);
        CHECK(e != NULL);
        CHECK_EQ(e->experts, EXPERTS);
        int64_t routed = 0;
        for (int k = 0; k < EXPERTS; k++)
            routed += e->counts[k];
        CHECK_EQ(routed, CHUNKS * CONTEXT * USED);
    }
    CHECK(adze_imatrix_find(m, "token_embd.weight") == NULL);
    CHECK_EQ(m->chunk_size, CONTEXT);
    adze_imatrix_close(&m);
}
