/* Two passes over the text: the first counts rows and finds the kind of each column, the second fills
 * the values. Cells are never copied but to be a name or a number. */
#include "formats/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/map.h"
#include "base/text.h"

enum { LONGEST_NUMBER = 63, MOST_COLUMNS = 1 << 20 };

typedef struct reader {
    const char *at, *end;
    char separator;
    int64_t line;
    const char *where;
    adze_error *err;
} reader;

typedef struct cell {
    const char *text; /* without the quotes; doubled quotes still doubled */
    size_t length;
    bool last; /* of its row */
    bool quoted;
} cell;

static char guess_separator(const char *text, size_t size)
{
    size_t counts[3] = {0};
    static const char separators[3] = {',', ';', '\t'};
    bool quoted = false;
    for (size_t i = 0; i < size && (quoted || text[i] != '\n'); i++) {
        quoted ^= text[i] == '"';
        for (int k = 0; k < 3; k++)
            counts[k] += !quoted && text[i] == separators[k];
    }
    return counts[2] > counts[0] ? '\t' : counts[1] > counts[0] ? ';' : ',';
}

static void skip_empty_lines(reader *r)
{
    while (r->at < r->end && (*r->at == '\n' || *r->at == '\r')) {
        r->line += *r->at == '\n';
        r->at++;
    }
}

/* Past the closing quote of a quoted cell; false when there is none. */
static bool quoted_cell(reader *r, cell *out)
{
    const char *start = ++r->at;
    for (; r->at < r->end; r->at++) {
        r->line += *r->at == '\n';
        if (*r->at != '"')
            continue;
        if (r->at + 1 < r->end && r->at[1] == '"')
            r->at++;
        else
            break;
    }
    if (r->at == r->end)
        return false;
    *out = (cell){.text = start, .length = (size_t)(r->at - start), .quoted = true};
    r->at++;
    return true;
}

static bool space(char c)
{
    return c == ' ' || c == '\t';
}

static void plain_cell(reader *r, cell *out)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at != r->separator && *r->at != '\n' && *r->at != '\r')
        r->at++;
    const char *stop = r->at;
    while (start < stop && space(*start))
        start++;
    while (stop > start && space(stop[-1]))
        stop--;
    *out = (cell){.text = start, .length = (size_t)(stop - start)};
}

static adze_status next_cell(reader *r, cell *out)
{
    if (r->at < r->end && *r->at == '"') {
        if (!quoted_cell(r, out))
            return adze_fail(r->err, ADZE_BAD_FILE, "%s:%lld: a quote is never closed", r->where,
                             (long long)r->line);
    } else {
        plain_cell(r, out);
    }
    if (r->at < r->end && *r->at == r->separator) {
        r->at++;
        return ADZE_OK;
    }
    if (r->at < r->end && *r->at != '\n' && *r->at != '\r')
        return adze_fail(r->err, ADZE_BAD_FILE,
                         "%s:%lld: expected the separator '%c' after a quote", r->where,
                         (long long)r->line, r->separator);
    out->last = true;
    return ADZE_OK;
}

static bool to_number(const cell *c, double *out)
{
    char text[LONGEST_NUMBER + 1];
    if (c->length == 0 || c->length > LONGEST_NUMBER)
        return false;
    memcpy(text, c->text, c->length);
    text[c->length] = 0;
    return strlen(text) == c->length && adze_parse_f64(text, out);
}

/* The cell with doubled quotes made single. */
static char *to_name(adze_arena *arena, const cell *c)
{
    char *name = adze_arena_strndup(arena, c->text, c->length);
    if (!name || !c->quoted)
        return name;
    char *to = name;
    for (const char *from = name; *from; from++) {
        *to++ = *from;
        if (*from == '"' && from[1] == '"')
            from++;
    }
    *to = 0;
    return name;
}

static adze_status no_memory(const reader *r)
{
    return adze_fail(r->err, ADZE_NO_MEMORY, "%s: no memory for the table", r->where);
}

static adze_status add_column(adze_csv *csv, reader *r, int *capacity, const cell *c)
{
    if (csv->column_count == MOST_COLUMNS)
        return adze_fail(r->err, ADZE_LIMIT, "%s: more than %d columns", r->where, MOST_COLUMNS);
    if (!adze_arena_grow(&csv->arena, &csv->columns, capacity, csv->column_count,
                         sizeof *csv->columns))
        return no_memory(r);
    adze_csv_column *column = &csv->columns[csv->column_count++];
    double ignored;
    *column = (adze_csv_column){.text_line = to_number(c, &ignored) ? 0 : r->line};
    return ADZE_OK;
}

static adze_status read_first_row(adze_csv *csv, reader *r)
{
    int capacity = 0;
    cell c = {0};
    while (!c.last) {
        ADZE_TRY(next_cell(r, &c));
        ADZE_TRY(add_column(csv, r, &capacity, &c));
    }
    skip_empty_lines(r);
    return ADZE_OK;
}

/* Reads one row and gives every cell to `use`. */
typedef adze_status (*cell_fn)(adze_csv *csv, reader *r, int column, const cell *c);

static adze_status read_row(adze_csv *csv, reader *r, cell_fn use)
{
    cell c = {0};
    int64_t line = r->line;
    int column = 0;
    while (!c.last) {
        ADZE_TRY(next_cell(r, &c));
        if (column >= csv->column_count)
            return adze_fail(r->err, ADZE_BAD_FILE, "%s:%lld: more than %d cells", r->where,
                             (long long)line, csv->column_count);
        if (c.length == 0)
            return adze_fail(r->err, ADZE_BAD_FILE, "%s:%lld: cell %d is empty; expected a value",
                             r->where, (long long)line, column + 1);
        ADZE_TRY(use(csv, r, column++, &c));
    }
    if (column < csv->column_count)
        return adze_fail(r->err, ADZE_BAD_FILE, "%s:%lld: expected %d cells, found %d", r->where,
                         (long long)line, csv->column_count, column);
    csv->rows++;
    skip_empty_lines(r);
    return ADZE_OK;
}

static adze_status find_kind(adze_csv *csv, reader *r, int column, const cell *c)
{
    double ignored;
    if (csv->columns[column].text_line == 0 && !to_number(c, &ignored))
        csv->columns[column].text_line = r->line;
    return ADZE_OK;
}

static adze_status fill_value(adze_csv *csv, reader *r, int index, const cell *c)
{
    adze_csv_column *column = &csv->columns[index];
    if (column->text_line == 0) {
        (void)to_number(c, &column->values[csv->rows]);
        return ADZE_OK;
    }
    column->categories[csv->rows] = to_name(&csv->arena, c);
    return column->categories[csv->rows] ? ADZE_OK : no_memory(r);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Turns the names of all rows into sorted different names and indices of them. */
static adze_status index_names(adze_csv *csv, reader *r, adze_csv_column *column)
{
    size_t rows = (size_t)csv->rows;
    char **names = adze_arena_memdup(&csv->arena, column->categories, rows * sizeof *names);
    if (!names)
        return no_memory(r);
    qsort(names, rows, sizeof *names, by_bytes);
    int count = 0;
    for (size_t i = 0; i < rows; i++)
        if (count == 0 || strcmp(names[count - 1], names[i]) != 0)
            names[count++] = names[i];
    for (size_t i = 0; i < rows; i++) {
        char **found =
            bsearch(&column->categories[i], names, (size_t)count, sizeof *names, by_bytes);
        column->values[i] = (double)(found - names);
    }
    column->categories = names;
    column->category_count = count;
    return ADZE_OK;
}

static adze_status make_columns(adze_csv *csv, reader *r)
{
    for (int i = 0; i < csv->column_count; i++) {
        adze_csv_column *column = &csv->columns[i];
        size_t rows = (size_t)ADZE_MAX(csv->rows, (int64_t)1);
        column->values = ADZE_ARENA_ARRAY(&csv->arena, double, rows);
        if (column->text_line)
            column->categories = ADZE_ARENA_ARRAY(&csv->arena, char *, rows);
        if (!column->name)
            column->name = adze_arena_printf(&csv->arena, "column %d", i + 1);
        if (!column->values || !column->name || (column->text_line && !column->categories))
            return no_memory(r);
    }
    return ADZE_OK;
}

/* A first row is a header when it has a name over a column of numbers, or only names. */
static bool is_header(const adze_csv *csv, const bool *first_is_text, int64_t rows_below)
{
    bool all_text = true;
    for (int i = 0; i < csv->column_count; i++) {
        if (first_is_text[i] && csv->columns[i].text_line == 0 && rows_below > 0)
            return true;
        all_text = all_text && first_is_text[i];
    }
    return all_text;
}

static adze_status read_header(adze_csv *csv, reader *r)
{
    for (int i = 0; i < csv->column_count; i++) {
        cell c;
        ADZE_TRY(next_cell(r, &c));
        csv->columns[i].name = to_name(&csv->arena, &c);
        if (!csv->columns[i].name)
            return no_memory(r);
    }
    skip_empty_lines(r);
    return ADZE_OK;
}

/* Kinds of the columns below the first row, then whether that row is a header. */
static adze_status survey(adze_csv *csv, reader *r)
{
    ADZE_TRY(read_first_row(csv, r));
    bool *first_is_text = ADZE_ARENA_ARRAY(&csv->arena, bool, (size_t)csv->column_count);
    if (!first_is_text)
        return no_memory(r);
    for (int i = 0; i < csv->column_count; i++) {
        first_is_text[i] = csv->columns[i].text_line != 0;
        csv->columns[i].text_line = 0;
    }
    while (r->at < r->end)
        ADZE_TRY(read_row(csv, r, find_kind));
    csv->has_header = is_header(csv, first_is_text, csv->rows);
    if (!csv->has_header) {
        csv->rows++;
        for (int i = 0; i < csv->column_count; i++)
            if (first_is_text[i])
                csv->columns[i].text_line = 1;
    }
    return ADZE_OK;
}

static adze_status read_table(adze_csv *csv, reader *r)
{
    skip_empty_lines(r);
    if (r->at == r->end)
        return adze_fail(r->err, ADZE_BAD_FILE, "%s: empty table", r->where);
    reader again = *r;
    ADZE_TRY(survey(csv, r));
    *r = again;
    if (csv->has_header)
        ADZE_TRY(read_header(csv, r));
    ADZE_TRY(make_columns(csv, r));
    csv->rows = 0;
    while (r->at < r->end)
        ADZE_TRY(read_row(csv, r, fill_value));
    for (int i = 0; i < csv->column_count; i++)
        if (csv->columns[i].text_line)
            ADZE_TRY(index_names(csv, r, &csv->columns[i]));
    return ADZE_OK;
}

adze_status adze_csv_parse(adze_csv *out, const char *text, size_t size, const char *where,
                           adze_error *err)
{
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* byte order mark */
        text += 3;
        size -= 3;
    }
    adze_csv csv = {0};
    reader r = {.at = text,
                .end = size ? text + size : text,
                .separator = guess_separator(text, size),
                .line = 1,
                .where = where,
                .err = err};
    adze_status status = read_table(&csv, &r);
    if (status == ADZE_OK)
        *out = csv;
    else
        adze_csv_free(&csv);
    return status;
}

adze_status adze_csv_load(adze_csv *out, const char *path, adze_error *err)
{
    adze_mapping *file;
    ADZE_TRY(adze_mapping_open(&file, path, err));
    adze_status status = adze_csv_parse(out, (const char *)adze_mapping_bytes(file),
                                        adze_mapping_size(file), path, err);
    adze_mapping_release(&file);
    return status;
}

int adze_csv_find(const adze_csv *csv, const char *column)
{
    for (int i = 0; i < csv->column_count; i++)
        if (strcmp(csv->columns[i].name, column) == 0)
            return i;
    return -1;
}

void adze_csv_free(adze_csv *csv)
{
    adze_arena_free(&csv->arena);
    *csv = (adze_csv){0};
}
