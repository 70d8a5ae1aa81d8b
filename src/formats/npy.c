/* One NumPy array: a magic, a header that is a Python dictionary literal, the elements. */
#include "formats/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/memory.h"
#include "formats/npy_impl.h"
#include "tensor/dtype.h"

enum { LONGEST_HEADER = 1 << 16, PREFIX = 10, ALIGNMENT = 64 };

typedef struct type_row {
    const char *code; /* NumPy's kind and bytes */
    adze_dtype dtype;
} type_row;

static const type_row types[] = {
    {"b1", ADZE_BOOL}, {"i1", ADZE_I8},  {"i2", ADZE_I16}, {"i4", ADZE_I32},   {"i8", ADZE_I64},
    {"u1", ADZE_U8},   {"u2", ADZE_U16}, {"u4", ADZE_U32}, {"u8", ADZE_U64},   {"f2", ADZE_F16},
    {"f4", ADZE_F32},  {"f8", ADZE_F64}, {"c8", ADZE_C64}, {"c16", ADZE_C128},
};

/* Reads the header's Python literal. */
typedef struct literal {
    const char *at, *end;
    const char *where;
    adze_error *err;
    bool strings; /* are read */
} literal;

static adze_status bad(literal *l, const char *expected)
{
    int left = (int)ADZE_MIN(l->end - l->at, (ptrdiff_t)20);
    return adze_fail(l->err, ADZE_BAD_FILE, "%s: NumPy header: expected %s, found '%.*s'", l->where,
                     expected, left, l->at);
}

static void skip_space(literal *l)
{
    while (l->at < l->end && isspace((unsigned char)*l->at))
        l->at++;
}

static bool take(literal *l, char c)
{
    skip_space(l);
    if (l->at == l->end || *l->at != c)
        return false;
    l->at++;
    return true;
}

/* A quoted string; false when there is none or it does not fit. */
static bool take_string(literal *l, char *out, size_t size)
{
    skip_space(l);
    if (l->at == l->end || (*l->at != '\'' && *l->at != '"'))
        return false;
    const char *start = l->at + 1;
    const char *close = memchr(start, *l->at, (size_t)(l->end - start));
    if (!close || (size_t)(close - start) >= size)
        return false;
    memcpy(out, start, (size_t)(close - start));
    out[close - start] = 0;
    l->at = close + 1;
    return true;
}

static bool take_word(literal *l, const char *word)
{
    skip_space(l);
    size_t size = strlen(word);
    if ((size_t)(l->end - l->at) < size || memcmp(l->at, word, size) != 0)
        return false;
    l->at += size;
    return true;
}

static bool take_number(literal *l, int64_t *out)
{
    skip_space(l);
    int64_t value = 0;
    const char *start = l->at;
    for (; l->at < l->end && isdigit((unsigned char)*l->at); l->at++) {
        if (value > (INT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (*l->at - '0');
    }
    *out = value;
    bool any = l->at > start;
    if (any && l->at < l->end && *l->at == 'L') /* Python 2 wrote long integers so */
        l->at++;
    return any;
}

static adze_status refuse_type(literal *l, const char *code)
{
    static const struct {
        char kind;
        const char *meaning;
    } kinds[] = {
        {'U', "strings"},
        {'S', "byte strings"},
        {'a', "byte strings"},
        {'O', "Python objects"},
        {'M', "dates"},
        {'m', "durations"},
        {'V', "raw bytes or a type NumPy lacks (bfloat16?)"},
    };
    const char *meaning = "an unknown type";
    for (size_t i = 0; i < ADZE_COUNT_OF(kinds); i++)
        if (code[0] == kinds[i].kind)
            meaning = kinds[i].meaning;
    return adze_fail(
        l->err, ADZE_UNSUPPORTED,
        "%s: the array holds %s (NumPy type '%s'); save it as numbers, for example with "
        "array.astype('float32')",
        l->where, meaning, code);
}

static adze_status read_type(literal *l, adze_npy_header *header)
{
    char text[32];
    if (take(l, '['))
        return adze_fail(l->err, ADZE_UNSUPPORTED,
                         "%s: the array holds records; save each field as an array", l->where);
    if (!take_string(l, text, sizeof text) || strlen(text) < 2)
        return bad(l, "a type such as '<f4'");
    const char *code = strchr("<>|=", text[0]) ? text + 1 : text;
    header->big_endian = text[0] == '>';
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        if (strcmp(types[i].code, code) == 0) {
            header->dtype = types[i].dtype;
            return ADZE_OK;
        }
    literal width = {code + 1, code + strlen(code), l->where, l->err, false};
    int64_t characters;
    if (l->strings && strchr("USa", code[0]) && take_number(&width, &characters) &&
        width.at == width.end && characters <= INT32_MAX) {
        header->dtype = ADZE_STRING;
        header->wide = code[0] == 'U';
        header->width = (size_t)characters;
        return ADZE_OK;
    }
    return refuse_type(l, code);
}

static adze_status read_shape(literal *l, adze_npy_header *header)
{
    if (!take(l, '('))
        return bad(l, "a shape such as (3, 4)");
    header->rank = 0;
    while (!take(l, ')')) {
        if (header->rank == ADZE_MAX_RANK)
            return adze_fail(l->err, ADZE_UNSUPPORTED, "%s: the array has more than %d axes",
                             l->where, ADZE_MAX_RANK);
        if (!take_number(l, &header->dims[header->rank]))
            return bad(l, "a dimension");
        header->rank++;
        if (!take(l, ',') && !(l->at < l->end && *l->at == ')'))
            return bad(l, "',' or ')'");
    }
    return ADZE_OK;
}

static adze_status read_entry(literal *l, adze_npy_header *header, int *seen)
{
    char key[32];
    if (!take_string(l, key, sizeof key) || !take(l, ':'))
        return bad(l, "'key': value");
    if (strcmp(key, "descr") == 0) {
        *seen |= 1;
        return read_type(l, header);
    }
    if (strcmp(key, "shape") == 0) {
        *seen |= 2;
        return read_shape(l, header);
    }
    if (strcmp(key, "fortran_order") != 0)
        return bad(l, "descr, fortran_order or shape");
    *seen |= 4;
    header->fortran = take_word(l, "True");
    return header->fortran || take_word(l, "False") ? ADZE_OK : bad(l, "True or False");
}

static adze_status read_dictionary(literal *l, adze_npy_header *header)
{
    int seen = 0;
    if (!take(l, '{'))
        return bad(l, "'{'");
    while (!take(l, '}')) {
        ADZE_TRY(read_entry(l, header, &seen));
        if (!take(l, ',') && !(l->at < l->end && *l->at == '}'))
            return bad(l, "',' or '}'");
    }
    return seen == 7 ? ADZE_OK : bad(l, "descr, fortran_order and shape");
}

static adze_status parse_header(adze_npy_header *out, const uint8_t *bytes, size_t size,
                                bool strings, const char *where, adze_error *err)
{
    adze_cursor c = adze_cursor_over(bytes, size);
    const uint8_t *magic = adze_cursor_bytes(&c, 6);
    if (!magic || memcmp(magic, "\x93NUMPY", 6) != 0)
        return adze_fail(err, ADZE_BAD_FILE, "%s: not a NumPy array (.npy)", where);
    uint8_t major = adze_cursor_u8(&c);
    (void)adze_cursor_u8(&c);
    if (!c.failed && (major < 1 || major > 3))
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: NumPy format version %d; expected 1 to 3",
                         where, major);
    uint32_t length = major == 1 ? adze_cursor_u16le(&c) : adze_cursor_u32le(&c);
    const uint8_t *text = length <= LONGEST_HEADER ? adze_cursor_bytes(&c, length) : NULL;
    if (!text)
        return adze_fail(err, ADZE_BAD_FILE, "%s: NumPy header of %u bytes is cut off or too long",
                         where, length);
    literal l = {(const char *)text, (const char *)text + length, where, err, strings};
    adze_npy_header header = {.data_offset = adze_cursor_offset(&c)};
    ADZE_TRY(read_dictionary(&l, &header));
    const int64_t elements = adze_shape_elements(header.rank, header.dims);
    header.data_size = adze_dtype_bytes(header.dtype, elements);
    if (header.dtype == ADZE_STRING &&
        (elements < 0 ||
         !adze_mul_size(&header.data_size, (size_t)elements, header.width * (header.wide ? 4 : 1))))
        header.data_size = SIZE_MAX;
    if (header.data_size > adze_cursor_left(&c))
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: cut off: the shape asks for %zu bytes of elements, %zu are there",
                         where, header.data_size, adze_cursor_left(&c));
    *out = header;
    return ADZE_OK;
}

adze_status adze_npy_parse_header(adze_npy_header *out, const uint8_t *bytes, size_t size,
                                  const char *where, adze_error *err)
{
    return parse_header(out, bytes, size, false, where, err);
}

/* Bytes that the machine treats as one number (complex numbers are two). */
static size_t number_size(adze_dtype dtype)
{
    const adze_dtype_info *info = adze_dtype_describe(dtype);
    return (size_t)info->block_bytes / (info->kind == ADZE_KIND_COMPLEX ? 2 : 1);
}

static void swap_numbers(uint8_t *bytes, size_t size, size_t number)
{
    for (size_t at = 0; at + number <= size; at += number)
        for (size_t i = 0; i < number / 2; i++) {
            uint8_t kept = bytes[at + i];
            bytes[at + i] = bytes[at + number - 1 - i];
            bytes[at + number - 1 - i] = kept;
        }
}

/* Elements of src in Fortran order (first axis fastest) to dst in C order. */
static void reorder(uint8_t *dst, const uint8_t *src, const adze_tensor *shape)
{
    size_t item = (size_t)adze_dtype_describe(shape->dtype)->block_bytes;
    int64_t stride[ADZE_MAX_RANK], index[ADZE_MAX_RANK] = {0}, from = 0, step = 1;
    for (int i = 0; i < shape->rank; i++) {
        stride[i] = step;
        step *= shape->dims[i];
    }
    for (int64_t i = 0, n = adze_tensor_elements(shape); i < n; i++) {
        memcpy(dst + (size_t)i * item, src + (size_t)from * item, item);
        for (int axis = shape->rank - 1; axis >= 0; axis--) {
            from += stride[axis];
            if (++index[axis] < shape->dims[axis])
                break;
            from -= stride[axis] * shape->dims[axis];
            index[axis] = 0;
        }
    }
}

static adze_status copy_array(adze_tensor *out, const adze_npy_header *header, const uint8_t *data,
                              const char *where, adze_error *err)
{
    adze_tensor copy;
    adze_status status = adze_tensor_make(&copy, header->dtype, header->rank, header->dims, err);
    if (status != ADZE_OK)
        return adze_wrap(err, status, "%s", where);
    if (header->fortran && header->rank > 1)
        reorder(copy.data, data, &copy);
    else if (copy.size)
        memcpy(copy.data, data, copy.size);
    if (header->big_endian)
        swap_numbers(copy.data, copy.size, number_size(header->dtype));
    *out = copy;
    return ADZE_OK;
}

adze_status adze_npy_parse(adze_tensor *out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err)
{
    adze_npy_header header = {0};
    ADZE_TRY(adze_npy_parse_header(&header, bytes, size, where, err));
    const uint8_t *data = bytes + header.data_offset;
    bool aligned = (uintptr_t)data % number_size(header.dtype) == 0;
    bool as_is = aligned && !(header.fortran && header.rank > 1) &&
                 !(header.big_endian && number_size(header.dtype) > 1);
    if (!as_is)
        return copy_array(out, &header, data, where, err);
    *out = adze_tensor_view(header.dtype, header.rank, header.dims, (void *)(uintptr_t)data);
    return ADZE_OK;
}

adze_status adze_npy_load(adze_tensor *out, const char *path, adze_error *err)
{
    adze_mapping *file;
    ADZE_TRY(adze_mapping_open(&file, path, err));
    const uint8_t *bytes = adze_mapping_bytes(file);
    adze_npy_header header = {0};
    adze_status status = parse_header(&header, bytes, adze_mapping_size(file), true, path, err);
    if (status == ADZE_OK)
        status = (header.dtype == ADZE_STRING ? adze_npy_read_strings : copy_array)(
            out, &header, bytes + header.data_offset, path, err);
    adze_mapping_release(&file);
    return status;
}

/* The type that NumPy has for it; ADZE_UNDEFINED when none. */
static adze_dtype numpy_type(adze_dtype dtype)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        if (types[i].dtype == dtype)
            return dtype;
    switch (adze_dtype_describe(dtype)->kind) {
    case ADZE_KIND_FLOAT: return ADZE_F32;
    case ADZE_KIND_INT: return ADZE_I8;
    case ADZE_KIND_UINT: return ADZE_U8;
    default: return ADZE_UNDEFINED;
    }
}

static void widen(adze_tensor *to, const adze_tensor *from)
{
    int64_t n = adze_tensor_elements(from);
    if (to->dtype == ADZE_F32)
        adze_row_to_f32(from->dtype, from->data, 0, n, to->data);
    else
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)to->data)[i] = (uint8_t)adze_packed_get(from->dtype, from->data, i);
}

adze_status adze_npy_convert(adze_tensor *out, const adze_tensor *tensor, adze_error *err)
{
    adze_dtype dtype = numpy_type(tensor->dtype);
    if (dtype == ADZE_UNDEFINED)
        return adze_fail(err, ADZE_UNSUPPORTED, "NumPy has no type for %s; dequantize it first",
                         adze_dtype_describe(tensor->dtype)->name);
    *out = adze_tensor_view(dtype, tensor->rank, tensor->dims, tensor->data);
    if (dtype == tensor->dtype)
        return ADZE_OK;
    ADZE_TRY(adze_tensor_make(out, dtype, tensor->rank, tensor->dims, err));
    widen(out, tensor);
    return ADZE_OK;
}

static size_t make_header(char out[ADZE_NPY_HEADER], const adze_tensor *tensor, char order,
                          const char *code)
{
    char shape[ADZE_MAX_RANK * 22 + 1] = "";
    size_t at = 0;
    for (int i = 0; i < tensor->rank; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%lld,%s", (long long)tensor->dims[i],
                               i + 1 < tensor->rank ? " " : "");
    if (tensor->rank > 1)
        shape[at - 1] = 0; /* NumPy keeps the comma only for one axis */
    memset(out, ' ', ADZE_NPY_HEADER);
    int length =
        snprintf(out + PREFIX, ADZE_NPY_HEADER - PREFIX,
                 "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }", order, code, shape);
    size_t used = PREFIX + (size_t)length;
    size_t total = (used + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - PREFIX) & 255);
    out[9] = (char)((total - PREFIX) >> 8);
    out[used] = ' ';
    out[total - 1] = '\n';
    return total;
}

size_t adze_npy_make_header(char out[ADZE_NPY_HEADER], const adze_tensor *tensor)
{
    const char *code = "f4";
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        if (types[i].dtype == tensor->dtype)
            code = types[i].code;
    return make_header(out, tensor, number_size(tensor->dtype) > 1 ? '<' : '|', code);
}

static adze_status save_strings(const adze_tensor *tensor, const char *path, adze_error *err)
{
    adze_output *output = NULL;
    char header[ADZE_NPY_HEADER], code[32];
    const size_t width = adze_npy_string_width(tensor);
    snprintf(code, sizeof code, "U%zu", width);
    ADZE_TRY(adze_output_open(&output, path, err));
    adze_output_write(output, header, make_header(header, tensor, '<', code));
    adze_npy_write_strings(output, tensor, width);
    return adze_output_finish(&output, err);
}

adze_status adze_npy_save(const adze_tensor *tensor, const char *path, adze_error *err)
{
    if (tensor->dtype == ADZE_STRING)
        return save_strings(tensor, path, err);
    adze_tensor array = {0};
    adze_status status = adze_npy_convert(&array, tensor, err);
    if (status != ADZE_OK)
        return adze_wrap(err, status, "%s", path);
    adze_output *output = NULL;
    status = adze_output_open(&output, path, err);
    if (status == ADZE_OK) {
        char header[ADZE_NPY_HEADER];
        adze_output_write(output, header, adze_npy_make_header(header, &array));
        adze_output_write(output, array.data, array.size);
        status = adze_output_finish(&output, err);
    }
    adze_tensor_free(&array);
    return status;
}
