/* Cross-layer equalisation. A channel between two layers may be divided by any positive factor on the
 * one side and multiplied on the other without changing what the model computes, as long as nothing but
 * Relu stands between. The factor that gives both sides the same range wastes the least of the integers
 * when one scale serves many channels. */
#include <math.h>
#include <string.h>

#include "compress/base_graph.h"

enum { ROUNDS = 20 };

typedef struct pair {
    adze_node *first, *second;
    int64_t channels;
    double *factor; /* [channels] first is divided, second multiplied by it */
} pair;

typedef struct equalizer {
    adze_graph *graph;
    adze_arena arena;
    adze_uses uses;
    int count;
    pair *pairs;
    float **weights; /* by id of value: copies that are changed */
} equalizer;

/* ---- pairs ---- */

static adze_node *behind(const equalizer *e, const adze_node *node)
{
    const adze_value *v = node->outputs[0];
    return e->uses.count[v->id] == 1 ? e->uses.users[v->id][0] : NULL;
}

static bool alone(const equalizer *e, const adze_value *constant)
{
    return !constant || e->uses.count[constant->id] == 1;
}

static bool usable(const equalizer *e, const adze_node *node)
{
    bool kind = adze_compress_is(node, "Conv") || adze_compress_is(node, "Gemm");
    return kind && adze_compress_has_weights(node) && alone(e, node->inputs[1]) &&
           (node->input_count < 3 || alone(e, node->inputs[2]));
}

/* How element i of the weights stands to the channels at its input; -1: several, as in groups. */
static int64_t input_channel(const adze_node *node, int64_t i)
{
    const adze_tensor *w = node->inputs[1]->constant;
    if (adze_compress_is(node, "Gemm"))
        return adze_compress_weight_axis(node) == 0 ? i % w->dims[1] : i / w->dims[1];
    int64_t window = adze_shape_elements(w->rank - 2, w->dims + 2);
    int64_t out = i / window / w->dims[1], groups = adze_node_int(node, "group", 1);
    return out / (w->dims[0] / groups) * w->dims[1] + i / window % w->dims[1];
}

static int64_t output_channel(const adze_node *node, int64_t i)
{
    const adze_tensor *w = node->inputs[1]->constant;
    int axis = adze_compress_weight_axis(node);
    int64_t inner = adze_shape_elements(w->rank - axis - 1, w->dims + axis + 1);
    return i / inner % w->dims[axis];
}

static int64_t input_channels(const adze_node *node)
{
    const adze_tensor *w = node->inputs[1]->constant;
    if (adze_compress_is(node, "Gemm"))
        return w->dims[adze_compress_weight_axis(node) == 0];
    return w->dims[1] * adze_node_int(node, "group", 1);
}

static bool find_pair(const equalizer *e, pair *out, adze_node *first)
{
    if (!usable(e, first))
        return false;
    adze_node *next = behind(e, first);
    if (adze_compress_is(next, "Relu") || adze_compress_is(next, "LeakyRelu"))
        next = behind(e, next);
    if (!next || !usable(e, next) || next == first)
        return false;
    *out = (pair){.first = first, .second = next, .channels = adze_compress_channels(first)};
    return input_channels(next) == out->channels;
}

static float *copy_of(equalizer *e, float **copies, const adze_value *v)
{
    if (v && !copies[v->id])
        copies[v->id] = adze_arena_memdup(&e->arena, v->constant->data, v->constant->size);
    return v ? copies[v->id] : NULL;
}

static bool find_pairs(equalizer *e)
{
    const adze_graph *g = e->graph;
    size_t values = (size_t)g->value_count + 1;
    e->pairs = ADZE_ARENA_ARRAY(&e->arena, pair, (size_t)g->node_count + 1);
    e->weights = ADZE_ARENA_ARRAY(&e->arena, float *, values);
    if (!e->pairs || !e->weights || !adze_uses_build(&e->uses, g, &e->arena))
        return false;
    for (int i = 0; i < g->node_count; i++) {
        pair *p = &e->pairs[e->count];
        if (!g->nodes[i]->op || !find_pair(e, p, g->nodes[i]))
            continue;
        p->factor = ADZE_ARENA_ARRAY(&e->arena, double, (size_t)p->channels);
        if (!p->factor || !copy_of(e, e->weights, p->first->inputs[1]) ||
            !copy_of(e, e->weights, p->second->inputs[1]))
            return false;
        for (int64_t c = 0; c < p->channels; c++)
            p->factor[c] = 1;
        e->count++;
    }
    return true;
}

/* ---- factors ---- */

static int64_t elements_of(const adze_node *node)
{
    return adze_tensor_elements(node->inputs[1]->constant);
}

static void find_reach(const equalizer *e, const pair *p, float *first, float *second)
{
    const float *a = e->weights[p->first->inputs[1]->id], *b = e->weights[p->second->inputs[1]->id];
    memset(first, 0, (size_t)p->channels * sizeof *first);
    memset(second, 0, (size_t)p->channels * sizeof *second);
    for (int64_t i = 0, n = elements_of(p->first); i < n; i++) {
        int64_t c = output_channel(p->first, i);
        first[c] = fmaxf(first[c], fabsf(a[i]));
    }
    for (int64_t i = 0, n = elements_of(p->second); i < n; i++) {
        int64_t c = input_channel(p->second, i);
        second[c] = fmaxf(second[c], fabsf(b[i]));
    }
}

static void scale_weights(const equalizer *e, const pair *p, const float *factor)
{
    float *a = e->weights[p->first->inputs[1]->id], *b = e->weights[p->second->inputs[1]->id];
    for (int64_t i = 0, n = elements_of(p->first); i < n; i++)
        a[i] /= factor[output_channel(p->first, i)];
    for (int64_t i = 0, n = elements_of(p->second); i < n; i++)
        b[i] *= factor[input_channel(p->second, i)];
}

/* One step for one pair; returns how far it was from equal. */
static double balance(equalizer *e, pair *p, float *first, float *second)
{
    double worst = 0;
    find_reach(e, p, first, second);
    for (int64_t c = 0; c < p->channels; c++) {
        double s = 1;
        if (first[c] > 0 && second[c] > 0)
            s = sqrt((double)first[c] / (double)second[c]);
        s = fmin(fmax(s * p->factor[c], 1e-3), 1e3) / p->factor[c];
        p->factor[c] *= s;
        worst = fmax(worst, fabs(log(s)));
        first[c] = (float)s;
    }
    scale_weights(e, p, first);
    return worst;
}

static bool balance_all(equalizer *e)
{
    int64_t most = 1;
    for (int i = 0; i < e->count; i++)
        most = ADZE_MAX(most, e->pairs[i].channels);
    float *first = ADZE_ARENA_ARRAY(&e->arena, float, (size_t)most);
    float *second = ADZE_ARENA_ARRAY(&e->arena, float, (size_t)most);
    double worst = 1;
    for (int round = 0; first && second && round < ROUNDS && worst > 1e-3; round++) {
        worst = 0;
        for (int i = 0; i < e->count; i++)
            worst = fmax(worst, balance(e, &e->pairs[i], first, second));
    }
    return first && second;
}

/* ---- applying ---- */

static adze_status no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "equalisation: out of memory");
}

static bool replace(adze_graph *g, adze_node *node, int input, const float *content)
{
    adze_value *old = node->inputs[input];
    void *data;
    adze_value *made =
        adze_compress_constant(g, NULL, ADZE_F32, old->constant->rank, old->constant->dims, &data);
    if (!made || !adze_value_take_name(g, made, old))
        return false;
    memcpy(data, content, old->constant->size);
    node->inputs[input] = made;
    return true;
}

/* From the weights as they are in the graph, with factors rounded to float: the same whether the factors
 * were just found or come from a resolved recipe. */
static bool apply_pair(equalizer *e, const pair *p, const float *factor)
{
    const adze_value *a = p->first->inputs[1], *b = p->second->inputs[1];
    const adze_value *bias = p->first->input_count > 2 ? p->first->inputs[2] : NULL;
    float *first = adze_arena_memdup(&e->arena, a->constant->data, a->constant->size);
    float *second = adze_arena_memdup(&e->arena, b->constant->data, b->constant->size);
    float *shift =
        bias ? adze_arena_memdup(&e->arena, bias->constant->data, bias->constant->size) : NULL;
    if (!first || !second || (bias && !shift))
        return false;
    for (int64_t i = 0, n = elements_of(p->first); i < n; i++)
        first[i] /= factor[output_channel(p->first, i)];
    for (int64_t i = 0, n = elements_of(p->second); i < n; i++)
        second[i] *= factor[input_channel(p->second, i)];
    for (int64_t c = 0; bias && c < p->channels; c++)
        shift[c] /= factor[c];
    return replace(e->graph, p->first, 1, first) && replace(e->graph, p->second, 1, second) &&
           (!bias || replace(e->graph, p->first, 2, shift));
}

static adze_status apply_all(equalizer *e, const adze_recipe *given, adze_recipe *found,
                             adze_error *err)
{
    for (int i = 0; i < e->count; i++) {
        pair *p = &e->pairs[i];
        float *factor = ADZE_ARENA_ARRAY(&e->arena, float, (size_t)p->channels);
        const char *name = p->first->name;
        if (!factor)
            return no_memory(err);
        for (int64_t c = 0; c < p->channels; c++)
            factor[c] = (float)p->factor[c];
        const adze_named_floats *known = given ? adze_recipe_find_factors(given, name) : NULL;
        if (given && (!known || known->count != p->channels))
            return adze_fail(err, ADZE_BAD_MODEL,
                             "the recipe has no equalisation for '%s': it was resolved for another "
                             "model",
                             name);
        if (!apply_pair(e, p, known ? known->values : factor) ||
            (found && !adze_recipe_add_factors(found, name, factor, p->channels)))
            return no_memory(err);
    }
    return ADZE_OK;
}

adze_status adze_compress_equalize(adze_graph *graph, const adze_recipe *given, adze_recipe *found,
                                   adze_error *err)
{
    equalizer e = {.graph = graph};
    adze_status status = ADZE_OK;
    if (!find_pairs(&e) || (!given && !balance_all(&e)))
        status = no_memory(err);
    if (status == ADZE_OK)
        status = apply_all(&e, given, found, err);
    adze_arena_free(&e.arena);
    return status;
}
