/* TfIdfVectorizer: counts of the n-grams of a pool. Preparation numbers the pool's tokens and sorts the
 * n-grams as tuples of numbers; a run numbers its tokens and looks the tuples up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/helpers.h"

typedef struct token {
    adze_string text;
    int64_t number;
    int64_t id; /* place among the sorted, different tokens */
} token;

typedef struct gram {
    const int32_t *ids; /* [length of its group] */
    int64_t index;      /* of the pool's n-grams */
    int length;
} gram;

typedef struct vocabulary {
    bool strings;
    int64_t token_count, gram_count;
    token *tokens;          /* sorted, different */
    gram *grams;            /* sorted by length, then ids */
    const int64_t *indexes; /* [gram_count] column of the output */
    const float *weights;   /* [gram_count] or NULL */
    int64_t columns;
    int64_t shortest, longest, skips;
    enum { TF, IDF, TFIDF } mode;
} vocabulary;

static const char *const modes[] = {"TF", "IDF", "TFIDF", NULL};

static int64_t columns_of(const adze_node *node)
{
    int n;
    int64_t most = -1;
    const int64_t *indexes = adze_node_ints(node, "ngram_indexes", &n);
    for (int i = 0; i < n; i++) {
        if (indexes[i] < 0 || indexes[i] >= INT32_MAX)
            return -1;
        most = ADZE_MAX(most, indexes[i]);
    }
    return most < 0 ? -1 : most + 1;
}

static adze_status tfidf_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_ops_ranked(infer, 0);
    const adze_node *node = adze_infer_node(infer);
    int64_t columns = columns_of(node);
    if (columns < 0)
        return adze_ops_bad(node, err, "ngram_indexes must be columns from 0 up");
    if (!x)
        return ADZE_OK;
    if (x->rank != 1 && x->rank != 2)
        return adze_ops_bad(node, err, "the input must be [C] or [N, C]");
    adze_dim dims[2] = {x->dims[0], columns};
    adze_infer_set_tensor(infer, 0, ADZE_F32, x->rank, x->rank == 2 ? dims : dims + 1);
    return ADZE_OK;
}

static int compare_text(const adze_string *a, const adze_string *b)
{
    size_t n = ADZE_MIN(a->length, b->length);
    int order = n ? memcmp(a->data, b->data, n) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_tokens(const void *left, const void *right)
{
    const token *a = left, *b = right;
    if (a->text.data || b->text.data)
        return compare_text(&a->text, &b->text);
    return (a->number > b->number) - (a->number < b->number);
}

static int compare_grams(const void *left, const void *right)
{
    const gram *a = left, *b = right;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    for (int i = 0; i < a->length; i++)
        if (a->ids[i] != b->ids[i])
            return a->ids[i] < b->ids[i] ? -1 : 1;
    return 0;
}

static int32_t find_token(const vocabulary *v, const token *wanted)
{
    const token *found =
        bsearch(wanted, v->tokens, (size_t)v->token_count, sizeof *wanted, compare_tokens);
    return found ? (int32_t)(found - v->tokens) : -1;
}

static token pool_token(const adze_attr *pool, int i)
{
    token t = {.id = i};
    if (pool->type == ADZE_ATTR_STRINGS) {
        t.text = pool->as.strings[i];
        t.text.data = t.text.data ? t.text.data : "";
    } else {
        t.number = pool->as.ints[i];
    }
    return t;
}

/* Fills tokens and their numbers at each place of the pool. */
static int32_t *number_pool(adze_prepare *prepare, vocabulary *v, const adze_attr *pool)
{
    size_t n = (size_t)pool->count;
    int32_t *ids = adze_prepare_alloc(prepare, (n + 1) * sizeof *ids);
    v->tokens = adze_prepare_alloc(prepare, (n + 1) * sizeof *v->tokens);
    if (!ids || !v->tokens)
        return NULL;
    for (int i = 0; i < pool->count; i++)
        v->tokens[i] = pool_token(pool, i);
    qsort(v->tokens, n, sizeof *v->tokens, compare_tokens);
    for (int i = 0; i < pool->count; i++) {
        token t = v->tokens[i];
        if (!v->token_count || compare_tokens(&v->tokens[v->token_count - 1], &t) != 0)
            v->tokens[v->token_count++] = t;
        ids[t.id] = (int32_t)(v->token_count - 1);
    }
    return ids;
}

/* The pool cut into n-grams; false: ngram_counts does not fit it. */
static bool cut_pool(vocabulary *v, const adze_attr *pool, const int32_t *ids, int groups,
                     const int64_t *starts, int64_t most)
{
    for (int g = 0; g < groups; g++) {
        int64_t end = g + 1 < groups ? starts[g + 1] : pool->count;
        if (starts[g] < 0 || end < starts[g] || end > pool->count || (end - starts[g]) % (g + 1))
            return false;
        for (int64_t at = starts[g]; at < end; at += g + 1) {
            if (v->gram_count == most)
                return false;
            v->grams[v->gram_count] = (gram){ids + at, v->gram_count, g + 1};
            v->gram_count++;
        }
    }
    qsort(v->grams, (size_t)v->gram_count, sizeof *v->grams, compare_grams);
    return v->gram_count == most;
}

static adze_status tfidf_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    const adze_attr *pool = adze_node_attr(node, "pool_strings");
    vocabulary *v = adze_prepare_alloc(prepare, sizeof *v);
    if (!v)
        return adze_fail(err, ADZE_NO_MEMORY, "TfIdfVectorizer");
    v->strings = pool && pool->type == ADZE_ATTR_STRINGS;
    if (!v->strings)
        pool = adze_node_attr(node, "pool_int64s");
    int groups, indexes, weights;
    const int64_t *starts = adze_node_ints(node, "ngram_counts", &groups);
    v->indexes = adze_node_ints(node, "ngram_indexes", &indexes);
    v->weights = adze_node_floats(node, "weights", &weights);
    int mode = adze_ops_choice(modes, adze_node_string(node, "mode", ""));
    v->shortest = adze_node_int(node, "min_gram_length", 1);
    v->longest = adze_node_int(node, "max_gram_length", 1);
    v->skips = adze_node_int(node, "max_skip_count", 0);
    v->columns = columns_of(node);
    if (!pool || (!v->strings && pool->type != ADZE_ATTR_INTS) || mode < 0 || groups < 1 ||
        (v->weights && weights != indexes))
        return adze_ops_bad(node, err, "pool, mode, ngram_counts or weights are missing or odd");
    if (v->shortest < 1 || v->longest < v->shortest || v->longest > groups || v->skips < 0)
        return adze_ops_bad(node, err, "lengths of n-grams do not fit ngram_counts");
    if ((x->dtype == ADZE_STRING) != v->strings ||
        (!v->strings && x->dtype != ADZE_I32 && x->dtype != ADZE_I64))
        return adze_ops_unsupported(node, x->dtype, err);
    v->mode = mode == 0 ? TF : mode == 1 ? IDF : TFIDF;
    const int32_t *ids = number_pool(prepare, v, pool);
    v->grams = adze_prepare_alloc(prepare, ((size_t)indexes + 1) * sizeof *v->grams);
    if (!ids || !v->grams)
        return adze_fail(err, ADZE_NO_MEMORY, "TfIdfVectorizer");
    if (!cut_pool(v, pool, ids, groups, starts, indexes))
        return adze_ops_bad(node, err, "ngram_counts and ngram_indexes do not fit the pool");
    adze_prepare_set(prepare, v);
    return ADZE_OK;
}

static int64_t row_length(const adze_tensor *x)
{
    return x->rank > 0 ? x->dims[x->rank - 1] : 1;
}

static size_t tfidf_scratch(const adze_run *run)
{
    int groups;
    adze_node_ints(run->node, "ngram_counts", &groups);
    return ((size_t)row_length(run->inputs[0]) + (size_t)groups + 1) * sizeof(int32_t);
}

static void count_grams(const adze_run *run, const vocabulary *v, const int32_t *ids, int64_t n,
                        int32_t *tuple, float *y)
{
    for (int64_t length = v->shortest; length <= v->longest; length++)
        /* No two tokens are further apart than n. */
        for (int64_t step = 1; step <= n && step - 1 <= (length == 1 ? 0 : v->skips); step++) {
            for (int64_t at = 0;
                 n - at > (length - 1) * step && !adze_ops_is_late(run, at + 4095 * (at == 0));
                 at++) {
                for (int64_t k = 0; k < length; k++)
                    tuple[k] = ids[at + k * step];
                gram wanted = {tuple, 0, (int)length};
                const gram *found =
                    bsearch(&wanted, v->grams, (size_t)v->gram_count, sizeof wanted, compare_grams);
                if (!found)
                    continue;
                float w = v->weights && v->mode != TF ? v->weights[found->index] : 1.0f;
                float *cell = &y[v->indexes[found->index]];
                *cell = v->mode == IDF ? w : *cell + w;
            }
        }
}

static adze_status tfidf_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const vocabulary *v = run->prepared;
    const adze_tensor *x = run->inputs[0];
    adze_tensor *y = run->outputs[0];
    int64_t n = row_length(x), rows = x->rank == 2 ? x->dims[0] : 1;
    int32_t *ids = run->scratch, *tuple = ids + n;
    memset(y->data, 0, y->size);
    for (int64_t r = 0; r < rows && !adze_ops_is_late(run, r); r++) {
        for (int64_t i = 0; i < n && !adze_ops_is_late(run, i); i++) {
            token t = {0};
            if (v->strings) {
                t.text = ((const adze_string *)x->data)[r * n + i];
                t.text.data = t.text.data ? t.text.data : "";
            } else {
                t.number = adze_tensor_get_i64(x, r * n + i);
            }
            ids[i] = find_token(v, &t);
        }
        count_grams(run, v, ids, n, tuple, (float *)y->data + r * v->columns);
    }
    return ADZE_OK;
}

const adze_op adze_ops_tfidf[] = {
    {.domain = "",
     .name = "TfIdfVectorizer",
     .since = 9,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "max_gram_length max_skip_count min_gram_length mode ngram_counts ngram_indexes "
              "pool_int64s pool_strings weights",
     .infer = tfidf_infer,
     .prepare = tfidf_prepare,
     .scratch = tfidf_scratch,
     .run = tfidf_run},
    {.name = NULL},
};
