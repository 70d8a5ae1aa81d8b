/* Quantized operators of com.microsoft become ONNX's own when a file is read. */
#include "graph/ir.h"
#include "model/onnx_import.h"
#include "test.h"

typedef struct fixture {
    adze_context *context;
    adze_graph *graph;
    adze_error error;
} fixture;

static void open_fixture(fixture *f)
{
    adze_context_options options = adze_context_options_default();
    memset(f, 0, sizeof *f);
    CHECK_OK(adze_context_open(&f->context, &options, &f->error), &f->error);
    CHECK_OK(adze_graph_create(&f->graph, f->context, &f->error), &f->error);
}

static void close_fixture(fixture *f)
{
    adze_graph_free(&f->graph);
    adze_context_close(&f->context);
}

static adze_value *constant(fixture *f, adze_dtype dtype, int rank, const int64_t *dims, void *data)
{
    adze_tensor t = adze_tensor_view(dtype, rank, dims, data);
    adze_value *value = adze_graph_add_constant(f->graph, NULL, &t, true);
    CHECK(value);
    return value;
}

static adze_node *contrib(fixture *f, const char *op, int n, adze_value *const *inputs)
{
    adze_node *node = adze_graph_new_node(f->graph, "com.microsoft", op, "it", 0, 1);
    CHECK(node);
    for (int i = 0; i < n; i++)
        CHECK(adze_node_add_input(node, inputs[i]));
    return node;
}

TEST(contrib_operators_are_dequantize_compute_quantize)
{
    fixture f;
    open_fixture(&f);
    float scale = 0.5f;
    uint8_t zero = 3;
    adze_type type = adze_type_tensor(ADZE_U8, 2, (adze_dim[]){adze_graph_symbol(f.graph, "N"), 4});
    adze_value *x = adze_graph_add_input(f.graph, "x", &type);
    adze_value *s = constant(&f, ADZE_F32, 0, NULL, &scale),
               *z = constant(&f, ADZE_U8, 0, NULL, &zero);
    adze_node *node = contrib(&f, "QLinearAdd", 8, (adze_value *[]){x, s, z, x, s, z, s, z});
    CHECK_OK(adze_onnx_expand_contrib(node, &f.error), &f.error);
    CHECK(adze_graph_append(f.graph, node));
    CHECK_EQ(adze_graph_node_count(f.graph), 4);
    CHECK_STR(adze_node_op(adze_graph_node(f.graph, 2)), "Add");
    CHECK_STR(adze_node_op(node), "QuantizeLinear");
    CHECK_OK(adze_graph_infer(f.graph, &f.error), &f.error);
    CHECK_EQ(node->outputs[0]->type.dtype, ADZE_U8);
    CHECK_EQ(node->outputs[0]->type.dims[0], type.dims[0]);
    node = contrib(&f, "QLinearAdd", 6, (adze_value *[]){x, s, z, x, s, z});
    CHECK_FAILS(adze_onnx_expand_contrib(node, &f.error), ADZE_BAD_MODEL, &f.error);
    node = contrib(&f, "Unheard", 1, (adze_value *[]){x});
    CHECK_OK(adze_onnx_expand_contrib(node, &f.error), &f.error);
    CHECK_STR(adze_node_op(node), "Unheard");
    close_fixture(&f);
}

TEST(contrib_matmul_of_bits_checks_its_sizes)
{
    fixture f;
    open_fixture(&f);
    uint8_t bytes[2 * 16] = {0};
    float scales[2] = {1, 2};
    adze_type type = adze_type_tensor(ADZE_F32, 2, (adze_dim[]){1, 20});
    adze_value *x = adze_graph_add_input(f.graph, "x", &type);
    adze_value *b = constant(&f, ADZE_U8, 3, (int64_t[]){2, 1, 16}, bytes);
    adze_value *s = constant(&f, ADZE_F32, 1, (int64_t[]){2}, scales);
    for (int64_t n = 2; n <= 3; n++) {
        adze_node *node = contrib(&f, "MatMulNBits", 3, (adze_value *[]){x, b, s});
        CHECK(adze_node_set_int(node, "K", 20) && adze_node_set_int(node, "N", n));
        CHECK(adze_node_set_int(node, "block_size", 32));
        if (n == 3) {
            CHECK_FAILS(adze_onnx_expand_contrib(node, &f.error), ADZE_BAD_MODEL, &f.error);
            break;
        }
        CHECK_OK(adze_onnx_expand_contrib(node, &f.error), &f.error);
        CHECK(adze_graph_append(f.graph, node));
        CHECK_OK(adze_graph_infer(f.graph, &f.error), &f.error);
        CHECK_EQ(node->outputs[0]->type.dims[1], 2);
    }
    close_fixture(&f);
}
