/* Tables of numbers as text (RFC 4180): separated by commas, semicolons or tabs, quotes, an optional
 * header. A column in which any cell is no number is a column of names: its values are the indices of
 * the names in their sorted order. */
#ifndef ADZE_FORMATS_CSV_H
#define ADZE_FORMATS_CSV_H
#include "base/memory.h"

typedef struct adze_csv_column {
    const char *name;   /* of the header, else "column 1", "column 2", ... */
    double *values;     /* [rows] */
    char **categories;  /* names in byte order; NULL for numbers */
    int category_count; /* 0 for numbers */
    int64_t text_line;  /* first line with a cell that is no number; 0 for numbers */
} adze_csv_column;

typedef struct adze_csv {
    int64_t rows;
    int column_count;
    adze_csv_column *columns;
    bool has_header; /* the first line has a name over numbers, or names only */
    adze_arena arena;
} adze_csv;

/* Fails with ADZE_BAD_FILE, naming line and column, on rows of different length, empty cells and
 * unclosed quotes. Free with adze_csv_free. */
adze_status adze_csv_parse(adze_csv *out, const char *text, size_t size, const char *where,
                           adze_error *err) ADZE_MUST_CHECK;
adze_status adze_csv_load(adze_csv *out, const char *path, adze_error *err) ADZE_MUST_CHECK;
int adze_csv_find(const adze_csv *csv, const char *column); /* -1 when absent */
void adze_csv_free(adze_csv *csv);

#endif
