/* Any bytes as a GGUF language model: refused with a message, or opened (configuration, tokenizer, names and shapes of
 * weights, graphs), computed for a few tokens where it is small, its tokenizer written as tokenizer.json and
 * read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "adze/llm.h"
#include "base/file.h"
#include "fuzz.h"
#include "llm/tokenizer.h"

static adze_context *context;
static char folder[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ADZE_UNUSED(argc);
    ADZE_UNUSED(argv);
    context = fuzz_context(NULL);
    (void)fuzz_path(folder, "");
    return adze_folder_make(folder, NULL) == ADZE_OK ? 0 : 1;
}

static int64_t encode(const adze_tokenizer *t, int32_t *ids, int64_t most)
{
    static const char text[] = "ab <s> 12\n\xE2\x96\x81\xF0\x9F\x98\x80\xFF";
    static const adze_encode_options all = {.special = true, .ends = true};
    adze_error err = {0};
    int32_t *found;
    int64_t count;
    char *back;
    size_t length;
    if (!fuzz_done(adze_tokenizer_encode(t, &found, &count, text, sizeof text - 1, &all, &err),
                   &err))
        return 0;
    if (fuzz_done(adze_tokenizer_decode(t, &back, &length, found, count, true, &err), &err))
        adze_string_free(&back);
    count = ADZE_MIN(count, most);
    if (count)
        memcpy(ids, found, (size_t)count * sizeof *ids);
    adze_tokens_free(&found);
    return count;
}

static void compute(const adze_engine *engine)
{
    enum { MOST = 4 };
    int32_t ids[MOST] = {0};
    const float *logits;
    adze_error err = {0};
    adze_chat *chat;
    const adze_tokenizer *t = adze_engine_tokenizer(engine);
    int64_t count = t ? encode(t, ids, MOST) : 1;
    if (adze_engine_is_encoder(engine)) {
        float *out = adze_alloc((size_t)adze_engine_width(engine) + 1, sizeof *out);
        for (int64_t i = 0; i < count; i++)
            ids[i] = 0;
        if (out && count)
            (void)fuzz_done(adze_engine_embed(engine, out, ids, count, &err), &err);
        adze_free(out);
        return;
    }
    if (!fuzz_done(adze_chat_open(&chat, engine, NULL, &err), &err))
        return;
    if (fuzz_done(adze_chat_append(chat, ids, count, &err), &err) && count)
        (void)fuzz_done(adze_chat_logits(chat, &logits, &err), &err);
    adze_chat_close(&chat);
}

/* Vocabulary to folder and back to metadata: written, or refused with a word. */
static void convert_tokenizer(const char *path)
{
    adze_arena arena = {0};
    adze_gguf_meta meta;
    adze_error err = {0};
    adze_gguf *gguf;
    if (!fuzz_done(adze_gguf_open_header(&gguf, path, &err), &err))
        return;
    adze_gguf_meta_init(&meta, &arena);
    if (fuzz_done(adze_tokenizer_write_folder(&gguf->meta, path, folder, &err), &err))
        (void)fuzz_done(adze_tokenizer_meta_from_folder(&meta, folder, &err), &err);
    adze_gguf_close(&gguf);
    adze_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const adze_engine_options small = {.context = 8, .batch = 4};
    char path[64];
    adze_error err = {0};
    adze_engine *engine;
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    convert_tokenizer(path);
    if (fuzz_done(adze_engine_open(&engine, context, path, &small, &err), &err)) {
        compute(engine);
        adze_engine_close(&engine);
    }
    (void)close(fd);
    return 0;
}
