/* Every architecture against transformers: the golden models of tests/golden/llm, see make.py there. */
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adze/llm.h"
#include "adze/session.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/npy.h"
#include "formats/safetensors.h"
#include "llm/architectures.h"
#include "test.h"

enum { MOST_TOKENS = 64, MOST_WIDTH = 128 };

typedef struct golden {
    adze_context *context;
    json_t *index;
    int32_t tokens[MOST_TOKENS];
    int64_t count;
    adze_error err;
} golden;

/* What one model computes: logits, or an encoder's hidden states. */
typedef struct rows {
    float values[MOST_TOKENS * MOST_WIDTH];
    int64_t count, width;
} rows;

static const char *path_of(const char *variant, const char *file)
{
    static char name[2][512];
    static int turn;
    turn = !turn;
    snprintf(name[turn], sizeof name[turn], "tests/golden/llm/%s%s%s", variant, *file ? "/" : "",
             file);
    return test_source_path(name[turn]);
}

static void read_npy(const char *path, adze_tensor *out, char **bytes)
{
    size_t size;
    adze_error err;
    CHECK_OK(adze_file_read(bytes, &size, path, 1 << 20, &err), &err);
    CHECK_OK(adze_npy_parse(out, (const uint8_t *)*bytes, size, path, &err), &err);
}

static void read_rows(rows *out, const char *path)
{
    adze_tensor tensor;
    char *bytes;
    read_npy(path, &tensor, &bytes);
    CHECK(tensor.dtype == ADZE_F32 && tensor.rank == 2);
    out->count = tensor.dims[0];
    out->width = tensor.dims[1];
    CHECK(out->count <= MOST_TOKENS && out->width <= MOST_WIDTH);
    memcpy(out->values, tensor.data, tensor.size);
    adze_tensor_free(&tensor);
    adze_free(bytes);
}

static void open_golden(golden *g)
{
    adze_tensor tokens;
    char *bytes;
    memset(g, 0, sizeof *g);
    CHECK_OK(adze_context_open(&g->context, NULL, &g->err), &g->err);
    CHECK_OK(adze_json_load(&g->index, path_of("index.json", ""), &g->err), &g->err);
    read_npy(path_of("tokens.npy", ""), &tokens, &bytes);
    CHECK(tokens.dtype == ADZE_I32 && tokens.dims[0] <= MOST_TOKENS);
    g->count = tokens.dims[0];
    memcpy(g->tokens, tokens.data, tokens.size);
    adze_tensor_free(&tokens);
    adze_free(bytes);
}

static void close_golden(golden *g)
{
    json_decref(g->index);
    adze_context_close(&g->context);
}

static json_t *variants(const golden *g)
{
    json_t *all = json_object_get(g->index, "variants");
    CHECK(json_object_size(all) >= 40);
    return all;
}

/* ---- computing ---- */

static int keep_row(void *user, int64_t index, const float *logits)
{
    rows *out = user;
    ADZE_UNUSED(index);
    memcpy(out->values + out->count++ * out->width, logits, (size_t)out->width * sizeof(float));
    return 0;
}

/* `step` tokens at a time. */
static void decode(golden *g, const adze_engine *engine, int64_t count, int64_t step, rows *out)
{
    adze_chat *chat;
    *out = (rows){.width = adze_engine_vocabulary(engine)};
    CHECK(out->width <= MOST_WIDTH);
    CHECK_OK(adze_chat_open(&chat, engine, NULL, &g->err), &g->err);
    for (int64_t at = 0; at < count; at += step)
        CHECK_OK(adze_chat_score(chat, g->tokens + at, ADZE_MIN(step, count - at), 0, keep_row, out,
                                 &g->err),
                 &g->err);
    adze_chat_close(&chat);
}

static void encode(golden *g, const adze_engine *engine, rows *out)
{
    adze_plan *plan;
    adze_session *session;
    int64_t ids[MOST_TOKENS], positions[MOST_TOKENS];
    for (int64_t i = 0; i < g->count; i++) {
        ids[i] = g->tokens[i];
        positions[i] = i;
    }
    adze_tensor hidden, in[] = {adze_tensor_view(ADZE_I64, 1, &g->count, ids),
                                adze_tensor_view(ADZE_I64, 1, &g->count, positions)};
    CHECK_OK(adze_plan_create(&plan, adze_engine_graph(engine), NULL, &g->err), &g->err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &g->err), &g->err);
    CHECK_OK(adze_session_run(session, in, &hidden, &g->err), &g->err);
    *out = (rows){.count = hidden.dims[0], .width = hidden.dims[1]};
    CHECK(out->count <= MOST_TOKENS && out->width <= MOST_WIDTH);
    memcpy(out->values, hidden.data, hidden.size);
    adze_session_close(&session);
    adze_plan_free(&plan);
}

static adze_status compute(golden *g, const char *path, int64_t count, int64_t step,
                           adze_dtype cache, rows *out)
{
    adze_engine *engine;
    adze_engine_options options = {.context = count, .cache_type = cache};
    adze_status status = adze_engine_open(&engine, g->context, path, &options, &g->err);
    if (status != ADZE_OK)
        return status;
    if (adze_engine_is_encoder(engine))
        encode(g, engine, out);
    else
        decode(g, engine, count, step, out);
    adze_engine_close(&engine);
    return ADZE_OK;
}

/* The largest difference, relative to the largest magnitude. */
static double apart(const rows *want, const rows *got)
{
    double largest = 0, difference = 0;
    CHECK_EQ(got->count, want->count);
    CHECK_EQ(got->width, want->width);
    for (int64_t i = 0; i < want->count * want->width; i++) {
        largest = fmax(largest, fabs((double)want->values[i]));
        difference = fmax(difference, fabs((double)want->values[i] - (double)got->values[i]));
        if (!isfinite(got->values[i]))
            return INFINITY;
    }
    return difference / largest;
}

/* The model as a GGUF file of the same name in $ADZE_GOLDEN_GGUF, where that is set; else the folder. */
static const char *model_path(const char *variant)
{
    static char path[1024];
    const char *folder = getenv("ADZE_GOLDEN_GGUF");
    if (!folder)
        return path_of(variant, "");
    snprintf(path, sizeof path, "%s/%s.gguf", folder, variant);
    return path;
}

static void want_of(rows *want, const char *variant, const json_t *entry)
{
    const char *file = json_string_value(json_object_get(entry, "logits"));
    if (!file)
        file = json_string_value(json_object_get(entry, "hidden"));
    read_rows(want, path_of(variant, file));
}

/* All variants with `step` tokens at a time; what is too far is listed, all of it. */
static void check_all(int64_t step, adze_dtype cache, double tolerance)
{
    golden g;
    rows want, got;
    char failed[4096] = "";
    const char *variant;
    json_t *entry;
    size_t at = 0;
    open_golden(&g);
    json_object_foreach(variants(&g), variant, entry)
    {
        want_of(&want, variant, entry);
        adze_status status = compute(&g, model_path(variant), g.count, step, cache, &got);
        double difference = status == ADZE_OK ? apart(&want, &got) : INFINITY;
        if (getenv("ADZE_GOLDEN_SHOW"))
            printf("%-20s %.2g\n", variant, difference);
        if (!(difference <= tolerance) && at < sizeof failed)
            at += (size_t)snprintf(failed + at, sizeof failed - at, "\n    %s: %s%.3g", variant,
                                   status == ADZE_OK ? "" : g.err.message, difference);
    }
    close_golden(&g);
    if (at > 0)
        FAIL("further than %g from transformers:%s", tolerance, failed);
}

TEST(a_prompt_whole)
{
    check_all(MOST_TOKENS, ADZE_F32, 1e-5);
}

TEST(token_by_token)
{
    check_all(1, ADZE_F32, 1e-5);
}

TEST(in_pieces_of_seven)
{
    check_all(7, ADZE_F32, 1e-5);
}

/* The usual cache rounds keys and values. */
TEST(float16_cache)
{
    check_all(MOST_TOKENS, ADZE_F16, 1e-2);
}
