/* Struct by struct, written without the tables of the reader, so that it can find their errors. */
#include "onnx_compare.h"
#include "test.h"

static void compare_strings(const adze_string *a, const adze_string *b, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_EQ(a[i].length, b[i].length);
        CHECK(a[i].length == 0 || memcmp(a[i].data, b[i].data, a[i].length) == 0);
    }
}

static void compare_names(const char **a, const char **b, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_STR(a[i], b[i]);
}

static void compare_dims(const int64_t *a, const int64_t *b, int rank)
{
    for (int i = 0; i < rank; i++)
        CHECK_EQ(a[i], b[i]);
}

void onnx_compare_tensors(const adze_onnx_tensor *a, const adze_onnx_tensor *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_STR(a->doc, b->doc);
    CHECK_EQ(a->type, b->type);
    CHECK_EQ(a->rank, b->rank);
    compare_dims(a->dims, b->dims, a->rank);
    CHECK_EQ(a->size, b->size);
    CHECK((a->data == NULL) == (a->size == 0));
    CHECK((b->data == NULL) == (b->size == 0));
    adze_dtype dtype = adze_dtype_from_onnx(a->type);
    size_t align = (size_t)adze_dtype_describe(dtype)->block_bytes;
    CHECK(align == 0 || (uintptr_t)b->data % ADZE_MIN(align, sizeof(double)) == 0);
    if (dtype == ADZE_STRING)
        compare_strings((const adze_string *)(const void *)a->data,
                        (const adze_string *)(const void *)b->data,
                        (int)(a->size / sizeof(adze_string)));
    else if (a->size)
        CHECK_BYTES(b->data, a->data, a->size);
}

static void compare_sparse(const adze_onnx_sparse *a, const adze_onnx_sparse *b)
{
    onnx_compare_tensors(&a->values, &b->values);
    onnx_compare_tensors(&a->indices, &b->indices);
    CHECK_EQ(a->rank, b->rank);
    compare_dims(a->dims, b->dims, a->rank);
}

static void compare_types(const adze_onnx_type *a, const adze_onnx_type *b)
{
    CHECK_EQ(a->kind, b->kind);
    CHECK_EQ(a->elem, b->elem);
    CHECK_EQ(a->rank, b->rank);
    for (int i = 0; i < a->rank; i++) {
        CHECK_EQ(a->dims[i].value, b->dims[i].value);
        CHECK_STR(a->dims[i].symbol, b->dims[i].symbol);
    }
    CHECK((a->inner == NULL) == (b->inner == NULL));
    if (a->inner)
        compare_types(a->inner, b->inner);
}

static void compare_values(const adze_onnx_value *a, const adze_onnx_value *b, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_STR(a[i].name, b[i].name);
        compare_types(&a[i].type, &b[i].type);
    }
}

static void compare_graphs(const adze_onnx_graph *a, const adze_onnx_graph *b);

static void compare_attrs(const adze_onnx_attr *a, const adze_onnx_attr *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_STR(a->ref_name, b->ref_name);
    CHECK_EQ(a->type, b->type);
    CHECK_EQ(a->i, b->i);
    CHECK_BYTES(&b->f, &a->f, sizeof a->f);
    compare_strings(&a->s, &b->s, 1);
    CHECK_EQ(a->count, b->count);
    CHECK((a->floats == NULL) == (b->floats == NULL) && (a->ints == NULL) == (b->ints == NULL));
    for (int i = 0; i < a->count; i++) {
        if (a->floats)
            CHECK_BYTES(&b->floats[i], &a->floats[i], sizeof(float));
        if (a->ints)
            CHECK_EQ(a->ints[i], b->ints[i]);
        if (a->strings)
            compare_strings(&a->strings[i], &b->strings[i], 1);
        if (a->tensors)
            onnx_compare_tensors(&a->tensors[i], &b->tensors[i]);
        if (a->graphs)
            compare_graphs(a->graphs[i], b->graphs[i]);
        if (a->sparse)
            compare_sparse(&a->sparse[i], &b->sparse[i]);
        if (a->type_proto)
            compare_types(&a->type_proto[i], &b->type_proto[i]);
    }
}

static void compare_nodes(const adze_onnx_node *a, const adze_onnx_node *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_STR(a->op_type, b->op_type);
    CHECK_STR(a->domain, b->domain);
    CHECK_STR(a->overload, b->overload);
    CHECK_EQ(a->input_count, b->input_count);
    CHECK_EQ(a->output_count, b->output_count);
    CHECK_EQ(a->attr_count, b->attr_count);
    compare_names(a->inputs, b->inputs, a->input_count);
    compare_names(a->outputs, b->outputs, a->output_count);
    for (int i = 0; i < a->attr_count; i++)
        compare_attrs(&a->attrs[i], &b->attrs[i]);
}

static void compare_graphs(const adze_onnx_graph *a, const adze_onnx_graph *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_STR(a->doc, b->doc);
    CHECK_EQ(a->node_count, b->node_count);
    CHECK_EQ(a->initializer_count, b->initializer_count);
    CHECK_EQ(a->sparse_count, b->sparse_count);
    CHECK_EQ(a->input_count, b->input_count);
    CHECK_EQ(a->output_count, b->output_count);
    CHECK_EQ(a->value_info_count, b->value_info_count);
    for (int i = 0; i < a->node_count; i++)
        compare_nodes(&a->nodes[i], &b->nodes[i]);
    for (int i = 0; i < a->initializer_count; i++)
        onnx_compare_tensors(&a->initializers[i], &b->initializers[i]);
    for (int i = 0; i < a->sparse_count; i++)
        compare_sparse(&a->sparse[i], &b->sparse[i]);
    compare_values(a->inputs, b->inputs, a->input_count);
    compare_values(a->outputs, b->outputs, a->output_count);
    compare_values(a->value_info, b->value_info, a->value_info_count);
}

static void compare_opsets(const adze_onnx_opset *a, const adze_onnx_opset *b, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK_STR(a[i].domain, b[i].domain);
        CHECK_EQ(a[i].version, b[i].version);
    }
}

static void compare_functions(const adze_onnx_function *a, const adze_onnx_function *b)
{
    CHECK_STR(a->name, b->name);
    CHECK_STR(a->domain, b->domain);
    CHECK_STR(a->overload, b->overload);
    CHECK_EQ(a->input_count, b->input_count);
    CHECK_EQ(a->output_count, b->output_count);
    CHECK_EQ(a->attr_count, b->attr_count);
    CHECK_EQ(a->attr_default_count, b->attr_default_count);
    CHECK_EQ(a->node_count, b->node_count);
    CHECK_EQ(a->opset_count, b->opset_count);
    CHECK_EQ(a->value_info_count, b->value_info_count);
    compare_names(a->inputs, b->inputs, a->input_count);
    compare_names(a->outputs, b->outputs, a->output_count);
    compare_names(a->attrs, b->attrs, a->attr_count);
    for (int i = 0; i < a->attr_default_count; i++)
        compare_attrs(&a->attr_defaults[i], &b->attr_defaults[i]);
    for (int i = 0; i < a->node_count; i++)
        compare_nodes(&a->nodes[i], &b->nodes[i]);
    compare_opsets(a->opsets, b->opsets, a->opset_count);
    compare_values(a->value_info, b->value_info, a->value_info_count);
}

void onnx_compare_models(const adze_onnx_model *a, const adze_onnx_model *b)
{
    CHECK_EQ(a->ir_version, b->ir_version);
    CHECK_EQ(a->model_version, b->model_version);
    CHECK_STR(a->producer_name, b->producer_name);
    CHECK_STR(a->producer_version, b->producer_version);
    CHECK_STR(a->domain, b->domain);
    CHECK_STR(a->doc, b->doc);
    CHECK_EQ(a->opset_count, b->opset_count);
    CHECK_EQ(a->function_count, b->function_count);
    CHECK_EQ(a->meta_count, b->meta_count);
    compare_graphs(&a->graph, &b->graph);
    compare_opsets(a->opsets, b->opsets, a->opset_count);
    for (int i = 0; i < a->function_count; i++)
        compare_functions(&a->functions[i], &b->functions[i]);
    for (int i = 0; i < a->meta_count; i++) {
        CHECK_STR(a->meta[i].key, b->meta[i].key);
        CHECK_STR(a->meta[i].value, b->meta[i].value);
    }
}
