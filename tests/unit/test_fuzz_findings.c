/* Models that broke something once, found by tests/fuzz/fuzz_execute.c: each is read, planned and run at each CPU level,
 * fused and not. What is wrong shows under the sanitizers (make asan). */
#include "../fuzz/execute_model.h"
#include "base/file.h"
#include "test.h"

static void execute_all(adze_context *context, const char *name, const char *bytes, size_t size)
{
    for (int i = 0; i < 4; i++) {
        execute_options how = {.fuse = i & 1, .keep_all = i & 2, .seconds = 2, .seed = 1};
        adze_error err = {0};
        adze_status status = execute_model(context, (const uint8_t *)bytes, size, &how, &err);
        if (status == ADZE_INTERNAL || (status != ADZE_OK && !err.message[0]))
            FAIL("%s: %s", name, err.message);
    }
}

TEST(fuzz_findings)
{
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    const char *folder = ADZE_SOURCE_DIR "/tests/fuzz/findings";
    adze_arena arena = {0};
    char **names;
    int count;
    CHECK_OK(adze_folder_list(&names, &count, folder, &arena, NULL), NULL);
    CHECK(count > 0);
    for (size_t l = 0; l < ADZE_COUNT_OF(levels); l++) {
        adze_context *context = NULL;
        adze_context_options options = {.threads = 1, .cpu_level = levels[l]};
        if (adze_context_open(&context, &options, NULL) != ADZE_OK)
            continue; /* not on this machine */
        for (int i = 0; i < count; i++) {
            char *bytes;
            size_t size;
            const char *path = adze_path_join(&arena, folder, names[i]);
            CHECK_OK(adze_file_read(&bytes, &size, path, 1 << 20, NULL), NULL);
            execute_all(context, names[i], bytes, size);
            adze_free(bytes);
        }
        adze_context_close(&context);
    }
    adze_arena_free(&arena);
}
