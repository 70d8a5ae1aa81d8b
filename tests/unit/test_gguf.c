/* Reading GGUF: what is well made opens, what is malformed gives one error. Files are made by hand, byte
 * by byte; test_gguf_write.c has those that we write. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "formats/gguf.h"
#include "test.h"

/* ---- files made by hand ---- */

typedef struct bytes {
    uint8_t data[4096];
    size_t size;
} bytes;

static void put(bytes *b, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        b->data[b->size++] = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
}

static void put_text(bytes *b, const char *text)
{
    put(b, strlen(text), 8);
    memcpy(b->data + b->size, text, strlen(text));
    b->size += strlen(text);
}

static void put_head(bytes *b, uint32_t version, uint64_t tensors, uint64_t entries)
{
    b->size = 0;
    memset(b->data, 0, sizeof b->data);
    memcpy(b->data, "GGUF", 4);
    b->size = 4;
    put(b, version, 4);
    put(b, tensors, 8);
    put(b, entries, 8);
}

static void put_number(bytes *b, const char *key, adze_gguf_type type, uint64_t value, size_t size)
{
    put_text(b, key);
    put(b, type, 4);
    put(b, value, size);
}

/* A float32 vector of n elements. */
static void put_vector(bytes *b, const char *name, uint64_t n, uint64_t offset)
{
    put_text(b, name);
    put(b, 1, 4);
    put(b, n, 8);
    put(b, 0, 4);
    put(b, offset, 8);
}

/* Padding of the header, then so many bytes of data. */
static void put_data(bytes *b, size_t size)
{
    b->size = (b->size + 31) & ~(size_t)31;
    for (size_t i = 0; i < size; i++)
        b->data[b->size++] = (uint8_t)i;
}

static const char *save(const bytes *b, const char *name)
{
    const char *path = test_tmpfile(name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(b->data, 1, b->size, file), b->size);
    CHECK_EQ(fclose(file), 0);
    return path;
}

static adze_gguf *open_bytes(const bytes *b)
{
    adze_gguf *gguf = NULL;
    adze_error err;
    CHECK_OK(adze_gguf_open(&gguf, save(b, "t.gguf"), &err), &err);
    return gguf;
}

/* The message must hold `words`. */
static void refuse(const bytes *b, adze_status status, const char *words)
{
    adze_gguf *gguf = NULL;
    adze_error err;
    CHECK_FAILS(adze_gguf_open(&gguf, save(b, "t.gguf"), &err), status, &err);
    CHECK(!gguf);
    if (!strstr(err.message, words))
        FAIL("expected '%s' in: %s", words, err.message);
    CHECK(strstr(err.message, "t.gguf") != NULL);
}

TEST(smallest_file)
{
    bytes b;
    put_head(&b, 3, 1, 1);
    put_number(&b, "a.b", ADZE_GGUF_U16, 0xfffe, 2);
    put_vector(&b, "w", 3, 0);
    put_data(&b, 32);
    adze_gguf *gguf = open_bytes(&b);
    CHECK_EQ(gguf->version, 3);
    CHECK_EQ(gguf->alignment, 32);
    CHECK_EQ(gguf->meta.count, 1);
    CHECK_EQ(adze_gguf_int(&gguf->meta, "a.b", 0), 0xfffe);
    CHECK_EQ(gguf->tensor_count, 1);
    const adze_gguf_tensor *w = adze_map_get(&gguf->by_name, "w");
    CHECK(w == &gguf->tensors[0]);
    CHECK_EQ(w->tensor.dtype, ADZE_F32);
    CHECK_EQ(w->tensor.rank, 1);
    CHECK_EQ(w->tensor.dims[0], 3);
    CHECK_EQ(w->tensor.size, 12);
    CHECK_EQ(((const uint8_t *)w->tensor.data)[11], 11);
    CHECK_EQ(gguf->file_size, (int64_t)b.size);
    adze_gguf_close(&gguf);
    CHECK(!gguf);
    adze_gguf_close(&gguf);
}

TEST(version_2_and_scalars_without_axes)
{
    bytes b;
    put_head(&b, 2, 1, 0);
    put_text(&b, "scalar");
    put(&b, 0, 4);
    put(&b, 0, 4);
    put(&b, 0, 8);
    put_data(&b, 4);
    adze_gguf *gguf = open_bytes(&b);
    CHECK_EQ(gguf->version, 2);
    CHECK_EQ(gguf->tensors[0].tensor.rank, 1);
    CHECK_EQ(gguf->tensors[0].tensor.dims[0], 1);
    CHECK_EQ(gguf->tensors[0].tensor.size, 4);
    adze_gguf_close(&gguf);
}

TEST(other_files_are_named)
{
    bytes b;
    put_head(&b, 0x03000000, 0, 0);
    refuse(&b, ADZE_UNSUPPORTED, "big-endian");
    put_head(&b, 1, 0, 0);
    refuse(&b, ADZE_UNSUPPORTED, "expected GGUF version 2 or 3, found 1");
    put_head(&b, 4, 0, 0);
    refuse(&b, ADZE_UNSUPPORTED, "expected GGUF version 2 or 3, found 4");
    memcpy(b.data, "tjgg", 4);
    refuse(&b, ADZE_UNSUPPORTED, "before GGUF");
    memcpy(b.data, "PK\3\4", 4);
    refuse(&b, ADZE_BAD_FILE, "expected 'GGUF', found 'PK");
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    memcpy(b.data, pointer, sizeof pointer);
    refuse(&b, ADZE_BAD_FILE, "git lfs pull");
    b.size = 0;
    refuse(&b, ADZE_BAD_FILE, "expected 'GGUF'");
    CHECK(adze_gguf_sniff("GGUF", 4));
    CHECK(!adze_gguf_sniff("GGUF", 3));
    adze_gguf *gguf;
    CHECK_FAILS(adze_gguf_open(&gguf, test_tmpfile("none.gguf"), NULL), ADZE_NOT_FOUND, NULL);
}

TEST(counts_are_bounded_by_the_file)
{
    bytes b;
    put_head(&b, 3, 1000000000, 0);
    refuse(&b, ADZE_BAD_FILE, "at byte 8: number of tensors: the file claims 1000000000");
    put_head(&b, 3, 0, 3);
    refuse(&b, ADZE_BAD_FILE, "at byte 16: number of metadata entries: the file claims 3");
    put_head(&b, 3, 0, 1);
    put_text(&b, "list");
    put(&b, ADZE_GGUF_ARRAY, 4);
    put(&b, ADZE_GGUF_F64, 4);
    put(&b, UINT64_MAX / 8 + 2, 8);
    put(&b, 0, 8);
    refuse(&b, ADZE_BAD_FILE, "list: the file claims 2305843009213693953, but the 8 bytes");
    b.size -= 16;
    b.data[b.size - 4] = ADZE_GGUF_STRING;
    put(&b, 2, 8);
    put(&b, 0, 8);
    refuse(&b, ADZE_BAD_FILE, "list: the file claims 2, but the 8 bytes");
    put_head(&b, 3, 0, 1);
    put_text(&b, "text");
    put(&b, ADZE_GGUF_STRING, 4);
    put(&b, UINT64_MAX, 8);
    refuse(&b, ADZE_BAD_FILE, "cut off: text at byte 48");
}

TEST(bad_metadata)
{
    bytes b;
    put_head(&b, 3, 0, 2);
    put_number(&b, "k", ADZE_GGUF_U8, 1, 1);
    put_number(&b, "k", ADZE_GGUF_U8, 2, 1);
    refuse(&b, ADZE_BAD_FILE, "the key 'k' occurs twice");
    put_head(&b, 3, 0, 1);
    put_number(&b, "k", ADZE_GGUF_TYPE_COUNT, 1, 8);
    refuse(&b, ADZE_BAD_FILE, "at byte 33: type of 'k': expected 0 to 12, found 13");
    put_head(&b, 3, 0, 1);
    put_number(&b, "", ADZE_GGUF_U32, 1, 4);
    refuse(&b, ADZE_BAD_FILE, "a key is empty");
    put_head(&b, 3, 0, 1);
    put_number(&b, "a_b", ADZE_GGUF_U32, 1, 4);
    b.data[33] = 0;
    refuse(&b, ADZE_BAD_FILE, "a key holds a NUL byte");
    static const struct {
        adze_gguf_type type;
        uint32_t value;
    } alignments[] = {
        {ADZE_GGUF_U32, 0}, {ADZE_GGUF_U32, 24}, {ADZE_GGUF_U32, UINT32_MAX}, {ADZE_GGUF_I32, 32}};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        put_head(&b, 3, 0, 1);
        put_number(&b, "general.alignment", alignments[i].type, alignments[i].value, 4);
        refuse(&b, ADZE_BAD_FILE, "general.alignment: expected a power of two as uint32");
    }
}

TEST(nested_arrays_are_not_followed_for_ever)
{
    bytes b;
    put_head(&b, 3, 0, 1);
    put_text(&b, "deep");
    put(&b, ADZE_GGUF_ARRAY, 4);
    for (int i = 0; i < 20; i++) {
        put(&b, ADZE_GGUF_ARRAY, 4);
        put(&b, 1, 8);
    }
    refuse(&b, ADZE_BAD_FILE, "nested more than 8 deep");
}

TEST(bad_tensors)
{
    bytes b;
    put_head(&b, 3, 2, 0);
    put_vector(&b, "a", 8, 0);
    put_vector(&b, "a", 8, 32);
    put_data(&b, 64);
    refuse(&b, ADZE_BAD_FILE, "the tensor 'a' occurs twice");
    put_head(&b, 3, 2, 0);
    put_vector(&b, "a", 9, 0);
    put_vector(&b, "b", 8, 32);
    put_data(&b, 64);
    refuse(&b, ADZE_BAD_FILE, "tensors 'a' and 'b' overlap");
    put_head(&b, 3, 1, 0);
    put_vector(&b, "a", 8, 16);
    put_data(&b, 64);
    refuse(&b, ADZE_BAD_FILE, "expected an offset divisible by 32, found 16");
    put_head(&b, 3, 1, 0);
    put_vector(&b, "a", 8, 64);
    put_data(&b, 64);
    refuse(&b, ADZE_BAD_FILE, "tensor 'a' needs 32 bytes at offset 64");
    put_head(&b, 3, 1, 0);
    put_vector(&b, "a", UINT64_C(1) << 62, 0);
    put_data(&b, 64);
    refuse(&b, ADZE_BAD_FILE, "not a possible shape");
    put_head(&b, 3, 1, 0);
    put_vector(&b, "a", UINT64_MAX, 0);
    put_data(&b, 64);
    refuse(&b, ADZE_BAD_FILE, "not a possible shape");
    put_head(&b, 3, 1, 0);
    put_vector(&b, "0123456789012345678901234567890123456789012345678901234567890123", 1, 0);
    put_data(&b, 32);
    refuse(&b, ADZE_BAD_FILE, "at most 63 bytes, found 64");
}

TEST(bad_types_are_named)
{
    static const struct {
        uint32_t type;
        const char *words;
    } cases[] = {{4, "Q4_2"}, {31, "Q4_0_4_4"}, {38, "IQ4_NL_8_8"}, {99, "ggml type 99"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes b;
        put_head(&b, 3, 1, 0);
        put_vector(&b, "blk.0.w", 32, 0);
        b.data[b.size - 12] = (uint8_t)cases[i].type;
        put_data(&b, 128);
        refuse(&b, ADZE_UNSUPPORTED, cases[i].words);
        refuse(&b, ADZE_UNSUPPORTED, "blk.0.w");
    }
    bytes b;
    put_head(&b, 3, 1, 0);
    put_vector(&b, "w", 31, 0);
    b.data[b.size - 12] = 8; /* q8_0: blocks of 32 */
    put_data(&b, 128);
    refuse(&b, ADZE_BAD_FILE, "q8_0[31] is not a possible shape (rows are whole blocks of 32)");
}

TEST(gaps_and_any_order_are_fine)
{
    bytes b;
    put_head(&b, 3, 3, 0);
    put_vector(&b, "late", 8, 128);
    put_vector(&b, "none", 0, 128);
    put_vector(&b, "early", 8, 32);
    put_data(&b, 160);
    adze_gguf *gguf = open_bytes(&b);
    CHECK_STR(gguf->tensors[0].name, "late");
    CHECK_EQ(((const uint8_t *)gguf->tensors[0].tensor.data)[0], 128);
    CHECK_EQ(((const uint8_t *)gguf->tensors[2].tensor.data)[0], 32);
    CHECK_EQ(gguf->tensors[1].tensor.size, 0);
    adze_gguf_close(&gguf);
}

TEST(padding_behind_the_last_tensor)
{
    bytes b;
    put_head(&b, 3, 1, 0);
    put_vector(&b, "w", 5, 0);
    put_data(&b, 20);
    adze_gguf *gguf = open_bytes(&b); /* none at all */
    adze_gguf_close(&gguf);
    put(&b, 0, 5);
    refuse(&b, ADZE_BAD_FILE, "cut off in the padding");
    put(&b, 0, 7);
    gguf = open_bytes(&b);
    adze_gguf_close(&gguf);
}

TEST(header_alone)
{
    bytes b;
    put_head(&b, 3, 1, 0);
    put_vector(&b, "w", 5, 0);
    put_data(&b, 0);
    refuse(&b, ADZE_BAD_FILE, "ends behind its header");
    adze_gguf *gguf = NULL;
    adze_error err;
    CHECK_OK(adze_gguf_open_header(&gguf, test_tmpfile("t.gguf"), &err), &err);
    CHECK(gguf->header_only);
    CHECK(!gguf->tensors[0].tensor.data);
    CHECK_EQ(gguf->tensors[0].tensor.size, 20);
    adze_gguf_close(&gguf);
    put(&b, 0, 8); /* a part of the data is an error either way */
    save(&b, "t.gguf");
    CHECK_FAILS(adze_gguf_open_header(&gguf, test_tmpfile("t.gguf"), NULL), ADZE_BAD_FILE, NULL);
    put(&b, 0, 24);
    save(&b, "t.gguf");
    CHECK_OK(adze_gguf_open_header(&gguf, test_tmpfile("t.gguf"), &err), &err);
    CHECK(!gguf->header_only);
    CHECK(gguf->tensors[0].tensor.data != NULL);
    adze_gguf_close(&gguf);
}

/* ---- damage ---- */

/* A small file that has a bit of everything. */
static void make_sample(bytes *b)
{
    put_head(b, 3, 2, 5);
    put_number(b, "general.alignment", ADZE_GGUF_U32, 8, 4);
    put_number(b, "small", ADZE_GGUF_BOOL, 1, 1);
    put_text(b, "text");
    put(b, ADZE_GGUF_STRING, 4);
    put_text(b, "some text");
    put_text(b, "words");
    put(b, ADZE_GGUF_ARRAY, 4);
    put(b, ADZE_GGUF_STRING, 4);
    put(b, 2, 8);
    put_text(b, "one");
    put_text(b, "");
    put_text(b, "nested");
    put(b, ADZE_GGUF_ARRAY, 4);
    put(b, ADZE_GGUF_ARRAY, 4);
    put(b, 2, 8);
    put(b, ADZE_GGUF_F64, 4);
    put(b, 1, 8);
    put(b, 1, 8);
    put(b, ADZE_GGUF_STRING, 4);
    put(b, 1, 8);
    put_text(b, "in");
    put_vector(b, "a", 8, 0);
    put_vector(b, "b", 3, 32);
    b->size = (b->size + 7) & ~(size_t)7;
    put(b, 0, 8);
    b->size += 40;
}

static void touch(const adze_gguf *gguf)
{
    volatile uint8_t sum = 0;
    for (int i = 0; i < gguf->tensor_count; i++)
        for (size_t k = 0; k < gguf->tensors[i].tensor.size; k++)
            sum = (uint8_t)(sum + ((const uint8_t *)gguf->tensors[i].tensor.data)[k]);
}

TEST(cut_anywhere)
{
    bytes b;
    make_sample(&b);
    const char *path = save(&b, "cut.gguf");
    for (size_t size = b.size; size-- > 0;) {
        adze_gguf *gguf;
        adze_error err;
        CHECK_EQ(truncate(path, (off_t)size), 0);
        if (size == b.size - 4) { /* only the padding behind the last tensor is gone */
            CHECK_OK(adze_gguf_open(&gguf, path, &err), &err);
            adze_gguf_close(&gguf);
            continue;
        }
        CHECK_FAILS(adze_gguf_open(&gguf, path, &err), ADZE_BAD_FILE, &err);
        CHECK(strstr(err.message, "cut.gguf") != NULL);
    }
}

TEST(any_byte_changed)
{
    bytes b;
    make_sample(&b);
    int fd = open(save(&b, "changed.gguf"), O_RDWR);
    CHECK(fd >= 0);
    for (size_t i = 0; i < b.size; i++) {
        static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x07};
        adze_gguf *gguf;
        uint8_t changed = b.data[i] ^ changes[i % sizeof changes];
        CHECK_EQ(pwrite(fd, &changed, 1, (off_t)i), 1);
        if (adze_gguf_open(&gguf, test_tmpfile("changed.gguf"), NULL) == ADZE_OK) {
            touch(gguf);
            adze_gguf_close(&gguf);
        }
        CHECK_EQ(pwrite(fd, &b.data[i], 1, (off_t)i), 1);
    }
    CHECK_EQ(close(fd), 0);
}

TEST(no_memory)
{
    bytes b;
    make_sample(&b);
    const char *path = save(&b, "m.gguf");
    adze_status status = ADZE_NO_MEMORY;
    for (long n = 1; status != ADZE_OK; n++) {
        adze_gguf *gguf = NULL;
        adze_error err;
        CHECK(n < 200);
        adze_alloc_fail_after(n);
        status = adze_gguf_open(&gguf, path, &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || (status == ADZE_NO_MEMORY && !gguf));
        adze_gguf_close(&gguf);
    }
}

/* llama.cpp's own cases. Those called TENSORS_... hold no data, and upstream reads their header alone. */
TEST(malformed_files_of_llama_cpp)
{
    const char *root = test_need_unpacked("conformance/gguf-malformed.tar.xz");
    char path[4096], line[256], name[128], must[8];
    int loaded = 0, refused = 0;
    snprintf(path, sizeof path, "%.3000s/gguf-malformed/index.tsv", root);
    FILE *index = fopen(path, "r");
    CHECK(index != NULL);
    CHECK(fgets(line, sizeof line, index) != NULL);
    while (fgets(line, sizeof line, index)) {
        adze_gguf *gguf = NULL;
        adze_error err = {ADZE_OK, ""};
        CHECK_EQ(sscanf(line, "%127s %7s", name, must), 2);
        snprintf(path, sizeof path, "%.3000s/gguf-malformed/%s", root, name);
        adze_status status = strncmp(name, "TENSORS_", 8) == 0
                                 ? adze_gguf_open_header(&gguf, path, &err)
                                 : adze_gguf_open(&gguf, path, &err);
        bool load = strcmp(must, "yes") == 0;
        if ((status == ADZE_OK) != load)
            FAIL("%s: expected %s, got %s: %s", name, load ? "ok" : "an error",
                 adze_status_name(status), err.message);
        CHECK(load || status == ADZE_BAD_FILE || status == ADZE_UNSUPPORTED);
        if (load && !gguf->header_only)
            touch(gguf);
        loaded += load;
        refused += !load;
        adze_gguf_close(&gguf);
    }
    CHECK_EQ(fclose(index), 0);
    CHECK_EQ(loaded, 21);
    CHECK_EQ(refused, 78);
}
