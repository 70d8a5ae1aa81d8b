/* Reads cropped lines of text: ocr_line MODEL PICTURE... prints what stands in each, with a PP-OCR recognition network
 * (ch_PP-OCRv4_rec_infer.onnx of the Python package rapidocr-onnxruntime), whose characters are listed in its metadata. */
#include <adze/data.h>
#include <adze/model.h>
#include <adze/session.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 48, LEAST = 320 }; /* narrower lines are filled up on the right */
static adze_error err;

static void must(adze_status status)
{
    if (status == ADZE_OK)
        return;
    fprintf(stderr, "ocr_line: %s\n", err.message);
    exit(adze_status_exit_code(status));
}

static void read_picture(adze_tensor *out, const char *path, const adze_preprocess *how)
{
    adze_dataset *data;
    must(adze_dataset_open(&data, path, how, &err));
    must(adze_dataset_read(out, data, NULL, NULL, 1, &err));
    adze_dataset_close(&data);
}

/* [1, 3, 48, as wide as it is], (pixel / 255 - 0.5) / 0.5, blue first, then as wide as the network wants it. */
static void read_line(adze_tensor *out, const char *path)
{
    adze_preprocess how = adze_preprocess_default();
    adze_tensor picture = {0};
    how.channels = ADZE_CHANNELS_BGR;
    how.mean[0] = how.std[0] = 0.5;
    read_picture(&picture, path, &how);
    int64_t h = picture.dims[2], w = (picture.dims[3] * HEIGHT + h - 1) / h;
    how.resize_height = HEIGHT;
    how.resize_width = (int)w;
    read_picture(&picture, path, &how);
    int64_t dims[4] = {1, 3, HEIGHT, w < LEAST ? LEAST : w};
    must(adze_tensor_make(out, ADZE_F32, 4, dims, &err)); /* of zeros */
    for (int64_t row = 0; row < 3 * HEIGHT; row++)
        memcpy((float *)out->data + row * dims[3], (float *)picture.data + row * w,
               (size_t)w * sizeof(float));
    adze_tensor_free(&picture);
}

/* Line c of the list, counted from 1; behind the last one stands a blank. */
static void print_character(const char *list, int64_t c)
{
    for (; c > 1 && *list; c--)
        list = strchr(list, '\n') ? strchr(list, '\n') + 1 : "";
    printf("%.*s", *list ? (int)strcspn(list, "\n") : 1, *list ? list : " ");
}

/* The class of the largest number at each step; equal neighbours are one, class 0 is none. */
static void print_text(const adze_tensor *scores, const char *list)
{
    int64_t steps = scores->dims[1], classes = scores->dims[2], before = 0;
    for (int64_t t = 0; t < steps; t++) {
        const float *p = (const float *)scores->data + t * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++)
            best = p[c] > p[best] ? c : best;
        if (best != 0 && best != before)
            print_character(list, best);
        before = best;
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    adze_context *context;
    adze_model *model;
    adze_plan *plan;
    adze_session *session;
    if (argc < 3)
        return fprintf(stderr, "usage: ocr_line MODEL PICTURE...\n"), 2;
    must(adze_context_open(&context, NULL, &err));
    must(adze_model_open(&model, context, argv[1], &err));
    const char *list = adze_model_metadata(model, "character");
    if (!list)
        return fprintf(stderr, "ocr_line: %s has no list of characters\n", argv[1]), 3;
    must(adze_plan_create(&plan, adze_model_graph(model), NULL, &err));
    must(adze_session_open(&session, plan, NULL, &err));
    for (int i = 2; i < argc; i++) { /* each line has its own width */
        adze_tensor input, scores;
        read_line(&input, argv[i]);
        must(adze_session_run(session, &input, &scores, &err));
        print_text(&scores, list);
        adze_tensor_free(&input);
    }
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_model_close(&model);
    adze_context_close(&context);
    return 0;
}
