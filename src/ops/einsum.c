/* Einsum: sums of products over named axes, any number of operands. A label is a bit: 52 letters, then the axes of
 * the ellipsis. Operands are taken in one after the other; a step is a batch of matrix products: labels of both
 * that stay are the batch, those of one side that stay are rows or columns, those that nobody needs any more
 * are summed. Operands are brought into that order where they do not lie so. float32 and narrower go through the
 * packed kernels, float64 and integers (which wrap) through plain loops. */
#include <math.h>
#include <string.h>

#include "kernels/conv.h"
#include "ops/execute.h"
#include "ops/helpers.h"

enum { LETTERS = 52, LABELS = LETTERS + ADZE_MAX_RANK, OPERANDS = 64 };

typedef struct equation {
    int operands, ellipsis; /* axes of the ellipsis */
    uint8_t axes[OPERANDS][ADZE_MAX_RANK], rank[OPERANDS];
    uint8_t out[ADZE_MAX_RANK];
    int out_rank;
    uint64_t used[OPERANDS], kept; /* kept: of the output */
} equation;

static adze_status bad(const adze_node *node, const char *what, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_MODEL, "Einsum '%s': equation '%.100s': %s",
                     adze_node_name(node), adze_node_string(node, "equation", ""), what);
}

static uint64_t bit(int label)
{
    return UINT64_C(1) << label;
}

static int letter(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

/* One term, up to a comma, an arrow or the end. labels: LABELS stands for the ellipsis. -1: not a term. */
static int read_term(const char **text, uint8_t labels[ADZE_MAX_RANK + 1])
{
    int n = 0;
    bool ellipsis = false;
    const char *s = *text;
    for (; *s && *s != ',' && !(s[0] == '-' && s[1] == '>'); s++) {
        const bool dots = s[0] == '.' && s[1] == '.' && s[2] == '.';
        if (*s == ' ')
            continue;
        if ((!dots && letter(*s) < 0) || (dots && ellipsis) || n > ADZE_MAX_RANK)
            return -1;
        labels[n++] = (uint8_t)(dots ? LABELS : letter(*s));
        ellipsis |= dots;
        s += dots ? 2 : 0;
    }
    *text = s;
    return n;
}

/* Puts `count` axes of the ellipsis, right-aligned, where a term has it; the number of axes or -1. */
static int spread(uint8_t *to, const uint8_t *labels, int n, int count, int ellipsis)
{
    int rank = 0;
    for (int i = 0; i < n; i++) {
        const int axes = labels[i] == LABELS ? count : 1;
        if (rank + axes > ADZE_MAX_RANK)
            return -1;
        for (int k = 0; k < axes; k++)
            to[rank++] =
                (uint8_t)(labels[i] == LABELS ? LETTERS + ellipsis - count + k : labels[i]);
    }
    return rank;
}

static bool has_ellipsis(const uint8_t *labels, int n)
{
    for (int i = 0; i < n; i++)
        if (labels[i] == LABELS)
            return true;
    return false;
}

/* Widest ellipsis: what the ranks leave beside the letters. ranks[i] -1 never comes here. */
static adze_status count_ellipsis(equation *e, const adze_node *node, const int *ranks,
                                  adze_error *err)
{
    const char *s = adze_node_string(node, "equation", "");
    uint8_t labels[ADZE_MAX_RANK + 1];
    for (int i = 0; i < e->operands; i++) {
        const int n = read_term(&s, labels);
        if (n < 0)
            return bad(node, "not a term of letters and one ellipsis", err);
        const bool dots = has_ellipsis(labels, n);
        const int axes = ranks[i] - n + dots;
        if (axes < 0 || (axes > 0 && !dots))
            return bad(node, "an operand has another number of axes than its term", err);
        e->ellipsis = ADZE_MAX(e->ellipsis, dots ? axes : 0);
        if (i + 1 < e->operands && *s++ != ',')
            return bad(node, "fewer terms than operands", err);
    }
    return *s == ',' ? bad(node, "more terms than operands", err) : ADZE_OK;
}

static adze_status read_output(equation *e, const adze_node *node, const char *s, const int *times,
                               adze_error *err)
{
    uint8_t labels[LABELS];
    int n = 0;
    if (*s) {
        s += 2;
        n = read_term(&s, labels);
        if (n < 0 || *s)
            return bad(node, "the output is not one term", err);
    } else {
        if (e->ellipsis > 0)
            labels[n++] = LABELS;
        for (int i = 0; i < LETTERS; i++)
            if (times[i] == 1)
                labels[n++] = (uint8_t)i;
    }
    e->out_rank = spread(e->out, labels, n, e->ellipsis, e->ellipsis);
    if (e->out_rank < 0)
        return bad(node, "the output has too many axes", err);
    for (int i = 0; i < e->out_rank; i++) {
        if (e->kept & bit(e->out[i]))
            return bad(node, "the output names an axis twice", err);
        if (times[e->out[i]] == 0)
            return bad(node, "the output names an axis that no operand has", err);
        e->kept |= bit(e->out[i]);
    }
    return ADZE_OK;
}

static adze_status read_equation(equation *e, const adze_node *node, const int *ranks,
                                 adze_error *err)
{
    const char *s = adze_node_string(node, "equation", "");
    uint8_t labels[ADZE_MAX_RANK + 1];
    int times[LABELS] = {0};
    *e = (equation){.operands = adze_node_input_count(node)};
    if (e->operands > OPERANDS)
        return adze_fail(err, ADZE_UNSUPPORTED, "Einsum '%s': more than %d operands",
                         adze_node_name(node), OPERANDS);
    ADZE_TRY(count_ellipsis(e, node, ranks, err));
    for (int i = 0; i < e->operands; i++) {
        const int n = read_term(&s, labels);
        const int dots = has_ellipsis(labels, n) ? ranks[i] - n + 1 : 0;
        e->rank[i] = (uint8_t)spread(e->axes[i], labels, n, dots, e->ellipsis);
        for (int k = 0; k < e->rank[i]; k++) {
            times[e->axes[i][k]]++;
            e->used[i] |= bit(e->axes[i][k]);
        }
        s += *s == ',';
    }
    return read_output(e, node, s, times, err);
}

/* The extent of each label; those of 1 stretch. */
static adze_status find_dims(adze_dim dims[LABELS], const equation *e, const adze_node *node,
                             const adze_dim *const *shapes, adze_infer *infer, adze_error *err)
{
    for (int i = 0; i < LABELS; i++)
        dims[i] = 1;
    for (int i = 0; i < e->operands; i++)
        for (int k = 0; k < e->rank[i]; k++) {
            adze_dim *d = &dims[e->axes[i][k]];
            const adze_dim found = shapes[i][k];
            if (*d == 1 || (!adze_dim_known(*d) && adze_dim_known(found) && found != 1))
                *d = found;
            else if (infer && *d != found && !adze_dim_known(*d) && !adze_dim_known(found))
                *d = adze_dim_op(infer->dims, ADZE_DIM_MAX, *d, found); /* equal, or one is 1 */
            else if (adze_dim_known(*d) && adze_dim_known(found) && found != 1 && found != *d)
                return adze_fail(err, ADZE_BAD_MODEL,
                                 "Einsum '%s': axis %d of operand %d is %lld, another of its name "
                                 "%lld",
                                 adze_node_name(node), k, i, (long long)found, (long long)*d);
        }
    return ADZE_OK;
}

static adze_status einsum_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_dim *shapes[OPERANDS];
    adze_dim dims[LABELS], out[ADZE_MAX_RANK];
    int ranks[OPERANDS] = {0};
    const int count = adze_infer_input_count(infer);
    for (int i = 0; i < count && i < OPERANDS; i++) {
        const adze_type *t = adze_ops_ranked(infer, i);
        if (!adze_infer_input(infer, i))
            return adze_ops_bad(node, err, "an operand is absent");
        if (!t)
            return ADZE_OK;
        shapes[i] = t->dims;
        ranks[i] = t->rank;
    }
    equation e;
    ADZE_TRY(read_equation(&e, node, ranks, err));
    ADZE_TRY(find_dims(dims, &e, node, shapes, infer, err));
    for (int i = 0; i < e.out_rank; i++)
        out[i] = dims[e.out[i]];
    adze_infer_set_tensor(infer, 0, adze_infer_input(infer, 0)->dtype, e.out_rank, out);
    return ADZE_OK;
}

/* ---- this run ---- */

typedef enum number { NUMBER_F32, NUMBER_F64, NUMBER_WHOLE } number;

typedef struct part { /* an operand, or what steps have made so far */
    const adze_tensor *tensor;
    const void *data; /* of the working type; NULL: read through the tensor */
    uint64_t labels;
    int64_t stride[LABELS];
} part;

typedef struct order {
    int count;
    uint8_t label[LABELS];
    int64_t total;
} order;

typedef struct einsum {
    adze_run *run;
    equation e;
    int64_t dims[LABELS];
    number kind;
    size_t size; /* of a working number */
} einsum;

static adze_status open_run(einsum *j, const adze_run *run, adze_error *err)
{
    int ranks[OPERANDS] = {0};
    const int64_t *shapes[OPERANDS];
    for (int i = 0; i < run->input_count && i < OPERANDS; i++) {
        ranks[i] = run->inputs[i]->rank;
        shapes[i] = run->inputs[i]->dims;
    }
    const adze_dtype dtype = run->inputs[0]->dtype;
    j->kind = dtype == ADZE_F64 ? NUMBER_F64 : adze_ops_is_float(dtype) ? NUMBER_F32 : NUMBER_WHOLE;
    j->size = j->kind == NUMBER_F32 ? 4 : 8;
    ADZE_TRY(read_equation(&j->e, run->node, ranks, err));
    return find_dims(j->dims, &j->e, run->node, shapes, NULL, err);
}

/* The labels of a set, those of the output in its order first. */
static order order_of(const einsum *j, uint64_t labels)
{
    order o = {.total = 1};
    for (int i = 0; i < j->e.out_rank; i++)
        if (labels & bit(j->e.out[i]))
            o.label[o.count++] = j->e.out[i];
    for (int i = 0; i < LABELS; i++)
        if ((labels & ~j->e.kept) & bit(i))
            o.label[o.count++] = (uint8_t)i;
    double total = 1;
    for (int i = 0; i < o.count; i++) {
        total *= (double)j->dims[o.label[i]];
        o.total = total < 1e17 ? o.total * j->dims[o.label[i]] : (int64_t)1 << 58;
    }
    return o;
}

static order join(const order *a, const order *b)
{
    order o = *a;
    memcpy(o.label + o.count, b->label, (size_t)b->count);
    o.count += b->count;
    o.total *= b->total;
    return o;
}

static part operand(const einsum *j, int i)
{
    const adze_tensor *t = j->run->inputs[i];
    const bool direct = t->dtype == ADZE_F32 || t->dtype == ADZE_F64;
    part p = {.tensor = t, .data = direct ? t->data : NULL, .labels = j->e.used[i]};
    int64_t step = 1;
    for (int k = t->rank - 1; k >= 0; k--) {
        if (t->dims[k] != 1)
            p.stride[j->e.axes[i][k]] += step;
        step *= t->dims[k];
    }
    return p;
}

typedef struct copy {
    const einsum *j;
    const part *from;
    order stay, sum;
    void *to;
    int64_t at;
} copy;

static double read_f64(const copy *c, int64_t at)
{
    return c->from->data ? ((const double *)c->from->data)[at]
                         : adze_tensor_get_f64(c->from->tensor, at);
}

static uint64_t read_whole(const copy *c, int64_t at)
{
    return c->from->data ? ((const uint64_t *)c->from->data)[at]
                         : (uint64_t)adze_tensor_get_i64(c->from->tensor, at);
}

static void add_element(const copy *c, int64_t from)
{
    if (c->j->kind == NUMBER_F32)
        ((float *)c->to)[c->at] += c->from->data
                                       ? ((const float *)c->from->data)[from]
                                       : (float)adze_tensor_get_f64(c->from->tensor, from);
    else if (c->j->kind == NUMBER_F64)
        ((double *)c->to)[c->at] += read_f64(c, from);
    else
        ((uint64_t *)c->to)[c->at] += read_whole(c, from);
}

static void add_up(const copy *c, int depth, int64_t from)
{
    if (depth == c->sum.count) {
        add_element(c, from);
        return;
    }
    const int label = c->sum.label[depth];
    for (int64_t i = 0; i < c->j->dims[label]; i++)
        add_up(c, depth + 1, from + i * c->from->stride[label]);
}

static void copy_axes(copy *c, int depth, int64_t from)
{
    if (depth == c->stay.count) {
        add_up(c, 0, from);
        c->at++;
        return;
    }
    const int label = c->stay.label[depth];
    const int64_t stride = c->from->stride[label], n = c->j->dims[label];
    if (depth + 1 == c->stay.count && c->sum.count == 0 && c->j->kind == NUMBER_F32 &&
        c->from->data) {
        const float *x = (const float *)c->from->data + from;
        for (int64_t i = 0; i < n; i++)
            ((float *)c->to)[c->at++] = x[i * stride];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        copy_axes(c, depth + 1, from + i * stride);
}

static bool lies_so(const part *p, const einsum *j, const order *o)
{
    int64_t step = 1;
    for (int i = o->count - 1; i >= 0; i--) {
        const int64_t dim = j->dims[o->label[i]];
        if (dim != 1 && p->stride[o->label[i]] != step)
            return false;
        step *= dim;
    }
    return p->data != NULL;
}

/* The part in this order, summed over `sum`: its own bytes where they lie so, else in `memory`. */
static const void *arrange(const einsum *j, const part *p, const order *stay, const order *sum,
                           void *memory)
{
    if (sum->count == 0 && lies_so(p, j, stay))
        return p->data;
    copy c = {.j = j, .from = p, .stay = *stay, .sum = *sum, .to = memory};
    memset(memory, 0, (size_t)stay->total * j->size);
    copy_axes(&c, 0, 0);
    return memory;
}

/* ---- a step ---- */

typedef struct step {
    order batch, rows, columns, depth, left, right; /* left, right: summed before */
} step;

static step step_of(const einsum *j, uint64_t a, uint64_t b, int next)
{
    uint64_t later = j->e.kept;
    for (int i = next; i < j->e.operands; i++)
        later |= j->e.used[i];
    return (step){.batch = order_of(j, a & b & later),
                  .rows = order_of(j, a & ~b & later),
                  .columns = order_of(j, b & ~a & later),
                  .depth = order_of(j, a & b & ~later),
                  .left = order_of(j, a & ~b & ~later),
                  .right = order_of(j, b & ~a & ~later)};
}

typedef struct products {
    const einsum *j;
    int64_t m, n, k;
    const void *a, *b;
    void *c;
    bool turned; /* b is [k, n], not [n, k] */
    float *packed;
    size_t packed_floats;
    bool split;
} products;

static void product_f32(void *user, int64_t batch, int worker)
{
    const products *p = user;
    const adze_kernels *k = p->j->run->kernels;
    float *packed = p->packed + (size_t)worker * p->packed_floats;
    k->gemm_f32.pack_b(p->n, p->k, (const float *)p->b + batch * p->n * p->k, p->turned ? p->n : 1,
                       p->turned ? 1 : p->k, packed);
    adze_gemm_f32_args args = {.m = p->m,
                               .n = p->n,
                               .k = p->k,
                               .a = (const float *)p->a + batch * p->m * p->k,
                               .lda = p->k,
                               .b = packed,
                               .c = (float *)p->c + batch * p->m * p->n,
                               .ldc = p->n,
                               .lo = -INFINITY,
                               .hi = INFINITY};
    if (p->split)
        k->gemm_f32.run(&args);
    else
        adze_matmul_f32(k, p->j->run->pool, &args);
}

static void product_wide(void *user, int64_t batch, int worker)
{
    ADZE_UNUSED(worker);
    const products *p = user;
    for (int64_t row = 0; row < p->m; row++)
        for (int64_t column = 0; column < p->n; column++) {
            if (p->k * p->n > 4096 && column % 64 == 0 && adze_run_is_late(p->j->run))
                return;
            double sum = 0;
            uint64_t whole = 0;
            for (int64_t i = 0; i < p->k; i++) {
                const int64_t x = (batch * p->m + row) * p->k + i;
                const int64_t y =
                    batch * p->n * p->k + (p->turned ? i * p->n + column : column * p->k + i);
                if (p->j->kind == NUMBER_F64)
                    sum += ((const double *)p->a)[x] * ((const double *)p->b)[y];
                else
                    whole += ((const uint64_t *)p->a)[x] * ((const uint64_t *)p->b)[y];
            }
            const int64_t at = (batch * p->m + row) * p->n + column;
            if (p->j->kind == NUMBER_F64)
                ((double *)p->c)[at] = sum;
            else
                ((uint64_t *)p->c)[at] = whole;
        }
}

static part made(const einsum *j, const order *o, const void *data)
{
    part p = {.data = data};
    int64_t stride = 1;
    for (int i = o->count - 1; i >= 0; i--) {
        p.labels |= bit(o->label[i]);
        p.stride[o->label[i]] = stride;
        stride *= j->dims[o->label[i]];
    }
    return p;
}

typedef struct memory {
    char *a, *b, *c[2], *out, *packed;
    size_t packed_floats, bytes;
} memory;

static part multiply(const einsum *j, const part *a, const part *b, const step *s, const memory *m,
                     void *to)
{
    const order ab = join(&s->batch, &s->rows), left = join(&ab, &s->depth);
    const order bn = join(&s->batch, &s->columns), right = join(&bn, &s->depth);
    const order bk = join(&s->batch, &s->depth), turned = join(&bk, &s->columns);
    const order out = join(&ab, &s->columns);
    products p = {.j = j,
                  .m = s->rows.total,
                  .n = s->columns.total,
                  .k = s->depth.total,
                  .a = arrange(j, a, &left, &s->left, m->a),
                  .turned = s->right.count == 0 && lies_so(b, j, &turned),
                  .c = to,
                  .packed = (float *)(void *)m->packed,
                  .packed_floats = m->packed_floats,
                  .split = s->batch.total > 1 && adze_run_threads(j->run) > 1};
    p.b = p.turned ? b->data : arrange(j, b, &right, &s->right, m->b);
    if (out.total == 0 || p.k == 0)
        memset(to, 0, (size_t)out.total * j->size);
    else if (j->kind != NUMBER_F32 || p.split)
        adze_run_parallel(j->run, s->batch.total,
                          j->kind == NUMBER_F32 ? product_f32 : product_wide, &p);
    else
        for (int64_t i = 0; i < s->batch.total; i++)
            product_f32(&p, i, 0);
    return made(j, &out, to);
}

static double carve(char **to, char *base, double at, double numbers, size_t size)
{
    *to = base ? base + (size_t)at : NULL;
    return at + ceil((numbers * (double)size + 64) / 64) * 64;
}

/* The largest of each buffer over all steps. */
static memory memory_at(const einsum *j, char *base)
{
    memory m = {0};
    const double nr = j->run->kernels->gemm_f32.nr;
    double a = 0, b = 0, c = 0, packed = 0, at = 0;
    uint64_t labels = j->e.used[0];
    for (int i = 1; i <= j->e.operands; i++) {
        if (i == j->e.operands && i > 1)
            break;
        const uint64_t right = i < j->e.operands ? j->e.used[i] : 0;
        const step s = step_of(j, labels, right, i + 1);
        const double batch = (double)s.batch.total, rows = (double)s.rows.total;
        const double columns = (double)s.columns.total, depth = (double)s.depth.total;
        a = fmax(a, batch * rows * depth);
        b = fmax(b, batch * columns * depth);
        c = fmax(c, batch * rows * columns);
        packed = fmax(packed, (columns + nr) * depth);
        labels = made(j, &s.batch, NULL).labels | made(j, &s.rows, NULL).labels |
                 made(j, &s.columns, NULL).labels;
    }
    at = carve(&m.out, base, at, (double)order_of(j, j->e.kept).total, j->size);
    packed = j->kind == NUMBER_F32 ? ceil(packed / 16) * 16 : 0;
    at = carve(&m.a, base, at, a, j->size);
    at = carve(&m.b, base, at, b, j->size);
    at = carve(&m.c[0], base, at, c, j->size);
    at = carve(&m.c[1], base, at, j->e.operands > 2 ? c : 0, j->size);
    at = carve(&m.packed, base, at, packed * adze_run_threads(j->run), sizeof(float));
    m.packed_floats = (size_t)fmin(packed, 1e15);
    m.bytes = at < 1e15 ? (size_t)at : SIZE_MAX / 4;
    return m;
}

static size_t einsum_scratch(const adze_run *run)
{
    einsum j = {.run = (adze_run *)run};
    adze_error ignored = {0};
    return open_run(&j, run, &ignored) == ADZE_OK ? memory_at(&j, NULL).bytes : 0;
}

static void store_whole(adze_tensor *to, const uint64_t *from, int64_t n)
{
    const size_t size = adze_ops_element(to->dtype);
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)to->data + (size_t)i * size, from + i, size);
}

static void finish(const einsum *j, const part *p, const memory *m)
{
    adze_tensor *y = j->run->outputs[0];
    const order o = order_of(j, j->e.kept), none = {.total = 1};
    const void *data = arrange(j, p, &o, &none, m->out);
    if (data == y->data)
        return;
    if (j->kind == NUMBER_F32)
        adze_ops_store(j->run->kernels, data, o.total, y, 0);
    else if (j->kind == NUMBER_F64)
        memcpy(y->data, data, (size_t)o.total * sizeof(double));
    else
        store_whole(y, data, o.total);
}

/* The last step's product is the output as it is. */
static bool makes_output(const einsum *j, const step *s)
{
    const adze_dtype dtype = j->run->outputs[0]->dtype;
    const order ab = join(&s->batch, &s->rows), c = join(&ab, &s->columns);
    return (dtype == ADZE_F32 || dtype == ADZE_F64) &&
           memcmp(c.label, j->e.out, (size_t)c.count) == 0;
}

static adze_status einsum_run(adze_run *run, adze_error *err)
{
    einsum j = {.run = run};
    ADZE_TRY(open_run(&j, run, err));
    for (int i = 0; i < j.e.out_rank; i++)
        if (run->outputs[0]->dims[i] != j.dims[j.e.out[i]])
            return adze_fail(err, ADZE_BAD_DATA, "Einsum '%s': operands of this run do not fit",
                             adze_node_name(run->node));
    const memory m = memory_at(&j, run->scratch);
    part result = operand(&j, 0);
    if (j.e.operands == 1) {
        const order stay = order_of(&j, j.e.kept), sum = order_of(&j, result.labels & ~j.e.kept);
        const void *data = arrange(&j, &result, &stay, &sum, m.c[0]);
        result = made(&j, &stay, data);
    }
    for (int i = 1; i < j.e.operands; i++) {
        const part next = operand(&j, i);
        const step s = step_of(&j, result.labels, next.labels, i + 1);
        void *to = m.c[i % 2 && j.e.operands > 2 ? 1 : 0];
        if (i + 1 == j.e.operands && makes_output(&j, &s))
            to = run->outputs[0]->data;
        result = multiply(&j, &result, &next, &s, &m, to);
    }
    finish(&j, &result, &m);
    return ADZE_OK;
}

static adze_status einsum_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    const adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    const bool whole =
        (kind == ADZE_KIND_INT || kind == ADZE_KIND_UINT) && adze_ops_element(x->dtype) > 0;
    return (whole || adze_ops_is_float(x->dtype)) && !x->quant
               ? ADZE_OK
               : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

static void einsum_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                        const adze_tensor *const *outputs)
{
    const int64_t *shapes[OPERANDS];
    int64_t dims[LABELS];
    int ranks[OPERANDS] = {0};
    const int count = adze_node_input_count(node);
    equation e;
    adze_error ignored = {0};
    cost->operations = (double)adze_tensor_elements(outputs[0]);
    for (int i = 0; i < count && i < OPERANDS; i++) {
        shapes[i] = inputs[i]->dims;
        ranks[i] = inputs[i]->rank;
    }
    if (read_equation(&e, node, ranks, &ignored) != ADZE_OK ||
        find_dims(dims, &e, node, shapes, NULL, &ignored) != ADZE_OK)
        return;
    cost->operations = 2;
    for (int i = 0; i < LABELS; i++)
        cost->operations *= (double)dims[i];
}

const adze_op adze_ops_einsum[] = {
    {.domain = "",
     .name = "Einsum",
     .since = 12,
     .min_inputs = 1,
     .max_inputs = -1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "equation",
     .types = "a",
     .infer = einsum_infer,
     .cost = einsum_cost,
     .prepare = einsum_prepare,
     .scratch = einsum_scratch,
     .run = einsum_run},
    {.name = NULL},
};
