/* Optionals: a tensor or a sequence that may be missing. Where a value is expected to be an optional, the
 * plain value stands for one that is there (ONNX, opset 18). */
#include "ops/control.h"

static const adze_type *declared_type(const adze_node *node)
{
    const adze_attr *attr = adze_node_attr(node, "type");
    return attr && attr->type == ADZE_ATTR_TYPE ? attr->as.value_type : NULL;
}

static adze_type optional_of(const adze_type *of)
{
    adze_type type = {.kind = ADZE_VALUE_OPTIONAL, .dtype = of->dtype, .rank = -1};
    if (of->kind == ADZE_VALUE_SEQUENCE)
        type.inner = adze_ops_sequence_type(of->dtype);
    return type;
}

static adze_status optional_infer(adze_infer *infer, adze_error *err)
{
    bool given = infer->input_count > 0 && infer->inputs[0];
    const adze_type *of = given ? infer->inputs[0] : declared_type(infer->node);
    if (!of)
        return adze_ops_bad(infer->node, err, "neither an input nor the attribute type");
    if (given && of->kind == ADZE_VALUE_OPTIONAL)
        return adze_ops_bad(infer->node, err, "the input is an optional already");
    adze_type type = optional_of(of);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status optional_run(adze_run *run, adze_error *err)
{
    const adze_item *x = run->input_count > 0 ? run->input_items[0] : NULL;
    if (x && x->kind == ADZE_VALUE_OPTIONAL)
        return adze_ops_bad(run->node, err, "the input is an optional already");
    ADZE_TRY(adze_run_new_sequence(run, 0, x != NULL, err));
    adze_item *y = run->output_items[0];
    y->kind = ADZE_VALUE_OPTIONAL;
    if (x && x->kind == ADZE_VALUE_TENSOR)
        return adze_run_copy_item(run, 0, &y->items[0], x, err);
    if (x)
        y->items[0] = *x;
    return ADZE_OK;
}

static adze_status has_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_infer_set_tensor(infer, 0, ADZE_BOOL, 0, NULL);
    return ADZE_OK;
}

static adze_status has_run(adze_run *run, adze_error *err)
{
    ADZE_UNUSED(err);
    const adze_item *x = run->input_count > 0 ? run->input_items[0] : NULL;
    *(uint8_t *)run->outputs[0]->data = x && (x->kind != ADZE_VALUE_OPTIONAL || x->count > 0);
    return ADZE_OK;
}

static adze_status get_infer(adze_infer *infer, adze_error *err)
{
    ADZE_UNUSED(err);
    adze_type type = *infer->inputs[0];
    if (type.kind == ADZE_VALUE_OPTIONAL)
        type = type.inner ? *type.inner : (adze_type){.dtype = type.dtype, .rank = -1};
    for (int d = 0; d < type.rank; d++)
        if (type.kind != ADZE_VALUE_TENSOR)
            type.dims[d] = adze_dim_unknown(infer->dims, INT64_MAX);
    adze_infer_set(infer, 0, &type);
    return ADZE_OK;
}

static adze_status get_run(adze_run *run, adze_error *err)
{
    const adze_item *x = run->input_items[0];
    if (x->kind == ADZE_VALUE_OPTIONAL && x->count == 0)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': the optional is empty", run->node->op_type,
                         run->node->name);
    if (x->kind == ADZE_VALUE_OPTIONAL)
        x = &x->items[0];
    if (x->kind == ADZE_VALUE_TENSOR)
        return adze_run_copy_tensor(run, 0, &x->tensor, err);
    *run->output_items[0] = *x;
    return ADZE_OK;
}

/* clang-format off */
#define ROW(n, opset, lo) .domain = "", .name = n, .since = opset, .min_inputs = lo, \
    .max_inputs = 1, .min_outputs = 1, .max_outputs = 1
/* clang-format on */

const adze_op adze_ops_optional[] = {
    {ROW("Optional", 15, 0), .flags = ADZE_OP_ITEMS, .attrs = "type", .infer = optional_infer,
     .run = optional_run},
    {ROW("OptionalHasElement", 15, 0), .flags = ADZE_OP_ITEMS, .attrs = "", .infer = has_infer,
     .run = has_run},
    {ROW("OptionalGetElement", 15, 1), .flags = ADZE_OP_ITEMS | ADZE_OP_DATA_SIZED, .attrs = "",
     .infer = get_infer, .run = get_run},
    {.name = NULL},
};
