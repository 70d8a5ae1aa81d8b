/* A custom operator: com.example.Cube, y = x * x * x for float32, registered through the public interface,
 * put into a graph behind a Relu and executed. The same row serves models from files. */
#include <adze/op.h>
#include <adze/session.h>
#include <stdio.h>
#include <stdlib.h>

static adze_status cube_infer(adze_infer *infer, adze_error *err)
{
    (void)err;
    const adze_type *x = adze_infer_input(infer, 0);
    if (x->rank >= 0) /* unknown: nothing can be said yet */
        adze_infer_set_tensor(infer, 0, x->dtype, x->rank, x->dims);
    return ADZE_OK;
}

static adze_status cube_prepare(adze_prepare *prepare, adze_error *err)
{
    if (adze_prepare_input(prepare, 0)->dtype == ADZE_F32)
        return ADZE_OK;
    if (err) {
        err->status = ADZE_UNSUPPORTED;
        snprintf(err->message, sizeof err->message, "Cube has a kernel for float32 only");
    }
    return ADZE_UNSUPPORTED;
}

enum { PIECE = 4096 };
static void cube_piece(void *user, int64_t piece, int worker)
{
    const adze_run *run = user;
    const float *x = run->inputs[0]->data;
    float *y = run->outputs[0]->data;
    int64_t end = adze_tensor_elements(run->inputs[0]), first = piece * PIECE;
    (void)worker;
    for (int64_t i = first; i < end && i < first + PIECE; i++)
        y[i] = x[i] * x[i] * x[i];
}

static adze_status cube_run(adze_run *run, adze_error *err)
{
    (void)err;
    int64_t pieces = (adze_tensor_elements(run->inputs[0]) + PIECE - 1) / PIECE;
    adze_run_parallel(run, pieces, cube_piece, run);
    return ADZE_OK;
}

static const adze_op cube = {.domain = "com.example",
                             .name = "Cube",
                             .since = 1,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .flags = ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE,
                             .attrs = "",
                             .infer = cube_infer,
                             .prepare = cube_prepare,
                             .run = cube_run};

static adze_error err;

static void must(adze_status status)
{
    if (status == ADZE_OK)
        return;
    fprintf(stderr, "custom_operator: %s\n", err.message);
    exit(adze_status_exit_code(status));
}

int main(void)
{
    adze_context *context;
    adze_graph *graph;
    adze_plan *plan;
    adze_session *session;
    must(adze_context_open(&context, NULL, &err));
    must(adze_op_register(context, &cube, &err)); /* before any graph or model is made */
    must(adze_graph_create(&graph, context, &err));
    adze_type type = adze_type_tensor(ADZE_F32, 1, (adze_dim[]){adze_graph_symbol(graph, "N")});
    adze_value *x = adze_graph_add_input(graph, "x", &type);
    adze_node *relu = adze_graph_add_node(graph, "", "Relu", NULL, 1, &x, 1);
    adze_value *positive = (adze_value *)adze_node_output(relu, 0);
    adze_node *node = adze_graph_add_node(graph, "com.example", "Cube", NULL, 1, &positive, 1);
    must(adze_graph_add_output(graph, (adze_value *)adze_node_output(node, 0), &err));

    must(adze_plan_create(&plan, graph, NULL, &err));
    must(adze_session_open(&session, plan, NULL, &err));
    adze_tensor output,
        input = adze_tensor_view(ADZE_F32, 1, (int64_t[]){4}, (float[]){-1, 1, 2, 3});
    must(adze_session_run(session, &input, &output, &err));
    for (int64_t i = 0; i < adze_tensor_elements(&output); i++)
        printf("%g ", adze_tensor_get_f64(&output, i));
    printf("\n");
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_graph_free(&graph);
    adze_context_close(&context);
    return 0;
}
