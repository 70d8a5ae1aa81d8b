/* A custom operator: com.example.Cube, y = x * x * x for float32, registered through the public interface. It stands
 * behind a Relu in a model, which is written to a file, opened as any other and executed. */
#include <adze/model.h>
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

static void cube_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    (void)node, (void)inputs;
    cost->operations = 2.0 * (double)adze_tensor_elements(outputs[0]);
}

static adze_status cube_prepare(adze_prepare *prepare, adze_error *err)
{
    if (adze_prepare_input(prepare, 0)->dtype == ADZE_F32)
        return ADZE_OK;
    if (err)
        snprintf(err->message, sizeof err->message, "Cube has a kernel for float32 only");
    return err ? err->status = ADZE_UNSUPPORTED : ADZE_UNSUPPORTED;
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

/* clang-format off */
static const adze_op cube = {
    .domain = "com.example", .name = "Cube", .since = 1, .min_inputs = 1, .max_inputs = 1,
    .min_outputs = 1, .max_outputs = 1, .flags = ADZE_OP_INPLACE | ADZE_OP_ELEMENTWISE, .attrs = "",
    .infer = cube_infer, .cost = cube_cost, .prepare = cube_prepare, .run = cube_run};
/* clang-format on */

static adze_error err;
static void must(adze_status status)
{
    if (status == ADZE_OK)
        return;
    fprintf(stderr, "custom_operator: %s\n", err.message);
    exit(adze_status_exit_code(status));
}

int main(int argc, char **argv)
{
    adze_context *context;
    adze_graph *graph;
    adze_model *model;
    adze_plan *plan;
    adze_session *session;
    const char *path = argc > 1 ? argv[1] : "cube.onnx";
    must(adze_context_open(&context, NULL, &err));
    must(adze_op_register(context, &cube, &err)); /* before any graph or model is made */
    must(adze_graph_create(&graph, context, &err));
    adze_type type = adze_type_tensor(ADZE_F32, 1, (adze_dim[]){adze_graph_symbol(graph, "N")});
    adze_value *x = adze_graph_add_input(graph, "x", &type);
    x = (adze_value *)adze_node_output(adze_graph_add_node(graph, "", "Relu", "", 1, &x, 1), 0);
    adze_node *node = adze_graph_add_node(graph, "com.example", "Cube", "cube", 1, &x, 1);
    must(adze_graph_add_output(graph, (adze_value *)adze_node_output(node, 0), &err));
    must(adze_model_from_graph(&model, &graph, NULL, &err));
    must(adze_model_save(model, path, NULL, &err));
    adze_model_close(&model);
    must(adze_model_open(&model, context, path, &err));
    must(adze_plan_create(&plan, adze_model_graph(model), NULL, &err));
    must(adze_session_open(&session, plan, NULL, &err));
    adze_tensor y, input = adze_tensor_view(ADZE_F32, 1, (int64_t[]){4}, (float[]){-1, 1, 2, 3});
    must(adze_session_run(session, &input, &y, &err));
    for (int64_t i = 0; i < adze_tensor_elements(&y); i++)
        printf("%g ", adze_tensor_get_f64(&y, i));
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_model_close(&model);
    adze_context_close(&context);
    return printf("\n") < 0;
}
