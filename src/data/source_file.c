/* Opening single files: IDX, .npy, .npz, a picture, CSV. All but CSV are known by their first bytes. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "data/dataset_impl.h"
#include "formats/csv.h"
#include "formats/idx.h"
#include "formats/image.h"

/* The tensor's bytes stay with the source. */
static adze_status open_idx(adze_source *s, adze_tensor *out, const char *path, adze_error *err)
{
    adze_idx idx;
    ADZE_TRY(adze_idx_open(&idx, path, err));
    *out = idx.tensor;
    adze_status status = adze_source_keep(s, idx.file, idx.unzipped, err);
    if (status != ADZE_OK)
        adze_tensor_free(out);
    return status;
}

/* "t10k-images-idx3-ubyte.gz" -> "t10k-labels-idx1-ubyte.gz"; NULL when the name has another form. */
static char *labels_name(adze_arena *arena, const char *path)
{
    const char *name = adze_path_name(path), *images = strstr(name, "images");
    char *guess = images ? adze_arena_strdup(arena, path) : NULL;
    if (!guess)
        return NULL;
    char *at = guess + (images - path);
    memcpy(at, "labels", 6);
    char *kind = strstr(at, "idx3");
    if (kind)
        kind[3] = '1';
    return guess;
}

/* The labels beside the pictures, zipped or not, whatever the pictures are. */
static adze_status open_labels_beside(adze_source *s, const char *path, adze_error *err)
{
    char *guess = labels_name(&s->arena, path);
    if (!guess)
        return ADZE_OK;
    if (!adze_file_exists(guess) && adze_ends_with(guess, ".gz"))
        guess[strlen(guess) - 3] = 0;
    else if (!adze_file_exists(guess))
        guess = adze_arena_printf(&s->arena, "%s.gz", guess);
    if (!guess || !adze_file_exists(guess))
        return ADZE_OK;
    return adze_source_open_labels(s, guess, err);
}

static adze_status open_idx_pair(adze_source *s, const char *path, adze_error *err)
{
    adze_tensor array = {0};
    ADZE_TRY(open_idx(s, &array, path, err));
    bool given = s->preprocess_given;
    s->preprocess_given = true; /* IDX files of bytes are pictures, described or not */
    adze_status status = adze_source_add_array(s, "", &array, path, err);
    s->preprocess_given = given;
    ADZE_TRY(status);
    return s->labels ? ADZE_OK : open_labels_beside(s, path, err);
}

static adze_status open_array(adze_source *s, adze_tensor *out, const char *path, adze_error *err)
{
    adze_mapping *file;
    ADZE_TRY(adze_mapping_open(&file, path, err));
    adze_status status =
        adze_npy_parse(out, adze_mapping_bytes(file), adze_mapping_size(file), path, err);
    if (status != ADZE_OK) {
        adze_mapping_release(&file);
        return status;
    }
    status = adze_source_keep(s, file, NULL, err);
    if (status != ADZE_OK)
        adze_tensor_free(out);
    return status;
}

adze_status adze_source_open_npy(adze_source *s, const char *name, const char *path,
                                 adze_error *err)
{
    adze_tensor array = {0};
    ADZE_TRY(open_array(s, &array, path, err));
    return adze_source_add_array(s, name, &array, path, err);
}

static adze_status open_npz(adze_source *s, const char *path, adze_error *err)
{
    ADZE_TRY(adze_npz_open(&s->npz, path, err));
    for (int i = 0; i < adze_npz_count(s->npz); i++) {
        adze_tensor array;
        const char *name = adze_npz_name(s->npz, i);
        const char *where = adze_arena_printf(&s->arena, "%s: %s", path, name);
        if (!where)
            return adze_source_no_memory(s, err);
        ADZE_TRY(adze_npz_read(&array, s->npz, i, err));
        ADZE_TRY(adze_source_add_array(s, name, &array, where, err));
    }
    return ADZE_OK;
}

static int find_label_column(const adze_csv *csv, const char *wanted)
{
    static const char *const usual[] = {"label", "labels", "class", "target", "y"};
    if (wanted[0])
        return adze_csv_find(csv, wanted);
    for (size_t i = 0; csv->has_header && i < ADZE_COUNT_OF(usual); i++)
        for (int c = 0; c < csv->column_count; c++)
            if (strcasecmp(csv->columns[c].name, usual[i]) == 0)
                return c;
    int last = csv->column_count - 1; /* names at the end are classes */
    return csv->columns[last].categories ? last : -1;
}

static adze_status add_features(adze_source *s, const adze_csv *csv, int label, adze_error *err)
{
    int64_t features = csv->column_count - (label >= 0), dims[2] = {csv->rows, features};
    if (features == 0)
        return adze_fail(err, ADZE_BAD_DATA, "%s: no column besides the label", s->path);
    adze_tensor array = {0};
    ADZE_TRY(adze_tensor_make(&array, ADZE_F32, 2, dims, err));
    float *out = array.data;
    for (int c = 0; c < csv->column_count; c++) {
        if (c == label)
            continue;
        for (int64_t r = 0; r < csv->rows; r++)
            out[r * features + c - (label >= 0 && c > label)] = (float)csv->columns[c].values[r];
    }
    return adze_source_add_array(s, "", &array, s->path, err);
}

/* Whole numbers from 0 are classes; other numbers are what the model should give. */
static adze_status add_label_column(adze_source *s, const adze_csv_column *column, int64_t rows,
                                    adze_error *err)
{
    bool classes = true;
    for (int64_t i = 0; i < rows; i++)
        classes = classes && column->values[i] >= 0 &&
                  column->values[i] == floor(column->values[i]) && column->values[i] < 1e9;
    int64_t dims[2] = {rows, 1};
    adze_tensor array = {0};
    ADZE_TRY(adze_tensor_make(&array, classes ? ADZE_I32 : ADZE_F32, classes ? 1 : 2, dims, err));
    for (int64_t i = 0; i < rows; i++)
        adze_tensor_set_f64(&array, i, column->values[i]);
    if (!classes)
        return adze_source_add_array(s, "expected/", &array, s->path, err);
    ADZE_TRY(adze_source_set_labels(s, &array, s->path, err));
    if (!column->categories)
        return ADZE_OK;
    size_t count = (size_t)column->category_count;
    s->class_names = ADZE_ARENA_ARRAY(&s->arena, char *, count);
    for (size_t i = 0; s->class_names && i < count; i++)
        if (!(s->class_names[i] = adze_arena_strdup(&s->arena, column->categories[i])))
            return adze_source_no_memory(s, err);
    return s->class_names ? ADZE_OK : adze_source_no_memory(s, err);
}

static adze_status use_table(adze_source *s, const adze_csv *csv, adze_error *err)
{
    const char *wanted = s->preprocess.label_column;
    int label = find_label_column(csv, wanted);
    if (label < 0 && wanted[0])
        return adze_fail(err, ADZE_BAD_DATA, "%s: no column \"%s\", which the preprocessing names",
                         s->path, wanted);
    for (int c = 0; c < csv->column_count; c++)
        if (c != label && csv->columns[c].categories)
            return adze_fail(
                err, ADZE_BAD_DATA,
                "%s:%lld: column \"%s\" holds names; only the label may (set \"label\" in "
                "the preprocessing if this is it)",
                s->path, (long long)csv->columns[c].text_line, csv->columns[c].name);
    ADZE_TRY(add_features(s, csv, label, err));
    return label < 0 ? ADZE_OK : add_label_column(s, &csv->columns[label], csv->rows, err);
}

static adze_status open_csv(adze_source *s, const char *path, adze_error *err)
{
    adze_csv csv;
    ADZE_TRY(adze_csv_load(&csv, path, err));
    adze_status status = use_table(s, &csv, err);
    adze_csv_free(&csv);
    return status;
}

static adze_status open_picture(adze_source *s, const char *path, adze_error *err)
{
    const char **files = ADZE_ARENA_NEW(&s->arena, const char *);
    if (!files || !(files[0] = adze_arena_strdup(&s->arena, path)))
        return adze_source_no_memory(s, err);
    return adze_source_add_files(s, files, 1, err);
}

typedef enum file_kind { UNKNOWN, IDX, NPY, NPZ, PICTURE, CSV } file_kind;

static bool is_table_name(const char *path)
{
    static const char *const endings[] = {".csv", ".tsv", ".txt"};
    for (size_t i = 0; i < ADZE_COUNT_OF(endings); i++)
        if (adze_ends_with(path, endings[i]))
            return true;
    return false;
}

static file_kind kind_of(const char *path, const uint8_t *bytes, size_t size)
{
    if (size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0)
        return NPY;
    if (size >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0))
        return NPZ;
    if (size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b)
        return IDX;
    if (size >= 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] >= 8 && bytes[2] <= 14)
        return IDX;
    if (is_table_name(path)) /* before pictures: a table may begin with "P5" */
        return CSV;
    return adze_image_is(bytes, size) ? PICTURE : UNKNOWN;
}

static adze_status find_kind(file_kind *out, const char *path, adze_error *err)
{
    adze_mapping *file;
    ADZE_TRY(adze_mapping_open(&file, path, err));
    *out = kind_of(path, adze_mapping_bytes(file), adze_mapping_size(file));
    adze_mapping_release(&file);
    return ADZE_OK;
}

adze_status adze_source_open_file(adze_source *s, const char *path, adze_error *err)
{
    file_kind kind;
    ADZE_TRY(find_kind(&kind, path, err));
    switch (kind) {
    case IDX: return open_idx_pair(s, path, err);
    case NPY: return adze_source_open_npy(s, "", path, err);
    case NPZ: return open_npz(s, path, err);
    case PICTURE: return open_picture(s, path, err);
    case CSV: return open_csv(s, path, err);
    default:
        return adze_fail(
            err, ADZE_BAD_FILE,
            "%s: not data that are understood; expected IDX (also .gz), .npy, .npz, .csv, a "
            "PNG, JPEG, PPM or PGM picture, or a folder",
            path);
    }
}

adze_status adze_source_open_labels(adze_source *s, const char *path, adze_error *err)
{
    file_kind kind;
    adze_tensor array = {0};
    ADZE_TRY(find_kind(&kind, path, err));
    if (kind != IDX && kind != NPY)
        return adze_fail(err, ADZE_BAD_FILE, "%s: labels: expected an IDX or .npy file", path);
    ADZE_TRY(kind == IDX ? open_idx(s, &array, path, err) : open_array(s, &array, path, err));
    return adze_source_set_labels(s, &array, path, err);
}
