/* A checkpoint as a Hugging Face folder: the rules of hf_rules.c the other way round. Every tensor of the folder knows
 * the GGUF tensor that it comes from and which row of that each of its rows is; rows are decoded, rearranged and
 * rounded as the file asks for them, so that memory does not grow with the model. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adze/llm_convert.h"
#include "base/context.h"
#include "kernels/kernels.h"
#include "llm/architectures.h"
#include "llm/hf_write_impl.h"
#include "llm/tokenizer.h"
#include "tensor/dtype.h"

/* One tensor of the folder. */
typedef struct piece {
    const adze_checkpoint_tensor *from;
    adze_hf_how how;
    int64_t part, parts; /* of a stack; else 0 of 1 */
    float minus;         /* taken off every element */
} piece;

typedef struct writer {
    adze_hf_export x;
    adze_arena arena;
    adze_checkpoint *source;
    const adze_block_codec *codecs;
    adze_llm_folder_options options;
    piece *pieces;
    adze_safetensor_plan *plans;
    int count, plan_capacity, piece_capacity;
    bool *used;   /* [tensors of source] */
    void *raw;    /* a row as it is in the source */
    float *row;   /* the same as floats */
    float *other; /* rearranged */
    void *made;   /* a row of the folder */
    float *whole; /* a tensor that is turned; of `turned` */
    const piece *turned;
    uint64_t total, done;
    int first; /* plan of the file at work */
} writer;

/* ---- which row of the GGUF tensor is row r ---- */

static int64_t to_halves(int64_t r, int64_t dim)
{
    int64_t i = r % dim, half = dim / 2;
    return r - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/* [group][queries, k, v] from [q, k, v]; with one query in a group the order of GPT-NeoX. */
static int64_t to_groups(int64_t r, int64_t heads, int64_t groups, int64_t dim)
{
    int64_t queries = heads / groups, size = (queries + 2) * dim;
    int64_t group = r / size, which = r % size / dim, i = r % dim, head;
    if (which < queries)
        head = group * queries + which;
    else
        head = heads + (which - queries) * groups + group;
    return head * dim + i;
}

static int64_t row_of(const writer *w, const piece *p, int64_t r)
{
    const adze_llm_config *c = &w->x.config;
    switch (p->how) {
    case ADZE_HF_ROPE_Q:
    case ADZE_HF_ROPE_K: return to_halves(r, c->key_dim);
    case ADZE_HF_QKV_HEADS: return to_groups(r, c->heads, c->heads, c->key_dim);
    case ADZE_HF_QKV_GROUPS: return to_groups(r, c->heads, c->kv_heads[0], c->key_dim);
    case ADZE_HF_STACK: return p->part * (p->from->rows / p->parts) + r;
    case ADZE_HF_PLAIN:
    case ADZE_HF_TURNED:
    case ADZE_HF_FIRST_HALF:
    case ADZE_HF_SECOND_HALF: break;
    }
    return r;
}

/* ---- rows ---- */

static int64_t width_of(const adze_checkpoint_tensor *t)
{
    return t->dims[t->rank - 1];
}

static adze_status read_row(const writer *w, const adze_checkpoint_tensor *t, int64_t r, float *to,
                            adze_error *err)
{
    ADZE_TRY(adze_checkpoint_rows(w->x.from, t, r, 1, w->raw, err));
    w->codecs[t->dtype].decode(w->raw, width_of(t), to);
    return ADZE_OK;
}

static adze_status read_whole(writer *w, const piece *p, adze_error *err)
{
    const adze_checkpoint_tensor *t = p->from;
    if (w->turned == p)
        return ADZE_OK;
    adze_free(w->whole);
    w->turned = NULL;
    w->whole = adze_alloc((size_t)t->rows * (size_t)width_of(t), sizeof *w->whole);
    if (!w->whole)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to turn it", t->name);
    for (int64_t r = 0; r < t->rows; r++)
        ADZE_TRY(read_row(w, t, r, w->whole + r * width_of(t), err));
    w->turned = p;
    return ADZE_OK;
}

/* Row r of the folder's tensor as floats, in w->other. */
static adze_status float_row(writer *w, const piece *p, int64_t r, int64_t n, adze_error *err)
{
    const adze_checkpoint_tensor *t = p->from;
    if (p->how == ADZE_HF_TURNED && t->rank == 2) {
        ADZE_TRY(read_whole(w, p, err));
        for (int64_t i = 0; i < n; i++)
            w->other[i] = w->whole[i * width_of(t) + r];
        return ADZE_OK;
    }
    bool vector = t->rank == 1;
    ADZE_TRY(read_row(w, t, vector ? 0 : row_of(w, p, r), w->row, err));
    for (int64_t i = 0; i < n; i++)
        w->other[i] = w->row[vector ? row_of(w, p, i) : i] - p->minus;
    return ADZE_OK;
}

static adze_status make_row(writer *w, const piece *p, int64_t r, int64_t n, adze_error *err)
{
    const adze_checkpoint_tensor *t = p->from;
    if (t->dtype == w->x.type && t->rank > 1 && p->minus == 0 && p->how != ADZE_HF_TURNED)
        return adze_checkpoint_rows(w->x.from, t, row_of(w, p, r), 1, w->made, err);
    ADZE_TRY(float_row(w, p, r, n, err));
    for (int64_t i = 0; i < n && w->x.type == ADZE_F16; i++)
        if (fabsf(w->other[i]) >= 65520 && isfinite(w->other[i]))
            return adze_fail(err, ADZE_BAD_DATA,
                             "%s: row %lld has %g, which F16 cannot say: write BF16 or F32",
                             t->name, (long long)r, (double)w->other[i]);
    adze_row_from_f32(w->x.type, w->other, n, w->made, 0);
    return ADZE_OK;
}

/* Pages read in order are not needed again. */
static void let_go(const piece *p, int64_t first, int64_t count)
{
    const adze_checkpoint_tensor *t = p->from;
    if (t->mapped && t->mapping && (p->how == ADZE_HF_PLAIN || p->how == ADZE_HF_STACK))
        (void)adze_mapping_drop(t->mapping,
                                (const char *)t->mapped +
                                    (size_t)(p->part * (t->rows / p->parts) + first) * t->row_bytes,
                                (size_t)count * t->row_bytes);
}

static adze_status fill(void *user, int i, uint64_t offset, void *bytes, size_t size,
                        adze_error *err)
{
    writer *w = user;
    const adze_safetensor_plan *plan = &w->plans[w->first + i];
    const piece *p = &w->pieces[w->first + i];
    int64_t n = plan->dims[plan->rank - 1];
    size_t row_bytes = (size_t)n * adze_dtype_bytes(plan->dtype, 1), at = 0;
    double share = w->total > 0 ? (double)w->done / (double)w->total : 1;
    if (w->options.progress && !w->options.progress(w->options.user, share, p->from->name))
        return adze_fail(err, ADZE_CANCELLED, "stopped at %s", plan->name);
    int64_t first = (int64_t)(offset / row_bytes), r = first;
    for (size_t skip = offset % row_bytes; at < size; skip = 0, r++) {
        size_t part = ADZE_MIN(row_bytes - skip, size - at);
        ADZE_TRY(make_row(w, p, r, n, err));
        memcpy((char *)bytes + at, (const char *)w->made + skip, part);
        at += part;
    }
    if (p->from->rank > 1)
        let_go(p, first, r - first);
    w->done += size;
    return ADZE_OK;
}

/* ---- the list of tensors ---- */

static void shape_of(adze_safetensor_plan *plan, const piece *p)
{
    const adze_checkpoint_tensor *t = p->from;
    plan->rank = t->rank;
    memcpy(plan->dims, t->dims, sizeof t->dims);
    if (p->how == ADZE_HF_STACK) {
        plan->rank--;
        memmove(plan->dims, plan->dims + 1, 3 * sizeof *plan->dims);
    } else if (p->how == ADZE_HF_TURNED && t->rank == 2) {
        plan->dims[0] = t->dims[1];
        plan->dims[1] = t->dims[0];
    } else if (adze_ends_with(plan->name, ".shared_expert_gate.weight") && t->rank == 1) {
        plan->rank = 2; /* GGUF drops the one row */
        plan->dims[0] = 1;
        plan->dims[1] = t->dims[0];
    }
}

static bool fits(const writer *w, const piece *p)
{
    const adze_llm_config *c = &w->x.config;
    const adze_checkpoint_tensor *t = p->from;
    int64_t rows = t->rank == 1 ? t->dims[0] : t->rows, expected = rows;
    if (p->how == ADZE_HF_ROPE_Q)
        expected = c->heads * c->key_dim;
    else if (p->how == ADZE_HF_ROPE_K)
        expected = c->kv_heads[0] * c->key_dim;
    else if (p->how == ADZE_HF_QKV_HEADS)
        expected = 3 * c->heads * c->key_dim;
    else if (p->how == ADZE_HF_QKV_GROUPS)
        expected = (c->heads + 2 * c->kv_heads[0]) * c->key_dim;
    bool stack = p->how == ADZE_HF_STACK;
    return rows == expected && t->rank >= (stack ? 2 : 1) && t->rank <= 3 && rows > 0 &&
           width_of(t) > 0;
}

static adze_status append(writer *w, const adze_hf_rule *rule, int64_t layer, const char *suffix,
                          const piece *p, adze_error *err)
{
    char name[192], full[256];
    bool head = strcmp(rule->gguf, "output") == 0;
    const char *prefix = w->x.family->prefix ? w->x.family->prefix : "model.";
    adze_hf_expand(name, rule->hf, layer, p->part, suffix);
    snprintf(full, sizeof full, "%s%s", head ? "" : prefix, name);
    if (!fits(w, p))
        return adze_fail(err, ADZE_BAD_MODEL, "%s: tensor %s has not the shape that %s needs",
                         adze_checkpoint_path(w->x.from), p->from->name, full);
    if (!adze_arena_grow(&w->arena, &w->pieces, &w->piece_capacity, w->count, sizeof *w->pieces) ||
        !adze_arena_grow(&w->arena, &w->plans, &w->plan_capacity, w->count, sizeof *w->plans))
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %d tensors", w->count);
    adze_safetensor_plan *plan = &w->plans[w->count];
    *plan = (adze_safetensor_plan){.name = adze_arena_strdup(&w->arena, full), .dtype = w->x.type};
    if (!plan->name)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %d tensors", w->count);
    shape_of(plan, p);
    plan->size = adze_dtype_bytes(plan->dtype, adze_shape_elements(plan->rank, plan->dims));
    w->total += plan->size;
    w->pieces[w->count++] = *p;
    return ADZE_OK;
}

/* Falcon's layers have one norm or, in the new decoder, two; the first then has another name. */
static bool rule_is_meant(const writer *w, const adze_hf_rule *rule, int64_t layer)
{
    char second[192];
    if (!adze_ends_with(rule->hf, ".ln_mlp"))
        return true;
    adze_hf_expand(second, "blk.*.attn_norm_2", layer, 0, ".weight");
    return adze_checkpoint_find(w->x.from, second) != NULL;
}

static adze_status list_tensor(writer *w, const adze_hf_rule *rule, int64_t layer,
                               const char *suffix, adze_error *err)
{
    char name[192];
    adze_hf_expand(name, rule->gguf, layer, 0, suffix);
    const adze_checkpoint_tensor *t = adze_checkpoint_find(w->x.from, name);
    if (!t || w->used[t - adze_checkpoint_tensor_at(w->x.from, 0)] ||
        !rule_is_meant(w, rule, layer))
        return ADZE_OK;
    w->used[t - adze_checkpoint_tensor_at(w->x.from, 0)] = true;
    if (!w->codecs[t->dtype].decode)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: tensor %s: %s cannot be decoded",
                         adze_checkpoint_path(w->x.from), t->name,
                         adze_dtype_describe(t->dtype)->name);
    piece p = {.from = t, .how = rule->how, .parts = rule->how == ADZE_HF_STACK ? t->dims[0] : 1};
    p.minus = adze_hf_adds_one(w->x.family, t->name) ? 1 : 0;
    for (p.part = 0; p.part < p.parts; p.part++)
        ADZE_TRY(append(w, rule, layer, suffix, &p, err));
    return ADZE_OK;
}

static adze_status list_rules(writer *w, const adze_hf_rule *rules, adze_error *err)
{
    static const char *const suffixes[] = {".weight", ".bias"};
    for (const adze_hf_rule *r = rules; r->gguf; r++)
        for (int64_t i = 0; i < (strchr(r->gguf, '*') ? w->x.config.layers : 1); i++)
            for (size_t k = 0; k < ADZE_COUNT_OF(suffixes); k++)
                ADZE_TRY(list_tensor(w, r, i, suffixes[k], err));
    return ADZE_OK;
}

/* Rotary factors are in config.json. */
static adze_status report_unknown(const writer *w, adze_error *err)
{
    adze_text names = {0};
    int count = 0;
    for (int i = 0; i < adze_checkpoint_count(w->x.from); i++) {
        const char *name = adze_checkpoint_tensor_at(w->x.from, i)->name;
        if (!w->used[i] && !adze_starts_with(name, "rope_f") && count++ < 8)
            adze_text_printf(&names, "%s%s", count > 1 ? ", " : "", name);
    }
    adze_status status = ADZE_OK;
    if (count > 0)
        status = adze_fail(err, ADZE_UNSUPPORTED,
                           "%s: %d tensors have no place in a folder of model_type %s: %s%s",
                           adze_checkpoint_path(w->x.from), count, w->x.family->model_type,
                           adze_text_get(&names), count > 8 ? ", ..." : "");
    adze_text_free(&names);
    return status;
}

static adze_status list_all(writer *w, adze_error *err)
{
    w->used = ADZE_ARENA_ARRAY(&w->arena, bool, (size_t)adze_checkpoint_count(w->x.from) + 1);
    if (!w->used)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for the tensors");
    ADZE_TRY(list_rules(w, w->x.family->rules, err));
    ADZE_TRY(list_rules(w, adze_hf_common_rules, err));
    ADZE_TRY(report_unknown(w, err));
    size_t raw = 0, made = 0, width = 0;
    for (int i = 0; i < w->count; i++) {
        const adze_checkpoint_tensor *t = w->pieces[i].from;
        int64_t n = w->plans[i].dims[w->plans[i].rank - 1];
        raw = ADZE_MAX(raw, t->row_bytes);
        width = ADZE_MAX(width, (size_t)ADZE_MAX(n, width_of(t)));
        made = ADZE_MAX(made, adze_dtype_bytes(w->x.type, n));
    }
    w->raw = adze_arena_alloc(&w->arena, raw + 1, 1);
    w->made = adze_arena_alloc(&w->arena, made + 1, 1);
    w->row = ADZE_ARENA_ARRAY(&w->arena, float, width + 1);
    w->other = ADZE_ARENA_ARRAY(&w->arena, float, width + 1);
    return w->raw && w->made && w->row && w->other
               ? ADZE_OK
               : adze_fail(err, ADZE_NO_MEMORY, "no memory for rows of %zu numbers", width);
}

/* ---- files ---- */

static adze_status save(const writer *w, const char *folder, const char *name, const json_t *json,
                        adze_error *err)
{
    adze_arena arena = {0};
    const char *path = adze_path_join(&arena, folder, name);
    adze_status status = path && json ? adze_json_save(json, path, err)
                                      : adze_fail(err, ADZE_NO_MEMORY, "%s/%s", folder, name);
    ADZE_UNUSED(w);
    adze_arena_free(&arena);
    return status;
}

static int end_of_file(const writer *w, int first, uint64_t limit)
{
    uint64_t size = 0;
    int i = first;
    while (i < w->count && (i == first || size + w->plans[i].size <= limit))
        size += w->plans[i++].size;
    return i;
}

static adze_status write_weights(writer *w, const char *folder, adze_error *err)
{
    uint64_t limit =
        w->options.shard_bytes > 0 ? (uint64_t)w->options.shard_bytes : UINT64_C(5000000000);
    int files = 0, file = 0;
    for (int i = 0; i < w->count; i = end_of_file(w, i, limit))
        files++;
    json_t *map = json_object();
    adze_status status = map ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "%s", folder);
    for (int end; w->first < w->count && status == ADZE_OK; w->first = end) {
        char name[64] = "model.safetensors";
        if (files > 1)
            snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", ++file, files);
        end = end_of_file(w, w->first, limit);
        for (int i = w->first; i < end; i++)
            json_object_set_new(map, w->plans[i].name, json_string(name));
        const char *path = adze_path_join(&w->arena, folder, name);
        status =
            path ? adze_safetensors_write(path, w->plans + w->first, end - w->first, fill, w, err)
                 : adze_fail(err, ADZE_NO_MEMORY, "%s", folder);
    }
    if (status == ADZE_OK && files > 1) {
        json_t *index = json_pack("{s:{s:I}, s:O}", "metadata", "total_size", (json_int_t)w->total,
                                  "weight_map", map);
        status = save(w, folder, "model.safetensors.index.json", index, err);
        json_decref(index);
    }
    json_decref(map);
    return status;
}

/* Where sentence-transformers looks for how an encoder's states become one. */
static adze_status write_pooling(const writer *w, const char *folder, adze_error *err)
{
    static const char *const names[] = {NULL, "pooling_mode_mean_tokens", "pooling_mode_cls_token",
                                        "pooling_mode_lasttoken"};
    size_t kind = (size_t)w->x.config.pooling;
    if (kind < 1 || kind >= ADZE_COUNT_OF(names))
        return ADZE_OK;
    adze_arena arena = {0};
    const char *path = adze_path_join(&arena, folder, "1_Pooling");
    adze_status status =
        path ? adze_folder_make(path, err) : adze_fail(err, ADZE_NO_MEMORY, "%s", folder);
    json_t *pooling = json_pack("{s:I}", "word_embedding_dimension", (json_int_t)w->x.config.width);
    for (size_t i = 1; i < ADZE_COUNT_OF(names); i++)
        json_object_set_new(pooling, names[i], json_boolean(i == kind));
    json_t *modules =
        json_pack("[{s:i, s:s, s:s, s:s}, {s:i, s:s, s:s, s:s}]", "idx", 0, "name", "0", "path", "",
                  "type", "sentence_transformers.models.Transformer", "idx", 1, "name", "1", "path",
                  "1_Pooling", "type", "sentence_transformers.models.Pooling");
    if (status == ADZE_OK)
        status = save(w, path, "config.json", pooling, err);
    if (status == ADZE_OK)
        status = save(w, folder, "modules.json", modules, err);
    json_decref(pooling);
    json_decref(modules);
    adze_arena_free(&arena);
    return status;
}

static adze_status write_template(writer *w, const char *folder, adze_error *err)
{
    const char *text =
        adze_gguf_string(adze_checkpoint_meta(w->x.from), "tokenizer.chat_template", NULL);
    const char *path = text ? adze_path_join(&w->arena, folder, "chat_template.jinja") : NULL;
    return path ? adze_file_write(path, text, strlen(text), err) : ADZE_OK;
}

/* A tokenizer that tokenizer.json cannot say is left out, with a word: the weights are what was asked for. */
static adze_status write_tokenizer(writer *w, const char *folder, adze_error *err)
{
    adze_error why = {0};
    adze_status status = adze_tokenizer_write_folder(adze_checkpoint_meta(w->x.from),
                                                     adze_checkpoint_path(w->x.from), folder, &why);
    if (status != ADZE_OK && status != ADZE_UNSUPPORTED && status != ADZE_NOT_FOUND)
        return adze_fail(err, status, "%s", why.message);
    if (status != ADZE_OK && w->options.note) {
        char text[sizeof why.message + 64];
        snprintf(text, sizeof text, "no tokenizer is written: %s", why.message);
        w->options.note(w->options.user, text);
    }
    return ADZE_OK;
}

static adze_status write_all(writer *w, const char *folder, adze_error *err)
{
    json_t *config = NULL, *generation = NULL;
    adze_status status = adze_hf_config_make(&config, &generation, &w->x, err);
    if (status == ADZE_OK)
        status = save(w, folder, "config.json", config, err);
    if (status == ADZE_OK && !w->x.config.architecture->encoder)
        status = save(w, folder, "generation_config.json", generation, err);
    json_decref(config);
    json_decref(generation);
    if (status == ADZE_OK)
        status = write_pooling(w, folder, err);
    if (status == ADZE_OK)
        status = write_template(w, folder, err);
    if (status == ADZE_OK)
        status = write_tokenizer(w, folder, err);
    return status == ADZE_OK ? write_weights(w, folder, err) : status;
}

static void remove_folder(const char *folder);

static void empty_folder(const char *folder)
{
    adze_arena arena = {0};
    char **names;
    int count;
    if (adze_folder_list(&names, &count, folder, &arena, NULL) != ADZE_OK)
        count = 0;
    for (int i = 0; i < count; i++) {
        const char *path = adze_path_join(&arena, folder, names[i]);
        if (!path)
            continue;
        if (adze_file_is_folder(path))
            remove_folder(path);
        else
            (void)unlink(path);
    }
    adze_arena_free(&arena);
}

static void remove_folder(const char *folder)
{
    empty_folder(folder);
    (void)rmdir(folder);
}

static adze_status must_be_free(const char *out, adze_error *err)
{
    adze_arena arena = {0};
    char **names;
    int count = 0;
    adze_status status = ADZE_OK;
    if (adze_file_is_folder(out)) {
        status = adze_folder_list(&names, &count, out, &arena, err);
        if (status == ADZE_OK && count > 0)
            status = adze_fail(err, ADZE_BAD_ARGUMENT,
                               "%s: there is something in this folder ('%s'): name another", out,
                               names[0]);
    } else if (adze_file_exists(out)) {
        status = adze_fail(err, ADZE_BAD_ARGUMENT, "%s: there is a file of this name", out);
    }
    adze_arena_free(&arena);
    return status;
}

/* "out" or "out/" -> "out.adze.part" */
static char *name_beside(adze_arena *arena, const char *out)
{
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/')
        n--;
    return adze_arena_printf(arena, "%.*s.adze.part", (int)n, out);
}

/* An empty folder that is locked while it is filled: what a killed process left goes, what another fills stays. */
static adze_status make_locked(int *lock, const char *folder, adze_error *err)
{
    ADZE_TRY(adze_folder_make(folder, err));
    *lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        (void)close(*lock);
        return adze_fail(err, ADZE_IO, "%s: another process is writing it", folder);
    }
    empty_folder(folder);
    return ADZE_OK;
}

static adze_status write_beside(writer *w, const char *out, adze_error *err)
{
    ADZE_TRY(must_be_free(out, err));
    const char *beside = name_beside(&w->arena, out);
    if (!beside)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", out);
    int lock;
    ADZE_TRY(make_locked(&lock, beside, err));
    adze_status status = write_all(w, beside, err);
    if (status == ADZE_OK && rename(beside, out) != 0)
        status = adze_fail(err, ADZE_IO, "%s: cannot be renamed to %s", beside, out);
    if (status != ADZE_OK)
        remove_folder(beside);
    if (lock >= 0)
        (void)close(lock);
    return status;
}

/* ---- opening ---- */

static bool is_float(adze_dtype type)
{
    return type == ADZE_F32 || type == ADZE_F16 || type == ADZE_BF16;
}

/* The type that most numbers of the matrices have. */
static adze_dtype usual_type(const adze_checkpoint *c)
{
    int64_t counts[ADZE_DTYPE_COUNT] = {0};
    int best = ADZE_F32;
    for (int i = 0; i < adze_checkpoint_count(c); i++) {
        const adze_checkpoint_tensor *t = adze_checkpoint_tensor_at(c, i);
        if (t->rank > 1)
            counts[t->dtype] += t->rows * width_of(t);
    }
    for (int i = 0; i < ADZE_DTYPE_COUNT; i++)
        if (counts[i] > counts[best])
            best = i;
    return is_float((adze_dtype)best) ? (adze_dtype)best : ADZE_F16;
}

static adze_status choose_type(writer *w, adze_error *err)
{
    static const struct {
        const char *name;
        adze_dtype type;
    } types[] = {{"F32", ADZE_F32}, {"F16", ADZE_F16}, {"BF16", ADZE_BF16}};
    const char *asked = w->options.type;
    w->x.type = usual_type(w->x.from);
    if (!asked || strcmp(asked, "COPY") == 0)
        return ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        if (strcmp(types[i].name, asked) == 0) {
            w->x.type = types[i].type;
            return ADZE_OK;
        }
    return adze_fail(err, ADZE_BAD_ARGUMENT,
                     "type '%s': the weights of a folder are F32, F16 or BF16", asked);
}

static adze_status open_source(writer *w, const char *path, adze_error *err)
{
    ADZE_TRY(adze_checkpoint_open(&w->source, path, err));
    w->x.from = w->source;
    ADZE_TRY(adze_llm_config_read(&w->x.config, w->source, &w->arena, err));
    const adze_llm_config *c = &w->x.config;
    w->x.family = adze_hf_family_of(c->architecture->name, c->experts > 0, c->window > 0);
    if (!w->x.family)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: no folder is known for architecture %s", path,
                         c->architecture->name);
    for (int64_t i = 1; i < c->layers; i++)
        if (c->kv_heads[i] != c->kv_heads[0])
            return adze_fail(err, ADZE_UNSUPPORTED,
                             "%s: layers differ in heads, which model_type %s cannot say", path,
                             w->x.family->model_type);
    return choose_type(w, err);
}

adze_status adze_llm_write_folder(adze_context *context, const char *path, const char *out,
                                  const adze_llm_folder_options *options, adze_error *err)
{
    writer w = {.codecs = context->kernels->blocks.codec};
    if (options)
        w.options = *options;
    adze_status status = open_source(&w, path, err);
    if (status == ADZE_OK)
        status = list_all(&w, err);
    if (status == ADZE_OK)
        status = write_beside(&w, out, err);
    adze_free(w.whole);
    adze_checkpoint_close(&w.source);
    adze_arena_free(&w.arena);
    return status;
}
