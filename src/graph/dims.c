/* Symbolic dimensions: numbers >= 0, and negative handles of symbols and expressions in a table.
 *
 * Every expression is brought to one form when it is made: constants stand on the right, a product
 * carries one number, and a quotient by a number carries an offset in [0, divisor) with the rest added
 * outside: floor((H-1)/2)+1 becomes ceil(H/2). Equal expressions then are the same handle. */
#include "graph/ir.h"

#include <stdio.h>
#include <string.h>

#define MAX_SIZE                                                                                   \
    512 /* larger expressions become unknown: keeps evaluation cheap on hostile files */
#define MAX_FACTORS 16

static adze_dim handle_of(int index)
{
    return -1 - (adze_dim)index;
}

const adze_dim_def *adze_dim_get(const adze_dims *dims, adze_dim d)
{
    if (d >= 0 || -1 - d >= dims->count)
        return NULL;
    return &dims->defs[-1 - d];
}

bool adze_dim_known(adze_dim d)
{
    return d >= 0;
}

static int size_of(const adze_dims *dims, adze_dim d)
{
    const adze_dim_def *def = adze_dim_get(dims, d);
    return def ? def->size : 1;
}

/* ---- bounds: interval arithmetic that saturates ---- */

typedef struct interval {
    int64_t lower, upper;
} interval;

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t saturating_sub(int64_t a, int64_t b)
{
    int64_t difference;
    if (a == INT64_MAX)
        return a; /* no bound less something: no bound */
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

static int64_t saturating_mul(int64_t a, int64_t b)
{
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    return product;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q + (a % b != 0 && (a < 0) == (b < 0));
}

static interval bounds_of(const adze_dims *dims, adze_dim d)
{
    const adze_dim_def *def = adze_dim_get(dims, d);
    if (def)
        return (interval){def->lower, def->upper};
    return (interval){d, d};
}

static interval product_bounds(interval a, interval b)
{
    int64_t p[4] = {saturating_mul(a.lower, b.lower), saturating_mul(a.lower, b.upper),
                    saturating_mul(a.upper, b.lower), saturating_mul(a.upper, b.upper)};
    interval r = {p[0], p[0]};
    for (int i = 1; i < 4; i++) {
        r.lower = ADZE_MIN(r.lower, p[i]);
        r.upper = ADZE_MAX(r.upper, p[i]);
    }
    return r;
}

static interval quotient_bounds(interval a, interval b, int64_t (*divide)(int64_t, int64_t))
{
    if (b.lower < 1)
        b.lower = 1; /* division by less is an error at run time */
    if (b.upper < b.lower)
        b.upper = b.lower;
    interval r = {divide(a.lower, a.lower < 0 ? b.lower : b.upper),
                  divide(a.upper, a.upper < 0 ? b.upper : b.lower)};
    if (a.upper == INT64_MAX)
        r.upper = INT64_MAX;
    return r;
}

static interval operation_bounds(adze_dim_kind kind, interval a, interval b)
{
    switch (kind) {
    case ADZE_DIM_ADD:
        return (interval){saturating_add(a.lower, b.lower), saturating_add(a.upper, b.upper)};
    case ADZE_DIM_SUB:
        return (interval){saturating_sub(a.lower, b.upper), saturating_sub(a.upper, b.lower)};
    case ADZE_DIM_MUL: return product_bounds(a, b);
    case ADZE_DIM_DIV: return quotient_bounds(a, b, floor_div);
    case ADZE_DIM_CEIL: return quotient_bounds(a, b, ceil_div);
    case ADZE_DIM_MIN: return (interval){ADZE_MIN(a.lower, b.lower), ADZE_MIN(a.upper, b.upper)};
    case ADZE_DIM_MAX: return (interval){ADZE_MAX(a.lower, b.lower), ADZE_MAX(a.upper, b.upper)};
    case ADZE_DIM_SYMBOL:
    case ADZE_DIM_UNKNOWN: break;
    }
    return (interval){0, INT64_MAX};
}

static bool is_operation(adze_dim_kind kind)
{
    return kind != ADZE_DIM_SYMBOL && kind != ADZE_DIM_UNKNOWN;
}

void adze_dims_update_bounds(adze_dims *dims)
{
    for (int i = 0; i < dims->count; i++) {
        adze_dim_def *def = &dims->defs[i];
        if (!is_operation(def->kind))
            continue;
        interval r = operation_bounds(def->kind, bounds_of(dims, def->a), bounds_of(dims, def->b));
        def->lower = r.lower;
        def->upper = r.upper;
    }
}

int64_t adze_dim_upper(const adze_dims *dims, adze_dim d)
{
    return bounds_of(dims, d).upper;
}

int64_t adze_dim_lower(const adze_dims *dims, adze_dim d)
{
    int64_t lower = bounds_of(dims, d).lower;
    return lower < 0 ? 0 : lower;
}

/* ---- the table ---- */

static adze_dim add_def(adze_dims *dims, const adze_dim_def *def)
{
    if (!adze_arena_grow(dims->arena, &dims->defs, &dims->capacity, dims->count, sizeof *def)) {
        dims->failed = true;
        return -1;
    }
    dims->defs[dims->count] = *def;
    return handle_of(dims->count++);
}

bool adze_dims_init(adze_dims *dims, adze_arena *arena)
{
    *dims = (adze_dims){.arena = arena};
    adze_dim_def any = {.kind = ADZE_DIM_UNKNOWN, .upper = INT64_MAX, .size = 1};
    add_def(dims, &any); /* what -1 means */
    return !dims->failed;
}

bool adze_dims_copy(adze_dims *to, const adze_dims *from)
{
    to->count = 0;
    to->failed = from->failed;
    for (int i = 0; i < from->count; i++) {
        adze_dim_def def = from->defs[i];
        if (def.name)
            def.name = adze_arena_strdup(to->arena, def.name);
        if (from->defs[i].name && !def.name)
            return false;
        add_def(to, &def);
    }
    return to->count == from->count;
}

adze_dim adze_dim_symbol(adze_dims *dims, const char *name)
{
    for (int i = 0; i < dims->count; i++)
        if (dims->defs[i].kind == ADZE_DIM_SYMBOL && strcmp(dims->defs[i].name, name) == 0)
            return handle_of(i);
    const char *copy = adze_arena_strdup(dims->arena, name);
    if (!copy) {
        dims->failed = true;
        return 0;
    }
    adze_dim_def def = {.kind = ADZE_DIM_SYMBOL, .lower = 1, .upper = INT64_MAX, .size = 1};
    def.name = copy;
    int before = dims->count;
    adze_dim d = add_def(dims, &def);
    return dims->count == before ? 0 : d;
}

adze_dim adze_dim_unknown(adze_dims *dims, int64_t upper)
{
    adze_dim_def def = {.kind = ADZE_DIM_UNKNOWN, .upper = upper < 0 ? 0 : upper, .size = 1};
    return add_def(dims, &def);
}

/* The expression as it stands, shared when the table has it. */
static adze_dim make(adze_dims *dims, adze_dim_kind kind, adze_dim a, adze_dim b)
{
    for (int i = dims->count - 1; i >= 0; i--) {
        const adze_dim_def *d = &dims->defs[i];
        if (d->kind == kind && d->a == a && d->b == b && is_operation(kind))
            return handle_of(i);
    }
    interval r = operation_bounds(kind, bounds_of(dims, a), bounds_of(dims, b));
    int size = 1 + size_of(dims, a) + size_of(dims, b);
    if (size > MAX_SIZE)
        return adze_dim_unknown(dims, r.upper);
    adze_dim_def def = {
        .kind = kind, .lower = r.lower, .upper = r.upper, .a = a, .b = b, .size = size};
    return add_def(dims, &def);
}

/* ---- one form ---- */

/* d = *base + *offset, offset a number of either sign. */
static void split_offset(const adze_dims *dims, adze_dim d, adze_dim *base, int64_t *offset)
{
    const adze_dim_def *def = adze_dim_get(dims, d);
    *base = d;
    *offset = 0;
    if (def && def->b >= 0 && (def->kind == ADZE_DIM_ADD || def->kind == ADZE_DIM_SUB)) {
        *base = def->a;
        *offset = def->kind == ADZE_DIM_ADD ? def->b : -def->b;
    }
}

static adze_dim with_offset(adze_dims *dims, adze_dim base, int64_t offset)
{
    if (offset == 0)
        return base;
    if (base >= 0) {
        int64_t sum = saturating_add(base, offset);
        return sum >= 0 ? sum : adze_dim_unknown(dims, 0);
    }
    if (offset == INT64_MIN)
        return adze_dim_unknown(dims, INT64_MAX);
    return offset > 0 ? make(dims, ADZE_DIM_ADD, base, offset)
                      : make(dims, ADZE_DIM_SUB, base, -offset);
}

/* d + offset, d in any form. */
static adze_dim shift(adze_dims *dims, adze_dim d, int64_t offset)
{
    adze_dim base = d;
    int64_t own = 0;
    split_offset(dims, d, &base, &own);
    return with_offset(dims, base, saturating_add(own, offset));
}

/* d = *base * *factor. */
static void split_factor(const adze_dims *dims, adze_dim d, adze_dim *base, int64_t *factor)
{
    const adze_dim_def *def = adze_dim_get(dims, d);
    *base = d;
    *factor = 1;
    if (def && def->kind == ADZE_DIM_MUL && def->b >= 0) {
        *base = def->a;
        *factor = def->b;
    }
}

static adze_dim with_factor(adze_dims *dims, adze_dim base, int64_t factor)
{
    if (factor == 0 || base == 0)
        return 0;
    if (factor == 1)
        return base;
    if (base >= 0)
        return saturating_mul(base, factor);
    return make(dims, ADZE_DIM_MUL, base, factor);
}

/* a + b, neither a number nor with an offset. */
static adze_dim sum_of_terms(adze_dims *dims, adze_dim a, adze_dim b)
{
    const adze_dim_def *da = adze_dim_get(dims, a), *db = adze_dim_get(dims, b);
    if (da->kind == ADZE_DIM_SUB && da->b == b)
        return da->a;
    if (db->kind == ADZE_DIM_SUB && db->b == a)
        return db->a;
    adze_dim base_a, base_b;
    int64_t factor_a, factor_b;
    split_factor(dims, a, &base_a, &factor_a);
    split_factor(dims, b, &base_b, &factor_b);
    if (base_a == base_b)
        return with_factor(dims, base_a, saturating_add(factor_a, factor_b));
    return a > b ? make(dims, ADZE_DIM_ADD, a, b) : make(dims, ADZE_DIM_ADD, b, a);
}

static adze_dim add(adze_dims *dims, adze_dim a, adze_dim b)
{
    adze_dim base_a = 0, base_b = 0;
    int64_t offset_a = a, offset_b = b;
    if (a < 0)
        split_offset(dims, a, &base_a, &offset_a);
    if (b < 0)
        split_offset(dims, b, &base_b, &offset_b);
    int64_t offset = saturating_add(offset_a, offset_b);
    if (base_a >= 0)
        return with_offset(dims, base_b, offset);
    if (base_b >= 0)
        return with_offset(dims, base_a, offset);
    return shift(dims, sum_of_terms(dims, base_a, base_b), offset);
}

/* a - b, neither a number nor with an offset. */
static adze_dim difference_of_terms(adze_dims *dims, adze_dim a, adze_dim b)
{
    if (a == b)
        return 0;
    const adze_dim_def *da = adze_dim_get(dims, a);
    if (da->kind == ADZE_DIM_ADD && da->b == b)
        return da->a;
    if (da->kind == ADZE_DIM_ADD && da->a == b)
        return da->b;
    adze_dim base_a, base_b;
    int64_t factor_a, factor_b;
    split_factor(dims, a, &base_a, &factor_a);
    split_factor(dims, b, &base_b, &factor_b);
    if (base_a == base_b && factor_a >= factor_b)
        return with_factor(dims, base_a, factor_a - factor_b);
    return make(dims, ADZE_DIM_SUB, a, b);
}

static adze_dim subtract(adze_dims *dims, adze_dim a, adze_dim b)
{
    adze_dim base_a = a, base_b = 0;
    int64_t offset_a = 0, offset_b = b;
    if (a < 0)
        split_offset(dims, a, &base_a, &offset_a);
    if (b < 0)
        split_offset(dims, b, &base_b, &offset_b);
    if (base_b >= 0) /* a number */
        return with_offset(dims, base_a, saturating_sub(offset_a, offset_b));
    if (base_a >= 0)
        return make(dims, ADZE_DIM_SUB, a, b);
    adze_dim base = difference_of_terms(dims, base_a, base_b);
    return shift(dims, base, saturating_sub(offset_a, offset_b));
}

typedef struct product {
    int64_t number;
    int count;
    adze_dim factors[MAX_FACTORS];
} product;

static bool factorise(const adze_dims *dims, adze_dim d, product *p)
{
    if (d >= 0) {
        p->number = saturating_mul(p->number, d);
        return p->number != INT64_MAX;
    }
    const adze_dim_def *def = adze_dim_get(dims, d);
    if (def && def->kind == ADZE_DIM_MUL)
        return factorise(dims, def->a, p) && factorise(dims, def->b, p);
    if (p->count == MAX_FACTORS)
        return false;
    int at = p->count++; /* kept in order, so that N*H and H*N are one */
    for (; at > 0 && p->factors[at - 1] < d; at--)
        p->factors[at] = p->factors[at - 1];
    p->factors[at] = d;
    return true;
}

static adze_dim product_of(adze_dims *dims, const product *p)
{
    if (p->number == 0)
        return 0;
    adze_dim r = p->count ? p->factors[0] : 1;
    for (int i = 1; i < p->count; i++)
        r = make(dims, ADZE_DIM_MUL, r, p->factors[i]);
    return with_factor(dims, r, p->number);
}

/* d * number, number >= 0. */
static adze_dim scaled(adze_dims *dims, adze_dim d, int64_t number)
{
    adze_dim base, inner;
    int64_t offset, factor;
    split_offset(dims, d, &base, &offset);
    split_factor(dims, base, &inner, &factor);
    if (base >= 0)
        return make(dims, ADZE_DIM_MUL, d, number);
    return shift(dims, with_factor(dims, inner, saturating_mul(factor, number)),
                 saturating_mul(offset, number));
}

static adze_dim multiply(adze_dims *dims, adze_dim a, adze_dim b)
{
    product p = {.number = 1};
    if (a >= 0 && b >= 0)
        return saturating_mul(a, b);
    if (a >= 0 || b >= 0) /* (x + 1) * 2 is 2*x + 2 */
        return scaled(dims, a >= 0 ? b : a, a >= 0 ? a : b);
    if (!factorise(dims, a, &p) || !factorise(dims, b, &p))
        return a > b ? make(dims, ADZE_DIM_MUL, b, a) : make(dims, ADZE_DIM_MUL, a, b);
    return product_of(dims, &p);
}

/* Cancels the factors of b in a; true when nothing of b is left. */
static bool divides(adze_dims *dims, adze_dim a, adze_dim b, adze_dim *quotient)
{
    product pa = {.number = 1}, pb = {.number = 1};
    if (!factorise(dims, a, &pa) || !factorise(dims, b, &pb) || pb.number == 0)
        return false;
    for (int i = 0; i < pb.count; i++) {
        int j = 0;
        while (j < pa.count && pa.factors[j] != pb.factors[i])
            j++;
        if (j == pa.count || bounds_of(dims, pb.factors[i]).lower < 1)
            return false;
        for (pa.count--; j < pa.count; j++)
            pa.factors[j] = pa.factors[j + 1];
    }
    if (pa.number % pb.number != 0)
        return false;
    pa.number /= pb.number;
    *quotient = product_of(dims, &pa);
    return true;
}

/* floor((base + rest) / b), 0 <= rest < b, base not a number. */
static adze_dim quotient_of_terms(adze_dims *dims, adze_dim base, int64_t rest, int64_t b)
{
    const adze_dim_def *def = adze_dim_get(dims, base);
    adze_dim inner;
    int64_t factor;
    split_factor(dims, base, &inner, &factor);
    if (factor % b == 0)
        return with_factor(dims, inner, factor / b);
    bool nested = def->b > 0 && saturating_mul(def->b, b) != INT64_MAX;
    if (rest == 0 && nested && def->kind == ADZE_DIM_DIV)
        return adze_dim_op(dims, ADZE_DIM_DIV, def->a, def->b * b);
    if (rest == b - 1 && nested && def->kind == ADZE_DIM_CEIL)
        return adze_dim_op(dims, ADZE_DIM_CEIL, def->a, def->b * b);
    if (rest == b - 1)
        return make(dims, ADZE_DIM_CEIL, base, b);
    return make(dims, ADZE_DIM_DIV, with_offset(dims, base, rest), b);
}

/* floor((a + extra) / b) for a number b > 0. */
static adze_dim divide_by_number(adze_dims *dims, adze_dim a, int64_t extra, int64_t b)
{
    if (b == 1 && extra == 0)
        return a;
    if (a >= 0)
        return floor_div(saturating_add(a, extra), b);
    adze_dim base;
    int64_t offset;
    split_offset(dims, a, &base, &offset);
    offset = saturating_add(offset, extra);
    int64_t whole = floor_div(offset, b), rest = offset % b;
    adze_dim q = quotient_of_terms(dims, base, rest < 0 ? rest + b : rest, b);
    return whole >= 0 ? add(dims, q, whole) : subtract(dims, q, -whole);
}

static adze_dim divide(adze_dims *dims, adze_dim_kind kind, adze_dim a, adze_dim b)
{
    adze_dim quotient;
    if (b == 0)
        return adze_dim_unknown(dims, INT64_MAX);
    if (b > 0)
        return divide_by_number(dims, a, kind == ADZE_DIM_CEIL ? b - 1 : 0, b);
    if (divides(dims, a, b, &quotient))
        return quotient;
    return make(dims, kind, a, b);
}

/* d = factor * round(x / divisor) */
typedef struct quotient_term {
    adze_dim x;
    int64_t factor, divisor;
    bool up, down; /* how it rounds; both when the divisor is 1 */
} quotient_term;

static quotient_term as_quotient(const adze_dims *dims, adze_dim d)
{
    quotient_term t = {.divisor = 1, .up = true, .down = true};
    split_factor(dims, d, &t.x, &t.factor);
    const adze_dim_def *def = adze_dim_get(dims, t.x);
    if (!def || def->b <= 0 || (def->kind != ADZE_DIM_DIV && def->kind != ADZE_DIM_CEIL))
        return t;
    t.up = def->kind == ADZE_DIM_CEIL;
    t.down = !t.up;
    t.divisor = def->b;
    t.x = def->a;
    return t;
}

/* a <= b, by their bounds or because b rounds more generously: ceil(x/16) <= 2*ceil(x/32). */
static bool surely_below(const adze_dims *dims, adze_dim a, adze_dim b)
{
    if (bounds_of(dims, a).upper <= bounds_of(dims, b).lower)
        return true;
    quotient_term p = as_quotient(dims, a), q = as_quotient(dims, b);
    if (p.x != q.x || p.x >= 0 || adze_dim_lower(dims, p.x) != bounds_of(dims, p.x).lower)
        return false;
    int64_t left = saturating_mul(p.factor, q.divisor), right = saturating_mul(q.factor, p.divisor);
    if (p.down && q.up)
        return left <= right && right != INT64_MAX;
    bool same = left == right && left != INT64_MAX;
    return same &&
           (p.up ? q.up && q.divisor % p.divisor == 0 : q.down && p.divisor % q.divisor == 0);
}

static adze_dim choose(adze_dims *dims, adze_dim_kind kind, adze_dim a, adze_dim b)
{
    if (a == b || surely_below(dims, a, b))
        return kind == ADZE_DIM_MIN ? a : b;
    if (surely_below(dims, b, a))
        return kind == ADZE_DIM_MIN ? b : a;
    return a < b ? make(dims, kind, a, b) : make(dims, kind, b, a);
}

adze_dim adze_dim_op(adze_dims *dims, adze_dim_kind kind, adze_dim a, adze_dim b)
{
    if ((a < 0 && !adze_dim_get(dims, a)) || (b < 0 && !adze_dim_get(dims, b)))
        return adze_dim_unknown(dims, INT64_MAX);
    switch (kind) {
    case ADZE_DIM_ADD: return add(dims, a, b);
    case ADZE_DIM_SUB: return subtract(dims, a, b);
    case ADZE_DIM_MUL: return multiply(dims, a, b);
    case ADZE_DIM_DIV:
    case ADZE_DIM_CEIL: return divide(dims, kind, a, b);
    case ADZE_DIM_MIN:
    case ADZE_DIM_MAX: return choose(dims, kind, a, b);
    case ADZE_DIM_SYMBOL:
    case ADZE_DIM_UNKNOWN: break;
    }
    return adze_dim_unknown(dims, INT64_MAX);
}

/* ---- evaluation ---- */

static bool operate(adze_dim_kind kind, int64_t a, int64_t b, int64_t *out)
{
    switch (kind) {
    case ADZE_DIM_ADD: return !__builtin_add_overflow(a, b, out);
    case ADZE_DIM_SUB: return !__builtin_sub_overflow(a, b, out);
    case ADZE_DIM_MUL: return !__builtin_mul_overflow(a, b, out);
    case ADZE_DIM_DIV:
    case ADZE_DIM_CEIL:
        *out = b <= 0 ? 0 : kind == ADZE_DIM_DIV ? floor_div(a, b) : ceil_div(a, b);
        return b > 0;
    case ADZE_DIM_MIN: *out = ADZE_MIN(a, b); return true;
    case ADZE_DIM_MAX: *out = ADZE_MAX(a, b); return true;
    case ADZE_DIM_SYMBOL:
    case ADZE_DIM_UNKNOWN: break;
    }
    return false;
}

static bool evaluate(const adze_dims *dims, adze_dim d, const int64_t *values, int64_t *out)
{
    if (d >= 0) {
        *out = d;
        return true;
    }
    const adze_dim_def *def = adze_dim_get(dims, d);
    if (!def || def->kind == ADZE_DIM_UNKNOWN)
        return false;
    if (def->kind == ADZE_DIM_SYMBOL) {
        *out = values ? values[-1 - d] : -1;
        return *out >= 0;
    }
    int64_t a, b;
    return evaluate(dims, def->a, values, &a) && evaluate(dims, def->b, values, &b) &&
           operate(def->kind, a, b, out);
}

int64_t adze_dim_evaluate(const adze_dims *dims, adze_dim d, const int64_t *values)
{
    int64_t value;
    return evaluate(dims, d, values, &value) && value >= 0 ? value : -1;
}

bool adze_dim_has_unknown(const adze_dims *dims, adze_dim d)
{
    const adze_dim_def *def = adze_dim_get(dims, d);
    if (!def || def->kind == ADZE_DIM_SYMBOL)
        return d < 0 && !def;
    return def->kind == ADZE_DIM_UNKNOWN || adze_dim_has_unknown(dims, def->a) ||
           adze_dim_has_unknown(dims, def->b);
}

/* ---- showing ---- */

typedef struct writer {
    char *buf;
    size_t size, length;
} writer;

static void put(writer *w, const char *text)
{
    for (; *text && w->length + 1 < w->size; text++)
        w->buf[w->length++] = *text;
}

static int precedence(adze_dim_kind kind)
{
    switch (kind) {
    case ADZE_DIM_ADD:
    case ADZE_DIM_SUB: return 1;
    case ADZE_DIM_MUL:
    case ADZE_DIM_DIV: return 2;
    default: return 3;
    }
}

static void put_dim(const adze_dims *dims, adze_dim d, int outer, writer *w);

static void put_call(const adze_dims *dims, const adze_dim_def *def, writer *w)
{
    put(w, def->kind == ADZE_DIM_CEIL ? "ceil(" : def->kind == ADZE_DIM_MIN ? "min(" : "max(");
    int inner = def->kind == ADZE_DIM_CEIL ? 2 : 0;
    put_dim(dims, def->a, inner, w);
    put(w, def->kind == ADZE_DIM_CEIL ? "/" : ",");
    put_dim(dims, def->b, inner ? 3 : 0, w);
    put(w, ")");
}

static void put_infix(const adze_dims *dims, const adze_dim_def *def, int outer, writer *w)
{
    static const char *const sign[] = {
        [ADZE_DIM_ADD] = "+", [ADZE_DIM_SUB] = "-", [ADZE_DIM_MUL] = "*", [ADZE_DIM_DIV] = "/"};
    int level = precedence(def->kind);
    bool exact = def->kind == ADZE_DIM_SUB || def->kind == ADZE_DIM_DIV;
    bool swap = def->kind == ADZE_DIM_MUL && def->b >= 0; /* 2*N */
    put(w, level < outer ? "(" : "");
    put_dim(dims, swap ? def->b : def->a, level, w);
    put(w, sign[def->kind]);
    /* floor(a/b)*c is not a*c/b: quotients inside products get parentheses */
    put_dim(dims, swap ? def->a : def->b, exact || level == 2 ? level + 1 : level, w);
    put(w, level < outer ? ")" : "");
}

static void put_dim(const adze_dims *dims, adze_dim d, int outer, writer *w)
{
    char number[24];
    const adze_dim_def *def = adze_dim_get(dims, d);
    if (!def) {
        snprintf(number, sizeof number, "%lld", (long long)d);
        put(w, d >= 0 ? number : "?");
    } else if (def->kind == ADZE_DIM_SYMBOL) {
        put(w, def->name);
    } else if (def->kind == ADZE_DIM_UNKNOWN) {
        put(w, "?");
    } else if (precedence(def->kind) == 3) {
        put_call(dims, def, w);
    } else {
        put_infix(dims, def, outer, w);
    }
}

const char *adze_dim_format(const adze_dims *dims, adze_dim d, char *buf, size_t size)
{
    writer w = {buf, size, 0};
    if (size == 0)
        return buf;
    put_dim(dims, d, 0, &w);
    buf[w.length] = '\0';
    return buf;
}
