/* Shapes, sizes, ownership, and slow access to single elements. */
#include "adze/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/dtype.h"

static const adze_dtype_info dtypes[] = {
#define X(name, text, kind, bits, block, bytes, onnx, ggml)                                        \
    {text, ADZE_KIND_##kind, bits, block, bytes, onnx, ggml},
    ADZE_DTYPE_LIST(X)
#undef X
};

const adze_dtype_info *adze_dtype_describe(adze_dtype dtype)
{
    size_t i = (size_t)dtype;
    return &dtypes[i < ADZE_COUNT_OF(dtypes) ? i : ADZE_UNDEFINED];
}

adze_dtype adze_dtype_from_name(const char *name)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(dtypes); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return (adze_dtype)i;
    return ADZE_UNDEFINED;
}

adze_dtype adze_dtype_from_onnx(int type)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(dtypes); i++)
        if (dtypes[i].onnx == type && type > 0)
            return (adze_dtype)i;
    return ADZE_UNDEFINED;
}

int64_t adze_shape_elements(int rank, const int64_t *dims)
{
    int64_t elements = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || (dims[i] > 0 && elements > INT64_MAX / dims[i]))
            return -1;
        empty = empty || dims[i] == 0;
        elements *= ADZE_MAX(dims[i], 1);
    }
    return empty ? 0 : elements;
}

size_t adze_dtype_bytes(adze_dtype dtype, int64_t elements)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    if (elements < 0 || (info->kind == ADZE_KIND_BLOCK && elements % info->block_size != 0))
        return SIZE_MAX;
    int64_t blocks = elements / info->block_size + (elements % info->block_size != 0);
    size_t bytes;
    if ((uint64_t)blocks > SIZE_MAX ||
        !adze_mul_size(&bytes, (size_t)blocks, (size_t)info->block_bytes))
        return SIZE_MAX;
    return bytes;
}

int64_t adze_tensor_elements(const adze_tensor *tensor)
{
    return adze_shape_elements(tensor->rank, tensor->dims);
}

bool adze_tensor_same_type(const adze_tensor *a, const adze_tensor *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    return same;
}

static adze_tensor shaped(adze_dtype dtype, int rank, const int64_t *dims)
{
    adze_tensor tensor = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank && i < ADZE_MAX_RANK; i++)
        tensor.dims[i] = dims[i];
    return tensor;
}

adze_status adze_tensor_make(adze_tensor *out, adze_dtype dtype, int rank, const int64_t *dims,
                             adze_error *err)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    if (rank < 0 || rank > ADZE_MAX_RANK)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "tensor: expected a rank of 0 to %d, found %d",
                         ADZE_MAX_RANK, rank);
    if (info->kind == ADZE_KIND_NONE)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "tensor: element type %d is unknown", (int)dtype);
    adze_tensor tensor = shaped(dtype, rank, dims);
    char text[160];
    bool ragged = info->kind == ADZE_KIND_BLOCK &&
                  (rank == 0 || tensor.dims[rank - 1] % info->block_size != 0);
    if (ragged)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: rows are not a multiple of %d elements",
                         adze_tensor_format(&tensor, text, sizeof text), info->block_size);
    tensor.size = adze_dtype_bytes(dtype, adze_tensor_elements(&tensor));
    if (tensor.size == SIZE_MAX)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: not a possible size",
                         adze_tensor_format(&tensor, text, sizeof text));
    tensor.data = adze_alloc(1, tensor.size);
    if (!tensor.data)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %s, %zu bytes",
                         adze_tensor_format(&tensor, text, sizeof text), tensor.size);
    tensor.owner = ADZE_OWNED;
    *out = tensor;
    return ADZE_OK;
}

adze_tensor adze_tensor_view(adze_dtype dtype, int rank, const int64_t *dims, void *data)
{
    adze_tensor tensor = shaped(dtype, rank, dims);
    size_t size = adze_dtype_bytes(dtype, adze_tensor_elements(&tensor));
    tensor.data = data;
    tensor.size = size == SIZE_MAX ? 0 : size;
    return tensor;
}

/* Strings: the array, then all their bytes, each followed by a NUL. */
static adze_status copy_strings(adze_tensor *out, const adze_tensor *from, adze_error *err)
{
    const adze_string *strings = from->data;
    int64_t count = adze_tensor_elements(from);
    size_t total = from->size;
    bool fits = count >= 0;
    for (int64_t i = 0; fits && i < count; i++)
        fits = adze_add_size(&total, total, strings[i].length) && adze_add_size(&total, total, 1);
    adze_string *copies = fits ? adze_alloc(1, total) : NULL;
    if (!copies)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to copy %lld strings", (long long)count);
    char *at = (char *)copies + from->size;
    for (int64_t i = 0; i < count; i++) {
        copies[i] = (adze_string){.data = at, .length = strings[i].length};
        if (strings[i].length)
            memcpy(at, strings[i].data, strings[i].length);
        at += strings[i].length + 1;
    }
    *out = *from;
    out->data = copies;
    out->owner = ADZE_OWNED;
    return ADZE_OK;
}

adze_status adze_tensor_copy(adze_tensor *out, const adze_tensor *from, adze_error *err)
{
    if (from->dtype == ADZE_STRING)
        return copy_strings(out, from, err);
    adze_tensor copy = *from;
    copy.data = adze_alloc(1, from->size);
    if (!copy.data)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to copy %zu bytes", from->size);
    if (from->size)
        memcpy(copy.data, from->data, from->size);
    copy.owner = ADZE_OWNED;
    *out = copy;
    return ADZE_OK;
}

void adze_tensor_free(adze_tensor *tensor)
{
    if (!tensor)
        return;
    if (tensor->owner == ADZE_OWNED)
        adze_free(tensor->data);
    *tensor = (adze_tensor){0};
}

/* An element as the widest type of its kind. */
typedef struct element {
    adze_kind kind; /* FLOAT, INT or UINT */
    double f;
    int64_t i;
    uint64_t u;
} element;

static element from_int(int64_t value)
{
    return (element){.kind = ADZE_KIND_INT, .i = value};
}

static element from_uint(uint64_t value)
{
    return (element){.kind = ADZE_KIND_UINT, .u = value};
}

static element load_bytes(const adze_tensor *tensor, int64_t i)
{
    int size = adze_dtype_describe(tensor->dtype)->block_bytes;
    const char *at = (const char *)tensor->data + (size_t)i * (size_t)size;
    uint64_t u = 0; /* little-endian, as every machine we run on */
    memcpy(&u, at, (size_t)ADZE_MIN(size, 8));
    switch (tensor->dtype) {
    case ADZE_I8: return from_int((int8_t)u);
    case ADZE_I16: return from_int((int16_t)u);
    case ADZE_I32: return from_int((int32_t)u);
    case ADZE_I64: return from_int((int64_t)u);
    case ADZE_BOOL: return from_uint(u != 0);
    default: return from_uint(u);
    }
}

static element load(const adze_tensor *tensor, int64_t i)
{
    const adze_dtype_info *info = adze_dtype_describe(tensor->dtype);
    element x = {.kind = ADZE_KIND_FLOAT};
    if (tensor->dtype == ADZE_F64) {
        memcpy(&x.f, (const char *)tensor->data + (size_t)i * 8, 8);
    } else if (info->kind == ADZE_KIND_FLOAT) {
        float f;
        adze_row_to_f32(tensor->dtype, tensor->data, i, 1, &f);
        x.f = (double)f;
    } else if (info->bits > 0 && info->bits < 8) {
        return from_int(adze_packed_get(tensor->dtype, tensor->data, i));
    } else {
        return load_bytes(tensor, i);
    }
    return x;
}

double adze_tensor_get_f64(const adze_tensor *tensor, int64_t i)
{
    if (tensor->dtype == ADZE_F64) {
        double v;
        memcpy(&v, (const char *)tensor->data + (size_t)i * 8, 8);
        return v;
    }
    element x = load(tensor, i);
    return x.kind == ADZE_KIND_FLOAT ? x.f : x.kind == ADZE_KIND_INT ? (double)x.i : (double)x.u;
}

int64_t adze_tensor_get_i64(const adze_tensor *tensor, int64_t i)
{
    element x = load(tensor, i);
    if (x.kind == ADZE_KIND_INT)
        return x.i;
    if (x.kind == ADZE_KIND_UINT)
        return x.u > INT64_MAX ? INT64_MAX : (int64_t)x.u;
    if (isnan(x.f))
        return 0;
    return x.f >= 0x1p63 ? INT64_MAX : x.f < -0x1p63 ? INT64_MIN : (int64_t)x.f;
}

/* To float so that a second rounding to something narrower is right: inexact results become odd
 * (Boldo, Melquiond: "Emulation of FMA and correctly rounded sums", 2008). */
static float to_odd(double value)
{
    float f = (float)value;
    if (isnan(f) || (double)f == value)
        return f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    bits -= fabs((double)f) > fabs(value);
    bits |= 1;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void store_int(adze_tensor *tensor, int64_t i, int64_t value)
{
    const adze_dtype_info *info = adze_dtype_describe(tensor->dtype);
    if (info->kind == ADZE_KIND_BOOL)
        value = value != 0;
    else if (info->kind == ADZE_KIND_UINT && value < 0)
        value = 0;
    if (info->kind != ADZE_KIND_BOOL && info->bits < 64) {
        bool is_signed = info->kind == ADZE_KIND_INT;
        int64_t high = ((int64_t)1 << (is_signed ? info->bits - 1 : info->bits)) - 1;
        int64_t low = is_signed ? -high - 1 : 0;
        value = value < low ? low : value > high ? high : value;
    }
    if (info->bits < 8) {
        adze_packed_set(tensor->dtype, tensor->data, i, (int)value);
        return;
    }
    size_t size = (size_t)info->block_bytes;
    if (size <= sizeof value) /* not of strings and complex numbers */
        memcpy((char *)tensor->data + (size_t)i * size, &value, size);
}

void adze_tensor_set_f64(adze_tensor *tensor, int64_t i, double value)
{
    if (tensor->dtype == ADZE_F64) {
        memcpy((char *)tensor->data + (size_t)i * 8, &value, 8);
        return;
    }
    const adze_dtype_info *info = adze_dtype_describe(tensor->dtype);
    if (info->kind == ADZE_KIND_FLOAT) {
        float f = tensor->dtype == ADZE_F32 ? (float)value : to_odd(value);
        adze_row_from_f32(tensor->dtype, &f, 1, tensor->data, i);
    } else if (info->kind == ADZE_KIND_BOOL) {
        store_int(tensor, i, value != 0);
    } else if (tensor->dtype == ADZE_U64 && value >= 0x1p63) {
        double whole = nearbyint(value);
        uint64_t u = whole >= 0x1p64 ? UINT64_MAX : (uint64_t)whole;
        memcpy((char *)tensor->data + (size_t)i * 8, &u, 8);
    } else {
        double whole = isnan(value) ? 0 : nearbyint(value);
        int64_t integer = whole >= 0x1p63   ? INT64_MAX
                          : whole < -0x1p63 ? INT64_MIN
                                            : (int64_t)whole;
        store_int(tensor, i, integer);
    }
}

void adze_tensor_set_i64(adze_tensor *tensor, int64_t i, int64_t value)
{
    if (adze_dtype_describe(tensor->dtype)->kind != ADZE_KIND_FLOAT) {
        store_int(tensor, i, value);
    } else if (tensor->dtype == ADZE_F32) {
        float f = (float)value;
        memcpy((char *)tensor->data + (size_t)i * 4, &f, 4);
    } else {
        adze_tensor_set_f64(tensor, i, (double)value);
    }
}

const char *adze_tensor_format(const adze_tensor *tensor, char *buf, size_t size)
{
    size_t at = 0;
    const char *name = adze_dtype_describe(tensor->dtype)->name;
    for (int i = -1; i <= tensor->rank && at < size; i++) {
        int n = 0;
        if (i < 0)
            n = snprintf(buf + at, size - at, "%s[", name);
        else if (i == tensor->rank)
            n = snprintf(buf + at, size - at, "]");
        else
            n = snprintf(buf + at, size - at, "%s%lld", i ? "," : "", (long long)tensor->dims[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    return buf;
}
