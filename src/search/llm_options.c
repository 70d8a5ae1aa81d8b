/* What may be chosen for each tensor: the types whose blocks divide its rows, their bytes, and the error each makes on
 * a sample of rows, weighted by the activations that meet each column (the importance matrix), so that it
 * is the error of the product that is counted. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "kernels/kernels.h"
#include "search/llm_search_impl.h"

enum { SAMPLE_ELEMENTS = 131072, SAMPLE_ROWS = 256, ALIGNMENT = 32 };

bool llm_type_is_named(adze_dtype d, const char *name)
{
    return strcmp(name, adze_dtype_describe(d)->name) == 0 ||
           (d == ADZE_F16 && strcmp(name, "f16") == 0);
}

static bool is_wanted(const llm_search *s, adze_dtype d)
{
    for (int i = 0; i < s->o.type_count; i++)
        if (llm_type_is_named(d, s->o.types[i]))
            return true;
    return s->o.type_count == 0;
}

bool llm_type_is_choice(const llm_search *s, adze_dtype d)
{
    const adze_block_codec *codec = &s->context->kernels->blocks.codec[d];
    bool blocks = adze_dtype_describe(d)->kind == ADZE_KIND_BLOCK && d != ADZE_Q8_1 &&
                  d != ADZE_Q8_K && d != ADZE_TQ1_0 && d != ADZE_TQ2_0;
    return codec->encode && codec->decode && (blocks || d == ADZE_F16);
}

static void list_types(const llm_search *s, llm_tensor *t, bool has_matrix)
{
    const adze_blocks_table *blocks = &s->context->kernels->blocks;
    int64_t width = t->source->dims[t->source->rank - 1];
    for (int d = 0; d < ADZE_DTYPE_COUNT && t->type_count < LLM_MOST_TYPES; d++) {
        const adze_dtype_info *info = adze_dtype_describe((adze_dtype)d);
        const adze_block_codec *codec = &blocks->codec[d];
        bool usable = llm_type_is_choice(s, (adze_dtype)d) && width % info->block_size == 0;
        if (usable && is_wanted(s, (adze_dtype)d) && (has_matrix || !codec->needs_importance))
            t->types[t->type_count++] = (adze_dtype)d;
    }
}

/* ---- errors ---- */

typedef struct sample {
    const llm_search *s;
    llm_tensor *t;
    const float *rows, *importance; /* [count, width]; [slices, width] or NULL */
    int64_t count, width, stride;   /* every stride-th row of the tensor */
    int64_t slice_rows;             /* rows of one expert */
    double energy;                  /* weighted sum of squares of the rows */
    adze_status status;
} sample;

static const float *importance_of(const sample *x, int64_t row)
{
    return x->importance ? x->importance + row * x->stride / x->slice_rows * x->width : NULL;
}

static double weighted(const float *a, const float *b, const float *importance, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)a[i] - (b ? (double)b[i] : 0);
        sum += d * d * (importance ? importance[i] : 1.0);
    }
    return sum;
}

/* The error of one type over the sample. */
static void measure_type(void *user, int64_t k, int worker)
{
    sample *x = user;
    adze_dtype d = x->t->types[k];
    const adze_block_codec *codec = &x->s->context->kernels->blocks.codec[d];
    size_t row_bytes = adze_dtype_bytes(d, x->width);
    void *tables = codec->tables_size ? adze_alloc(1, codec->tables_size) : NULL;
    char *bytes = adze_alloc(1, row_bytes);
    float *back = adze_alloc((size_t)x->width, sizeof *back);
    ADZE_UNUSED(worker);
    if (!bytes || !back || (codec->tables_size && !tables)) {
        x->status = ADZE_NO_MEMORY;
    } else {
        double error = 0;
        if (tables)
            codec->tables_init(tables);
        for (int64_t r = 0; r < x->count; r++) {
            const float *row = x->rows + r * x->width, *importance = importance_of(x, r);
            codec->encode(row, x->width, importance, tables, bytes);
            codec->decode(bytes, x->width, back);
            error += weighted(row, back, importance, x->width);
        }
        x->t->errors[k] = x->energy > 0 ? error / x->energy : 0;
    }
    adze_free(tables);
    adze_free(bytes);
    adze_free(back);
}

static adze_status read_sample(sample *x, float *rows, adze_error *err)
{
    const adze_checkpoint_tensor *from = x->t->source;
    const adze_block_codec *codec = &x->s->context->kernels->blocks.codec[from->dtype];
    char *bytes = adze_alloc(1, from->row_bytes);
    if (!bytes)
        return adze_fail(err, ADZE_NO_MEMORY, "tensor %s", from->name);
    adze_status status = ADZE_OK;
    double squares = 0, largest = 0;
    for (int64_t r = 0; r < x->count && status == ADZE_OK; r++) {
        status = adze_checkpoint_rows(adze_engine_checkpoint(x->s->engine), from, r * x->stride, 1,
                                      bytes, err);
        if (status != ADZE_OK)
            break;
        codec->decode(bytes, x->width, rows + r * x->width);
        x->energy += weighted(rows + r * x->width, NULL, importance_of(x, r), x->width);
        for (int64_t i = 0; i < x->width; i++) {
            double v = rows[r * x->width + i];
            squares += v * v;
            largest = fmax(largest, fabs(v));
        }
    }
    adze_free(bytes);
    x->t->largest = squares > 0 ? largest / sqrt(squares / (double)(x->count * x->width)) : 0;
    return status;
}

/* Mean squares of the activations, one row for each expert; NULL without failure: not in the matrix. */
static adze_status find_importance(const llm_search *s, const char *name, float **out,
                                   int64_t *slices, adze_error *err)
{
    const adze_imatrix_entry *e = s->imatrix ? adze_imatrix_find(s->imatrix, name) : NULL;
    *out = NULL;
    *slices = 1;
    if (!e)
        return ADZE_OK;
    *out = adze_alloc((size_t)(e->experts * e->width), sizeof **out);
    if (!*out)
        return adze_fail(err, ADZE_NO_MEMORY, "tensor %s", name);
    for (int64_t i = 0; i < e->experts; i++)
        for (int64_t k = 0; k < e->width; k++)
            (*out)[i * e->width + k] =
                e->counts[i] > 0 ? (float)(e->sums[i * e->width + k] / (double)e->counts[i]) : 1;
    *slices = e->experts;
    return ADZE_OK;
}

static adze_status measure_tensor(llm_search *s, llm_tensor *t, const float *importance,
                                  int64_t slices, adze_error *err)
{
    sample x = {.s = s, .t = t, .importance = importance};
    x.width = t->source->dims[t->source->rank - 1];
    x.count =
        ADZE_MIN(ADZE_MIN(SAMPLE_ROWS, ADZE_MAX(SAMPLE_ELEMENTS / x.width, 4)), t->source->rows);
    x.stride = t->source->rows / x.count;
    x.slice_rows = ADZE_MAX(t->source->rows / slices, 1);
    float *rows = adze_alloc((size_t)(x.count * x.width), sizeof *rows);
    if (!rows)
        return adze_fail(err, ADZE_NO_MEMORY, "tensor %s", t->name);
    x.rows = rows;
    adze_status status = read_sample(&x, rows, err);
    if (status == ADZE_OK)
        adze_pool_run(s->context->pool, t->type_count, measure_type, &x);
    adze_free(rows);
    return status != ADZE_OK     ? status
           : x.status == ADZE_OK ? ADZE_OK
                                 : adze_fail(err, x.status, "errors of tensor %s", t->name);
}

/* Bytes with the padding that aligns the next tensor. */
static double in_file(uint64_t bytes)
{
    return (double)((bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

static adze_status add_tensor(llm_search *s, const adze_llm_tensor_report *report, adze_error *err)
{
    llm_tensor *t = &s->tensors[s->count];
    *t = (llm_tensor){.name = report->name};
    t->source = adze_checkpoint_find(adze_engine_checkpoint(s->engine), report->name);
    if (!t->source)
        return adze_fail(err, ADZE_INTERNAL, "tensor %s is not in the reference", report->name);
    float *importance;
    int64_t slices;
    ADZE_TRY(find_importance(s, t->name, &importance, &slices, err));
    list_types(s, t, importance != NULL);
    adze_status status = ADZE_OK;
    if (t->type_count > 0) {
        status = measure_tensor(s, t, importance, slices, err);
        for (int k = 0; k < t->type_count; k++)
            t->choices[k].size = in_file(adze_dtype_bytes(
                t->types[k], adze_shape_elements(t->source->rank, t->source->dims)));
        s->count++;
    }
    adze_free(importance);
    return status;
}

/* A type that is larger and worse than another is no choice. */
static void drop_dominated(llm_tensor *t)
{
    int kept = 0;
    for (int k = 0; k < t->type_count; k++) {
        bool beaten = false;
        for (int j = 0; j < t->type_count && !beaten; j++) {
            bool better = t->choices[j].size <= t->choices[k].size && t->errors[j] <= t->errors[k];
            bool equal = t->choices[j].size == t->choices[k].size && t->errors[j] == t->errors[k];
            beaten = j != k && better && (!equal || j < k);
        }
        if (beaten)
            continue;
        t->types[kept] = t->types[k];
        t->choices[kept] = t->choices[k];
        t->errors[kept++] = t->errors[k];
    }
    t->type_count = kept;
}

adze_status llm_options_find(llm_search *s, adze_error *err)
{
    adze_llm_quantize_options how = llm_quantize_options();
    adze_llm_quantization *q;
    how.type = "Q8_0";
    how.pure = true;
    how.imatrix = s->imatrix_path; /* the file says which was used: that takes some bytes */
    ADZE_TRY(adze_llm_quantization_open(&q, s->context, s->reference, &how, err));
    int all = adze_llm_quantization_count(q);
    s->tensors = ADZE_ARENA_ARRAY(&s->arena, llm_tensor, (size_t)all + 1);
    s->fixed_bytes = (double)adze_llm_quantization_bytes(q);
    adze_status status = s->tensors ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "%d tensors", all);
    for (int i = 0; i < all && status == ADZE_OK; i++) {
        const adze_llm_tensor_report *r = adze_llm_quantization_tensor(q, i);
        if (r->from == r->to)
            continue;
        adze_llm_tensor_report named = *r;
        named.name = adze_arena_strdup(&s->arena, r->name);
        status = named.name ? llm_say(s, err, "errors of %s", r->name)
                            : adze_fail(err, ADZE_NO_MEMORY, "%s", r->name);
        if (status == ADZE_OK)
            status = add_tensor(s, &named, err);
        if (status == ADZE_OK && s->count > 0 && s->tensors[s->count - 1].name == named.name) {
            s->fixed_bytes -= in_file(r->bytes);
            drop_dominated(&s->tensors[s->count - 1]);
        }
    }
    adze_llm_quantization_close(&q);
    if (status == ADZE_OK && s->count == 0)
        status = adze_fail(err, ADZE_BAD_MODEL, "%s: no tensor can be quantized%s", s->model,
                           s->o.type_count > 0 ? " to one of the given types" : "");
    return status;
}
