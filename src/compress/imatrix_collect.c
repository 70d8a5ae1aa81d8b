/* Running a model over text and adding up what its weights meet, as llama-imatrix does: chunks of one context,
 * each from an empty timeline, all tokens of a chunk counted. */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/map.h"
#include "base/text.h"
#include "compress/imatrix.h"

adze_imatrix_collect_options adze_imatrix_collect_options_default(void)
{
    return (adze_imatrix_collect_options){.context = ADZE_IMATRIX_CHUNK};
}

typedef struct collector {
    adze_imatrix *imatrix;
    bool output;
    adze_map experts; /* name of weights -> how many experts lie in it */
    adze_status status;
    adze_error error;
} collector;

/* Called while the model runs, which cannot fail: the first failure is kept. */
static void observe(void *user, const char *weights, int64_t expert, const float *x, int64_t tokens,
                    int64_t width)
{
    collector *c = user;
    bool wanted =
        adze_starts_with(weights, "blk.") || (c->output && strcmp(weights, "output.weight") == 0);
    if (!wanted || c->status != ADZE_OK)
        return;
    int64_t experts = expert < 0 ? 1 : (int64_t)(intptr_t)adze_map_get(&c->experts, weights);
    c->status = adze_imatrix_add(c->imatrix, weights, expert, experts, x, tokens, width, &c->error);
}

/* A tensor that holds several experts may be cut into parts: "name[...]". */
static bool note_experts(collector *c, adze_arena *arena, const adze_node *node)
{
    const adze_value *weights = adze_node_input(node, 1);
    const char *name = adze_value_name(weights);
    char *whole = adze_arena_strndup(arena, name, strcspn(name, "["));
    const adze_type *type = adze_value_type(weights);
    return whole && adze_map_set(&c->experts, whole, (void *)(intptr_t)type->dims[0]);
}

static bool list_experts(collector *c, adze_arena *arena, const adze_graph *graph)
{
    c->experts = adze_map_in(arena);
    for (int i = 0; i < adze_graph_node_count(graph); i++) {
        const adze_node *node = adze_graph_node(graph, i);
        if (strcmp(adze_node_op(node), "ExpertLinear") == 0 && !note_experts(c, arena, node))
            return false;
    }
    return true;
}

static int ignore(void *user, int64_t index, const float *logits)
{
    ADZE_UNUSED(user);
    ADZE_UNUSED(index);
    ADZE_UNUSED(logits);
    return 0;
}

static adze_status run_chunk(collector *c, adze_chat *chat, int32_t *chunk, int64_t n,
                             adze_error *err)
{
    adze_chat_rewind(chat, 0);
    ADZE_TRY(c->output ? adze_chat_score(chat, chunk, n, 0, ignore, NULL, err)
                       : adze_chat_append(chat, chunk, n, err));
    return c->status == ADZE_OK ? ADZE_OK : adze_fail(err, c->status, "%s", c->error.message);
}

static adze_status run_chunks(collector *c, adze_chat *chat, int32_t *chunk, const int32_t *ids,
                              int64_t chunks, int32_t bos,
                              const adze_imatrix_collect_options *options, adze_error *err)
{
    double start = adze_now();
    for (int64_t i = 0; i < chunks; i++) {
        memcpy(chunk, ids + i * options->context, (size_t)options->context * sizeof *chunk);
        if (bos >= 0)
            chunk[0] = bos;
        ADZE_TRY(run_chunk(c, chat, chunk, options->context, err));
        double done = (double)(i + 1), each = (adze_now() - start) / done;
        adze_llm_progress progress = {done / (double)chunks, each * ((double)chunks - done), ""};
        if (options->progress && !options->progress(options->user, &progress))
            return adze_fail(err, ADZE_CANCELLED, "stopped after %lld of %lld chunks",
                             (long long)(i + 1), (long long)chunks);
    }
    return ADZE_OK;
}

static adze_status collect(collector *c, const adze_engine *engine, const int32_t *ids,
                           int64_t chunks, const adze_imatrix_collect_options *options,
                           adze_error *err)
{
    adze_arena arena = {0};
    adze_chat *chat = NULL;
    const adze_chat_options how = {.observe = observe, .observe_user = c};
    const adze_tokenizer *tokenizer = adze_engine_tokenizer(engine);
    int32_t bos = tokenizer ? adze_tokenizer_special(tokenizer, ADZE_TOKEN_BOS) : -1;
    int32_t *chunk = ADZE_ARENA_ARRAY(&arena, int32_t, (size_t)options->context);
    bool fine = chunk && list_experts(c, &arena, adze_engine_graph(engine)) &&
                (!options->dataset ||
                 adze_imatrix_add_dataset(c->imatrix, options->dataset, strlen(options->dataset)));
    adze_status status = fine ? adze_chat_open(&chat, engine, &how, err)
                              : adze_fail(err, ADZE_NO_MEMORY, "no memory to collect importance");
    if (status == ADZE_OK)
        status = run_chunks(c, chat, chunk, ids, chunks, ids[0] == bos ? bos : -1, options, err);
    adze_chat_close(&chat);
    adze_arena_free(&arena);
    return status;
}

adze_status adze_imatrix_collect(adze_imatrix *imatrix, const adze_engine *engine,
                                 const int32_t *ids, int64_t count,
                                 const adze_imatrix_collect_options *options, adze_error *err)
{
    adze_imatrix_collect_options how = options ? *options : adze_imatrix_collect_options_default();
    collector c = {.imatrix = imatrix, .output = how.output};
    if (adze_engine_is_encoder(engine))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "importance matrices are collected from models that generate, not from "
                         "encoders (%s)",
                         adze_engine_architecture(engine));
    if (how.context < 1 || how.context > adze_engine_context(engine))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "chunks of %lld tokens: expected 1 to %lld",
                         (long long)how.context, (long long)adze_engine_context(engine));
    int64_t chunks = count / how.context;
    if (chunks < 1)
        return adze_fail(err, ADZE_BAD_DATA,
                         "the text has %lld tokens: at least one chunk of %lld is needed",
                         (long long)count, (long long)how.context);
    if (how.chunks > 0)
        chunks = ADZE_MIN(chunks, how.chunks);
    if (!imatrix->chunk_size)
        imatrix->chunk_size = how.context;
    return collect(&c, engine, ids, chunks, &how, err);
}
