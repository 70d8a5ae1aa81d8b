/* What a language model is and what running it takes. Nothing of the weights is read: sizes follow from the
 * tensors' types, activations from the plan, speed from a run on other memory (speed.h). */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "llm/architectures.h"
#include "llm/speed.h"

typedef struct facts {
    const adze_engine *engine;
    double parameters, weight_bytes;
    int64_t tensors[ADZE_DTYPE_COUNT];
    double bytes[ADZE_DTYPE_COUNT], elements[ADZE_DTYPE_COUNT];
    double activations, cache_token;
    double program; /* resident with the model open: program, tokenizer, tables */
    bool timed;
    llm_speed speed;
    int64_t context;
} facts;

static void count_weights(facts *f)
{
    const adze_checkpoint *ck = f->engine->checkpoint;
    for (int i = 0; i < adze_checkpoint_count(ck); i++) {
        const adze_checkpoint_tensor *t = adze_checkpoint_tensor_at(ck, i);
        double elements = (double)adze_shape_elements(t->rank, t->dims);
        double bytes = (double)t->rows * (double)t->row_bytes;
        f->tensors[t->dtype]++;
        f->bytes[t->dtype] += bytes;
        f->elements[t->dtype] += elements;
        f->parameters += elements;
        f->weight_bytes += bytes;
    }
}

static double cache_bytes_per_token(const adze_llm_config *c)
{
    double bytes = 0;
    for (int64_t i = 0; i < c->layers && !c->architecture->encoder; i++)
        bytes += 2.0 * (double)(c->kv_heads[i] * (c->key_dim + c->value_dim));
    return bytes;
}

static adze_status measure_activations(facts *f, adze_error *err)
{
    adze_chat *chat;
    ADZE_TRY(adze_chat_open(&chat, f->engine, NULL, err));
    f->activations =
        (double)adze_chat_memory(chat) - f->cache_token * (double)f->engine->sizes.context;
    adze_chat_close(&chat);
    return ADZE_OK;
}

static double speed_at(const facts *f, int64_t depth)
{
    return 1 / (f->speed.token + f->speed.key * (double)depth);
}

static double total_at(const facts *f, int64_t context)
{
    return f->program + f->weight_bytes + f->activations + f->cache_token * (double)context;
}

/* 512, 2048, 8192, ... up to what the model was trained for, and that itself. */
static int contexts_of(const facts *f, int64_t out[8])
{
    int64_t most = f->engine->config.trained_context;
    int n = 0;
    most = most > 0 ? most : f->context;
    for (int64_t c = 512; c < most && n < 7; c *= 4)
        out[n++] = c;
    out[n++] = most;
    return n;
}

static const char *metadata(const facts *f, const char *key)
{
    return adze_gguf_string(adze_checkpoint_meta(f->engine->checkpoint), key, "");
}

/* ---- JSON ---- */

static json_t *types_json(const facts *f)
{
    json_t *types = json_object();
    for (int d = 0; d < ADZE_DTYPE_COUNT; d++)
        if (f->tensors[d] > 0)
            json_object_set_new(types, adze_dtype_describe((adze_dtype)d)->name,
                                json_pack("{s:I, s:f, s:f}", "tensors", (json_int_t)f->tensors[d],
                                          "bytes", f->bytes[d], "parameters", f->elements[d]));
    return types;
}

static json_t *memory_json(const facts *f)
{
    int64_t contexts[8];
    int n = contexts_of(f, contexts);
    json_t *rows = json_array();
    for (int i = 0; i < n; i++) {
        json_t *row =
            json_pack("{s:I, s:f, s:f}", "context", (json_int_t)contexts[i], "kv_cache",
                      f->cache_token * (double)contexts[i], "total", total_at(f, contexts[i]));
        if (f->timed)
            json_object_set_new(row, "tokens_per_s", json_real(speed_at(f, contexts[i])));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:o}", "program", f->program, "weights",
                     f->weight_bytes, "activations", f->activations, "kv_cache_per_token",
                     f->cache_token, "total", total_at(f, f->context), "context",
                     (json_int_t)f->context, "by_context", rows);
}

static json_t *json_of(const facts *f)
{
    const adze_engine *e = f->engine;
    const adze_llm_config *c = &e->config;
    const adze_tokenizer *t = e->tokenizer;
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:f, s:I, s:f, s:o}", "path", adze_checkpoint_path(e->checkpoint),
        "format", adze_checkpoint_format(e->checkpoint), "architecture", c->architecture->name,
        "name", metadata(f, "general.name"), "parameters", f->parameters, "file_size",
        (json_int_t)adze_checkpoint_file_size(e->checkpoint), "bits_per_weight",
        8 * f->weight_bytes / f->parameters, "types", types_json(f));
    json_object_update_new(
        root,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "layers", (json_int_t)c->layers,
                  "width", (json_int_t)c->width, "heads", (json_int_t)c->heads, "kv_heads",
                  (json_int_t)c->kv_heads[0], "vocabulary", (json_int_t)c->vocabulary,
                  "trained_context", (json_int_t)c->trained_context, "experts",
                  (json_int_t)c->experts, "experts_used", (json_int_t)c->experts_used, "encoder",
                  c->architecture->encoder));
    json_object_set_new(root, "tokenizer",
                        t ? json_pack("{s:s, s:s, s:i}", "kind", adze_tokenizer_kind(t), "pre",
                                      adze_tokenizer_pre(t), "tokens", adze_tokenizer_count(t))
                          : json_null());
    json_object_set_new(root, "memory", memory_json(f));
    if (f->timed)
        json_object_set_new(root, "tokens_per_s", json_real(speed_at(f, 0)));
    return root;
}

/* ---- text ---- */

static void tell_types(adze_text *t, const facts *f)
{
    char size[32], count[32];
    adze_text_printf(t, "\n  type       tensors  parameters       size\n");
    for (int d = 0; d < ADZE_DTYPE_COUNT; d++)
        if (f->tensors[d] > 0)
            adze_text_printf(t, "  %-10s %7lld  %10s %10s\n",
                             adze_dtype_describe((adze_dtype)d)->name, (long long)f->tensors[d],
                             adze_format_count(count, f->elements[d]),
                             adze_format_bytes(size, f->bytes[d]));
}

static void tell_memory(adze_text *t, const facts *f)
{
    char program[32], weights[32], cache[32], activations[32], total[32];
    int64_t contexts[8];
    int n = contexts_of(f, contexts);
    adze_text_printf(t,
                     "\n  context     weights    KV cache  activations     program       total%s\n",
                     f->timed ? "   tokens/s when full" : "");
    for (int i = 0; i < n; i++) {
        adze_text_printf(t, "  %7lld  %10s  %10s  %11s  %10s  %10s", (long long)contexts[i],
                         adze_format_bytes(weights, f->weight_bytes),
                         adze_format_bytes(cache, f->cache_token * (double)contexts[i]),
                         adze_format_bytes(activations, f->activations),
                         adze_format_bytes(program, f->program),
                         adze_format_bytes(total, total_at(f, contexts[i])));
        if (f->timed)
            adze_text_printf(t, "   %.1f", speed_at(f, contexts[i]));
        adze_text_puts(t, "\n");
    }
}

static void tell(adze_text *t, const facts *f)
{
    const adze_llm_config *c = &f->engine->config;
    const adze_tokenizer *tokenizer = f->engine->tokenizer;
    char size[32], count[32];
    adze_text_printf(t, "%s: %s, %s%s%s\n", adze_checkpoint_path(f->engine->checkpoint),
                     adze_checkpoint_format(f->engine->checkpoint), c->architecture->name,
                     *metadata(f, "general.name") ? ", " : "", metadata(f, "general.name"));
    adze_text_printf(t, "  %s parameters, %s, %.2f bits each\n",
                     adze_format_count(count, f->parameters),
                     adze_format_bytes(size, f->weight_bytes), 8 * f->weight_bytes / f->parameters);
    adze_text_printf(
        t,
        "  %lld layers of width %lld, %lld heads over %lld of keys and values, trained for %lld "
        "tokens\n",
        (long long)c->layers, (long long)c->width, (long long)c->heads, (long long)c->kv_heads[0],
        (long long)c->trained_context);
    if (c->experts > 0)
        adze_text_printf(t, "  %lld experts, %lld for each token\n", (long long)c->experts,
                         (long long)c->experts_used);
    if (tokenizer)
        adze_text_printf(t, "  %d tokens, %s%s%s\n", adze_tokenizer_count(tokenizer),
                         adze_tokenizer_kind(tokenizer), *adze_tokenizer_pre(tokenizer) ? ", " : "",
                         adze_tokenizer_pre(tokenizer));
    else
        adze_text_puts(t, "  no tokenizer\n");
    tell_types(t, f);
    tell_memory(t, f);
    if (f->timed)
        adze_text_printf(
            t,
            "\n  generation at an empty context: about %.1f tokens/s on this machine, %d threads\n",
            speed_at(f, 0), adze_context_threads(f->engine->context));
}

adze_status adze_llm_describe(adze_context *context, const char *path,
                              const adze_llm_describe_options *options, char **json, char **text,
                              adze_error *err)
{
    adze_llm_describe_options o = options ? *options : (adze_llm_describe_options){0};
    adze_engine_options sizes = {.context = o.context};
    adze_engine *engine;
    ADZE_TRY(adze_engine_open(&engine, context, path, &sizes, err));
    facts f = {.engine = engine,
               .timed = o.speed && !adze_engine_is_encoder(engine),
               .context = engine->sizes.context};
    f.cache_token = cache_bytes_per_token(&engine->config);
    f.program = (double)adze_current_rss();
    count_weights(&f);
    adze_status status = measure_activations(&f, err);
    if (status == ADZE_OK && f.timed) {
        status = adze_llm_speed_measure(&f.speed, engine, err);
        f.timed = status == ADZE_OK;
        if (status == ADZE_NO_MEMORY) /* all but the speed is known */
            status = ADZE_OK;
    }
    adze_text human = {0};
    if (status == ADZE_OK) {
        tell(&human, &f);
        status = adze_json_report(json, text, json_of(&f), &human, err);
    }
    adze_engine_close(&engine);
    return status;
}

bool adze_llm_sniff(const char *path)
{
    adze_arena arena = {0};
    bool yes = false;
    if (adze_file_is_folder(path)) {
        const char *config = adze_path_join(&arena, path, "config.json");
        yes = config && adze_file_exists(config);
    } else {
        char start[4] = {0};
        FILE *file = fopen(path, "rb");
        yes = file && fread(start, 1, sizeof start, file) == sizeof start &&
              adze_gguf_sniff(start, sizeof start);
        if (file)
            (void)fclose(file);
    }
    adze_arena_free(&arena);
    return yes;
}
