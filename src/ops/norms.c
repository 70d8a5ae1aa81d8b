/* LRN, LpNormalization, MeanVarianceNormalization. float32 in blocks of rows that stay in the cache, by the
 * kernels of rows and elements; every other type, and what float32 could not hold, by plain loops in double. */
#include <math.h>
#include <string.h>

#include "ops/helpers.h"

enum { BLOCK = 256, PART = 4096 }; /* columns side by side; elements whose sum is one float */

static void norm_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                      const adze_tensor *const *outputs)
{
    ADZE_UNUSED(node);
    ADZE_UNUSED(outputs);
    cost->operations = 5.0 * (double)adze_tensor_elements(inputs[0]);
}

/* Sum over a long row: parts of it in float, their sum in double. */
static double sum_row(const adze_run *run, adze_reduce op, int64_t n, const float *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i += PART)
        sum += (double)run->kernels->rows.reduce[op](ADZE_MIN(n - i, PART), x + i);
    return sum;
}

/* Sum of rows of m <= BLOCK columns, [n] of them inner apart, or of what a function makes of them: of 64 rows each, then
 * of these. */
static void sum_columns(const adze_eltwise_table *e, adze_unary term_of, int64_t n, int64_t m,
                        int64_t inner, const float *x, float *sum)
{
    const adze_binary_f32_fn add = e->binary[ADZE_BINARY_ADD][ADZE_FORM_VV];
    float part[BLOCK], term[BLOCK];
    memset(sum, 0, (size_t)m * sizeof *sum);
    for (int64_t k = 0; k < n; k++, x += inner) {
        float *to = k % 64 ? term : part;
        e->unary[term_of](m, x, to, 1, 0);
        if (k % 64)
            add(m, part, term, part);
        if (k % 64 == 63 || k == n - 1)
            add(m, sum, part, sum);
    }
}

/* ---- LRN: x / (bias + alpha / size * sum over near channels of x^2)^beta ---- */

typedef struct lrn_job {
    const adze_run *run;
    int64_t c, inner, size;
    double alpha, beta, bias;
} lrn_job;

static void lrn_channel(const lrn_job *j, int64_t c, int64_t first, int64_t last, int64_t at)
{
    const adze_tensor *x = j->run->inputs[0];
    for (int64_t i = 0; i < j->inner; i++, at++) {
        double sum = 0;
        for (int64_t k = first; k <= last; k++) {
            double v = adze_tensor_get_f64(x, at + (k - c) * j->inner);
            sum += v * v;
        }
        adze_tensor_set_f64(j->run->outputs[0], at,
                            adze_tensor_get_f64(x, at) /
                                pow(j->bias + j->alpha / (double)j->size * sum, j->beta));
    }
}

/* y to the power beta. */
static void lrn_power(const lrn_job *j, int64_t n, float *y)
{
    const adze_eltwise_table *e = &j->run->kernels->eltwise;
    const float beta = (float)j->beta;
    float half[BLOCK];
    if (beta == 1)
        return;
    if (beta != 0.5f && beta != 0.75f) {
        e->binary[ADZE_BINARY_POW][ADZE_FORM_VS](n, y, &beta, y);
        return;
    }
    e->unary[ADZE_UNARY_SQRT](n, y, y, 0, 0);
    if (beta == 0.5f)
        return;
    e->unary[ADZE_UNARY_SQRT](n, y, half, 0, 0);
    e->binary[ADZE_BINARY_MUL][ADZE_FORM_VV](n, y, half, y);
}

/* n <= BLOCK columns of all channels of an image; their squares in `squares` [c][BLOCK]. */
static void lrn_block(const lrn_job *j, int64_t n, const float *x, float *y, float *squares)
{
    const adze_eltwise_table *e = &j->run->kernels->eltwise;
    for (int64_t c = 0; c < j->c; c++)
        e->unary[ADZE_UNARY_SQUARE](n, x + c * j->inner, squares + c * BLOCK, 0, 0);
    for (int64_t c = 0; c < j->c; c++, x += j->inner, y += j->inner) {
        int64_t first = ADZE_MAX(0, c - (j->size - 1) / 2);
        int64_t last = ADZE_MIN(j->c - 1, c + j->size / 2);
        memcpy(y, squares + first * BLOCK, (size_t)n * sizeof *y);
        for (int64_t k = first + 1; k <= last; k++)
            e->binary[ADZE_BINARY_ADD][ADZE_FORM_VV](n, y, squares + k * BLOCK, y);
        e->unary[ADZE_UNARY_LINEAR](n, y, y, (float)(j->alpha / (double)j->size), (float)j->bias);
        lrn_power(j, n, y);
        e->binary[ADZE_BINARY_DIV][ADZE_FORM_VV](n, x, y, y);
    }
}

static int64_t lrn_blocks(const lrn_job *j)
{
    return j->run->inputs[0]->dtype == ADZE_F32 ? (j->inner + BLOCK - 1) / BLOCK : 1;
}

static void lrn_piece(void *user, int64_t piece, int worker)
{
    const lrn_job *j = user;
    int64_t each = lrn_blocks(j), plane = j->c * j->inner;
    if (j->run->inputs[0]->dtype == ADZE_F32) {
        int64_t first = piece % each * BLOCK, at = piece / each * plane + first;
        lrn_block(j, ADZE_MIN(BLOCK, j->inner - first), (const float *)j->run->inputs[0]->data + at,
                  (float *)j->run->outputs[0]->data + at,
                  (float *)j->run->scratch + worker * j->c * BLOCK);
        return;
    }
    for (int64_t c = 0; c < j->c; c++)
        lrn_channel(j, c, ADZE_MAX(0, c - (j->size - 1) / 2), ADZE_MIN(j->c - 1, c + j->size / 2),
                    piece * plane + c * j->inner);
}

static size_t lrn_scratch(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    return x->rank < 2 || x->dtype != ADZE_F32
               ? 0
               : (size_t)(x->dims[1] * BLOCK * adze_run_threads(run)) * sizeof(float);
}

static adze_status lrn_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    lrn_job j = {.run = run,
                 .c = x->rank > 1 ? x->dims[1] : 1,
                 .inner = adze_ops_product(x->dims, 2, x->rank),
                 .size = adze_node_int(run->node, "size", 1),
                 .alpha = (double)adze_node_float(run->node, "alpha", 1e-4f),
                 .beta = (double)adze_node_float(run->node, "beta", 0.75f),
                 .bias = (double)adze_node_float(run->node, "bias", 1.0f)};
    if (j.size < 1 || x->rank < 2)
        return adze_fail(err, ADZE_BAD_MODEL, "LRN '%s': size %lld of an input of rank %d",
                         adze_node_name(run->node), (long long)j.size, x->rank);
    adze_run_parallel(run, x->dims[0] * lrn_blocks(&j), lrn_piece, &j);
    return ADZE_OK;
}

/* ---- LpNormalization ---- */

typedef struct lp_job {
    const adze_run *run;
    int64_t n, inner;
    bool absolute; /* p is 1 */
} lp_job;

static void lp_plain(const lp_job *j, int64_t at)
{
    const adze_tensor *x = j->run->inputs[0];
    double norm = 0;
    for (int64_t k = 0; k < j->n && !adze_ops_is_late(j->run, k); k++) {
        double v = adze_tensor_get_f64(x, at + k * j->inner);
        norm += j->absolute ? fabs(v) : v * v;
    }
    norm = j->absolute ? norm : sqrt(norm);
    for (int64_t k = 0; k < j->n && !adze_ops_is_late(j->run, k); k++)
        adze_tensor_set_f64(j->run->outputs[0], at + k * j->inner,
                            norm == 0 ? 0 : adze_tensor_get_f64(x, at + k * j->inner) / norm);
}

/* Whether no square of float32 that matters is lost or overflows; not so NaN. */
static bool is_usual(float norm)
{
    return norm > 1e-12f && norm < 1e18f;
}

static void lp_row(const lp_job *j, int64_t at)
{
    const float *x = (const float *)j->run->inputs[0]->data + at;
    double sum = sum_row(j->run, j->absolute ? ADZE_REDUCE_L1 : ADZE_REDUCE_SUM_SQUARE, j->n, x);
    float norm = (float)(j->absolute ? sum : sqrt(sum));
    if (is_usual(norm))
        j->run->kernels->eltwise.binary[ADZE_BINARY_DIV][ADZE_FORM_VS](
            j->n, x, &norm, (float *)j->run->outputs[0]->data + at);
    else
        lp_plain(j, at);
}

/* m <= BLOCK columns. */
static void lp_columns(const lp_job *j, int64_t m, int64_t at)
{
    const adze_eltwise_table *e = &j->run->kernels->eltwise;
    const float *x = (const float *)j->run->inputs[0]->data + at;
    float *y = (float *)j->run->outputs[0]->data + at, norm[BLOCK];
    bool usual = true;
    sum_columns(e, j->absolute ? ADZE_UNARY_ABS : ADZE_UNARY_SQUARE, j->n, m, j->inner, x, norm);
    if (!j->absolute)
        e->unary[ADZE_UNARY_SQRT](m, norm, norm, 0, 0);
    for (int64_t i = 0; i < m; i++)
        usual &= is_usual(norm[i]);
    for (int64_t k = 0; k < j->n && usual; k++)
        e->binary[ADZE_BINARY_DIV][ADZE_FORM_VV](m, x + k * j->inner, norm, y + k * j->inner);
    for (int64_t i = 0; i < m && !usual; i++)
        lp_plain(j, at + i);
}

static void lp_lines(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const lp_job *j = user;
    for (int64_t i = begin, m; i < end; i += m) {
        int64_t at = i / j->inner * j->n * j->inner + i % j->inner;
        m = 1;
        if (j->run->inputs[0]->dtype != ADZE_F32)
            lp_plain(j, at);
        else if (j->inner == 1)
            lp_row(j, at);
        else
            lp_columns(j, m = ADZE_MIN(ADZE_MIN(BLOCK, end - i), j->inner - i % j->inner), at);
    }
}

static adze_status lp_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int axis = 0;
    if (x->rank > 0)
        ADZE_TRY(
            adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", -1), x->rank, err));
    lp_job j = {.run = run,
                .n = x->rank ? x->dims[axis] : 1,
                .inner = adze_ops_product(x->dims, axis + 1, x->rank),
                .absolute = adze_node_int(run->node, "p", 2) == 1};
    if (adze_tensor_elements(x) > 0)
        adze_ops_parallel(run, adze_tensor_elements(x) / j.n, j.inner == 1 ? 16 : BLOCK, lp_lines,
                          &j);
    return ADZE_OK;
}

/* ---- MeanVarianceNormalization: over the given axes (default 0, 2, 3) ---- */

/* Each group, one for each place on the axes that stay, is made of runs: [length] elements side by side. */
typedef struct mvn_job {
    const adze_run *run;
    int lead; /* axes before those of a run */
    bool reduced[ADZE_MAX_RANK];
    int64_t strides[ADZE_MAX_RANK];
    int64_t runs, length;
    int64_t inner; /* elements between those of a run that is not side by side: see mvn_columns */
} mvn_job;

static int64_t mvn_start(const mvn_job *j, int64_t group, int64_t run)
{
    const int64_t *dims = j->run->inputs[0]->dims;
    int64_t at = 0;
    for (int d = j->lead - 1; d >= 0; d--) {
        int64_t *rest = j->reduced[d] ? &run : &group;
        at += *rest % dims[d] * j->strides[d];
        *rest /= dims[d];
    }
    return at;
}

static void mvn_plain(const mvn_job *j, int64_t group)
{
    const adze_tensor *x = j->run->inputs[0];
    double mean = 0, square = 0, count = (double)(j->runs * j->length);
    for (int pass = 0; pass < 3; pass++) {
        for (int64_t r = 0; r < j->runs && !adze_run_is_late(j->run); r++)
            for (int64_t i = 0, at = mvn_start(j, group, r); i < j->length; i++, at++) {
                double v = adze_tensor_get_f64(x, at);
                if (pass == 0)
                    mean += v / count;
                else if (pass == 1)
                    square += (v - mean) * (v - mean) / count;
                else
                    adze_tensor_set_f64(j->run->outputs[0], at, (v - mean) / (sqrt(square) + 1e-9));
            }
    }
}

/* x less the mean as a float goes to y, which then gets the rest of the mean and the scale. */
static void mvn_floats(const mvn_job *j, int64_t group)
{
    const adze_unary_f32_fn linear = j->run->kernels->eltwise.unary[ADZE_UNARY_LINEAR];
    const float *x = j->run->inputs[0]->data;
    float *y = j->run->outputs[0]->data;
    double sum = 0, rest = 0, square = 0, count = (double)(j->runs * j->length);
    for (int64_t r = 0; r < j->runs; r++)
        sum += sum_row(j->run, ADZE_REDUCE_SUM, j->length, x + mvn_start(j, group, r));
    const float mean = (float)(sum / count);
    for (int64_t r = 0; r < j->runs; r++) {
        int64_t start = mvn_start(j, group, r);
        for (int64_t i = start, n; i < start + j->length; i += n) {
            n = ADZE_MIN(PART, start + j->length - i);
            linear(n, x + i, y + i, 1, -mean);
            rest += sum_row(j->run, ADZE_REDUCE_SUM, n, y + i);
            square += sum_row(j->run, ADZE_REDUCE_SUM_SQUARE, n, y + i);
        }
    }
    rest /= count;
    square = square / count - rest * rest;
    if (!(square > 1e-24 && square < 1e36)) { /* some squares are not what float32 can hold */
        mvn_plain(j, group);
        return;
    }
    const double scale = 1 / (sqrt(square) + 1e-9);
    for (int64_t r = 0; r < j->runs; r++) {
        int64_t start = mvn_start(j, group, r);
        linear(j->length, y + start, y + start, (float)scale, (float)(-rest * scale));
    }
}

/* The same for groups that lie side by side, along one reduced axis or several in a row. */
static void mvn_columns(const mvn_job *j, int64_t m, int64_t at)
{
    const adze_eltwise_table *e = &j->run->kernels->eltwise;
    const float *x = (const float *)j->run->inputs[0]->data + at, count = (float)j->runs;
    float *y = (float *)j->run->outputs[0]->data + at, mean[BLOCK], rest[BLOCK], square[BLOCK];
    sum_columns(e, ADZE_UNARY_LINEAR, j->runs, m, j->inner, x, mean);
    e->binary[ADZE_BINARY_DIV][ADZE_FORM_VS](m, mean, &count, mean);
    for (int64_t k = 0; k < j->runs * j->inner; k += j->inner)
        e->binary[ADZE_BINARY_SUB][ADZE_FORM_VV](m, x + k, mean, y + k);
    sum_columns(e, ADZE_UNARY_LINEAR, j->runs, m, j->inner, y, rest);
    sum_columns(e, ADZE_UNARY_SQUARE, j->runs, m, j->inner, y, square);
    bool usual = true;
    for (int64_t i = 0; i < m; i++) {
        double off = (double)rest[i] / (double)j->runs;
        double variance = (double)square[i] / (double)j->runs - off * off;
        usual &= variance > 1e-24 && variance < 1e36;
        rest[i] = (float)off;
        square[i] = (float)(sqrt(variance) + 1e-9);
    }
    for (int64_t k = 0; k < j->runs * j->inner && usual; k += j->inner) {
        e->binary[ADZE_BINARY_SUB][ADZE_FORM_VV](m, y + k, rest, y + k);
        e->binary[ADZE_BINARY_DIV][ADZE_FORM_VV](m, y + k, square, y + k);
    }
    for (int64_t i = 0; i < m && !usual; i++)
        mvn_plain(j, (at / (j->runs * j->inner)) * j->inner + at % j->inner + i);
}

static void mvn_lines(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const mvn_job *j = user;
    for (int64_t i = begin, m; i < end; i += m) {
        m = ADZE_MIN(ADZE_MIN(BLOCK, end - i), j->inner - i % j->inner);
        mvn_columns(j, m, i / j->inner * j->runs * j->inner + i % j->inner);
    }
}

static void mvn_group(void *user, int64_t group, int worker)
{
    ADZE_UNUSED(worker);
    const mvn_job *j = user;
    bool rows = j->run->inputs[0]->dtype == ADZE_F32 && j->length >= 8;
    (rows ? mvn_floats : mvn_plain)(j, group);
}

static adze_status mvn_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    static const int64_t usual[] = {0, 2, 3};
    int count, list[ADZE_MAX_RANK];
    const int64_t *axes = adze_node_ints(run->node, "axes", &count);
    mvn_job j = {.run = run, .lead = x->rank, .runs = 1, .length = 1};
    count = axes ? count : 3;
    if (count > x->rank)
        return adze_ops_bad(run->node, err, "more axes than the rank");
    ADZE_TRY(adze_ops_axes(list, run->node, axes ? axes : usual, count, x->rank, err));
    for (int i = 0; i < count; i++)
        j.reduced[list[i]] = true;
    while (j.lead > 0 && j.reduced[j.lead - 1])
        j.length *= x->dims[--j.lead];
    int64_t groups = 1;
    for (int i = 0; i < j.lead; i++)
        *(j.reduced[i] ? &j.runs : &groups) *= x->dims[i];
    adze_ops_strides(x->rank, x->dims, j.strides);
    int first = 0, last = j.lead; /* reduced axes in a row, if they are */
    while (first < j.lead && !j.reduced[first])
        first++;
    while (last > first && !j.reduced[last - 1])
        last--;
    bool row = x->dtype == ADZE_F32 && j.length == 1 && last > first;
    for (int i = first; i < last; i++)
        row &= j.reduced[i];
    j.inner = adze_ops_product(x->dims, last, x->rank);
    if (adze_tensor_elements(x) == 0)
        return ADZE_OK;
    if (row && j.inner >= 8)
        adze_ops_parallel(run, groups, BLOCK, mvn_lines, &j);
    else
        adze_run_parallel(run, groups, mvn_group, &j);
    return ADZE_OK;
}

#define NORM_ROW(op_name, first, attr_names, scratch_fn, run_fn)                                   \
    {                                                                                              \
        .name = op_name, .domain = "", .since = first, .min_inputs = 1, .max_inputs = 1,           \
        .min_outputs = 1, .max_outputs = 1, .attrs = attr_names, .infer = adze_ops_infer_same,     \
        .cost = norm_cost, .prepare = adze_ops_prepare_float, .scratch = scratch_fn, .run = run_fn \
    }

const adze_op adze_ops_norms[] = {
    NORM_ROW("LRN", 1, "alpha beta bias size", lrn_scratch, lrn_run),
    NORM_ROW("LpNormalization", 1, "axis p", NULL, lp_run),
    NORM_ROW("MeanVarianceNormalization", 9, "axes", NULL, mvn_run),
    {0},
};
