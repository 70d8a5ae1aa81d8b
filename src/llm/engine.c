/* From a checkpoint to an engine: configuration, tokenizer, graphs, plans. */
#include "llm/engine_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "llm/architectures.h"
#include "llm/checkpoint_impl.h"
#include "llm/tokenizer.h"
#include "llm/engine_weights.h"

enum { USUAL_CONTEXT = 4096, USUAL_BATCH = 512, HEAD_ROWS = 16, MOST_CONTEXT = 1 << 24 };

adze_engine_options adze_engine_options_default(void)
{
    return (adze_engine_options){0};
}

static adze_status choose_sizes(adze_engine *e, const adze_engine_options *options, adze_error *err)
{
    adze_engine_options o = options ? *options : adze_engine_options_default();
    if (o.context < 0 || o.context > MOST_CONTEXT || o.batch < 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s %lld: expected 0 to %d tokens",
                         o.batch < 0 ? "batch" : "context",
                         (long long)(o.batch < 0 ? o.batch : o.context), MOST_CONTEXT);
    e->sizes.cache_type = o.cache_type == ADZE_UNDEFINED ? ADZE_F16 : o.cache_type;
    if (e->sizes.cache_type != ADZE_F16 && e->sizes.cache_type != ADZE_F32)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "a KV cache of %s: expected float16 or float32",
                         adze_dtype_describe(o.cache_type)->name);
    int64_t trained = e->config.trained_context;
    int64_t usual = trained > 0 ? ADZE_MIN(trained, USUAL_CONTEXT) : USUAL_CONTEXT;
    e->sizes.context = o.context > 0 ? o.context : usual;
    e->sizes.batch = ADZE_MIN(o.batch > 0 ? o.batch : USUAL_BATCH, e->sizes.context);
    if (e->config.architecture->encoder)
        e->sizes.batch = e->sizes.context;
    e->sizes.rows = ADZE_MIN(HEAD_ROWS, e->sizes.batch);
    return ADZE_OK;
}

/* A model without a tokenizer computes all the same; who needs text is told then. */
static adze_status open_tokenizer(adze_engine *e, const char *other, adze_error *err)
{
    if (other)
        return adze_tokenizer_open(&e->tokenizer, other, err);
    const adze_gguf_meta *meta = adze_checkpoint_meta(e->checkpoint);
    const char *path = adze_checkpoint_path(e->checkpoint);
    const char *model = adze_gguf_string(meta, "tokenizer.ggml.model", NULL);
    if (model && strcmp(model, "none") != 0 && strcmp(model, "no_vocab") != 0) {
        ADZE_TRY(adze_tokenizer_from_meta(&e->tokenizer, meta, path, err));
        long long tokens = adze_tokenizer_count(e->tokenizer), rows = e->config.vocabulary;
        return tokens == rows
                   ? ADZE_OK
                   : adze_fail(err, ADZE_BAD_MODEL,
                               "%s: tokenizer.ggml.tokens has %lld tokens, but token_embd.weight "
                               "%lld rows: they are of different models; convert the model again",
                               path, tokens, rows);
    }
    if (!adze_file_is_folder(path))
        return ADZE_OK;
    adze_status status = adze_tokenizer_open(&e->tokenizer, path, err);
    return status == ADZE_NOT_FOUND ? ADZE_OK : status;
}

static adze_status fill(adze_engine *e, const char *path, const adze_engine_options *options,
                        adze_error *err)
{
    ADZE_TRY(adze_checkpoint_open(&e->checkpoint, path, err));
    ADZE_TRY(adze_llm_config_read(&e->config, e->checkpoint, &e->arena, err));
    ADZE_TRY(adze_checkpoint_check(e->checkpoint, err));
    ADZE_TRY(choose_sizes(e, options, err));
    ADZE_TRY(open_tokenizer(e, options ? options->tokenizer : NULL, err));
    ADZE_TRY(adze_llm_build(&e->body, &e->head, e->context, e->checkpoint, &e->config, &e->sizes,
                            &e->arena, err));
    ADZE_TRY(adze_plan_create(&e->body_plan, e->body, NULL, err));
    return e->head ? adze_plan_create(&e->head_plan, e->head, NULL, err) : ADZE_OK;
}

/* Building a graph knows nothing of files. */
static void name_file(adze_error *err, const char *path)
{
    if (!err || strstr(err->message, path))
        return;
    char text[sizeof err->message];
    memcpy(text, err->message, sizeof text);
    snprintf(err->message, sizeof err->message, "%.200s: %.1800s", path, text);
}

adze_status adze_engine_open(adze_engine **out, adze_context *context, const char *path,
                             const adze_engine_options *options, adze_error *err)
{
    adze_engine *e = adze_alloc(1, sizeof *e);
    if (!e)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    e->context = context;
    adze_status status = fill(e, path, options, err);
    if (status != ADZE_OK) {
        adze_engine_close(&e);
        name_file(err, path);
    } else {
        *out = e;
    }
    return status;
}

void adze_engine_close(adze_engine **engine)
{
    if (!engine || !*engine)
        return;
    adze_engine *e = *engine;
    adze_plan_free(&e->body_plan);
    adze_plan_free(&e->head_plan);
    adze_graph_free(&e->body);
    adze_graph_free(&e->head);
    adze_tokenizer_close(&e->tokenizer);
    adze_checkpoint_close(&e->checkpoint);
    adze_arena_free(&e->arena);
    adze_free(e);
    *engine = NULL;
}

adze_status adze_engine_check_output(const adze_engine *e, const char *path, adze_error *err)
{
    adze_output *output;
    ADZE_TRY(adze_checkpoint_spare(e->checkpoint, path, err));
    ADZE_TRY(adze_output_open(&output, path, err));
    adze_output_abort(&output);
    return ADZE_OK;
}

const adze_tokenizer *adze_engine_tokenizer(const adze_engine *e)
{
    return e->tokenizer;
}

const char *adze_engine_architecture(const adze_engine *e)
{
    return e->config.architecture->name;
}

int64_t adze_engine_context(const adze_engine *e)
{
    return e->sizes.context;
}

int64_t adze_engine_vocabulary(const adze_engine *e)
{
    const adze_type *type = e->head ? adze_value_type(adze_graph_output(e->head, 0)) : NULL;
    return type ? type->dims[1] : e->config.vocabulary;
}

int64_t adze_engine_width(const adze_engine *e)
{
    return e->config.width;
}

bool adze_engine_is_encoder(const adze_engine *e)
{
    return e->config.architecture->encoder;
}

const adze_graph *adze_engine_graph(const adze_engine *e)
{
    return e->body;
}

const adze_graph *adze_engine_head_graph(const adze_engine *e)
{
    return e->head;
}

/* ---- weights ---- */

const adze_checkpoint *adze_engine_checkpoint(const adze_engine *e)
{
    return e->checkpoint;
}

void *adze_engine_weight_bytes(const adze_engine *e, const char *name)
{
    const adze_value *v = adze_graph_find(e->body, name);
    if (!v && e->head)
        v = adze_graph_find(e->head, name);
    const adze_tensor *t = v ? adze_value_constant(v) : NULL;
    const adze_checkpoint_tensor *from = adze_checkpoint_find(e->checkpoint, name);
    if (!t || !from)
        return NULL;
    bool mapped = from->mapped && t->data == from->mapped;
    if (mapped && !adze_mapping_make_writable(from->mapping, t->data, t->size))
        return NULL;
    return t->data;
}

/* ---- embeddings ---- */

static void pool(const adze_engine *e, float *out, const float *hidden, int64_t count)
{
    int64_t width = e->config.width;
    int64_t first = 0, last = count - 1;
    adze_pooling how = e->config.pooling;
    if (how == ADZE_POOLING_NONE) /* not said: what is usual */
        how = e->config.architecture->encoder ? ADZE_POOLING_MEAN : ADZE_POOLING_LAST;
    if (how == ADZE_POOLING_CLS)
        last = 0;
    else if (how == ADZE_POOLING_LAST)
        first = last;
    double norm = 0;
    for (int64_t i = 0; i < width; i++) {
        double sum = 0;
        for (int64_t t = first; t <= last; t++)
            sum += hidden[t * width + i];
        out[i] = (float)(sum / (double)(last - first + 1));
        norm += (double)out[i] * out[i];
    }
    for (int64_t i = 0; i < width && norm > 0; i++)
        out[i] = (float)(out[i] / sqrt(norm));
}

adze_status adze_engine_embed(const adze_engine *e, float *out, const int32_t *ids, int64_t count,
                              adze_error *err)
{
    if (count < 1 || count > e->sizes.batch)
        return adze_fail(err, ADZE_LIMIT, "%lld tokens: the model embeds 1 to %lld at once",
                         (long long)count, (long long)e->sizes.batch);
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= e->config.vocabulary)
            return adze_fail(err, ADZE_BAD_ARGUMENT,
                             "token %lld is %d, the vocabulary has 0 to %lld", (long long)i, ids[i],
                             (long long)e->config.vocabulary - 1);
    adze_session *session = NULL;
    int64_t *numbers = adze_alloc((size_t)count * 2, sizeof *numbers);
    if (!numbers)
        return adze_fail(err, ADZE_NO_MEMORY, "%lld tokens", (long long)count);
    for (int64_t i = 0; i < count; i++) {
        numbers[i] = ids[i];
        numbers[count + i] = i;
    }
    adze_tensor in[] = {adze_tensor_view(ADZE_I64, 1, &count, numbers),
                        adze_tensor_view(ADZE_I64, 1, &count, numbers + count)};
    adze_tensor hidden;
    adze_status status = adze_session_open(&session, e->body_plan, NULL, err);
    if (status == ADZE_OK)
        status = adze_session_run(session, in, &hidden, err);
    if (status == ADZE_OK)
        pool(e, out, hidden.data, count);
    adze_session_close(&session);
    adze_free(numbers);
    return status;
}
