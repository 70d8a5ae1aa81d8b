/* Models of ai.onnx.ml: maps, and files that would lead a tree astray. */
#include <math.h>
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

/* Forests of LEQ alone take a way of their own for float32: the same numbers as for float64, NaN too. */
TEST(classic_forest_of_many_rows)
{
    enum { TREES = 7, NODES = 15, N = TREES * NODES, LEAVES = TREES * 8, ROWS = 77, COLUMNS = 5 };
    static int64_t trees[N], numbers[N], features[N], yes[N], no[N];
    static int64_t leaf_trees[LEAVES], leaf_numbers[LEAVES], targets[LEAVES];
    static float splits[N], weights[LEAVES], x[ROWS * COLUMNS];
    static double wide[ROWS * COLUMNS];
    static adze_string modes[N];
    op_case_fill(splits, N, 1, -1, 1);
    op_case_fill(weights, LEAVES, 2, -1, 1);
    op_case_fill(x, ROWS * COLUMNS, 3, -1.5f, 1.5f);
    for (int i = 0; i < N; i++) {
        bool leaf = i % NODES >= 7;
        trees[i] = i / NODES;
        numbers[i] = i % NODES;
        features[i] = i * 7 % COLUMNS;
        yes[i] = leaf ? 0 : 2 * numbers[i] + 1;
        no[i] = leaf ? 0 : 2 * numbers[i] + 2;
        modes[i] = leaf ? (adze_string){"LEAF", 4} : (adze_string){"BRANCH_LEQ", 10};
    }
    for (int i = 0; i < LEAVES; i++) {
        leaf_trees[i] = i / 8;
        leaf_numbers[i] = 7 + i % 8;
        targets[i] = i % 3;
    }
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        x[i] = i % 11 == 0 ? splits[i % N] : i % 31 == 0 ? NAN : x[i];
        wide[i] = (double)x[i];
    }
    float expected[ROWS * 3];
    for (int way = 0; way < 2; way++) {
        op_case c;
        int64_t dims[2] = {ROWS, COLUMNS};
        op_case_open(&c, "ref");
        op_case_input(&c, way ? ADZE_F32 : ADZE_F64, 2, dims, way ? (void *)x : (void *)wide, NULL);
        adze_node *node = op_case_node_in(&c, domain, "TreeEnsembleRegressor", 1);
        CHECK(adze_node_set_ints(node, "nodes_treeids", N, trees) &&
              adze_node_set_ints(node, "nodes_nodeids", N, numbers) &&
              adze_node_set_ints(node, "nodes_featureids", N, features) &&
              adze_node_set_ints(node, "nodes_truenodeids", N, yes) &&
              adze_node_set_ints(node, "nodes_falsenodeids", N, no) &&
              adze_node_set_floats(node, "nodes_values", N, splits) &&
              adze_node_set_ints(node, "target_treeids", LEAVES, leaf_trees) &&
              adze_node_set_ints(node, "target_nodeids", LEAVES, leaf_numbers) &&
              adze_node_set_ints(node, "target_ids", LEAVES, targets) &&
              adze_node_set_floats(node, "target_weights", LEAVES, weights) &&
              adze_node_set_int(node, "n_targets", 3));
        set_strings(node, "nodes_modes", N, modes);
        op_case_run(&c);
        if (way)
            CHECK_BYTES(c.output[0].data, expected, sizeof expected);
        memcpy(expected, c.output[0].data, sizeof expected);
        op_case_close(&c);
    }
}

TEST(classic_labels_near_and_far)
{
    static const int64_t near[] = {5, -3, 7, 5}, far[] = {5, -3, INT64_MAX, 5},
                         values[] = {50, 30, 70, 51};
    static const float reals[] = {0.5f, 0.25f, 0.75f, 0.125f};
    static const int64_t x[] = {5, 7, -3, -4, 8, INT64_MIN, INT64_MAX, 6};
    int64_t n = 8;
    for (int form = 0; form < 4; form++) {
        op_case c;
        const int64_t *keys = form & 1 ? far : near;
        op_case_open(&c, "ref");
        op_case_input(&c, ADZE_I64, 1, &n, x, NULL);
        adze_node *node = op_case_node_in(&c, domain, "LabelEncoder", 1);
        CHECK(adze_node_set_ints(node, "keys_int64s", 4, keys));
        CHECK(form & 2 ? adze_node_set_floats(node, "values_floats", 4, reals)
                       : adze_node_set_ints(node, "values_int64s", 4, values));
        op_case_run(&c);
        for (int i = 0; i < 8; i++) {
            int at = x[i] == 5 ? 3 : x[i] == keys[1] ? 1 : x[i] == keys[2] ? 2 : -1;
            double none = form & 2 ? 0 : -1, wanted = form & 2 ? (double)reals[at < 0 ? 0 : at]
                                                               : (double)values[at < 0 ? 0 : at];
            CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), at < 0 ? none : wanted, 0);
        }
        op_case_close(&c);
    }
}

enum { SAMPLES = 9, FEATURES = 7, VECTORS = 5 };

static void open_features(op_case *c, bool wide, float *x, double *room)
{
    int64_t dims[2] = {SAMPLES, FEATURES};
    op_case_fill(x, SAMPLES * FEATURES, 4, -2, 2);
    for (int i = 0; i < SAMPLES * FEATURES; i++)
        room[i] = (double)x[i];
    op_case_open(c, "ref");
    op_case_input(c, wide ? ADZE_F64 : ADZE_F32, 2, dims, wide ? (void *)room : (void *)x, NULL);
}

TEST(classic_scaler_and_normalizer)
{
    static const char *const norms[] = {"MAX", "L1", "L2"};
    float x[SAMPLES * FEATURES], offset[FEATURES], scale[FEATURES];
    double room[SAMPLES * FEATURES];
    op_case c;
    op_case_fill(offset, FEATURES, 5, -1, 1);
    op_case_fill(scale, FEATURES, 6, -1, 1);
    for (int wide = 0; wide < 2; wide++) {
        for (int form = 0; form < 4; form++) {
            open_features(&c, wide, x, room);
            adze_node *node = op_case_node_in(&c, domain, "Scaler", 1);
            CHECK(adze_node_set_floats(node, "offset", form & 1 ? FEATURES : 1, offset));
            CHECK(!(form & 2) || adze_node_set_floats(node, "scale", FEATURES, scale));
            op_case_run(&c);
            for (int i = 0; i < SAMPLES * FEATURES; i++) {
                double v = (double)x[i] - (double)offset[form & 1 ? i % FEATURES : 0];
                v *= form & 2 ? (double)scale[i % FEATURES] : 1;
                CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), (double)(float)v, 0);
            }
            op_case_close(&c);
        }
        for (int norm = 0; norm < 3; norm++) {
            open_features(&c, wide, x, room);
            CHECK(adze_node_set_string(op_case_node_in(&c, domain, "Normalizer", 1), "norm",
                                       norms[norm]));
            op_case_run(&c);
            for (int i = 0; i < SAMPLES * FEATURES; i++) {
                double size = norm ? 0 : -INFINITY;
                for (int k = 0; k < FEATURES; k++) {
                    double v = room[i / FEATURES * FEATURES + k];
                    size = norm == 0 ? fmax(size, v) : size + (norm == 1 ? fabs(v) : v * v);
                }
                size = norm == 2 ? sqrt(size) : size;
                CHECK_NEAR(adze_tensor_get_f64(&c.output[0], i), room[i] / size,
                           1e-6 * fabs(room[i] / size));
            }
            op_case_close(&c);
        }
    }
}

TEST(classic_machine_and_linear_sums)
{
    float x[SAMPLES * FEATURES], vectors[VECTORS * FEATURES], weights[VECTORS];
    static const float rho[1] = {0.25f}, params[3] = {0.1f, 0, 3};
    double room[SAMPLES * FEATURES];
    op_case_fill(vectors, VECTORS * FEATURES, 7, -1, 1);
    op_case_fill(weights, VECTORS, 8, -1, 1);
    for (int way = 0; way < 4; way++) { /* machine or linear regressor, float32 or float64 */
        op_case c;
        open_features(&c, way & 1, x, room);
        adze_node *node =
            op_case_node_in(&c, domain, way & 2 ? "LinearRegressor" : "SVMRegressor", 1);
        if (way & 2) {
            CHECK(adze_node_set_floats(node, "coefficients", VECTORS * FEATURES, vectors));
            CHECK(adze_node_set_int(node, "targets", VECTORS));
        } else {
            CHECK(adze_node_set_floats(node, "coefficients", VECTORS, weights) &&
                  adze_node_set_floats(node, "support_vectors", VECTORS * FEATURES, vectors) &&
                  adze_node_set_floats(node, "rho", 1, rho) &&
                  adze_node_set_floats(node, "kernel_params", 3, params) &&
                  adze_node_set_int(node, "n_supports", VECTORS) &&
                  adze_node_set_string(node, "kernel_type", "RBF"));
        }
        op_case_run(&c);
        for (int row = 0; row < SAMPLES; row++) {
            double sum = 0.25;
            for (int v = 0; v < VECTORS; v++) {
                double product = 0, distance = 0;
                for (int k = 0; k < FEATURES; k++) {
                    double a = room[row * FEATURES + k], b = (double)vectors[v * FEATURES + k];
                    product += a * b;
                    distance += (a - b) * (a - b);
                }
                sum += (double)weights[v] * exp(-(double)0.1f * distance);
                if (way & 2)
                    CHECK_NEAR(adze_tensor_get_f64(&c.output[0], row * VECTORS + v), product, 1e-6);
            }
            if (!(way & 2))
                CHECK_NEAR(adze_tensor_get_f64(&c.output[0], row), sum, 1e-6);
        }
        op_case_close(&c);
    }
}
