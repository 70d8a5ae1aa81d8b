/* A Hugging Face folder as a checkpoint: safetensors under GGUF's names. What only has another name stays mapped;
 * what is rearranged is made row by row when it is asked for. Vectors (norms, biases) become float32, as
 * in GGUF files. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "llm/hf_impl.h"
#include "llm/tokenizer.h"
#include "tensor/dtype.h"

/* Where the rows of one tensor come from. */
typedef struct source {
    adze_hf_how how;
    int part_count;
    const adze_tensor **parts;
    const float *values; /* made here (rotary factors); no parts then */
    float plus;          /* added to every element */
} source;

typedef struct folder {
    adze_arena arena;
    adze_gguf_meta meta;
    adze_safetensors *file;
    adze_hf_config config;
    adze_map by_name; /* without prefixes -> adze_safetensor */
    bool *used;       /* [file->count] */
    bool tokenizer_added;
} folder;

static void close_folder(void *pointer)
{
    folder *f = pointer;
    adze_safetensors_close(&f->file);
    json_decref(f->config.root);
    adze_arena_free(&f->arena);
    adze_free(f);
}

/* ---- names ---- */

static const char *without_prefix(const char *name)
{
    static const char *const prefixes[] = {"model.language_model.",
                                           "language_model.model.",
                                           "language_model.",
                                           "model.",
                                           "transformer.",
                                           "gpt_neox.",
                                           "bert."};
    for (size_t i = 0; i < ADZE_COUNT_OF(prefixes); i++)
        if (adze_starts_with(name, prefixes[i]))
            return name + strlen(prefixes[i]);
    return name;
}

/* Tensors that inference does without. */
static bool is_needless(const folder *f, const char *name)
{
    static const char *const patterns[] = {"*rotary_emb.*",
                                           "*.attn.bias",
                                           "*.attn.masked_bias",
                                           "*.attention.bias",
                                           "*.attention.masked_bias",
                                           "pooler.*",
                                           "embeddings.position_ids",
                                           "cls.*",
                                           "*vision_tower.*",
                                           "*multi_modal_projector.*",
                                           "score.*",
                                           "classifier.*"};
    for (size_t i = 0; i < ADZE_COUNT_OF(patterns); i++)
        if (adze_glob_match(patterns[i], name))
            return true;
    bool head = adze_starts_with(name, "lm_head.") || adze_starts_with(name, "embed_out.");
    return head && f->config.tied;
}

static const adze_safetensor *look_up(const folder *f, const adze_hf_rule *rule, int64_t layer,
                                      int64_t part, const char *suffix)
{
    char name[192];
    adze_hf_expand(name, rule->hf, layer, part, suffix);
    const adze_safetensor *found = adze_map_get(&f->by_name, name);
    if (!found && strcmp(suffix, ".weight") == 0) { /* fused experts have no suffix */
        adze_hf_expand(name, rule->hf, layer, part, "");
        found = adze_map_get(&f->by_name, name);
    }
    return found;
}

static const adze_safetensor *find_part(folder *f, const adze_hf_rule *rule, int64_t layer,
                                        int64_t part, const char *suffix)
{
    const adze_safetensor *found = look_up(f, rule, layer, part, suffix);
    if (found)
        f->used[found - f->file->tensors] = true;
    return found;
}

/* ---- shapes ---- */

static bool is_vector(const adze_checkpoint_tensor *t)
{
    return t->rank == 1;
}

/* What is small, or is added to floats, is float32 in GGUF files, and llama.cpp computes with nothing else there. */
static bool is_float(const adze_checkpoint_tensor *t)
{
    static const char *const patterns[] = {"*_norm.weight", "*.ffn_gate_inp.weight",
                                           "*.ffn_gate_inp_shexp.weight", "position_embd.weight",
                                           "token_types.weight"};
    for (size_t i = 0; i < ADZE_COUNT_OF(patterns); i++)
        if (adze_glob_match(patterns[i], t->name))
            return true;
    return is_vector(t);
}

static void shape_of(adze_checkpoint_tensor *t, const source *s)
{
    const adze_tensor *first = s->parts[0];
    t->rank = first->rank;
    memcpy(t->dims, first->dims, (size_t)ADZE_MIN(first->rank, 4) * sizeof *t->dims);
    if (s->how == ADZE_HF_STACK) {
        memmove(t->dims + 1, t->dims, 3 * sizeof *t->dims);
        t->dims[0] = s->part_count;
        t->rank++;
    } else if (s->how == ADZE_HF_TURNED && t->rank == 2) {
        t->dims[0] = first->dims[1];
        t->dims[1] = first->dims[0];
    } else if (s->how == ADZE_HF_FIRST_HALF || s->how == ADZE_HF_SECOND_HALF) {
        t->dims[1] = first->dims[1] / 2;
    }
    t->dtype = is_float(t) ? ADZE_F32 : first->dtype;
}

static adze_status check_parts(const adze_checkpoint *c, const adze_checkpoint_tensor *t,
                               const source *s, adze_error *err)
{
    const adze_tensor *first = s->parts[0];
    bool halves = s->how == ADZE_HF_FIRST_HALF || s->how == ADZE_HF_SECOND_HALF;
    int most = s->how == ADZE_HF_STACK ? 3 : 4;
    if (first->rank < 1 || first->rank > most ||
        (halves && (first->rank != 3 || first->dims[1] % 2)))
        return adze_fail(err, ADZE_BAD_MODEL, "%s: the tensor for %s has rank %d, not as expected",
                         c->path, t->name, first->rank);
    if (first->dtype != ADZE_F32 && first->dtype != ADZE_F16 && first->dtype != ADZE_BF16)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: the tensor for %s is %s: expected float16, bfloat16 or "
                         "float32",
                         c->path, t->name, adze_dtype_describe(first->dtype)->name);
    for (int i = 1; i < s->part_count; i++) {
        const adze_tensor *p = s->parts[i];
        if (p->rank != first->rank || p->dtype != first->dtype || p->size != first->size)
            return adze_fail(err, ADZE_BAD_MODEL,
                             "%s: part %d for %s differs from part 0 in shape or type", c->path, i,
                             t->name);
    }
    return ADZE_OK;
}

/* ---- which row of the parts is row r ---- */

/* Within one head of `dim` rows: neighbours 2i, 2i + 1 come from the halves i, i + dim / 2. */
static int64_t from_halves(int64_t r, int64_t dim)
{
    int64_t head = r / dim, i = r % dim;
    return head * dim + i / 2 + (i % 2) * (dim / 2);
}

/* q of all heads, then k, then v, from [head][q, k, v]. */
static int64_t from_heads(int64_t r, int64_t heads, int64_t dim)
{
    int64_t which = r / (heads * dim), head = r / dim % heads;
    return (head * 3 + which) * dim + r % dim;
}

/* The same where `queries` heads share one of k and v: [group][queries, k, v]. */
static int64_t from_groups(int64_t r, int64_t heads, int64_t groups, int64_t dim)
{
    int64_t queries = heads / groups, size = (queries + 2) * dim, head = r / dim, i = r % dim;
    if (head < heads)
        return head / queries * size + head % queries * dim + i;
    head -= heads;
    return head % groups * size + (queries + head / groups) * dim + i;
}

static int64_t row_from(const folder *f, const source *s, int64_t r, int64_t dim1)
{
    const adze_hf_config *c = &f->config;
    int64_t half = ADZE_MAX(dim1, 1); /* rows of one expert */
    switch (s->how) {
    case ADZE_HF_ROPE_Q:
    case ADZE_HF_ROPE_K: return from_halves(r, c->head_dim);
    case ADZE_HF_QKV_HEADS: return from_heads(r, c->heads, c->head_dim);
    case ADZE_HF_QKV_GROUPS: return from_groups(r, c->heads, c->kv_heads, c->head_dim);
    case ADZE_HF_FIRST_HALF: return r / half * 2 * half + r % half;
    case ADZE_HF_SECOND_HALF: return r / half * 2 * half + half + r % half;
    case ADZE_HF_PLAIN:
    case ADZE_HF_TURNED:
    case ADZE_HF_STACK: break;
    }
    return r;
}

/* Rearranging rows of q, k, v needs as many as there are heads. */
static adze_status check_rows(const adze_checkpoint *c, const folder *f, const source *s,
                              const adze_checkpoint_tensor *t, adze_error *err)
{
    const adze_hf_config *k = &f->config;
    int64_t expected = -1, found = is_vector(t) ? t->dims[0] : t->rows;
    if (s->how == ADZE_HF_ROPE_Q)
        expected = k->heads * k->head_dim;
    else if (s->how == ADZE_HF_ROPE_K)
        expected = k->kv_heads * k->head_dim;
    else if (s->how == ADZE_HF_QKV_HEADS || s->how == ADZE_HF_QKV_GROUPS)
        expected = (k->heads + 2 * k->kv_heads) * k->head_dim;
    if (expected >= 0 && found != expected)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s: the tensor for %s has %lld rows, config.json means %lld", c->path,
                         t->name, (long long)found, (long long)expected);
    return ADZE_OK;
}

static void vector_rows(const folder *f, const source *s, const adze_checkpoint_tensor *t,
                        float *to)
{
    for (int64_t i = 0; i < t->dims[0]; i++) {
        float value = s->values ? s->values[i] : 0;
        if (!s->values)
            adze_row_to_f32(s->parts[0]->dtype, s->parts[0]->data, row_from(f, s, i, 0), 1, &value);
        to[i] = value + s->plus;
    }
}

static void turned_row(const adze_tensor *part, int64_t r, size_t size, char *to)
{
    const char *from = part->data;
    for (int64_t k = 0; k < part->dims[0]; k++)
        memcpy(to + (size_t)k * size, from + (size_t)(k * part->dims[1] + r) * size, size);
}

static adze_status make_rows(const adze_checkpoint *c, const adze_checkpoint_tensor *t,
                             int64_t first, int64_t count, void *to, adze_error *err)
{
    const folder *f = c->source;
    const source *s = t->source;
    char *out = to;
    ADZE_UNUSED(err);
    if (is_vector(t)) {
        vector_rows(f, s, t, to);
        return ADZE_OK;
    }
    int64_t part_rows = t->rows / s->part_count, n = t->dims[t->rank - 1];
    for (int64_t i = 0; i < count; i++, out += t->row_bytes) {
        int64_t r = first + i;
        const adze_tensor *part = s->parts[r / part_rows];
        int64_t from = row_from(f, s, s->part_count > 1 ? r % part_rows : r, t->dims[1]);
        if (s->how == ADZE_HF_TURNED)
            turned_row(part, r, t->row_bytes / (size_t)t->dims[1], out);
        else if (t->dtype != part->dtype)
            adze_row_to_f32(part->dtype, part->data, from * n, n, (float *)(void *)out);
        else
            memcpy(out, (const char *)part->data + (size_t)from * t->row_bytes, t->row_bytes);
    }
    return ADZE_OK;
}

/* ---- the list of tensors ---- */

typedef struct listing {
    adze_checkpoint *c;
    folder *f;
    int capacity;
    adze_map made; /* GGUF names that are there already */
    adze_error *err;
} listing;

static adze_checkpoint_tensor *append(listing *l, const char *name)
{
    adze_checkpoint *c = l->c;
    const char *kept = adze_arena_strdup(&c->arena, name);
    if (!kept ||
        !adze_arena_grow(&c->arena, &c->tensors, &l->capacity, c->count, sizeof *c->tensors) ||
        !adze_map_set(&l->made, kept, (void *)(uintptr_t)kept))
        return NULL;
    adze_checkpoint_tensor *t = &c->tensors[c->count++];
    *t = (adze_checkpoint_tensor){.name = kept};
    return t;
}

/* The tensor for rule and layer, if its parts are there. */
static adze_status list_tensor(listing *l, const adze_hf_rule *rule, int64_t layer,
                               const char *suffix)
{
    char name[192];
    folder *f = l->f;
    adze_hf_expand(name, rule->gguf, layer, 0, suffix);
    if (adze_map_has(&l->made, name))
        return ADZE_OK;
    const adze_safetensor *first = look_up(f, rule, layer, 0, suffix);
    /* What the family's own rules took is not taken again by a common one. */
    if (!first || (rule->how == ADZE_HF_PLAIN && f->used[first - f->file->tensors]))
        return ADZE_OK;
    int n = 1;
    while (rule->how == ADZE_HF_STACK && n < 4096 && find_part(f, rule, layer, n, suffix))
        n++;
    source *s = ADZE_ARENA_NEW(&l->c->arena, source);
    const adze_tensor **parts = ADZE_ARENA_ARRAY(&l->c->arena, const adze_tensor *, (size_t)n);
    adze_checkpoint_tensor *t = s && parts ? append(l, name) : NULL;
    if (!t)
        return adze_fail(l->err, ADZE_NO_MEMORY, "%s", l->c->path);
    *s = (source){.how = rule->how, .part_count = n, .parts = parts};
    for (int i = 0; i < n; i++)
        parts[i] = &find_part(f, rule, layer, i, suffix)->tensor;
    s->plus = adze_hf_adds_one(f->config.family, t->name) ? 1 : 0;
    t->source = s;
    ADZE_TRY(check_parts(l->c, t, s, l->err));
    shape_of(t, s);
    bool as_it_lies = rule->how == ADZE_HF_PLAIN && t->dtype == parts[0]->dtype && s->plus == 0;
    t->mapped = as_it_lies ? parts[0]->data : NULL;
    t->mapping = as_it_lies ? first->mapping : NULL;
    return ADZE_OK;
}

static adze_status list_rules(listing *l, const adze_hf_rule *rules)
{
    static const char *const suffixes[] = {".weight", ".bias"};
    for (const adze_hf_rule *r = rules; r->gguf; r++) {
        bool each = strchr(r->gguf, '*') != NULL;
        for (int64_t i = 0; i < (each ? l->f->config.layers : 1); i++)
            for (size_t k = 0; k < ADZE_COUNT_OF(suffixes); k++)
                ADZE_TRY(list_tensor(l, r, i, suffixes[k]));
    }
    return ADZE_OK;
}

static adze_status list_values(listing *l, const char *name, const float *values, int64_t count)
{
    source *s = ADZE_ARENA_NEW(&l->c->arena, source);
    adze_checkpoint_tensor *t = s && values ? append(l, name) : NULL;
    if (!t)
        return adze_fail(l->err, ADZE_NO_MEMORY, "%s", l->c->path);
    s->values = values;
    t->source = s;
    t->dtype = ADZE_F32;
    t->rank = 1;
    t->dims[0] = count;
    return ADZE_OK;
}

static adze_status list_factors(listing *l, const char *name, const json_t *factors)
{
    if (!json_is_array(factors))
        return ADZE_OK;
    size_t n = json_array_size(factors);
    float *values = ADZE_ARENA_ARRAY(&l->c->arena, float, n + 1);
    for (size_t i = 0; values && i < n; i++)
        values[i] = (float)json_number_value(json_array_get(factors, i));
    return list_values(l, name, values, (int64_t)n);
}

/* Parts of a quantized weight: GPTQ and AWQ, FP8 and compressed-tensors. */
static bool is_quantized(const char *name)
{
    static const char *const patterns[] = {"*.qweight",     "*.weight_packed", "*.weight_scale*",
                                           "*.input_scale", "*.SCB",           "*.weight.absmax"};
    for (size_t i = 0; i < ADZE_COUNT_OF(patterns); i++)
        if (adze_glob_match(patterns[i], name))
            return true;
    return false;
}

static adze_status report_unknown(const listing *l)
{
    adze_text names = {0};
    int count = 0;
    bool quantized = false;
    for (int i = 0; i < l->f->file->count; i++) {
        const char *name = l->f->file->tensors[i].name;
        if (l->f->used[i] || is_needless(l->f, without_prefix(name)))
            continue;
        quantized |= is_quantized(name);
        if (count++ < 8)
            adze_text_printf(&names, "%s%s", count > 1 ? ", " : "", name);
    }
    adze_status status = ADZE_OK;
    if (count > 0)
        status = adze_fail(l->err, ADZE_UNSUPPORTED,
                           "%s: %d tensors have no place in architecture %s: %s%s%s", l->c->path,
                           count, l->f->config.family->architecture, adze_text_get(&names),
                           count > 8 ? ", ..." : "",
                           quantized ? ": the checkpoint is already quantized, convert from the "
                                       "original weights"
                                     : "");
    adze_text_free(&names);
    return status;
}

static adze_status list_all(listing *l)
{
    const adze_hf_config *k = &l->f->config;
    ADZE_TRY(list_rules(l, k->family->rules));
    ADZE_TRY(list_rules(l, adze_hf_common_rules));
    ADZE_TRY(report_unknown(l));
    if (k->llama3_factors)
        ADZE_TRY(list_values(l, "rope_freqs.weight", k->llama3_factors, k->llama3_count));
    ADZE_TRY(list_factors(l, "rope_factors_long.weight", k->long_factors));
    return list_factors(l, "rope_factors_short.weight", k->short_factors);
}

/* What the config says of embeddings and head must be so. The reference code of nomic-bert rounds the former up. */
static adze_status check_vocabulary(const adze_checkpoint *c, const adze_hf_config *k,
                                    adze_error *err)
{
    const adze_checkpoint_tensor *rows = adze_checkpoint_find(c, "token_embd.weight");
    const json_t *said = json_object_get(k->text, "vocab_size");
    const json_t *class = json_array_get(json_object_get(k->root, "architectures"), 0);
    const json_t *tied = json_object_get(k->text, "tie_word_embeddings");
    bool rounded = strcmp(k->family->model_type, "nomic_bert") == 0;
    if (rows && json_is_integer(said) && json_integer_value(said) != rows->dims[0] && !rounded)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s/config.json: vocab_size is %lld, but the embeddings have %lld rows: "
                         "the files are of different models",
                         c->path, (long long)json_integer_value(said), (long long)rows->dims[0]);
    if (json_is_false(tied) && !adze_checkpoint_find(c, "output.weight") && json_is_string(class) &&
        strstr(json_string_value(class), "ForCausalLM"))
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s: lm_head.weight is missing, and config.json says that it is not tied "
                         "to the embeddings: fetch all of the weights",
                         c->path);
    return ADZE_OK;
}

/* ---- opening ---- */

static adze_status index_names(folder *f, adze_error *err)
{
    f->by_name = adze_map_in(&f->arena);
    f->used = ADZE_ARENA_ARRAY(&f->arena, bool, (size_t)f->file->count + 1);
    bool made = f->used != NULL;
    for (int i = 0; made && i < f->file->count; i++)
        made = adze_map_set(&f->by_name, without_prefix(f->file->tensors[i].name),
                            &f->file->tensors[i]);
    return made ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "%s", f->file->path);
}

static bool has_tokenizer(const char *path)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "vocab.txt",
                                        "vocab.json", "spiece.model"};
    adze_arena arena = {0};
    bool found = false;
    for (size_t i = 0; i < ADZE_COUNT_OF(names) && !found; i++) {
        const char *file = adze_path_join(&arena, path, names[i]);
        found = file && adze_file_exists(file);
    }
    adze_arena_free(&arena);
    return found;
}

static adze_status add_tokenizer(adze_checkpoint *c, adze_error *err)
{
    folder *f = c->source;
    if (f->tokenizer_added)
        return ADZE_OK;
    if (has_tokenizer(c->path))
        ADZE_TRY(adze_tokenizer_meta_from_folder(&f->meta, c->path, err));
    else if (!adze_hf_config_ids(&f->config, &f->meta))
        return adze_fail(err, ADZE_NO_MEMORY, "%s", c->path);
    f->tokenizer_added = true;
    return ADZE_OK;
}

adze_status adze_checkpoint_open_folder(adze_checkpoint *c, adze_error *err)
{
    folder *f = adze_alloc(1, sizeof *f);
    if (!f)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", c->path);
    c->source = f;
    c->close = close_folder;
    c->rows = make_rows;
    c->add_tokenizer = add_tokenizer;
    c->format = "safetensors";
    c->meta = &f->meta;
    adze_gguf_meta_init(&f->meta, &f->arena);
    ADZE_TRY(adze_hf_config_read(&f->config, &f->meta, c->path, err));
    ADZE_TRY(adze_safetensors_open(&f->file, c->path, err));
    c->file_size = f->file->file_size;
    c->mappings = f->file->mappings;
    c->mapping_count = f->file->mapping_count;
    ADZE_TRY(index_names(f, err));
    listing l = {.c = c, .f = f, .made = adze_map_in(&f->arena), .err = err};
    ADZE_TRY(list_all(&l));
    ADZE_TRY(adze_checkpoint_index(c, err));
    ADZE_TRY(adze_checkpoint_check(c, err));
    ADZE_TRY(check_vocabulary(c, &f->config, err));
    for (int i = 0; i < c->count; i++) {
        const source *s = c->tensors[i].source;
        if (s->parts)
            ADZE_TRY(check_rows(c, f, s, &c->tensors[i], err));
    }
    return ADZE_OK;
}
