/* Any bytes as a model: refused with a message, or opened, described, planned (fused and not) and run on
 * small inputs; models that would need much memory or time are only planned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adze/session.h"
#include "base/rng.h"
#include "fuzz.h"
#include "model/onnx_import.h"

#define MOST_BYTES (1 << 20)
#define MOST_INPUTS 32
#define MOST_OPERATIONS 2e7

static adze_context *context;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ADZE_UNUSED(argc);
    ADZE_UNUSED(argv);
    context = fuzz_context(NULL);
    return 0;
}

/* Sizes of all symbols for one run: 1 to 4. */
static int64_t *choose_symbols(const adze_graph *g, adze_rng *rng)
{
    int64_t *values = adze_alloc((size_t)g->dims->count + 1, sizeof *values);
    for (int i = 0; values && i < g->dims->count; i++)
        values[i] = 1 + (int64_t)(adze_rng_u64(rng) % 4);
    return values;
}

static bool small_value(const adze_graph *g, const adze_type *type, const int64_t *symbols)
{
    int64_t dims[ADZE_MAX_RANK];
    if (type->kind != ADZE_VALUE_TENSOR || type->rank < 0)
        return true;
    for (int i = 0; i < type->rank; i++) {
        dims[i] = adze_dim_evaluate(g->dims, type->dims[i], symbols);
        dims[i] = dims[i] < 0 ? 1 : dims[i];
    }
    int64_t n = adze_shape_elements(type->rank, dims);
    return n >= 0 && adze_dtype_bytes(type->dtype, n) <= MOST_BYTES;
}

static bool small_graph(const adze_graph *g, const int64_t *symbols)
{
    for (int i = 0; i < g->value_count; i++)
        if (!small_value(g, &g->values[i]->type, symbols))
            return false;
    return true;
}

static bool fill_input(adze_tensor *t, const adze_graph *g, const adze_type *type,
                       const int64_t *symbols, adze_rng *rng)
{
    int64_t dims[ADZE_MAX_RANK];
    if (type->kind != ADZE_VALUE_TENSOR || type->dtype == ADZE_STRING ||
        type->dtype == ADZE_UNDEFINED)
        return false;
    for (int i = 0; i < type->rank; i++)
        dims[i] = adze_dim_evaluate(g->dims, type->dims[i], symbols);
    if (adze_tensor_make(t, type->dtype, ADZE_MAX(type->rank, 0), dims, NULL) != ADZE_OK)
        return false;
    for (int64_t i = 0; i < adze_tensor_elements(t) && t->size <= MOST_BYTES; i++)
        adze_tensor_set_f64(t, i, (double)(int64_t)(adze_rng_u64(rng) % 8) - 2);
    return true;
}

static void run_plan(const adze_plan *plan, const int64_t *symbols, adze_rng *rng)
{
    const adze_graph *g = adze_plan_graph(plan);
    adze_tensor inputs[MOST_INPUTS] = {0}, outputs[MOST_INPUTS];
    adze_session *session = NULL;
    adze_error err = {0};
    int made = 0;
    if (g->input_count > MOST_INPUTS || g->output_count > MOST_INPUTS)
        return;
    while (made < g->input_count &&
           fill_input(&inputs[made], g, &g->inputs[made]->type, symbols, rng))
        made++;
    if (made == g->input_count && adze_session_open(&session, plan, NULL, &err) == ADZE_OK) {
        for (int i = 0; i < 2; i++)
            if (adze_session_run(session, inputs, outputs, &err) != ADZE_OK)
                fuzz_must(err.message[0] != 0, "a message", &err);
    }
    adze_session_close(&session);
    for (int i = 0; i < made; i++)
        adze_tensor_free(&inputs[i]);
}

static void plan_and_run(adze_model *model, bool fuse, adze_rng *rng)
{
    adze_plan_options options = adze_plan_options_default();
    adze_plan *plan = NULL;
    adze_error err = {0};
    double operations, bytes;
    options.fuse = fuse;
    options.keep_all = !fuse;
    adze_status status = adze_plan_create(&plan, adze_model_graph(model), &options, &err);
    fuzz_must((status == ADZE_OK) == (err.message[0] == 0), "a message", &err);
    fuzz_must(status != ADZE_INTERNAL, "internal", &err);
    if (status != ADZE_OK || adze_model_cost(model, &operations, &bytes, &err) != ADZE_OK)
        return;
    const adze_graph *g = adze_plan_graph(plan);
    int64_t *symbols = choose_symbols(g, rng);
    if (symbols && operations <= MOST_OPERATIONS && small_graph(g, symbols))
        run_plan(plan, symbols, rng);
    adze_free(symbols);
    adze_plan_free(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_error err = {0};
    adze_model *model = NULL;
    char *json = NULL, *text = NULL;
    adze_rng rng = adze_rng_seed(size);
    adze_status status = adze_model_open_bytes(&model, context, data, size, &err);
    fuzz_must((status == ADZE_OK) == (err.message[0] == 0), "a message", &err);
    fuzz_must(status != ADZE_INTERNAL, "internal", &err);
    if (status != ADZE_OK)
        return 0;
    int64_t *symbols = choose_symbols(adze_model_graph(model), &rng);
    fuzz_must(adze_model_describe(model, &json, &text, &err) == ADZE_OK, "describe", &err);
    adze_string_free(&json);
    adze_string_free(&text);
    if (symbols && small_graph(adze_model_graph(model), symbols)) {
        plan_and_run(model, true, &rng);
        plan_and_run(model, false, &rng);
    }
    adze_free(symbols);
    adze_model_close(&model);
    return 0;
}
