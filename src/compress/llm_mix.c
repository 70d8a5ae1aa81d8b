/* One table of rules, read from the top: the first that fits the tensor's role, the file type and the facts
 * gives the type; none: the file's base type. The facts are conditions on the model (eight experts, few
 * heads of keys) and on how far the walk over the layers has come. Rules from llama.cpp's
 * src/llama-quant.cpp, whose walk goes by layer, then name. */
#include "compress/llm_mix.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const adze_llm_file_info adze_llm_files[ADZE_LLM_FILE_COUNT] = {
#define X(name, number, base) {#name, number, ADZE_##base},
    ADZE_LLM_FILE_LIST(X)
#undef X
};

adze_llm_file adze_llm_file_find(const char *name)
{
    static const char *const aliases[][2] = {
        {"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}, {"MXFP4", "MXFP4_MOE"}};
    for (size_t i = 0; i < ADZE_COUNT_OF(aliases); i++)
        if (strcasecmp(name, aliases[i][0]) == 0)
            name = aliases[i][1];
    int file = 0;
    while (file < ADZE_LLM_FILE_COUNT && strcasecmp(adze_llm_files[file].name, name) != 0)
        file++;
    return (adze_llm_file)file;
}

static const struct {
    const char *name;
    adze_dtype dtype;
} short_names[] = {{"f32", ADZE_F32}, {"f16", ADZE_F16}, {"bf16", ADZE_BF16}, {"f64", ADZE_F64},
                   {"i8", ADZE_I8},   {"i16", ADZE_I16}, {"i32", ADZE_I32},   {"i64", ADZE_I64}};

const char *adze_llm_type_name(adze_dtype dtype)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(short_names); i++)
        if (short_names[i].dtype == dtype)
            return short_names[i].name;
    return adze_dtype_describe(dtype)->name;
}

adze_dtype adze_llm_type_find(const char *name)
{
    for (int i = 0; i < ADZE_DTYPE_COUNT; i++) {
        adze_dtype dtype = (adze_dtype)i;
        const adze_dtype_info *info = adze_dtype_describe(dtype);
        bool is_weight =
            info->ggml >= 0 && (info->kind == ADZE_KIND_FLOAT || info->kind == ADZE_KIND_BLOCK);
        if (is_weight &&
            (strcasecmp(name, info->name) == 0 || strcasecmp(name, adze_llm_type_name(dtype)) == 0))
            return dtype;
    }
    return ADZE_UNDEFINED;
}

/* ---- what a tensor is ---- */

typedef enum tensor_role {
    ROLE_OTHER = 1 << 0,
    ROLE_OUTPUT = 1 << 1, /* tied embeddings too */
    ROLE_EMBEDDING = 1 << 2,
    ROLE_Q = 1 << 3,
    ROLE_K = 1 << 4,
    ROLE_V = 1 << 5, /* and what contains V */
    ROLE_O = 1 << 6,
    ROLE_UP = 1 << 7,
    ROLE_GATE = 1 << 8,
    ROLE_DOWN = 1 << 9,
    ROLE_DELICATE = 1 << 10, /* an architecture's own, never below q8_0 */
    ROLE_ANY = 0xffff,
    ROLE_FFN = ROLE_UP | ROLE_GATE | ROLE_DOWN
} tensor_role;

/* Found in the name, in this order. */
static const struct {
    const char *part, *architecture; /* NULL: any */
    tensor_role role;
} role_names[] = {
    {"attn_q_a", "glm5-next", ROLE_DELICATE},
    {"attn_q_b", "glm5-next", ROLE_DELICATE},
    {"nextn.eh_proj", "glm5-next", ROLE_DELICATE},
    {"attn_qkv.weight", NULL, ROLE_V},
    {"attn_kv_b.weight", NULL, ROLE_V},
    {"attn_v.weight", NULL, ROLE_V},
    {"attn_k.weight", NULL, ROLE_K},
    {"attn_q.weight", NULL, ROLE_Q},
    {"attn_output.weight", NULL, ROLE_O},
    {"ffn_up", NULL, ROLE_UP},
    {"ffn_gate", NULL, ROLE_GATE},
    {"ffn_down", NULL, ROLE_DOWN},
};

static bool of_architecture(const char *wanted, const char *architecture)
{
    return !wanted || strcmp(wanted, architecture) == 0;
}

static tensor_role role_of(const char *name, const char *architecture)
{
    if (strcmp(name, "output.weight") == 0)
        return ROLE_OUTPUT;
    if (strcmp(name, "token_embd.weight") == 0 || strcmp(name, "per_layer_token_embd.weight") == 0)
        return ROLE_EMBEDDING;
    for (size_t i = 0; i < ADZE_COUNT_OF(role_names); i++)
        if (of_architecture(role_names[i].architecture, architecture) &&
            strstr(name, role_names[i].part))
            return role_names[i].role;
    return ROLE_OTHER;
}

/* What stays as it is, being small and delicate: found in the name. */
static const struct {
    const char *part, *architecture;
} left_alone[] = {
    {"_norm.weight", NULL},
    {"ffn_gate_inp.weight", NULL}, /* routers of experts */
    {"ffn_gate_tid2eid.weight", NULL},
    {"altup", NULL},
    {"laurel", NULL},
    {"per_layer_model_proj", NULL},
    {"ssm_conv1d", NULL},
    {"shortconv.conv.weight", NULL},
    {"indexer.k_proj.weight", NULL},
    {"indexer.q_proj.weight", NULL},
    {"hc_", "glm5-next"},
    {"indexer.attn_q_b", "glm5-next"},
    {"indexer.attn_k", "glm5-next"},
    {"indexer.proj", "glm5-next"},
    {"indexer_compressor_gate", "glm5-next"},
    {"indexer_compressor_ape", "glm5-next"},
    {"ssm_f_a.weight", "glm5-next"},
    {"ssm_f_b.weight", "glm5-next"},
    {"ssm_g_a.weight", "glm5-next"},
    {"ssm_g_b.weight", "glm5-next"},
    {"ssm_beta.weight", "glm5-next"},
    {"attn_kv_a_mqa.weight", "glm5-next"},
    {"attn_k_b.weight", "glm5-next"},
    {"attn_v_b.weight", "glm5-next"},
    {"time_mix_first.weight", NULL},
    {"time_mix_w0.weight", NULL},
    {"time_mix_w1.weight", NULL},
    {"time_mix_w2.weight", NULL},
    {"time_mix_v0.weight", NULL},
    {"time_mix_v1.weight", NULL},
    {"time_mix_v2.weight", NULL},
    {"time_mix_a0.weight", NULL},
    {"time_mix_a1.weight", NULL},
    {"time_mix_a2.weight", NULL},
    {"time_mix_g1.weight", NULL},
    {"time_mix_g2.weight", NULL},
    {"time_mix_decay_w1.weight", NULL},
    {"time_mix_decay_w2.weight", NULL},
    {"time_mix_lerp_fused.weight", NULL},
    {"attn_rel_b.weight", NULL},
    {".position_embd", NULL},
    {"sam.pos_embd", NULL},
    {"sam.neck.", NULL},
    {"sam.net_", NULL},
    {".rel_pos", NULL},
    {".patch_embd", NULL},
    {".patch_merger", NULL},
    {"a.rvq.codebook", NULL},
    {"mm.a.code_embd", NULL},
};

/* GGML counts axes up to the last that is longer than one. */
static int meaningful_axes(const adze_llm_mix_tensor *t)
{
    int first = 0;
    while (first < t->rank - 1 && t->dims[first] == 1)
        first++;
    return t->rank - first;
}

static bool may_change(const adze_llm_mix_tensor *t, const adze_llm_mix *mix)
{
    size_t length = strlen(t->name);
    bool is_weight = length >= 6 && strcmp(t->name + length - 6, "weight") == 0;
    bool is_float = t->from != ADZE_F64 && adze_dtype_describe(t->from)->kind != ADZE_KIND_INT;
    if (mix->copy || meaningful_axes(t) < 2 || !is_weight || !is_float ||
        (mix->leave_output && strcmp(t->name, "output.weight") == 0) ||
        strcmp(t->name, "position_embd.weight") == 0 || strcmp(t->name, "token_types.weight") == 0)
        return false;
    for (size_t i = 0; i < ADZE_COUNT_OF(left_alone); i++)
        if (of_architecture(left_alone[i].architecture, mix->architecture) &&
            strstr(t->name, left_alone[i].part))
            return false;
    return true;
}

/* ---- the rules ---- */

enum fact {
    FALCON = 1 << 0,
    BAILING = 1 << 1,
    GQA4 = 1 << 2,     /* four or more query heads for each head of keys */
    EXPERTS4 = 1 << 3, /* four or more experts */
    EXPERTS8 = 1 << 4, /* exactly eight */
    MATRIX = 1 << 5,
    RAGGED = 1 << 6,     /* the row does not divide into blocks of the base type */
    SLICES = 1 << 7,     /* experts in one tensor */
    FIRST2 = 1 << 8,     /* of its kind, counted from the first layer */
    FIRST4 = 1 << 9,     /* the same */
    SIXTEENTH = 1 << 10, /* layers in the first sixteenth */
    EIGHTH = 1 << 11,    /* in the first eighth */
    MIDDLE = 1 << 12,    /* neither in the first eighth nor the last */
    MORE = 1 << 13       /* the first and last eighth, and every third between */
};

#define ONLY(name) ((uint64_t)1 << ADZE_LLM_FILE_##name)
#define ALL (~(uint64_t)0)
#define IQ1 (ONLY(IQ1_S) | ONLY(IQ1_M))
#define IQ2_SMALL (ONLY(IQ2_XXS) | ONLY(IQ2_XS))
#define IQ2_LARGE (ONLY(IQ2_S) | ONLY(IQ2_M))
#define LOW (IQ1 | IQ2_SMALL | IQ2_LARGE)
#define IQ4 (ONLY(IQ4_NL) | ONLY(IQ4_XS))

typedef struct rule {
    unsigned roles;
    uint64_t files;
    unsigned all, none; /* facts that must hold, and that must not */
    adze_dtype type;    /* ADZE_UNDEFINED: the base type */
} rule;

#define RULE(roles, files, all, none, type)                                                        \
    {                                                                                              \
        roles, files, all, none, ADZE_##type                                                       \
    }

static const rule rules[] = {
    RULE(ROLE_DELICATE, ONLY(F32) | ONLY(F16) | ONLY(BF16), 0, 0, UNDEFINED),
    RULE(ROLE_DELICATE, ALL, 0, 0, Q8_0),

    RULE(ROLE_OUTPUT, ONLY(MXFP4_MOE) | ONLY(Q8_0), 0, 0, Q8_0),
    RULE(ROLE_OUTPUT, ALL, FALCON, 0, Q8_0),
    RULE(ROLE_OUTPUT, ALL, RAGGED, 0, Q8_0),
    RULE(ROLE_OUTPUT, LOW | ONLY(IQ3_XXS), 0, 0, Q5_K),
    RULE(ROLE_OUTPUT, ALL, 0, 0, Q6_K),

    RULE(ROLE_ANY, ONLY(MXFP4_MOE), SLICES, BAILING, MXFP4),
    RULE(ROLE_FFN, ONLY(MXFP4_MOE), SLICES, 0, MXFP4),
    RULE(ROLE_ANY, ONLY(MXFP4_MOE), 0, 0, Q8_0),

    RULE(ROLE_EMBEDDING, IQ1 | IQ2_SMALL, 0, 0, Q2_K),
    RULE(ROLE_EMBEDDING, IQ2_LARGE | ONLY(IQ3_XXS), 0, 0, IQ3_S),
    RULE(ROLE_EMBEDDING, ONLY(TQ1_0) | ONLY(TQ2_0), 0, 0, Q4_K),

    RULE(ROLE_V, LOW, GQA4, 0, Q4_K),
    RULE(ROLE_V, LOW, EXPERTS4, 0, Q4_K),
    RULE(ROLE_V, IQ2_LARGE, 0, 0, IQ3_S),
    RULE(ROLE_V, LOW, 0, 0, Q2_K),
    RULE(ROLE_V, ALL, EXPERTS8, 0, Q8_0),
    RULE(ROLE_V, ONLY(Q2_K) | ONLY(Q2_K_S), GQA4, 0, Q4_K),
    RULE(ROLE_V, ONLY(Q2_K), 0, 0, Q3_K),
    RULE(ROLE_V, ONLY(IQ3_XXS) | ONLY(IQ3_XS) | ONLY(IQ3_S), GQA4, 0, Q4_K),
    RULE(ROLE_V, ONLY(IQ3_XXS), 0, MATRIX, IQ3_S),
    RULE(ROLE_V, ONLY(IQ3_M), 0, 0, Q4_K),
    RULE(ROLE_V, ONLY(Q3_K_M), FIRST2, 0, Q5_K),
    RULE(ROLE_V, ONLY(Q3_K_M), 0, 0, Q4_K),
    RULE(ROLE_V, ONLY(Q3_K_L), 0, 0, Q5_K),
    RULE(ROLE_V, IQ4, GQA4, 0, Q5_K),
    RULE(ROLE_V, ONLY(Q4_K_M) | ONLY(Q5_K_M), MORE, 0, Q6_K),
    RULE(ROLE_V, ONLY(Q4_K_S), FIRST4, 0, Q5_K),

    RULE(ROLE_K, LOW, EXPERTS8, 0, Q4_K),
    RULE(ROLE_K, ALL, EXPERTS8, 0, Q8_0),
    RULE(ROLE_K | ROLE_Q, ONLY(IQ3_XS), 0, 0, IQ3_XXS),
    RULE(ROLE_K | ROLE_Q, ONLY(IQ3_XXS), 0, 0, IQ2_S),

    RULE(ROLE_O, LOW, EXPERTS8, 0, Q5_K),
    RULE(ROLE_O, IQ1, 0, 0, IQ2_XXS),
    RULE(ROLE_O, IQ2_LARGE, 0, 0, IQ3_S),
    RULE(ROLE_O, ONLY(Q3_K_L), FALCON, 0, Q4_K),
    RULE(ROLE_O, ALL, FALCON, 0, UNDEFINED),
    RULE(ROLE_O,
         ONLY(Q2_K) | ONLY(Q3_K_S) | ONLY(Q3_K_M) | ONLY(Q4_K_S) | ONLY(Q4_K_M) | ONLY(IQ3_XXS) |
             ONLY(IQ3_XS) | ONLY(IQ3_S) | ONLY(IQ3_M) | IQ4,
         EXPERTS8, 0, Q5_K),
    RULE(ROLE_O, ALL, EXPERTS8, 0, UNDEFINED),
    RULE(ROLE_O, ONLY(Q2_K), 0, 0, Q3_K),
    RULE(ROLE_O, ONLY(IQ3_XXS), 0, 0, IQ3_S),
    RULE(ROLE_O, ONLY(Q3_K_M) | ONLY(IQ3_M), 0, 0, Q4_K),
    RULE(ROLE_O, ONLY(Q3_K_L), 0, 0, Q5_K),

    RULE(ROLE_UP | ROLE_GATE, ONLY(IQ3_XS), MIDDLE, 0, IQ3_XXS),

    RULE(ROLE_DOWN, IQ2_LARGE, EIGHTH, 0, IQ3_S),
    RULE(ROLE_DOWN, LOW, EIGHTH, 0, Q2_K),
    RULE(ROLE_DOWN, ONLY(Q2_K), 0, 0, Q3_K),
    RULE(ROLE_DOWN, ONLY(Q2_K_S), EIGHTH, 0, Q4_K),
    RULE(ROLE_DOWN, ONLY(IQ3_XXS), EIGHTH, MATRIX, Q4_K),
    RULE(ROLE_DOWN, ONLY(IQ3_XXS), 0, MATRIX, Q3_K),
    RULE(ROLE_DOWN, ONLY(IQ3_M), EIGHTH, 0, Q4_K),
    RULE(ROLE_DOWN, ONLY(IQ3_M), EXPERTS8 | MORE, 0, Q4_K),
    RULE(ROLE_DOWN, ONLY(Q3_K_M), SIXTEENTH, 0, Q5_K),
    RULE(ROLE_DOWN, ONLY(Q3_K_M), 0, FALCON, Q4_K),
    RULE(ROLE_DOWN, ONLY(Q3_K_M), MORE, 0, Q4_K),
    RULE(ROLE_DOWN, ONLY(Q3_K_L), FALCON, 0, Q4_K),
    RULE(ROLE_DOWN, ONLY(Q3_K_L), 0, 0, Q5_K),
    RULE(ROLE_DOWN, ONLY(Q4_K_M), FALCON | SIXTEENTH, 0, Q6_K),
    RULE(ROLE_DOWN, ONLY(Q4_K_M), FALCON | MORE, 0, Q5_K),
    RULE(ROLE_DOWN, ONLY(Q4_K_M), MORE, FALCON, Q6_K),
    RULE(ROLE_DOWN, ONLY(Q5_K_M), MORE, 0, Q6_K),
    RULE(ROLE_DOWN, ONLY(Q4_K_S), EIGHTH, FALCON, Q5_K),
    RULE(ROLE_DOWN, IQ4, EIGHTH, MATRIX, Q5_K),
    RULE(ROLE_DOWN, ONLY(Q4_0), EIGHTH | MATRIX, 0, Q4_1),
    RULE(ROLE_DOWN, ONLY(Q5_0), EIGHTH | MATRIX, 0, Q5_1),
};

/* Where a row does not divide into blocks: a type of shorter blocks, then float16. */
static const struct {
    adze_dtype wanted, given;
} shorter[] = {
    {ADZE_IQ1_S, ADZE_IQ4_NL},  {ADZE_IQ1_M, ADZE_IQ4_NL},  {ADZE_IQ2_XXS, ADZE_IQ4_NL},
    {ADZE_IQ2_XS, ADZE_IQ4_NL}, {ADZE_IQ2_S, ADZE_IQ4_NL},  {ADZE_IQ3_XXS, ADZE_IQ4_NL},
    {ADZE_IQ3_S, ADZE_IQ4_NL},  {ADZE_IQ4_XS, ADZE_IQ4_NL}, {ADZE_Q2_K, ADZE_Q4_0},
    {ADZE_Q3_K, ADZE_Q4_0},     {ADZE_TQ1_0, ADZE_Q4_0},    {ADZE_TQ2_0, ADZE_Q4_0},
    {ADZE_Q4_K, ADZE_Q5_0},     {ADZE_Q5_K, ADZE_Q5_1},     {ADZE_Q6_K, ADZE_Q8_0},
};

/* Counters of the walk and what does not change during it. */
typedef struct walk {
    const adze_llm_mix *mix;
    unsigned facts;
    bool tied, large; /* no output.weight; one of the 70B models */
    int values, value, up, gate, down;
} walk;

static bool divides(const adze_llm_mix_tensor *t, adze_dtype dtype)
{
    return t->dims[t->rank - 1] % adze_dtype_describe(dtype)->block_size == 0;
}

static unsigned facts_of_layer(int64_t i, int64_t n)
{
    bool more = i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    return (i < 2 ? FIRST2 : 0u) | (i < 4 ? FIRST4 : 0u) | (i < n / 16 ? SIXTEENTH : 0u) |
           (i < n / 8 ? EIGHTH : 0u) | (i >= n / 8 && i < 7 * n / 8 ? MIDDLE : 0u) |
           (more ? MORE : 0u);
}

/* With experts the layer stands in the name, because there are several tensors of a kind in a layer; the
 * lowest types count them all the same. */
static unsigned facts_of_ffn(const walk *w, const char *name, int count)
{
    int layer = count;
    bool low = LOW >> w->mix->file & 1;
    if (!low && w->mix->experts > 1 && sscanf(name, "blk.%d.", &layer) != 1)
        layer = count;
    return facts_of_layer(layer, w->mix->layers);
}

static adze_dtype rule_for(walk *w, const adze_llm_mix_tensor *t, tensor_role role)
{
    adze_dtype base = adze_llm_files[w->mix->file].base;
    unsigned facts = w->facts | (divides(t, base) ? 0 : RAGGED) |
                     (t->rank > 2 && t->dims[t->rank - 3] > 1 ? SLICES : 0);
    int *count = role == ROLE_UP ? &w->up : role == ROLE_GATE ? &w->gate : &w->down;
    if (role == ROLE_V)
        facts |= facts_of_layer(w->value++, w->values);
    else if (role & ROLE_FFN)
        facts |= facts_of_ffn(w, t->name, (*count)++);
    for (size_t i = 0; i < ADZE_COUNT_OF(rules); i++) {
        const rule *r = &rules[i];
        if ((r->roles & role) && (r->files >> w->mix->file & 1) && (facts & r->all) == r->all &&
            !(facts & r->none))
            return r->type == ADZE_UNDEFINED ? base : r->type;
    }
    return base;
}

/* The largest models share each head of values among eight of queries: more bits cost little. */
static adze_dtype for_large(adze_dtype type)
{
    return type == ADZE_Q3_K || type == ADZE_Q4_K ? ADZE_Q5_K : type;
}

static adze_dtype by_mix(walk *w, const adze_llm_mix_tensor *t, tensor_role role)
{
    const adze_llm_mix *mix = w->mix;
    bool low = LOW >> mix->file & 1;
    if (role == ROLE_EMBEDDING && w->tied)
        role = ROLE_OUTPUT;
    if (role == ROLE_OUTPUT && mix->output != ADZE_UNDEFINED)
        return mix->output;
    adze_dtype type = rule_for(w, t, role);
    return role == ROLE_V && w->large && !low && mix->file != ADZE_LLM_FILE_MXFP4_MOE
               ? for_large(type)
               : type;
}

static adze_dtype that_divides(adze_llm_mix_tensor *t, adze_dtype type)
{
    t->fallback = !divides(t, type);
    for (size_t i = 0; i < ADZE_COUNT_OF(shorter) && !divides(t, type); i++)
        if (shorter[i].wanted == type)
            type = shorter[i].given;
    return divides(t, type) ? type : ADZE_F16;
}

/* As a rule K types do without a matrix; a Q2_K_S file is the exception. */
static bool wants_matrix(const adze_llm_mix_tensor *t, adze_llm_file file, tensor_role role)
{
    if (role == ROLE_EMBEDDING || role == ROLE_OUTPUT)
        return false;
    switch (t->to) {
    case ADZE_IQ3_XXS:
    case ADZE_IQ2_XXS:
    case ADZE_IQ2_XS:
    case ADZE_IQ2_S:
    case ADZE_IQ1_M:
    case ADZE_IQ1_S: return true;
    case ADZE_Q2_K: return file == ADZE_LLM_FILE_Q2_K_S;
    default: return false;
    }
}

/* ---- overrides ---- */

typedef struct pattern {
    regex_t regex;
    adze_dtype type;
    bool compiled, used;
} pattern;

static adze_status compile(pattern *p, const char *text, adze_error *err)
{
    const char *equals = strrchr(text, '=');
    char why[128];
    adze_arena arena = {0};
    if (!equals || equals == text)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "tensor type '%s': expected REGEX=TYPE, as 'ffn_down=q6_K'", text);
    p->type = adze_llm_type_find(equals + 1);
    if (p->type == ADZE_UNDEFINED)
        return adze_fail(
            err, ADZE_BAD_ARGUMENT,
            "tensor type '%s': no type is called '%s'; expected one as q4_K, q8_0, f16", text,
            equals + 1);
    char *expression = adze_arena_strndup(&arena, text, (size_t)(equals - text));
    int code = expression ? regcomp(&p->regex, expression, REG_EXTENDED | REG_ICASE | REG_NOSUB)
                          : REG_ESPACE;
    adze_arena_free(&arena);
    if (code == REG_ESPACE)
        return adze_fail(err, ADZE_NO_MEMORY, "tensor type '%s': no memory for it", text);
    if (code != 0) {
        (void)regerror(code, &p->regex, why, sizeof why);
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "tensor type '%s': not an extended regular expression: %s", text, why);
    }
    p->compiled = true;
    return ADZE_OK;
}

static adze_dtype overridden(pattern *patterns, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (regexec(&patterns[i].regex, name, 0, NULL, 0) == 0) {
            patterns[i].used = true;
            return patterns[i].type;
        }
    return ADZE_UNDEFINED;
}

/* ---- the walk ---- */

static int layer_of(const char *name)
{
    int layer = -1;
    return sscanf(name, "blk.%d.", &layer) == 1 ? layer : -1;
}

int adze_llm_order(const char *x, const char *y)
{
    int i = layer_of(x), j = layer_of(y);
    return i != j ? (i > j) - (i < j) : strcmp(x, y);
}

static int by_layer_and_name(const void *a, const void *b)
{
    return adze_llm_order((*(adze_llm_mix_tensor *const *)a)->name,
                          (*(adze_llm_mix_tensor *const *)b)->name);
}

static bool is_large(const adze_llm_mix *mix)
{
    static const struct {
        const char *architecture;
        int64_t layers;
        bool shared; /* only with shared heads of keys */
    } models[] = {{"llama", 80, true},
                  {"qwen2", 80, false},
                  {"deci", 80, false},
                  {"olmo", 80, false},
                  {"jais2", 68, false}};
    for (size_t i = 0; i < ADZE_COUNT_OF(models); i++)
        if (strcmp(models[i].architecture, mix->architecture) == 0 &&
            models[i].layers == mix->layers &&
            (!models[i].shared || (mix->heads != mix->kv_heads && mix->experts != 8)))
            return true;
    return false;
}

static void begin(walk *w, const adze_llm_mix *mix, const adze_llm_mix_tensor *tensors, int count)
{
    bool gqa4 = mix->kv_heads > 0 && mix->heads / mix->kv_heads >= 4;
    *w = (walk){.mix = mix, .tied = true, .large = is_large(mix)};
    w->facts = (strcmp(mix->architecture, "falcon") == 0 ? FALCON : 0u) |
               (strcmp(mix->architecture, "bailingmoe3") == 0 ? BAILING : 0u) | (gqa4 ? GQA4 : 0u) |
               (mix->experts >= 4 ? EXPERTS4 : 0u) | (mix->experts == 8 ? EXPERTS8 : 0u) |
               (mix->matrix ? MATRIX : 0u);
    for (int i = 0; i < count; i++) {
        tensor_role role = role_of(tensors[i].name, mix->architecture);
        w->values += role == ROLE_V;
        w->tied &= role != ROLE_OUTPUT;
    }
}

static adze_dtype choose(walk *w, adze_llm_mix_tensor *t, pattern *patterns, tensor_role role)
{
    const adze_llm_mix *mix = w->mix;
    adze_dtype base = adze_llm_files[mix->file].base;
    bool is_plain = strcmp(t->name, "per_layer_token_embd.weight") != 0;
    if (!may_change(t, mix))
        return t->from;
    adze_dtype named = overridden(patterns, mix->override_count, t->name);
    if (role == ROLE_EMBEDDING && mix->embedding != ADZE_UNDEFINED &&
        (is_plain || named == ADZE_UNDEFINED))
        return that_divides(t, mix->embedding);
    if (role == ROLE_OUTPUT && mix->output != ADZE_UNDEFINED)
        return that_divides(t, mix->output);
    if (named != ADZE_UNDEFINED)
        return that_divides(t, named);
    if (mix->pure || adze_dtype_describe(base)->kind != ADZE_KIND_BLOCK)
        return that_divides(t, base);
    return that_divides(t, by_mix(w, t, role));
}

static adze_status walk_all(walk *w, adze_llm_mix_tensor **order, int count, pattern *patterns,
                            adze_error *err)
{
    for (int i = 0; i < count; i++) {
        adze_llm_mix_tensor *t = order[i];
        tensor_role role = role_of(t->name, w->mix->architecture);
        t->fallback = false;
        t->to = choose(w, t, patterns, role);
        t->needs_matrix = wants_matrix(t, w->mix->file, role);
    }
    for (int i = 0; i < w->mix->override_count; i++)
        if (!patterns[i].used)
            return adze_fail(
                err, ADZE_BAD_ARGUMENT,
                "tensor type '%s': no tensor that may be quantized has such a name, or "
                "an earlier one took them all",
                w->mix->overrides[i]);
    return ADZE_OK;
}

adze_status adze_llm_mix_choose(adze_llm_mix_tensor *tensors, int count, const adze_llm_mix *mix,
                                adze_error *err)
{
    walk w;
    adze_arena arena = {0};
    adze_llm_mix_tensor **order =
        ADZE_ARENA_ARRAY(&arena, adze_llm_mix_tensor *, (size_t)count + 1);
    pattern *patterns = ADZE_ARENA_ARRAY(&arena, pattern, (size_t)mix->override_count + 1);
    adze_status status =
        order && patterns ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "no memory to choose types");
    for (int i = 0; i < mix->override_count && status == ADZE_OK; i++)
        status = compile(&patterns[i], mix->overrides[i], err);
    if (status == ADZE_OK) {
        for (int i = 0; i < count; i++)
            order[i] = &tensors[i];
        qsort(order, (size_t)count, sizeof *order, by_layer_and_name);
        begin(&w, mix, tensors, count);
        status = walk_all(&w, order, count, patterns, err);
    }
    for (int i = 0; patterns && i < mix->override_count; i++)
        if (patterns[i].compiled)
            regfree(&patterns[i].regex);
    adze_arena_free(&arena);
    return status;
}
