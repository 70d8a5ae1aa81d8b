/* safetensors: any bytes give a file whose tensors can all be read, or a message. What begins
 * like JSON is read as an index. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const adze_safetensors *file)
{
    volatile uint8_t sum = 0;
    for (int i = 0; i < file->count; i++) {
        const adze_tensor *t = &file->tensors[i].tensor;
        if (adze_safetensors_find(file, file->tensors[i].name) != t)
            abort();
        for (size_t k = 0; k < t->size; k++)
            sum = (uint8_t)(sum + ((const uint8_t *)t->data)[k]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    adze_error err;
    adze_safetensors *file;
    bool index = size > 0 && data[0] == '{';
    (void)snprintf(path, sizeof path, "/dev/shm/adze-fuzz-%ld.%s", (long)getpid(),
                   index ? "index.json" : "safetensors");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    if (adze_safetensors_open(&file, path, &err) == ADZE_OK) {
        use(file);
        adze_safetensors_close(&file);
    }
    (void)close(fd);
    (void)unlink(path);
    return 0;
}
