/* Mapped files, output that appears whole or not at all, folders, paths, gzip, JSON. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "test.h"

static int names_in(const char *folder)
{
    adze_arena arena = {0};
    char **names;
    int count = -1;
    adze_error err;
    CHECK_OK(adze_folder_list(&names, &count, folder, &arena, &err), &err);
    adze_arena_free(&arena);
    return count;
}

TEST(write_map_release)
{
    adze_error err;
    const char *path = test_tmpfile("a.bin");
    CHECK_OK(adze_file_write(path, "hello", 5, &err), &err);
    adze_mapping *mapping;
    CHECK_OK(adze_mapping_open(&mapping, path, &err), &err);
    adze_mapping *second = adze_mapping_retain(mapping);
    adze_mapping_release(&mapping);
    CHECK(mapping == NULL);
    CHECK_EQ(adze_mapping_size(second), 5);
    CHECK_BYTES(adze_mapping_bytes(second), "hello", 5);
    CHECK_STR(adze_mapping_path(second), path);
    adze_mapping_release(&second);
    adze_mapping_release(&second);
    CHECK_EQ(adze_file_size(path), 5);
    char hex[65];
    CHECK_OK(adze_file_sha256(hex, path, &err), &err);
    CHECK_STR(hex, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

TEST(empty_file_maps)
{
    adze_mapping *mapping;
    const char *path = test_tmpfile("empty");
    CHECK_OK(adze_file_write(path, "", 0, NULL), NULL);
    CHECK_OK(adze_mapping_open(&mapping, path, NULL), NULL);
    CHECK(adze_mapping_size(mapping) == 0 && adze_mapping_bytes(mapping) != NULL);
    adze_mapping_release(&mapping);
}

TEST(mapping_refuses_with_reasons)
{
    adze_error err;
    adze_mapping *mapping = NULL;
    CHECK_FAILS(adze_mapping_open(&mapping, test_tmpfile("none"), &err), ADZE_NOT_FOUND, &err);
    CHECK(strstr(err.message, "No such file") != NULL);
    CHECK_FAILS(adze_mapping_open(&mapping, test_tmpdir(), &err), ADZE_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "found a folder") != NULL);
    CHECK(mapping == NULL);
}

TEST(aborted_output_leaves_nothing)
{
    const char *path = test_tmpfile("out");
    adze_output *output;
    CHECK_OK(adze_output_open(&output, path, NULL), NULL);
    for (int i = 0; i < 100000; i++)
        adze_output_write(output, "0123456789", 10);
    CHECK_EQ(adze_output_size(output), 1000000);
    CHECK(names_in(test_tmpdir()) <= 1); /* the temporary one, where it needs a name */
    CHECK(!adze_file_exists(path));
    adze_output_abort(&output);
    adze_output_abort(&output);
    CHECK_EQ(names_in(test_tmpdir()), 0);
}

TEST(killed_output_leaves_nothing)
{
    adze_output *output;
    pid_t child = fork();
    if (child == 0) {
        if (adze_output_open(&output, test_tmpfile("out"), NULL) == ADZE_OK)
            for (int i = 0; i < 100000; i++)
                adze_output_write(output, "0123456789", 10);
        (void)raise(SIGKILL);
    }
    CHECK_EQ(waitpid(child, NULL, 0), child);
    if (names_in(test_tmpdir()) == 1)
        SKIP("this file system has no files without a name");
    CHECK_EQ(names_in(test_tmpdir()), 0);
}

TEST(finished_output_replaces_at_once)
{
    const char *path = test_tmpfile("out");
    adze_error err;
    adze_output *output;
    CHECK_OK(adze_file_write(path, "old", 3, &err), &err);
    CHECK_OK(adze_output_open(&output, path, &err), &err);
    static unsigned char big[200000];
    test_random_bytes(big, sizeof big, 1);
    for (size_t at = 0; at < sizeof big;) {
        size_t step = ADZE_MIN(at / 2 + 1, sizeof big - at);
        adze_output_write(output, big + at, step);
        at += step;
    }
    CHECK_EQ(adze_file_size(path), 3);
    CHECK_OK(adze_output_finish(&output, &err), &err);
    char *text;
    size_t size;
    CHECK_OK(adze_file_read(&text, &size, path, sizeof big, &err), &err);
    CHECK_EQ(size, sizeof big);
    CHECK_BYTES(text, big, sizeof big);
    CHECK_EQ(text[size], 0);
    adze_free(text);
    CHECK_FAILS(adze_file_read(&text, &size, path, sizeof big - 1, &err), ADZE_LIMIT, &err);
    CHECK_EQ(names_in(test_tmpdir()), 1);
}

TEST(output_errors_are_reported)
{
    adze_error err;
    adze_output *output = NULL;
    CHECK_FAILS(adze_output_open(&output, test_tmpfile("no/such/folder"), &err), ADZE_NOT_FOUND,
                &err);
    CHECK_FAILS(adze_output_open(&output, test_tmpdir(), &err), ADZE_BAD_ARGUMENT, &err);
    CHECK(output == NULL);
    if (access("/dev/full", W_OK) != 0)
        SKIP("no /dev/full");
    CHECK_OK(adze_output_open(&output, "/dev/full", &err), &err);
    adze_output_write(output, "x", 1);
    CHECK_FAILS(adze_output_finish(&output, &err), ADZE_IO, &err);
    CHECK(output == NULL && strstr(err.message, "No space left") != NULL);
}

TEST(output_follows_links)
{
    const char *path = test_tmpfile("target"), *link_path = test_tmpfile("link");
    CHECK_OK(adze_file_write(path, "a", 1, NULL), NULL);
    CHECK_EQ(symlink(path, link_path), 0);
    CHECK_OK(adze_file_write(link_path, "bc", 2, NULL), NULL);
    CHECK_EQ(adze_file_size(path), 2);
}

TEST(output_without_memory)
{
    for (long n = 1; n < 8; n++) {
        adze_error err;
        adze_output *output = NULL;
        adze_alloc_fail_after(n);
        adze_status status = adze_output_open(&output, test_tmpfile("x"), &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        adze_output_abort(&output);
        CHECK_EQ(names_in(test_tmpdir()), 0);
    }
}

TEST(folders)
{
    adze_error err;
    adze_arena arena = {0};
    CHECK_OK(adze_folder_make(test_tmpfile("a/b/c"), &err), &err);
    CHECK_OK(adze_folder_make(test_tmpfile("a/b/c/"), &err), &err);
    CHECK(adze_file_is_folder(test_tmpfile("a/b/c")));
    CHECK_OK(adze_file_write(test_tmpfile("a/z"), "", 0, &err), &err);
    CHECK_OK(adze_file_write(test_tmpfile("a/Z"), "", 0, &err), &err);
    CHECK_FAILS(adze_folder_make(test_tmpfile("a/z/q"), &err), ADZE_IO, &err);
    char **names;
    int count;
    CHECK_OK(adze_folder_list(&names, &count, test_tmpfile("a"), &arena, &err), &err);
    CHECK_EQ(count, 3);
    CHECK_STR(names[0], "Z");
    CHECK_STR(names[1], "b");
    CHECK_STR(names[2], "z");
    CHECK_FAILS(adze_folder_list(&names, &count, test_tmpfile("q"), &arena, &err), ADZE_NOT_FOUND,
                &err);
    adze_arena_free(&arena);
}

TEST(paths)
{
    adze_arena arena = {0};
    CHECK_STR(adze_path_name("a/b.onnx"), "b.onnx");
    CHECK_STR(adze_path_name("b.onnx"), "b.onnx");
    CHECK_STR(adze_path_beside(&arena, "a/b.onnx", "c"), "a/c");
    CHECK_STR(adze_path_beside(&arena, "b.onnx", "c"), "c");
    CHECK_STR(adze_path_beside(&arena, "a/b.onnx", "/c"), "/c");
    CHECK_STR(adze_path_join(&arena, "a/", "b"), "a/b");
    CHECK_STR(adze_path_join(&arena, "a", "b"), "a/b");
    CHECK_STR(adze_path_join(&arena, "", "b"), "b");
    CHECK_STR(adze_path_sanitize(&arena, "layer/1:0 x.y"), "layer_1_0_x.y");
    adze_arena_free(&arena);
}

static size_t gzip(unsigned char *out, size_t capacity, const void *bytes, size_t size)
{
    z_stream z = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)size};
    CHECK_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = out;
    z.avail_out = (uInt)capacity;
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return (size_t)(z.next_out - out);
}

TEST(gunzip)
{
    static unsigned char plain[100000], packed[110000];
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (unsigned char)(i / 100);
    size_t size = gzip(packed, sizeof packed, plain, sizeof plain), out_size;
    uint8_t *out;
    adze_error err;
    CHECK_OK(adze_gunzip(&out, &out_size, packed, size, sizeof plain, &err), &err);
    CHECK_EQ(out_size, sizeof plain);
    CHECK_BYTES(out, plain, sizeof plain);
    adze_free(out);
    CHECK_FAILS(adze_gunzip(&out, &out_size, packed, size, sizeof plain - 1, &err), ADZE_LIMIT,
                &err);
    for (size_t cut = 0; cut < size; cut++)
        CHECK_FAILS(adze_gunzip(&out, &out_size, packed, cut, sizeof plain, &err), ADZE_BAD_FILE,
                    &err);
    memcpy(packed + size, packed, size); /* two members */
    CHECK_OK(adze_gunzip(&out, &out_size, packed, 2 * size, 2 * sizeof plain, &err), &err);
    CHECK_EQ(out_size, 2 * sizeof plain);
    adze_free(out);
    packed[size - 5] ^= 1; /* the checksum */
    CHECK_FAILS(adze_gunzip(&out, &out_size, packed, size, sizeof plain, &err), ADZE_BAD_FILE,
                &err);
}

/* Jansson cuts what it quotes at a byte: messages must be whole characters all the same. */
TEST(json_errors_end_with_a_character)
{
    const char *path = test_tmpfile("wrong.json");
    for (int shift = 0; shift < 3; shift++) {
        adze_text text = {0};
        adze_error err;
        json_t *json;
        adze_text_printf(&text, "[\"%.*s", shift, "aa");
        for (int i = 0; i < 100; i++)
            adze_text_puts(&text, "\xE2\x96\x81");
        adze_text_puts(&text, "\" 1]");
        const char *wrong = adze_text_get(&text);
        CHECK_OK(adze_file_write(path, wrong, strlen(wrong), &err), &err);
        CHECK_FAILS(adze_json_load(&json, path, &err), ADZE_BAD_FILE, &err);
        CHECK_EQ(adze_utf8_valid_prefix(err.message, strlen(err.message)), strlen(err.message));
        adze_text_free(&text);
    }
}

TEST(json_round_trip)
{
    adze_error err;
    const char *path = test_tmpfile("x.json");
    json_t *json = json_pack("{s:f, s:[i,i], s:s}", "z", 0.1, "list", 1, 2, "a", "b");
    CHECK_OK(adze_json_save(json, path, &err), &err);
    json_t *back;
    CHECK_OK(adze_json_load(&back, path, &err), &err);
    CHECK(json_equal(json, back));
    json_decref(json);
    json_decref(back);
    char *text;
    size_t size;
    CHECK_OK(adze_file_read(&text, &size, path, 1000, &err), &err);
    CHECK(adze_starts_with(text, "{\n  \"z\": 0.1"));
    adze_free(text);
}

TEST(json_errors_name_the_place)
{
    adze_error err;
    json_t *json;
    const char *path = test_tmpfile("bad.json");
    CHECK_OK(adze_file_write(path, "{\n \"a\": ]\n}", 11, &err), &err);
    CHECK_FAILS(adze_json_load(&json, path, &err), ADZE_BAD_FILE, &err);
    CHECK(strstr(err.message, "bad.json:2:") != NULL);
    CHECK_OK(adze_file_write(path, "{\"a\":1,\"a\":2}", 13, &err), &err);
    CHECK_FAILS(adze_json_load(&json, path, &err), ADZE_BAD_FILE, &err);
}

TEST(memory_of_the_process)
{
    uint64_t now = adze_current_rss();
    CHECK(now > 100000);
    CHECK(adze_peak_rss() + (1 << 20) >= now);
    double before = adze_now();
    CHECK(adze_now() >= before);
}

TEST(integers_that_are_too_big)
{
    char text[] =
        "{\"a\": 1000000000000000019884624838656, \"b\": \"1000000000000000019884624838656\","
        "\"c\": 0.1000000000000000055511151231257827, \"d\": -9223372036854775807,"
        "\"e\\\"10000000000000000198\": [1e-5, 1E+2, -1000000000000000019884624838656]}";
    json_error_t why;
    json_t *json = adze_json_parse(text, strlen(text), 0, &why), *list;
    CHECK(json != NULL);
    CHECK_NEAR(json_number_value(json_object_get(json, "a")) / 1e30, 1, 1e-9);
    CHECK_STR(json_string_value(json_object_get(json, "b")), "1000000000000000019884624838656");
    CHECK_NEAR(json_number_value(json_object_get(json, "c")), 0.1, 0);
    CHECK_EQ(json_integer_value(json_object_get(json, "d")), -9223372036854775807);
    CHECK((list = json_object_get(json, "e\"10000000000000000198")) != NULL);
    CHECK_NEAR(json_number_value(json_array_get(list, 0)), 1e-5, 0);
    CHECK_NEAR(json_number_value(json_array_get(list, 1)), 100, 0);
    CHECK_NEAR(json_number_value(json_array_get(list, 2)) / 1e30, -1, 1e-9);
    json_decref(json);
}
