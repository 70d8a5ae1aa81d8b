/* Services of adze_prepare and adze_run, and the execution of a single node. */
#include "ops/execute.h"

#include <string.h>

#include "base/context.h"

const adze_node *adze_prepare_node(const adze_prepare *prepare)
{
    return prepare->node;
}

const adze_tensor *adze_prepare_input(const adze_prepare *prepare, int i)
{
    return i < prepare->node->input_count ? prepare->inputs[i] : NULL;
}

const adze_tensor *adze_prepare_output(const adze_prepare *prepare, int i)
{
    return i < prepare->node->output_count ? prepare->outputs[i] : NULL;
}

const adze_kernels *adze_prepare_kernels(const adze_prepare *prepare)
{
    return prepare->kernels;
}

void *adze_prepare_alloc(adze_prepare *prepare, size_t size)
{
    return adze_arena_alloc(prepare->arena, 1, ADZE_MAX(size, 64));
}

void adze_prepare_set(adze_prepare *prepare, const void *prepared)
{
    prepare->prepared = prepared;
}

adze_status adze_run_resize(adze_run *run, int i, adze_dtype dtype, int rank, const int64_t *dims,
                            adze_error *err)
{
    return ((const adze_run_host *)run->session)->resize(run, i, dtype, rank, dims, err);
}

void *adze_run_alloc(adze_run *run, int i, size_t size)
{
    return ((const adze_run_host *)run->session)->alloc(run, i, size);
}

void adze_run_parallel(adze_run *run, int64_t pieces,
                       void (*fn)(void *user, int64_t piece, int worker), void *user)
{
    adze_pool_run(run->pool, pieces, fn, user);
}

bool adze_run_is_late(const adze_run *run)
{
    return run && adze_pool_is_late(run->pool);
}

int adze_run_threads(const adze_run *run)
{
    return adze_pool_threads(run->pool);
}

/* ---- one node ---- */

typedef struct single {
    adze_run_host host;
    adze_arena *arena;
    adze_item *items; /* of the outputs */
} single;

static adze_status single_resize(adze_run *run, int i, adze_dtype dtype, int rank,
                                 const int64_t *dims, adze_error *err)
{
    single *s = run->session;
    adze_tensor *t = &s->items[i].tensor;
    const adze_quant *quant = t->quant;
    int64_t elements = adze_shape_elements(rank, dims);
    size_t size = elements < 0 ? SIZE_MAX : adze_dtype_bytes(dtype, elements);
    if (size == SIZE_MAX)
        return adze_fail(err, ADZE_LIMIT, "%s '%s': output %d is too large", run->node->op_type,
                         run->node->name, i);
    *t = adze_tensor_view(dtype, rank, dims, adze_arena_alloc(s->arena, 1, size));
    t->quant = quant;
    if (!t->data)
        return adze_fail(err, ADZE_NO_MEMORY, "%s '%s': output %d of %zu bytes", run->node->op_type,
                         run->node->name, i, size);
    return ADZE_OK;
}

static void *single_alloc(adze_run *run, int i, size_t size)
{
    ADZE_UNUSED(i);
    single *s = run->session;
    return adze_arena_alloc(s->arena, 1, size);
}

static bool all_known(const adze_type *type)
{
    if (type->rank < 0 || type->kind != ADZE_VALUE_TENSOR)
        return false;
    for (int d = 0; d < type->rank; d++)
        if (type->dims[d] < 0)
            return false;
    return true;
}

/* Infers into `types`; all inputs are known. */
static adze_status single_infer(adze_type *types, const adze_node *node,
                                const adze_tensor *const *inputs, adze_arena *arena,
                                adze_error *err)
{
    size_t in = (size_t)node->input_count + 1, out = (size_t)node->output_count + 1;
    adze_type *input_types = ADZE_ARENA_ARRAY(arena, adze_type, in);
    const adze_type **input_pointers = ADZE_ARENA_ARRAY(arena, const adze_type *, in);
    const adze_dim **known = ADZE_ARENA_ARRAY(arena, const adze_dim *, in);
    int *known_counts = ADZE_ARENA_ARRAY(arena, int, in);
    int *known_out_counts = ADZE_ARENA_ARRAY(arena, int, out);
    adze_infer infer = {.node = node,
                        .dims = node->graph->dims,
                        .input_count = node->input_count,
                        .output_count = node->output_count,
                        .contents = inputs,
                        .outputs = types,
                        .known_out_counts = known_out_counts};
    infer.known_out = adze_arena_alloc(arena, out, sizeof *infer.known_out);
    if (!input_types || !input_pointers || !known || !known_counts || !known_out_counts ||
        !infer.known_out)
        return adze_fail(err, ADZE_NO_MEMORY, "executing %s", node->op_type);
    for (int i = 0; i < node->input_count; i++) {
        if (!inputs[i])
            continue;
        input_types[i] = adze_type_tensor(inputs[i]->dtype, inputs[i]->rank, inputs[i]->dims);
        input_types[i].quant = inputs[i]->quant;
        input_pointers[i] = &input_types[i];
    }
    for (int i = 0; i < node->output_count; i++) {
        types[i] = (adze_type){.rank = -1};
        if (node->outputs[i] && node->outputs[i]->type.quant) {
            types[i].dtype = node->outputs[i]->type.dtype;
            types[i].quant = node->outputs[i]->type.quant;
        }
    }
    infer.inputs = input_pointers;
    infer.known = known;
    infer.known_counts = known_counts;
    return adze_infer_run(&infer, err);
}

static adze_status single_run(adze_run *run, adze_prepare *prepare, adze_arena *arena,
                              adze_error *err)
{
    const adze_op *op = run->node->op;
    if (op->prepare)
        ADZE_TRY(op->prepare(prepare, err));
    run->prepared = prepare->prepared;
    size_t scratch = op->scratch ? op->scratch(run) : 0;
    run->scratch = adze_arena_alloc(arena, 1, ADZE_MAX(scratch, 64));
    if (!run->scratch)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: %zu bytes of scratch", op->name, scratch);
    return op->run(run, err);
}

adze_status adze_op_run_single(adze_tensor *outputs, const adze_node *node,
                               const adze_tensor *const *inputs, adze_arena *arena, adze_error *err)
{
    size_t n = (size_t)node->output_count + 1, in = (size_t)node->input_count + 1;
    adze_type *types = ADZE_ARENA_ARRAY(arena, adze_type, n);
    adze_item *items = ADZE_ARENA_ARRAY(arena, adze_item, n);
    adze_item *in_items = ADZE_ARENA_ARRAY(arena, adze_item, in);
    adze_item **item_pointers = ADZE_ARENA_ARRAY(arena, adze_item *, n + in);
    adze_tensor **tensor_pointers = ADZE_ARENA_ARRAY(arena, adze_tensor *, n);
    if (!types || !items || !in_items || !item_pointers || !tensor_pointers)
        return adze_fail(err, ADZE_NO_MEMORY, "executing %s", node->op_type);
    ADZE_TRY(single_infer(types, node, inputs, arena, err));
    adze_context *context = node->graph->context;
    single host = {
        .host = {.resize = single_resize, .alloc = single_alloc}, .arena = arena, .items = items};
    adze_run run = {.node = node,
                    .context = context,
                    .pool = context->pool,
                    .kernels = context->kernels,
                    .input_count = node->input_count,
                    .output_count = node->output_count,
                    .inputs = inputs,
                    .outputs = tensor_pointers,
                    .input_items = item_pointers + n,
                    .output_items = item_pointers,
                    .session = &host};
    for (int i = 0; i < node->output_count; i++) {
        items[i].tensor.quant = types[i].quant;
        items[i].tensor.dtype = types[i].dtype;
        item_pointers[i] = node->outputs[i] ? &items[i] : NULL;
        tensor_pointers[i] = node->outputs[i] ? &items[i].tensor : NULL;
        if (node->outputs[i] && all_known(&types[i]))
            ADZE_TRY(single_resize(&run, i, types[i].dtype, types[i].rank, types[i].dims, err));
    }
    for (int i = 0; i < node->input_count; i++)
        if (inputs[i]) {
            in_items[i].tensor = *inputs[i];
            item_pointers[(int)n + i] = &in_items[i];
        }
    adze_prepare prepare = {.node = node,
                            .inputs = inputs,
                            .outputs = (const adze_tensor *const *)tensor_pointers,
                            .kernels = context->kernels,
                            .arena = arena};
    /* A view has no run of its own: its bytes are those of its input. */
    if ((node->op->flags & ADZE_OP_VIEW) && inputs[0])
        memcpy(items[0].tensor.data, inputs[0]->data, items[0].tensor.size);
    ADZE_TRY(single_run(&run, &prepare, arena, err));
    for (int i = 0; i < node->output_count; i++)
        outputs[i] = items[i].tensor;
    return ADZE_OK;
}
