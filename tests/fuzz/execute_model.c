/* A model from bytes, made-up inputs, a run. */
#include "execute_model.h"

#include <string.h>

#include "adze/session.h"
#include "base/rng.h"
#include "model/onnx_import.h"
#include "mutate_onnx.h"

#define MOST_VALUES 64
#define MOST_BYTES ((size_t)1 << 30)
#define MOST_INPUT_BYTES ((size_t)1 << 20)

/* ---- inputs ---- */

typedef struct feed {
    const adze_onnx_model *file;
    const adze_graph *graph; /* of the plan */
    int64_t *symbols;        /* value of each */
    adze_arena *arena;
    adze_rng rng;
} feed;

static const adze_onnx_tensor *find_feed(const feed *f, const char *name)
{
    const adze_onnx_graph *g = &f->file->graph;
    for (int i = 0; i < g->initializer_count; i++)
        if (strncmp(g->initializers[i].name, MUTATE_FEED, strlen(MUTATE_FEED)) == 0 &&
            strcmp(g->initializers[i].name + strlen(MUTATE_FEED), name) == 0)
            return &g->initializers[i];
    return NULL;
}

/* Symbols are what the feeds say, else 1 to 4. */
static bool choose_symbols(feed *f)
{
    const adze_dims *dims = f->graph->dims;
    f->symbols = ADZE_ARENA_ARRAY(f->arena, int64_t, (size_t)dims->count + 1);
    for (int i = 0; f->symbols && i < dims->count; i++)
        f->symbols[i] = 1 + (int64_t)adze_rng_below(&f->rng, 4);
    for (int i = 0; f->symbols && i < f->graph->input_count; i++) {
        const adze_value *v = f->graph->inputs[i];
        const adze_onnx_tensor *t = find_feed(f, v->name);
        for (int d = 0; t && d < v->type.rank && v->type.rank == t->rank; d++)
            if (!adze_dim_known(v->type.dims[d]))
                f->symbols[-1 - v->type.dims[d]] = t->dims[d];
    }
    return f->symbols != NULL;
}

static bool fill_strings(feed *f, adze_tensor *t, const adze_onnx_tensor *given)
{
    static const char *const texts[] = {"a", "", "b c", "1.5", "\xC3\xA9t\xC3\xA9", "aab", "-3"};
    adze_string *out = t->data;
    int64_t n = adze_tensor_elements(t), have = given ? (int64_t)(given->size / sizeof *out) : 0;
    for (int64_t i = 0; i < n; i++) {
        const char *text = texts[adze_rng_below(&f->rng, ADZE_COUNT_OF(texts))];
        out[i] = have ? ((const adze_string *)(const void *)given->data)[i % have]
                      : (adze_string){text, strlen(text)};
    }
    return true;
}

static bool fill_tensor(feed *f, adze_tensor *out, const char *name, const adze_type *type)
{
    const adze_onnx_tensor *given = find_feed(f, name);
    int64_t dims[ADZE_MAX_RANK] = {2, 3};
    int rank = type->rank >= 0 ? type->rank : given ? ADZE_MIN(given->rank, ADZE_MAX_RANK) : 2;
    for (int i = 0; i < rank; i++)
        dims[i] = type->rank < 0 ? (given ? given->dims[i] : dims[i])
                                 : adze_dim_evaluate(f->graph->dims, type->dims[i], f->symbols);
    int64_t n = adze_shape_elements(rank, dims);
    size_t size =
        n < 0 || type->dtype == ADZE_UNDEFINED ? SIZE_MAX : adze_dtype_bytes(type->dtype, n);
    void *data = size > MOST_INPUT_BYTES ? NULL : adze_arena_alloc(f->arena, 1, size);
    if (!data)
        return false;
    *out = adze_tensor_view(type->dtype, rank, dims, data);
    if (given && adze_dtype_from_onnx(given->type) != type->dtype)
        given = NULL;
    if (type->dtype == ADZE_STRING)
        return fill_strings(f, out, given);
    for (size_t i = 0; given && given->size && i < size; i++)
        ((uint8_t *)data)[i] = given->data[i % given->size];
    bool numbers = adze_dtype_describe(type->dtype)->kind != ADZE_KIND_COMPLEX;
    for (int64_t i = 0; !(given && given->size) && numbers && i < n; i++)
        adze_tensor_set_f64(out, i, (double)adze_rng_below(&f->rng, 8) - 2);
    return true;
}

static bool fill_item(feed *f, adze_item *out, const char *name, const adze_type *type)
{
    out->kind = type->kind;
    if (type->kind == ADZE_VALUE_TENSOR)
        return fill_tensor(f, &out->tensor, name, type);
    if (!type->inner)
        return false;
    out->count = (int)adze_rng_below(&f->rng, type->kind == ADZE_VALUE_SEQUENCE ? 4 : 2);
    out->items = ADZE_ARENA_ARRAY(f->arena, adze_item, (size_t)out->count + 1);
    for (int i = 0; i < out->count; i++)
        if (!out->items || !fill_item(f, &out->items[i], name, type->inner))
            return false;
    return true;
}

/* ---- running ---- */

static void touch(const adze_item *item)
{
    static volatile uint8_t sum;
    const adze_tensor *t = &item->tensor;
    for (int i = 0; i < item->count; i++)
        touch(&item->items[i]);
    if (item->kind != ADZE_VALUE_TENSOR)
        return;
    for (size_t i = 0; i < t->size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)t->data)[i]);
    for (size_t i = 0; t->dtype == ADZE_STRING && i < t->size / sizeof(adze_string); i++) {
        const adze_string *s = &((const adze_string *)t->data)[i];
        for (size_t k = 0; k < s->length; k++)
            sum = (uint8_t)(sum + (uint8_t)s->data[k]);
    }
}

static adze_status run_once(adze_session *session, const adze_item *inputs, int outputs_wanted,
                            adze_error *err)
{
    adze_item outputs[MOST_VALUES] = {0};
    ADZE_TRY(adze_session_run_items(session, inputs, outputs, err));
    for (int i = 0; i < outputs_wanted; i++)
        touch(&outputs[i]);
    return ADZE_OK;
}

static adze_status run_session(const adze_plan *plan, const adze_item *inputs, double seconds,
                               adze_error *err)
{
    int wanted = adze_graph_output_count(adze_plan_graph(plan));
    adze_session_options options = adze_session_options_default();
    adze_session *session = NULL;
    options.max_bytes = MOST_BYTES;
    options.max_seconds = seconds;
    ADZE_TRY(adze_session_open(&session, plan, &options, err));
    adze_status status = run_once(session, inputs, wanted, err);
    /* What a first run leaves behind must not break a second one. */
    if (status != ADZE_TIMEOUT)
        (void)!run_once(session, inputs, wanted, NULL);
    adze_session_close(&session);
    return status;
}

static adze_status run_plan(const adze_plan *plan, const adze_onnx_model *file,
                            const execute_options *how, adze_error *err)
{
    adze_arena arena = {0};
    const adze_graph *g = adze_plan_graph(plan);
    feed f = {.file = file, .graph = g, .arena = &arena, .rng = adze_rng_seed(how->seed)};
    adze_item inputs[MOST_VALUES] = {0};
    bool ready =
        g->input_count <= MOST_VALUES && g->output_count <= MOST_VALUES && choose_symbols(&f);
    for (int i = 0; ready && i < g->input_count; i++)
        ready = fill_item(&f, &inputs[i], g->inputs[i]->name, &g->inputs[i]->type);
    adze_status status = ready ? run_session(plan, inputs, how->seconds, err)
                               : adze_fail(err, ADZE_LIMIT, "inputs of no known kind or size");
    adze_arena_free(&arena);
    return status;
}

static adze_status plan_and_run(const adze_model *model, const adze_onnx_model *file,
                                const execute_options *how, adze_error *err)
{
    adze_plan_options options = adze_plan_options_default();
    adze_plan *plan = NULL;
    options.fuse = how->fuse;
    options.keep_all = how->keep_all;
    ADZE_TRY(adze_plan_create(&plan, adze_model_graph(model), &options, err));
    adze_status status = run_plan(plan, file, how, err);
    adze_plan_free(&plan);
    return status;
}

adze_status execute_model(adze_context *context, const uint8_t *bytes, size_t size,
                          const execute_options *how, adze_error *err)
{
    adze_arena arena = {0};
    adze_onnx_model *file = NULL;
    adze_model *model = NULL;
    adze_status status = adze_onnx_parse(&file, bytes, size, NULL, &arena, err);
    if (status == ADZE_OK)
        status = adze_model_open_bytes(&model, context, bytes, size, err);
    if (status == ADZE_OK)
        status = plan_and_run(model, file, how, err);
    adze_model_close(&model);
    adze_onnx_close(file);
    adze_arena_free(&arena);
    return status;
}
