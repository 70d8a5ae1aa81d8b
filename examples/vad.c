/* Where somebody speaks: vad MODEL WAV streams a mono 16-bit WAV of 8 or 16 kHz through silero-vad (silero_vad.onnx of
 * the Python package) and prints the time and the probability of each window of 32 ms. What the network remembers
 * goes in and out as a tensor; each window sees the end of the one before. */
#include <adze/model.h>
#include <adze/session.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATE = 2 * 128,
    WINDOW = 512,
    CONTEXT = 64
}; /* the latter two at 16 kHz; half of them at 8 kHz */

static adze_error err;

static void must(adze_status status)
{
    if (status == ADZE_OK)
        return;
    fprintf(stderr, "vad: %s\n", err.message);
    exit(adze_status_exit_code(status));
}

static uint32_t little(const unsigned char *p, int bytes)
{
    return p[0] | (uint32_t)p[1] << 8 |
           (bytes < 4 ? 0 : (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
}

/* Stops at the samples; their rate, 0 when it is no WAV of this kind. */
static int open_wav(FILE *f)
{
    unsigned char b[16] = {0};
    int rate = 0;
    if (fread(b, 1, 12, f) != 12 || memcmp(b, "RIFF", 4) != 0 || memcmp(b + 8, "WAVE", 4) != 0)
        return 0;
    while (fread(b, 1, 8, f) == 8 && memcmp(b, "data", 4) != 0) {
        long rest = (long)little(b + 4, 4), format = memcmp(b, "fmt ", 4) == 0 ? 16 : 0;
        if (rest < format || fread(b, 1, (size_t)format, f) != (size_t)format)
            return 0;
        if (format && little(b, 2) == 1 && little(b + 2, 2) == 1 && little(b + 14, 2) == 16)
            rate = (int)little(b + 4, 4);
        if (fseek(f, rest + rest % 2 - format, SEEK_CUR) != 0)
            return 0;
    }
    return rate == 8000 || rate == 16000 ? rate : 0;
}

/* The next n samples, zeros behind the last; how many there were. */
static size_t read_samples(FILE *f, float *out, int n)
{
    unsigned char bytes[2 * WINDOW];
    size_t count = fread(bytes, 2, (size_t)n, f);
    memset(bytes + 2 * count, 0, 2 * ((size_t)n - count));
    for (int i = 0; i < n; i++)
        out[i] = (float)(int16_t)little(bytes + 2 * i, 2) / 32768;
    return count;
}

int main(int argc, char **argv)
{
    adze_context *context;
    adze_model *model;
    adze_plan *plan;
    adze_session *session;
    FILE *wav = argc == 3 ? fopen(argv[2], "rb") : NULL;
    int64_t rate = wav ? open_wav(wav) : 0;
    if (rate == 0)
        return fprintf(stderr, "usage: vad MODEL WAV (mono, 16 bits, 8000 or 16000 Hz)\n"), 2;
    must(adze_context_open(&context, NULL, &err));
    must(adze_model_open(&model, context, argv[1], &err));
    must(adze_plan_create(&plan, adze_model_graph(model), NULL, &err));
    must(adze_session_open(&session, plan, NULL, &err));

    int window = rate == 8000 ? WINDOW / 2 : WINDOW, past = rate == 8000 ? CONTEXT / 2 : CONTEXT;
    float x[CONTEXT + WINDOW] = {0}, state[STATE] = {0};
    adze_tensor outputs[2],
        inputs[3] = {adze_tensor_view(ADZE_F32, 2, (int64_t[]){1, past + window}, x),
                     adze_tensor_view(ADZE_F32, 3, (int64_t[]){2, 1, 128}, state),
                     adze_tensor_view(ADZE_I64, 0, NULL, &rate)};
    for (int64_t at = 0; read_samples(wav, x + past, window) > 0; at += window) {
        must(adze_session_run(session, inputs, outputs, &err));
        printf("%.3f %.6f\n", (double)at / (double)rate, adze_tensor_get_f64(&outputs[0], 0));
        memcpy(state, outputs[1].data,
               sizeof state); /* outputs are the session's: the next run writes there */
        memcpy(x, x + window, (size_t)past * sizeof *x);
    }
    fclose(wav);
    adze_session_close(&session);
    adze_plan_free(&plan);
    adze_model_close(&model);
    adze_context_close(&context);
    return 0;
}
