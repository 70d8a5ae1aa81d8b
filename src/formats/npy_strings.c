/* NumPy's strings: '<U5', five characters of 32 bits each, and '|S5', five bytes; zeros stand behind shorter ones. Here
 * they are UTF-8. */
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "formats/npy_impl.h"

enum { REPLACEMENT = 0xfffd, LAST_CHARACTER = 0x10ffff };

static size_t put_utf8(char *to, uint32_t c)
{
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[4] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[more] | c >> 6 * more);
    for (int i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return (size_t)more + 1;
}

/* The character at `at` and its bytes; what is no UTF-8 is replaced byte by byte. */
static size_t get_utf8(const char *at, size_t left, uint32_t *c)
{
    const uint8_t *b = (const uint8_t *)at;
    const size_t size = b[0] < 0x80 ? 1 : b[0] < 0xc0 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    *c = REPLACEMENT;
    if (size == 0 || size > left || adze_utf8_valid_prefix(at, size) != size)
        return 1;
    *c = size == 1 ? b[0] : b[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++)
        *c = *c << 6 | (b[i] & 0x3f);
    return size;
}

static uint32_t unit(const adze_npy_header *h, const uint8_t *data, size_t i)
{
    const uint8_t *b = data + 4 * i;
    if (!h->wide)
        return data[i];
    return h->big_endian ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]
                         : (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

static adze_status read_strings(const adze_npy_header *h, const uint8_t *data, size_t count,
                                adze_string *strings, char *text, const char *where,
                                adze_error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t first = i * h->width, length = h->width;
        while (length > 0 && unit(h, data, first + length - 1) == 0)
            length--;
        strings[i].data = text;
        for (size_t k = first; k < first + length; k++) {
            uint32_t c = unit(h, data, k);
            if (c > LAST_CHARACTER || (c >= 0xd800 && c < 0xe000))
                return adze_fail(err, ADZE_BAD_FILE,
                                 "%s: string %zu holds %#x, which is no character", where, i, c);
            if (h->wide)
                text += put_utf8(text, c);
            else
                *text++ = (char)c;
        }
        strings[i].length = (size_t)(text - strings[i].data);
    }
    return ADZE_OK;
}

adze_status adze_npy_read_strings(adze_tensor *out, const adze_npy_header *h, const uint8_t *data,
                                  const char *where, adze_error *err)
{
    if (h->fortran && h->rank > 1)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: strings in Fortran order; save numpy.ascontiguousarray(array)",
                         where);
    const size_t count = (size_t)adze_shape_elements(h->rank, h->dims);
    adze_string *strings = adze_alloc(count, sizeof *strings);
    char *text = adze_alloc(h->data_size, 1); /* UTF-8 is never longer */
    adze_status status = strings && text ? read_strings(h, data, count, strings, text, where, err)
                                         : adze_fail(err, ADZE_NO_MEMORY, "%s: strings", where);
    if (status == ADZE_OK) {
        adze_tensor view = adze_tensor_view(ADZE_STRING, h->rank, h->dims, strings);
        status = adze_tensor_copy(out, &view, err);
    }
    adze_free(strings);
    adze_free(text);
    return status;
}

static size_t characters(const adze_string *s)
{
    size_t count = 0;
    uint32_t c;
    for (size_t at = 0; at < s->length; count++)
        at += get_utf8(s->data + at, s->length - at, &c);
    return count;
}

size_t adze_npy_string_width(const adze_tensor *tensor)
{
    size_t width = 1;
    for (int64_t i = 0; i < adze_tensor_elements(tensor); i++)
        width = ADZE_MAX(width, characters((const adze_string *)tensor->data + i));
    return width;
}

void adze_npy_write_strings(adze_output *output, const adze_tensor *tensor, size_t width)
{
    static const uint8_t zeros[256];
    for (int64_t i = 0; i < adze_tensor_elements(tensor); i++) {
        const adze_string *s = (const adze_string *)tensor->data + i;
        size_t at = 0, left = width * 4;
        for (uint32_t c; at < s->length; left -= 4) {
            at += get_utf8(s->data + at, s->length - at, &c);
            const uint8_t bytes[4] = {(uint8_t)c, (uint8_t)(c >> 8), (uint8_t)(c >> 16), 0};
            adze_output_write(output, bytes, 4);
        }
        for (size_t n; left > 0; left -= n) {
            n = ADZE_MIN(left, sizeof zeros);
            adze_output_write(output, zeros, n);
        }
    }
}
