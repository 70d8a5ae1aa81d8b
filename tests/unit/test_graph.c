#include "test.h"
#include "base/memory.h"
#include "base/text.h"
#include "graph/ir.h"

#include <stdlib.h>

static adze_arena dims_arena;
static adze_dims dims;

static adze_dims *fresh_dims(void)
{
    adze_arena_free(&dims_arena);
    CHECK(adze_dims_init(&dims, &dims_arena));
    return &dims;
}

static const char *shown(adze_dim d)
{
    static char buf[256];
    return adze_dim_format(&dims, d, buf, sizeof buf);
}

/* floor((d + pads - kernel) / stride) + 1 */
static adze_dim window(adze_dim d, int pads, int kernel, int stride)
{
    d = adze_dim_op(&dims, ADZE_DIM_ADD, d, pads);
    d = adze_dim_op(&dims, ADZE_DIM_SUB, d, kernel);
    d = adze_dim_op(&dims, ADZE_DIM_DIV, d, stride);
    return adze_dim_op(&dims, ADZE_DIM_ADD, d, 1);
}

TEST(dims_numbers)
{
    adze_dims *d = fresh_dims();
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_ADD, 2, 3), 5);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MUL, 2, 3), 6);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_DIV, 7, 2), 3);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_CEIL, 7, 2), 4);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MIN, 7, 2), 2);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MAX, 7, 2), 7);
    CHECK(!adze_dim_known(adze_dim_op(d, ADZE_DIM_SUB, 2, 3)));
    CHECK(!adze_dim_known(adze_dim_op(d, ADZE_DIM_DIV, 2, 0)));
}

TEST(dims_one_form)
{
    adze_dims *d = fresh_dims();
    adze_dim h = adze_dim_symbol(d, "H"), n = adze_dim_symbol(d, "N");
    CHECK_EQ(adze_dim_symbol(d, "H"), h);
    CHECK_EQ(window(h, 2, 3, 1), h);
    CHECK_STR(shown(window(h, 0, 2, 2)), "H/2");
    CHECK_STR(shown(window(h, 2, 3, 2)), "ceil(H/2)");
    CHECK_STR(shown(window(h, 6, 7, 2)), "ceil(H/2)");
    CHECK_STR(shown(window(window(h, 6, 7, 2), 2, 3, 2)), "ceil(H/4)");
    CHECK_STR(shown(window(h, 0, 3, 1)), "H-2");
    CHECK_STR(shown(window(h, 0, 3, 3)), "H/3");
    CHECK_STR(shown(window(h, 1, 3, 3)), "(H+1)/3");
    adze_dim twice = adze_dim_op(d, ADZE_DIM_MUL, n, 2);
    CHECK_STR(shown(adze_dim_op(d, ADZE_DIM_ADD, twice, 1)), "2*N+1");
    adze_dim grown = adze_dim_op(d, ADZE_DIM_MUL, adze_dim_op(d, ADZE_DIM_SUB, n, 1), 2);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_ADD, grown, 2), twice);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_ADD, n, n), twice);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_DIV, twice, 2), n);
    /* the multiple of 100 below that offset does not fit */
    adze_dim far = adze_dim_op(d, ADZE_DIM_SUB, n, INT64_MAX);
    CHECK(!adze_dim_known(adze_dim_op(d, ADZE_DIM_DIV, far, 100)));
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_SUB, twice, n), n);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_SUB, n, n), 0);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MUL, n, 0), 0);
    adze_dim area = adze_dim_op(d, ADZE_DIM_MUL, adze_dim_op(d, ADZE_DIM_MUL, n, 3), h);
    CHECK_EQ(area, adze_dim_op(d, ADZE_DIM_MUL, adze_dim_op(d, ADZE_DIM_MUL, h, n), 3));
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_DIV, area, n), adze_dim_op(d, ADZE_DIM_MUL, h, 3));
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_DIV, area, adze_dim_op(d, ADZE_DIM_MUL, n, 3)), h);
    adze_dim sum = adze_dim_op(d, ADZE_DIM_ADD, h, n);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_SUB, sum, n), h);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_ADD, adze_dim_op(d, ADZE_DIM_SUB, h, n), n), h);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MAX, n, 1), n);
    CHECK_STR(shown(adze_dim_op(d, ADZE_DIM_MIN, n, 8)), "min(N,8)");
    adze_dim up = adze_dim_op(d, ADZE_DIM_MUL, adze_dim_op(d, ADZE_DIM_CEIL, h, 32), 2);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MAX, adze_dim_op(d, ADZE_DIM_CEIL, h, 16), up), up);
    CHECK_EQ(adze_dim_op(d, ADZE_DIM_MIN, h, adze_dim_op(d, ADZE_DIM_MUL, h, 2)), h);
    CHECK_STR(shown(adze_dim_unknown(d, 5)), "?");
}

/* Random expressions: what was simplified has the value of what was written, and keeps its bounds. */
TEST(dims_random_expressions)
{
    uint64_t seed = 7;
    for (int round = 0; round < 300; round++) {
        adze_dims *d = fresh_dims();
        int64_t values[512] = {0}, truth[24];
        adze_dim handle[24];
        int count = 0;
        for (; count < 3; count++) {
            char name[2] = {(char)('A' + count), 0};
            handle[count] = adze_dim_symbol(d, name);
            truth[count] = 1 + (int64_t)(test_random(&seed) % 40);
            values[-1 - handle[count]] = truth[count];
        }
        for (; count < 6; count++)
            handle[count] = truth[count] = 1 + (int64_t)(test_random(&seed) % 7);
        for (; count < 24; count++) {
            adze_dim_kind kind = ADZE_DIM_ADD + (adze_dim_kind)(test_random(&seed) % 7);
            int i = (int)(test_random(&seed) % (uint64_t)count);
            int j = (int)(test_random(&seed) % (uint64_t)count);
            int64_t a = truth[i], b = truth[j], r = 0;
            bool bad = (kind == ADZE_DIM_SUB && a < b) || llabs(a) > 1000000 || b > 1000000 ||
                       (b < 1 && (kind == ADZE_DIM_DIV || kind == ADZE_DIM_CEIL));
            if (bad)
                kind = ADZE_DIM_MAX;
            switch ((int)kind) {
            case ADZE_DIM_ADD: r = a + b; break;
            case ADZE_DIM_SUB: r = a - b; break;
            case ADZE_DIM_MUL: r = a * b; break;
            case ADZE_DIM_DIV: r = a / b; break;
            case ADZE_DIM_CEIL: r = (a + b - 1) / b; break;
            case ADZE_DIM_MIN: r = a < b ? a : b; break;
            default: r = a > b ? a : b;
            }
            truth[count] = r;
            handle[count] = adze_dim_op(d, kind, handle[i], handle[j]);
            const adze_dim_def *def = adze_dim_get(d, handle[count]);
            if (def && def->kind == ADZE_DIM_UNKNOWN)
                handle[count] = truth[count]; /* too large: goes on as a number */
            CHECK(d->count < 512);
            int64_t value = adze_dim_evaluate(d, handle[count], values);
            if (value != r)
                FAIL("round %d: %s is %lld, not %lld", round, shown(handle[count]),
                     (long long)value, (long long)r);
            CHECK(adze_dim_lower(d, handle[count]) <= r);
            CHECK(adze_dim_upper(d, handle[count]) >= r);
        }
    }
}

TEST(dims_bounds)
{
    adze_graph *g;
    CHECK_OK(adze_graph_create(&g, NULL, NULL), NULL);
    adze_dim h = adze_graph_symbol(g, "H");
    adze_dim half = adze_dim_op(g->dims, ADZE_DIM_CEIL, h, 2);
    CHECK_EQ(adze_dim_upper(g->dims, half), INT64_MAX);
    CHECK_OK(adze_graph_bound(g, "H", 8, 33, NULL), NULL);
    CHECK_EQ(adze_dim_upper(g->dims, half), 17);
    CHECK_EQ(adze_dim_lower(g->dims, half), 4);
    CHECK_FAILS(adze_graph_bound(g, "H", 40, 50, NULL), ADZE_BAD_ARGUMENT, NULL);
    CHECK_FAILS(adze_graph_bound(g, "W", 1, 2, NULL), ADZE_NOT_FOUND, NULL);
    adze_graph_free(&g);
}

/* x -> Conv(w) {strides} -> Relu -> Add(state) -> y; state <- y; If with a subgraph that captures. */
static bool build(adze_graph *g)
{
    float w[4] = {1, 2, 3, 4}, zero[1] = {0};
    adze_dim in[4] = {adze_graph_symbol(g, "N"), 1, 4, 4};
    int64_t wd[4] = {1, 1, 2, 2}, sd[1] = {1};
    adze_type type = adze_type_tensor(ADZE_F32, 4, in);
    adze_value *x = adze_graph_add_input(g, "x", &type);
    adze_tensor wt = adze_tensor_view(ADZE_F32, 4, wd, w),
                st = adze_tensor_view(ADZE_F32, 1, sd, zero);
    adze_value *weights = adze_graph_add_constant(g, "w", &wt, true);
    adze_value *state = adze_graph_add_state(g, "s", &st);
    if (!x || !weights || !state)
        return false;
    adze_node *conv =
        adze_graph_add_node(g, "", "Conv", "conv", 2, (adze_value *[]){x, weights}, 1);
    if (!conv || !adze_node_set_ints(conv, "strides", 2, (int64_t[]){2, 2}))
        return false;
    adze_node *relu = adze_graph_add_node(g, "", "Relu", NULL, 1, conv->outputs, 1);
    if (!relu)
        return false;
    adze_node *add =
        adze_graph_add_node(g, "", "Add", "add", 2, (adze_value *[]){relu->outputs[0], state}, 1);
    if (!add)
        return false;
    adze_graph_set_next(state, add->outputs[0]);
    adze_node *branch = adze_graph_add_node(g, "", "If", "if", 1, add->outputs, 1);
    adze_graph *sub;
    if (!branch || adze_graph_create_child(&sub, g, NULL) != ADZE_OK)
        return false;
    adze_value *capture = adze_graph_add_capture(sub, NULL, relu->outputs[0]);
    adze_node *inner = capture ? adze_graph_add_node(sub, "", "Neg", "neg", 1, &capture, 1) : NULL;
    adze_attr attr = {.name = "then_branch", .type = ADZE_ATTR_GRAPH, .as.graph = sub};
    return inner && adze_graph_add_output(sub, inner->outputs[0], NULL) == ADZE_OK &&
           adze_node_set_attr(branch, &attr) &&
           adze_graph_add_output(g, branch->outputs[0], NULL) == ADZE_OK;
}

static adze_graph *built(void)
{
    adze_graph *g;
    CHECK_OK(adze_graph_create(&g, NULL, NULL), NULL);
    CHECK(build(g));
    adze_error err;
    CHECK_OK(adze_graph_verify(g, "building", &err), &err);
    return g;
}

static char *text_of(const adze_graph *g, adze_graph_format format)
{
    char *text;
    CHECK_OK(adze_graph_format_text(&text, g, format, NULL), NULL);
    return text;
}

TEST(prints_one_line_a_node)
{
    adze_graph *g = built();
    g->nodes[0]->outputs[0]->type = g->inputs[0]->type;
    char *text = text_of(g, ADZE_GRAPH_TEXT);
    CHECK(strstr(text, "%v3: float32[N,1,4,4] = Conv(%x, %w: float32[1,1,2,2]{1,2,3,4}) "
                       "{strides=[2,2]}  # conv\n"));
    CHECK(strstr(text, "graph (%x: float32[N,1,4,4]) -> (%v6: ?[...])\n"));
    CHECK(strstr(text, "state %s: float32[1] <- %v5\n"));
    CHECK(strstr(text, "%v4: ?[...] = outer %v4\n"));
    adze_string_free(&text);
    CHECK(text == NULL);
    text = text_of(g, ADZE_GRAPH_DOT);
    CHECK(adze_starts_with(text, "digraph"));
    CHECK(strstr(text, "n0 -> n1"));
    adze_string_free(&text);
    text = text_of(g, ADZE_GRAPH_MERMAID);
    CHECK(adze_starts_with(text, "flowchart"));
    adze_string_free(&text);
    adze_graph_free(&g);
}

TEST(clone_is_equal_and_apart)
{
    adze_graph *g = built(), *copy;
    adze_error err;
    CHECK_OK(adze_graph_clone(&copy, g, &err), &err);
    CHECK_OK(adze_graph_verify(copy, "clone", &err), &err);
    char *a = text_of(g, ADZE_GRAPH_TEXT), *b = text_of(copy, ADZE_GRAPH_TEXT);
    CHECK_STR(a, b);
    adze_string_free(&a);
    adze_string_free(&b);
    CHECK(adze_value_constant(adze_graph_find(copy, "w"))->data ==
          adze_value_constant(adze_graph_find(g, "w"))->data);
    const adze_graph *sub = copy->nodes[3]->attrs[0].as.graph;
    CHECK(sub->parent == copy && sub->captures[0]->outer == copy->nodes[1]->outputs[0]);
    adze_graph_free(&copy);
    adze_graph_free(&g);
}

TEST(names_are_unique)
{
    adze_graph *g = built();
    adze_type type = adze_type_tensor(ADZE_F32, 0, NULL);
    adze_value *second = adze_graph_new_value(g, "x", &type);
    CHECK_STR(second->name, "x_7");
    CHECK(adze_value_take_name(g, second, g->inputs[0]));
    CHECK_STR(second->name, "x");
    CHECK_STR(g->inputs[0]->name, "x_0");
    CHECK(adze_graph_find(g, "x") == second && adze_graph_find(g, "x_0") == g->inputs[0]);
    CHECK(!adze_graph_find(g, "x_7"));
    adze_graph_free(&g);
}

TEST(attributes)
{
    adze_graph *g = built();
    adze_node *n = g->nodes[0];
    int count;
    CHECK(adze_node_set_int(n, "group", 1) && adze_node_set_int(n, "group", 2));
    CHECK(adze_node_set_float(n, "alpha", 0.5f) && adze_node_set_string(n, "auto_pad", "VALID"));
    CHECK(adze_node_set_floats(n, "f", 2, (float[]){1, 2}));
    CHECK_EQ(adze_node_int(n, "group", 0), 2);
    CHECK_EQ(adze_node_int(n, "alpha", 7), 7);
    CHECK_NEAR(adze_node_float(n, "alpha", 0), 0.5, 0);
    CHECK_STR(adze_node_string(n, "auto_pad", ""), "VALID");
    CHECK_EQ(adze_node_ints(n, "strides", &count)[1], 2);
    CHECK_EQ(count, 2);
    CHECK(!adze_node_ints(n, "f", &count));
    adze_node_remove_attr(n, "strides");
    CHECK(!adze_node_has(n, "strides") && adze_node_has(n, "f"));
    CHECK_EQ(n->attr_count, 4);
    CHECK(adze_node_copy_attrs(g->nodes[1], n));
    CHECK_EQ(adze_node_int(g->nodes[1], "group", 0), 2);
    adze_graph_free(&g);
}

TEST(uses_count_outputs_states_and_captures)
{
    adze_graph *g = built();
    adze_arena scratch = {0};
    adze_uses uses;
    CHECK(adze_uses_build(&uses, g, &scratch));
    int relu = g->nodes[1]->outputs[0]->id, add = g->nodes[2]->outputs[0]->id;
    CHECK_EQ(uses.count[relu], 2);
    CHECK(uses.users[relu][0] == g->nodes[2] && uses.users[relu][1] == g->nodes[3]);
    CHECK_EQ(uses.count[add], 2);
    CHECK(uses.users[add][0] == g->nodes[3] && !uses.users[add][1]);
    CHECK_EQ(uses.count[g->nodes[3]->outputs[0]->id], 1);
    adze_arena_free(&scratch);
    adze_graph_free(&g);
}

TEST(replace_kill_compact)
{
    adze_graph *g = built();
    adze_value *conv = g->nodes[0]->outputs[0], *relu = g->nodes[1]->outputs[0];
    adze_graph_replace_uses(g, relu, conv);
    adze_node_kill(g->nodes[1]);
    adze_graph_compact(g);
    adze_error err;
    CHECK_EQ(g->node_count, 3);
    CHECK(g->nodes[1]->inputs[0] == conv && g->subgraphs[0]->captures[0]->outer == conv);
    CHECK_OK(adze_graph_verify(g, "replace", &err), &err);
    adze_graph_free(&g);
}

TEST(verify_finds_what_is_wrong)
{
    adze_graph *g = built();
    adze_error err;
    adze_node *first = g->nodes[0];
    g->nodes[0] = g->nodes[1];
    g->nodes[1] = first;
    CHECK_FAILS(adze_graph_verify(g, "swap", &err), ADZE_INTERNAL, &err);
    CHECK(strstr(err.message, "swap") && strstr(err.message, "v3"));
    CHECK_OK(adze_graph_sort(g, &err), &err);
    CHECK(g->nodes[0] == first);
    CHECK_OK(adze_graph_verify(g, "sort", &err), &err);
    g->nodes[2]->outputs[0]->producer_output = 1;
    CHECK_FAILS(adze_graph_verify(g, "x", &err), ADZE_INTERNAL, &err);
    adze_graph_free(&g);
}

TEST(sort_is_stable_and_deep)
{
    adze_graph *g;
    adze_error err;
    CHECK_OK(adze_graph_create(&g, NULL, &err), &err);
    adze_type type = adze_type_tensor(ADZE_F32, 0, NULL);
    adze_value *at = adze_graph_add_input(g, "x", &type);
    enum { N = 100000 };
    for (int i = 0; i < N; i++)
        at = adze_graph_add_node(g, "", "Neg", NULL, 1, &at, 1)->outputs[0];
    CHECK_OK(adze_graph_add_output(g, at, &err), &err);
    for (int i = 0; i < N / 2; i++) {
        adze_node *n = g->nodes[i];
        g->nodes[i] = g->nodes[N - 1 - i];
        g->nodes[N - 1 - i] = n;
    }
    CHECK_OK(adze_graph_sort(g, &err), &err);
    for (int i = 0; i < N; i++)
        CHECK_EQ(g->nodes[i]->id, i);
    CHECK_OK(adze_graph_verify(g, "sort", &err), &err);
    g->nodes[0]->inputs[0] = g->nodes[9]->outputs[0];
    CHECK_FAILS(adze_graph_sort(g, &err), ADZE_BAD_MODEL, &err);
    CHECK(strstr(err.message, "cycle"));
    adze_graph_free(&g);
}

TEST(survives_every_failed_allocation)
{
    long step = 1;
    for (bool done = false; !done && step < 10000; step++) {
        adze_graph *g = NULL, *copy = NULL;
        char *text = NULL;
        adze_arena scratch = {0};
        adze_uses uses;
        adze_alloc_fail_after(step);
        done = adze_graph_create(&g, NULL, NULL) == ADZE_OK && build(g) &&
               adze_graph_clone(&copy, g, NULL) == ADZE_OK &&
               adze_uses_build(&uses, copy, &scratch) && adze_graph_sort(copy, NULL) == ADZE_OK &&
               adze_graph_verify(copy, "x", NULL) == ADZE_OK &&
               adze_graph_format_text(&text, copy, ADZE_GRAPH_TEXT, NULL) == ADZE_OK;
        adze_alloc_fail_after(0);
        adze_string_free(&text);
        adze_arena_free(&scratch);
        adze_graph_free(&copy);
        adze_graph_free(&g);
    }
    CHECK(step > 3 && step < 10000);
}
