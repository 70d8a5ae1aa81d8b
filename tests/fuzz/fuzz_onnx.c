/* Any bytes: refused with a message, or read; and what was read can be written, read again and written
 * to the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/onnx.h"

static void must(bool condition, const char *what, const adze_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static void written(char **bytes, size_t *size, const adze_onnx_model *model)
{
    char path[64];
    adze_error err = {0};
    snprintf(path, sizeof path, "/dev/shm/adze-fuzz-%ld.onnx", (long)getpid());
    must(adze_onnx_write(model, path, NULL, &err) == ADZE_OK, "write", &err);
    must(adze_file_read(bytes, size, path, 1 << 28, &err) == ADZE_OK, "file", &err);
    must(*size == adze_onnx_measure(model), "measure", &err);
    (void)unlink(path);
}

static void round_trip(const adze_onnx_model *model)
{
    adze_arena arena = {0};
    adze_error err = {0};
    adze_onnx_model *again = NULL;
    char *first, *second;
    size_t first_size, second_size;
    written(&first, &first_size, model);
    must(adze_onnx_parse(&again, first, first_size, NULL, &arena, &err) == ADZE_OK, "again", &err);
    written(&second, &second_size, again);
    must(first_size == second_size && memcmp(first, second, first_size) == 0, "bytes", &err);
    adze_onnx_close(again);
    adze_free(first);
    adze_free(second);
    adze_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_arena arena = {0};
    adze_error err = {0};
    adze_onnx_model *model = NULL;
    adze_onnx_tensor tensor;
    adze_onnx_sequence sequence;
    adze_status status = adze_onnx_parse(&model, data, size, NULL, &arena, &err);
    must((status != ADZE_OK) == (err.message[0] != 0), "a message", &err);
    if (status == ADZE_OK)
        round_trip(model);
    adze_onnx_close(model);
    status = adze_onnx_parse_tensor(&tensor, data, size, &arena, &err);
    status = adze_onnx_parse_sequence(&sequence, data, size, &arena, &err);
    status = adze_onnx_parse_optional(&sequence, data, size, &arena, &err);
    ADZE_UNUSED(status);
    adze_arena_free(&arena);
    return 0;
}
