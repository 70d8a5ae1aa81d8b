/* A mutation takes a graph (the model's, or one inside an attribute), a place in it, and changes it: numbers of attributes
 * and tensors, shapes and types, the wiring, nodes. Types of results are forgotten, since a change would make them
 * contradictions. Values are chosen from those that operators treat differently: axes, sizes near each other, limits of
 * types. */
#include "mutate_onnx.h"

#include <math.h>
#include <string.h>

#include "ops/registry.h"

enum { MOST_NODES = 16, MOST_ELEMENTS = 4096, MOST_LIST = 64 };

typedef struct mutation {
    adze_onnx_model *model;
    adze_onnx_graph *graph; /* the one being changed */
    adze_arena *arena;
    adze_rng *rng;
} mutation;

/* ---- choosing ---- */

static int below(const mutation *m, int n)
{
    return n > 0 ? (int)adze_rng_below(m->rng, (uint64_t)n) : 0;
}

static bool one_in(const mutation *m, int n)
{
    return below(m, n) == 0;
}

static int64_t near_number(const mutation *m, int64_t old)
{
    static const int64_t usual[] = {0, 1, -1, 2, 3, -2, 4, 5, 7, 8, 16, 17, 64, 100};
    static const int64_t odd[] = {INT64_MAX,       INT64_MIN,     INT32_MAX, INT32_MIN,
                                  65536,           1 << 20,       -65536,    1LL << 32,
                                  (1LL << 62) + 1, INT64_MIN + 1, 1000,      -9};
    switch (below(m, 6)) {
    case 0: return (int64_t)((uint64_t)old + 1);
    case 1: return (int64_t)((uint64_t)old - 1);
    case 2: return one_in(m, 4) ? odd[below(m, ADZE_COUNT_OF(odd))] : (int64_t)(0 - (uint64_t)old);
    default: return usual[below(m, ADZE_COUNT_OF(usual))];
    }
}

static float near_float(const mutation *m, float old)
{
    static const float usual[] = {0, 1, -1, 0.5F, 2, 1e-3F, 10, -0.0F, 1e-5F, 3};
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38F, 1e-40F, 2147483648.0F, -1e19F};
    if (one_in(m, 3))
        return old * (one_in(m, 2) ? 2 : -0.5F);
    return one_in(m, 5) ? odd[below(m, ADZE_COUNT_OF(odd))] : usual[below(m, ADZE_COUNT_OF(usual))];
}

static int32_t some_type(const mutation *m)
{
    static const int32_t common[] = {1, 1, 1, 7, 6, 10, 11, 2, 3, 9, 16, 8};
    return one_in(m, 3) ? 1 + below(m, 26) : common[below(m, ADZE_COUNT_OF(common))];
}

static int64_t some_dim(const mutation *m)
{
    static const int64_t dims[] = {1, 2, 3, 4, 5, 1, 2, 7, 8, 16, 0, 33};
    return dims[below(m, ADZE_COUNT_OF(dims))];
}

static adze_string some_text(const mutation *m)
{
    static const char *const texts[] = {"",
                                        "NOTSET",
                                        "SAME_UPPER",
                                        "SAME_LOWER",
                                        "VALID",
                                        "constant",
                                        "reflect",
                                        "edge",
                                        "wrap",
                                        "linear",
                                        "nearest",
                                        "cubic",
                                        "bilinear",
                                        "bicubic",
                                        "half_pixel",
                                        "asymmetric",
                                        "align_corners",
                                        "forward",
                                        "reverse",
                                        "mean",
                                        "sum",
                                        "none",
                                        "add",
                                        "mul",
                                        "max",
                                        "min",
                                        "zeros",
                                        "border",
                                        "reflection",
                                        "DCR",
                                        "CRD",
                                        "tanh",
                                        "Tanh",
                                        "Relu",
                                        "Sigmoid",
                                        "HardSigmoid",
                                        "Affine",
                                        "Softsign",
                                        "Elu",
                                        "ThresholdedRelu",
                                        "floor",
                                        "ceil",
                                        "round_prefer_floor",
                                        "tf_crop_and_resize",
                                        "pytorch_half_pixel",
                                        "TF",
                                        "IDF",
                                        "TFIDF",
                                        "LOWER",
                                        "UPPER",
                                        "NONE",
                                        "SOFTMAX",
                                        "LOGISTIC",
                                        "PROBIT",
                                        "SOFTMAX_ZERO",
                                        "RBF",
                                        "POLY",
                                        "LINEAR",
                                        "SIGMOID",
                                        "BRANCH_LEQ",
                                        "BRANCH_LT",
                                        "LEAF",
                                        "BRANCH_EQ",
                                        "SUM",
                                        "AVERAGE",
                                        "MIN",
                                        "MAX",
                                        "L1",
                                        "L2",
                                        "ij,jk->ik",
                                        "...i->...",
                                        "ii->i",
                                        "bij,bjk->bik",
                                        "bidirectional",
                                        "stretch",
                                        "not_larger",
                                        "not_smaller",
                                        "output_half_pixel",
                                        "RGB",
                                        "Grayscale",
                                        "exact",
                                        "a",
                                        "\xC3\xA9\xF0\x9F\x98\x80",
                                        "a b  c",
                                        "1.5"};
    const char *text = texts[below(m, ADZE_COUNT_OF(texts))];
    return (adze_string){text, strlen(text)};
}

static const adze_op *some_op(const mutation *m)
{
#define X(family) adze_ops_##family,
    static const adze_op *const families[] = {ADZE_OP_FAMILIES(X)};
#undef X
    int count = 0;
    for (int f = 0; f < (int)ADZE_COUNT_OF(families); f++)
        for (const adze_op *op = families[f]; op->name; op++)
            count++;
    int left = below(m, count);
    for (int f = 0; f < (int)ADZE_COUNT_OF(families); f++)
        for (const adze_op *op = families[f]; op->name; op++)
            if (left-- == 0)
                return op;
    return families[0];
}

/* ---- lists ---- */

/* The list with room for one more; NULL: no memory, or it is long enough. */
static void *with_room(const mutation *m, const void *items, int count, size_t size)
{
    void *copy = count < MOST_LIST ? adze_arena_alloc(m->arena, (size_t)count + 1, size) : NULL;
    if (copy && count)
        memcpy(copy, items, (size_t)count * size);
    return copy;
}

static void drop_item(void *items, int *count, int at, size_t size)
{
    char *bytes = items;
    --*count;
    memmove(bytes + (size_t)at * size, bytes + (size_t)(at + 1) * size,
            (size_t)(*count - at) * size);
}

#define ADD(m, list, count, ...)                                                                   \
    do {                                                                                           \
        void *more_ = with_room(m, list, count, sizeof *(list));                                   \
        if (more_) {                                                                               \
            (list) = more_;                                                                        \
            (list)[(count)++] = __VA_ARGS__;                                                       \
        }                                                                                          \
    } while (0)

/* ---- names ---- */

static bool is_feed(const char *name)
{
    return strncmp(name, MUTATE_FEED, strlen(MUTATE_FEED)) == 0;
}

/* Some value that node `before` of the graph can read; "" now and then. */
static const char *some_value(const mutation *m, int before)
{
    const adze_onnx_graph *g = m->graph;
    const char *names[512] = {""};
    int count = 1;
    for (int i = 0; i < g->input_count && count < 512; i++)
        names[count++] = g->inputs[i].name;
    for (int i = 0; i < g->initializer_count && count < 512; i++)
        if (!is_feed(g->initializers[i].name))
            names[count++] = g->initializers[i].name;
    for (int i = 0; i < before; i++)
        for (int k = 0; k < g->nodes[i].output_count && count < 512; k++)
            names[count++] = g->nodes[i].outputs[k];
    return names[count > 1 && !one_in(m, 16) ? 1 + below(m, count - 1) : 0];
}

static const char *new_name(const mutation *m)
{
    const char *name =
        adze_arena_printf(m->arena, "n%llx", (unsigned long long)adze_rng_u64(m->rng));
    return name ? name : "";
}

static void add_output(const mutation *m, const char *name)
{
    adze_onnx_value value = {.name = name, .type = {.rank = -1}};
    ADD(m, m->graph->outputs, m->graph->output_count, value);
}

/* ---- tensors ---- */

static size_t bytes_of(int32_t type, int64_t elements)
{
    adze_dtype dtype = adze_dtype_from_onnx(type);
    return dtype == ADZE_UNDEFINED ? SIZE_MAX : adze_dtype_bytes(dtype, elements);
}

/* The tensor with this type and shape, its bytes repeated or cut; as it was where that is too large. */
static void reshape(const mutation *m, adze_onnx_tensor *t, int32_t type, int rank,
                    const int64_t *dims)
{
    int64_t elements = adze_shape_elements(rank, dims);
    size_t size = bytes_of(type, elements);
    if (elements < 0 || elements > MOST_ELEMENTS || size == SIZE_MAX)
        return;
    int64_t *kept = adze_arena_memdup(m->arena, dims, (size_t)rank * sizeof *dims);
    uint8_t *data = adze_arena_alloc(m->arena, 1, size + 16);
    if (!kept || !data)
        return;
    bool text = type == 8;
    for (size_t i = 0; text && i < size / sizeof(adze_string); i++)
        ((adze_string *)(void *)data)[i] =
            t->type == 8 && t->size
                ? ((const adze_string *)(const void *)t->data)[i % (t->size / sizeof(adze_string))]
                : some_text(m);
    for (size_t i = 0; !text && t->type != 8 && t->size && i < size; i++)
        data[i] = t->data[i % t->size];
    if (type == 9)
        for (size_t i = 0; i < size; i++)
            data[i] &= 1;
    t->type = type;
    t->rank = rank;
    t->dims = kept;
    t->data = data;
    t->size = size;
    t->external = false;
}

static void change_element(const mutation *m, adze_onnx_tensor *t)
{
    reshape(m, t, t->type, t->rank, t->dims); /* bytes of its own */
    adze_dtype dtype = adze_dtype_from_onnx(t->type);
    int64_t n = adze_shape_elements(t->rank, t->dims);
    if (n < 1 || t->size == 0 || n > MOST_ELEMENTS)
        return;
    adze_tensor view = adze_tensor_view(dtype, t->rank, t->dims, (void *)(uintptr_t)t->data);
    adze_kind kind = adze_dtype_describe(dtype)->kind;
    int64_t first = below(m, (int)n), last = one_in(m, 4) ? n - 1 : first;
    for (int64_t i = first; i <= last; i++) {
        if (kind == ADZE_KIND_STRING)
            ((adze_string *)view.data)[i] = some_text(m);
        else if (kind == ADZE_KIND_FLOAT)
            adze_tensor_set_f64(&view, i, near_float(m, (float)adze_tensor_get_f64(&view, i)));
        else if (kind != ADZE_KIND_COMPLEX && kind != ADZE_KIND_NONE)
            adze_tensor_set_i64(&view, i, near_number(m, adze_tensor_get_i64(&view, i)));
    }
}

static void change_tensor(const mutation *m, adze_onnx_tensor *t)
{
    int64_t dims[ADZE_MAX_RANK + 1];
    int rank = ADZE_MIN(t->rank, ADZE_MAX_RANK);
    for (int i = 0; i < rank; i++)
        dims[i] = t->dims[i];
    switch (below(m, 6)) {
    case 0:
        if (rank)
            dims[below(m, rank)] = some_dim(m);
        break;
    case 1:
        if (one_in(m, 2) && rank < ADZE_MAX_RANK)
            dims[rank++] = 1;
        else
            rank -= rank > 0;
        break;
    case 2: reshape(m, t, some_type(m), rank, dims); return;
    default: change_element(m, t); return;
    }
    reshape(m, t, t->type, rank, dims);
}

static adze_onnx_tensor new_tensor(const mutation *m, const char *name)
{
    adze_onnx_tensor t = {.name = name, .type = some_type(m), .doc = ""};
    int64_t dims[4];
    int rank = below(m, 4);
    for (int i = 0; i < rank; i++)
        dims[i] = some_dim(m);
    reshape(m, &t, t.type, rank, dims);
    for (int i = below(m, 4); i > 0; i--)
        change_element(m, &t);
    return t;
}

/* ---- attributes ---- */

static void change_ints(const mutation *m, adze_onnx_attr *a)
{
    a->ints = adze_arena_memdup(m->arena, a->ints, (size_t)a->count * sizeof *a->ints);
    int at = below(m, a->count);
    if (!a->ints || a->count == 0 || one_in(m, 4))
        ADD(m, a->ints, a->count, near_number(m, a->count && a->ints ? a->ints[at] : 0));
    else if (one_in(m, 4))
        drop_item(a->ints, &a->count, at, sizeof *a->ints);
    else
        a->ints[at] = near_number(m, a->ints[at]);
}

static void change_floats(const mutation *m, adze_onnx_attr *a)
{
    a->floats = adze_arena_memdup(m->arena, a->floats, (size_t)a->count * sizeof *a->floats);
    int at = below(m, a->count);
    if (!a->floats || a->count == 0 || one_in(m, 4))
        ADD(m, a->floats, a->count, near_float(m, a->count && a->floats ? a->floats[at] : 0));
    else if (one_in(m, 4))
        drop_item(a->floats, &a->count, at, sizeof *a->floats);
    else
        a->floats[at] = near_float(m, a->floats[at]);
}

static void change_strings(const mutation *m, adze_onnx_attr *a)
{
    a->strings = adze_arena_memdup(m->arena, a->strings, (size_t)a->count * sizeof *a->strings);
    int at = below(m, a->count);
    if (!a->strings || a->count == 0 || one_in(m, 4))
        ADD(m, a->strings, a->count, some_text(m));
    else if (one_in(m, 4))
        drop_item(a->strings, &a->count, at, sizeof *a->strings);
    else
        a->strings[at] = one_in(m, 2) ? a->strings[below(m, a->count)] : some_text(m);
}

static void change_attr(const mutation *m, adze_onnx_attr *a)
{
    switch (a->type) {
    case ADZE_ONNX_ATTR_INT: a->i = near_number(m, a->i); break;
    case ADZE_ONNX_ATTR_FLOAT: a->f = near_float(m, a->f); break;
    case ADZE_ONNX_ATTR_STRING: a->s = some_text(m); break;
    case ADZE_ONNX_ATTR_INTS: change_ints(m, a); break;
    case ADZE_ONNX_ATTR_FLOATS: change_floats(m, a); break;
    case ADZE_ONNX_ATTR_STRINGS: change_strings(m, a); break;
    case ADZE_ONNX_ATTR_TENSOR:
        if (a->count)
            change_tensor(m, &a->tensors[0]);
        break;
    default: break;
    }
}

/* One of the words of `text`, separated by blanks. */
static const char *some_word(const mutation *m, const char *text)
{
    int words = 0;
    for (const char *p = text; *p; p++)
        words += *p != ' ' && (p == text || p[-1] == ' ');
    int left = below(m, words);
    for (const char *p = text; *p; p++)
        if (*p != ' ' && (p == text || p[-1] == ' ') && left-- == 0)
            return adze_arena_strndup(m->arena, p, strcspn(p, " "));
    return NULL;
}

static void add_attr(const mutation *m, adze_onnx_node *node, const adze_op *op)
{
    static const adze_onnx_attr_type types[] = {
        ADZE_ONNX_ATTR_INT,  ADZE_ONNX_ATTR_INTS,   ADZE_ONNX_ATTR_FLOAT,   ADZE_ONNX_ATTR_STRING,
        ADZE_ONNX_ATTR_INTS, ADZE_ONNX_ATTR_FLOATS, ADZE_ONNX_ATTR_STRINGS, ADZE_ONNX_ATTR_TENSOR};
    const char *name = op && op->attrs ? some_word(m, op->attrs) : NULL;
    for (int i = 0; name && i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            name = NULL;
    if (!name)
        return;
    adze_onnx_attr attr = {.name = name, .ref_name = "", .s = {"", 0}};
    attr.type = types[below(m, ADZE_COUNT_OF(types))];
    if (attr.type == ADZE_ONNX_ATTR_TENSOR) {
        attr.tensors = ADZE_ARENA_NEW(m->arena, adze_onnx_tensor);
        attr.count = attr.tensors != NULL;
        if (attr.count)
            attr.tensors[0] = new_tensor(m, "");
    } else {
        for (int i = 1 + below(m, 4); i > 0; i--)
            change_attr(m, &attr);
    }
    ADD(m, node->attrs, node->attr_count, attr);
}

/* ---- nodes ---- */

static const adze_op *op_of(const adze_onnx_node *node)
{
#define X(family) adze_ops_##family,
    static const adze_op *const families[] = {ADZE_OP_FAMILIES(X)};
#undef X
    for (int f = 0; f < (int)ADZE_COUNT_OF(families); f++)
        for (const adze_op *op = families[f]; op->name; op++)
            if (strcmp(op->name, node->op_type) == 0 && strcmp(op->domain, node->domain) == 0)
                return op;
    return NULL;
}

static void change_node_attrs(const mutation *m, adze_onnx_node *node)
{
    int at = below(m, node->attr_count);
    if (node->attr_count == 0 || one_in(m, 6))
        add_attr(m, node, op_of(node));
    else if (one_in(m, 6))
        drop_item(node->attrs, &node->attr_count, at, sizeof *node->attrs);
    else
        change_attr(m, &node->attrs[at]);
}

static void change_wiring(const mutation *m, adze_onnx_node *node, int at)
{
    int input = below(m, node->input_count);
    if (node->input_count == 0 || one_in(m, 5))
        ADD(m, node->inputs, node->input_count, some_value(m, at));
    else if (one_in(m, 5))
        node->input_count--;
    else
        node->inputs[input] = some_value(m, at);
}

static void know_domain(const mutation *m, const char *domain)
{
    adze_onnx_opset opset = {.domain = domain, .version = domain[0] ? 1 : 22};
    for (int i = 0; i < m->model->opset_count; i++)
        if (strcmp(m->model->opsets[i].domain, domain) == 0)
            return;
    ADD(m, m->model->opsets, m->model->opset_count, opset);
}

static void swap_operator(const mutation *m, adze_onnx_node *node)
{
    for (int tries = 0; tries < 64; tries++) {
        const adze_op *op = some_op(m);
        bool fits = op->min_inputs <= node->input_count &&
                    (op->max_inputs < 0 || op->max_inputs >= node->input_count) &&
                    op->min_outputs <= node->output_count && op->max_outputs >= node->output_count;
        if (!fits || (op->flags & (ADZE_OP_INTERNAL | ADZE_OP_SUBGRAPH)))
            continue;
        node->op_type = op->name;
        node->domain = op->domain;
        know_domain(m, op->domain);
        return;
    }
}

static void insert_node(const mutation *m, const adze_onnx_node *node, int at)
{
    adze_onnx_graph *g = m->graph;
    adze_onnx_node *nodes = with_room(m, g->nodes, g->node_count, sizeof *nodes);
    if (!nodes || g->node_count >= MOST_NODES)
        return;
    memmove(nodes + at + 1, nodes + at, (size_t)(g->node_count - at) * sizeof *nodes);
    nodes[at] = *node;
    g->nodes = nodes;
    g->node_count++;
}

static void add_node(const mutation *m)
{
    adze_onnx_graph *g = m->graph;
    const adze_op *op = some_op(m);
    int at = one_in(m, 3) ? below(m, g->node_count + 1) : g->node_count;
    if (op->flags & (ADZE_OP_INTERNAL | ADZE_OP_SUBGRAPH))
        return;
    adze_onnx_node node = {.name = "", .op_type = op->name, .domain = op->domain, .overload = ""};
    int inputs =
        op->min_inputs + below(m, op->max_inputs < 0 ? 3 : op->max_inputs - op->min_inputs + 1);
    for (int i = 0; i < inputs; i++)
        ADD(m, node.inputs, node.input_count, some_value(m, at));
    for (int i = 0; i < ADZE_MAX(op->min_outputs, 1); i++)
        ADD(m, node.outputs, node.output_count, new_name(m));
    for (int i = below(m, 3); i > 0; i--)
        add_attr(m, &node, op);
    if (node.output_count == 0)
        return;
    know_domain(m, op->domain);
    insert_node(m, &node, at);
    add_output(m, node.outputs[0]);
}

/* Who read the node's results reads its first input. */
static void remove_node(const mutation *m, int at)
{
    adze_onnx_graph *g = m->graph;
    const adze_onnx_node gone = g->nodes[at];
    const char *instead = gone.input_count ? gone.inputs[0] : some_value(m, at);
    drop_item(g->nodes, &g->node_count, at, sizeof *g->nodes);
    for (int k = 0; k < gone.output_count; k++) {
        for (int i = at; i < g->node_count; i++)
            for (int n = 0; n < g->nodes[i].input_count; n++)
                if (strcmp(g->nodes[i].inputs[n], gone.outputs[k]) == 0)
                    g->nodes[i].inputs[n] = instead;
        for (int i = 0; i < g->output_count; i++)
            if (strcmp(g->outputs[i].name, gone.outputs[k]) == 0)
                g->outputs[i].name = instead;
    }
}

/* The same node again, on the results of the first where it has one input. */
static void repeat_node(const mutation *m, int at)
{
    adze_onnx_node copy = m->graph->nodes[at];
    copy.inputs =
        adze_arena_memdup(m->arena, copy.inputs, (size_t)copy.input_count * sizeof *copy.inputs);
    copy.outputs =
        adze_arena_memdup(m->arena, copy.outputs, (size_t)copy.output_count * sizeof *copy.outputs);
    copy.attrs =
        adze_arena_memdup(m->arena, copy.attrs, (size_t)copy.attr_count * sizeof *copy.attrs);
    if (!copy.inputs || !copy.outputs || !copy.attrs || copy.output_count == 0)
        return;
    if (copy.input_count)
        copy.inputs[0] = copy.outputs[0];
    copy.name = "";
    for (int i = 0; i < copy.output_count; i++)
        copy.outputs[i] = copy.outputs[i][0] ? new_name(m) : "";
    insert_node(m, &copy, at + 1);
    add_output(m, copy.outputs[0]);
}

/* ---- values ---- */

static void change_type(const mutation *m, adze_onnx_type *type)
{
    if (type->kind != ADZE_ONNX_TENSOR) {
        if (type->inner && one_in(m, 2))
            *type = *type->inner;
        return;
    }
    type->dims = adze_arena_memdup(m->arena, type->dims,
                                   (size_t)ADZE_MAX(type->rank, 0) * sizeof *type->dims);
    int at = below(m, type->rank);
    adze_onnx_dim dim = {.value = some_dim(m)};
    if (one_in(m, 4))
        type->elem = some_type(m);
    else if (type->rank < 1 || one_in(m, 5)) {
        type->rank = ADZE_MAX(type->rank, 0);
        ADD(m, type->dims, type->rank, dim);
    } else if (one_in(m, 5))
        type->rank--;
    else if (one_in(m, 3))
        type->dims[at] = (adze_onnx_dim){.value = -1, .symbol = one_in(m, 2) ? "N" : "M"};
    else
        type->dims[at] = dim;
}

static void add_constant(const mutation *m)
{
    adze_onnx_graph *g = m->graph;
    adze_onnx_tensor tensor = new_tensor(m, new_name(m));
    ADD(m, g->initializers, g->initializer_count, tensor);
    int at = below(m, g->node_count);
    if (g->node_count && g->nodes[at].input_count)
        g->nodes[at].inputs[below(m, g->nodes[at].input_count)] = tensor.name;
}

/* What the tests feed becomes a constant, or a constant is fed from outside. */
static void change_source(const mutation *m)
{
    adze_onnx_graph *g = m->graph;
    int at = below(m, g->initializer_count);
    if (g->initializer_count == 0 || g != &m->model->graph)
        return;
    adze_onnx_tensor *t = &g->initializers[at];
    if (is_feed(t->name)) {
        t->name += strlen(MUTATE_FEED);
        for (int i = 0; i < g->input_count; i++)
            if (strcmp(g->inputs[i].name, t->name) == 0) {
                drop_item(g->inputs, &g->input_count, i, sizeof *g->inputs);
                return;
            }
        return;
    }
    adze_onnx_value value = {.name = t->name,
                             .type = {.kind = ADZE_ONNX_TENSOR, .elem = t->type, .rank = t->rank}};
    value.type.dims = ADZE_ARENA_ARRAY(m->arena, adze_onnx_dim, (size_t)t->rank + 1);
    const char *name = adze_arena_printf(m->arena, MUTATE_FEED "%s", t->name);
    if (!value.type.dims || !name)
        return;
    for (int i = 0; i < t->rank; i++)
        value.type.dims[i].value = t->dims[i];
    t->name = name;
    ADD(m, g->inputs, g->input_count, value);
}

static void show_value(const mutation *m)
{
    int at = below(m, m->graph->node_count);
    if (m->graph->node_count && m->graph->nodes[at].output_count)
        add_output(m, m->graph->nodes[at].outputs[0]);
}

static void change_opset(const mutation *m)
{
    int at = below(m, m->model->opset_count);
    if (m->model->opset_count)
        m->model->opsets[at].version =
            m->model->opsets[at].domain[0] ? 1 + below(m, 6) : 1 + below(m, 28);
}

/* ---- the whole ---- */

static adze_onnx_graph *inner_graph(const mutation *m, adze_onnx_graph *g)
{
    for (int i = 0; i < g->node_count; i++)
        for (int a = 0; a < g->nodes[i].attr_count; a++) {
            const adze_onnx_attr *attr = &g->nodes[i].attrs[a];
            if ((attr->type == ADZE_ONNX_ATTR_GRAPH || attr->type == ADZE_ONNX_ATTR_GRAPHS) &&
                attr->count && one_in(m, 2))
                return attr->graphs[below(m, attr->count)];
        }
    return NULL;
}

static void forget_types(adze_onnx_graph *g)
{
    g->value_info_count = 0;
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i].type.kind == ADZE_ONNX_TENSOR)
            g->outputs[i].type = (adze_onnx_type){.rank = -1};
}

void mutate_model(adze_onnx_model *model, adze_arena *arena, adze_rng *rng)
{
    mutation m = {.model = model, .graph = &model->graph, .arena = arena, .rng = rng};
    for (adze_onnx_graph *inner = m.graph; inner && one_in(&m, 2);
         m.graph = inner ? inner : m.graph)
        inner = inner_graph(&m, m.graph);
    adze_onnx_graph *g = m.graph;
    int node = below(&m, g->node_count), kind = below(&m, 24);
    bool nodes = g->node_count > 0;
    if (!one_in(&m, 20))
        forget_types(g);
    if (kind < 7 && nodes)
        change_node_attrs(&m, &g->nodes[node]);
    else if (kind < 10 && nodes)
        change_wiring(&m, &g->nodes[node], node);
    else if (kind < 12 && nodes)
        swap_operator(&m, &g->nodes[node]);
    else if (kind < 14)
        add_node(&m);
    else if (kind < 15 && g->node_count > 1)
        remove_node(&m, node);
    else if (kind < 16 && nodes)
        repeat_node(&m, node);
    else if (kind < 18 && g->input_count)
        change_type(&m, &g->inputs[below(&m, g->input_count)].type);
    else if (kind < 21 && g->initializer_count)
        change_tensor(&m, &g->initializers[below(&m, g->initializer_count)]);
    else if (kind < 22)
        add_constant(&m);
    else if (kind < 23)
        change_source(&m);
    else if (one_in(&m, 2))
        show_value(&m);
    else
        change_opset(&m);
}

static const char *renamed(const mutation *m, const char *name, unsigned number)
{
    bool feed = is_feed(name);
    const char *plain = feed ? name + strlen(MUTATE_FEED) : name;
    const char *result =
        adze_arena_printf(m->arena, "%sj%u%s", feed ? MUTATE_FEED : "", number, plain);
    return name[0] && result ? result : "";
}

static const char **renamed_all(const mutation *m, const char **names, int count, unsigned number)
{
    const char **copy = ADZE_ARENA_ARRAY(m->arena, const char *, (size_t)count + 1);
    for (int i = 0; copy && i < count; i++)
        copy[i] = renamed(m, names[i], number);
    return copy;
}

void mutate_join(adze_onnx_model *to, const adze_onnx_model *from, adze_arena *arena, adze_rng *rng)
{
    mutation m = {.model = to, .graph = &to->graph, .arena = arena, .rng = rng};
    adze_onnx_graph *g = m.graph;
    unsigned number = (unsigned)below(&m, 1 << 20);
    int first = g->node_count;
    bool captures = inner_graph(&m, &((adze_onnx_model *)(uintptr_t)from)->graph) != NULL;
    if (first + from->graph.node_count > MOST_NODES || captures)
        return;
    forget_types(g);
    for (int i = 0; i < from->opset_count; i++)
        know_domain(&m, from->opsets[i].domain);
    for (int i = 0; i < from->graph.input_count; i++) {
        adze_onnx_value value = from->graph.inputs[i];
        value.name = renamed(&m, value.name, number);
        ADD(&m, g->inputs, g->input_count, value);
    }
    for (int i = 0; i < from->graph.initializer_count; i++) {
        adze_onnx_tensor tensor = from->graph.initializers[i];
        tensor.name = renamed(&m, tensor.name, number);
        ADD(&m, g->initializers, g->initializer_count, tensor);
    }
    for (int i = 0; i < from->graph.node_count; i++) {
        adze_onnx_node node = from->graph.nodes[i];
        node.inputs = renamed_all(&m, node.inputs, node.input_count, number);
        node.outputs = renamed_all(&m, node.outputs, node.output_count, number);
        if (!node.inputs || !node.outputs)
            return;
        if (one_in(&m, 2) && node.input_count)
            node.inputs[below(&m, node.input_count)] = some_value(&m, first);
        insert_node(&m, &node, g->node_count);
    }
    for (int i = 0; i < from->graph.output_count; i++)
        add_output(&m, renamed(&m, from->graph.outputs[i].name, number));
}

adze_onnx_model *mutate_fresh(adze_arena *arena, adze_rng *rng)
{
    adze_onnx_model *model = ADZE_ARENA_NEW(arena, adze_onnx_model);
    if (!model)
        return NULL;
    mutation m = {.model = model, .graph = &model->graph, .arena = arena, .rng = rng};
    adze_onnx_value x = {.name = "x", .type = {.kind = ADZE_ONNX_TENSOR, .elem = some_type(&m)}};
    *model = (adze_onnx_model){.ir_version = 8,
                               .producer_name = "",
                               .producer_version = "",
                               .domain = "",
                               .doc = "",
                               .graph = {.name = "g", .doc = ""}};
    know_domain(&m, "");
    for (int i = below(&m, 5); i > 0; i--)
        ADD(&m, x.type.dims, x.type.rank, (adze_onnx_dim){.value = some_dim(&m)});
    ADD(&m, model->graph.inputs, model->graph.input_count, x);
    for (int i = 0; model->graph.node_count == 0 && i < 64; i++)
        add_node(&m);
    return model;
}
