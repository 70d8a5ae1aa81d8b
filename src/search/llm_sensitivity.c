/* What a tensor's error does. The reference runs over a text once; then, one tensor at a time, its weights are
 * replaced in memory by those of a coarse type, the text runs again, and the divergence of the predictions,
 * divided by the error made, is the tensor's sensitivity. For small errors divergence grows as the squared
 * error, and errors of different tensors add up: so sensitivity times error predicts what a type costs. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "kernels/kernels.h"
#include "search/llm_search_impl.h"

static const double probe_bits = 3.6; /* bits of a weight at which a tensor is disturbed, about */
static const double MUCH = 0.02;      /* divergence from which on a tensor is looked at closely */
static const double SEEN = 2e-4;      /* what is less is lost in the noise of so few tokens */

static double bits_of(const llm_tensor *t, int k)
{
    return 8 * t->choices[k].size / (double)adze_shape_elements(t->source->rank, t->source->dims);
}

static int choose_probe(const llm_tensor *t)
{
    int best = 0;
    for (int k = 1; k < t->type_count; k++)
        if (fabs(bits_of(t, k) - probe_bits) < fabs(bits_of(t, best) - probe_bits))
            best = k;
    return best;
}

/* ---- disturbing ---- */

typedef struct disturbance {
    const llm_search *s;
    const llm_tensor *t;
    adze_dtype type;
    const adze_imatrix_entry *entry;
    char *weights; /* the engine's */
    const void *tables;
    int64_t width, piece_rows, slice_rows;
    bool failed;
} disturbance;

/* Weights of the piece's rows as the type would have them, in the reference's own float type. */
static void disturb_piece(void *user, int64_t piece, int worker)
{
    disturbance *d = user;
    const adze_checkpoint_tensor *from = d->t->source;
    const adze_blocks_table *blocks = &d->s->context->kernels->blocks;
    adze_dtype type = d->type;
    float *row = adze_alloc((size_t)d->width * 2, sizeof *row);
    char *bytes = adze_alloc(1, adze_dtype_bytes(type, d->width));
    ADZE_UNUSED(worker);
    if (!row || !bytes) {
        d->failed = true;
    } else {
        float *importance = row + d->width;
        int64_t first = piece * d->piece_rows, end = ADZE_MIN(first + d->piece_rows, from->rows);
        for (int64_t r = first; r < end; r++) {
            char *own = d->weights + (size_t)r * from->row_bytes;
            int64_t e = r / d->slice_rows;
            for (int64_t k = 0; d->entry && k < d->width; k++)
                importance[k] =
                    d->entry->counts[e] > 0
                        ? (float)(d->entry->sums[e * d->width + k] / (double)d->entry->counts[e])
                        : 1;
            blocks->codec[from->dtype].decode(own, d->width, row);
            blocks->codec[type].encode(row, d->width, d->entry ? importance : NULL, d->tables,
                                       bytes);
            blocks->codec[type].decode(bytes, d->width, row);
            blocks->codec[from->dtype].encode(row, d->width, NULL, NULL, own);
        }
    }
    adze_free(row);
    adze_free(bytes);
}

static adze_status disturb(llm_search *s, llm_tensor *t, int k, char *weights, adze_error *err)
{
    const adze_block_codec *codec = &s->context->kernels->blocks.codec[t->types[k]];
    disturbance d = {.s = s, .t = t, .type = t->types[k], .weights = weights, .piece_rows = 16};
    void *tables = codec->tables_size ? adze_alloc(1, codec->tables_size) : NULL;
    if (codec->tables_size && !tables)
        return adze_fail(err, ADZE_NO_MEMORY, "tensor %s", t->name);
    if (tables)
        codec->tables_init(tables);
    d.tables = tables;
    d.entry = s->imatrix ? adze_imatrix_find(s->imatrix, t->name) : NULL;
    d.width = t->source->dims[t->source->rank - 1];
    d.slice_rows = ADZE_MAX(t->source->rows / (d.entry ? d.entry->experts : 1), 1);
    int64_t pieces = (t->source->rows + d.piece_rows - 1) / d.piece_rows;
    adze_pool_run(s->context->pool, pieces, disturb_piece, &d);
    adze_free(tables);
    return d.failed ? adze_fail(err, ADZE_NO_MEMORY, "tensor %s", t->name) : ADZE_OK;
}

/* ---- measuring ---- */

static adze_status probe(llm_search *s, const char *save, adze_perplexity *out, adze_error *err)
{
    adze_perplexity_options how = llm_perplexity_options(s);
    how.context = ADZE_MIN(LLM_CHUNK, s->probe_count);
    how.base = save ? NULL : s->probe_base;
    how.save_base = save;
    return adze_perplexity_measure(out, s->engine, s->probe_ids, s->probe_count, &how, err);
}

static adze_status measure_type(llm_search *s, llm_tensor *t, int k, double *kld, adze_error *err)
{
    size_t size = (size_t)t->source->rows * t->source->row_bytes;
    char *weights = adze_engine_weight_bytes(s->engine, t->name);
    if (!weights)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: the weights of %s cannot be changed in memory",
                         s->reference, t->name);
    char *kept = adze_alloc(1, size);
    if (!kept)
        return adze_fail(err, ADZE_NO_MEMORY, "tensor %s", t->name);
    memcpy(kept, weights, size);
    adze_perplexity result = {0};
    adze_status status = disturb(s, t, k, weights, err);
    if (status == ADZE_OK)
        status = probe(s, NULL, &result, err);
    memcpy(weights, kept, size);
    adze_free(kept);
    *kld = fmax(result.kld.value, 0);
    return status;
}

/* ---- what an earlier search in this folder has measured ---- */

typedef struct memory {
    char *path;
    char key[65];    /* of the original's predictions and the importance matrix */
    json_t *tensors; /* name: {type: divergence, ...} */
    int measured;
} memory;

static adze_status find_key(const llm_search *s, char key[65], adze_error *err)
{
    char part[65];
    adze_sha256 sha;
    adze_sha256_init(&sha);
    ADZE_TRY(adze_file_sha256(part, s->probe_base, err));
    adze_sha256_add(&sha, part, 64);
    if (s->imatrix_path) {
        ADZE_TRY(adze_file_sha256(part, s->imatrix_path, err));
        adze_sha256_add(&sha, part, 64);
    }
    adze_sha256_hex(&sha, key);
    return ADZE_OK;
}

/* A file that is missing, damaged, or of another model or text is as good as none. */
static adze_status remember(memory *m, llm_search *s, adze_error *err)
{
    ADZE_TRY(find_key(s, m->key, err));
    m->path = adze_path_join(&s->arena, s->o.output, "sensitivity.json");
    if (!m->path)
        return adze_fail(err, ADZE_NO_MEMORY, "sensitivities");
    adze_error none;
    json_t *root = NULL;
    if (adze_file_exists(m->path) && adze_json_load(&root, m->path, &none) == ADZE_OK) {
        const char *key = json_string_value(json_object_get(root, "key"));
        json_t *tensors = json_object_get(root, "tensors");
        if (key && strcmp(key, m->key) == 0 && json_is_object(tensors))
            m->tensors = json_incref(tensors);
    }
    json_decref(root);
    if (!m->tensors)
        m->tensors = json_object();
    return m->tensors ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "sensitivities");
}

static adze_status keep(const memory *m, adze_error *err)
{
    json_t *root = json_pack("{s:s, s:O}", "key", m->key, "tensors", m->tensors);
    adze_status status = adze_json_save(root, m->path, err);
    json_decref(root);
    return status;
}

/* The divergence that type k of a tensor gives, remembered or measured. */
static adze_status know(memory *m, llm_search *s, llm_tensor *t, int k, double *kld,
                        adze_error *err)
{
    enum { KEEP_EVERY = 16 };
    const char *type = adze_dtype_describe(t->types[k])->name;
    json_t *known = json_object_get(m->tensors, t->name);
    if (!json_is_object(known)) {
        known = json_object();
        json_object_set_new(m->tensors, t->name, known);
    }
    const json_t *divergence = json_object_get(known, type);
    if (json_is_number(divergence)) {
        *kld = json_number_value(divergence);
        return ADZE_OK;
    }
    ADZE_TRY(measure_type(s, t, k, kld, err));
    json_object_set_new(known, type, json_real(*kld));
    return ++m->measured % KEEP_EVERY ? ADZE_OK : keep(m, err);
}

/* A tensor that disturbs much is measured with every type that would be seen: large divergences do not grow as the
 * squared error. Types too fine to be seen follow from the finest that was. */
static adze_status know_all(memory *m, llm_search *s, llm_tensor *t, adze_error *err)
{
    double finest = t->errors[t->probe];
    for (int k = 0; k < t->type_count; k++) {
        double *loss = &t->choices[k].loss;
        if (k == t->probe || *loss < SEEN)
            continue;
        ADZE_TRY(know(m, s, t, k, loss, err));
        if (t->errors[k]<finest && * loss> 0) {
            finest = t->errors[k];
            t->sensitivity = *loss / finest;
        }
    }
    for (int k = 0; k < t->type_count; k++)
        if (t->errors[k] < finest)
            t->choices[k].loss = t->sensitivity * t->errors[k];
    return ADZE_OK;
}

static adze_status measure_all(llm_search *s, memory *m, adze_error *err)
{
    for (int i = 0; i < s->count; i++) {
        llm_tensor *t = &s->tensors[i];
        t->probe = choose_probe(t);
        ADZE_TRY(llm_say(s, err, "sensitivity of %s (%d of %d)", t->name, i + 1, s->count));
        ADZE_TRY(know(m, s, t, t->probe, &t->probe_kld, err));
        const double error = t->errors[t->probe];
        t->sensitivity = error > 0 ? t->probe_kld / error : 0;
        for (int k = 0; k < t->type_count; k++)
            t->choices[k].loss = t->sensitivity * t->errors[k];
        if (t->probe_kld > MUCH)
            ADZE_TRY(know_all(m, s, t, err));
    }
    return keep(m, err);
}

adze_status llm_sensitivity_measure(llm_search *s, adze_error *err)
{
    adze_perplexity own;
    memory m = {0};
    ADZE_TRY(probe(s, s->probe_base, &own, err));
    adze_status status = remember(&m, s, err);
    if (status == ADZE_OK)
        status = measure_all(s, &m, err);
    json_decref(m.tensors);
    return status;
}
