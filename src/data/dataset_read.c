/* Batches: each sample is copied, converted or decoded when it is asked for; nothing is kept. */
#include <string.h>

#include "data/dataset_impl.h"
#include "data/preprocess.h"
#include "formats/image.h"
#include "tensor/dtype.h"

/* A batch being filled. */
typedef struct batch {
    const adze_dataset *dataset;
    const adze_field *field;
    const int64_t *indices;
    int64_t count;
    adze_tensor *out;
    adze_dtype dtype;
    adze_error *err;
} batch;

static bool same_name(const char *field, const char *wanted)
{
    adze_arena arena = {0}; /* file names cannot hold '/' and the like */
    const char *clean = adze_path_sanitize(&arena, wanted);
    bool same = strcmp(field, wanted) == 0 || (clean && strcmp(field, clean) == 0);
    adze_arena_free(&arena);
    return same;
}

static adze_status find_field(const adze_field **out, const adze_dataset *dataset,
                              const adze_field_list *list, const char *name, adze_error *err)
{
    for (int i = 0; name && i < list->count; i++)
        if (same_name(list->items[i].name, name)) {
            *out = &list->items[i];
            return ADZE_OK;
        }
    if (list->count == 1) { /* the only one fits whatever the model calls it */
        *out = &list->items[0];
        return ADZE_OK;
    }
    adze_text names = {0};
    for (int i = 0; i < list->count; i++)
        adze_text_printf(&names, "%s\"%s\"", i ? ", " : "", list->items[i].name);
    adze_status status =
        adze_fail(err, ADZE_BAD_DATA, "%s: no array \"%s\"; there are: %s", dataset->source->path,
                  name ? name : "", list->count ? adze_text_get(&names) : "none");
    adze_text_free(&names);
    return status;
}

static adze_status source_index(int64_t *out, const batch *b, int64_t i)
{
    int64_t sample = b->indices ? b->indices[i] : i;
    if (sample < 0 || sample >= b->dataset->count)
        return adze_fail(b->err, ADZE_BAD_ARGUMENT, "%s: no sample %lld; there are %lld",
                         b->dataset->source->path, (long long)sample, (long long)b->dataset->count);
    *out = b->dataset->chosen ? b->dataset->chosen[sample] : sample;
    return ADZE_OK;
}

/* Makes *out fit, with the memory it has if that is of the same size. */
static adze_status make_room(const batch *b, int rank, const int64_t *dims)
{
    adze_tensor *out = b->out;
    int64_t shape[ADZE_MAX_RANK] = {b->count};
    if (rank + 1 > ADZE_MAX_RANK)
        return adze_fail(b->err, ADZE_UNSUPPORTED, "%s: more than %d axes",
                         b->dataset->source->path, ADZE_MAX_RANK);
    memcpy(shape + 1, dims, (size_t)rank * sizeof *dims);
    size_t size = adze_dtype_bytes(b->dtype, adze_shape_elements(rank + 1, shape));
    if (out->owner == ADZE_OWNED && out->data && out->size == size) {
        out->dtype = b->dtype;
        out->rank = rank + 1;
        memcpy(out->dims, shape, sizeof out->dims);
        return ADZE_OK;
    }
    adze_tensor fresh;
    ADZE_TRY(adze_tensor_make(&fresh, b->dtype, rank + 1, shape, b->err));
    adze_tensor_free(out);
    *out = fresh;
    return ADZE_OK;
}

static bool whole(adze_dtype dtype)
{
    adze_kind kind = adze_dtype_describe(dtype)->kind;
    return kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT || kind == ADZE_KIND_BOOL;
}

/* n elements of `from`, starting at `first`, to element `at` of the batch. */
static void convert(const batch *b, const adze_tensor *from, int64_t first, int64_t n, int64_t at)
{
    float block[256];
    if (from->dtype == b->dtype) {
        size_t item = (size_t)adze_dtype_describe(b->dtype)->block_bytes;
        memcpy((char *)b->out->data + (size_t)at * item,
               (const char *)from->data + (size_t)first * item, (size_t)n * item);
    } else if (whole(from->dtype) && whole(b->dtype)) {
        for (int64_t i = 0; i < n; i++)
            adze_tensor_set_i64(b->out, at + i, adze_tensor_get_i64(from, first + i));
    } else if (b->dtype == ADZE_F64) {
        for (int64_t i = 0; i < n; i++)
            adze_tensor_set_f64(b->out, at + i, adze_tensor_get_f64(from, first + i));
    } else {
        for (int64_t i = 0; i < n; i += (int64_t)ADZE_COUNT_OF(block)) {
            int64_t some = ADZE_MIN(n - i, (int64_t)ADZE_COUNT_OF(block));
            adze_row_to_f32(from->dtype, from->data, first + i, some, block);
            adze_row_from_f32(b->dtype, block, some, b->out->data, at + i);
        }
    }
}

static adze_status read_array(const batch *b)
{
    const adze_tensor *array = &b->field->array;
    int64_t length = adze_shape_elements(array->rank - 1, array->dims + 1);
    ADZE_TRY(make_room(b, array->rank - 1, array->dims + 1));
    for (int64_t i = 0; i < b->count; i++) {
        int64_t sample = 0;
        ADZE_TRY(source_index(&sample, b, i));
        convert(b, array, sample * length, length, i * length);
    }
    return ADZE_OK;
}

/* A sample of an array of bytes as a picture. */
static adze_picture picture_in(const batch *b, int64_t sample)
{
    const adze_tensor *array = &b->field->array;
    bool flat = array->rank == 3;
    bool planar = !flat && array->dims[3] != 1 && array->dims[3] != 3;
    int height = (int)array->dims[planar ? 2 : 1], width = (int)array->dims[planar ? 3 : 2];
    int channels = flat ? 1 : (int)array->dims[planar ? 1 : 3];
    size_t size = (size_t)height * (size_t)width * (size_t)channels;
    return (adze_picture){.pixels = (const uint8_t *)array->data + (size_t)sample * size,
                          .width = width,
                          .height = height,
                          .channels = channels,
                          .planar = planar,
                          .where = b->dataset->source->path};
}

static adze_status load_picture(adze_picture *out, adze_image *image, const batch *b,
                                int64_t sample)
{
    if (b->field->array.data) {
        *out = picture_in(b, sample);
        return ADZE_OK;
    }
    const char *path = b->field->files[sample];
    ADZE_TRY(adze_image_load(image, path, b->err));
    *out = (adze_picture){.pixels = image->pixels,
                          .width = image->width,
                          .height = image->height,
                          .channels = image->channels,
                          .where = path};
    return ADZE_OK;
}

static adze_status check_shape(const batch *b, const int64_t dims[3], const adze_picture *picture)
{
    const int64_t *expected = b->out->dims + 1;
    if (memcmp(dims, expected, 3 * sizeof *dims) == 0)
        return ADZE_OK;
    return adze_fail(b->err, ADZE_BAD_DATA,
                     "%s: gives [%lld,%lld,%lld], but samples before it gave [%lld,%lld,%lld]; set "
                     "\"resize\", \"crop\" or \"channels\" in the preprocessing",
                     picture->where, (long long)dims[0], (long long)dims[1], (long long)dims[2],
                     (long long)expected[0], (long long)expected[1], (long long)expected[2]);
}

/* One picture into the batch, the first of which also makes room. */
static adze_status put_picture(const batch *b, const adze_picture *picture, int64_t i)
{
    const adze_preprocess *p = &b->dataset->source->preprocess;
    int64_t dims[3];
    ADZE_TRY(adze_preprocess_shape(dims, p, picture, b->err));
    ADZE_TRY(i == 0 ? make_room(b, 3, dims) : check_shape(b, dims, picture));
    int64_t length = dims[0] * dims[1] * dims[2];
    if (b->dtype == ADZE_F32)
        return adze_preprocess_apply((float *)b->out->data + i * length, p, picture, b->err);
    adze_tensor floats;
    ADZE_TRY(adze_tensor_make(&floats, ADZE_F32, 3, dims, b->err));
    adze_status status = adze_preprocess_apply(floats.data, p, picture, b->err);
    if (status == ADZE_OK)
        convert(b, &floats, 0, length, i * length);
    adze_tensor_free(&floats);
    return status;
}

static adze_status read_pictures(const batch *b)
{
    for (int64_t i = 0; i < b->count; i++) {
        int64_t sample = 0;
        adze_picture picture;
        adze_image image = {0};
        ADZE_TRY(source_index(&sample, b, i));
        ADZE_TRY(load_picture(&picture, &image, b, sample));
        adze_status status = put_picture(b, &picture, i);
        adze_image_free(&image);
        ADZE_TRY(status);
    }
    return ADZE_OK;
}

static adze_status read_batch(const batch *b)
{
    if (b->count < 1)
        return adze_fail(b->err, ADZE_BAD_ARGUMENT, "%s: a batch needs a sample",
                         b->dataset->source->path);
    adze_kind kind = adze_dtype_describe(b->dtype)->kind;
    if (kind != ADZE_KIND_FLOAT && !whole(b->dtype))
        return adze_fail(b->err, ADZE_UNSUPPORTED, "%s: cannot be read as %s",
                         b->dataset->source->path, adze_dtype_describe(b->dtype)->name);
    return b->field->pictures ? read_pictures(b) : read_array(b);
}

adze_status adze_dataset_read_as(adze_tensor *out, adze_dtype dtype, const adze_dataset *dataset,
                                 const char *input, const int64_t *indices, int64_t count,
                                 adze_error *err)
{
    const adze_field *field;
    ADZE_TRY(find_field(&field, dataset, &dataset->source->inputs, input, err));
    batch b = {dataset, field, indices, count, out, dtype, err};
    return read_batch(&b);
}

adze_status adze_dataset_read(adze_tensor *out, const adze_dataset *dataset, const char *input,
                              const int64_t *indices, int64_t count, adze_error *err)
{
    const adze_field *field;
    ADZE_TRY(find_field(&field, dataset, &dataset->source->inputs, input, err));
    adze_dtype dtype = field->pictures ? dataset->source->preprocess.dtype : ADZE_F32;
    batch b = {dataset, field, indices, count, out, dtype, err};
    return read_batch(&b);
}

adze_status adze_dataset_read_expected(adze_tensor *out, const adze_dataset *dataset,
                                       const char *output, const int64_t *indices, int64_t count,
                                       adze_error *err)
{
    const adze_field *field;
    ADZE_TRY(find_field(&field, dataset, &dataset->source->expected, output, err));
    batch b = {dataset, field, indices, count, out, ADZE_F32, err};
    return read_batch(&b);
}
