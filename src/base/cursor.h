/* Bounds-checked reading of outside bytes. A cursor never reads past its end: a failed read sets
 * `failed`, returns zero and leaves the position, so a parser may check once per record. */
#ifndef ADZE_BASE_CURSOR_H
#define ADZE_BASE_CURSOR_H
#include "base/error.h"

typedef struct adze_cursor {
    const uint8_t *begin, *at, *end;
    bool failed;
} adze_cursor;

adze_cursor adze_cursor_over(const void *bytes, size_t size);
size_t adze_cursor_left(const adze_cursor *c);
size_t adze_cursor_offset(const adze_cursor *c); /* from begin */
uint8_t adze_cursor_u8(adze_cursor *c);
uint16_t adze_cursor_u16le(adze_cursor *c);
uint32_t adze_cursor_u32le(adze_cursor *c);
uint64_t adze_cursor_u64le(adze_cursor *c);
uint32_t adze_cursor_u32be(adze_cursor *c);
float adze_cursor_f32le(adze_cursor *c);
double adze_cursor_f64le(adze_cursor *c);
uint64_t adze_cursor_varint(adze_cursor *c); /* protobuf base-128, at most 10 bytes */
/* `size` bytes in place, or NULL and failed. */
const uint8_t *adze_cursor_bytes(adze_cursor *c, uint64_t size);
/* A cursor over the next `size` bytes, which are skipped here. */
adze_cursor adze_cursor_sub(adze_cursor *c, uint64_t size);

#endif
