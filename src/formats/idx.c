/* IDX: two zero bytes, the element type, the number of axes, big-endian dimensions, the elements. */
#include "formats/idx.h"

#include <string.h>

#include "base/cursor.h"

static const size_t largest_unzipped = (size_t)4 << 30;

static adze_dtype type_of(uint8_t code)
{
    switch (code) {
    case 0x08: return ADZE_U8;
    case 0x09: return ADZE_I8;
    case 0x0b: return ADZE_I16;
    case 0x0c: return ADZE_I32;
    case 0x0d: return ADZE_F32;
    case 0x0e: return ADZE_F64;
    default: return ADZE_UNDEFINED;
    }
}

static void copy_swapped(uint8_t *dst, const uint8_t *src, size_t size, size_t item)
{
    for (size_t at = 0; at < size; at += item)
        for (size_t i = 0; i < item; i++)
            dst[at + i] = src[at + item - 1 - i];
}

adze_status adze_idx_parse(adze_tensor *out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err)
{
    adze_cursor c = adze_cursor_over(bytes, size);
    bool zeros = adze_cursor_u8(&c) == 0 && adze_cursor_u8(&c) == 0;
    adze_dtype dtype = type_of(adze_cursor_u8(&c));
    int rank = adze_cursor_u8(&c);
    if (c.failed || !zeros || dtype == ADZE_UNDEFINED || rank == 0)
        return adze_fail(
            err, ADZE_BAD_FILE,
            "%s: not an IDX file: expected 0 0, a type of 8 to 14 and the number of axes", where);
    if (rank > ADZE_MAX_RANK)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: IDX file with %d axes; at most %d are possible", where, rank,
                         ADZE_MAX_RANK);
    int64_t dims[ADZE_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = adze_cursor_u32be(&c);
    size_t needed = adze_dtype_bytes(dtype, adze_shape_elements(rank, dims));
    const uint8_t *data = adze_cursor_bytes(&c, needed);
    if (!data)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: cut off: the dimensions ask for %zu bytes of elements, %zu are there",
                         where, needed, adze_cursor_left(&c));
    size_t item = (size_t)adze_dtype_describe(dtype)->block_bytes;
    if (item == 1) {
        *out = adze_tensor_view(dtype, rank, dims, (void *)(uintptr_t)data);
        return ADZE_OK;
    }
    adze_tensor copy;
    ADZE_TRY(adze_tensor_make(&copy, dtype, rank, dims, err));
    copy_swapped(copy.data, data, copy.size, item);
    *out = copy;
    return ADZE_OK;
}

static adze_status open_bytes(adze_idx *idx, const char *path, adze_error *err)
{
    const uint8_t *bytes = adze_mapping_bytes(idx->file);
    size_t size = adze_mapping_size(idx->file);
    if (size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
        adze_status status = adze_gunzip(&idx->unzipped, &size, bytes, size, largest_unzipped, err);
        if (status != ADZE_OK)
            return adze_wrap(err, status, "%s", path);
        bytes = idx->unzipped;
    }
    return adze_idx_parse(&idx->tensor, bytes, size, path, err);
}

adze_status adze_idx_open(adze_idx *out, const char *path, adze_error *err)
{
    adze_idx idx = {0};
    ADZE_TRY(adze_mapping_open(&idx.file, path, err));
    adze_status status = open_bytes(&idx, path, err);
    if (status == ADZE_OK)
        *out = idx;
    else
        adze_idx_close(&idx);
    return status;
}

void adze_idx_close(adze_idx *idx)
{
    adze_tensor_free(&idx->tensor);
    adze_free(idx->unzipped);
    adze_mapping_release(&idx->file);
    *idx = (adze_idx){0};
}
