/* Errors, memory, text, cursor, map, hashes, random numbers. */
#include <stdio.h>
#include <stdlib.h>
#include "base/cpu.h"
#include "base/cursor.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"
#include "test.h"

TEST(status_names)
{
    CHECK_STR(adze_status_name(ADZE_OK), "OK");
    CHECK_STR(adze_status_name(ADZE_BAD_FILE), "BAD_FILE");
    CHECK_STR(adze_status_name((adze_status)12345), "INTERNAL");
    CHECK_EQ(adze_status_exit_code(ADZE_GATE_FAILED), 1);
    CHECK_EQ(adze_status_exit_code(ADZE_UNSUPPORTED), 4);
    CHECK_STR(adze_version(), ADZE_VERSION);
}

TEST(fail_writes_a_safe_message)
{
    adze_error err;
    CHECK_EQ(adze_fail(&err, ADZE_BAD_FILE, "tensor %s: bad", "a\033[31mb"), ADZE_BAD_FILE);
    CHECK_STR(err.message, "tensor a?[31mb: bad");
    CHECK_EQ(err.status, ADZE_BAD_FILE);
    CHECK_EQ(adze_fail(NULL, ADZE_IO, "nobody listens"), ADZE_IO);
}

TEST(wrap_puts_the_context_in_front)
{
    adze_error err;
    (void)adze_fail(&err, ADZE_BAD_FILE, "inner");
    CHECK_EQ(adze_wrap(&err, ADZE_BAD_FILE, "file %d", 7), ADZE_BAD_FILE);
    CHECK_STR(err.message, "file 7: inner");
    memset(err.message, 'x', sizeof err.message - 1);
    err.message[sizeof err.message - 1] = 0;
    (void)adze_wrap(&err, ADZE_IO, "front");
    CHECK_EQ(strlen(err.message), sizeof err.message - 1);
    CHECK(adze_starts_with(err.message, "front: xxx"));
}

TEST(error_messages_are_text)
{
    adze_error err;
    (void)adze_fail(&err, ADZE_BAD_FILE, "tensor '%.4s': \xff \x1b[1m",
                    "abc\xe2\x96\x81"); /* cut in a character */
    CHECK_STR(err.message, "tensor 'abc?': ? ?[1m");
    memset(err.message, 'x', sizeof err.message - 1);
    memcpy(err.message + sizeof err.message - 10, "\xe2\x96\x81", 3); /* the wrapping cuts here */
    err.message[sizeof err.message - 1] = 0;
    (void)adze_wrap(&err, ADZE_IO, "front\xe2");
    CHECK(adze_starts_with(err.message, "front?: xxx"));
    CHECK_EQ(adze_utf8_valid_prefix(err.message, strlen(err.message)), strlen(err.message));
}

TEST(cpu_levels)
{
    adze_cpu_level level;
    CHECK(adze_cpu_level_from_name(&level, "avx2"));
    CHECK_EQ(level, ADZE_CPU_AVX2);
    CHECK(!adze_cpu_level_from_name(&level, "sse9"));
    CHECK_STR(adze_cpu_level_name(ADZE_CPU_NEON), "neon");
    CHECK_STR(adze_cpu_level_name((adze_cpu_level)99), "unknown");
    CHECK(adze_cpu_has(ADZE_CPU_REF));
    CHECK(adze_cpu_has(adze_cpu_detect()));
    char name[96];
    CHECK(strlen(adze_cpu_name(name)) > 0);
}

TEST(alloc_is_zeroed_and_aligned)
{
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *p = adze_alloc(1, size);
        CHECK(p != NULL);
        CHECK_EQ((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < size; i++)
            CHECK_EQ(p[i], 0);
        memset(p, 0xff, size);
        adze_free(p);
    }
    adze_free(NULL);
    CHECK(adze_alloc(SIZE_MAX / 2, 3) == NULL);
    CHECK(adze_alloc(1, SIZE_MAX) == NULL);
    CHECK(adze_realloc(NULL, SIZE_MAX, SIZE_MAX) == NULL);
}

TEST(realloc_keeps_the_contents)
{
    unsigned char *p = adze_alloc(1, 100);
    memset(p, 7, 100);
    for (size_t size = 200; size < 1000000; size *= 3) {
        p = adze_realloc(p, 1, size);
        CHECK(p != NULL);
        for (int i = 0; i < 100; i++)
            CHECK_EQ(p[i], 7);
    }
    adze_free(p);
}

TEST(allocations_fail_on_request)
{
    adze_alloc_fail_after(2);
    void *first = adze_alloc(1, 8);
    CHECK(first != NULL);
    CHECK(adze_alloc(1, 8) == NULL);
    CHECK(adze_realloc(NULL, 1, 8) == NULL);
    adze_alloc_fail_after(0);
    void *again = adze_alloc(1, 8);
    CHECK(again != NULL);
    adze_free(first);
    adze_free(again);
}

TEST(size_arithmetic)
{
    size_t out = 5;
    CHECK(adze_mul_size(&out, SIZE_MAX, 1) && out == SIZE_MAX);
    CHECK(!adze_mul_size(&out, SIZE_MAX / 2 + 1, 2));
    CHECK(adze_mul_size(&out, 0, SIZE_MAX) && out == 0);
    CHECK(!adze_add_size(&out, SIZE_MAX, 1));
}

TEST(arena)
{
    adze_arena arena = {0};
    char *first = adze_arena_strdup(&arena, "first");
    uint64_t seed = 1;
    for (int i = 0; i < 2000; i++) {
        size_t size = (size_t)(test_random(&seed) % (i % 100 == 0 ? 100000 : 200));
        unsigned char *p = adze_arena_alloc(&arena, 1, size);
        CHECK(p != NULL);
        CHECK_EQ((uintptr_t)p % (size >= 64 ? 64 : 16), 0);
        for (size_t k = 0; k < size; k++)
            CHECK_EQ(p[k], 0);
        memset(p, 0xee, size);
    }
    CHECK_STR(first, "first");
    CHECK_STR(adze_arena_printf(&arena, "%s-%d", "x", 42), "x-42");
    CHECK_STR(adze_arena_strndup(&arena, "abcdef", 3), "abc");
    CHECK(adze_arena_alloc(&arena, SIZE_MAX, 2) == NULL);
    CHECK(adze_arena_alloc(&arena, 1, SIZE_MAX - 8) == NULL);
    adze_arena_free(&arena);
    CHECK(arena.blocks == NULL && arena.used == 0);
    CHECK_STR(adze_arena_strdup(&arena, "usable again"), "usable again");
    adze_arena_free(&arena);
}

TEST(arena_grow)
{
    adze_arena arena = {0};
    int *items = NULL, capacity = 0, count = 0;
    for (; count < 1000; count++) {
        CHECK(adze_arena_grow(&arena, &items, &capacity, count, sizeof *items));
        items[count] = count * 3;
    }
    for (int i = 0; i < count; i++)
        CHECK_EQ(items[i], i * 3);
    adze_arena_free(&arena);
}

TEST(text_grows)
{
    adze_text text = {0};
    CHECK_STR(adze_text_get(&text), "");
    for (int i = 0; i < 1000; i++)
        adze_text_printf(&text, "%d,", i % 10);
    adze_text_puts(&text, "end");
    CHECK_EQ(text.length, 2003);
    CHECK_STR(text.data + 1996, "8,9,end");
    CHECK(!text.failed);
    adze_text_free(&text);
    adze_alloc_fail_after(1);
    adze_text_puts(&text, "no memory");
    adze_text_puts(&text, "still none");
    adze_alloc_fail_after(0);
    CHECK(text.failed);
    CHECK_STR(adze_text_get(&text), "");
    adze_text_free(&text);
}

TEST(parse_numbers)
{
    int64_t i = 0;
    double d = 0;
    CHECK(adze_parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    CHECK(!adze_parse_i64("9223372036854775808", &i));
    CHECK(!adze_parse_i64("", &i) && !adze_parse_i64(" 1", &i) && !adze_parse_i64("1x", &i));
    CHECK(adze_parse_f64("1e-3", &d) && d == 1e-3);
    CHECK(!adze_parse_f64("1e999", &d) && !adze_parse_f64("1.0 ", &d) && !adze_parse_f64("", &d));
    CHECK(adze_parse_size("300KB", &d) && d == 300e3);
    CHECK(adze_parse_size("1.5GiB", &d) && d == 1.5 * 1024 * 1024 * 1024);
    CHECK(adze_parse_size("8 mb", &d) && d == 8e6);
    CHECK(adze_parse_size("4096", &d) && d == 4096);
    CHECK(!adze_parse_size("-1KB", &d) && !adze_parse_size("3 parsecs", &d));
    CHECK(!adze_parse_size("nan", &d) && !adze_parse_size("inf", &d));
}

TEST(format_for_people)
{
    char buf[32];
    CHECK_STR(adze_format_bytes(buf, 12345678), "12.3 MB");
    CHECK_STR(adze_format_bytes(buf, 512), "512 B");
    CHECK_STR(adze_format_bytes(buf, 999999), "1.00 MB");
    CHECK_STR(adze_format_bytes(buf, 99990), "100 KB");
    CHECK_STR(adze_format_count(buf, 1234567), "1.23 M");
    CHECK_STR(adze_format_count(buf, 0), "0");
}

TEST(globs)
{
    CHECK(adze_glob_match("*", ""));
    CHECK(adze_glob_match("blk.*.attn_?.weight", "blk.12.attn_q.weight"));
    CHECK(!adze_glob_match("blk.*.attn_?.weight", "blk.12.attn_qk.weight"));
    CHECK(adze_glob_match("a*b*c", "aXbYbZc") && !adze_glob_match("a*b*c", "aXbYbZ"));
    CHECK(!adze_glob_match("", "x") && adze_glob_match("", ""));
    char long_text[4001]; /* exponential matchers never end here */
    memset(long_text, 'a', 4000);
    long_text[4000] = 0;
    CHECK(!adze_glob_match("*a*a*a*a*a*a*a*a*a*a*a*b", long_text));
    CHECK(adze_ends_with("model.onnx", ".onnx") && !adze_ends_with("x", ".onnx"));
}

TEST(utf8_prefix)
{
    CHECK_EQ(adze_utf8_valid_prefix("abc", 3), 3);
    CHECK_EQ(adze_utf8_valid_prefix("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9), 9);
    CHECK_EQ(adze_utf8_valid_prefix("a\xe2\x82", 3), 1);        /* cut off */
    CHECK_EQ(adze_utf8_valid_prefix("a\xc0\x80", 3), 1);        /* overlong */
    CHECK_EQ(adze_utf8_valid_prefix("\xed\xa0\x80", 3), 0);     /* surrogate */
    CHECK_EQ(adze_utf8_valid_prefix("\xf4\x90\x80\x80", 4), 0); /* past U+10FFFF */
    CHECK_EQ(adze_utf8_valid_prefix("\xff", 1), 0);
}

TEST(cursor_reads_and_stops)
{
    void *base;
    uint8_t *bytes = test_guard_alloc(16, &base);
    for (int i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(i + 1);
    adze_cursor c = adze_cursor_over(bytes, 16);
    CHECK_EQ(adze_cursor_u8(&c), 1);
    CHECK_EQ(adze_cursor_u16le(&c), 0x0302);
    CHECK_EQ(adze_cursor_u32le(&c), 0x07060504);
    CHECK_EQ(adze_cursor_u32be(&c), 0x08090a0b);
    CHECK_EQ(adze_cursor_left(&c), 5);
    CHECK_EQ(adze_cursor_u64le(&c), 0);
    CHECK(c.failed);
    CHECK_EQ(adze_cursor_offset(&c), 11);
    CHECK_EQ(adze_cursor_u8(&c), 0); /* a failed cursor stays failed */
    c = adze_cursor_over(bytes, 16);
    adze_cursor sub = adze_cursor_sub(&c, 4);
    CHECK_EQ(adze_cursor_left(&sub), 4);
    CHECK_EQ(adze_cursor_offset(&c), 4);
    CHECK(adze_cursor_bytes(&c, UINT64_MAX) == NULL);
    sub = adze_cursor_sub(&c, 1);
    CHECK(sub.failed && adze_cursor_left(&sub) == 0);
    c = adze_cursor_over(NULL, 0);
    CHECK_EQ(adze_cursor_f32le(&c), 0);
    CHECK(c.failed);
    test_guard_free(base);
}

TEST(cursor_varint)
{
    static const uint8_t good[] = {0x96, 0x01, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 1};
    adze_cursor c = adze_cursor_over(good, sizeof good);
    CHECK_EQ(adze_cursor_varint(&c), 150);
    CHECK(adze_cursor_varint(&c) == UINT64_MAX && !c.failed);
    static const uint8_t wide[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    c = adze_cursor_over(wide, sizeof wide);
    CHECK(adze_cursor_varint(&c) == 0 && c.failed && adze_cursor_offset(&c) == 0);
    c = adze_cursor_over("\x80", 1);
    CHECK(adze_cursor_varint(&c) == 0 && c.failed);
}

TEST(map_agrees_with_a_plain_table)
{
    enum { KEYS = 500 };
    static int values[KEYS];
    bool present[KEYS] = {false};
    adze_arena arena = {0};
    adze_map map = adze_map_in(&arena);
    CHECK(adze_map_get(&map, "none") == NULL && !adze_map_has(&map, "none"));
    uint64_t seed = 3;
    for (int i = 0; i < 20000; i++) {
        int k = (int)(test_random(&seed) % KEYS);
        char key[16];
        snprintf(key, sizeof key, "key%d", k);
        if (test_random(&seed) % 2) {
            CHECK(adze_map_set(&map, key, &values[k]));
            present[k] = true;
        } else {
            adze_map_remove(&map, key);
            present[k] = false;
        }
        int probe = (int)(test_random(&seed) % KEYS);
        snprintf(key, sizeof key, "key%d", probe);
        CHECK(adze_map_get(&map, key) == (present[probe] ? &values[probe] : NULL));
    }
    CHECK(adze_map_set(&map, "null", NULL) && adze_map_has(&map, "null"));
    adze_arena_free(&arena);
}

TEST(map_survives_lack_of_memory)
{
    for (long n = 1; n < 20; n++) {
        adze_arena arena = {0};
        adze_map map = adze_map_in(&arena);
        adze_alloc_fail_after(n);
        int stored = 0;
        char key[16];
        for (int i = 0; i < 3000; i++) {
            snprintf(key, sizeof key, "%d", i);
            if (!adze_map_set(&map, key, &map))
                break;
            stored++;
        }
        adze_alloc_fail_after(0);
        for (int i = 0; i < stored; i++) {
            snprintf(key, sizeof key, "%d", i);
            CHECK(adze_map_has(&map, key));
        }
        adze_arena_free(&arena);
    }
}

static const char *sha256(const char *text, size_t repeat)
{
    static char hex[65];
    adze_sha256 sha;
    adze_sha256_init(&sha);
    for (size_t i = 0; i < repeat; i++)
        adze_sha256_add(&sha, text, strlen(text));
    adze_sha256_hex(&sha, hex);
    return hex;
}

TEST(sha256_known_values) /* FIPS 180-4 examples */
{
    CHECK_STR(sha256("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_STR(sha256("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_STR(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK_STR(sha256("aaaaaaaaaa", 100000),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256_in_any_pieces)
{
    unsigned char bytes[300];
    test_random_bytes(bytes, sizeof bytes, 5);
    for (size_t size = 0; size < sizeof bytes; size += 13) {
        char whole[65], pieces[65];
        adze_sha256 sha;
        adze_sha256_init(&sha);
        adze_sha256_add(&sha, bytes, size);
        adze_sha256_hex(&sha, whole);
        adze_sha256_init(&sha);
        for (size_t at = 0; at < size;) {
            size_t step = ADZE_MIN((at * 7 + 1) % 70 + 1, size - at);
            adze_sha256_add(&sha, bytes + at, step);
            at += step;
        }
        adze_sha256_hex(&sha, pieces);
        CHECK_STR(pieces, whole);
    }
}

TEST(rng_known_values) /* xoshiro256** after splitmix64(0), as in the authors' C code */
{
    adze_rng rng = adze_rng_seed(0);
    CHECK(adze_rng_u64(&rng) == 11091344671253066420u);
    CHECK(adze_rng_u64(&rng) == 13793997310169335082u);
    CHECK(adze_rng_u64(&rng) == 1900383378846508768u);
}

TEST(rng_distributions)
{
    adze_rng rng = adze_rng_seed(7);
    long seen[10] = {0};
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        seen[adze_rng_below(&rng, 10)]++;
        double x = adze_rng_normal(&rng), u = adze_rng_f64(&rng);
        CHECK(u >= 0 && u < 1);
        sum += x;
        squares += x * x;
    }
    for (int i = 0; i < 10; i++)
        CHECK_NEAR((double)seen[i], 10000, 500);
    CHECK_NEAR(sum / 100000, 0, 0.02);
    CHECK_NEAR(squares / 100000, 1, 0.02);
    CHECK_EQ(adze_rng_below(&rng, 1), 0);
}
