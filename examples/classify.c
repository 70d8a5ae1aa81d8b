/* Classifies pictures: classify MODEL DATA PREPROCESS.json prints the logits of the first eight samples,
 * one line each, behind the class that won. */
#include <adze/data.h>
#include <adze/model.h>
#include <adze/session.h>
#include <stdio.h>
#include <stdlib.h>

static adze_error err;

static void must(adze_status status)
{
    if (status == ADZE_OK)
        return;
    fprintf(stderr, "classify: %s\n", err.message);
    exit(adze_status_exit_code(status));
}

int main(int argc, char **argv)
{
    adze_context *context;
    adze_model *model;
    adze_plan *plan;
    adze_session *session;
    adze_preprocess preprocess;
    adze_dataset *data;
    adze_tensor input = {0}, logits;
    if (argc != 4)
        return fprintf(stderr, "usage: classify MODEL DATA PREPROCESS.json\n"), 2;
    must(adze_context_open(&context, NULL, &err));
    must(adze_model_open(&model, context, argv[1], &err));
    must(adze_preprocess_load(&preprocess, argv[3], &err));
    must(adze_dataset_open(&data, argv[2], &preprocess, &err));
    int64_t samples = adze_dataset_count(data) < 8 ? adze_dataset_count(data) : 8;
    must(adze_dataset_read(&input, data, NULL, NULL, samples, &err));

    /* A plan is made once and may serve many sessions; a session runs as often as one likes. */
    must(adze_plan_create(&plan, adze_model_graph(model), NULL, &err));
    must(adze_session_open(&session, plan, NULL, &err));
    must(adze_session_run(session, &input, &logits, &err));

    int64_t classes = adze_tensor_elements(&logits) / samples;
    for (int64_t i = 0; i < samples; i++) {
        int64_t winner = i * classes;
        for (int64_t c = i * classes; c < (i + 1) * classes; c++)
            if (adze_tensor_get_f64(&logits, c) > adze_tensor_get_f64(&logits, winner))
                winner = c;
        printf("%lld:", (long long)(winner - i * classes));
        for (int64_t c = i * classes; c < (i + 1) * classes; c++)
            printf(" %.9g", adze_tensor_get_f64(&logits, c));
        printf("\n");
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_dataset_close(&data);
    adze_tensor_free(&input);
    adze_model_close(&model);
    adze_context_close(&context);
    return 0;
}
