/* Writing GGUF: what we write is read back the same, and what others wrote is rewritten byte for byte. */
#include <stdio.h>
#include "formats/gguf.h"
#include "test.h"

/* ---- metadata ---- */

static const adze_string words[] = {{"plain", 5}, {"", 0}, {"nul\0inside", 10}, {"\xff\xfe\n", 3}};

static void fill_metadata(adze_gguf_meta *meta)
{
    static const float floats[] = {1.5f, -0.0f, INFINITY};
    static const int64_t longs[] = {INT64_MIN, 0, INT64_MAX};
    static const uint8_t bools[] = {1, 0};
    /* [["x"], [7, 8] as uint16, []] */
    static const char nested[] = "\10\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0x"
                                 "\2\0\0\0\2\0\0\0\0\0\0\0\7\0\10\0"
                                 "\11\0\0\0\0\0\0\0\0\0\0\0";
    CHECK(adze_gguf_set_int(meta, "u8", ADZE_GGUF_U8, 255));
    CHECK(adze_gguf_set_int(meta, "i8", ADZE_GGUF_I8, -128));
    CHECK(adze_gguf_set_int(meta, "u16", ADZE_GGUF_U16, 65535));
    CHECK(adze_gguf_set_int(meta, "i16", ADZE_GGUF_I16, -32768));
    CHECK(adze_gguf_set_int(meta, "u32", ADZE_GGUF_U32, UINT32_MAX));
    CHECK(adze_gguf_set_int(meta, "i32", ADZE_GGUF_I32, INT32_MIN));
    CHECK(adze_gguf_set_int(meta, "u64", ADZE_GGUF_U64, -1));
    CHECK(adze_gguf_set_int(meta, "i64", ADZE_GGUF_I64, INT64_MIN));
    CHECK(adze_gguf_set_float(meta, "f32", 0.1));
    CHECK(adze_gguf_copy_entry(
        meta, &(adze_gguf_entry){.key = "f64", .type = ADZE_GGUF_F64, .count = 1, .as.f = 0.1}));
    CHECK(adze_gguf_set_bool(meta, "yes", true));
    CHECK(adze_gguf_set_bool(meta, "no", false));
    CHECK(adze_gguf_set_string(meta, "text", words[2].data, words[2].length));
    CHECK(adze_gguf_set_string(meta, "empty", "", 0));
    CHECK(adze_gguf_set_strings(meta, "words", words, 4));
    CHECK(adze_gguf_set_strings(meta, "no words", NULL, 0));
    CHECK(adze_gguf_set_array(meta, "floats", ADZE_GGUF_F32, floats, 3));
    CHECK(adze_gguf_set_array(meta, "longs", ADZE_GGUF_I64, longs, 3));
    CHECK(adze_gguf_set_array(meta, "bools", ADZE_GGUF_BOOL, bools, 2));
    CHECK(adze_gguf_set_array(meta, "no doubles", ADZE_GGUF_F64, NULL, 0));
    CHECK(adze_gguf_copy_entry(meta, &(adze_gguf_entry){.key = "nested",
                                                        .type = ADZE_GGUF_ARRAY,
                                                        .element = ADZE_GGUF_ARRAY,
                                                        .count = 3,
                                                        .as.bytes = nested,
                                                        .byte_count = sizeof nested - 1}));
}

static void check_entry(const adze_gguf_entry *actual, const adze_gguf_entry *expected)
{
    CHECK_STR(actual->key, expected->key);
    CHECK_EQ(actual->type, expected->type);
    CHECK_EQ(actual->count, expected->count);
    if (expected->type == ADZE_GGUF_STRING) {
        CHECK_EQ(actual->as.s.length, expected->as.s.length);
        CHECK_BYTES(actual->as.s.data, expected->as.s.data, expected->as.s.length + 1);
    } else if (expected->type != ADZE_GGUF_ARRAY) {
        double exact = expected->as.f;
        if (expected->type == ADZE_GGUF_F32)
            exact = (double)(float)exact;
        if (expected->type == ADZE_GGUF_F32 || expected->type == ADZE_GGUF_F64)
            CHECK(actual->as.f == exact);
        else
            CHECK_EQ(actual->as.i, expected->as.i);
    } else if (expected->element == ADZE_GGUF_STRING) {
        for (int64_t i = 0; i < expected->count; i++) {
            CHECK_EQ(actual->as.strings[i].length, expected->as.strings[i].length);
            CHECK_BYTES(actual->as.strings[i].data, expected->as.strings[i].data,
                        expected->as.strings[i].length);
        }
    } else {
        CHECK_EQ(actual->element, expected->element);
        CHECK_EQ(actual->byte_count, expected->byte_count);
        CHECK_BYTES(actual->as.bytes, expected->as.bytes, expected->byte_count);
    }
}

static void check_same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t x_size, y_size;
    CHECK_OK(adze_file_read(&x, &x_size, a, 1 << 24, NULL), NULL);
    CHECK_OK(adze_file_read(&y, &y_size, b, 1 << 24, NULL), NULL);
    CHECK_EQ(x_size, y_size);
    CHECK_BYTES(x, y, x_size);
    adze_free(x);
    adze_free(y);
}

TEST(all_metadata_comes_back)
{
    adze_arena arena = {0};
    adze_gguf_meta meta, copy;
    adze_error err;
    adze_gguf *gguf;
    adze_gguf_meta_init(&meta, &arena);
    fill_metadata(&meta);
    CHECK_OK(adze_gguf_write(test_tmpfile("a.gguf"), &meta, NULL, NULL, 0, &err), &err);
    CHECK_OK(adze_gguf_open(&gguf, test_tmpfile("a.gguf"), &err), &err);
    CHECK_EQ(gguf->meta.count, meta.count);
    for (int i = 0; i < meta.count; i++) {
        check_entry(&gguf->meta.entries[i], &meta.entries[i]);
        CHECK(adze_gguf_find(&gguf->meta, meta.entries[i].key) == &gguf->meta.entries[i]);
    }
    adze_gguf_meta_init(&copy, &arena);
    for (int i = 0; i < meta.count; i++)
        CHECK(adze_gguf_copy_entry(&copy, &gguf->meta.entries[i]));
    adze_gguf_close(&gguf); /* a copy must not need its source */
    CHECK_OK(adze_gguf_write(test_tmpfile("b.gguf"), &copy, NULL, NULL, 0, &err), &err);
    check_same_file(test_tmpfile("a.gguf"), test_tmpfile("b.gguf"));
    adze_arena_free(&arena);
}

TEST(numbers_as_asked)
{
    adze_arena arena = {0};
    adze_gguf_meta meta;
    adze_gguf_meta_init(&meta, &arena);
    fill_metadata(&meta);
    CHECK_EQ(adze_gguf_int(&meta, "u8", 0), 255);
    CHECK_EQ(adze_gguf_int(&meta, "i16", 0), -32768);
    CHECK_EQ(adze_gguf_int(&meta, "u64", 0), INT64_MAX); /* does not fit */
    CHECK_EQ(adze_gguf_int(&meta, "yes", 0), 1);
    CHECK_EQ(adze_gguf_int(&meta, "f32", 5), 0);
    CHECK_EQ(adze_gguf_int(&meta, "text", 5), 5);
    CHECK_EQ(adze_gguf_int(&meta, "longs", 5), 5);
    CHECK_EQ(adze_gguf_int(&meta, "absent", 5), 5);
    CHECK_NEAR(adze_gguf_float(&meta, "u64", 0), 0x1p64, 0);
    CHECK_NEAR(adze_gguf_float(&meta, "i8", 0), -128, 0);
    CHECK_NEAR(adze_gguf_float(&meta, "absent", 2.5), 2.5, 0);
    CHECK(adze_gguf_bool(&meta, "yes", false));
    CHECK(!adze_gguf_bool(&meta, "no", true));
    CHECK(adze_gguf_bool(&meta, "i8", false));
    CHECK(adze_gguf_bool(&meta, "words", true));
    CHECK_STR(adze_gguf_string(&meta, "text", NULL), "nul");
    CHECK_STR(adze_gguf_string(&meta, "u8", "other"), "other");
    const adze_gguf_entry *longs = adze_gguf_find(&meta, "longs");
    CHECK_EQ(adze_gguf_int_at(longs, 0), INT64_MIN);
    CHECK_EQ(adze_gguf_int_at(longs, 2), INT64_MAX);
    CHECK_EQ(adze_gguf_int_at(longs, 3), 0);
    CHECK_EQ(adze_gguf_int_at(longs, -1), 0);
    const adze_gguf_entry *floats = adze_gguf_find(&meta, "floats");
    CHECK_NEAR(adze_gguf_float_at(floats, 0), 1.5, 0);
    CHECK_EQ(adze_gguf_int_at(floats, 2), INT64_MAX);
    CHECK_EQ(adze_gguf_int_at(adze_gguf_find(&meta, "bools"), 0), 1);
    CHECK_EQ(adze_gguf_int_at(adze_gguf_find(&meta, "u16"), 0), 65535);
    CHECK_EQ(adze_gguf_int_at(adze_gguf_find(&meta, "words"), 0), 0);
    CHECK_EQ(adze_gguf_int_at(adze_gguf_find(&meta, "nested"), 0), 0);
    CHECK(adze_gguf_set_float(&meta, "nan", NAN));
    CHECK_EQ(adze_gguf_int(&meta, "nan", 3), 3);
    adze_arena_free(&arena);
}

TEST(entries_are_replaced_in_place_and_removed)
{
    adze_arena arena = {0};
    adze_gguf_meta meta;
    char key[16];
    adze_gguf_meta_init(&meta, &arena);
    CHECK(!adze_gguf_find(&meta, "0"));
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "%d", i);
        CHECK(adze_gguf_set_int(&meta, key, ADZE_GGUF_I32, i));
    }
    CHECK(adze_gguf_set_string(&meta, "7", "seven", 5));
    CHECK_EQ(meta.count, 200);
    CHECK_STR(meta.entries[7].key, "7");
    CHECK_STR(adze_gguf_string(&meta, "7", NULL), "seven");
    for (int i = 0; i < 200; i += 2) {
        snprintf(key, sizeof key, "%d", i);
        adze_gguf_remove(&meta, key);
    }
    adze_gguf_remove(&meta, "absent");
    CHECK_EQ(meta.count, 100);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "%d", i);
        const adze_gguf_entry *entry = adze_gguf_find(&meta, key);
        CHECK_EQ(entry != NULL, i % 2);
        CHECK(!entry || entry == &meta.entries[i / 2]);
    }
    adze_arena_free(&arena);
}

/* ---- tensors ---- */

enum { MOST_PLANS = 80 };

typedef struct content {
    adze_arena arena;
    adze_gguf_meta meta;
    adze_gguf_plan plans[MOST_PLANS];
    const void *data[MOST_PLANS];
    int count;
} content;

static void add(content *c, const char *name, adze_dtype dtype, int rank, int64_t d0, int64_t d1,
                int64_t d2, int64_t d3)
{
    adze_gguf_plan *p = &c->plans[c->count];
    *p = (adze_gguf_plan){.name = name, .dtype = dtype, .rank = rank, .dims = {d0, d1, d2, d3}};
    size_t size = adze_dtype_bytes(dtype, adze_shape_elements(rank, p->dims));
    uint8_t *data = adze_arena_alloc(&c->arena, 1, size);
    test_random_bytes(data, size, (uint64_t)c->count + 1);
    c->data[c->count++] = data;
}

/* Every type there is, and shapes and names of all kinds. */
static void fill(content *c)
{
    *c = (content){.count = 0};
    adze_gguf_meta_init(&c->meta, &c->arena);
    CHECK(adze_gguf_set_string(&c->meta, "general.architecture", "llama", 5));
    for (int d = 0; d < ADZE_DTYPE_COUNT; d++) {
        const adze_dtype_info *info = adze_dtype_describe((adze_dtype)d);
        if (info->ggml >= 0)
            add(c, info->name, (adze_dtype)d, 2, 3, info->block_size * 2, 0, 0);
    }
    add(c, "scalar", ADZE_F32, 0, 0, 0, 0, 0);
    add(c, "one", ADZE_F16, 1, 7, 0, 0, 0);
    add(c, "four", ADZE_I8, 4, 2, 3, 5, 7);
    add(c, "no rows", ADZE_Q4_K, 2, 0, 256, 0, 0);
    add(c, "nothing", ADZE_F32, 1, 0, 0, 0, 0);
    add(c, "", ADZE_F32, 1, 1, 0, 0, 0);
    add(c, "\xe2\x82\xac \"quoted\" \\ /../ \x01\xff", ADZE_F32, 1, 1, 0, 0, 0);
    add(c, "012345678901234567890123456789012345678901234567890123456789012", ADZE_F32, 1, 1, 0, 0,
        0);
}

static void check_tensor(const adze_gguf *gguf, const adze_gguf_plan *plan, const void *data)
{
    const adze_gguf_tensor *t = adze_map_get(&gguf->by_name, plan->name);
    CHECK(t != NULL);
    CHECK_STR(t->name, plan->name);
    CHECK_EQ(t->tensor.dtype, plan->dtype);
    CHECK_EQ(t->tensor.rank, plan->rank ? plan->rank : 1);
    for (int i = 0; i < plan->rank; i++)
        CHECK_EQ(t->tensor.dims[i], plan->dims[i]);
    CHECK_EQ(t->tensor.size, plan->size);
    CHECK_EQ(t->tensor.owner, ADZE_BORROWED);
    CHECK_EQ((uintptr_t)t->tensor.data % (uintptr_t)ADZE_MIN(gguf->alignment, 64), 0);
    CHECK_BYTES(t->tensor.data, data, plan->size);
}

static void check_round_trip(content *c, const char *name)
{
    adze_error err;
    adze_gguf *gguf;
    char *header;
    size_t header_size;
    uint64_t total;
    const char *path = test_tmpfile(name);
    CHECK_OK(adze_gguf_write(path, &c->meta, c->plans, c->data, c->count, &err), &err);
    CHECK_OK(adze_gguf_layout(&header, &header_size, &total, &c->meta, c->plans, c->count, &err),
             &err);
    adze_free(header);
    CHECK_EQ(adze_file_size(path), (int64_t)total);
    CHECK_OK(adze_gguf_open(&gguf, path, &err), &err);
    CHECK_EQ(gguf->version, 3);
    CHECK_EQ(gguf->tensor_count, c->count);
    CHECK_EQ(header_size % (size_t)gguf->alignment, 0);
    for (int i = 0; i < c->count; i++) {
        CHECK_STR(gguf->tensors[i].name, c->plans[i].name);
        check_tensor(gguf, &c->plans[i], c->data[i]);
    }
    adze_gguf_close(&gguf);
}

TEST(all_tensors_come_back)
{
    content c;
    fill(&c);
    CHECK(c.count > 40);
    check_round_trip(&c, "a.gguf");
    check_round_trip(&c, "b.gguf");
    check_same_file(test_tmpfile("a.gguf"), test_tmpfile("b.gguf"));
    CHECK(adze_gguf_set_int(&c.meta, "general.alignment", ADZE_GGUF_U32, 1));
    check_round_trip(&c, "packed.gguf");
    CHECK(adze_gguf_set_int(&c.meta, "general.alignment", ADZE_GGUF_U32, 4096));
    check_round_trip(&c, "pages.gguf");
    CHECK(adze_file_size(test_tmpfile("pages.gguf")) > adze_file_size(test_tmpfile("packed.gguf")));
    adze_arena_free(&c.arena);
}

TEST(the_writer_refuses)
{
    content c;
    adze_error err;
    static const struct {
        adze_gguf_plan plan;
        adze_status status;
        const char *words;
    } cases[] = {
        {{"a0123456789012345678901234567890123456789012345678901234567890123",
          ADZE_F32,
          1,
          {1},
          0,
          0},
         ADZE_UNSUPPORTED,
         "at most 63 bytes"},
        {{"w", ADZE_U8, 1, {1}, 0, 0}, ADZE_UNSUPPORTED, "GGUF has no type uint8"},
        {{"w", ADZE_F32, 5, {1, 1, 1, 1}, 0, 0}, ADZE_UNSUPPORTED, "4 axes, found 5"},
        {{"w", ADZE_Q8_0, 2, {32, 33}, 0, 0}, ADZE_BAD_ARGUMENT, "rows of 33 elements"},
        {{"w", ADZE_F32, 1, {-1}, 0, 0}, ADZE_BAD_ARGUMENT, "tensor 'w'"},
        {{"w", ADZE_F32, 2, {INT64_MAX, 4}, 0, 0}, ADZE_BAD_ARGUMENT, "tensor 'w'"},
        {{"one", ADZE_F32, 1, {1}, 0, 0}, ADZE_BAD_ARGUMENT, "'one' is to be written twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(&c);
        c.plans[c.count++] = cases[i].plan;
        CHECK_FAILS(
            adze_gguf_write(test_tmpfile("no.gguf"), &c.meta, c.plans, c.data, c.count, &err),
            cases[i].status, &err);
        CHECK(strstr(err.message, cases[i].words) != NULL);
        CHECK(!adze_file_exists(test_tmpfile("no.gguf")));
        adze_arena_free(&c.arena);
    }
    fill(&c);
    CHECK(adze_gguf_set_int(&c.meta, "general.alignment", ADZE_GGUF_U32, 48));
    CHECK_FAILS(adze_gguf_write(test_tmpfile("no.gguf"), &c.meta, c.plans, c.data, c.count, &err),
                ADZE_BAD_ARGUMENT, &err);
    adze_gguf_remove(&c.meta, "general.alignment");
    CHECK_FAILS(
        adze_gguf_write(test_tmpfile("none/no.gguf"), &c.meta, c.plans, c.data, c.count, &err),
        ADZE_NOT_FOUND, &err);
    adze_arena_free(&c.arena);
}

/* ---- split files ---- */

/* Shard `no` of `count`, with one tensor. */
static const char *write_shard(const char *stem, int no, int count, int64_t tensors,
                               const char *tensor)
{
    adze_arena arena = {0};
    adze_gguf_meta meta;
    adze_error err;
    char name[80];
    float value = (float)no;
    const void *data = &value;
    adze_gguf_plan plan = {.name = tensor, .dtype = ADZE_F32, .rank = 1, .dims = {1}};
    adze_gguf_meta_init(&meta, &arena);
    if (no == 0)
        CHECK(adze_gguf_set_string(&meta, "general.name", "whole", 5));
    CHECK(adze_gguf_set_int(&meta, "split.no", ADZE_GGUF_U16, no));
    CHECK(adze_gguf_set_int(&meta, "split.count", ADZE_GGUF_U16, count));
    CHECK(adze_gguf_set_int(&meta, "split.tensors.count", ADZE_GGUF_I32, tensors));
    snprintf(name, sizeof name, "%s-%05d-of-%05d.gguf", stem, no + 1, count);
    const char *path = test_tmpfile(name);
    CHECK_OK(adze_gguf_write(path, &meta, &plan, &data, tensor ? 1 : 0, &err), &err);
    adze_arena_free(&arena);
    return path;
}

TEST(any_shard_opens_all)
{
    const char *paths[3];
    static const char *const names[] = {NULL, "b", "a"};
    for (int i = 0; i < 3; i++)
        paths[i] = write_shard("m", i, 3, 2, names[i]);
    for (int i = 0; i < 3; i++) {
        adze_gguf *gguf;
        adze_error err;
        CHECK_OK(adze_gguf_open(&gguf, paths[i], &err), &err);
        CHECK_STR(gguf->path, paths[i]);
        CHECK_EQ(gguf->mapping_count, 3);
        CHECK_EQ(gguf->tensor_count, 2);
        CHECK_STR(gguf->tensors[0].name, "b");
        CHECK_STR(gguf->tensors[1].name, "a");
        CHECK_NEAR(*(const float *)gguf->tensors[1].tensor.data, 2, 0);
        CHECK_STR(adze_mapping_path(gguf->tensors[1].mapping), paths[2]);
        CHECK_EQ(gguf->meta.count, 1);
        CHECK_STR(adze_gguf_string(&gguf->meta, "general.name", NULL), "whole");
        CHECK_EQ(gguf->file_size, adze_file_size(paths[0]) + 2 * adze_file_size(paths[1]));
        adze_gguf_close(&gguf);
    }
}

static void refuse_shard(const char *path, adze_status status, const char *expected)
{
    adze_gguf *gguf = NULL;
    adze_error err;
    if (adze_gguf_open(&gguf, path, &err) != status)
        FAIL("%s: expected %s, got %s", path, adze_status_name(status), gguf ? "ok" : err.message);
    CHECK(!gguf);
    if (!strstr(err.message, expected))
        FAIL("expected '%s' in: %s", expected, err.message);
}

TEST(shards_that_do_not_fit)
{
    const char *first = write_shard("gone", 0, 4, 4, "a");
    write_shard("gone", 2, 4, 4, "c");
    refuse_shard(first, ADZE_NOT_FOUND,
                 "gone-00002-of-00004.gguf: shard 2 of 4 is missing (and 1 more)");
    first = write_shard("twice", 0, 2, 2, "a");
    write_shard("twice", 1, 2, 2, "a");
    refuse_shard(first, ADZE_BAD_FILE, "the tensor 'a' occurs twice, also in ");
    first = write_shard("less", 0, 2, 3, "a");
    write_shard("less", 1, 2, 3, "b");
    refuse_shard(first, ADZE_BAD_FILE, "expected 3 tensors in 2 shards");
    first = write_shard("other", 0, 2, 2, "a");
    CHECK_EQ(rename(write_shard("other", 0, 3, 2, "b"), test_tmpfile("other-00002-of-00002.gguf")),
             0);
    refuse_shard(first, ADZE_BAD_FILE,
                 "expected shard 2 of 2 (split.no, split.count), found 1 of 3");
    CHECK_EQ(rename(first, test_tmpfile("renamed.gguf")), 0);
    refuse_shard(test_tmpfile("renamed.gguf"), ADZE_BAD_FILE, "rename it");
    refuse_shard(write_shard("past", 3, 2, 2, "a"), ADZE_BAD_FILE, "shard 4 of 2");
    refuse_shard(write_shard("none", 0, 0, 2, "a"), ADZE_BAD_FILE, "shard 1 of 0");
    adze_gguf *gguf; /* one shard is a whole file, whatever its name */
    CHECK_EQ(rename(write_shard("single", 0, 1, 1, "a"), test_tmpfile("alone.gguf")), 0);
    CHECK_OK(adze_gguf_open(&gguf, test_tmpfile("alone.gguf"), NULL), NULL);
    CHECK_EQ(gguf->meta.count, 1);
    adze_gguf_close(&gguf);
}

/* ---- large vocabularies, files of others ---- */

TEST(strings_of_arrays_are_not_copied)
{
    enum { COUNT = 250000 };
    adze_arena arena = {0};
    adze_gguf_meta meta;
    adze_gguf *gguf;
    adze_error err;
    adze_string *tokens = ADZE_ARENA_ARRAY(&arena, adze_string, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char *text = adze_arena_printf(&arena, "token %d", i);
        tokens[i] = (adze_string){text, strlen(text)};
    }
    adze_gguf_meta_init(&meta, &arena);
    CHECK(adze_gguf_set_strings(&meta, "tokenizer.ggml.tokens", tokens, COUNT));
    CHECK_OK(adze_gguf_write(test_tmpfile("v.gguf"), &meta, NULL, NULL, 0, &err), &err);
    CHECK_OK(adze_gguf_open(&gguf, test_tmpfile("v.gguf"), &err), &err);
    const adze_gguf_entry *entry = adze_gguf_find(&gguf->meta, "tokenizer.ggml.tokens");
    CHECK_EQ(entry->count, COUNT);
    const char *begin = (const char *)adze_mapping_bytes(gguf->mappings[0]);
    for (int i = 0; i < COUNT; i += 999) {
        const adze_string *s = &entry->as.strings[i];
        CHECK(s->data > begin && s->data < begin + gguf->file_size);
        CHECK_EQ(s->length, tokens[i].length);
        CHECK_BYTES(s->data, tokens[i].data, s->length);
    }
    CHECK(gguf->arena.used < COUNT * sizeof(adze_string) + 10000);
    adze_gguf_close(&gguf);
    adze_arena_free(&arena);
}

/* A file that another program wrote is rewritten byte for byte. */
TEST(a_model_of_llama_cpp_comes_back)
{
    const char *path = test_need_data("llm/stories260K-q8_0.gguf");
    adze_gguf *gguf;
    adze_error err;
    static adze_gguf_plan plans[100];
    static const void *data[100];
    CHECK_OK(adze_gguf_open(&gguf, path, &err), &err);
    CHECK(gguf->tensor_count > 40 && gguf->tensor_count <= 100);
    for (int i = 0; i < gguf->tensor_count; i++) {
        const adze_tensor *t = &gguf->tensors[i].tensor;
        plans[i] = (adze_gguf_plan){gguf->tensors[i].name, t->dtype, t->rank, {0}, 0, 0};
        memcpy(plans[i].dims, t->dims, sizeof plans[i].dims);
        data[i] = t->data;
    }
    const char *copy = test_tmpfile("copy.gguf");
    CHECK_OK(adze_gguf_write(copy, &gguf->meta, plans, data, gguf->tensor_count, &err), &err);
    check_same_file(copy, path);
    adze_gguf_close(&gguf);
}
