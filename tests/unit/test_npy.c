/* NumPy files: what NumPy writes is read, what we write NumPy reads, nothing else gets through. */
#include <stdio.h>
#include <stdlib.h>
#include "formats/npy.h"
#include "formats/zip.h"
#include "test.h"

/* A version 1 file with this dictionary; the size of it. */
static size_t make_npy(uint8_t *out, const char *dictionary, const void *data, size_t data_size)
{
    size_t length = strlen(dictionary);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)length;
    out[9] = (uint8_t)(length >> 8);
    memcpy(out + 10, dictionary, length);
    memcpy(out + 10 + length, data, data_size);
    return 10 + length + data_size;
}

static adze_status parse(adze_tensor *out, const char *dictionary, const void *data, size_t size,
                         adze_error *err)
{
    static uint8_t bytes[4096];
    return adze_npy_parse(out, bytes, make_npy(bytes, dictionary, data, size), "t.npy", err);
}

TEST(little_endian_c_order)
{
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    adze_tensor tensor;
    adze_error err;
    CHECK_OK(parse(&tensor, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", values,
                   sizeof values, &err),
             &err);
    CHECK_EQ(tensor.dtype, ADZE_F32);
    CHECK_EQ(tensor.rank, 2);
    CHECK_EQ(tensor.dims[1], 3);
    CHECK_EQ(adze_tensor_get_f64(&tensor, 5), 6);
    adze_tensor_free(&tensor);
}

TEST(any_order_of_keys_and_quotes)
{
    adze_tensor tensor;
    adze_error err;
    CHECK_OK(parse(&tensor, "{\"shape\":(2L,),\"fortran_order\":False,\"descr\":\"|u1\"}", "\1\2",
                   2, &err),
             &err);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 1), 2);
    adze_tensor_free(&tensor);
    CHECK_OK(parse(&tensor, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}",
                   "\0\0\0\0\0\0\0\x40", 8, &err),
             &err);
    CHECK_EQ(tensor.rank, 0);
    CHECK_EQ(adze_tensor_get_f64(&tensor, 0), 2);
    adze_tensor_free(&tensor);
}

TEST(big_endian)
{
    adze_tensor tensor;
    adze_error err;
    CHECK_OK(parse(&tensor, "{'descr': '>i4', 'fortran_order': False, 'shape': (2,)}",
                   "\x00\x00\x01\x02\xff\xff\xff\xfe", 8, &err),
             &err);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 0), 258);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 1), -2);
    adze_tensor_free(&tensor);
    CHECK_OK(parse(&tensor, "{'descr': '>c8', 'fortran_order': False, 'shape': (1,)}",
                   "\x3f\x80\x00\x00\x40\x00\x00\x00", 8, &err),
             &err);
    CHECK_EQ(((float *)tensor.data)[0], 1);
    CHECK_EQ(((float *)tensor.data)[1], 2);
    adze_tensor_free(&tensor);
}

TEST(fortran_order)
{
    int16_t values[24];
    for (int i = 0; i < 24; i++) { /* element [a,b,c] of [2,3,4] is stored at a + 2 b + 6 c */
        int a = i % 2, b = i / 2 % 3, c = i / 6;
        values[i] = (int16_t)(100 * a + 10 * b + c);
    }
    adze_tensor tensor;
    adze_error err;
    CHECK_OK(parse(&tensor, "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3, 4)}", values,
                   sizeof values, &err),
             &err);
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 4; c++)
                CHECK_EQ(adze_tensor_get_i64(&tensor, (a * 3 + b) * 4 + c), 100 * a + 10 * b + c);
    adze_tensor_free(&tensor);
}

TEST(refused_types_say_why)
{
    static const struct {
        const char *descr, *says;
    } rows[] = {
        {"'<U5'", "strings"},   {"'|S3'", "byte strings"}, {"'|O'", "Python objects"},
        {"'<M8[ns]'", "dates"}, {"'|V2'", "bfloat16"},     {"[('a', '<f4')]", "records"},
        {"'<f16'", "unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        adze_tensor tensor;
        adze_error err;
        snprintf(text, sizeof text, "{'descr': %s, 'fortran_order': False, 'shape': (1,)}",
                 rows[i].descr);
        CHECK_FAILS(parse(&tensor, text, text, 40, &err), ADZE_UNSUPPORTED, &err);
        CHECK(strstr(err.message, rows[i].says) != NULL);
        CHECK(strstr(err.message, "t.npy") != NULL);
    }
}

static adze_status load_made(adze_tensor *out, const char *dictionary, const void *data,
                             size_t size, adze_error *err)
{
    static uint8_t bytes[4096];
    const char *path = test_tmpfile("made.npy");
    size_t total = make_npy(bytes, dictionary, data, size);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, total, file) == total);
    fclose(file);
    return adze_npy_load(out, path, err);
}

static void check_text(const adze_tensor *t, int i, const char *text)
{
    const adze_string *s = (const adze_string *)t->data + i;
    CHECK(s->length == strlen(text) && memcmp(s->data, text, s->length) == 0);
}

TEST(strings)
{
    adze_string words[4] = {{"a", 1}, {"h\xc3\xa9\xf0\x9f\x99\x82", 7}, {NULL, 0}, {"\xff", 1}};
    adze_tensor words_tensor = adze_tensor_view(ADZE_STRING, 2, (const int64_t[]){2, 2}, words), t;
    adze_error err;
    CHECK_OK(adze_npy_save(&words_tensor, test_tmpfile("s.npy"), &err), &err);
    CHECK_OK(adze_npy_load(&t, test_tmpfile("s.npy"), &err), &err);
    CHECK(t.dtype == ADZE_STRING && t.rank == 2 && t.dims[1] == 2);
    for (int i = 0; i < 3; i++)
        check_text(&t, i, i == 2 ? "" : words[i].data);
    check_text(&t, 3, "\xef\xbf\xbd"); /* what is no UTF-8 */
    adze_tensor_free(&t);
    CHECK_OK(
        load_made(&t, "{'descr': '|S2', 'fortran_order': False, 'shape': (2,)}", "xy\0\0", 4, &err),
        &err);
    check_text(&t, 0, "xy");
    check_text(&t, 1, "");
    adze_tensor_free(&t);
    const char *big = "{'descr': '>U2', 'fortran_order': False, 'shape': (1,)}";
    CHECK_OK(load_made(&t, big, "\0\0\0z\0\0\x20\xac", 8, &err), &err);
    check_text(&t, 0, "z\xe2\x82\xac");
    adze_tensor_free(&t);
    CHECK_FAILS(load_made(&t, big, "\0\0\xd8\0\0\0\0\0", 8, &err), ADZE_BAD_FILE, &err);
    CHECK_FAILS(load_made(&t, big, "\0\0\0z\0\0\0", 7, &err), ADZE_BAD_FILE, &err);
    CHECK_FAILS(
        load_made(
            &t,
            "{'descr': '<U2147483647', 'fortran_order': False, 'shape': (2147483647,4294967296)}",
            big, 8, &err),
        ADZE_BAD_FILE, &err);
}

TEST(malformed_headers)
{
    static const char *const rows[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 8)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (100,)}",
        "{'descr': 4, 'fortran_order': False, 'shape': (1,)}",
        "{'extra': 1, 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        adze_tensor tensor;
        adze_error err;
        CHECK_FAILS(parse(&tensor, rows[i], "abcd", 4, &err), ADZE_BAD_FILE, &err);
    }
}

TEST(truncated_at_every_byte)
{
    static const int32_t values[5] = {1, 2, 3, 4, 5};
    uint8_t bytes[256];
    size_t size = make_npy(bytes, "{'descr': '<i4', 'fortran_order': False, 'shape': (5,)}", values,
                           sizeof values);
    for (size_t cut = 0; cut < size; cut++) {
        void *base;
        uint8_t *copy = test_guard_alloc(cut, &base);
        memcpy(copy, bytes, cut);
        adze_tensor tensor;
        adze_error err;
        CHECK_FAILS(adze_npy_parse(&tensor, copy, cut, "t", &err), ADZE_BAD_FILE, &err);
        test_guard_free(base);
    }
}

TEST(save_and_load_every_type)
{
    static const adze_dtype types[] = {ADZE_BOOL, ADZE_I8,  ADZE_U8,  ADZE_I16, ADZE_U16,
                                       ADZE_I32,  ADZE_U32, ADZE_I64, ADZE_U64, ADZE_F16,
                                       ADZE_F32,  ADZE_F64, ADZE_C64, ADZE_C128};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (int rank = 0; rank <= ADZE_MAX_RANK; rank++) {
            static const int64_t dims[ADZE_MAX_RANK] = {2, 1, 3, 1, 2, 1, 1, 2};
            adze_tensor tensor, back;
            adze_error err;
            CHECK_OK(adze_tensor_make(&tensor, types[i], rank, dims, &err), &err);
            test_random_bytes(tensor.data, tensor.size, i);
            const char *path = test_tmpfile("x.npy");
            CHECK_OK(adze_npy_save(&tensor, path, &err), &err);
            CHECK_EQ((adze_file_size(path) - (int64_t)tensor.size) % 64, 0);
            CHECK_OK(adze_npy_load(&back, path, &err), &err);
            CHECK_EQ(back.dtype, tensor.dtype);
            CHECK_EQ(back.rank, rank);
            CHECK_BYTES(back.data, tensor.data, tensor.size);
            adze_tensor_free(&tensor);
            adze_tensor_free(&back);
        }
}

TEST(types_numpy_lacks)
{
    adze_tensor tensor, back;
    adze_error err;
    const char *path = test_tmpfile("x.npy");
    CHECK_OK(adze_tensor_make(&tensor, ADZE_I4, 1, (int64_t[]){3}, &err), &err);
    adze_tensor_set_i64(&tensor, 1, -8);
    CHECK_OK(adze_npy_save(&tensor, path, &err), &err);
    CHECK_OK(adze_npy_load(&back, path, &err), &err);
    CHECK_EQ(back.dtype, ADZE_I8);
    CHECK_EQ(adze_tensor_get_i64(&back, 1), -8);
    adze_tensor_free(&tensor);
    adze_tensor_free(&back);
    CHECK_OK(adze_tensor_make(&tensor, ADZE_BF16, 1, (int64_t[]){3}, &err), &err);
    adze_tensor_set_f64(&tensor, 2, 1.5);
    CHECK_OK(adze_npy_save(&tensor, path, &err), &err);
    CHECK_OK(adze_npy_load(&back, path, &err), &err);
    CHECK_EQ(back.dtype, ADZE_F32);
    CHECK_EQ(adze_tensor_get_f64(&back, 2), 1.5);
    adze_tensor_free(&tensor);
    adze_tensor_free(&back);
    CHECK_OK(adze_tensor_make(&tensor, ADZE_Q8_0, 1, (int64_t[]){32}, &err), &err);
    CHECK_FAILS(adze_npy_save(&tensor, path, &err), ADZE_UNSUPPORTED, &err);
    adze_tensor_free(&tensor);
}

static void save_archive(const char *path, int64_t rows, bool compress, adze_tensor tensors[2])
{
    static const char *const names[2] = {"images", "labels:0"};
    adze_error err;
    CHECK_OK(adze_tensor_make(&tensors[0], ADZE_F32, 2, (int64_t[]){rows, 20}, &err), &err);
    CHECK_OK(adze_tensor_make(&tensors[1], ADZE_I64, 1, (int64_t[]){rows}, &err), &err);
    for (int i = 0; i < 20 * rows; i++)
        adze_tensor_set_f64(&tensors[0], i, i % 17);
    CHECK_OK(adze_npz_save(path, names, tensors, 2, compress, &err), &err);
}

TEST(archives)
{
    for (int compress = 0; compress < 2; compress++) {
        const char *path = test_tmpfile("x.npz");
        adze_tensor tensors[2], back;
        adze_error err;
        adze_npz *npz;
        save_archive(path, 50, compress, tensors);
        CHECK((adze_file_size(path) < 3000) == compress);
        CHECK_OK(adze_npz_open(&npz, path, &err), &err);
        CHECK_EQ(adze_npz_count(npz), 2);
        CHECK_STR(adze_npz_name(npz, 1), "labels:0");
        CHECK_EQ(adze_npz_find(npz, "images"), 0);
        CHECK_EQ(adze_npz_find(npz, "image"), -1);
        for (int i = 0; i < 2; i++) {
            CHECK_OK(adze_npz_read(&back, npz, i, &err), &err);
            CHECK_EQ(back.size, tensors[i].size);
            CHECK_BYTES(back.data, tensors[i].data, back.size);
            adze_tensor_free(&back);
            adze_tensor_free(&tensors[i]);
        }
        adze_npz_close(&npz);
        adze_npz_close(&npz);
    }
}

/* Whatever the bytes, no read outside them (guard page, sanitizers) and no crash. */
static void try_archive(const uint8_t *bytes, size_t size)
{
    adze_npz *npz;
    adze_error err;
    if (adze_npz_parse(&npz, bytes, size, "t", &err) != ADZE_OK)
        return;
    for (int i = 0; i < adze_npz_count(npz); i++) {
        adze_tensor tensor;
        if (adze_npz_read(&tensor, npz, i, &err) == ADZE_OK)
            adze_tensor_free(&tensor);
    }
    adze_npz_close(&npz);
}

TEST(damaged_archives)
{
    for (int compress = 0; compress < 2; compress++) {
        const char *path = test_tmpfile("x.npz");
        adze_tensor tensors[2];
        save_archive(path, 3, compress, tensors);
        adze_tensor_free(&tensors[0]);
        adze_tensor_free(&tensors[1]);
        char *file;
        size_t size;
        CHECK_OK(adze_file_read(&file, &size, path, 100000, NULL), NULL);
        void *base;
        uint8_t *bytes = test_guard_alloc(size, &base);
        memcpy(bytes, file, size);
        for (size_t i = 0; i < size; i++) {
            for (int bit = 0; bit < 8; bit += 3) {
                bytes[i] ^= (uint8_t)(1 << bit);
                try_archive(bytes, size);
                bytes[i] ^= (uint8_t)(1 << bit);
            }
        }
        for (size_t cut = 0; cut < size; cut++)
            try_archive(bytes + size - cut, cut); /* the front is missing */
        for (size_t cut = 0; cut < size; cut++) {
            adze_npz *npz;
            CHECK_FAILS(adze_npz_parse(&npz, bytes, cut, "t", NULL), ADZE_BAD_FILE, NULL);
        }
        test_guard_free(base);
        adze_free(file);
    }
}

TEST(damage_in_the_elements_is_noticed)
{
    const char *path = test_tmpfile("x.npz");
    adze_tensor tensors[2], back;
    save_archive(path, 50, false, tensors);
    adze_tensor_free(&tensors[0]);
    adze_tensor_free(&tensors[1]);
    char *file;
    size_t size;
    adze_error err;
    adze_npz *npz;
    CHECK_OK(adze_file_read(&file, &size, path, 100000, &err), &err);
    file[1000] ^= 4;
    CHECK_OK(adze_npz_parse(&npz, (uint8_t *)file, size, "t", &err), &err);
    CHECK_FAILS(adze_npz_read(&back, npz, 0, &err), ADZE_BAD_FILE, &err);
    CHECK(strstr(err.message, "CRC") != NULL);
    adze_npz_close(&npz);
    adze_free(file);
}

TEST(numpy_agrees)
{
    const char *path = test_tmpfile("ours.npz"), *theirs = test_tmpfile("theirs.npz");
    const char *python = "\"${ADZE_VENV:-$HOME/.cache/adze/venv}/bin/python\""; /* of tools/venv */
    char command[1000];
    snprintf(command, sizeof command, "%s -c 'import numpy' 2>/dev/null", python);
    if (system(command) != 0)
        SKIP("tools/venv has not been run: no numpy");
    adze_tensor tensors[2];
    save_archive(path, 50, true, tensors);
    adze_tensor_free(&tensors[0]);
    adze_tensor_free(&tensors[1]);
    snprintf(command, sizeof command,
             "%s -c \"import numpy as np; a=np.load('%s'); assert a['images'].shape==(50,20) and "
             "a['images'].ravel()[999]==999%%17 and a['labels:0'].dtype==np.int64; "
             "np.savez_compressed('%s', x=np.asfortranarray(np.arange(6).reshape(2,3)), "
             "y=np.array([True,False]))\"",
             python, path, theirs);
    CHECK_EQ(system(command), 0);
    adze_npz *npz;
    adze_error err;
    adze_tensor x;
    CHECK_OK(adze_npz_open(&npz, theirs, &err), &err);
    CHECK_OK(adze_npz_read(&x, npz, adze_npz_find(npz, "x"), &err), &err);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(adze_tensor_get_i64(&x, i), i);
    adze_tensor_free(&x);
    adze_npz_close(&npz);
}

TEST(without_memory)
{
    const char *path = test_tmpfile("x.npz");
    adze_tensor tensors[2];
    save_archive(path, 50, true, tensors);
    adze_tensor_free(&tensors[0]);
    adze_tensor_free(&tensors[1]);
    int done = 0;
    for (long n = 1; n < 40 && done < 2; n++) {
        adze_npz *npz = NULL;
        adze_error err;
        adze_tensor tensor = {0};
        adze_alloc_fail_after(n);
        adze_status status = adze_npz_open(&npz, path, &err);
        if (status == ADZE_OK)
            status = adze_npz_read(&tensor, npz, 0, &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        done += status == ADZE_OK;
        adze_tensor_free(&tensor);
        adze_npz_close(&npz);
    }
    CHECK_EQ(done, 2);
}
