/* Models changed as structures (mutate_onnx.c), read, inferred, rewritten, planned and run on inputs, at each CPU level, with
 * and without fusing, within limits of memory and time. At the end it says which share ran to its end; with
 * ADZE_FUZZ_WHY=1 also why the others did not.
 *
 * With ADZE_FUZZ_CASES=FOLDER (of ONNX test cases) and ADZE_FUZZ_SEEDS=FOLDER it only makes seeds: each case's model
 * with its inputs as constants beside it (MUTATE_FEED). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adze/session.h"
#include "execute_model.h"
#include "fuzz.h"
#include "model/onnx_import.h"
#include "mutate_onnx.h"

#define MOST_SECONDS 2.0

static adze_context *contexts[3];
static int context_count;
static long tried, executed;
static bool tell_why;

/* ---- seeds ---- */

static void write_model(const adze_onnx_model *model, const char *path)
{
    adze_error err = {0};
    fuzz_must(adze_onnx_write(model, path, NULL, &err) == ADZE_OK, "write", &err);
}

static void add_feeds(adze_onnx_model *model, const char *folder, adze_arena *arena)
{
    adze_onnx_graph *g = &model->graph;
    adze_onnx_tensor *all = ADZE_ARENA_ARRAY(arena, adze_onnx_tensor,
                                             (size_t)(g->initializer_count + g->input_count) + 1);
    if (!all)
        return;
    if (g->initializer_count)
        memcpy(all, g->initializers, (size_t)g->initializer_count * sizeof *all);
    g->initializers = all;
    for (int i = 0; i < g->input_count; i++) {
        const char *path = adze_arena_printf(arena, "%s/test_data_set_0/input_%d.pb", folder, i);
        char *bytes;
        size_t size;
        if (g->inputs[i].type.kind != ADZE_ONNX_TENSOR ||
            adze_file_read(&bytes, &size, path, 1 << 20, NULL) != ADZE_OK)
            continue;
        void *kept = adze_arena_memdup(arena, bytes, size);
        adze_onnx_tensor *t = &all[g->initializer_count];
        adze_free(bytes);
        if (kept && adze_onnx_parse_tensor(t, kept, size, arena, NULL) == ADZE_OK) {
            t->name = adze_arena_printf(arena, MUTATE_FEED "%s", g->inputs[i].name);
            g->initializer_count++;
        }
    }
}

static void make_seeds(const char *cases, const char *seeds)
{
    adze_arena arena = {0};
    char **names;
    int count;
    adze_error err = {0};
    fuzz_must(adze_folder_list(&names, &count, cases, &arena, &err) == ADZE_OK, "cases", &err);
    fuzz_must(adze_folder_make(seeds, &err) == ADZE_OK, "seeds", &err);
    for (int i = 0; i < count; i++) {
        const char *folder = adze_path_join(&arena, cases, names[i]);
        adze_onnx_model *model;
        if (adze_onnx_read(&model, adze_path_join(&arena, folder, "model.onnx"), &arena, NULL) !=
            ADZE_OK)
            continue;
        add_feeds(model, folder, &arena);
        if (adze_onnx_measure(model) <= 16384)
            write_model(model, adze_arena_printf(&arena, "%s/%s.onnx", seeds, names[i]));
        adze_onnx_close(model);
    }
    adze_arena_free(&arena);
}

/* ---- the fuzzer's own calls ---- */

typedef struct model_bytes {
    const uint8_t *data;
    size_t size;
} model_bytes;

static void report(void)
{
    char path[64];
    (void)unlink(fuzz_path(path, ".onnx"));
    (void)fprintf(stderr, "executed: %ld of %ld (%.1f %%)\n", executed, tried,
                  tried ? 100.0 * (double)executed / (double)tried : 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    const char *cases = getenv("ADZE_FUZZ_CASES"), *seeds = getenv("ADZE_FUZZ_SEEDS");
    ADZE_UNUSED(argc);
    ADZE_UNUSED(argv);
    if (cases && seeds) {
        make_seeds(cases, seeds);
        exit(0);
    }
    tell_why = getenv("ADZE_FUZZ_WHY") != NULL;
    for (int i = 0; i < (int)ADZE_COUNT_OF(levels); i++)
        if ((contexts[context_count] = fuzz_context(levels[i])) != NULL)
            context_count++;
    return atexit(report);
}

/* The model written into `out`; 0 when it is too large. Its file stays until the next: should planning it stop the
 * fuzzer, that is what it looked at. */
static size_t put_model(uint8_t *out, size_t most, const adze_onnx_model *model)
{
    char path[64], *bytes;
    size_t size;
    adze_error err = {0};
    if (adze_onnx_measure(model) > most)
        return 0;
    write_model(model, fuzz_path(path, ".onnx"));
    fuzz_must(adze_file_read(&bytes, &size, path, most, &err) == ADZE_OK, "file", &err);
    memcpy(out, bytes, size);
    adze_free(bytes);
    return size;
}

/* The first model, changed or joined to the second, in `out`; 0 when it is too large. */
static size_t change(uint8_t *out, size_t most, const model_bytes *of, adze_rng *rng)
{
    adze_arena arena = {0};
    adze_onnx_model *model = NULL, *second = NULL;
    bool read = adze_onnx_parse(&model, of[0].data, of[0].size, NULL, &arena, NULL) == ADZE_OK;
    if (!read || adze_rng_below(rng, 256) == 0)
        model = mutate_fresh(&arena, rng);
    if (model && of[1].size &&
        adze_onnx_parse(&second, of[1].data, of[1].size, NULL, &arena, NULL) == ADZE_OK)
        mutate_join(model, second, &arena, rng);
    else
        for (uint64_t i = 0; model && i <= adze_rng_below(rng, 3); i++)
            mutate_model(model, &arena, rng);
    size_t written = model ? put_model(out, most, model) : 0;
    adze_onnx_close(model);
    adze_onnx_close(second);
    adze_arena_free(&arena);
    return written;
}

static bool can_be_planned(const uint8_t *data, size_t size)
{
    adze_model *model = NULL;
    adze_plan *plan = NULL;
    bool can = adze_model_open_bytes(&model, contexts[0], data, size, NULL) == ADZE_OK &&
               adze_plan_create(&plan, adze_model_graph(model), NULL, NULL) == ADZE_OK;
    adze_plan_free(&plan);
    adze_model_close(&model);
    return can;
}

/* Of a few changes mostly the first that can be planned: what is refused has nothing to be changed further. */
static size_t try_changes(uint8_t *out, size_t most, const model_bytes *of, unsigned seed)
{
    adze_rng rng = adze_rng_seed(seed);
    uint64_t tries = adze_rng_below(&rng, 8) ? 8 : 1;
    size_t written = 0;
    for (uint64_t i = 0; i < tries; i++) {
        written = change(out, most, of, &rng);
        if (written && can_be_planned(out, written))
            break;
    }
    return written;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    model_bytes of[2] = {{data, size}};
    uint8_t *changed = malloc(most);
    size_t written = changed ? try_changes(changed, most, of, seed) : 0;
    if (written)
        memcpy(data, changed, written);
    free(changed);
    return written ? written : ADZE_MIN(size, most);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed)
{
    return try_changes(out, most, (model_bytes[]){{a, a_size}, {b, b_size}}, seed);
}

/* ---- running ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    adze_error err = {0};
    uint64_t seed = 14695981039346656037U;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 1099511628211U;
    seed ^= seed >> 29;
    execute_options how = {.fuse = seed / 4 % 3 != 0, .keep_all = seed / 4 % 5 == 0, .seed = seed};
    /* Now and then stopped somewhere inside. */
    how.seconds = seed / 64 % 16 == 0 ? 1e-5 * (double)(seed / 1024 % 64) : MOST_SECONDS;
    bool done = fuzz_done(
        execute_model(contexts[seed % (uint64_t)context_count], data, size, &how, &err), &err);
    tried++;
    executed += done;
    if (!done && tell_why)
        (void)fprintf(stderr, "why: %s\n", err.message);
    /* Most of what is refused is to teach nothing, else the corpus fills with ways to be refused. */
    if (!done && seed % 8)
        fuzz_forget();
    return 0;
}
