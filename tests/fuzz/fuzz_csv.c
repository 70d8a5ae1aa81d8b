/* Tables as text. */
#include "formats/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_error err;
    adze_csv csv;
    if (adze_csv_parse(&csv, (const char *)data, size, "fuzz", &err) != ADZE_OK)
        return 0;
    double sum = 0;
    for (int c = 0; c < csv.column_count; c++)
        for (int64_t r = 0; r < csv.rows; r++)
            sum += csv.columns[c].values[r];
    static volatile double seen; /* so that the reads stay */
    seen = sum;
    (void)seen;
    adze_csv_free(&csv);
    return 0;
}
