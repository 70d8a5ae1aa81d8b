#include "op_case.h"

#include "base/rng.h"

void op_case_open(op_case *c, const char *level)
{
    op_case_open_threads(c, level, 2);
}

void op_case_open_threads(op_case *c, const char *level, int threads)
{
    memset(c, 0, sizeof *c);
    adze_context_options options = adze_context_options_default();
    options.cpu_level = level;
    options.threads = threads;
    CHECK_OK(adze_context_open(&c->context, &options, &c->error), &c->error);
    CHECK_OK(adze_graph_create(&c->graph, c->context, &c->error), &c->error);
}

void op_case_input(op_case *c, adze_dtype dtype, int rank, const int64_t *dims, const void *data,
                   const adze_quant *quant)
{
    adze_tensor *t = &c->input[c->inputs++];
    *t = adze_tensor_view(dtype, rank, dims, (void *)(uintptr_t)data);
    t->quant = quant;
}

void op_case_absent(op_case *c)
{
    c->input[c->inputs++] = (adze_tensor){.rank = -1};
}

adze_node *op_case_node(op_case *c, const char *op, int outputs)
{
    return op_case_node_in(c, "", op, outputs);
}

adze_node *op_case_node_in(op_case *c, const char *domain, const char *op, int outputs)
{
    adze_value *values[OP_CASE_INPUTS];
    for (int i = 0; i < c->inputs; i++) {
        adze_type type = adze_type_tensor(c->input[i].dtype, c->input[i].rank, c->input[i].dims);
        type.quant = c->input[i].quant;
        values[i] = c->input[i].rank < 0 ? NULL : adze_graph_add_input(c->graph, NULL, &type);
    }
    c->node = adze_graph_add_node(c->graph, domain, op, NULL, c->inputs, values, outputs);
    CHECK(c->node);
    adze_graph_resolve_ops(c->graph);
    CHECK(c->node->op);
    return c->node;
}

void op_case_quantize(op_case *c, adze_dtype dtype, const adze_quant *quant)
{
    c->node->outputs[0]->type.dtype = dtype;
    c->node->outputs[0]->type.quant = quant;
}

adze_status op_case_try(op_case *c)
{
    const adze_tensor *inputs[OP_CASE_INPUTS];
    for (int i = 0; i < c->inputs; i++)
        inputs[i] = c->input[i].rank < 0 ? NULL : &c->input[i];
    return adze_op_run_single(c->output, c->node, inputs, &c->arena, &c->error);
}

void op_case_run(op_case *c)
{
    CHECK_OK(op_case_try(c), &c->error);
}

void op_case_close(op_case *c)
{
    adze_graph_free(&c->graph);
    adze_arena_free(&c->arena);
    adze_context_close(&c->context);
}

void op_case_fill(float *x, int64_t n, uint64_t seed, float lo, float hi)
{
    adze_rng rng = adze_rng_seed(seed);
    for (int64_t i = 0; i < n; i++)
        x[i] = lo + (hi - lo) * (float)adze_rng_f64(&rng);
}

void op_case_fill_bytes(void *x, size_t n, uint64_t seed)
{
    adze_rng rng = adze_rng_seed(seed);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)x)[i] = (uint8_t)adze_rng_u64(&rng);
}
