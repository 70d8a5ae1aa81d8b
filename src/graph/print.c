/* Graphs as text: one line a node, or for DOT and Mermaid one box a node and one arrow a use. */
#include "base/text.h"
#include "graph/ir.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 4 /* elements of a constant or list that are printed */

void adze_string_free(char **text)
{
    if (!text)
        return;
    adze_free(*text);
    *text = NULL;
}

/* ---- types ---- */

static void put_quant(adze_text *out, const adze_quant *quant)
{
    if (!quant)
        return;
    if (quant->count == 1)
        adze_text_printf(out, "<%g,%d>", (double)quant->scale[0],
                         quant->zero_point ? (int)quant->zero_point[0] : 0);
    else if (quant->block)
        adze_text_printf(out, "<axis %d, blocks of %d>", quant->axis, quant->block);
    else
        adze_text_printf(out, "<axis %d>", quant->axis);
}

static void put_type(adze_text *out, const adze_graph *graph, const adze_type *type)
{
    char dim[256];
    if (type->kind != ADZE_VALUE_TENSOR) {
        adze_text_puts(out, type->kind == ADZE_VALUE_SEQUENCE ? "sequence(" : "optional(");
        if (type->inner)
            put_type(out, graph, type->inner);
        else
            adze_text_puts(out, adze_dtype_describe(type->dtype)->name);
        adze_text_puts(out, ")");
        return;
    }
    adze_text_puts(out, type->dtype ? adze_dtype_describe(type->dtype)->name : "?");
    put_quant(out, type->quant);
    if (type->rank < 0)
        adze_text_puts(out, "[...]");
    for (int i = 0; i < type->rank; i++)
        adze_text_printf(out, "%s%s", i ? "," : "[",
                         adze_dim_format(graph->dims, type->dims[i], dim, sizeof dim));
    if (type->rank >= 0)
        adze_text_puts(out, type->rank ? "]" : "[]");
}

const char *adze_type_format(const adze_graph *graph, const adze_type *type, char *buf, size_t size)
{
    adze_text text = {0};
    put_type(&text, graph, type);
    snprintf(buf, size, "%s", adze_text_get(&text));
    adze_text_free(&text);
    return buf;
}

/* ---- values ---- */

/* Bytes from files: control characters and quotes do not get through. */
static void put_safe(adze_text *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char ch = (unsigned char)text[i];
        if (ch < 32 || ch == 127 || ch == '"' || ch == '\\' || ch == '|')
            adze_text_puts(out, "_");
        else
            adze_text_add(out, &text[i], 1);
    }
}

static void put_name(adze_text *out, const char *name)
{
    put_safe(out, name, strlen(name));
}

static bool is_number_type(adze_dtype dtype)
{
    adze_kind kind = adze_dtype_describe(dtype)->kind;
    return kind == ADZE_KIND_FLOAT || kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT ||
           kind == ADZE_KIND_BOOL;
}

static void put_content(adze_text *out, const adze_tensor *tensor)
{
    int64_t n = adze_tensor_elements(tensor);
    if (n < 1 || n > SHOWN || !is_number_type(tensor->dtype))
        return;
    for (int64_t i = 0; i < n; i++) {
        adze_text_puts(out, i ? "," : "{");
        if (adze_dtype_describe(tensor->dtype)->kind == ADZE_KIND_FLOAT)
            adze_text_printf(out, "%.9g", adze_tensor_get_f64(tensor, i));
        else
            adze_text_printf(out, "%lld", (long long)adze_tensor_get_i64(tensor, i));
    }
    adze_text_puts(out, "}");
}

static void put_value(adze_text *out, const adze_graph *graph, const adze_value *value,
                      bool with_type)
{
    if (!value) {
        adze_text_puts(out, "-");
        return;
    }
    adze_text_puts(out, "%");
    put_name(out, value->name);
    if (!with_type)
        return;
    adze_text_puts(out, ": ");
    put_type(out, graph, &value->type);
    if (value->role == ADZE_ROLE_CONSTANT)
        put_content(out, value->constant);
}

static void put_values(adze_text *out, const adze_graph *graph, adze_value *const *values, int n,
                       bool with_types)
{
    for (int i = 0; i < n; i++) {
        bool constant = values[i] && values[i]->role == ADZE_ROLE_CONSTANT;
        adze_text_puts(out, i ? ", " : "");
        put_value(out, graph, values[i], with_types || constant);
    }
}

/* ---- attributes ---- */

static void put_strings(adze_text *out, const adze_string *strings, int n)
{
    adze_text_puts(out, "[");
    for (int i = 0; i < ADZE_MIN(n, SHOWN); i++) {
        adze_text_puts(out, i ? ",'" : "'");
        put_safe(out, strings[i].data, strings[i].length);
        adze_text_puts(out, "'");
    }
    adze_text_puts(out, n > SHOWN ? ",...]" : "]");
}

static void put_list(adze_text *out, const adze_attr *attr)
{
    bool ints = attr->type == ADZE_ATTR_INTS;
    int shown = ADZE_MIN(attr->count, 2 * ADZE_MAX_RANK);
    adze_text_puts(out, "[");
    for (int i = 0; i < shown; i++) {
        adze_text_puts(out, i ? "," : "");
        if (ints)
            adze_text_printf(out, "%lld", (long long)attr->as.ints[i]);
        else
            adze_text_printf(out, "%.9g", (double)attr->as.floats[i]);
    }
    adze_text_puts(out, attr->count > shown ? ",...]" : "]");
}

static void put_attr_value(adze_text *out, const adze_graph *graph, const adze_attr *attr)
{
    char buf[160];
    switch (attr->type) {
    case ADZE_ATTR_INT: adze_text_printf(out, "%lld", (long long)attr->as.i); break;
    case ADZE_ATTR_FLOAT: adze_text_printf(out, "%.9g", (double)attr->as.f); break;
    case ADZE_ATTR_STRING:
        adze_text_puts(out, "'");
        put_name(out, attr->as.s);
        adze_text_puts(out, "'");
        break;
    case ADZE_ATTR_INTS:
    case ADZE_ATTR_FLOATS: put_list(out, attr); break;
    case ADZE_ATTR_STRINGS: put_strings(out, attr->as.strings, attr->count); break;
    case ADZE_ATTR_TENSOR:
        adze_text_puts(out, adze_tensor_format(attr->as.tensor, buf, sizeof buf));
        put_content(out, attr->as.tensor);
        break;
    case ADZE_ATTR_GRAPH:
        adze_text_printf(out, "graph of %d nodes", attr->as.graph->node_count);
        break;
    case ADZE_ATTR_TYPE: put_type(out, graph, attr->as.value_type); break;
    }
}

static void put_attrs(adze_text *out, const adze_node *node)
{
    for (int i = 0; i < node->attr_count; i++) {
        adze_text_puts(out, i ? ", " : " {");
        put_name(out, node->attrs[i].name);
        adze_text_puts(out, "=");
        put_attr_value(out, node->graph, &node->attrs[i]);
    }
    adze_text_puts(out, node->attr_count ? "}" : "");
}

static void put_op(adze_text *out, const adze_node *node)
{
    put_name(out, node->domain);
    adze_text_puts(out, *node->domain ? "." : "");
    put_name(out, node->op_type);
}

/* ---- text ---- */

static void put_graph(adze_text *out, const adze_graph *graph, int depth);

static void put_node(adze_text *out, const adze_node *node, int depth)
{
    adze_text_printf(out, "%*s", 4 * depth, "");
    put_values(out, node->graph, node->outputs, node->output_count, true);
    adze_text_puts(out, node->output_count ? " = " : "");
    put_op(out, node);
    adze_text_puts(out, "(");
    put_values(out, node->graph, node->inputs, node->input_count, false);
    adze_text_puts(out, ")");
    put_attrs(out, node);
    adze_text_puts(out, "  # ");
    put_name(out, node->name);
    adze_text_puts(out, "\n");
    for (int i = 0; i < node->attr_count; i++) {
        if (node->attrs[i].type != ADZE_ATTR_GRAPH)
            continue;
        adze_text_printf(out, "%*s%s:\n", 4 * depth + 2, "", node->attrs[i].name);
        put_graph(out, node->attrs[i].as.graph, depth + 1);
    }
}

static void put_graph(adze_text *out, const adze_graph *graph, int depth)
{
    adze_text_printf(out, "%*sgraph ", 4 * depth, "");
    put_name(out, graph->name);
    adze_text_puts(out, "(");
    put_values(out, graph, graph->inputs, graph->input_count, true);
    adze_text_puts(out, ") -> (");
    put_values(out, graph, graph->outputs, graph->output_count, true);
    adze_text_puts(out, ")\n");
    for (int i = 0; i < graph->capture_count; i++) {
        adze_text_printf(out, "%*s", 4 * depth + 4, "");
        put_value(out, graph, graph->captures[i], true);
        adze_text_puts(out, " = outer %");
        put_name(out, graph->captures[i]->outer->name);
        adze_text_puts(out, "\n");
    }
    for (int i = 0; i < graph->state_count; i++) {
        adze_text_printf(out, "%*sstate ", 4 * depth + 4, "");
        put_value(out, graph, graph->states[i], true);
        adze_text_puts(out, " <- ");
        put_value(out, graph, graph->states[i]->next, false);
        adze_text_puts(out, "\n");
    }
    for (int i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i]->dead)
            put_node(out, graph->nodes[i], depth + 1);
}

/* ---- pictures ---- */

typedef struct style {
    const char *begin, *node_open, *node_close, *ends, *arrow, *label_open, *label_close, *end;
} style;

static const style dot = {"digraph graph_ {\n  node [shape=box];\n",
                          " [label=\"",
                          "\"];\n",
                          ";\n",
                          " -> ",
                          " [label=\"",
                          "\"]",
                          "}\n"};
static const style mermaid = {"flowchart TD\n", "[\"", "\"]\n", "\n", " --> ", NULL, NULL, ""};

static void put_arrow(adze_text *out, const style *s, const adze_graph *graph,
                      const adze_value *value, const char *to)
{
    char from[32], type[512];
    if (!value || value->role == ADZE_ROLE_CONSTANT)
        return;
    if (value->producer)
        snprintf(from, sizeof from, "n%d", value->producer->id);
    else
        snprintf(from, sizeof from, "v%d", value->id);
    adze_type_format(graph, &value->type, type, sizeof type);
    adze_text_printf(out, "  %s", from);
    if (s->label_open) {
        adze_text_printf(out, "%s%s%s", s->arrow, to, s->label_open);
        put_name(out, type);
        adze_text_puts(out, s->label_close);
    } else {
        adze_text_puts(out, " -- \"");
        put_name(out, type);
        adze_text_printf(out, "\"%s%s", s->arrow, to);
    }
    adze_text_puts(out, s->ends);
}

static void put_box(adze_text *out, const style *s, const char *id, const char *prefix,
                    const char *label)
{
    adze_text_printf(out, "  %s%s%s", id, s->node_open, prefix);
    put_name(out, label);
    adze_text_puts(out, s->node_close);
}

static void put_picture(adze_text *out, const style *s, const adze_graph *graph)
{
    char id[32];
    adze_text_puts(out, s->begin);
    for (int i = 0; i < graph->value_count; i++) {
        const adze_value *value = graph->values[i];
        if (value->role == ADZE_ROLE_COMPUTED || value->role == ADZE_ROLE_CONSTANT)
            continue;
        snprintf(id, sizeof id, "v%d", value->id);
        put_box(out, s, id, value->role == ADZE_ROLE_STATE ? "state " : "input ", value->name);
    }
    for (int i = 0; i < graph->node_count; i++) {
        const adze_node *node = graph->nodes[i];
        snprintf(id, sizeof id, "n%d", node->id);
        put_box(out, s, id, "", node->op_type);
        for (int k = 0; k < node->input_count; k++)
            put_arrow(out, s, graph, node->inputs[k], id);
    }
    for (int i = 0; i < graph->output_count; i++) {
        snprintf(id, sizeof id, "o%d", i);
        put_box(out, s, id, "output ", graph->outputs[i]->name);
        put_arrow(out, s, graph, graph->outputs[i], id);
    }
    adze_text_puts(out, s->end);
}

adze_status adze_graph_format_text(char **out, const adze_graph *graph, adze_graph_format format,
                                   adze_error *err)
{
    adze_text text = {0};
    if (format == ADZE_GRAPH_TEXT)
        put_graph(&text, graph, 0);
    else
        put_picture(&text, format == ADZE_GRAPH_DOT ? &dot : &mermaid, graph);
    if (text.failed) {
        adze_text_free(&text);
        return adze_fail(err, ADZE_NO_MEMORY, "graph %s: out of memory", graph->name);
    }
    *out = text.data;
    return ADZE_OK;
}
