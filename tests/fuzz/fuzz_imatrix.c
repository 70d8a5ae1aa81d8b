/* Importance matrices from hostile files, in both forms. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "adze/llm_quantize.h"
#include "compress/imatrix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    adze_error err;
    adze_imatrix *imatrix = NULL, *sum = NULL;
    int fd = memfd_create("imatrix", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (adze_imatrix_open(&imatrix, path, &err) == ADZE_OK &&
        adze_imatrix_create(&sum, &err) == ADZE_OK) {
        if (adze_imatrix_merge(sum, imatrix, &err) != ADZE_OK ||
            adze_imatrix_merge(sum, imatrix, &err) != ADZE_OK)
            abort();
        for (int i = 0; i < adze_imatrix_count(sum); i++) {
            const adze_imatrix_entry *entry = adze_imatrix_entry_at(sum, i);
            float *weights = malloc((size_t)(entry->width * entry->experts) * sizeof *weights);
            adze_imatrix_weights(weights, entry);
            free(weights);
        }
        char *json = NULL;
        if (adze_imatrix_describe(sum, &json, NULL, &err) == ADZE_OK)
            adze_string_free(&json);
    }
    adze_imatrix_close(&sum);
    adze_imatrix_close(&imatrix);
    close(fd);
    return 0;
}
