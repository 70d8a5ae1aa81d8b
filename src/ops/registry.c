/* The table of operators: built in families first, then whatever a program registers. */
#include "ops/registry.h"

#include <stdio.h>
#include <string.h>

static const adze_op *const families[] = {
#define X(family) adze_ops_##family,
    ADZE_OP_FAMILIES(X)
#undef X
};

static const char *key_of(char buf[256], const char *domain, const char *name)
{
    /* "ai.onnx" is the long spelling of the default domain. */
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    snprintf(buf, 256, "%s:%s", domain, name);
    return buf;
}

adze_status adze_op_register(adze_context *context, const adze_op *op, adze_error *err)
{
    char key[256];
    if (!op || !op->name || !op->domain || !op->infer || !op->run)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "operator %s: domain, name, infer and run are required",
                         op && op->name ? op->name : "(unnamed)");
    if (!adze_map_set(&context->registry->by_name, key_of(key, op->domain, op->name), (void *)op))
        return adze_fail(err, ADZE_NO_MEMORY, "registering operator %s", op->name);
    return ADZE_OK;
}

const adze_op *adze_op_find(const adze_context *context, const char *domain, const char *name)
{
    char key[256];
    return adze_map_get(&context->registry->by_name, key_of(key, domain, name));
}

const adze_op *adze_node_operator(const adze_node *node)
{
    return node->op;
}

adze_status adze_registry_open(adze_context *context, adze_error *err)
{
    context->registry = ADZE_ARENA_NEW(&context->arena, adze_registry);
    if (!context->registry)
        return adze_fail(err, ADZE_NO_MEMORY, "table of operators");
    context->registry->by_name = adze_map_in(&context->arena);
    for (size_t f = 0; f < ADZE_COUNT_OF(families); f++)
        for (const adze_op *op = families[f]; op->name; op++)
            ADZE_TRY(adze_op_register(context, op, err));
    return ADZE_OK;
}

void adze_graph_resolve_ops(adze_graph *graph)
{
    for (int i = 0; i < graph->node_count; i++) {
        adze_node *node = graph->nodes[i];
        if (!node->op)
            node->op = adze_op_find(graph->context, node->domain, node->op_type);
        for (int a = 0; a < node->attr_count; a++)
            if (node->attrs[a].type == ADZE_ATTR_GRAPH)
                adze_graph_resolve_ops(node->attrs[a].as.graph);
    }
}
