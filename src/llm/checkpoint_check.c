/* Whether the tensors are those that config.json, or the metadata of a GGUF file, mean: what is missing or misshapen is
 * told all at once, before anything is computed (or, of a folder, converted or quantized). */
#include <stdio.h>
#include <string.h>

#include "llm/architectures.h"
#include "llm/checkpoint_impl.h"

/* Dimensions by letters: W width, T tokens, Q K V all heads of queries, keys, values, A those together, O heads of
 * values as attention gives them, F feed-forward, U the same or twice (gate and up in one), X experts, ? any. */
static const struct shape {
    const char *name, *dims;
} shapes[] = {
    {"token_embd", "TW"},
    {"position_embd", "?W"},
    {"token_types", "?W"},
    {"token_embd_norm", "W"},
    {"output_norm", "W"},
    {"output", "TW"},
    {"blk.*.attn_norm", "W"},
    {"blk.*.attn_norm_2", "W"},
    {"blk.*.attn_q", "QW"},
    {"blk.*.attn_k", "KW"},
    {"blk.*.attn_v", "VW"},
    {"blk.*.attn_qkv", "AW"},
    {"blk.*.attn_output", "WO"},
    {"blk.*.attn_output_norm", "W"},
    {"blk.*.post_attention_norm", "W"},
    {"blk.*.ffn_norm", "W"},
    {"blk.*.ffn_gate", "FW"},
    {"blk.*.ffn_up", "UW"},
    {"blk.*.ffn_down", "WF"},
    {"blk.*.ffn_gate_inp", "XW"},
    {"blk.*.ffn_gate_exps", "X?W"},
    {"blk.*.ffn_up_exps", "X?W"},
    {"blk.*.ffn_down_exps", "XW?"},
    {"blk.*.post_ffw_norm", "W"},
    {"blk.*.layer_output_norm", "W"},
};

/* Of these either the first or all of the rest must be in every layer. */
static const char *const either[][5] = {
    {"attn_qkv", "attn_q", "attn_k", "attn_v", NULL},
    {"ffn_up", "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", NULL},
    {"ffn_down", "ffn_down_exps", NULL},
};

typedef struct checker {
    const adze_checkpoint *c;
    const adze_llm_config *config;
    adze_text faults;
    int count;
} checker;

enum { MOST_NAMED = 12 };

static void expand(char buf[128], const char *pattern, int64_t layer, const char *suffix)
{
    bool each = adze_starts_with(pattern, "blk.*.");
    if (each)
        snprintf(buf, 128, "blk.%lld.%s%s", (long long)layer, pattern + 6, suffix);
    else
        snprintf(buf, 128, "%s%s", pattern, suffix);
}

static const adze_checkpoint_tensor *find(const checker *k, const char *pattern, int64_t layer)
{
    char name[128];
    expand(name, pattern, layer, ".weight");
    return adze_checkpoint_find(k->c, name);
}

/* The next fault's place in the list; NULL: enough are named. */
static adze_text *next_fault(checker *k)
{
    if (k->count++ >= MOST_NAMED)
        return NULL;
    adze_text_puts(&k->faults, k->count > 1 ? ", " : "");
    return &k->faults;
}

static void missing(checker *k, const char *pattern, int64_t layer)
{
    char name[128];
    expand(name, pattern, layer, ".weight");
    adze_text *to = next_fault(k);
    if (to)
        adze_text_printf(to, "%s is missing", name);
}

static int64_t size_of(const checker *k, char letter, int64_t layer)
{
    const adze_llm_config *c = k->config;
    int64_t kv = c->kv_heads[layer],
            inner = adze_config_int_at(c, "feed_forward_length", layer, -1);
    switch (letter) {
    case 'W': return c->width;
    case 'T': return c->vocabulary;
    case 'Q': return c->heads * c->key_dim;
    case 'K': return kv * c->key_dim;
    case 'V': return kv * c->value_dim;
    case 'A': return c->heads * c->key_dim + kv * (c->key_dim + c->value_dim);
    case 'O': return c->heads * c->value_dim;
    case 'F':
    case 'U': return inner;
    case 'X': return c->experts > 0 ? c->experts : -1;
    default: return -1;
    }
}

static bool dim_fits(const checker *k, char letter, int64_t layer, int64_t found)
{
    int64_t expected = size_of(k, letter, layer);
    return expected < 0 || found == expected || (letter == 'U' && found == 2 * expected);
}

static void print_dims(const checker *k, adze_text *to, const struct shape *s, int64_t layer,
                       const adze_checkpoint_tensor *t)
{
    for (int i = 0; i < t->rank; i++)
        adze_text_printf(to, "%s%lld", i ? ", " : "[", (long long)t->dims[i]);
    adze_text_puts(to, "], expected ");
    for (int i = 0; s->dims[i]; i++) {
        int64_t size = size_of(k, s->dims[i], layer);
        adze_text_puts(to, i ? ", " : "[");
        if (size < 0)
            adze_text_puts(to, "any");
        else
            adze_text_printf(to, "%lld", (long long)size);
    }
    adze_text_puts(to, "]");
}

static void check_shape(checker *k, const struct shape *s, int64_t layer)
{
    const adze_checkpoint_tensor *t = find(k, s->name, layer);
    char name[128];
    if (!t)
        return;
    bool fits = t->rank == (int)strlen(s->dims);
    for (int i = 0; fits && s->dims[i]; i++)
        fits = dim_fits(k, s->dims[i], layer, t->dims[i]);
    adze_text *to = fits ? NULL : next_fault(k);
    if (to) {
        adze_text_printf(to, "%s is ", t->name);
        print_dims(k, to, s, layer, t);
    }
    expand(name, s->name, layer, ".bias");
    const adze_checkpoint_tensor *bias = adze_checkpoint_find(k->c, name);
    if (!bias || (bias->rank == 1 && bias->dims[0] == t->dims[0]))
        return;
    to = next_fault(k);
    if (to)
        adze_text_printf(to, "%s does not fit its weights", name);
}

static void check_required(checker *k)
{
    char pattern[64];
    for (const char *at = k->config->architecture->required; at && *at;) {
        size_t n = strcspn(at, " ");
        snprintf(pattern, sizeof pattern, "%.*s", (int)n, at);
        bool each = adze_starts_with(pattern, "blk.*.");
        for (int64_t i = 0; i < (each ? k->config->layers : 1) && n > 0; i++)
            if (!find(k, pattern, i))
                missing(k, pattern, i);
        at += n + (at[n] == ' ');
    }
}

static bool is_required(const checker *k, const char *pattern)
{
    const char *required = k->config->architecture->required;
    const char *at = required ? strstr(required, pattern) : NULL;
    size_t n = strlen(pattern);
    return at && (at[n] == ' ' || at[n] == 0);
}

static void check_either(checker *k, const char *const *names, int64_t layer)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "blk.*.%s", names[0]);
    if (find(k, pattern, layer) || is_required(k, pattern))
        return;
    bool any = false;
    for (int i = 1; names[i]; i++) {
        snprintf(pattern, sizeof pattern, "blk.*.%s", names[i]);
        any |= find(k, pattern, layer) != NULL;
    }
    /* Dense models lack the one tensor, those with experts whichever of theirs are not there. */
    bool whole = !any && names[0][0] == 'f' && k->config->experts == 0;
    for (int i = whole ? 0 : 1; names[i] && (i == 0 || !whole); i++) {
        snprintf(pattern, sizeof pattern, "blk.*.%s", names[i]);
        if (!find(k, pattern, layer))
            missing(k, pattern, layer);
    }
}

adze_status adze_checkpoint_check(const adze_checkpoint *checkpoint, adze_error *err)
{
    adze_arena arena = {0};
    adze_llm_config config;
    adze_status status = adze_llm_config_read(&config, checkpoint, &arena, err);
    if (status != ADZE_OK) {
        adze_arena_free(&arena);
        return status;
    }
    checker k = {.c = checkpoint, .config = &config};
    check_required(&k);
    for (int64_t i = 0; i < config.layers; i++)
        for (size_t j = 0; j < ADZE_COUNT_OF(either); j++)
            check_either(&k, either[j], i);
    for (size_t j = 0; j < ADZE_COUNT_OF(shapes); j++)
        for (int64_t i = 0; i < (strchr(shapes[j].name, '*') ? config.layers : 1); i++)
            check_shape(&k, &shapes[j], i);
    if (k.count > 0)
        status = adze_fail(err, ADZE_BAD_MODEL, "%s: %d tensors are not as %s: %s%s",
                           checkpoint->path, k.count,
                           adze_file_is_folder(checkpoint->path) ? "config.json means them"
                                                                 : "its metadata mean them",
                           adze_text_get(&k.faults), k.count > MOST_NAMED ? ", ..." : "");
    adze_text_free(&k.faults);
    adze_arena_free(&arena);
    return status;
}
