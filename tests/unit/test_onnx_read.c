/* The reader against bytes made by hand: every way to spell the same thing, and what must be refused. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/onnx.h"
#include "test.h"

/* --- making protobuf ------------------------------------------------------------------------- */

static void varint(adze_text *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        adze_text_add(out, &(char){(char)(value | 0x80)}, 1);
    adze_text_add(out, &(char){(char)value}, 1);
}

static void put_number(adze_text *out, unsigned field, int64_t value)
{
    varint(out, field << 3);
    varint(out, (uint64_t)value);
}

static void put_bytes(adze_text *out, unsigned field, const void *bytes, size_t size)
{
    varint(out, field << 3 | 2);
    varint(out, size);
    adze_text_add(out, bytes, size);
}

static void put_string(adze_text *out, unsigned field, const char *string)
{
    put_bytes(out, field, string, strlen(string));
}

static void put_message(adze_text *out, unsigned field, adze_text *message) /* and frees it */
{
    put_bytes(out, field, adze_text_get(message), message->length);
    adze_text_free(message);
}

static void put_entry(adze_text *out, unsigned field, const char *key, const char *value)
{
    adze_text entry = {0};
    put_string(&entry, 1, key);
    put_string(&entry, 2, value);
    put_message(out, field, &entry);
}

/* A model whose graph has the given fields; both are freed. */
static adze_text model_of(adze_text *graph)
{
    adze_text model = {0};
    put_number(&model, 1, 8);
    put_message(&model, 7, graph);
    return model;
}

/* --- reading it ------------------------------------------------------------------------------ */

typedef struct reading {
    adze_arena arena;
    adze_error err;
    adze_onnx_model *model;
    adze_onnx_tensor tensor;
} reading;

static void end(reading *r)
{
    adze_onnx_close(r->model);
    adze_arena_free(&r->arena);
    *r = (reading){0};
}

static adze_status read_graph(reading *r, adze_text *graph)
{
    *r = (reading){0};
    adze_text model = model_of(graph);
    char *copy = adze_arena_memdup(&r->arena, adze_text_get(&model), model.length);
    adze_status status = adze_onnx_parse(&r->model, copy, model.length, NULL, &r->arena, &r->err);
    adze_text_free(&model);
    return status;
}

static adze_status read_tensor(reading *r, adze_text *bytes)
{
    *r = (reading){0};
    char *copy = adze_arena_memdup(&r->arena, adze_text_get(bytes), bytes->length);
    adze_status status =
        adze_onnx_parse_tensor(&r->tensor, copy, bytes->length, &r->arena, &r->err);
    adze_text_free(bytes);
    return status;
}

static void check_refused(reading *r, adze_status status, const char *part)
{
    CHECK_FAILS(status, ADZE_BAD_FILE, &r->err);
    if (!strstr(r->err.message, part))
        FAIL("expected '%s' in: %s", part, r->err.message);
    end(r);
}

static adze_text tensor_of(int type, const char *name)
{
    adze_text t = {0};
    put_number(&t, 2, type);
    put_string(&t, 8, name);
    return t;
}

/* --- wire format ----------------------------------------------------------------------------- */

TEST(unknown_fields_are_skipped)
{
    adze_text t = tensor_of(7, "t");
    reading r;
    put_number(&t, 1000, 5);
    put_string(&t, 1001, "later");
    adze_text_add(&t,
                  "\xd1\x3e"
                  "12345678",
                  10); /* field 1002, 64 bits */
    adze_text_add(&t,
                  "\xdd\x3e"
                  "1234",
                  6); /* field 1003, 32 bits */
    put_number(&t, 7, -3);
    CHECK_OK(read_tensor(&r, &t), &r.err);
    CHECK_EQ(*(const int64_t *)(const void *)r.tensor.data, -3);
    end(&r);
}

TEST(last_scalar_wins)
{
    adze_text graph = {0};
    reading r;
    put_string(&graph, 2, "first");
    put_string(&graph, 2, "last");
    CHECK_OK(read_graph(&r, &graph), &r.err);
    CHECK_STR(r.model->graph.name, "last");
    CHECK_STR(r.model->producer_name, "");
    CHECK_EQ(r.model->ir_version, 8);
    end(&r);
}

TEST(numbers_packed_and_unpacked_mix)
{
    adze_text t = tensor_of(7, "t");
    reading r;
    put_number(&t, 1, 2);
    put_bytes(&t, 1, "\x01\x02", 2);
    put_bytes(&t, 1, "", 0);
    put_number(&t, 7, 300);
    put_bytes(&t, 7, "\x01\x80\x01\x03", 4);
    static const int64_t dims[] = {2, 1, 2}, expected[] = {300, 1, 128, 3};
    CHECK_OK(read_tensor(&r, &t), &r.err);
    CHECK_EQ(r.tensor.rank, 3);
    CHECK_BYTES(r.tensor.dims, dims, sizeof dims);
    CHECK_EQ(r.tensor.size, sizeof expected);
    CHECK_BYTES(r.tensor.data, expected, sizeof expected);
    end(&r);
}

TEST(broken_wire_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *message;
    } cases[] = {
        {"", 0, "no graph"},
        {"hello, world", 12, "byte 2: ModelProto: field 13"},
        {"\x0b", 1, "expected wire type 0, 1, 2 or 5, found 3"},
        {"\x00\x00", 2, "expected a field"},
        {"\x08", 1, "expected to end inside its message"},
        {"\x3a\x05\x0a", 3, "field 7: expected to end inside"},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "expected to end inside"},
        {"\x38\x05", 2, "field 7: expected values of wire type 2, found wire type 0"},
        {"\x0a\x01\x01", 3, "field 1: expected values of wire type 0, found wire type 2"},
        {"\x3a\x00\x3a\x00", 4, "field 7: expected it once"},
        {"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "byte 0: ModelProto: field 7"},
        {"\x3a\x04\x12\x02\xc0\x80", 6, "byte 4: GraphProto: field 2: expected a name in UTF-8"},
        {"\x3a\x05\x12\x03"
         "a\0b",
         7, "byte 5: GraphProto: field 2"},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        reading r = {0};
        check_refused(
            &r, adze_onnx_parse(&r.model, cases[i].bytes, cases[i].size, NULL, &r.arena, &r.err),
            cases[i].message);
    }
}

TEST(documentation_need_not_be_utf8)
{
    adze_text graph = {0};
    reading r;
    put_bytes(&graph, 10, "a\xff\0b\xc3\xbc\xe2\x82", 8);
    CHECK_OK(read_graph(&r, &graph), &r.err);
    CHECK_STR(r.model->graph.doc, "a??b\xc3\xbc??");
    end(&r);
}

/* Graphs in attributes of nodes of graphs. */
static adze_status read_nested(reading *r, int depth)
{
    adze_text graph = {0};
    for (int i = 0; i < depth; i++) {
        adze_text attr = {0}, node = {0};
        put_string(&attr, 1, "body");
        put_message(&attr, 6, &graph);
        put_number(&attr, 20, 5);
        put_message(&node, 5, &attr);
        graph = (adze_text){0};
        put_message(&graph, 1, &node);
    }
    return read_graph(r, &graph);
}

TEST(nesting_has_a_limit)
{
    reading r;
    CHECK_OK(read_nested(&r, 60), &r.err);
    end(&r);
    check_refused(&r, read_nested(&r, 64), "messages inside each other");
    check_refused(&r, read_nested(&r, 2000), "messages inside each other");
}

/* --- tensors --------------------------------------------------------------------------------- */

/* int32_data carries all narrow types: as many entries as bytes, or as elements. */
TEST(narrow_types_in_int32_data)
{
    static const struct {
        int type;
        int64_t elements, entries[4];
        int entry_count;
        const char *bytes;
        size_t size;
    } cases[] = {
        {2, 2, {0, 255}, 2, "\x00\xff", 2},                  /* uint8 */
        {3, 2, {-1, -128}, 2, "\xff\x80", 2},                /* int8 */
        {4, 2, {65535, 1}, 2, "\xff\xff\x01\x00", 4},        /* uint16 */
        {5, 1, {-2}, 1, "\xfe\xff", 2},                      /* int16 */
        {6, 1, {-2}, 1, "\xfe\xff\xff\xff", 4},              /* int32 */
        {9, 3, {0, 1, 256}, 3, "\x00\x01\x01", 3},           /* bool */
        {10, 2, {0x3c00, 0xfc00}, 2, "\x00\x3c\x00\xfc", 4}, /* float16 */
        {16, 1, {0x3f80}, 1, "\x80\x3f", 2},                 /* bfloat16 */
        {17, 2, {0x38, 0xff}, 2, "\x38\xff", 2},             /* float8e4m3fn */
        {21, 3, {0x21, 0x03}, 2, "\x21\x03", 2},             /* uint4 */
        {22, 4, {0xf8, -1}, 2, "\xf8\xff", 2},               /* int4 */
        {23, 1, {0x07}, 1, "\x07", 1},                       /* float4e2m1 */
        {24, 1, {0x7f}, 1, "\x7f", 1},                       /* float8e8m0 */
        {25, 5, {0xe4, 0x03}, 2, "\xe4\x03", 2},             /* uint2 */
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        adze_text t = tensor_of(cases[i].type, "t"), raw = tensor_of(cases[i].type, "raw");
        reading r;
        put_number(&t, 1, cases[i].elements);
        put_number(&raw, 1, cases[i].elements);
        for (int k = 0; k < cases[i].entry_count; k++)
            put_number(&t, 5, cases[i].entries[k]);
        put_bytes(&raw, 9, cases[i].bytes, cases[i].size);
        CHECK_OK(read_tensor(&r, &t), &r.err);
        CHECK_EQ(r.tensor.size, cases[i].size);
        CHECK_BYTES(r.tensor.data, cases[i].bytes, cases[i].size);
        end(&r);
        CHECK_OK(read_tensor(&r, &raw), &r.err);
        CHECK_EQ(r.tensor.size, cases[i].size);
        CHECK_BYTES(r.tensor.data, cases[i].bytes, cases[i].size);
        end(&r);
    }
}

TEST(wide_types_in_their_fields)
{
    static const float floats[] = {1.5f, -2};
    static const double doubles[] = {0.1, -2};
    static const uint32_t u32[] = {1, UINT32_MAX};
    static const uint64_t u64[] = {1, UINT64_MAX};
    static const struct {
        int type, elements;
        unsigned field;
        const void *packed;
        size_t packed_size;
        const void *bytes;
        size_t size;
    } cases[] = {
        {1, 2, 4, floats, 8, floats, 8},
        {14, 1, 4, floats, 8, floats, 8}, /* complex64 */
        {11, 2, 10, doubles, 16, doubles, 16},
        {15, 1, 10, doubles, 16, doubles, 16}, /* complex128 */
        {12, 2, 11, "\x01\xff\xff\xff\xff\x0f", 6, u32, 8},
        {13, 2, 11, "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, u64, 16},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        adze_text t = tensor_of(cases[i].type, "t");
        reading r;
        put_number(&t, 1, cases[i].elements);
        put_bytes(&t, cases[i].field, cases[i].packed, cases[i].packed_size);
        CHECK_OK(read_tensor(&r, &t), &r.err);
        CHECK_EQ(r.tensor.size, cases[i].size);
        CHECK_BYTES(r.tensor.data, cases[i].bytes, cases[i].size);
        end(&r);
    }
}

TEST(strings_keep_their_bytes)
{
    adze_text t = tensor_of(8, "t");
    reading r;
    put_number(&t, 1, 2);
    put_bytes(&t, 6, "a\0\xff", 3);
    put_string(&t, 6, "");
    CHECK_OK(read_tensor(&r, &t), &r.err);
    const adze_string *strings = (const adze_string *)(const void *)r.tensor.data;
    CHECK_EQ(r.tensor.size, 2 * sizeof *strings);
    CHECK_EQ(strings[0].length, 3);
    CHECK_BYTES(strings[0].data, "a\0\xff\0", 4);
    CHECK_EQ(strings[1].length, 0);
    CHECK_STR(strings[1].data, "");
    end(&r);
}

TEST(raw_data_is_in_place_when_aligned)
{
    static const char raw[16] = "0123456789abcdef";
    for (size_t shift = 0; shift < 8; shift++) {
        adze_text t = {0};
        adze_arena arena = {0};
        adze_error err = {0};
        adze_onnx_tensor tensor;
        put_number(&t, 1, 2);
        put_number(&t, 2, 7);
        put_bytes(&t, 9, raw, sizeof raw);
        char *bytes = adze_arena_alloc(&arena, 128, 1);
        memcpy(bytes + shift, adze_text_get(&t), t.length);
        CHECK_OK(adze_onnx_parse_tensor(&tensor, bytes + shift, t.length, &arena, &err), &err);
        size_t at = shift + t.length - sizeof raw;
        CHECK_EQ(tensor.data == (uint8_t *)bytes + at, at % 8 == 0);
        CHECK_EQ((uintptr_t)tensor.data % 8, 0);
        CHECK_BYTES(tensor.data, raw, sizeof raw);
        adze_text_free(&t);
        adze_arena_free(&arena);
    }
}

static void check_tensor_refused(int type, int64_t a, int64_t b, size_t raw, const char *part)
{
    static const char zeros[64];
    adze_text t = tensor_of(type, "weights");
    reading r;
    put_number(&t, 1, a);
    put_number(&t, 1, b);
    if (raw)
        put_bytes(&t, 9, zeros, raw);
    check_refused(&r, read_tensor(&r, &t), part);
}

TEST(tensors_of_the_wrong_size)
{
    check_tensor_refused(1, 2, 2, 15, "expected 16 bytes in raw_data, found 15");
    check_tensor_refused(1, 2, 2, 17, "tensor 'weights' of type float32 (1)");
    check_tensor_refused(22, 1, 3, 1, "expected 2 bytes in raw_data, found 1");
    check_tensor_refused(1, 2, 2, 0, "expected 4 entries in float_data, found 0");
    check_tensor_refused(1, 2, 0, 4, "expected 0 bytes in raw_data, found 4");
    check_tensor_refused(1, -1, -4, 16, "dimensions whose product");
    check_tensor_refused(1, INT64_MAX, 2, 16, "dimensions whose product");
    check_tensor_refused(11, INT64_C(1) << 61, 1, 16, "dimensions whose product");
    check_tensor_refused(8, 1, 2, 32, "elements in string_data");
}

TEST(tensors_with_two_sources)
{
    adze_text t = tensor_of(7, "t"), wrong = tensor_of(1, "t");
    reading r;
    put_number(&t, 7, 1);
    put_bytes(&t, 9, "12345678", 8);
    check_refused(&r, read_tensor(&r, &t), "in one place");
    put_number(&wrong, 7, 1);
    check_refused(&r, read_tensor(&r, &wrong), "expected 1 entries in float_data, found 0");
}

/* --- attributes and types -------------------------------------------------------------------- */

static adze_status read_attr(reading *r, adze_text *attr)
{
    adze_text graph = {0}, node = {0};
    put_message(&node, 5, attr);
    put_message(&graph, 1, &node);
    return read_graph(r, &graph);
}

TEST(attribute_type_follows_from_its_field)
{
    adze_text attr = {0};
    reading r;
    put_string(&attr, 1, "pads");
    put_number(&attr, 8, 1);
    put_number(&attr, 8, 2);
    CHECK_OK(read_attr(&r, &attr), &r.err);
    const adze_onnx_attr *a = r.model->graph.nodes[0].attrs;
    CHECK_EQ(a->type, ADZE_ONNX_ATTR_INTS);
    CHECK_EQ(a->count, 2);
    CHECK_EQ(a->ints[1], 2);
    CHECK_STR(a->ref_name, "");
    end(&r);
}

TEST(attributes_without_their_value)
{
    adze_text attr = {0}, other = {0};
    reading r;
    put_string(&attr, 1, "body");
    put_number(&attr, 20, 5);
    check_refused(&r, read_attr(&r, &attr), "attribute 'body': expected a value of type 5");
    put_string(&other, 1, "later");
    put_number(&other, 20, 15);
    check_refused(&r, read_attr(&r, &other), "expected a type of 0 to 14, found 15");
}

TEST(values_without_a_type)
{
    adze_text graph = {0}, value = {0};
    reading r;
    put_string(&value, 1, "x");
    put_message(&graph, 11, &value);
    CHECK_OK(read_graph(&r, &graph), &r.err);
    CHECK_EQ(r.model->graph.inputs[0].type.kind, ADZE_ONNX_NO_TYPE);
    CHECK_EQ(r.model->graph.inputs[0].type.rank, -1);
    end(&r);
}

/* --- external data --------------------------------------------------------------------------- */

/* <tmpdir>/m/model.onnx whose one tensor, 4 floats, lies elsewhere. */
static adze_status read_external(reading *r, const char *location, const char *offset,
                                 const char *length)
{
    adze_text t = tensor_of(1, "weights"), graph = {0};
    *r = (reading){0};
    put_number(&t, 1, 4);
    put_number(&t, 14, 1);
    put_entry(&t, 13, "location", location);
    if (offset)
        put_entry(&t, 13, "offset", offset);
    if (length)
        put_entry(&t, 13, "length", length);
    put_message(&graph, 5, &t);
    adze_text model = model_of(&graph);
    CHECK_OK(adze_folder_make(test_tmpfile("m/sub"), &r->err), &r->err);
    CHECK_OK(
        adze_file_write(test_tmpfile("m/model.onnx"), adze_text_get(&model), model.length, &r->err),
        &r->err);
    adze_text_free(&model);
    return adze_onnx_read(&r->model, test_tmpfile("m/model.onnx"), &r->arena, &r->err);
}

static void write_weights(const char *name)
{
    static const float weights[] = {0, 1, 2, 3, 4, 5};
    CHECK_OK(adze_folder_make(test_tmpfile("m/sub"), NULL), NULL);
    CHECK_OK(adze_file_write(test_tmpfile(name), weights, sizeof weights, NULL), NULL);
}

static void check_external(const char *location, const char *offset, float first)
{
    reading r;
    CHECK_OK(read_external(&r, location, offset, "16"), &r.err);
    const adze_onnx_tensor *t = r.model->graph.initializers;
    CHECK(t->external);
    CHECK_EQ(t->size, 16);
    CHECK_EQ(r.model->mapping_count, 2);
    CHECK_NEAR(*(const float *)(const void *)t->data, first, 0);
    end(&r);
    CHECK_OK(read_external(&r, location, offset, NULL), &r.err);
    end(&r);
}

TEST(external_data_below_the_folder)
{
    write_weights("m/w");
    write_weights("m/sub/w");
    write_weights("m/..w");
    check_external("w", NULL, 0);
    check_external("w", "8", 2);
    check_external("./w", "4", 1);
    check_external("sub/w", "0", 0);
    check_external("..w", NULL, 0);
}

TEST(external_data_outside_the_folder)
{
    reading r;
    write_weights("m/w");
    write_weights("w");
    CHECK_EQ(symlink("../w", test_tmpfile("m/link")), 0);
    CHECK_EQ(symlink("..", test_tmpfile("m/up")), 0);
    CHECK_EQ(mkfifo(test_tmpfile("m/fifo"), 0600), 0);
    check_refused(&r, read_external(&r, "../w", NULL, NULL), "without '..' and not absolute");
    check_refused(&r, read_external(&r, "sub/../../w", NULL, NULL), "without '..'");
    check_refused(&r, read_external(&r, "sub/..", NULL, NULL), "without '..'");
    check_refused(&r, read_external(&r, test_tmpfile("m/w"), NULL, NULL), "not absolute");
    check_refused(&r, read_external(&r, "", NULL, NULL), "expected a path");
    check_refused(&r, read_external(&r, "link", NULL, NULL), "a link that leaves it");
    check_refused(&r, read_external(&r, "up/w", NULL, NULL), "a link that leaves it");
    check_refused(&r, read_external(&r, "sub", NULL, NULL), "a regular file");
    check_refused(&r, read_external(&r, "fifo", NULL, NULL), "a regular file");
    CHECK_FAILS(read_external(&r, "none", NULL, NULL), ADZE_NOT_FOUND, &r.err);
    end(&r);
}

TEST(external_data_past_the_end)
{
    reading r;
    write_weights("m/w");
    check_refused(&r, read_external(&r, "w", "12", "16"), "expected 16 bytes of external data");
    check_refused(&r, read_external(&r, "w", "9223372036854775807", NULL), "and offset");
    check_refused(&r, read_external(&r, "w", "0", "12"), "a length of 12");
    check_refused(&r, read_external(&r, "w", "-4", NULL), "decimal 'offset'");
    check_refused(&r, read_external(&r, "w", "1e3", NULL), "decimal 'offset'");
    check_refused(&r, read_external(&r, "w", "99999999999999999999", NULL), "decimal 'offset'");
}

/* A download cache: the model and its data are links into one folder of blobs. */
TEST(external_data_beside_a_linked_model)
{
    reading r;
    write_weights("m/blob");
    CHECK_OK(read_external(&r, "w", NULL, NULL) == ADZE_NOT_FOUND ? ADZE_OK : ADZE_INTERNAL, NULL);
    end(&r);
    CHECK_OK(adze_folder_make(test_tmpfile("snapshot"), NULL), NULL);
    CHECK_EQ(symlink("../m/model.onnx", test_tmpfile("snapshot/model.onnx")), 0);
    CHECK_EQ(symlink("../m/blob", test_tmpfile("snapshot/w")), 0);
    CHECK_OK(adze_onnx_read(&r.model, test_tmpfile("snapshot/model.onnx"), &r.arena, &r.err),
             &r.err);
    CHECK_EQ(r.model->graph.initializers[0].size, 16);
    end(&r);
}

TEST(external_data_need_a_folder)
{
    adze_text t = tensor_of(1, "t");
    reading r;
    put_number(&t, 14, 1);
    put_entry(&t, 13, "location", "w");
    check_refused(&r, read_tensor(&r, &t), "not read from a folder");
}

/* --- values of test data --------------------------------------------------------------------- */

TEST(sequences_and_optionals)
{
    adze_text t = tensor_of(6, "t"), sequence = {0}, outer = {0}, optional = {0};
    adze_arena arena = {0};
    adze_error err = {0};
    adze_onnx_sequence s;
    put_number(&t, 5, 42);
    put_number(&sequence, 2, 1);
    put_bytes(&sequence, 3, adze_text_get(&t), t.length);
    put_message(&sequence, 3, &t);
    put_number(&outer, 2, 3);
    put_message(&outer, 5, &sequence);
    CHECK_OK(adze_onnx_parse_sequence(&s, outer.data, outer.length, &arena, &err), &err);
    CHECK_EQ(s.elem_type, 3);
    CHECK_EQ(s.count, 1);
    CHECK_EQ(s.sequences[0].count, 2);
    CHECK_EQ(*(const int32_t *)(const void *)s.sequences[0].tensors[1].data, 42);
    put_number(&optional, 2, 3);
    CHECK_OK(adze_onnx_parse_optional(&s, optional.data, optional.length, &arena, &err), &err);
    CHECK_EQ(s.elem_type, 3);
    CHECK_EQ(s.count, 0);
    put_message(&optional, 5, &outer);
    CHECK_OK(adze_onnx_parse_optional(&s, optional.data, optional.length, &arena, &err), &err);
    CHECK_EQ(s.sequences[0].sequences[0].count, 2);
    adze_text_puts(&optional, "\x32"); /* a map value */
    adze_text_add(&optional, "\0", 1);
    CHECK_FAILS(adze_onnx_parse_optional(&s, optional.data, optional.length, &arena, &err),
                ADZE_UNSUPPORTED, &err);
    adze_text_free(&optional);
    adze_arena_free(&arena);
}
