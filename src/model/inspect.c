/* What a model is: inputs, outputs, parameters, operators with their share of the work, symbols, and
 * everything that is not supported, at once. */
#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "model/model_impl.h"
#include "ops/registry.h"

/* ---- cost at the bounds ---- */

static bool concrete(const adze_graph *graph, const adze_value *v, adze_tensor *out)
{
    if (!v || v->type.kind != ADZE_VALUE_TENSOR || v->type.rank < 0)
        return false;
    *out = (adze_tensor){.dtype = v->type.dtype, .rank = v->type.rank, .quant = v->type.quant};
    for (int i = 0; i < v->type.rank; i++) {
        int64_t d = adze_dim_upper(graph->dims, v->type.dims[i]);
        out->dims[i] = d >= INT64_MAX / 4 ? 1 : ADZE_MAX(d, 0);
    }
    out->data = v->role == ADZE_ROLE_CONSTANT ? v->constant->data : NULL;
    int64_t n = adze_tensor_elements(out);
    out->size = n < 0 ? 0 : adze_dtype_bytes(out->dtype, n);
    return true;
}

/* Symbols without a bound count as 1: expressions are evaluated again with that. */
static void bind_unbounded(adze_graph *graph, int64_t *saved)
{
    for (int i = 0; i < graph->dims->count; i++) {
        adze_dim_def *def = &graph->dims->defs[i];
        saved[i] = def->upper;
        if (def->kind == ADZE_DIM_SYMBOL && def->upper >= INT64_MAX / 4)
            def->upper = ADZE_MAX(def->lower, 1);
    }
    adze_dims_update_bounds(graph->dims);
}

static void restore_bounds(adze_graph *graph, const int64_t *saved)
{
    for (int i = 0; i < graph->dims->count; i++)
        graph->dims->defs[i].upper = saved[i];
    adze_dims_update_bounds(graph->dims);
}

double adze_node_operations(const adze_graph *graph, const adze_node *node)
{
    enum { MOST = 64 };
    adze_tensor tensors[2 * MOST];
    const adze_tensor *inputs[MOST] = {0}, *outputs[MOST] = {0};
    if (!node->op || node->input_count > MOST || node->output_count > MOST ||
        (node->op->flags & ADZE_OP_VIEW))
        return 0;
    for (int i = 0; i < node->input_count; i++) {
        if (node->inputs[i] && !concrete(graph, node->inputs[i], &tensors[i]))
            return 0;
        inputs[i] = node->inputs[i] ? &tensors[i] : NULL;
    }
    for (int i = 0; i < node->output_count; i++) {
        if (node->outputs[i] && !concrete(graph, node->outputs[i], &tensors[MOST + i]))
            return 0;
        outputs[i] = node->outputs[i] ? &tensors[MOST + i] : NULL;
    }
    if (!outputs[0])
        return 0;
    adze_cost cost = {0};
    if (node->op->cost)
        node->op->cost(&cost, node, inputs, outputs);
    else
        cost.operations = (double)adze_tensor_elements(outputs[0]);
    return cost.operations;
}

static double weight_bytes(const adze_graph *g)
{
    double bytes = 0;
    for (int i = 0; i < g->value_count; i++)
        if (g->values[i]->role == ADZE_ROLE_CONSTANT)
            bytes += (double)g->values[i]->constant->size;
    return bytes;
}

static double parameter_count(const adze_graph *g)
{
    double n = 0;
    for (int i = 0; i < g->value_count; i++)
        if (g->values[i]->role == ADZE_ROLE_CONSTANT)
            n += (double)adze_tensor_elements(g->values[i]->constant);
    return n;
}

/* Operations of every node, by position; *total their sum. */
static double *node_operations(adze_graph *g, double *total)
{
    double *ops = adze_alloc((size_t)g->node_count + 1, sizeof *ops);
    int64_t *saved = adze_alloc((size_t)g->dims->count + 1, sizeof *saved);
    *total = 0;
    if (ops && saved) {
        bind_unbounded(g, saved);
        for (int i = 0; i < g->node_count; i++)
            *total += ops[i] = adze_node_operations(g, g->nodes[i]);
        restore_bounds(g, saved);
    }
    adze_free(saved);
    return ops;
}

adze_status adze_model_cost(const adze_model *model, double *operations, double *bytes,
                            adze_error *err)
{
    double *ops = node_operations(model->graph, operations);
    adze_free(ops);
    *bytes = weight_bytes(model->graph);
    return ops ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "cost");
}

/* ---- issues ---- */

static bool lists_attr(const char *attrs, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = attrs; (at = strstr(at, name)); at += n)
        if ((at == attrs || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

static adze_status add_issue(adze_model *m, const char *what, const char *remedy,
                             const adze_node *node, double share, adze_error *err)
{
    for (int i = 0; i < m->issue_count; i++)
        if (strcmp(m->issues[i].what, what) == 0) {
            m->issues[i].nodes++;
            m->issues[i].operations += share >= 0 && m->issues[i].operations >= 0 ? share : 0;
            return ADZE_OK;
        }
    if (!adze_arena_grow(&m->arena, &m->issues, &m->issue_capacity, m->issue_count,
                         sizeof *m->issues))
        return adze_fail(err, ADZE_NO_MEMORY, "list of issues");
    m->issues[m->issue_count++] = (adze_issue){.what = adze_arena_strdup(&m->arena, what),
                                               .remedy = remedy,
                                               .nodes = 1,
                                               .operations = share,
                                               .example = node->name};
    return m->issues[m->issue_count - 1].what ? ADZE_OK
                                              : adze_fail(err, ADZE_NO_MEMORY, "list of issues");
}

enum { NEWEST_OPSET = 28 };

/* What would cure an operator that is not known. */
static const char *cure_of(const adze_model *m, const adze_node *node)
{
    static const struct cure {
        const char *domain, *remedy;
    } cures[] = {
        {"ai.onnx.training", "it belongs to training: export the model for inference"},
        {"ai.onnx.preview.training", "it belongs to training: export the model for inference"},
        {"com.microsoft.nchwc",
         "ONNX Runtime's optimizer laid it out for one processor: take the model from before, or "
         "optimize at level extended at most"},
        {"com.microsoft",
         "ONNX Runtime's optimizer makes it: take the model from before, or optimize "
         "at level basic"},
        {"org.pytorch",
         "a PyTorch operator without a translation: export with a newer opset, or with "
         "torch.onnx.export(dynamo=True)"},
        {"ai.onnx.contrib",
         "pre- or post-processing of onnxruntime-extensions: take the model without "
         "it and do it outside"},
    };
    static const char *const domains[] = {"", "ai.onnx.ml", "com.microsoft"};
    const bool layout = strcmp(node->domain, "com.microsoft.nchwc") == 0; /* names mislead */
    for (size_t i = 0; i < ADZE_COUNT_OF(domains) && !layout; i++)
        if (strcmp(domains[i], node->domain) != 0 &&
            adze_op_find(m->graph->context, domains[i], node->op_type))
            return *domains[i] == '\0' ? "ai.onnx has an operator of this name: change the node's "
                                         "domain if that is meant"
                                       : "another domain has an operator of this name: change the "
                                         "node's domain if that is meant";
    for (size_t i = 0; i < ADZE_COUNT_OF(cures); i++)
        if (adze_starts_with(node->domain, cures[i].domain))
            return cures[i].remedy;
    if (*node->domain)
        return "register a custom operator (docs/add-an-operator.md), or export it as standard "
               "operators or as a model-local function";
    if (m->opset > NEWEST_OPSET)
        return "export with an older opset (onnx.version_converter)";
    return "decompose it into other operators of ONNX, or register a custom operator "
           "(docs/add-an-operator.md)";
}

static adze_status check_graph(adze_model *m, const adze_graph *g, const double *ops, double total,
                               adze_error *err);

static adze_status check_node(adze_model *m, const adze_node *node, double share, adze_error *err)
{
    char what[256];
    if (!node->op) {
        snprintf(what, sizeof what, "operator %s%s%s is not known", node->domain,
                 *node->domain ? "." : "", node->op_type);
        ADZE_TRY(add_issue(m, what, cure_of(m, node), node, -1, err));
    }
    for (int a = 0; a < node->attr_count; a++) {
        if (node->attrs[a].type == ADZE_ATTR_GRAPH)
            ADZE_TRY(check_graph(m, node->attrs[a].as.graph, NULL, 0, err));
        if (!node->op || !node->op->attrs || lists_attr(node->op->attrs, node->attrs[a].name))
            continue;
        snprintf(what, sizeof what, "attribute %s of %s is not known", node->attrs[a].name,
                 node->op_type);
        ADZE_TRY(add_issue(m, what, "it is ignored; export with a newer opset if it matters", node,
                           share, err));
    }
    return ADZE_OK;
}

/* ops NULL: a graph inside a node, whose share is not known. */
static adze_status check_graph(adze_model *m, const adze_graph *g, const double *ops, double total,
                               adze_error *err)
{
    adze_status status = ADZE_OK;
    for (int i = 0; i < g->node_count && status == ADZE_OK; i++)
        status = check_node(m, g->nodes[i], !ops ? -1 : total > 0 ? ops[i] / total : 0, err);
    return status;
}

adze_status adze_model_find_issues(adze_model *m, adze_error *err)
{
    double total;
    double *ops = node_operations(m->graph, &total);
    if (!ops)
        return adze_fail(err, ADZE_NO_MEMORY, "list of issues");
    m->issue_count = 0;
    adze_status status = check_graph(m, m->graph, ops, total, err);
    adze_free(ops);
    return status;
}

/* Share of the node of this name and operator; -1: it is inside another, or was made by a pass. */
static double share_of(const adze_model *m, const adze_node *node)
{
    double total, share = -1;
    double *ops = node_operations(m->graph, &total);
    for (int i = 0; ops && i < m->graph->node_count; i++)
        if (strcmp(m->graph->nodes[i]->name, node->name) == 0 &&
            strcmp(m->graph->nodes[i]->op_type, node->op_type) == 0)
            share = total > 0 ? ops[i] / total : 0;
    adze_free(ops);
    return share;
}

static const adze_node *own_node(const adze_graph *g, const adze_node *node)
{
    const adze_node *found = NULL;
    for (int i = 0; i < g->node_count && !found; i++) {
        if (strcmp(g->nodes[i]->name, node->name) == 0)
            return g->nodes[i];
        for (int a = 0; a < g->nodes[i]->attr_count && !found; a++)
            if (g->nodes[i]->attrs[a].type == ADZE_ATTR_GRAPH)
                found = own_node(g->nodes[i]->attrs[a].as.graph, node);
    }
    return found;
}

void adze_model_add_refused(void *model, const adze_node *node, const adze_error *why)
{
    adze_model *m = model;
    const adze_node *own = own_node(m->graph, node);
    char what[300], start[256];
    if (!node->op)
        return; /* listed when the model was opened */
    /* The same reason at other nodes is the same issue: without the node's name. */
    const char *reason = why->message;
    snprintf(start, sizeof start, "node %s (%s): ", node->name, node->op_type);
    if (adze_starts_with(reason, start))
        reason += strlen(start);
    snprintf(what, sizeof what, "%.64s: %.200s", node->op_type, reason);
    bool type = strstr(reason, "no kernel for ") != NULL;
    adze_error ignored;
    /* Without memory for it the issue is missing here; the plan fails all the same. */
    if (add_issue(m, what,
                  type ? "cast its inputs to float32 (its outputs back), or export in float32"
                       : "export it with other attributes, or decompose it into other operators",
                  own ? own : m->graph->nodes[0], share_of(m, node), &ignored) != ADZE_OK)
        return;
}

int adze_model_issue_count(const adze_model *model)
{
    return model->issue_count;
}

const adze_issue *adze_model_issue(const adze_model *model, int i)
{
    return i >= 0 && i < model->issue_count ? &model->issues[i] : NULL;
}

/* ---- description ---- */

static json_t *describe_type(const adze_graph *g, const adze_value *v)
{
    json_t *dims = json_array();
    for (int i = 0; i < v->type.rank; i++) {
        char buf[128];
        if (v->type.dims[i] >= 0)
            json_array_append_new(dims, json_integer(v->type.dims[i]));
        else
            json_array_append_new(
                dims, json_string(adze_dim_format(g->dims, v->type.dims[i], buf, sizeof buf)));
    }
    return json_pack("{s:s, s:s, s:o}", "name", v->name, "type",
                     adze_dtype_describe(v->type.dtype)->name, "shape", dims);
}

static json_t *describe_values(const adze_graph *g, adze_value *const *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, describe_type(g, values[i]));
    return list;
}

static json_t *describe_operators(const adze_graph *g, const double *ops, double total)
{
    json_t *list = json_array();
    for (int i = 0; i < g->node_count; i++) {
        const adze_node *node = g->nodes[i];
        json_t *row = NULL;
        size_t k;
        json_t *entry;
        json_array_foreach(list, k, entry)
        {
            if (strcmp(json_string_value(json_object_get(entry, "op")), node->op_type) == 0 &&
                strcmp(json_string_value(json_object_get(entry, "domain")), node->domain) == 0)
                row = entry;
        }
        if (!row) {
            row = json_pack("{s:s, s:s, s:i, s:f, s:f}", "op", node->op_type, "domain",
                            node->domain, "count", 0, "operations", 0.0, "share", 0.0);
            json_array_append_new(list, row);
        }
        json_integer_set(json_object_get(row, "count"),
                         json_integer_value(json_object_get(row, "count")) + 1);
        double sum = json_real_value(json_object_get(row, "operations")) + ops[i];
        json_real_set(json_object_get(row, "operations"), sum);
        json_real_set(json_object_get(row, "share"), total > 0 ? sum / total : 0);
    }
    return list;
}

static json_t *describe_issues(const adze_model *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->issue_count; i++) {
        const adze_issue *p = &m->issues[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:i, s:o, s:s}", "what", p->what, "remedy",
                                        p->remedy, "nodes", p->nodes, "operations_share",
                                        p->operations < 0 ? json_null() : json_real(p->operations),
                                        "example", p->example));
    }
    return list;
}

static json_t *describe_symbols(const adze_graph *g)
{
    json_t *list = json_array();
    for (int i = 0; i < g->dims->count; i++) {
        const adze_dim_def *def = &g->dims->defs[i];
        if (def->kind == ADZE_DIM_SYMBOL)
            json_array_append_new(
                list,
                json_pack("{s:s, s:I, s:o}", "name", def->name, "lower", (json_int_t)def->lower,
                          "upper",
                          def->upper >= INT64_MAX / 4 ? json_null() : json_integer(def->upper)));
    }
    return list;
}

static json_t *describe(const adze_model *m)
{
    double total;
    double *ops = node_operations(m->graph, &total);
    const adze_graph *g = m->graph;
    if (!ops)
        return NULL;
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "path",
        m->path, "format", "ONNX", "producer", m->producer, "opset", (json_int_t)m->opset,
        "ir_version", (json_int_t)m->ir_version, "file_bytes", (json_int_t)m->file_size, "nodes",
        g->node_count, "parameters", parameter_count(g), "weight_bytes", weight_bytes(g),
        "operations", total, "inputs", describe_values(g, g->inputs, g->input_count), "outputs",
        describe_values(g, g->outputs, g->output_count), "operators",
        describe_operators(g, ops, total), "symbols", describe_symbols(g), "issues",
        describe_issues(m));
    adze_free(ops);
    return json;
}

static void print_values(adze_text *out, const char *title, const adze_graph *g,
                         adze_value *const *values, int count)
{
    for (int i = 0; i < count; i++) {
        char type[256];
        adze_text_printf(out, "%-10s %-24s %s\n", i ? "" : title, values[i]->name,
                         adze_type_format(g, &values[i]->type, type, sizeof type));
    }
}

static void print_operators(adze_text *out, const json_t *operators)
{
    size_t i;
    const json_t *row;
    adze_text_printf(out, "\n%-26s %6s %12s %7s\n", "operator", "nodes", "operations", "share");
    json_array_foreach(operators, i, row)
    {
        char count[32];
        adze_text_printf(
            out, "%-26s %6lld %12s %6.1f %%\n", json_string_value(json_object_get(row, "op")),
            (long long)json_integer_value(json_object_get(row, "count")),
            adze_format_count(count, json_real_value(json_object_get(row, "operations"))),
            100 * json_real_value(json_object_get(row, "share")));
    }
}

static void print(adze_text *out, const adze_model *m, const json_t *json)
{
    char a[32], b[32], c[32], d[32];
    const adze_graph *g = m->graph;
    adze_text_printf(out, "%s\n%-10s ONNX, opset %lld, IR version %lld, made by %s\n", m->path,
                     "format", (long long)m->opset, (long long)m->ir_version,
                     *m->producer ? m->producer : "(unknown)");
    adze_text_printf(out, "%-10s %s file, %s parameters in %s, %s operations a run\n", "size",
                     adze_format_bytes(a, (double)m->file_size),
                     adze_format_count(b, parameter_count(g)),
                     adze_format_bytes(c, weight_bytes(g)),
                     adze_format_count(d, json_real_value(json_object_get(json, "operations"))));
    print_values(out, "inputs", g, g->inputs, g->input_count);
    print_values(out, "outputs", g, g->outputs, g->output_count);
    print_operators(out, json_object_get(json, "operators"));
    adze_text_printf(out, m->issue_count ? "\nnot supported:\n" : "\neverything is supported\n");
    for (int i = 0; i < m->issue_count; i++) {
        const adze_issue *p = &m->issues[i];
        char share[48] = "share of the operations unknown";
        if (p->operations >= 0)
            snprintf(share, sizeof share, "%.1f %% of the operations", 100 * p->operations);
        adze_text_printf(out, "  %s\n      %d node%s, %s, first '%s'\n      cure: %s\n", p->what,
                         p->nodes, p->nodes == 1 ? "" : "s", share, p->example, p->remedy);
    }
}

/* Strings leave the library in memory of adze_alloc. */
static char *copy_out(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = adze_alloc(1, n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

adze_status adze_model_describe(const adze_model *model, char **json, char **text, adze_error *err)
{
    json_t *description = describe(model);
    if (!description)
        return adze_fail(err, ADZE_NO_MEMORY, "description of %s", model->path);
    adze_text human = {0};
    char *dump = json_dumps(description, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    print(&human, model, description);
    json_decref(description);
    if (json)
        *json = dump ? copy_out(dump) : NULL;
    if (text)
        *text = copy_out(adze_text_get(&human));
    bool ok = dump && !human.failed && (!json || *json) && (!text || *text);
    adze_text_free(&human);
    free(dump);
    return ok ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "description of %s", model->path);
}
