/* One timeline: the tokens, the session that holds their KV cache, and a session for logits. Tokens go through
 * the body in runs of at most a batch; logits are made only of the rows that are asked for. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "llm/engine_impl.h"

struct adze_chat {
    const adze_engine *engine;
    adze_chat_options options;
    adze_session *body, *head;
    int32_t *tokens; /* [context] */
    int64_t length;
    int64_t *numbers; /* [2 * batch] ids and positions of a run */
    float *last;      /* [width] hidden state of the last token */
    int64_t last_of;  /* length of the timeline that `last` belongs to; 0: none */
    float *gathered;  /* rows of experts, for the observer; grows */
    int64_t gathered_size;
};

/* ---- showing activations ---- */

static const adze_tensor *value_of(const adze_chat *chat, adze_session *session,
                                   const adze_node *node, int input)
{
    const adze_value *v = adze_node_input(node, input);
    ADZE_UNUSED(chat);
    return v ? adze_session_value(session, adze_value_name(v)) : NULL;
}

/* The rows that were routed to one expert: of token i / used when all of a token's experts see the same. */
static void observe_experts(adze_chat *chat, const char *name, const adze_tensor *x,
                            const adze_tensor *weight, const adze_tensor *ids)
{
    int64_t tokens = ids->dims[0], used = ids->dims[1], width = x->dims[x->rank - 1];
    const int64_t *expert = ids->data;
    const float *rows = x->data;
    if (chat->gathered_size < tokens * used * width) {
        adze_free(chat->gathered);
        chat->gathered = adze_alloc((size_t)(tokens * used * width), sizeof(float));
        chat->gathered_size = chat->gathered ? tokens * used * width : 0;
    }
    for (int64_t e = 0; e < weight->dims[0] && chat->gathered; e++) {
        int64_t n = 0;
        for (int64_t i = 0; i < tokens * used; i++)
            if (expert[i] == e)
                memcpy(chat->gathered + n++ * width, rows + (x->rank == 3 ? i : i / used) * width,
                       (size_t)width * sizeof(float));
        if (n > 0)
            chat->options.observe(chat->options.observe_user, name, e, chat->gathered, n, width);
    }
}

static void observe(adze_chat *chat, adze_session *session, const adze_node *node)
{
    char name[160];
    const char *op = adze_node_op(node);
    bool linear = strcmp(op, "Linear") == 0, experts = strcmp(op, "ExpertLinear") == 0;
    if (!linear && !experts)
        return;
    const adze_tensor *x = value_of(chat, session, node, 0);
    const char *weight = adze_value_name(adze_node_input(node, 1)), *part = strchr(weight, '[');
    if (!x || (part && strncmp(part, "[0:", 3) != 0)) /* parts of one tensor see the same rows */
        return;
    size_t n = part ? (size_t)(part - weight) : strlen(weight);
    n = ADZE_MIN(n, sizeof name - 1);
    memcpy(name, weight, n);
    name[n] = 0;
    int64_t width = x->dims[x->rank - 1];
    if (linear)
        chat->options.observe(chat->options.observe_user, name, -1, x->data,
                              adze_tensor_elements(x) / width, width);
    else
        observe_experts(chat, name, x, value_of(chat, session, node, 1),
                        value_of(chat, session, node, 2));
}

static void observe_body(void *user, const adze_node *node, int output, adze_tensor *tensor)
{
    adze_chat *chat = user;
    ADZE_UNUSED(tensor);
    if (output == 0)
        observe(chat, chat->body, node);
}

static void observe_head(void *user, const adze_node *node, int output, adze_tensor *tensor)
{
    adze_chat *chat = user;
    ADZE_UNUSED(tensor);
    if (output == 0)
        observe(chat, chat->head, node);
}

/* ---- opening ---- */

static adze_status open_sessions(adze_chat *chat, adze_error *err)
{
    const adze_engine *e = chat->engine;
    adze_session_options body = {0}, head = {0};
    if (chat->options.observe) {
        body = (adze_session_options){.observe = observe_body, .observe_user = chat};
        head = (adze_session_options){.observe = observe_head, .observe_user = chat};
    }
    ADZE_TRY(adze_session_open(&chat->body, e->body_plan, &body, err));
    return e->head_plan ? adze_session_open(&chat->head, e->head_plan, &head, err) : ADZE_OK;
}

adze_status adze_chat_open(adze_chat **out, const adze_engine *engine,
                           const adze_chat_options *options, adze_error *err)
{
    adze_chat *chat = adze_alloc(1, sizeof *chat);
    if (!chat)
        return adze_fail(err, ADZE_NO_MEMORY, "chat");
    chat->engine = engine;
    chat->options = options ? *options : (adze_chat_options){0};
    chat->tokens = adze_alloc((size_t)engine->sizes.context, sizeof *chat->tokens);
    chat->numbers = adze_alloc((size_t)engine->sizes.batch * 2, sizeof *chat->numbers);
    chat->last = adze_alloc((size_t)engine->config.width, sizeof *chat->last);
    adze_status status = chat->tokens && chat->numbers && chat->last
                             ? open_sessions(chat, err)
                             : adze_fail(err, ADZE_NO_MEMORY, "a context of %lld tokens",
                                         (long long)engine->sizes.context);
    if (status != ADZE_OK)
        adze_chat_close(&chat);
    else
        *out = chat;
    return status;
}

void adze_chat_close(adze_chat **chat_pointer)
{
    if (!chat_pointer || !*chat_pointer)
        return;
    adze_chat *chat = *chat_pointer;
    adze_session_close(&chat->body);
    adze_session_close(&chat->head);
    adze_free(chat->tokens);
    adze_free(chat->numbers);
    adze_free(chat->last);
    adze_free(chat->gathered);
    adze_free(chat);
    *chat_pointer = NULL;
}

/* ---- computing ---- */

static adze_status check_tokens(const adze_chat *chat, const int32_t *ids, int64_t count,
                                adze_error *err)
{
    const adze_engine *e = chat->engine;
    if (count < 0 || count > e->sizes.context - chat->length)
        return adze_fail(
            err, ADZE_LIMIT,
            "the context is full: %lld tokens on the timeline, %lld more, but it holds %lld; "
            "open the engine with a longer context",
            (long long)chat->length, (long long)count, (long long)e->sizes.context);
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= e->config.vocabulary)
            return adze_fail(err, ADZE_BAD_ARGUMENT,
                             "token %lld is %d, the vocabulary has 0 to %lld", (long long)i, ids[i],
                             (long long)e->config.vocabulary - 1);
    return ADZE_OK;
}

/* One run of the body over at most a batch; *hidden is valid until the next. */
static adze_status run_body(adze_chat *chat, const int32_t *ids, int64_t count,
                            const float **hidden, adze_error *err)
{
    int64_t *positions = chat->numbers + chat->engine->sizes.batch;
    for (int64_t i = 0; i < count; i++) {
        chat->numbers[i] = chat->tokens[chat->length + i] = ids[i];
        positions[i] = chat->length + i;
    }
    adze_tensor in[] = {adze_tensor_view(ADZE_I64, 1, &count, chat->numbers),
                        adze_tensor_view(ADZE_I64, 1, &count, positions)};
    adze_tensor out;
    chat->last_of = 0;
    ADZE_TRY(adze_session_run(chat->body, in, &out, err));
    *hidden = out.data;
    chat->length += count;
    chat->last_of = chat->length;
    int64_t width = chat->engine->config.width;
    memcpy(chat->last, *hidden + (count - 1) * width, (size_t)width * sizeof(float));
    return ADZE_OK;
}

static adze_status run_head(adze_chat *chat, const float *hidden, int64_t rows,
                            const float **logits, adze_error *err)
{
    int64_t dims[] = {rows, chat->engine->config.width};
    adze_tensor in = adze_tensor_view(ADZE_F32, 2, dims, (void *)(uintptr_t)hidden), out;
    ADZE_TRY(adze_session_run(chat->head, &in, &out, err));
    *logits = out.data;
    return ADZE_OK;
}

adze_status adze_chat_append(adze_chat *chat, const int32_t *ids, int64_t count, adze_error *err)
{
    int64_t before = chat->length;
    ADZE_TRY(check_tokens(chat, ids, count, err));
    for (int64_t at = 0; at < count;) {
        const float *hidden;
        int64_t n = ADZE_MIN(count - at, chat->engine->sizes.batch);
        adze_status status = run_body(chat, ids + at, n, &hidden, err);
        if (status != ADZE_OK) {
            chat->length = before;
            return status;
        }
        at += n;
    }
    return ADZE_OK;
}

adze_status adze_chat_logits(adze_chat *chat, const float **logits, adze_error *err)
{
    if (!chat->head || chat->length == 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         chat->head ? "no token is on the timeline yet"
                                    : "an encoder has no logits");
    if (chat->last_of != chat->length) { /* after a rewind: the last token is computed again */
        const float *hidden;
        int32_t id = chat->tokens[--chat->length];
        ADZE_TRY(run_body(chat, &id, 1, &hidden, err));
    }
    return run_head(chat, chat->last, 1, logits, err);
}

/* Logits of rows [from, count) of a run, a few at a time. *stop: fn has had enough. */
static adze_status score_rows(adze_chat *chat, const float *hidden, int64_t from, int64_t count,
                              int64_t index, adze_logits_fn fn, void *user, bool *stop,
                              adze_error *err)
{
    const adze_engine *e = chat->engine;
    int64_t vocabulary = adze_engine_vocabulary(e);
    for (int64_t at = from; at < count && !*stop;) {
        int64_t rows = ADZE_MIN(count - at, e->sizes.rows);
        const float *logits;
        ADZE_TRY(run_head(chat, hidden + at * e->config.width, rows, &logits, err));
        for (int64_t r = 0; r < rows && !*stop; r++)
            *stop = fn(user, index + at + r, logits + r * vocabulary) != 0;
        at += rows;
    }
    return ADZE_OK;
}

adze_status adze_chat_score(adze_chat *chat, const int32_t *ids, int64_t count, int64_t first,
                            adze_logits_fn fn, void *user, adze_error *err)
{
    bool stop = false;
    if (!chat->head)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "an encoder has no logits");
    ADZE_TRY(check_tokens(chat, ids, count, err));
    for (int64_t at = 0; at < count && !stop;) {
        const float *hidden;
        int64_t n = ADZE_MIN(count - at, chat->engine->sizes.batch);
        ADZE_TRY(run_body(chat, ids + at, n, &hidden, err));
        ADZE_TRY(score_rows(chat, hidden, ADZE_MAX(first - at, 0), n, at, fn, user, &stop, err));
        at += n;
    }
    return ADZE_OK;
}

void adze_chat_rewind(adze_chat *chat, int64_t length)
{
    chat->length = ADZE_MAX(ADZE_MIN(length, chat->length), 0);
}

int64_t adze_chat_length(const adze_chat *chat)
{
    return chat->length;
}

const int32_t *adze_chat_tokens(const adze_chat *chat)
{
    return chat->tokens;
}

size_t adze_chat_memory(const adze_chat *chat)
{
    return adze_session_memory(chat->body) + (chat->head ? adze_session_memory(chat->head) : 0);
}

/* ---- choosing a token ---- */

int32_t adze_sample(const float *logits, int64_t count, float temperature, uint64_t *state)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (logits[i] > logits[best])
            best = i;
    if (temperature <= 0)
        return (int32_t)best;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += exp(((double)logits[i] - logits[best]) / temperature);
    adze_rng rng = adze_rng_seed(*state);
    double left = adze_rng_f64(&rng) * sum;
    *state = adze_rng_u64(&rng);
    for (int64_t i = 0; i < count; i++) {
        left -= exp(((double)logits[i] - logits[best]) / temperature);
        if (left < 0)
            return (int32_t)i;
    }
    return (int32_t)best;
}
