/* Inputs for timing where none are given: the same for the same seed, of the types and shapes that the
 * graph asks for. Floats are normal, as activations are, so that no kernel meets denormals or NaN. */
#include "adze/profile.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/ir.h"

enum { SMALL = 8 }; /* integers are below: valid as tokens or indices nearly everywhere */

static const int64_t unbounded = INT64_MAX / 4;

/* A number for every symbol: its upper bound, else its lower one but at least 1. */
static int64_t *bind_symbols(const adze_dims *dims)
{
    int64_t *values = adze_alloc((size_t)dims->count + 1, sizeof *values);
    for (int i = 0; values && i < dims->count; i++) {
        const adze_dim_def *def = &dims->defs[i];
        values[i] = def->upper < unbounded ? def->upper : ADZE_MAX(def->lower, 1);
    }
    return values;
}

static void fill(adze_tensor *t, adze_rng *rng)
{
    const adze_dtype_info *info = adze_dtype_describe(t->dtype);
    int64_t n = adze_tensor_elements(t);
    uint64_t limit = info->kind == ADZE_KIND_BOOL ? 2 : info->bits == 8 ? 128 : SMALL;
    if (info->bits < 8 && info->bits > 0)
        limit = 2;
    for (int64_t i = 0; i < n; i++)
        if (t->dtype == ADZE_F32)
            ((float *)t->data)[i] = (float)adze_rng_normal(rng);
        else if (info->kind == ADZE_KIND_FLOAT)
            adze_tensor_set_f64(t, i, adze_rng_normal(rng));
        else
            adze_tensor_set_i64(t, i, (int64_t)adze_rng_below(rng, limit));
}

static adze_status make_input(adze_tensor *out, const adze_graph *graph, const adze_value *value,
                              const int64_t *symbols, adze_rng *rng, adze_error *err)
{
    const adze_type *type = &value->type;
    int64_t dims[ADZE_MAX_RANK];
    adze_kind kind = adze_dtype_describe(type->dtype)->kind;
    bool plain = kind == ADZE_KIND_FLOAT || kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT ||
                 kind == ADZE_KIND_BOOL;
    if (type->kind != ADZE_VALUE_TENSOR || !plain)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "input '%s': no random values for its type; give it an input",
                         value->name);
    if (type->rank < 0)
        return adze_fail(err, ADZE_BAD_MODEL, "input '%s': its rank is unknown; give its shape",
                         value->name);
    for (int k = 0; k < type->rank; k++) {
        dims[k] = adze_dim_evaluate(graph->dims, type->dims[k], symbols);
        if (dims[k] < 0)
            dims[k] = 1;
    }
    ADZE_TRY(adze_tensor_make(out, type->dtype, type->rank, dims, err));
    fill(out, rng);
    return ADZE_OK;
}

adze_status adze_inputs_random(adze_tensor **inputs, const adze_graph *graph, uint64_t seed,
                               adze_error *err)
{
    adze_rng rng = adze_rng_seed(seed);
    int64_t *symbols = bind_symbols(graph->dims);
    adze_tensor *made = adze_alloc((size_t)graph->input_count + 1, sizeof *made);
    adze_status status = ADZE_OK;
    if (!symbols || !made)
        status = adze_fail(err, ADZE_NO_MEMORY, "no memory for random inputs");
    for (int i = 0; i < graph->input_count && status == ADZE_OK; i++)
        status = make_input(&made[i], graph, graph->inputs[i], symbols, &rng, err);
    adze_free(symbols);
    if (status == ADZE_OK)
        *inputs = made;
    else
        adze_inputs_free(&made, graph);
    return status;
}

void adze_inputs_free(adze_tensor **inputs, const adze_graph *graph)
{
    for (int i = 0; *inputs && i < graph->input_count; i++)
        adze_tensor_free(&(*inputs)[i]);
    adze_free(*inputs);
    *inputs = NULL;
}
