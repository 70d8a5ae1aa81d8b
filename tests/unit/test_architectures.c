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

static bool same_bits(const rows *a, const rows *b)
{
    const void *x = a->values, *y = b->values;
    return memcmp(x, y, sizeof a->values) == 0;
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

/* A token's logits have the same bits however its prompt was cut. */
TEST(same_bits_in_any_pieces)
{
    golden g;
    rows whole, pieces;
    const char *variant;
    json_t *entry;
    open_golden(&g);
    json_object_foreach(variants(&g), variant, entry)
    {
        if (!json_object_get(entry, "logits"))
            continue;
        const char *path = model_path(variant);
        CHECK_OK(compute(&g, path, g.count, MOST_TOKENS, ADZE_F16, &whole), &g.err);
        for (int64_t step = 1; step <= 40; step = step * 3 + 1) {
            CHECK_OK(compute(&g, path, g.count, step, ADZE_F16, &pieces), &g.err);
            if (!same_bits(&whole, &pieces))
                FAIL("%s: pieces of %lld tokens: %g apart", variant, (long long)step,
                     apart(&whole, &pieces));
        }
    }
    close_golden(&g);
}

/* ---- folders that differ from a golden one ---- */

static void link_weights(const char *folder, const char *variant)
{
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    CHECK(symlink(path_of(variant, "model.safetensors"), path) == 0);
}

static void write_config(const char *folder, const json_t *config)
{
    char path[512];
    snprintf(path, sizeof path, "%s/config.json", folder);
    CHECK_OK(adze_json_save(config, path, NULL), NULL);
}

static json_t *read_config(const char *variant, const char *file)
{
    json_t *config;
    adze_error err;
    CHECK_OK(adze_json_load(&config, path_of(variant, file), &err), &err);
    return config;
}

/* Computes with a config of its own and the golden weights. */
static adze_status compute_with(golden *g, const char *name, const char *variant,
                                const json_t *config, int64_t count, rows *got)
{
    const char *folder = test_tmpfile(name);
    CHECK_OK(adze_folder_make(folder, NULL), NULL);
    write_config(folder, config);
    link_weights(folder, variant);
    return compute(g, folder, count, MOST_TOKENS, ADZE_F32, got);
}

TEST(spelling_of_transformers_4)
{
    golden g;
    rows want, got;
    const char *variant;
    json_t *entry;
    open_golden(&g);
    json_object_foreach(variants(&g), variant, entry)
    {
        ADZE_UNUSED(entry);
        json_t *config = read_config(variant, "config-v4.json");
        adze_status status =
            compute(&g, path_of(variant, ""), g.count, MOST_TOKENS, ADZE_F32, &want);
        CHECK_OK(status, &g.err);
        CHECK_OK(compute_with(&g, variant, variant, config, g.count, &got), &g.err);
        if (!same_bits(&want, &got))
            FAIL("%s: the old spelling is another model: %g apart", variant, apart(&want, &got));
        json_decref(config);
    }
    close_golden(&g);
}

/* Scalings that depend on the length of the timeline: a short one is another model. */
TEST(short_timelines)
{
    golden g;
    rows want, got;
    int found = 0;
    const char *variant;
    json_t *entry;
    open_golden(&g);
    int64_t count = json_integer_value(json_object_get(g.index, "prefix_tokens"));
    json_object_foreach(variants(&g), variant, entry)
    {
        const char *file = json_string_value(json_object_get(entry, "prefix"));
        if (!file)
            continue;
        read_rows(&want, path_of(variant, file));
        CHECK_OK(compute(&g, path_of(variant, ""), count, MOST_TOKENS, ADZE_F32, &got), &g.err);
        if (!(apart(&want, &got) <= 1e-5))
            FAIL("%s: %g apart", variant, apart(&want, &got));
        found++;
    }
    CHECK(found >= 4);
    close_golden(&g);
}

/* ---- each feature matters: switched off, the logits are elsewhere, as far as torch's ---- */

/* RFC 7386; a new reference. */
static json_t *merge_patch(const json_t *document, const json_t *patch)
{
    if (!json_is_object(patch))
        return json_deep_copy(patch);
    json_t *out = json_is_object(document) ? json_deep_copy(document) : json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value)
    {
        if (json_is_null(value))
            json_object_del(out, key);
        else
            json_object_set_new(out, key, merge_patch(json_object_get(out, key), value));
    }
    return out;
}

typedef struct refill {
    const adze_safetensors *file;
    int source[512]; /* of tensor i */
    bool filled[512];
    double value;
} refill;

static adze_status refill_tensor(void *user, int i, uint64_t offset, void *bytes, size_t size,
                                 adze_error *err)
{
    const refill *r = user;
    const adze_tensor *from = &r->file->tensors[r->source[i]].tensor;
    ADZE_UNUSED(err);
    memcpy(bytes, (const char *)from->data + offset, size);
    union {
        float f;
        uint32_t u;
    } value = {.f = (float)r->value};
    uint16_t bf16 = (uint16_t)(value.u >> 16); /* 0 and 1: exact */
    for (size_t at = 0; r->filled[i] && at + 1 < size; at += 2)
        memcpy((char *)bytes + at, &bf16, 2);
    return ADZE_OK;
}

/* The weights, where the name matches filled with `value`, or left out (NAN). */
static void rewrite_weights(const char *folder, const char *variant, const char *pattern,
                            double value)
{
    regex_t regex;
    adze_safetensors *file;
    adze_error err;
    adze_safetensor_plan plans[512];
    refill r = {.value = value};
    char path[512];
    int n = 0;
    CHECK_EQ(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    CHECK_OK(adze_safetensors_open(&file, path_of(variant, ""), &err), &err);
    r.file = file;
    for (int i = 0; i < file->count; i++) {
        const adze_tensor *t = &file->tensors[i].tensor;
        bool hit = regexec(&regex, file->tensors[i].name, 0, NULL, 0) == 0;
        CHECK(t->dtype == ADZE_BF16);
        if (hit && isnan(value))
            continue;
        r.source[n] = i;
        r.filled[n] = hit;
        plans[n] = (adze_safetensor_plan){file->tensors[i].name, t->dtype, t->rank, {0}, 0};
        memcpy(plans[n++].dims, t->dims, sizeof t->dims);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    CHECK_OK(adze_safetensors_write(path, plans, n, refill_tensor, &r, &err), &err);
    adze_safetensors_close(&file);
    regfree(&regex);
}

static adze_status compute_without(golden *g, const char *variant, const char *feature,
                                   const json_t *how, rows *got)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", variant, feature);
    json_t *config = read_config(variant, "config.json");
    const json_t *patch = json_object_get(how, "config");
    if (patch) {
        json_t *patched = merge_patch(config, patch);
        adze_status status = compute_with(g, name, variant, patched, g->count, got);
        json_decref(config);
        json_decref(patched);
        return status;
    }
    const char *folder = test_tmpfile(name);
    CHECK_OK(adze_folder_make(folder, NULL), NULL);
    write_config(folder, config);
    json_decref(config);
    const char *pattern = json_string_value(json_object_get(how, "tensors"));
    if (pattern)
        rewrite_weights(folder, variant, pattern, json_number_value(json_object_get(how, "fill")));
    else
        rewrite_weights(folder, variant, json_string_value(json_object_get(how, "without")), NAN);
    return compute(g, folder, g->count, MOST_TOKENS, ADZE_F32, got);
}

TEST(features_switched_off)
{
    golden g;
    rows want, got;
    const char *variant, *feature;
    json_t *entry, *how;
    char failed[4096] = "";
    size_t at = 0;
    int count = 0, refused = 0;
    open_golden(&g);
    json_object_foreach(variants(&g), variant, entry)
    {
        want_of(&want, variant, entry);
        json_object_foreach(json_object_get(entry, "features"), feature, how)
        {
            double expected = json_number_value(json_object_get(how, "difference"));
            adze_status status = compute_without(&g, variant, feature, how, &got);
            count++;
            if (status == ADZE_BAD_MODEL && json_object_get(how, "without")) {
                refused++; /* tensors that the architecture cannot be without */
                continue;
            }
            double found = status == ADZE_OK ? apart(&want, &got) : -1;
            if (!(fabs(found - expected) <= 1e-3 * expected) && at < sizeof failed)
                at += (size_t)snprintf(failed + at, sizeof failed - at,
                                       "\n    %s without %s: %g, torch's are %g%s%s", variant,
                                       feature, found, expected, status == ADZE_OK ? "" : ": ",
                                       status == ADZE_OK ? "" : g.err.message);
        }
    }
    if (at > 0)
        FAIL("logits are elsewhere than torch's:%s", failed);
    CHECK(count >= 100 && refused <= 4);
    close_golden(&g);
}
