/* safetensors: what we write comes back, folders and shards open as one, what is malformed gives one error. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "base/json.h"
#include "formats/safetensors.h"
#include "test.h"

/* A file with this header and so many bytes of data: 0, 1, 2, ... */
static const char *save(const char *name, const char *header, size_t data_size)
{
    const char *path = test_tmpfile(name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    for (int i = 0; i < 8; i++)
        CHECK(fputc((int)(strlen(header) >> (8 * i) & 255), file) != EOF);
    CHECK_EQ(fwrite(header, 1, strlen(header), file), strlen(header));
    for (size_t i = 0; i < data_size; i++)
        CHECK(fputc((int)(i & 255), file) != EOF);
    CHECK_EQ(fclose(file), 0);
    return path;
}

static const char *save_text(const char *name, const char *text)
{
    const char *path = test_tmpfile(name);
    CHECK_OK(adze_file_write(path, text, strlen(text), NULL), NULL);
    return path;
}

static adze_safetensors *open_file(const char *path)
{
    adze_safetensors *file = NULL;
    adze_error err;
    CHECK_OK(adze_safetensors_open(&file, path, &err), &err);
    return file;
}

static void refuse_file(const char *path, adze_status status, const char *words)
{
    adze_safetensors *file = NULL;
    adze_error err;
    CHECK_FAILS(adze_safetensors_open(&file, path, &err), status, &err);
    CHECK(!file);
    if (!strstr(err.message, words))
        FAIL("expected '%s' in: %s", words, err.message);
}

static void refuse(const char *header, size_t data_size, adze_status status, const char *words)
{
    refuse_file(save("t.safetensors", header, data_size), status, words);
}

static void touch(const adze_safetensors *file)
{
    volatile uint8_t sum = 0;
    for (int i = 0; i < file->count; i++)
        for (size_t k = 0; k < file->tensors[i].tensor.size; k++)
            sum = (uint8_t)(sum + ((const uint8_t *)file->tensors[i].tensor.data)[k]);
}

TEST(one_file)
{
    adze_safetensors *file = open_file(
        save("t.safetensors",
             " {\"w\":{\"data_offsets\":[1,13],\"dtype\":\"F32\",\"shape\":[1,3],\"more\":[]},"
             "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},"
             "\"none\":{\"dtype\":\"F16\",\"shape\":[5,0],\"data_offsets\":[13,13]},"
             "\"__metadata__\":{\"format\":\"pt\",\"\":\"x\"}}  ",
             13));
    CHECK_EQ(file->count, 3);
    CHECK_STR(file->tensors[0].name, "b");
    CHECK_STR(file->tensors[1].name, "none");
    CHECK_STR(file->tensors[2].name, "w");
    const adze_tensor *w = adze_safetensors_find(file, "w");
    CHECK(w == &file->tensors[2].tensor);
    CHECK_EQ(w->dtype, ADZE_F32);
    CHECK_EQ(w->rank, 2);
    CHECK_EQ(w->dims[1], 3);
    CHECK_EQ(w->size, 12);
    CHECK_BYTES(w->data, "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
    CHECK_EQ(adze_safetensors_find(file, "b")->rank, 0);
    CHECK_EQ(adze_safetensors_find(file, "none")->size, 0);
    CHECK(!adze_safetensors_find(file, "__metadata__"));
    CHECK(file->tensors[0].mapping == file->mappings[0]);
    CHECK_STR(adze_map_get(&file->metadata, "format"), "pt");
    CHECK_EQ(file->file_size, adze_file_size(test_tmpfile("t.safetensors")));
    adze_safetensors_close(&file);
    CHECK(!file);
    adze_safetensors_close(&file);
}

TEST(bad_headers)
{
    refuse("", 0, ADZE_BAD_FILE, "header is not valid JSON");
    refuse("[]", 0, ADZE_BAD_FILE, "expected a JSON object");
    refuse("{} x", 0, ADZE_BAD_FILE, "at byte 12: header is not valid JSON");
    refuse("{}", 1, ADZE_BAD_FILE, "expected 0 bytes of tensors after the header, found 1");
    refuse("{\"a\":1}", 0, ADZE_BAD_FILE, "tensor 'a': expected an object");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, ADZE_BAD_FILE,
           "__metadata__: 'a': expected a string");
    refuse("{\"__metadata__\":[]}", 0, ADZE_BAD_FILE, "__metadata__: expected an object");
    refuse("{\"a\\u0000b\":{}}", 0, ADZE_BAD_FILE, "header is not valid JSON");
    const char *twice = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                        "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
    refuse(twice, 2, ADZE_BAD_FILE, "duplicate object key");
    refuse_file(save_text("p", "version https://git-lfs.github.com/spec/v1\n"), ADZE_BAD_FILE,
                "git lfs pull");
    refuse_file(save_text("p", "1234567"), ADZE_BAD_FILE, "at least 8 bytes");
    refuse_file(save_text("p", "12345678"), ADZE_BAD_FILE, "not a safetensors file");
    refuse_file(test_tmpfile("absent"), ADZE_NOT_FOUND, "absent");
}

TEST(bad_tensors)
{
    static const struct {
        const char *info;
        adze_status status;
        const char *words;
    } cases[] = {
        {"'shape':[1],'data_offsets':[0,4]", ADZE_BAD_FILE, "expected a \"dtype\""},
        {"'dtype':'F32','data_offsets':[0,4]", ADZE_BAD_FILE, "expected a \"shape\""},
        {"'dtype':'F32','shape':[1]", ADZE_BAD_FILE, "expected \"data_offsets\""},
        {"'dtype':'F32','shape':[1],'data_offsets':[0]", ADZE_BAD_FILE, "\"data_offsets\""},
        {"'dtype':'F32','shape':[1],'data_offsets':[0,4,4]", ADZE_BAD_FILE, "\"data_offsets\""},
        {"'dtype':'F32','shape':[1],'data_offsets':[0,4.0]", ADZE_BAD_FILE, "\"data_offsets\""},
        {"'dtype':'F6_E2M3','shape':[4],'data_offsets':[0,4]", ADZE_UNSUPPORTED, "'F6_E2M3'"},
        {"'dtype':'F32','shape':[-1],'data_offsets':[0,4]", ADZE_BAD_FILE, "none negative"},
        {"'dtype':'F32','shape':[1.5],'data_offsets':[0,4]", ADZE_BAD_FILE, "whole numbers"},
        {"'dtype':'F32','shape':[1,1,1,1,1,1,1,1,1],'data_offsets':[0,4]", ADZE_UNSUPPORTED,
         "9 axes"},
        {"'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,4]", ADZE_BAD_FILE,
         "not a possible shape"},
        {"'dtype':'F4','shape':[7],'data_offsets':[0,4]", ADZE_BAD_FILE, "not a possible shape"},
        {"'dtype':'F32','shape':[1],'data_offsets':[4,0]", ADZE_BAD_FILE,
         "found data_offsets [4, 0]"},
        {"'dtype':'F32','shape':[1],'data_offsets':[-4,0]", ADZE_BAD_FILE, "[-4, 0]"},
        {"'dtype':'F32','shape':[2],'data_offsets':[0,4]", ADZE_BAD_FILE,
         "expected 8 bytes for float32"},
        {"'dtype':'F32','shape':[2],'data_offsets':[0,8]", ADZE_BAD_FILE, "cut off: tensor 'w'"},
        {"'dtype':'U8','shape':[3],'data_offsets':[1,4]", ADZE_BAD_FILE, "there is a hole"},
        {"'dtype':'U8','shape':[3],'data_offsets':[0,3]", ADZE_BAD_FILE, "found 4"},
        {"'dtype':'U8','shape':[1],'data_offsets':[9223372036854775806,9223372036854775807]",
         ADZE_BAD_FILE, "cut off"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[256];
        snprintf(header, sizeof header, "{'w':{%s}}", cases[i].info);
        for (char *at = header; *at; at++)
            *at = *at == '\'' ? '"' : *at;
        refuse(header, 4, cases[i].status, cases[i].words);
        refuse(header, 4, cases[i].status, "t.safetensors: ");
    }
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
           4, ADZE_BAD_FILE, "they overlap");
}

/* ---- shards ---- */

static const char *const first = "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                                 "\"c\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[2,3]},"
                                 "\"__metadata__\":{\"format\":\"pt\"}}";
static const char *const second = "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                  "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";

TEST(shards_through_their_index)
{
    save("1.safetensors", first, 3);
    save("2.safetensors", second, 2);
    const char *index = save_text("model.safetensors.index.json",
                                  "{\"metadata\":{\"total_size\":6},\"weight_map\":{"
                                  "\"c\":\"1.safetensors\",\"b\":\"2.safetensors\","
                                  "\"a\":\"1.safetensors\"}}");
    const char *paths[] = {index, test_tmpdir()};
    for (int i = 0; i < 2; i++) {
        adze_safetensors *file = open_file(paths[i]);
        CHECK_STR(file->path, paths[i]);
        CHECK_EQ(file->mapping_count, 2);
        CHECK_EQ(file->count, 3); /* the second a is not in the index */
        CHECK_STR(file->tensors[0].name, "a");
        CHECK_EQ(file->tensors[0].tensor.dims[0], 2);
        CHECK_EQ(adze_safetensors_find(file, "b")->dtype, ADZE_U8);
        CHECK_STR(adze_map_get(&file->metadata, "format"), "pt");
        CHECK_EQ(file->file_size, adze_file_size(test_tmpfile("1.safetensors")) +
                                      adze_file_size(test_tmpfile("2.safetensors")));
        touch(file);
        adze_safetensors_close(&file);
    }
    save("model.safetensors", second, 2); /* one whole file comes first */
    adze_safetensors *file = open_file(test_tmpdir());
    CHECK_EQ(file->count, 2);
    adze_safetensors_close(&file);
}

TEST(bad_indexes)
{
    char text[512];
    static const char *const outside[] = {"../1.safetensors", "/etc/passwd", "x/../../y", "..", ""};
    refuse_file(test_tmpdir(), ADZE_NOT_FOUND,
                "expected model.safetensors or model.safetensors.index.json");
    save("1.safetensors", first, 3);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", outside[i]);
        refuse_file(save_text("i.json", text), ADZE_BAD_FILE, "expected a file beside the index");
    }
    refuse_file(save_text("i.json", "{\"weight_map\":{\"a\":7}}"), ADZE_BAD_FILE,
                "expected a file beside the index");
    refuse_file(save_text("i.json", "{\"weight_map\":{}}"), ADZE_BAD_FILE,
                "expected \"weight_map\"");
    refuse_file(save_text("i.json", "{}"), ADZE_BAD_FILE, "expected \"weight_map\"");
    refuse_file(save_text("i.json", "[]"), ADZE_BAD_FILE, "expected \"weight_map\"");
    refuse_file(save_text("i.json",
                          "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\","
                          "\"d\":\"3.safetensors\"}}"),
                ADZE_NOT_FOUND, "2.safetensors: missing; ");
    refuse_file(test_tmpfile("i.json"), ADZE_NOT_FOUND, "names 3 files, of which 2 are not there");
    refuse_file(
        save_text("i.json", "{\"weight_map\":{\"a\":\"1.safetensors\",\"z\":\"1.safetensors\"}}"),
        ADZE_BAD_FILE, "tensor 'z' is said to lie in");
    save("2.safetensors", first, 2);
    refuse_file(
        save_text("i.json", "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}}"),
        ADZE_BAD_FILE, "2.safetensors: cut off");
}

/* ---- writing ---- */

typedef struct source {
    uint8_t bytes[64][256];
    int calls;
    int fail_at; /* plan, -1: never */
} source;

static adze_status give(void *user, int i, uint64_t offset, void *to, size_t size, adze_error *err)
{
    source *s = user;
    s->calls++;
    if (i == s->fail_at) {
        if (err)
            snprintf(err->message, sizeof err->message, "the source is gone");
        return ADZE_IO;
    }
    memcpy(to, s->bytes[i] + offset, size);
    return ADZE_OK;
}

static int make_plans(adze_safetensor_plan *plans)
{
    static const adze_dtype dtypes[] = {
        ADZE_U8,         ADZE_I8,         ADZE_U16,    ADZE_I16,      ADZE_U32,
        ADZE_I32,        ADZE_U64,        ADZE_I64,    ADZE_F16,      ADZE_BF16,
        ADZE_F32,        ADZE_F64,        ADZE_BOOL,   ADZE_F8E4M3FN, ADZE_F8E5M2,
        ADZE_F8E4M3FNUZ, ADZE_F8E5M2FNUZ, ADZE_F8E8M0, ADZE_F4E2M1,   ADZE_C64};
    int count = 0;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        plans[count++] = (adze_safetensor_plan){.name = adze_dtype_describe(dtypes[i])->name,
                                                .dtype = dtypes[i],
                                                .rank = 2,
                                                .dims = {3, 2}};
    plans[count++] = (adze_safetensor_plan){.name = "scalar", .dtype = ADZE_F32};
    plans[count++] = (adze_safetensor_plan){
        .name = "deep", .dtype = ADZE_U8, .rank = 8, .dims = {1, 2, 1, 3, 1, 1, 1, 5}};
    plans[count++] =
        (adze_safetensor_plan){.name = "none", .dtype = ADZE_F64, .rank = 2, .dims = {0, 9}};
    plans[count++] = (adze_safetensor_plan){
        .name = "\xe2\x82\xac \"quoted\" \\ /../ \x01", .dtype = ADZE_U8, .rank = 1, .dims = {1}};
    plans[count++] = (adze_safetensor_plan){.name = "", .dtype = ADZE_U8, .rank = 1, .dims = {1}};
    return count;
}

TEST(all_types_come_back)
{
    static source s = {.fail_at = -1};
    adze_safetensor_plan plans[64];
    adze_error err;
    int count = make_plans(plans);
    test_random_bytes(s.bytes, sizeof s.bytes, 7);
    const char *path = test_tmpfile("a.safetensors");
    CHECK_OK(adze_safetensors_write(path, plans, count, give, &s, &err), &err);
    CHECK_EQ(s.calls, count - 1); /* one is empty */
    adze_safetensors *file = open_file(path);
    CHECK_EQ(file->count, count);
    CHECK_STR(adze_map_get(&file->metadata, "format"), "pt");
    for (int i = 0; i < count; i++) {
        const adze_tensor *t = adze_safetensors_find(file, plans[i].name);
        CHECK(t != NULL);
        CHECK_EQ(t->dtype, plans[i].dtype);
        CHECK_EQ(t->rank, plans[i].rank);
        for (int k = 0; k < t->rank; k++)
            CHECK_EQ(t->dims[k], plans[i].dims[k]);
        CHECK_EQ(t->size, plans[i].size);
        CHECK_BYTES(t->data, s.bytes[i], t->size);
    }
    CHECK_EQ((uintptr_t)adze_safetensors_find(file, "uint8")->data % 8, 0); /* the first */
    adze_safetensors_close(&file);
}

static adze_status give_offsets(void *user, int i, uint64_t offset, void *to, size_t size,
                                adze_error *err)
{
    uint64_t *next = user;
    CHECK_EQ(i, 0);
    CHECK_EQ(offset, *next);
    CHECK_EQ(offset % 8, 0);
    for (size_t k = 0; k < size / 8; k++)
        ((uint64_t *)to)[k] = offset / 8 + k;
    *next += size;
    (void)err;
    return ADZE_OK;
}

TEST(large_tensors_are_streamed)
{
    enum { COUNT = 400000 };
    adze_safetensor_plan plan = {.name = "w", .dtype = ADZE_U64, .rank = 1, .dims = {COUNT}};
    uint64_t next = 0;
    adze_error err;
    const char *path = test_tmpfile("large.safetensors");
    CHECK_OK(adze_safetensors_write(path, &plan, 1, give_offsets, &next, &err), &err);
    CHECK_EQ(next, COUNT * 8);
    adze_safetensors *file = open_file(path);
    for (uint64_t i = 0; i < COUNT; i++)
        CHECK_EQ(((const uint64_t *)file->tensors[0].tensor.data)[i], i);
    adze_safetensors_close(&file);
}

TEST(the_writer_refuses)
{
    static source s = {.fail_at = -1};
    static const struct {
        adze_safetensor_plan plan;
        adze_status status;
        const char *words;
    } cases[] = {
        {{"q", ADZE_Q4_K, 1, {256}, 0}, ADZE_UNSUPPORTED, "safetensors has no type q4_K"},
        {{"q", ADZE_F32, 1, {-1}, 0}, ADZE_BAD_ARGUMENT, "'q': not a possible shape"},
        {{"q", ADZE_F4E2M1, 1, {3}, 0}, ADZE_BAD_ARGUMENT, "'q': not a possible shape"},
        {{"q", ADZE_U8, 2, {INT64_MAX, 1}, 0}, ADZE_BAD_ARGUMENT, "'q': not a possible shape"},
        {{"deep", ADZE_U8, 1, {1}, 0}, ADZE_BAD_ARGUMENT, "'deep' is to be written twice"},
        {{"__metadata__", ADZE_U8, 1, {1}, 0}, ADZE_BAD_ARGUMENT, "written twice"},
        {{"\xff", ADZE_U8, 1, {1}, 0}, ADZE_UNSUPPORTED, "valid UTF-8"},
    };
    adze_safetensor_plan plans[64];
    adze_error err;
    const char *path = test_tmpfile("no.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = make_plans(plans);
        plans[count++] = cases[i].plan;
        CHECK_FAILS(adze_safetensors_write(path, plans, count, give, &s, &err), cases[i].status,
                    &err);
        CHECK(strstr(err.message, cases[i].words) != NULL);
        CHECK(strstr(err.message, path) != NULL);
    }
    s.fail_at = 3;
    CHECK_FAILS(adze_safetensors_write(path, plans, make_plans(plans), give, &s, &err), ADZE_IO,
                &err);
    CHECK(strstr(err.message, "the source is gone") != NULL);
    CHECK(!adze_file_exists(path));
    adze_arena arena = {0};
    char **names;
    int count;
    CHECK_OK(adze_folder_list(&names, &count, test_tmpdir(), &arena, &err), &err);
    CHECK_EQ(count, 0); /* nothing half-written stays */
    adze_arena_free(&arena);
}

/* ---- damage ---- */

TEST(cut_or_changed_anywhere)
{
    const char *path = save("d.safetensors", first, 3);
    int64_t size = adze_file_size(path);
    char *whole;
    size_t length;
    CHECK_OK(adze_file_read(&whole, &length, path, 4096, NULL), NULL);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    for (int64_t i = 0; i < size; i++) {
        static const char changes[] = {0x01, 0x10, 0x7f, 0x02};
        adze_safetensors *file;
        char changed = (char)(whole[i] ^ changes[i % 4]);
        CHECK_EQ(pwrite(fd, &changed, 1, (off_t)i), 1);
        if (adze_safetensors_open(&file, path, NULL) == ADZE_OK) {
            touch(file);
            adze_safetensors_close(&file);
        }
        CHECK_EQ(pwrite(fd, &whole[i], 1, (off_t)i), 1);
    }
    for (int64_t i = size - 1; i >= 0; i--) {
        CHECK_EQ(ftruncate(fd, (off_t)i), 0);
        refuse_file(path, ADZE_BAD_FILE, "d.safetensors");
    }
    CHECK_EQ(close(fd), 0);
    adze_free(whole);
}

TEST(no_memory)
{
    save("1.safetensors", first, 3);
    save("2.safetensors", second, 2);
    const char *path = save_text("i.json", "{\"weight_map\":{\"c\":\"1.safetensors\","
                                           "\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}}");
    adze_status status = ADZE_NO_MEMORY;
    for (long n = 1; status != ADZE_OK; n++) {
        adze_safetensors *file = NULL;
        CHECK(n < 200);
        adze_alloc_fail_after(n);
        status = adze_safetensors_open(&file, path, NULL);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || (status == ADZE_NO_MEMORY && !file));
        adze_safetensors_close(&file);
    }
}

/* ---- files of others ---- */

TEST(cases_of_the_reference)
{
    const char *root = test_need_unpacked("conformance/safetensors.tar.xz");
    char path[4096];
    json_t *index, *one;
    size_t i;
    int valid = 0, malformed = 0;
    snprintf(path, sizeof path, "%.3000s/safetensors/index.json", root);
    CHECK_OK(adze_json_load(&index, path, NULL), NULL);
    json_array_foreach(index, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "file"));
        bool load = strcmp(json_string_value(json_object_get(one, "expect")), "ok") == 0;
        adze_safetensors *file = NULL;
        adze_error err = {ADZE_OK, ""};
        snprintf(path, sizeof path, "%.3000s/safetensors/%.200s", root, name);
        adze_status status = adze_safetensors_open(&file, path, &err);
        if (status != (load ? ADZE_OK : ADZE_BAD_FILE))
            FAIL("%s: expected %s, got %s: %s", name, load ? "ok" : "an error",
                 adze_status_name(status), err.message);
        if (load)
            touch(file);
        valid += load;
        malformed += !load;
        adze_safetensors_close(&file);
    }
    json_decref(index);
    CHECK_EQ(valid, 5);
    CHECK_EQ(malformed, 12);
}
