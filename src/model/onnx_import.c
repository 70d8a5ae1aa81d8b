/* From ONNX structs to the graph: names become values, nodes are adapted to the newest operator forms,
 * model-local functions are expanded where they are called. A scope is one name space: a graph, a
 * subgraph (which sees the names around it through captures) or the body of a function. */
#include "model/onnx_import.h"

#include <string.h>

#include "model/onnx_flex.h"
#include "ops/control.h"

#define MAX_DEPTH 32    /* of nested subgraphs and function calls */
#define MAX_CALLS 65536 /* of functions, all levels together */

typedef struct scope {
    adze_graph *graph;
    adze_map names;       /* ONNX name -> adze_value in `graph` */
    struct scope *parent; /* subgraphs: the scope around; functions and the main graph: NULL */
    const char *prefix;   /* of value and node names made here */
    const adze_onnx_model *model;
    const adze_onnx_opset *opsets;
    int opset_count;
    const adze_onnx_function *function; /* body of this function, called by */
    const adze_onnx_node *call;         /* this node, seen from */
    struct scope *caller;               /* this scope (for attribute references) */
    int depth;
    int *calls; /* functions expanded so far */
} scope;

static adze_status out_of_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "reading an ONNX graph");
}

static const char *normal_domain(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

static int64_t opset_of(const scope *s, const char *domain)
{
    for (int i = 0; i < s->opset_count; i++)
        if (strcmp(normal_domain(s->opsets[i].domain), domain) == 0)
            return s->opsets[i].version;
    return *domain ? 1 : INT64_MAX;
}

/* ---- names ---- */

static bool bind(scope *s, const char *name, adze_value *value)
{
    return value && adze_map_set(&s->names, name, value);
}

static const char *scoped(scope *s, const char *name)
{
    return *s->prefix ? adze_arena_printf(&s->graph->arena, "%s%s", s->prefix, name) : name;
}

/* The value of a name, captured from the scopes around when it is not here. NULL: nowhere. */
static adze_value *find(scope *s, const char *name)
{
    adze_value *value = adze_map_get(&s->names, name);
    if (value || !s->parent)
        return value;
    adze_value *outer = find(s->parent, name);
    if (!outer || s->graph == s->parent->graph)
        return outer;
    value = adze_graph_add_capture(s->graph, name, outer);
    return bind(s, name, value) ? value : NULL;
}

/* ---- types and tensors ---- */

adze_status adze_onnx_tensor_view(adze_tensor *out, const adze_onnx_tensor *tensor, adze_error *err)
{
    adze_dtype dtype = adze_dtype_from_onnx(tensor->type);
    if (tensor->rank > ADZE_MAX_RANK)
        return adze_fail(err, ADZE_UNSUPPORTED, "tensor '%s': rank %d, at most %d is supported",
                         tensor->name, tensor->rank, ADZE_MAX_RANK);
    if (dtype == ADZE_UNDEFINED)
        return adze_fail(err, ADZE_BAD_MODEL, "tensor '%s': element type %d is not known",
                         tensor->name, tensor->type);
    *out = adze_tensor_view(dtype, tensor->rank, tensor->dims, (void *)tensor->data);
    out->size = tensor->size;
    return ADZE_OK;
}

/* Exporters write these for "any size"; equal ones do not mean equal sizes. */
static bool is_anonymous(const char *symbol)
{
    return !symbol || !*symbol || strcmp(symbol, "?") == 0 || strcmp(symbol, "-1") == 0 ||
           strcmp(symbol, "None") == 0;
}

/* Symbols mean something only when an input binds them: others become unknown. */
static adze_dim convert_dim(scope *s, const adze_onnx_dim *dim, bool is_input, const char *name,
                            int axis)
{
    if (dim->value >= 0)
        return dim->value;
    adze_dims *dims = s->graph->dims;
    if (is_input) {
        const char *symbol = is_anonymous(dim->symbol)
                                 ? adze_arena_printf(&s->graph->arena, "%s.%d", name, axis)
                                 : dim->symbol;
        return symbol ? adze_dim_symbol(dims, symbol) : 0;
    }
    for (int i = 0; dim->symbol && i < dims->count; i++)
        if (dims->defs[i].kind == ADZE_DIM_SYMBOL && strcmp(dims->defs[i].name, dim->symbol) == 0)
            return -1 - i;
    return adze_dim_unknown(dims, INT64_MAX);
}

static adze_type convert_type(scope *s, const adze_onnx_value *value, bool is_input)
{
    const adze_onnx_type *from = &value->type;
    adze_type type = {.rank = -1};
    bool sequence = false;
    while (from->kind == ADZE_ONNX_SEQUENCE || from->kind == ADZE_ONNX_OPTIONAL) {
        sequence |= from->kind == ADZE_ONNX_SEQUENCE;
        if (type.kind == ADZE_VALUE_TENSOR)
            type.kind =
                from->kind == ADZE_ONNX_SEQUENCE ? ADZE_VALUE_SEQUENCE : ADZE_VALUE_OPTIONAL;
        if (!from->inner)
            return type;
        from = from->inner;
    }
    if (type.kind != ADZE_VALUE_TENSOR)
        is_input = false; /* elements may differ in size: their dimensions are bound to nothing */
    if (from->kind != ADZE_ONNX_TENSOR)
        return type;
    type.dtype = adze_dtype_from_onnx(from->elem);
    if (type.kind == ADZE_VALUE_OPTIONAL && sequence)
        type.inner = adze_ops_sequence_type(type.dtype);
    if (type.kind != ADZE_VALUE_TENSOR)
        return type;
    if (from->rank < 0 || from->rank > ADZE_MAX_RANK)
        return type;
    type.rank = from->rank;
    for (int i = 0; i < from->rank; i++)
        type.dims[i] = convert_dim(s, &from->dims[i], is_input, value->name, i);
    return type;
}

/* ---- attributes ---- */

static adze_status convert_graph(scope *around, adze_graph **out, const adze_onnx_graph *from,
                                 adze_error *err);

static adze_status convert_list(scope *s, adze_attr *to, const adze_onnx_attr *from,
                                adze_error *err)
{
    switch (from->type) {
    case ADZE_ONNX_ATTR_FLOATS:
        to->type = ADZE_ATTR_FLOATS;
        to->as.floats = from->floats;
        break;
    case ADZE_ONNX_ATTR_INTS:
        to->type = ADZE_ATTR_INTS;
        to->as.ints = from->ints;
        break;
    case ADZE_ONNX_ATTR_STRINGS:
        to->type = ADZE_ATTR_STRINGS;
        to->as.strings = from->strings;
        break;
    case ADZE_ONNX_ATTR_GRAPH:
        to->type = ADZE_ATTR_GRAPH;
        return convert_graph(s, &to->as.graph, from->graphs[0], err);
    default:
        to->name = NULL; /* tensors, sparse tensors and graphs as lists: no operator takes them */
        break;
    }
    to->count = from->count;
    return ADZE_OK;
}

/* to->name NULL afterwards: nothing to set. */
static adze_status convert_attr(scope *s, adze_attr *to, const adze_onnx_attr *from,
                                adze_tensor *tensor, adze_type *type, adze_error *err)
{
    to->name = from->name;
    switch (from->type) {
    case ADZE_ONNX_ATTR_INT:
        to->type = ADZE_ATTR_INT;
        to->as.i = from->i;
        return ADZE_OK;
    case ADZE_ONNX_ATTR_FLOAT:
        to->type = ADZE_ATTR_FLOAT;
        to->as.f = from->f;
        return ADZE_OK;
    case ADZE_ONNX_ATTR_STRING:
        to->type = ADZE_ATTR_STRING;
        to->as.s = from->s.data;
        return ADZE_OK;
    case ADZE_ONNX_ATTR_TENSOR:
        to->type = ADZE_ATTR_TENSOR;
        to->as.tensor = tensor;
        return adze_onnx_tensor_view(tensor, from->tensors, err);
    case ADZE_ONNX_ATTR_TYPE_PROTO: {
        adze_onnx_value value = {.name = from->name, .type = *from->type_proto};
        *type = convert_type(s, &value, false);
        to->type = ADZE_ATTR_TYPE;
        to->as.value_type = type;
        return ADZE_OK;
    }
    default: return convert_list(s, to, from, err);
    }
}

/* What a reference to an attribute of the enclosing function stands for; NULL: absent. */
static const adze_onnx_attr *resolve_reference(const scope *s, const adze_onnx_attr *attr)
{
    while (attr && attr->ref_name && *attr->ref_name) {
        const char *wanted = attr->ref_name;
        if (!s || !s->function)
            return NULL;
        attr = NULL;
        for (int i = 0; i < s->call->attr_count && !attr; i++)
            if (strcmp(s->call->attrs[i].name, wanted) == 0)
                attr = &s->call->attrs[i];
        for (int i = 0; i < s->function->attr_default_count && !attr; i++)
            if (strcmp(s->function->attr_defaults[i].name, wanted) == 0)
                return &s->function->attr_defaults[i];
        s = s->caller;
    }
    return attr;
}

/* The graph of an attribute; NULL: absent. */
static const adze_onnx_graph *graph_of(const scope *s, const adze_onnx_node *node, const char *name)
{
    const adze_onnx_attr *attr = NULL;
    for (int i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            attr = resolve_reference(s, &node->attrs[i]);
    return attr && attr->type == ADZE_ONNX_ATTR_GRAPH ? attr->graphs[0] : NULL;
}

static adze_status convert_attrs(scope *s, adze_node *node, const adze_onnx_node *from,
                                 adze_error *err)
{
    for (int i = 0; i < from->attr_count; i++) {
        const adze_onnx_attr *source = resolve_reference(s, &from->attrs[i]);
        if (!source)
            continue;
        adze_attr attr = {0};
        adze_tensor tensor;
        adze_type type;
        ADZE_TRY(convert_attr(s, &attr, source, &tensor, &type, err));
        if (!attr.name)
            continue;
        attr.name = from->attrs[i].name;
        if (!adze_node_set_attr(node, &attr))
            return out_of_memory(err);
    }
    return ADZE_OK;
}

/* ---- nodes ---- */

static adze_status convert_nodes(scope *s, const adze_onnx_node *nodes, int count, adze_error *err);

/* An input of the function that its call leaves out. */
static bool is_absent_argument(const scope *s, const char *name)
{
    for (int i = 0; s->function && i < s->function->input_count; i++)
        if (strcmp(s->function->inputs[i], name) == 0)
            return true;
    return false;
}

static adze_status made_twice(const adze_onnx_node *node, const char *name, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': value '%s' is made twice", node->op_type,
                     node->name, name);
}

static adze_status input_of(scope *s, const adze_onnx_node *from, int i, adze_value **out,
                            adze_error *err)
{
    *out = NULL;
    if (!*from->inputs[i])
        return ADZE_OK;
    *out = find(s, from->inputs[i]);
    if (!*out && is_absent_argument(s, from->inputs[i]))
        return ADZE_OK;
    if (!*out)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': input %d is '%s', which nothing makes",
                         from->op_type, from->name, i, from->inputs[i]);
    return ADZE_OK;
}

/* Outputs are made before nodes so that order in the file does not matter. */
static adze_status declare_outputs(scope *s, const adze_onnx_node *nodes, int count,
                                   adze_error *err)
{
    for (int n = 0; n < count; n++)
        for (int o = 0; o < nodes[n].output_count; o++) {
            const char *name = nodes[n].outputs[o];
            if (!*name)
                continue;
            adze_value *known = adze_map_get(&s->names, name);
            if (known && !(s->function && !known->producer && known->role == ADZE_ROLE_COMPUTED))
                return made_twice(&nodes[n], name, err);
            if (!known && !bind(s, name, adze_graph_new_value(s->graph, scoped(s, name), NULL)))
                return out_of_memory(err);
        }
    return ADZE_OK;
}

/* Operators count on their required outputs, also when the file does not name them. */
static adze_status need_outputs(adze_node *node, adze_error *err)
{
    const adze_op *op = adze_op_find(node->graph->context, node->domain, node->op_type);
    for (int i = 0; op && node->output_count > 0 && i < op->min_outputs; i++) {
        node->output_count = ADZE_MAX(node->output_count, i + 1);
        if (node->outputs[i])
            continue;
        node->outputs[i] = adze_graph_new_value(node->graph, NULL, NULL);
        if (!node->outputs[i])
            return out_of_memory(err);
        node->outputs[i]->producer = node;
        node->outputs[i]->producer_output = i;
    }
    return ADZE_OK;
}

static adze_status attach_outputs(scope *s, adze_node *node, const adze_onnx_node *from,
                                  adze_error *err)
{
    const adze_op *op = adze_op_find(s->graph->context, node->domain, node->op_type);
    const int room = ADZE_MAX(from->output_count, op ? op->min_outputs : 0);
    node->outputs = ADZE_ARENA_ARRAY(&s->graph->arena, adze_value *, (size_t)room + 1);
    if (!node->outputs)
        return out_of_memory(err);
    node->output_count = from->output_count;
    for (int i = 0; i < from->output_count; i++) {
        if (!*from->outputs[i])
            continue;
        adze_value *value = adze_map_get(&s->names, from->outputs[i]);
        if (value->producer || value->role != ADZE_ROLE_COMPUTED)
            return made_twice(from, from->outputs[i], err);
        node->outputs[i] = value;
        value->producer = node;
        value->producer_output = i;
    }
    while (node->output_count > 0 && !node->outputs[node->output_count - 1])
        node->output_count--;
    return need_outputs(node, err);
}

static const adze_onnx_function *function_of(const scope *s, const adze_onnx_node *node)
{
    const adze_onnx_function *any = NULL;
    for (int i = 0; i < s->model->function_count; i++) {
        const adze_onnx_function *f = &s->model->functions[i];
        if (strcmp(f->name, node->op_type) == 0 &&
            strcmp(normal_domain(f->domain), normal_domain(node->domain)) == 0 &&
            (!*f->overload || strcmp(f->overload, node->overload) == 0)) {
            if (strcmp(f->overload, node->overload) == 0)
                return f;
            any = f;
        }
    }
    return any;
}

/* The body of the function in place of the call. */
static adze_status expand_function(scope *s, const adze_onnx_node *call,
                                   const adze_onnx_function *f, adze_error *err)
{
    scope body = {.graph = s->graph,
                  .names = adze_map_in(&s->graph->arena),
                  .model = s->model,
                  .opsets = f->opset_count ? f->opsets : s->opsets,
                  .opset_count = f->opset_count ? f->opset_count : s->opset_count,
                  .function = f,
                  .call = call,
                  .caller = s,
                  .depth = s->depth + 1,
                  .calls = s->calls};
    if (++*s->calls > MAX_CALLS)
        return adze_fail(err, ADZE_LIMIT, "%s '%s': more than %d calls of functions", call->op_type,
                         call->name, MAX_CALLS);
    body.prefix =
        adze_arena_printf(&s->graph->arena, "%s%s/", s->prefix,
                          *call->name || call->output_count == 0 ? call->name : call->outputs[0]);
    if (!body.prefix)
        return out_of_memory(err);
    for (int i = 0; i < f->input_count && i < call->input_count; i++) {
        adze_value *actual;
        ADZE_TRY(input_of(s, call, i, &actual, err));
        if (actual && !bind(&body, f->inputs[i], actual))
            return out_of_memory(err);
    }
    for (int i = 0; i < f->output_count && i < call->output_count; i++)
        if (*call->outputs[i] &&
            !bind(&body, f->outputs[i], adze_map_get(&s->names, call->outputs[i])))
            return out_of_memory(err);
    return convert_nodes(&body, f->nodes, f->node_count, err);
}

/* ---- graphs in attributes that are put in the place of their node ---- */

static adze_status add_initializers(scope *s, const adze_onnx_graph *from, adze_error *err);

/* *x goes through the graph of an attribute, if it is there. */
static adze_status inline_graph(scope *s, const adze_onnx_node *node, const char *attr,
                                adze_value **x, adze_error *err)
{
    const adze_onnx_graph *from = graph_of(s, node, attr);
    scope body = *s;
    if (!from)
        return ADZE_OK;
    if (from->input_count != 1 || from->output_count != 1)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "%s '%s': %s has %d inputs and %d outputs, expected 1", node->op_type,
                         node->name, attr, from->input_count, from->output_count);
    body.parent = s;
    body.names = adze_map_in(&s->graph->arena);
    body.prefix =
        adze_arena_printf(&s->graph->arena, "%s%s/%s/", s->prefix, node->outputs[0], attr);
    body.depth++;
    if (!body.prefix || !bind(&body, from->inputs[0].name, *x))
        return out_of_memory(err);
    ADZE_TRY(add_initializers(&body, from, err));
    ADZE_TRY(convert_nodes(&body, from->nodes, from->node_count, err));
    *x = find(&body, from->outputs[0].name);
    return *x ? ADZE_OK
              : adze_fail(err, ADZE_BAD_MODEL, "%s '%s': output '%s' of %s is made by no node",
                          node->op_type, node->name, from->outputs[0].name, attr);
}

static adze_status expand_flex(scope *s, adze_node *node, const adze_onnx_node *from,
                               adze_error *err)
{
    adze_value *x;
    if (strcmp(node->op_type, "FlexAttention") != 0 ||
        strcmp(node->domain, "ai.onnx.preview") != 0 || node->output_count != 1 ||
        (!graph_of(s, from, "score_mod") && !graph_of(s, from, "prob_mod")))
        return ADZE_OK;
    ADZE_TRY(adze_onnx_flex_scores(&x, node, err));
    ADZE_TRY(inline_graph(s, from, "score_mod", &x, err));
    ADZE_TRY(adze_onnx_flex_softmax(&x, node, x, err));
    ADZE_TRY(inline_graph(s, from, "prob_mod", &x, err));
    return adze_onnx_flex_finish(node, x, err);
}

/* A Constant with a tensor becomes a constant of the same name. */
static bool is_plain_constant(const adze_onnx_node *from)
{
    return strcmp(from->op_type, "Constant") == 0 && !*normal_domain(from->domain) &&
           from->output_count == 1 && *from->outputs[0] && from->attr_count == 1 &&
           from->attrs[0].type == ADZE_ONNX_ATTR_TENSOR && !*from->attrs[0].ref_name;
}

static adze_status make_constant(scope *s, const adze_onnx_node *from, adze_error *err)
{
    adze_value *value = adze_map_get(&s->names, from->outputs[0]);
    adze_tensor *tensor = ADZE_ARENA_NEW(&s->graph->arena, adze_tensor);
    if (!tensor)
        return out_of_memory(err);
    ADZE_TRY(adze_onnx_tensor_view(tensor, from->attrs[0].tensors, err));
    if (value->producer || value->role != ADZE_ROLE_COMPUTED)
        return made_twice(from, from->outputs[0], err);
    value->role = ADZE_ROLE_CONSTANT;
    value->constant = tensor;
    value->type = adze_type_tensor(tensor->dtype, tensor->rank, tensor->dims);
    return ADZE_OK;
}

/* Old forms of later nodes are easier to adapt when the ranks of their inputs are known. Failures are
 * found again, and reported, when the whole graph is inferred. */
static void infer_early(adze_graph *graph, int first)
{
    adze_error ignored;
    for (int i = first; i < graph->node_count; i++)
        if (adze_graph_infer_node(graph->nodes[i], &ignored) != ADZE_OK)
            return;
}

/* What only passes may add to a node, and kernels believe: attributes of ours, a bias of MatMul, a residual of Conv. */
static adze_status check_plain(const adze_onnx_node *from, const char *domain, adze_error *err)
{
    static const struct {
        const char *op;
        int inputs;
    } most[] = {{"Conv", 3}, {"MatMul", 2}};
    for (int i = 0; i < from->attr_count; i++)
        if (strncmp(from->attrs[i].name, "adze.", 5) == 0)
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': no file may use the attribute %s",
                             from->op_type, from->name, from->attrs[i].name);
    for (size_t i = 0; i < ADZE_COUNT_OF(most); i++)
        if (!*domain && strcmp(from->op_type, most[i].op) == 0 &&
            from->input_count > most[i].inputs)
            return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': %d inputs, expected at most %d",
                             from->op_type, from->name, from->input_count, most[i].inputs);
    return ADZE_OK;
}

static adze_status convert_node(scope *s, const adze_onnx_node *from, adze_error *err)
{
    const adze_onnx_function *function = function_of(s, from);
    if (s->depth > MAX_DEPTH)
        return adze_fail(err, ADZE_BAD_MODEL, "%s '%s': functions or graphs nest too deeply",
                         from->op_type, from->name);
    if (function)
        return expand_function(s, from, function, err);
    if (is_plain_constant(from))
        return make_constant(s, from, err);
    const char *domain = normal_domain(from->domain);
    const adze_op *op = adze_op_find(s->graph->context, domain, from->op_type);
    if (op && (op->flags & ADZE_OP_INTERNAL))
        return adze_fail(err, ADZE_BAD_MODEL, "%s.%s '%s': no file may use this operator", domain,
                         from->op_type, from->name);
    ADZE_TRY(check_plain(from, domain, err));
    adze_node *node =
        adze_graph_new_node(s->graph, domain, from->op_type,
                            *from->name ? scoped(s, from->name) : NULL, from->input_count, 0);
    if (!node)
        return out_of_memory(err);
    for (int i = 0; i < from->input_count; i++)
        ADZE_TRY(input_of(s, from, i, &node->inputs[i], err));
    while (node->input_count > 0 && !node->inputs[node->input_count - 1])
        node->input_count--;
    ADZE_TRY(attach_outputs(s, node, from, err));
    ADZE_TRY(convert_attrs(s, node, from, err));
    adze_node *last = NULL;
    int first_new = s->graph->node_count;
    ADZE_TRY(adze_onnx_adapt_node(node, opset_of(s, domain), &last, err));
    ADZE_TRY(adze_onnx_expand_contrib(node, err));
    ADZE_TRY(adze_onnx_expand_fused(node, err));
    ADZE_TRY(expand_flex(s, node, from, err));
    if (!adze_graph_append(s->graph, node) || (last && !adze_graph_append(s->graph, last)))
        return out_of_memory(err);
    infer_early(s->graph, first_new);
    return ADZE_OK;
}

static adze_status convert_nodes(scope *s, const adze_onnx_node *nodes, int count, adze_error *err)
{
    ADZE_TRY(declare_outputs(s, nodes, count, err));
    for (int i = 0; i < count; i++)
        ADZE_TRY(convert_node(s, &nodes[i], err));
    return ADZE_OK;
}

/* ---- graphs ---- */

static adze_status add_initializers(scope *s, const adze_onnx_graph *from, adze_error *err)
{
    for (int i = 0; i < from->initializer_count; i++) {
        const adze_onnx_tensor *t = &from->initializers[i];
        adze_tensor view;
        if (adze_map_has(&s->names, t->name))
            return adze_fail(err, ADZE_BAD_MODEL, "two initializers are called '%s'", t->name);
        ADZE_TRY(adze_onnx_tensor_view(&view, t, err));
        if (!bind(s, t->name, adze_graph_add_constant(s->graph, scoped(s, t->name), &view, false)))
            return out_of_memory(err);
    }
    return ADZE_OK;
}

static adze_status add_inputs(scope *s, const adze_onnx_graph *from, adze_error *err)
{
    for (int i = 0; i < from->input_count; i++) {
        const adze_onnx_value *v = &from->inputs[i];
        const adze_value *known = adze_map_get(&s->names, v->name);
        if (known && known->role == ADZE_ROLE_INPUT)
            return adze_fail(err, ADZE_BAD_MODEL, "two inputs are called '%s'", v->name);
        if (known)
            continue; /* an initializer: its content is the default and never overridden */
        /* What goes into a subgraph may change its size from turn to turn: no symbols of its own. */
        adze_type type = convert_type(s, v, !s->parent);
        if (!bind(s, v->name, adze_graph_add_input(s->graph, v->name, &type)))
            return out_of_memory(err);
    }
    return ADZE_OK;
}

static void declare_types(scope *s, const adze_onnx_value *values, int count)
{
    for (int i = 0; i < count; i++) {
        adze_value *v = adze_map_get(&s->names, values[i].name);
        if (v && v->role == ADZE_ROLE_COMPUTED)
            v->type = convert_type(s, &values[i], false);
    }
}

static adze_status add_outputs(scope *s, const adze_onnx_graph *from, adze_error *err)
{
    for (int i = 0; i < from->output_count; i++) {
        adze_value *v = find(s, from->outputs[i].name);
        if (!v)
            return adze_fail(err, ADZE_BAD_MODEL, "output '%s' is made by no node",
                             from->outputs[i].name);
        ADZE_TRY(adze_graph_add_output(s->graph, v, err));
    }
    return ADZE_OK;
}

/* A function's output that its body does not make, an output that an old form of an operator loses. */
static adze_status check_producers(const adze_graph *graph, adze_error *err)
{
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n]->input_count; i++) {
            const adze_value *v = graph->nodes[n]->inputs[i];
            if (v && v->role == ADZE_ROLE_COMPUTED && !v->producer)
                return adze_fail(err, ADZE_BAD_MODEL,
                                 "%s '%s': input %d is '%s', which nothing makes",
                                 graph->nodes[n]->op_type, graph->nodes[n]->name, i, v->name);
        }
    for (int i = 0; i < graph->output_count; i++)
        if (graph->outputs[i]->role == ADZE_ROLE_COMPUTED && !graph->outputs[i]->producer)
            return adze_fail(err, ADZE_BAD_MODEL, "output '%s' is made by no node",
                             graph->outputs[i]->name);
    return ADZE_OK;
}

static adze_status fill_graph(scope *s, const adze_onnx_graph *from, adze_error *err)
{
    s->graph->name = adze_arena_strdup(&s->graph->arena, from->name);
    if (!s->graph->name)
        return out_of_memory(err);
    ADZE_TRY(add_initializers(s, from, err));
    ADZE_TRY(add_inputs(s, from, err));
    ADZE_TRY(convert_nodes(s, from->nodes, from->node_count, err));
    declare_types(s, from->value_info, from->value_info_count);
    declare_types(s, from->outputs, from->output_count);
    ADZE_TRY(add_outputs(s, from, err));
    ADZE_TRY(check_producers(s->graph, err));
    return adze_graph_sort(s->graph, err);
}

static adze_status convert_graph(scope *around, adze_graph **out, const adze_onnx_graph *from,
                                 adze_error *err)
{
    scope s = *around;
    ADZE_TRY(adze_graph_create_child(out, around->graph, err));
    s.graph = *out;
    s.names = adze_map_in(&s.graph->arena);
    s.parent = around;
    s.depth++;
    if (s.depth > MAX_DEPTH)
        return adze_fail(err, ADZE_BAD_MODEL, "graph '%s': nested too deeply", from->name);
    return fill_graph(&s, from, err);
}

adze_status adze_onnx_to_graph(adze_graph *graph, const adze_onnx_model *model, adze_error *err)
{
    for (int i = 0; i < model->mapping_count; i++)
        if (!adze_graph_keep_mapping(graph, model->mappings[i]))
            return out_of_memory(err);
    int calls = 0;
    scope s = {.graph = graph,
               .calls = &calls,
               .names = adze_map_in(&graph->arena),
               .prefix = "",
               .model = model,
               .opsets = model->opsets,
               .opset_count = model->opset_count};
    return fill_graph(&s, &model->graph, err);
}
