/* Runs the float graph over data and observes every float value: once, for all recipes. */
#include "compress/calibrate.h"

#include <string.h>

#include "base/rng.h"
#include "compress/base_graph.h"

adze_calibration_options adze_calibration_options_default(void)
{
    return (adze_calibration_options){.seed = 1, .batch = 16, .plain = true};
}

/* ---- observing ---- */

static void observe_value(adze_observation *of, const adze_value *value, const adze_tensor *t)
{
    adze_observer *o = &of->observers[value->id];
    if (!of->wanted[value->id] || t->dtype != ADZE_F32)
        return;
    adze_observer_add(o, t->data, adze_tensor_elements(t));
    int axis = of->channel_axis[value->id];
    if (axis < 0 || axis >= t->rank || t->dims[axis] == 0)
        return;
    int64_t outer = adze_shape_elements(axis, t->dims);
    int64_t inner = adze_shape_elements(t->rank - axis - 1, t->dims + axis + 1);
    if (!adze_observer_add_channels(o, &of->owner->arena, t->data, outer, t->dims[axis], inner))
        of->owner->failed = true;
}

static void observe(void *user, const adze_node *node, int output, adze_tensor *tensor)
{
    observe_value(user, node->outputs[output], tensor);
}

/* ---- opening ---- */

static bool is_float(const adze_value *v)
{
    return v->type.kind == ADZE_VALUE_TENSOR && v->type.dtype == ADZE_F32 &&
           (v->role == ADZE_ROLE_COMPUTED || v->role == ADZE_ROLE_INPUT);
}

static adze_status make_observers(adze_observation *of, adze_arena *arena, adze_error *err)
{
    const adze_graph *g = of->graph;
    size_t n = (size_t)g->value_count;
    of->observers = ADZE_ARENA_ARRAY(arena, adze_observer, n);
    of->wanted = ADZE_ARENA_ARRAY(arena, bool, n);
    of->channel_axis = ADZE_ARENA_ARRAY(arena, int, n);
    of->outputs = ADZE_ARENA_ARRAY(arena, adze_tensor, (size_t)g->output_count + 1);
    if (!of->observers || !of->wanted || !of->channel_axis || !of->outputs)
        return adze_fail(err, ADZE_NO_MEMORY, "calibration: out of memory");
    for (size_t i = 0; i < n; i++) {
        of->wanted[i] = is_float(g->values[i]);
        of->channel_axis[i] = -1;
        if (!of->wanted[i])
            continue;
        of->observers[i].bins = ADZE_ARENA_ARRAY(arena, int64_t, ADZE_OBSERVER_BINS);
        if (!of->observers[i].bins)
            return adze_fail(err, ADZE_NO_MEMORY, "calibration: out of memory");
    }
    for (int i = 0; i < g->node_count; i++)
        if (adze_compress_has_weights(g->nodes[i]))
            of->channel_axis[g->nodes[i]->inputs[0]->id] = adze_compress_input_axis(g->nodes[i]);
    return ADZE_OK;
}

static adze_status open_observation(adze_calibration *c, adze_observation *of, bool equalized,
                                    adze_error *err)
{
    adze_plan_options plan = adze_plan_options_default();
    adze_session_options session = adze_session_options_default();
    plan.fuse = false; /* values keep their ids and none disappears */
    session.observe = observe;
    session.observe_user = of;
    of->owner = c;
    ADZE_TRY(adze_compress_base_graph(&of->graph, adze_model_graph(c->model), err));
    if (equalized)
        ADZE_TRY(adze_compress_equalize(of->graph, NULL, NULL, err));
    ADZE_TRY(make_observers(of, &c->arena, err));
    ADZE_TRY(adze_plan_create(&of->plan, of->graph, &plan, err));
    return adze_session_open(&of->session, of->plan, &session, err);
}

static void close_observation(adze_observation *of)
{
    adze_session_close(&of->session);
    adze_plan_free(&of->plan);
    adze_graph_free(&of->graph);
}

adze_status adze_calibration_open(adze_calibration **out, const adze_model *model,
                                  const adze_calibration_options *options, adze_error *err)
{
    adze_calibration *c = adze_alloc(1, sizeof *c);
    if (!c)
        return adze_fail(err, ADZE_NO_MEMORY, "calibration: out of memory");
    c->model = model;
    c->options = options ? *options : adze_calibration_options_default();
    adze_status status = ADZE_OK;
    if (c->options.plain || !c->options.equalized)
        status = open_observation(c, &c->plain, false, err);
    if (status == ADZE_OK && c->options.equalized)
        status = open_observation(c, &c->equalized, true, err);
    if (status != ADZE_OK)
        adze_calibration_close(&c);
    else
        *out = c;
    return status;
}

void adze_calibration_close(adze_calibration **calibration)
{
    if (!calibration || !*calibration)
        return;
    close_observation(&(*calibration)->plain);
    close_observation(&(*calibration)->equalized);
    adze_arena_free(&(*calibration)->arena);
    adze_free(*calibration);
    *calibration = NULL;
}

/* ---- running ---- */

static adze_status run(adze_observation *of, const adze_tensor *inputs, adze_error *err)
{
    if (!of->graph)
        return ADZE_OK;
    ADZE_TRY(adze_session_run(of->session, inputs, of->outputs, err));
    for (int i = 0; i < of->graph->input_count; i++)
        observe_value(of, of->graph->inputs[i], &inputs[i]);
    if (of->owner->failed)
        return adze_fail(err, ADZE_BAD_DATA, "calibration: the number of channels changes");
    return ADZE_OK;
}

adze_status adze_calibration_add(adze_calibration *c, const adze_tensor *inputs, adze_error *err)
{
    ADZE_TRY(run(&c->plain, inputs, err));
    ADZE_TRY(run(&c->equalized, inputs, err));
    c->samples += inputs[0].rank > 0 ? inputs[0].dims[0] : 1;
    return ADZE_OK;
}

/* `wanted` of `count` numbers 0..count-1, chosen by the seed, in ascending order. */
static int64_t *choose(int64_t count, int64_t wanted, uint64_t seed)
{
    int64_t *chosen = adze_alloc((size_t)wanted + 1, sizeof *chosen);
    adze_rng rng = adze_rng_seed(seed);
    int64_t found = 0;
    for (int64_t i = 0; chosen && i < count && found < wanted; i++)
        if ((int64_t)adze_rng_below(&rng, (uint64_t)(count - i)) < wanted - found)
            chosen[found++] = i;
    return chosen;
}

/* How many samples the model takes at once; *fixed: no fewer. */
static int64_t batch_size(const adze_calibration *c, bool *fixed)
{
    *fixed = false;
    const adze_graph *g = adze_model_graph(c->model);
    int64_t batch = ADZE_MAX(c->options.batch, 1);
    for (int i = 0; i < g->input_count; i++) {
        const adze_type *t = &g->inputs[i]->type;
        if (t->rank > 0 && t->dims[0] >= 0) {
            *fixed = true;
            return ADZE_MAX(t->dims[0], 1);
        }
        if (t->rank > 0)
            batch = ADZE_MIN(batch, ADZE_MAX(adze_dim_upper(g->dims, t->dims[0]), 1));
    }
    return batch;
}

static adze_status read_inputs(adze_tensor *inputs, const adze_calibration *c,
                               const adze_dataset *data, const int64_t *samples, int64_t count,
                               adze_error *err)
{
    const adze_graph *g = adze_model_graph(c->model);
    for (int i = 0; i < g->input_count; i++)
        ADZE_TRY(adze_dataset_read_as(&inputs[i], g->inputs[i]->type.dtype, data,
                                      g->input_count == 1 ? NULL : g->inputs[i]->name, samples,
                                      count, err));
    return ADZE_OK;
}

typedef struct collection {
    adze_calibration *calibration;
    const adze_dataset *data;
    adze_tensor *inputs;
    const int64_t *samples;
    int64_t count;
    bool (*progress)(void *, double);
    void *user;
} collection;

static adze_status collect(const collection *c, adze_error *err)
{
    bool fixed;
    int64_t batch = batch_size(c->calibration, &fixed);
    if (fixed && c->count < batch)
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: the model takes %lld samples at once, the data have %lld",
                         adze_dataset_path(c->data), (long long)batch, (long long)c->count);
    for (int64_t at = 0; at < c->count; at += batch) {
        int64_t n = ADZE_MIN(batch, c->count - at);
        if (fixed && n < batch)
            break; /* what does not fill a batch is left out */
        ADZE_TRY(read_inputs(c->inputs, c->calibration, c->data, c->samples + at, n, err));
        ADZE_TRY(adze_calibration_add(c->calibration, c->inputs, err));
        if (c->progress && !c->progress(c->user, (double)(at + n) / (double)c->count))
            return adze_fail(err, ADZE_CANCELLED, "calibration: cancelled");
    }
    return ADZE_OK;
}

adze_status adze_calibration_collect(adze_calibration *calibration, const adze_dataset *data,
                                     bool (*progress)(void *, double), void *user, adze_error *err)
{
    const adze_graph *g = adze_model_graph(calibration->model);
    int64_t total = adze_dataset_count(data), wanted = calibration->options.samples;
    wanted = wanted > 0 ? ADZE_MIN(wanted, total) : total;
    int64_t *samples = choose(total, wanted, calibration->options.seed);
    adze_tensor *inputs = adze_alloc((size_t)g->input_count + 1, sizeof *inputs);
    collection c = {calibration, data, inputs, samples, wanted, progress, user};
    adze_status status = samples && inputs
                             ? collect(&c, err)
                             : adze_fail(err, ADZE_NO_MEMORY, "calibration: out of memory");
    for (int i = 0; inputs && i < g->input_count; i++)
        adze_tensor_free(&inputs[i]);
    adze_free(inputs);
    adze_free(samples);
    return status;
}

/* ---- asking ---- */

const adze_observation *adze_calibration_for(const adze_calibration *c, const adze_recipe *recipe)
{
    if (!c)
        return NULL;
    const adze_observation *of = recipe->equalize ? &c->equalized : &c->plain;
    return of->graph && c->samples > 0 ? of : NULL;
}

const adze_observer *adze_observation_find(const adze_observation *of, const char *value)
{
    const adze_value *v = adze_graph_find(of->graph, value);
    return v && of->wanted[v->id] && of->observers[v->id].seen ? &of->observers[v->id] : NULL;
}

adze_status adze_calibration_range(float *low, float *high, const adze_calibration *calibration,
                                   const char *value, const adze_recipe *recipe, adze_error *err)
{
    const adze_observation *of = adze_calibration_for(calibration, recipe);
    const adze_observer *o = of ? adze_observation_find(of, value) : NULL;
    if (!of)
        return adze_fail(err, ADZE_NOT_FOUND, "calibration: the model %s was not observed",
                         recipe->equalize ? "after equalisation" : "as it is");
    if (!o)
        return adze_fail(err, ADZE_NOT_FOUND, "calibration: value '%s' was not observed", value);
    adze_override how = adze_recipe_activation(recipe, value);
    if (how.ranged) {
        *low = how.low;
        *high = how.high;
    } else {
        adze_observer_range(low, high, o, &how.activation);
    }
    return ADZE_OK;
}
