/* Bounds-checked reading; values are assembled byte by byte, so neither alignment nor the machine's
 * byte order matters. */
#include "base/cursor.h"

#include <string.h>

adze_cursor adze_cursor_over(const void *bytes, size_t size)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *begin = size ? bytes : nothing;
    return (adze_cursor){.begin = begin, .at = begin, .end = begin + size};
}

size_t adze_cursor_left(const adze_cursor *c)
{
    return (size_t)(c->end - c->at);
}

size_t adze_cursor_offset(const adze_cursor *c)
{
    return (size_t)(c->at - c->begin);
}

const uint8_t *adze_cursor_bytes(adze_cursor *c, uint64_t size)
{
    if (c->failed || size > adze_cursor_left(c)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *bytes = c->at;
    c->at += size;
    return bytes;
}

adze_cursor adze_cursor_sub(adze_cursor *c, uint64_t size)
{
    const uint8_t *bytes = adze_cursor_bytes(c, size);
    adze_cursor sub = adze_cursor_over(bytes, bytes ? (size_t)size : 0);
    sub.failed = bytes == NULL;
    return sub;
}

static uint64_t little_endian(adze_cursor *c, int size)
{
    const uint8_t *bytes = adze_cursor_bytes(c, (uint64_t)size);
    uint64_t value = 0;
    for (int i = 0; bytes && i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint8_t adze_cursor_u8(adze_cursor *c)
{
    return (uint8_t)little_endian(c, 1);
}

uint16_t adze_cursor_u16le(adze_cursor *c)
{
    return (uint16_t)little_endian(c, 2);
}

uint32_t adze_cursor_u32le(adze_cursor *c)
{
    return (uint32_t)little_endian(c, 4);
}

uint64_t adze_cursor_u64le(adze_cursor *c)
{
    return little_endian(c, 8);
}

uint32_t adze_cursor_u32be(adze_cursor *c)
{
    const uint8_t *b = adze_cursor_bytes(c, 4);
    return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

float adze_cursor_f32le(adze_cursor *c)
{
    uint32_t bits = adze_cursor_u32le(c);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double adze_cursor_f64le(adze_cursor *c)
{
    uint64_t bits = adze_cursor_u64le(c);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t adze_cursor_varint(adze_cursor *c)
{
    const uint8_t *start = c->at;
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && !c->failed; shift += 7) {
        uint8_t byte = adze_cursor_u8(c);
        if (shift == 63 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!c->failed && byte < 0x80)
            return value;
    }
    c->at = start;
    c->failed = true;
    return 0;
}
