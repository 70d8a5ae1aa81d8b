/* Models of ai.onnx.ml: maps, and files that would lead a tree astray. */
#include <string.h>

#include "adze/session.h"
#include "op_case.h"

static const char domain[] = "ai.onnx.ml";

static void set_strings(adze_node *node, const char *name, int n, const adze_string *list)
{
    adze_attr attr = {.name = name, .type = ADZE_ATTR_STRINGS, .count = n};
    attr.as.strings = list;
    CHECK(adze_node_set_attr(node, &attr));
}

/* A regressor of one split at 1 on feature 0; `no` is where the false branch goes. */
static void open_tree(op_case *c, const float *x, int64_t columns, int64_t no, int64_t vote)
{
    static const adze_string modes[] = {{"BRANCH_LEQ", 10}, {"LEAF", 4}, {"LEAF", 4}};
    static const int64_t trees[] = {0, 0, 0}, numbers[] = {0, 1, 2};
    static const float splits[] = {1, 0, 0}, weights[] = {-1, 5};
    int64_t dims[2] = {2, columns}, yes[] = {1, 0, 0}, to[] = {no, 0, 0}, votes[] = {1, vote};
    op_case_open(c, "ref");
    op_case_input(c, ADZE_F32, 2, dims, x, NULL);
    adze_node *node = op_case_node_in(c, domain, "TreeEnsembleRegressor", 1);
    bool ok = adze_node_set_ints(node, "nodes_treeids", 3, trees) &&
              adze_node_set_ints(node, "nodes_nodeids", 3, numbers) &&
              adze_node_set_ints(node, "nodes_featureids", 3, trees) &&
              adze_node_set_ints(node, "nodes_truenodeids", 3, yes) &&
              adze_node_set_ints(node, "nodes_falsenodeids", 3, to) &&
              adze_node_set_floats(node, "nodes_values", 3, splits) &&
              adze_node_set_ints(node, "target_treeids", 2, trees) &&
              adze_node_set_ints(node, "target_nodeids", 2, votes) &&
              adze_node_set_ints(node, "target_ids", 2, trees) &&
              adze_node_set_floats(node, "target_weights", 2, weights);
    CHECK(ok);
    set_strings(node, "nodes_modes", 3, modes);
}

TEST(classic_tree)
{
    static const float x[] = {1, 1.5f};
    op_case c;
    open_tree(&c, x, 1, 2, 2);
    op_case_run(&c);
    const float *y = c.output[0].data;
    CHECK(y[0] == -1 && y[1] == 5);
    op_case_close(&c);
}

TEST(classic_tree_that_is_none)
{
    static const float x[] = {1, 1.5f};
    static const struct {
        int64_t columns, no, vote;
    } wrong[] = {{1, 0, 2}, {1, 7, 2}, {1, 2, 9}, {0, 2, 2}};
    for (size_t i = 0; i < ADZE_COUNT_OF(wrong); i++) {
        op_case c;
        open_tree(&c, x, wrong[i].columns, wrong[i].no, wrong[i].vote);
        adze_status status = op_case_try(&c);
        CHECK(status == ADZE_BAD_MODEL || status == ADZE_BAD_DATA);
        op_case_close(&c);
    }
}

TEST(classic_index_outside_features)
{
    static const float x[] = {1, 2, 3};
    static const int64_t index[] = {0, 3};
    int64_t dims[2] = {1, 3}, n = 2;
    op_case c;
    op_case_open(&c, "ref");
    op_case_input(&c, ADZE_F32, 2, dims, x, NULL);
    op_case_input(&c, ADZE_I64, 1, &n, index, NULL);
    op_case_node_in(&c, domain, "ArrayFeatureExtractor", 1);
    CHECK_EQ(op_case_try(&c), ADZE_BAD_DATA);
    op_case_close(&c);
}

TEST(classic_last_of_equal_keys_counts)
{
    static const adze_string keys[] = {{"a", 1}, {"", 0}, {"a", 1}};
    static const adze_string x[] = {{"a", 1}, {"", 0}, {"b", 1}};
    static const int64_t values[] = {1, 2, 3};
    int64_t n = 3;
    op_case c;
    op_case_open(&c, "ref");
    op_case_input(&c, ADZE_STRING, 1, &n, x, NULL);
    adze_node *node = op_case_node_in(&c, domain, "LabelEncoder", 1);
    set_strings(node, "keys_strings", 3, keys);
    CHECK(adze_node_set_ints(node, "values_int64s", 3, values));
    op_case_run(&c);
    const int64_t *y = c.output[0].data;
    CHECK(y[0] == 3 && y[1] == 2 && y[2] == -1);
    op_case_close(&c);
}

TEST(classic_zip_map_in_a_session)
{
    static const float x[] = {0.25f, 0.75f, 0.5f, 0.5f};
    static const int64_t labels[] = {7, 9};
    adze_context *context = NULL;
    adze_graph *graph = NULL;
    adze_plan *plan = NULL;
    adze_session *session = NULL;
    adze_error err = {0};
    CHECK_OK(adze_context_open(&context, NULL, &err), &err);
    CHECK_OK(adze_graph_create(&graph, context, &err), &err);
    adze_dim dims[2] = {adze_graph_symbol(graph, "N"), 2};
    adze_type type = adze_type_tensor(ADZE_F32, 2, dims);
    adze_value *input = adze_graph_add_input(graph, "x", &type);
    adze_node *node = adze_graph_add_node(graph, domain, "ZipMap", "zip", 1, &input, 1);
    CHECK(adze_node_set_ints(node, "classlabels_int64s", 2, labels));
    CHECK_OK(adze_graph_add_output(graph, node->outputs[0], &err), &err);
    CHECK_OK(adze_graph_infer(graph, &err), &err);
    CHECK_OK(adze_plan_create(&plan, graph, NULL, &err), &err);
    CHECK_OK(adze_session_open(&session, plan, NULL, &err), &err);
    for (int64_t rows = 2; rows >= 0; rows--) {
        int64_t shape[2] = {rows, 2};
        adze_item in = {.tensor = adze_tensor_view(ADZE_F32, 2, shape, (void *)x)}, out = {0};
        CHECK_OK(adze_session_run_items(session, &in, &out, &err), &err);
        CHECK(out.kind == ADZE_VALUE_SEQUENCE && out.count == rows);
        for (int64_t r = 0; r < rows; r++) {
            const adze_item *map = &out.items[r];
            CHECK(map->count == 2 && ((const int64_t *)map->items[0].tensor.data)[1] == 9);
            CHECK(((const float *)map->items[1].tensor.data)[0] == x[2 * r]);
        }
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_graph_free(&graph);
    adze_context_close(&context);
}
