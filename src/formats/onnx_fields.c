/* The protobuf wire format, read in two passes over each message: the first counts every field and
 * checks its wire type, the second fills arrays of just that size. So no count is believed that the
 * bytes do not back, nothing grows, and sub-messages are skipped in constant time when counting. */
#include "formats/onnx_impl.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };
enum { DEEPEST = 192 }; /* messages in messages: 64 graphs in graphs */

typedef struct record {
    const uint8_t *start;
    uint32_t number;
    unsigned wire;
    uint64_t value;   /* VARINT */
    adze_cursor body; /* all others */
} record;

adze_status adze_onnx_bad(const onnx_reader *r, adze_status status, const uint8_t *at,
                          const onnx_message *m, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t offset = at >= r->base && at <= r->base + r->size ? (size_t)(at - r->base) : 0;
    return adze_fail(r->err, status, "%s: byte %zu: %s: %s", r->file, offset, m->name, text);
}

adze_status adze_onnx_no_memory(const onnx_reader *r)
{
    return adze_fail(r->err, ADZE_NO_MEMORY, "%s: no memory to read it", r->file);
}

static adze_status next_record(const onnx_reader *r, const onnx_message *m, adze_cursor *c,
                               record *out)
{
    *out = (record){.start = c->at};
    uint64_t key = adze_cursor_varint(c);
    if (c->failed || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return adze_onnx_bad(r, ADZE_BAD_FILE, out->start, m,
                             "expected a field, found bytes that are none");
    out->number = (uint32_t)(key >> 3);
    out->wire = (unsigned)(key & 7);
    switch (out->wire) {
    case VARINT: out->value = adze_cursor_varint(c); break;
    case FIXED64: out->body = adze_cursor_sub(c, 8); break;
    case LENGTH: out->body = adze_cursor_sub(c, adze_cursor_varint(c)); break;
    case FIXED32: out->body = adze_cursor_sub(c, 4); break;
    default:
        return adze_onnx_bad(r, ADZE_BAD_FILE, out->start, m,
                             "field %u: expected wire type 0, 1, 2 or 5, found %u", out->number,
                             out->wire);
    }
    if (c->failed)
        return adze_onnx_bad(
            r, ADZE_BAD_FILE, out->start, m,
            "field %u: expected to end inside its message, which has %zu bytes left "
            "here",
            out->number, (size_t)(c->end - out->start));
    return ADZE_OK;
}

static int find_field(const onnx_message *m, uint32_t number)
{
    for (int i = 0; i < m->field_count; i++)
        if (m->fields[i].number == number)
            return i;
    return -1;
}

static unsigned wire_of(onnx_kind kind)
{
    return kind <= ONNX_U64   ? VARINT
           : kind == ONNX_F32 ? FIXED32
           : kind == ONNX_F64 ? FIXED64
                              : LENGTH;
}

size_t adze_onnx_item_size(const onnx_field *f)
{
    static const size_t sizes[] = {[ONNX_I32] = 4,
                                   [ONNX_I64] = 8,
                                   [ONNX_U64] = 8,
                                   [ONNX_F32] = 4,
                                   [ONNX_F64] = 8,
                                   [ONNX_NAME] = sizeof(char *),
                                   [ONNX_TEXT] = sizeof(char *),
                                   [ONNX_BYTES] = sizeof(adze_string),
                                   [ONNX_RAW] = sizeof(adze_string),
                                   [ONNX_POINTER] = sizeof(void *)};
    return f->kind == ONNX_MESSAGE ? f->message->size : sizes[f->kind];
}

/* How many values a record of this field holds; false when its bytes do not divide into values. */
static bool count_values(const onnx_field *f, const record *rec, size_t *out)
{
    unsigned wire = wire_of(f->kind);
    *out = 1;
    if (rec->wire == wire)
        return true;
    if (rec->wire != LENGTH || f->many < ONNX_LIST)
        return false;
    size_t bytes = adze_cursor_left(&rec->body);
    if (wire != VARINT) {
        *out = bytes / adze_onnx_item_size(f);
        return bytes % adze_onnx_item_size(f) == 0;
    }
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out += rec->body.at[i] < 0x80;
    return bytes == 0 || rec->body.at[bytes - 1] < 0x80;
}

static adze_status count_fields(const onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                                size_t *counts, uint64_t *seen)
{
    while (adze_cursor_left(&bytes)) {
        record rec;
        ADZE_TRY(next_record(r, m, &bytes, &rec));
        int at = find_field(m, rec.number);
        if (at < 0)
            continue;
        const onnx_field *f = &m->fields[at];
        size_t values;
        if (!count_values(f, &rec, &values))
            return adze_onnx_bad(r, ADZE_BAD_FILE, rec.start, m,
                                 "field %u: expected values of wire type %u, found wire type %u",
                                 f->number, wire_of(f->kind), rec.wire);
        counts[at] += values;
        *seen |= UINT64_C(1) << f->number;
        bool single = f->many == ONNX_AT_MOST || (f->many == ONNX_ONE && f->kind == ONNX_MESSAGE);
        if ((single && counts[at] > 1) || counts[at] > INT_MAX)
            return adze_onnx_bad(r, ADZE_BAD_FILE, rec.start, m,
                                 "field %u: expected %s, found one more", f->number,
                                 single ? "it once" : "at most 2147483647 of it");
    }
    return ADZE_OK;
}

/* Arrays for what was counted, and defaults for what is not there. */
static adze_status make_room(onnx_reader *r, const onnx_message *m, const size_t *counts, char *out)
{
    for (int i = 0; i < m->field_count; i++) {
        const onnx_field *f = &m->fields[i];
        const char *nothing = "";
        if (f->many == ONNX_ONE && (f->kind == ONNX_NAME || f->kind == ONNX_TEXT))
            memcpy(out + f->at, &nothing, sizeof nothing);
        if (f->many == ONNX_ONE && f->kind == ONNX_MESSAGE && counts[i] == 0)
            ADZE_TRY(adze_onnx_read_message(r, f->message, adze_cursor_over(NULL, 0), out + f->at));
        if (f->many == ONNX_ONE || counts[i] == 0)
            continue;
        void *room = adze_arena_alloc(r->arena, counts[i], adze_onnx_item_size(f));
        if (!room)
            return adze_onnx_no_memory(r);
        memcpy(out + f->at, &room, sizeof room);
    }
    return ADZE_OK;
}

/* --- values ---------------------------------------------------------------------------------- */

static adze_status copy_text(const onnx_reader *r, const onnx_message *m, const onnx_field *f,
                             const record *rec, const char **out)
{
    const char *bytes = (const char *)rec->body.at;
    size_t size = adze_cursor_left(&rec->body);
    char *copy = size ? adze_arena_alloc(r->arena, size + 1, 1) : NULL;
    *out = "";
    if (size == 0)
        return ADZE_OK;
    if (!copy)
        return adze_onnx_no_memory(r);
    memcpy(copy, bytes, size);
    for (size_t at = 0; at < size; copy[at++] = '?') {
        size_t good = adze_utf8_valid_prefix(copy + at, size - at);
        const char *nul = memchr(copy + at, 0, good);
        at = nul ? (size_t)(nul - copy) : at + good;
        if (at >= size)
            break;
        if (f->kind == ONNX_NAME)
            return adze_onnx_bad(r, ADZE_BAD_FILE, (const uint8_t *)bytes + at, m,
                                 "field %u: expected a name in UTF-8, found byte 0x%02x in it",
                                 f->number, (unsigned)(uint8_t)copy[at]);
    }
    *out = copy;
    return ADZE_OK;
}

static adze_status copy_bytes(const onnx_reader *r, const record *rec, adze_string *out)
{
    size_t size = adze_cursor_left(&rec->body);
    *out = (adze_string){"", size};
    if (size == 0)
        return ADZE_OK;
    char *copy = adze_arena_alloc(r->arena, size + 1, 1);
    if (!copy)
        return adze_onnx_no_memory(r);
    memcpy(copy, rec->body.at, size);
    out->data = copy;
    return ADZE_OK;
}

static void store_varint(onnx_kind kind, uint64_t value, void *out)
{
    uint32_t low = (uint32_t)value;
    if (kind == ONNX_I32)
        memcpy(out, &low, sizeof low);
    else
        memcpy(out, &value, sizeof value);
}

static adze_status store_behind_pointer(onnx_reader *r, const onnx_field *f, const record *rec,
                                        void *out)
{
    void *message = adze_arena_alloc(r->arena, 1, f->message->size);
    if (!message)
        return adze_onnx_no_memory(r);
    memcpy(out, &message, sizeof message);
    return adze_onnx_read_message(r, f->message, rec->body, message);
}

static adze_status store_value(onnx_reader *r, const onnx_message *m, const onnx_field *f,
                               const record *rec, void *out)
{
    size_t size = adze_cursor_left(&rec->body);
    adze_cursor body = rec->body;
    float number;
    double wide;
    switch (f->kind) {
    case ONNX_I32:
    case ONNX_I64:
    case ONNX_U64: store_varint(f->kind, rec->value, out); return ADZE_OK;
    case ONNX_F32:
        number = adze_cursor_f32le(&body);
        memcpy(out, &number, sizeof number);
        return ADZE_OK;
    case ONNX_F64:
        wide = adze_cursor_f64le(&body);
        memcpy(out, &wide, sizeof wide);
        return ADZE_OK;
    case ONNX_NAME:
    case ONNX_TEXT: return copy_text(r, m, f, rec, out);
    case ONNX_BYTES: return copy_bytes(r, rec, out);
    case ONNX_RAW: *(adze_string *)out = (adze_string){(const char *)body.at, size}; return ADZE_OK;
    case ONNX_MESSAGE: return adze_onnx_read_message(r, f->message, rec->body, out);
    case ONNX_POINTER: return store_behind_pointer(r, f, rec, out);
    }
    return ADZE_OK;
}

/* Packed numbers; counting has checked that their bytes divide. Floats are little-endian in the file
 * as they are in tensors. */
static adze_status store_packed(const onnx_reader *r, const onnx_message *m, const onnx_field *f,
                                const record *rec, char *out)
{
    adze_cursor body = rec->body;
    if (f->kind == ONNX_F32 || f->kind == ONNX_F64) {
        if (adze_cursor_left(&body))
            memcpy(out, body.at, adze_cursor_left(&body));
        return ADZE_OK;
    }
    for (; adze_cursor_left(&body) && !body.failed; out += adze_onnx_item_size(f))
        store_varint(f->kind, adze_cursor_varint(&body), out);
    if (body.failed)
        return adze_onnx_bad(r, ADZE_BAD_FILE, body.at, m,
                             "field %u: expected a number of at most 64 bits, found more",
                             f->number);
    return ADZE_OK;
}

static adze_status fill_field(onnx_reader *r, const onnx_message *m, const onnx_field *f,
                              const record *rec, char *out)
{
    if (f->many == ONNX_ONE)
        return store_value(r, m, f, rec, out + f->at);
    char *items;
    int count; /* filled so far */
    size_t values;
    memcpy(&items, out + f->at, sizeof items);
    memcpy(&count, out + f->count_at, sizeof count);
    (void)count_values(f, rec, &values);
    char *next = items ? items + (size_t)count * adze_onnx_item_size(f) : NULL;
    count += (int)values;
    memcpy(out + f->count_at, &count, sizeof count);
    if (rec->wire == wire_of(f->kind))
        return store_value(r, m, f, rec, next);
    return store_packed(r, m, f, rec, next);
}

adze_status adze_onnx_read_fields(onnx_reader *r, const onnx_message *m, adze_cursor bytes,
                                  void *out, uint64_t *seen)
{
    size_t counts[ONNX_MAX_FIELDS] = {0};
    *seen = 0;
    if (r->depth >= DEEPEST)
        return adze_onnx_bad(r, ADZE_BAD_FILE, bytes.at, m,
                             "expected at most %d messages inside each other", DEEPEST);
    ADZE_TRY(count_fields(r, m, bytes, counts, seen));
    ADZE_TRY(make_room(r, m, counts, out));
    r->depth++;
    while (adze_cursor_left(&bytes)) {
        record rec;
        ADZE_TRY(next_record(r, m, &bytes, &rec));
        int at = find_field(m, rec.number);
        if (at >= 0)
            ADZE_TRY(fill_field(r, m, &m->fields[at], &rec, out));
    }
    r->depth--;
    return ADZE_OK;
}
