/* Perplexity and divergence, chunk by chunk. The reference's rows of a chunk, from its file or from a second model
 * run just before, are held packed to 16 bits; the model's own logits pass by a row at a time. */
#include "adze/perplexity.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/order.h"
#include "eval/logit_base.h"
#include "llm/checkpoint.h"
#include "llm/engine_weights.h"

typedef struct sums {
    double nll, nll2, base, base2, product, kld, kld2, diff, diff2, diff4;
    int64_t same, count;
    bool broken; /* a probability that is no number */
} sums;

typedef struct job {
    const adze_engine *engine;
    adze_perplexity_options o;
    adze_chat *chat, *reference;
    adze_logit_base base;
    adze_output *save;
    int64_t vocabulary, chunks, scored; /* scored tokens of a chunk */
    int32_t bos;                        /* -1: chunks begin as they are */
    int32_t *chunk;                     /* [context] */
    uint16_t *rows;                     /* [scored] packed rows of the reference */
    float *unpacked;                    /* [vocabulary] */
    float *klds;                        /* [chunks * scored] */
    sums s;
} job;

adze_perplexity_options adze_perplexity_options_default(void)
{
    return (adze_perplexity_options){.context = 512};
}

static bool compares(const job *j)
{
    return j->reference || j->base.mapping;
}

/* ---- one token ---- */

static int64_t largest_of(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static double log_sum(const float *logits, int64_t n, float largest)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += expf(logits[i] - largest);
    return (double)largest + log(sum);
}

static void compare(job *j, const float *logits, int64_t top, double total, double nll,
                    int32_t token, const uint16_t *row)
{
    sums *s = &j->s;
    const float *base = j->unpacked;
    adze_logit_row_unpack(j->unpacked, row, j->vocabulary);
    double kld = 0;
    for (int64_t i = 0; i < j->vocabulary; i++)
        if (base[i] > -16)
            kld += (double)expf(base[i]) * ((double)base[i] - logits[i] + total);
    double nll_base = -(double)base[token];
    double diff = exp(-nll) - exp(-nll_base);
    s->base += nll_base;
    s->base2 += nll_base * nll_base;
    s->product += nll * nll_base;
    s->kld += kld;
    s->kld2 += kld * kld;
    s->diff += diff;
    s->diff2 += diff * diff;
    s->diff4 += diff * diff * diff * diff;
    s->same += top == largest_of(base, j->vocabulary);
    j->klds[s->count] = (float)kld;
}

/* Logits after token `index` of the chunk, which predict token index + 1. */
static int score(void *user, int64_t index, const float *logits)
{
    job *j = user;
    int64_t first = j->o.context / 2;
    if (index >= j->o.context - 1)
        return 1;
    int32_t token = j->chunk[index + 1];
    int64_t top = largest_of(logits, j->vocabulary);
    double total = log_sum(logits, j->vocabulary, logits[top]), nll = total - logits[token];
    j->s.broken = !isfinite(nll);
    if (j->s.broken)
        return 1;
    size_t row_size = (size_t)adze_logit_row_size(j->vocabulary);
    if (compares(j))
        compare(j, logits, top, total, nll, token, j->rows + (size_t)(index - first) * row_size);
    if (j->save) {
        adze_logit_row_pack(j->rows, logits, j->vocabulary);
        adze_output_write(j->save, j->rows, row_size * sizeof *j->rows);
    }
    j->s.nll += nll;
    j->s.nll2 += nll * nll;
    j->s.count++;
    return 0;
}

static int keep_row(void *user, int64_t index, const float *logits)
{
    job *j = user;
    if (index >= j->o.context - 1)
        return 1;
    size_t row_size = (size_t)adze_logit_row_size(j->vocabulary);
    adze_logit_row_pack(j->rows + (size_t)(index - j->o.context / 2) * row_size, logits,
                        j->vocabulary);
    return 0;
}

/* ---- statistics ---- */

static adze_mean_error mean_of(double sum, double sum2, int64_t n)
{
    adze_mean_error e = {0, 0};
    if (n < 1)
        return e;
    e.value = sum / (double)n;
    double variance = sum2 / (double)n - e.value * e.value;
    if (variance > 0 && n > 1)
        e.error = sqrt(variance / (double)(n - 1));
    return e;
}

static adze_mean_error exponential(adze_mean_error log)
{
    double value = exp(log.value);
    return (adze_mean_error){value, value * log.error};
}

static double percentile(const float *sorted, int64_t n, double p)
{
    double at = p * (double)(n - 1);
    int64_t i = (int64_t)at, next = ADZE_MIN(i + 1, n - 1);
    at -= (double)i;
    return (1 - at) * sorted[i] + at * sorted[next];
}

static void finish_comparison(adze_perplexity *r, const sums *s, float *klds)
{
    int64_t n = s->count;
    adze_mean_error own = mean_of(s->nll, s->nll2, n), base = mean_of(s->base, s->base2, n);
    double count = (double)n;
    double covariance =
        n > 1 ? (s->product / count - s->nll / count * (s->base / count)) / (count - 1) : 0;
    double spread = own.error * own.error + base.error * base.error - 2 * covariance;
    r->compared = true;
    r->base_perplexity = exponential(base);
    r->log_ratio = (adze_mean_error){own.value - base.value, spread > 0 ? sqrt(spread) : 0};
    r->kld = mean_of(s->kld, s->kld2, n);
    r->same_top.value = (double)s->same / count;
    r->same_top.error = n > 1 ? sqrt(r->same_top.value * (1 - r->same_top.value) / (count - 1)) : 0;
    r->delta_p = mean_of(s->diff, s->diff2, n);
    adze_mean_error square = mean_of(s->diff2, s->diff4, n);
    r->delta_p_rms.value = sqrt(square.value);
    r->delta_p_rms.error = square.value > 0 ? 0.5 / r->delta_p_rms.value * square.error : 0;
    adze_sort_f32(klds, n);
    const double at[] = {0, 0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    double *const out[] = {&r->kld_min, &r->kld_p01, &r->kld_p05, &r->kld_p10,  &r->kld_median,
                           &r->kld_p90, &r->kld_p95, &r->kld_p99, &r->kld_p999, &r->kld_max};
    for (size_t i = 0; i < ADZE_COUNT_OF(at); i++)
        *out[i] = percentile(klds, n, at[i]);
}

/* ---- the run ---- */

static adze_status check_base(job *j, const int32_t *ids, int64_t count, adze_error *err)
{
    const adze_logit_base *b = &j->base;
    const char *path = j->o.base;
    if (b->vocabulary != j->vocabulary || b->context != j->o.context)
        return adze_fail(
            err, ADZE_BAD_DATA,
            "%s: made with context %lld and a vocabulary of %lld; this run has %lld and %lld", path,
            (long long)b->context, (long long)b->vocabulary, (long long)j->o.context,
            (long long)j->vocabulary);
    if (j->o.chunks > 0 && j->o.chunks > b->chunks)
        return adze_fail(err, ADZE_BAD_DATA, "%s: holds %lld chunks, asked are %lld", path,
                         (long long)b->chunks, (long long)j->o.chunks);
    int64_t most = ADZE_MIN(b->chunks, count / j->o.context);
    j->chunks = j->o.chunks > 0 ? ADZE_MIN(j->chunks, most) : most;
    for (int64_t i = 0; i < j->chunks * j->o.context; i++) {
        int32_t id;
        memcpy(&id, b->tokens + (size_t)i * sizeof id, sizeof id);
        if (id != ids[i])
            return adze_fail(
                err, ADZE_BAD_DATA,
                "%s: made from another text or tokenizer: token %lld is %d there, %d here", path,
                (long long)i, id, ids[i]);
    }
    return ADZE_OK;
}

static adze_status check_save(const job *j, adze_error *err)
{
    ADZE_TRY(adze_engine_check_output(j->engine, j->o.save_base, err));
    if (j->o.reference)
        ADZE_TRY(adze_engine_check_output(j->o.reference, j->o.save_base, err));
    if (j->o.base && adze_file_is_same(j->o.base, j->o.save_base))
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "%s: is the base to compare with; save another under another name",
                         j->o.save_base);
    return ADZE_OK;
}

/* The token that begins every text of this vocabulary, if one does. */
static adze_status find_begin(job *j, adze_error *err)
{
    const adze_tokenizer *tokenizer = adze_engine_tokenizer(j->engine);
    const adze_encode_options ends = {.ends = true};
    int32_t *ids = NULL;
    int64_t count = 0;
    j->bos = -1;
    if (!tokenizer)
        return ADZE_OK;
    ADZE_TRY(adze_tokenizer_encode(tokenizer, &ids, &count, "", 0, &ends, err));
    if (count > 0 && ids[0] == adze_tokenizer_special(tokenizer, ADZE_TOKEN_BOS))
        j->bos = ids[0];
    adze_tokens_free(&ids);
    return ADZE_OK;
}

static adze_status open_job(job *j, const int32_t *ids, int64_t count, adze_error *err)
{
    if (j->o.context < 4 || j->o.context > adze_engine_context(j->engine))
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "chunks of %lld tokens: expected 4 to %lld, the engine's "
                         "context",
                         (long long)j->o.context, (long long)adze_engine_context(j->engine));
    j->vocabulary = adze_engine_vocabulary(j->engine);
    j->scored = j->o.context - 1 - j->o.context / 2;
    j->chunks = count / j->o.context;
    if (j->chunks < 1)
        return adze_fail(err, ADZE_BAD_DATA,
                         "the text has %lld tokens, fewer than one chunk of %lld", (long long)count,
                         (long long)j->o.context);
    if (j->o.chunks > 0)
        j->chunks = ADZE_MIN(j->chunks, j->o.chunks);
    ADZE_TRY(find_begin(j, err));
    if (j->o.base) {
        ADZE_TRY(adze_logit_base_open(&j->base, j->o.base, err));
        ADZE_TRY(check_base(j, ids, count, err));
    }
    ADZE_TRY(adze_chat_open(&j->chat, j->engine, NULL, err));
    if (j->o.reference) {
        if (adze_engine_vocabulary(j->o.reference) != j->vocabulary)
            return adze_fail(
                err, ADZE_BAD_DATA, "the reference has a vocabulary of %lld, the model of %lld",
                (long long)adze_engine_vocabulary(j->o.reference), (long long)j->vocabulary);
        ADZE_TRY(adze_chat_open(&j->reference, j->o.reference, NULL, err));
    }
    size_t rows = compares(j) ? (size_t)j->scored : 1;
    j->chunk = adze_alloc((size_t)j->o.context, sizeof *j->chunk);
    j->rows = adze_alloc(rows, (size_t)adze_logit_row_size(j->vocabulary) * sizeof *j->rows);
    j->unpacked = adze_alloc((size_t)j->vocabulary, sizeof *j->unpacked);
    j->klds = adze_alloc((size_t)(j->chunks * j->scored), sizeof *j->klds);
    if (!j->chunk || !j->rows || !j->unpacked || !j->klds)
        return adze_fail(err, ADZE_NO_MEMORY, "perplexity");
    if (j->o.save_base) {
        ADZE_TRY(check_save(j, err));
        ADZE_TRY(adze_output_open(&j->save, j->o.save_base, err));
        adze_logit_base_begin(j->save, (int32_t)j->o.context, (int32_t)j->vocabulary,
                              (int32_t)j->chunks, ids);
    }
    return ADZE_OK;
}

static adze_status run_chunk(job *j, int64_t i, const int32_t *ids, adze_error *err)
{
    int64_t n = j->o.context;
    memcpy(j->chunk, ids + i * n, (size_t)n * sizeof *ids);
    if (j->bos >= 0)
        j->chunk[0] = j->bos;
    if (j->base.mapping) {
        size_t bytes = (size_t)(j->scored * adze_logit_row_size(j->vocabulary)) * sizeof *j->rows;
        memcpy(j->rows, j->base.rows + (size_t)i * bytes, bytes);
    } else if (j->reference) {
        adze_chat_rewind(j->reference, 0);
        ADZE_TRY(adze_chat_score(j->reference, j->chunk, n, n / 2, keep_row, j, err));
    }
    adze_chat_rewind(j->chat, 0);
    return adze_chat_score(j->chat, j->chunk, n, n / 2, score, j, err);
}

static adze_status run(job *j, const int32_t *ids, adze_error *err)
{
    for (int64_t i = 0; i < j->chunks; i++) {
        ADZE_TRY(run_chunk(j, i, ids, err));
        if (j->s.broken)
            return adze_fail(
                err, ADZE_BAD_MODEL,
                "%s: chunk %lld, token %lld: the model's probabilities are no numbers: its "
                "weights are damaged",
                adze_checkpoint_path(adze_engine_checkpoint(j->engine)), (long long)i,
                (long long)(j->s.count % j->scored + j->o.context / 2));
        if (j->save && adze_output_failed(j->save))
            break; /* what finish will say */
        double n = (double)j->s.count;
        if (j->o.progress &&
            j->o.progress(j->o.user, i + 1, j->chunks, exp(j->s.nll / n), j->s.kld / n) != 0)
            return adze_fail(err, ADZE_CANCELLED, "stopped after %lld of %lld chunks",
                             (long long)(i + 1), (long long)j->chunks);
    }
    return j->save ? adze_output_finish(&j->save, err) : ADZE_OK;
}

static void close_job(job *j)
{
    adze_chat_close(&j->chat);
    adze_chat_close(&j->reference);
    adze_logit_base_close(&j->base);
    adze_output_abort(&j->save);
    adze_free(j->chunk);
    adze_free(j->rows);
    adze_free(j->unpacked);
    adze_free(j->klds);
}

adze_status adze_perplexity_measure(adze_perplexity *out, const adze_engine *engine,
                                    const int32_t *ids, int64_t count,
                                    const adze_perplexity_options *options, adze_error *err)
{
    job j = {.engine = engine, .o = options ? *options : adze_perplexity_options_default()};
    if (j.o.context == 0)
        j.o.context = 512;
    int64_t most = j.o.context > 0 ? count / j.o.context : 0;
    int64_t skip = ADZE_MIN(ADZE_MAX(j.o.skip, 0), most) * j.o.context;
    adze_status status = open_job(&j, ids + skip, count - skip, err);
    if (status == ADZE_OK)
        status = run(&j, ids + skip, err);
    if (status == ADZE_OK) {
        adze_perplexity r = {.chunks = j.chunks, .tokens = j.s.count};
        r.perplexity = exponential(mean_of(j.s.nll, j.s.nll2, j.s.count));
        if (compares(&j) && j.o.klds)
            memcpy(j.o.klds, j.klds, (size_t)ADZE_MIN(j.s.count, j.o.klds_size) * sizeof *j.klds);
        if (compares(&j))
            finish_comparison(&r, &j.s, j.klds);
        *out = r;
    }
    close_job(&j);
    return status;
}
