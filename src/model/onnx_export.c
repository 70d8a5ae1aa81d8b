/* From the graph to ONNX structs. Operators stand in their newest form, so the opset written is the
 * lowest in which every form, attribute and element type of the graph exists, but none before the file's: what that
 * allowed need not be known here. */
#include <string.h>

#include "formats/onnx.h"
#include "model/model_impl.h"
#include "ops/registry.h"

/* ---- versions ---- */

typedef struct need {
    const char *op;   /* NULL: any */
    const char *attr; /* NULL: presence of input `input` */
    int input;
    int opset;
} need;

/* Attributes and inputs that came later than the form of their operator (ONNX operator changelog). */
static const need needs[] = {
    {"ArgMax", "select_last_index", 0, 12},
    {"ArgMin", "select_last_index", 0, 12},
    {"AveragePool", "ceil_mode", 0, 10},
    {"AveragePool", "dilations", 0, 19},
    {"BatchNormalization", "training_mode", 0, 14},
    {"Cast", "round_mode", 0, 24},
    {"Cast", "saturate", 0, 19},
    {"DepthToSpace", "mode", 0, 11},
    {"DequantizeLinear", "axis", 0, 13},
    {"DequantizeLinear", "block_size", 0, 21},
    {"DequantizeLinear", "output_dtype", 0, 23},
    {"GatherND", "batch_dims", 0, 12},
    {"Gemm", NULL, 2, 7},
    {"LpPool", "ceil_mode", 0, 18},
    {"LpPool", "dilations", 0, 18},
    {"MaxPool", "ceil_mode", 0, 10},
    {"MaxPool", "dilations", 0, 10},
    {"Pad", NULL, 3, 18},
    {"QuantizeLinear", "axis", 0, 13},
    {"QuantizeLinear", "block_size", 0, 21},
    {"QuantizeLinear", "output_dtype", 0, 21},
    {"QuantizeLinear", "precision", 0, 23},
    {"QuantizeLinear", "saturate", 0, 19},
    {"Reshape", "allowzero", 0, 14},
    {"Resize", "antialias", 0, 18},
    {"Resize", "axes", 0, 18},
    {"Resize", "keep_aspect_ratio_policy", 0, 18},
    {"ScatterElements", "reduction", 0, 16},
    {"ScatterND", "reduction", 0, 16},
    {"Shape", "end", 0, 15},
    {"Shape", "start", 0, 15},
};

static int type_opset(adze_dtype dtype, bool quantizer)
{
    switch (dtype) {
    case ADZE_BF16: return 13;
    case ADZE_F8E4M3FN:
    case ADZE_F8E4M3FNUZ:
    case ADZE_F8E5M2:
    case ADZE_F8E5M2FNUZ: return 19;
    case ADZE_U4:
    case ADZE_I4: return 21;
    case ADZE_U16:
    case ADZE_I16: return quantizer ? 21 : 1;
    case ADZE_F4E2M1: return 23;
    case ADZE_F8E8M0: return 24;
    case ADZE_U2:
    case ADZE_I2: return 25;
    default: return 1;
    }
}

/* IR version that came with an opset (ONNX Versioning.md). */
static int64_t ir_version_for(int64_t opset)
{
    static const struct {
        int64_t opset, ir;
    } table[] = {{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9},
                 {15, 8},  {12, 7},  {11, 6},  {10, 5},  {9, 4}};
    for (size_t i = 0; i < ADZE_COUNT_OF(table); i++)
        if (opset >= table[i].opset)
            return table[i].ir;
    return 4; /* initializers that are no inputs need 4 */
}

static int64_t node_opset(const adze_node *node, int64_t file_opset)
{
    if (*node->domain)
        return 1;
    if (!node->op)
        return file_opset;
    int64_t opset = node->op->since;
    if (strcmp(node->op_type, "Resize") == 0 && (node->input_count < 2 || !node->inputs[1]))
        opset = 13; /* regions may be absent */
    for (size_t i = 0; i < ADZE_COUNT_OF(needs); i++) {
        const need *n = &needs[i];
        bool there = n->attr ? adze_node_has(node, n->attr)
                             : n->input < node->input_count && node->inputs[n->input];
        if (strcmp(n->op, node->op_type) == 0 && there)
            opset = ADZE_MAX(opset, n->opset);
    }
    bool quantizer = strstr(node->op_type, "uantizeLinear") != NULL;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i])
            opset = ADZE_MAX(opset, type_opset(node->inputs[i]->type.dtype, quantizer));
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i])
            opset = ADZE_MAX(opset, type_opset(node->outputs[i]->type.dtype, quantizer));
    return opset;
}

static int64_t graph_opset(const adze_graph *g, int64_t file_opset)
{
    int64_t opset = 7;
    for (int i = 0; i < g->node_count; i++) {
        opset = ADZE_MAX(opset, node_opset(g->nodes[i], file_opset));
        for (int a = 0; a < g->nodes[i]->attr_count; a++)
            if (g->nodes[i]->attrs[a].type == ADZE_ATTR_GRAPH)
                opset = ADZE_MAX(opset, graph_opset(g->nodes[i]->attrs[a].as.graph, file_opset));
    }
    return opset;
}

/* ---- structs ---- */

typedef struct exporter {
    adze_arena *arena;
    int64_t opset;
    bool failed; /* out of memory */
} exporter;

static void *array(exporter *x, int count, size_t size)
{
    void *p = adze_arena_alloc(x->arena, (size_t)count + 1, size);
    x->failed |= !p;
    return p;
}

static void fill_type(exporter *x, adze_onnx_type *to, const adze_graph *g, const adze_type *type)
{
    if (type->kind != ADZE_VALUE_TENSOR) {
        adze_onnx_type *inner = array(x, 1, sizeof *inner);
        adze_type element = *type;
        element.kind = ADZE_VALUE_TENSOR;
        to->kind = type->kind == ADZE_VALUE_SEQUENCE ? ADZE_ONNX_SEQUENCE : ADZE_ONNX_OPTIONAL;
        if (inner)
            fill_type(x, inner, g, type->inner ? type->inner : &element);
        to->inner = inner;
        return;
    }
    to->kind = type->dtype == ADZE_UNDEFINED ? ADZE_ONNX_NO_TYPE : ADZE_ONNX_TENSOR;
    to->elem = adze_dtype_describe(type->dtype)->onnx;
    to->rank = type->rank;
    to->dims = array(x, ADZE_MAX(type->rank, 0), sizeof *to->dims);
    for (int i = 0; to->dims && i < type->rank; i++) {
        char text[256];
        to->dims[i].value = type->dims[i] >= 0 ? type->dims[i] : -1;
        if (type->dims[i] < 0 && !adze_dim_has_unknown(g->dims, type->dims[i]))
            to->dims[i].symbol = adze_arena_strdup(
                x->arena, adze_dim_format(g->dims, type->dims[i], text, sizeof text));
    }
}

static adze_onnx_value *fill_values(exporter *x, const adze_graph *g, adze_value *const *values,
                                    int count)
{
    adze_onnx_value *list = array(x, count, sizeof *list);
    for (int i = 0; list && i < count; i++) {
        list[i].name = values[i]->name;
        fill_type(x, &list[i].type, g, &values[i]->type);
    }
    return list;
}

static void fill_tensor(exporter *x, adze_onnx_tensor *to, const char *name, const adze_tensor *t)
{
    *to = (adze_onnx_tensor){.name = name,
                             .type = adze_dtype_describe(t->dtype)->onnx,
                             .rank = t->rank,
                             .data = t->data,
                             .size = t->size,
                             .doc = ""};
    to->dims = array(x, t->rank, sizeof *to->dims);
    if (to->dims)
        memcpy(to->dims, t->dims, (size_t)t->rank * sizeof *to->dims);
}

static void fill_graph(exporter *x, adze_onnx_graph *to, const adze_graph *g);

static void fill_attr(exporter *x, adze_onnx_attr *to, const adze_graph *g, const adze_attr *from)
{
    to->name = from->name;
    to->ref_name = "";
    to->count = from->count;
    switch (from->type) {
    case ADZE_ATTR_INT:
        to->type = ADZE_ONNX_ATTR_INT;
        to->i = from->as.i;
        break;
    case ADZE_ATTR_FLOAT:
        to->type = ADZE_ONNX_ATTR_FLOAT;
        to->f = from->as.f;
        break;
    case ADZE_ATTR_STRING:
        to->type = ADZE_ONNX_ATTR_STRING;
        to->s = (adze_string){from->as.s, strlen(from->as.s)};
        break;
    case ADZE_ATTR_INTS:
        to->type = ADZE_ONNX_ATTR_INTS;
        to->ints = (int64_t *)from->as.ints;
        break;
    case ADZE_ATTR_FLOATS:
        to->type = ADZE_ONNX_ATTR_FLOATS;
        to->floats = (float *)from->as.floats;
        break;
    case ADZE_ATTR_STRINGS:
        to->type = ADZE_ONNX_ATTR_STRINGS;
        to->strings = (adze_string *)from->as.strings;
        break;
    case ADZE_ATTR_TENSOR:
        to->type = ADZE_ONNX_ATTR_TENSOR;
        to->count = 1;
        to->tensors = array(x, 1, sizeof *to->tensors);
        if (to->tensors)
            fill_tensor(x, to->tensors, "", from->as.tensor);
        break;
    case ADZE_ATTR_GRAPH:
        to->type = ADZE_ONNX_ATTR_GRAPH;
        to->count = 1;
        to->graphs = array(x, 1, sizeof *to->graphs);
        if (to->graphs)
            to->graphs[0] = array(x, 1, sizeof **to->graphs);
        if (to->graphs && to->graphs[0])
            fill_graph(x, to->graphs[0], from->as.graph);
        break;
    case ADZE_ATTR_TYPE:
        to->type = ADZE_ONNX_ATTR_TYPE_PROTO;
        to->type_proto = array(x, 1, sizeof *to->type_proto);
        if (to->type_proto)
            fill_type(x, to->type_proto, g, from->as.value_type);
        break;
    }
}

/* A value's name as its graph's nodes use it: captures go by the name of what they stand for. */
static const char *name_of(const adze_value *v)
{
    while (v && v->role == ADZE_ROLE_CAPTURE && v->outer)
        v = v->outer;
    return v ? v->name : "";
}

static void fill_node(exporter *x, adze_onnx_node *to, const adze_graph *g, const adze_node *node)
{
    to->name = node->name;
    to->op_type = node->op_type;
    to->domain = node->domain;
    to->overload = "";
    to->input_count = node->input_count;
    to->output_count = node->output_count;
    to->inputs = array(x, node->input_count, sizeof *to->inputs);
    to->outputs = array(x, node->output_count, sizeof *to->outputs);
    to->attrs = array(x, node->attr_count, sizeof *to->attrs);
    if (x->failed)
        return;
    for (int i = 0; i < node->input_count; i++)
        to->inputs[i] = name_of(node->inputs[i]);
    for (int i = 0; i < node->output_count; i++)
        to->outputs[i] = name_of(node->outputs[i]);
    for (int i = 0; i < node->attr_count; i++) {
        /* Before opset 18 the number of equal parts follows from the outputs. */
        if (x->opset < 18 && strcmp(node->op_type, "Split") == 0 &&
            strcmp(node->attrs[i].name, "num_outputs") == 0)
            continue;
        fill_attr(x, &to->attrs[to->attr_count++], g, &node->attrs[i]);
    }
}

static void mark_used(const adze_graph *g, bool *used)
{
    for (int n = 0; n < g->node_count; n++)
        for (int i = 0; i < g->nodes[n]->input_count; i++)
            if (g->nodes[n]->inputs[i])
                used[g->nodes[n]->inputs[i]->id] = true;
    for (int i = 0; i < g->output_count; i++)
        used[g->outputs[i]->id] = true;
    for (int n = 0; n < g->node_count; n++)
        for (int a = 0; a < g->nodes[n]->attr_count; a++) {
            const adze_attr *attr = &g->nodes[n]->attrs[a];
            for (int c = 0; attr->type == ADZE_ATTR_GRAPH && c < attr->as.graph->capture_count; c++)
                used[attr->as.graph->captures[c]->outer->id] = true;
        }
}

static void fill_graph(exporter *x, adze_onnx_graph *to, const adze_graph *g)
{
    to->name = g->name && *g->name ? g->name : "adze";
    to->doc = "";
    to->nodes = array(x, g->node_count, sizeof *to->nodes);
    to->initializers = array(x, g->value_count, sizeof *to->initializers);
    to->inputs = fill_values(x, g, g->inputs, g->input_count);
    to->outputs = fill_values(x, g, g->outputs, g->output_count);
    bool *used = array(x, g->value_count, sizeof *used);
    if (x->failed)
        return;
    to->input_count = g->input_count;
    to->output_count = g->output_count;
    mark_used(g, used);
    for (int i = 0; i < g->value_count; i++)
        if (g->values[i]->role == ADZE_ROLE_CONSTANT && used[i])
            fill_tensor(x, &to->initializers[to->initializer_count++], g->values[i]->name,
                        g->values[i]->constant);
    for (int i = 0; i < g->node_count && !x->failed; i++)
        fill_node(x, &to->nodes[to->node_count++], g, g->nodes[i]);
}

static int all_nodes(const adze_graph *g)
{
    int count = g->node_count;
    for (int n = 0; n < g->node_count; n++)
        for (int a = 0; a < g->nodes[n]->attr_count; a++)
            if (g->nodes[n]->attrs[a].type == ADZE_ATTR_GRAPH)
                count += all_nodes(g->nodes[n]->attrs[a].as.graph);
    return count;
}

/* The version that the file had of a domain. */
static int64_t file_version(const adze_model *model, const char *domain)
{
    for (int i = 0; i < model->domain_count; i++)
        if (strcmp(model->domains[i].domain, domain) == 0)
            return model->domains[i].version;
    return 1;
}

static void add_opsets(adze_onnx_model *to, const adze_model *model, const adze_graph *g)
{
    for (int n = 0; n < g->node_count; n++) {
        const adze_node *node = g->nodes[n];
        int at = 0;
        while (at < to->opset_count && strcmp(to->opsets[at].domain, node->domain) != 0)
            at++;
        if (at == to->opset_count)
            to->opsets[to->opset_count++] =
                (adze_onnx_opset){node->domain, file_version(model, node->domain)};
        if (node->op && *node->domain)
            to->opsets[at].version = ADZE_MAX(to->opsets[at].version, node->op->since);
        for (int a = 0; a < node->attr_count; a++)
            if (node->attrs[a].type == ADZE_ATTR_GRAPH)
                add_opsets(to, model, node->attrs[a].as.graph);
    }
}

static void fill_opsets(exporter *x, adze_onnx_model *to, const adze_model *model)
{
    to->opsets = array(x, all_nodes(model->graph) + 1, sizeof *to->opsets);
    if (!to->opsets)
        return;
    to->opsets[to->opset_count++] = (adze_onnx_opset){"", x->opset};
    add_opsets(to, model, model->graph);
}

static adze_status check_writable(const adze_graph *g, adze_error *err)
{
    if (g->state_count > 0)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "ONNX has no values that persist between runs ('%s')", g->states[0]->name);
    for (int i = 0; i < g->node_count; i++) {
        if (g->nodes[i]->op && (g->nodes[i]->op->flags & ADZE_OP_INTERNAL))
            return adze_fail(err, ADZE_UNSUPPORTED, "operator %s exists only inside plans",
                             g->nodes[i]->op_type);
        if (adze_node_has(g->nodes[i], "batched") && strcmp(g->nodes[i]->op_type, "Scan") == 0)
            return adze_fail(err, ADZE_UNSUPPORTED,
                             "'%s' is a Scan of opset 8, which no later one can say",
                             g->nodes[i]->name);
    }
    for (int i = 0; i < g->value_count; i++)
        if (g->values[i]->role == ADZE_ROLE_CONSTANT &&
            adze_dtype_describe(g->values[i]->type.dtype)->onnx < 0)
            return adze_fail(err, ADZE_UNSUPPORTED, "ONNX has no type %s ('%s')",
                             adze_dtype_describe(g->values[i]->type.dtype)->name,
                             g->values[i]->name);
    return ADZE_OK;
}

adze_status adze_onnx_save(const adze_model *model, const char *path,
                           const adze_save_options *options, adze_error *err)
{
    const adze_graph *g = model->graph;
    ADZE_TRY(check_writable(g, err));
    adze_arena arena = {0};
    int64_t own = ADZE_MAX(file_version(model, ""), 7);
    exporter x = {.arena = &arena, .opset = ADZE_MAX(graph_opset(g, own), own)};
    adze_onnx_model onnx = {.ir_version = ir_version_for(x.opset),
                            .producer_name = "adze",
                            .producer_version = ADZE_VERSION,
                            .domain = "",
                            .doc = "",
                            .meta = model->meta,
                            .meta_count = model->meta_count};
    fill_graph(&x, &onnx.graph, g);
    fill_opsets(&x, &onnx, model);
    adze_onnx_write_options write = {.external_data = options->external_data};
    adze_status status = x.failed ? adze_fail(err, ADZE_NO_MEMORY, "%s", path)
                                  : adze_onnx_write(&onnx, path, &write, err);
    adze_arena_free(&arena);
    return status;
}
