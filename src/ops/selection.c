/* Picking elements by rank: ArgMax, ArgMin, TopK, Unique, Hardmax. Elements of any type become
 * unsigned keys of the same order, so that there is one comparison. */
#include <stdlib.h>
#include <string.h>
#include "ops/helpers.h"
#include "tensor/dtype.h"

/* ---- keys ---- */

static uint64_t key_of_signed(int64_t v)
{
    return (uint64_t)v ^ ((uint64_t)1 << 63);
}

static uint64_t key_of_f64(double v)
{
    uint64_t bits;
    v = v == 0 ? 0 : v; /* no -0 */
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t key_of_f32(float v)
{
    uint32_t bits;
    v = v == 0 ? 0 : v;
    memcpy(&bits, &v, sizeof bits);
    return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static uint64_t key_of(const adze_tensor *x, int64_t i)
{
    adze_dtype dtype = x->dtype;
    if (dtype == ADZE_F32)
        return key_of_f32(((const float *)x->data)[i]);
    if (dtype == ADZE_U64)
        return ((const uint64_t *)x->data)[i];
    if (adze_dtype_describe(dtype)->kind == ADZE_KIND_FLOAT)
        return key_of_f64(adze_tensor_get_f64(x, i));
    return key_of_signed(adze_tensor_get_i64(x, i));
}

/* Keys of n elements `step` apart; flip: all ones for the order backwards. */
static void keys_of(const adze_tensor *x, int64_t first, int64_t step, int64_t n, uint64_t flip,
                    uint64_t *out)
{
    if (x->dtype != ADZE_F32) {
        for (int64_t i = 0; i < n; i++)
            out[i] = key_of(x, first + i * step) ^ flip;
        return;
    }
    const float *from = (const float *)x->data + first;
    ADZE_SIMD
    for (int64_t i = 0; i < n; i++) {
        float v = from[i * step] + 0.0f; /* no -0 */
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        bits ^= (0 - (bits >> 31)) | (uint32_t)1 << 31;
        out[i] = (uint64_t)bits ^ flip;
    }
}

static adze_status keys_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_tensor *x = adze_prepare_input(prepare, 0);
    adze_kind kind = adze_dtype_describe(x->dtype)->kind;
    bool ok = adze_ops_element(x->dtype) && kind != ADZE_KIND_STRING && kind != ADZE_KIND_COMPLEX &&
              kind != ADZE_KIND_NONE;
    return ok ? ADZE_OK : adze_ops_unsupported(adze_prepare_node(prepare), x->dtype, err);
}

/* A tensor as lines along an axis. */
typedef struct lines {
    int64_t count, length, inner;
} lines;

static lines lines_of(const adze_tensor *x, int axis)
{
    lines l = {1, x->rank ? x->dims[axis] : 1, 1};
    for (int i = 0; i < x->rank; i++) {
        if (i != axis)
            l.count *= x->dims[i];
        if (i > axis)
            l.inner *= x->dims[i];
    }
    return l;
}

static int64_t line_start(const lines *l, int64_t line)
{
    return line / l->inner * l->inner * l->length + line % l->inner;
}

/* ---- ArgMax, ArgMin ---- */

static adze_status arg_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    bool keep = adze_node_int(node, "keepdims", 1) != 0;
    adze_type y = {.kind = ADZE_VALUE_TENSOR, .dtype = ADZE_I64};
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep)
            y.dims[y.rank++] = i == axis ? 1 : x->dims[i];
    adze_infer_set(infer, 0, &y);
    return ADZE_OK;
}

typedef struct arg_job {
    const adze_run *run;
    const adze_tensor *x;
    int64_t *y;
    adze_tensor *hard; /* of Hardmax */
    lines l;
    bool smallest, last;
} arg_job;

#define BEST_INTEGER(name, T)                                                                      \
    static int64_t best_##name(const arg_job *job, int64_t at)                                     \
    {                                                                                              \
        const T *x = (const T *)job->x->data + at;                                                 \
        T most = x[0];                                                                             \
        int64_t best = 0, n = job->l.length, step = job->l.inner;                                  \
        for (int64_t i = 1; i < n && !adze_ops_is_late(job->run, i); i++) {                        \
            const T v = x[i * step];                                                               \
            const bool equal = (v == most) & job->last;                                            \
            const bool wins = job->smallest ? (v < most) | equal : (v > most) | equal;             \
            best = wins ? i : best;                                                                \
            most = wins ? v : most;                                                                \
        }                                                                                          \
        return best;                                                                               \
    }
BEST_INTEGER(I32, int32_t)
BEST_INTEGER(I64, int64_t)
#undef BEST_INTEGER

static int64_t best_by_key(const arg_job *job, int64_t at)
{
    if (job->x->dtype == ADZE_I64 || job->x->dtype == ADZE_I32)
        return (job->x->dtype == ADZE_I64 ? best_I64 : best_I32)(job, at);
    uint64_t flip = job->smallest ? UINT64_MAX : 0, best_key = key_of(job->x, at) ^ flip;
    int64_t best = 0;
    for (int64_t i = 1; i < job->l.length && !adze_ops_is_late(job->run, i); i++) {
        uint64_t key = key_of(job->x, at + i * job->l.inner) ^ flip;
        if (key > best_key || (job->last && key == best_key)) {
            best = i;
            best_key = key;
        }
    }
    return best;
}

/* The best of lines [begin, end); float32 by rows, or, along another axis than the last, by neighbouring lines
 * side by side. */
static void find_best(const arg_job *job, int64_t begin, int64_t end, int64_t *best)
{
    enum { CHUNK = 256 };
    const adze_rows_table *rows = &job->run->kernels->rows;
    int64_t inner = job->l.inner, length = job->l.length;
    bool floats = job->x->dtype == ADZE_F32 && !job->last && length <= INT32_MAX;
    for (int64_t line = begin, n; line < end; line += n, best += n) {
        int64_t at = line_start(&job->l, line);
        const float *x = (const float *)job->x->data + at;
        int32_t places[CHUNK];
        n = floats && inner > 1 ? ADZE_MIN(ADZE_MIN(CHUNK, end - line), inner - line % inner) : 1;
        if (!floats)
            *best = best_by_key(job, at);
        else if (inner == 1)
            *best = (job->smallest ? rows->argmin : rows->argmax)(length, x);
        else
            (job->smallest ? rows->argmin_columns : rows->argmax_columns)(length, n, x, inner,
                                                                          places);
        for (int64_t i = 0; i < n && floats && inner > 1; i++)
            best[i] = places[i];
    }
}

static void arg_range(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const arg_job *job = user;
    find_best(job, begin, end, job->y + begin);
}

static adze_status arg_run(adze_run *run, adze_error *err)
{
    const adze_node *node = run->node;
    const adze_tensor *x = run->inputs[0];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    arg_job job = {.run = run,
                   .x = x,
                   .y = run->outputs[0]->data,
                   .l = lines_of(x, axis),
                   .smallest = strcmp(adze_node_op(node), "ArgMin") == 0,
                   .last = adze_node_int(node, "select_last_index", 0) != 0};
    if (job.l.count > 0 && job.l.length == 0)
        return adze_ops_bad(node, err, "the axis is empty");
    int64_t grain = ADZE_MAX(1, 8192 / ADZE_MAX(1, job.l.length));
    adze_ops_parallel(run, job.l.count, job.l.inner > 1 ? 4096 : grain, arg_range, &job);
    return ADZE_OK;
}

/* ---- TopK: a heap of the k best, the worst on top ---- */

typedef struct entry {
    uint64_t key;
    int64_t index;
} entry;

static inline bool better(entry a, entry b)
{
    return a.key > b.key || (a.key == b.key && a.index < b.index);
}

static void sift_down(entry *heap, int64_t n, int64_t at)
{
    entry e = heap[at];
    for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n)
            child += better(heap[child], heap[child + 1]);
        if (!better(e, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = e;
}

static adze_status top_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", -1), x->rank, err));
    ADZE_TRY(adze_ops_need_scalar(infer, 1, err));
    adze_type y = *x;
    adze_dim k;
    int64_t number;
    int known = adze_ops_ints(infer, 1, &k, 1);
    y.dims[axis] =
        known == 1 ? k : adze_infer_unknown(infer, adze_dim_upper(infer->dims, x->dims[axis]));
    if (known == 1 && adze_ops_is_number(k, &number) && number < 0)
        return adze_ops_bad(node, err, "K is negative");
    adze_infer_set(infer, 0, &y);
    adze_infer_set_tensor(infer, 1, ADZE_I64, y.rank, y.dims);
    return ADZE_OK;
}

typedef struct top_job {
    const adze_run *run;
    const adze_tensor *x;
    adze_tensor *values, *indices; /* NULL: not wanted */
    lines l;
    int64_t k;
    bool smallest;
    entry *heaps; /* k for each worker */
} top_job;

static void top_line(const top_job *job, int64_t line, entry *heap)
{
    int64_t first = line_start(&job->l, line), inner = job->l.inner, k = job->k;
    int64_t to = line / inner * inner * k + line % inner;
    uint64_t flip = job->smallest ? UINT64_MAX : 0;
    enum { CHUNK = 256 };
    uint64_t keys[CHUNK];
    for (int64_t at = 0, n; at < job->l.length && !adze_ops_is_late(job->run, at / CHUNK);
         at += n) {
        n = ADZE_MIN(CHUNK, job->l.length - at);
        keys_of(job->x, first + at * inner, inner, n, flip, keys);
        int64_t i = 0;
        for (; i < n && at + i < k; i++)
            heap[at + i] = (entry){keys[i], at + i};
        if (at < k && at + i == k)
            for (int64_t h = k / 2; h-- > 0 && !adze_ops_is_late(job->run, h);)
                sift_down(heap, k, h);
        for (uint64_t worst = heap[0].key; i < n; i++) {
            if (keys[i] <= worst) /* of equals the first stays */
                continue;
            heap[0] = (entry){keys[i], at + i};
            sift_down(heap, k, 0);
            worst = heap[0].key;
        }
    }
    if (job->l.length > 4096 && adze_run_is_late(job->run)) /* not all of the heap is there */
        return;
    size_t size = adze_ops_element(job->x->dtype);
    for (int64_t n = k;
         n-- > 0 && !adze_ops_is_late(job->run, n);) { /* the worst that is left goes last */
        entry e = heap[0];
        heap[0] = heap[n];
        sift_down(heap, n, 0);
        if (job->values)
            memcpy((char *)job->values->data + (to + n * inner) * (int64_t)size,
                   (const char *)job->x->data + (first + e.index * inner) * (int64_t)size, size);
        if (job->indices)
            ((int64_t *)job->indices->data)[to + n * inner] = e.index;
    }
}

static void top_range(void *user, int64_t begin, int64_t end, int worker)
{
    const top_job *job = user;
    for (int64_t line = begin; line < end; line++)
        top_line(job, line, job->heaps + worker * job->k);
}

static int64_t top_axis(const adze_run *run)
{
    int64_t axis = adze_node_int(run->node, "axis", -1);
    return axis < 0 ? axis + run->inputs[0]->rank : axis;
}

static size_t top_scratch(const adze_run *run)
{
    int64_t k = run->inputs[0]->dims[top_axis(run)];
    return (size_t)ADZE_MAX(k, 0) * sizeof(entry) * (size_t)adze_run_threads(run);
}

static adze_status top_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    top_job job = {.run = run,
                   .x = x,
                   .values = adze_ops_output(run, 0),
                   .indices = adze_ops_output(run, 1),
                   .l = lines_of(x, (int)top_axis(run)),
                   .k = adze_tensor_get_i64(run->inputs[1], 0),
                   .smallest = adze_node_int(run->node, "largest", 1) == 0,
                   .heaps = run->scratch};
    if (job.k < 0 || job.k > job.l.length)
        return adze_fail(err, ADZE_BAD_DATA, "node %s (TopK): K is %lld, the axis has %lld",
                         adze_node_name(run->node), (long long)job.k, (long long)job.l.length);
    if (job.k > 0)
        adze_ops_parallel(run, job.l.count, ADZE_MAX(1, 4096 / ADZE_MAX(1, job.l.length)),
                          top_range, &job);
    return ADZE_OK;
}

/* ---- Hardmax ---- */

static void hardmax_range(void *user, int64_t begin, int64_t end, int worker)
{
    enum { LINES = 256 };
    ADZE_UNUSED(worker);
    const arg_job *job = user;
    int64_t best[LINES] = {0};
    for (int64_t first = begin; first < end; first += LINES) {
        int64_t n = ADZE_MIN(LINES, end - first);
        find_best(job, first, first + n, best);
        for (int64_t i = 0; i < n; i++)
            adze_ops_put(job->hard, line_start(&job->l, first + i) + best[i] * job->l.inner, 1);
    }
}

static adze_status hardmax_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    int axis = 0;
    ADZE_TRY(adze_ops_axis(&axis, run->node, adze_node_int(run->node, "axis", -1), x->rank, err));
    arg_job job = {.run = run, .x = x, .hard = run->outputs[0], .l = lines_of(x, axis)};
    memset(job.hard->data, 0, job.hard->size);
    if (job.l.length > 0)
        adze_ops_parallel(run, job.l.count, ADZE_MAX(1, 65536 / job.l.length), hardmax_range, &job);
    return ADZE_OK;
}

/* ---- Unique: slices along an axis (or elements), first of equals wins ---- */

typedef struct slices {
    const adze_run *run;
    const adze_tensor *x;
    int64_t count, outer, inner; /* slice s: elements (o * count + s) * inner + i */
} slices;

static int compare_element(const adze_tensor *x, int64_t a, int64_t b)
{
    if (x->dtype == ADZE_STRING) {
        const adze_string *s = (const adze_string *)x->data + a,
                          *t = (const adze_string *)x->data + b;
        int c = memcmp(s->data, t->data, ADZE_MIN(s->length, t->length));
        return c ? c : (s->length > t->length) - (s->length < t->length);
    }
    uint64_t p = key_of(x, a), q = key_of(x, b);
    return (p > q) - (p < q);
}

static int compare_slices(const slices *s, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            int c = compare_element(s->x, (o * s->count + a) * s->inner + i,
                                    (o * s->count + b) * s->inner + i);
            if (c)
                return c;
        }
    return 0;
}

/* Stable merge sort of slice numbers. */
static void sort_slices(const slices *s, int64_t *order, int64_t *spare, int64_t n)
{
    for (int64_t width = 1; width < n && !adze_run_is_late(s->run); width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            int64_t mid = ADZE_MIN(lo + width, n), hi = ADZE_MIN(lo + 2 * width, n);
            int64_t a = lo, b = mid;
            for (int64_t to = lo; to < hi; to++) {
                if (adze_ops_is_late(s->run, to))
                    return; /* order holds each slice once still */
                bool left = b >= hi || (a < mid && compare_slices(s, order[a], order[b]) <= 0);
                spare[to] = left ? order[a++] : order[b++];
            }
        }
        memcpy(order, spare, (size_t)n * sizeof *order);
    }
}

static adze_status unique_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    adze_type y = *x;
    int64_t upper = 1;
    int axis = 0;
    bool by_axis = adze_node_has(node, "axis");
    if (by_axis)
        ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "axis", 0), x->rank, err));
    adze_dim all = by_axis ? x->dims[axis] : 1;
    for (int i = 0; i < x->rank && !by_axis; i++)
        all = adze_infer_mul(infer, all, x->dims[i]);
    upper = adze_dim_upper(infer->dims, all);
    adze_dim count = adze_infer_unknown(infer, upper);
    if (by_axis)
        y.dims[axis] = count;
    else {
        y.rank = 1;
        y.dims[0] = count;
    }
    adze_infer_set(infer, 0, &y);
    adze_infer_set_tensor(infer, 1, ADZE_I64, 1, &count);
    adze_infer_set_tensor(infer, 2, ADZE_I64, 1, &all);
    adze_infer_set_tensor(infer, 3, ADZE_I64, 1, &count);
    return ADZE_OK;
}

static slices slices_of(const adze_run *run)
{
    const adze_tensor *x = run->inputs[0];
    slices s = {run, x, adze_tensor_elements(x), 1, 1};
    if (!adze_node_has(run->node, "axis"))
        return s;
    int64_t axis = adze_node_int(run->node, "axis", 0);
    axis += axis < 0 ? x->rank : 0;
    s.count = x->dims[axis];
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            *(i < axis ? &s.outer : &s.inner) *= x->dims[i];
    return s;
}

static size_t unique_scratch(const adze_run *run)
{
    return (size_t)ADZE_MAX(slices_of(run).count, 0) * 5 * sizeof(int64_t);
}

/* Stable sort of numbers by their keys, a byte at a time; bytes that are the same in all cost nothing. */
static void sort_keys(const slices *s, const uint64_t *keys, int64_t *order, int64_t *spare)
{
    for (int shift = 0; shift < 64; shift += 8) {
        int64_t n = s->count, at[256] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++)
            at[keys[i] >> shift & 255]++;
        if (n == 0 || at[keys[0] >> shift & 255] == n)
            continue;
        for (int b = 0; b < 256; b++) {
            sum += at[b];
            at[b] = sum - at[b];
        }
        for (int64_t i = 0; i < n; i++) {
            if (adze_ops_is_late(s->run, i))
                return; /* order holds each once still */
            spare[at[keys[order[i]] >> shift & 255]++] = order[i];
        }
        memcpy(order, spare, (size_t)n * sizeof *order);
    }
}

/* Groups of equal slices in ascending order: first slice, number of members, group of each
 * slice. keys: room for one of each slice. */
static int64_t find_groups(const slices *s, int64_t *first, int64_t *members, int64_t *group,
                           int64_t *order, uint64_t *keys)
{
    bool numbers = s->inner == 1 && s->outer == 1 && s->x->dtype != ADZE_STRING;
    for (int64_t i = 0; i < s->count; i++)
        order[i] = i;
    if (numbers) {
        keys_of(s->x, 0, 1, s->count, 0, keys);
        sort_keys(s, keys, order, group);
    } else {
        sort_slices(s, order, group, s->count);
    }
    int64_t groups = 0;
    for (int64_t i = 0; i < s->count; i++) {
        bool opens = i == 0 || (numbers ? keys[first[groups - 1]] != keys[order[i]]
                                        : compare_slices(s, first[groups - 1], order[i]) != 0);
        if (opens) {
            first[groups] = order[i];
            members[groups++] = 0;
        }
        members[groups - 1]++;
        group[order[i]] = groups - 1;
    }
    return groups;
}

static adze_status write_unique(adze_run *run, const slices *s, const int64_t *chosen,
                                int64_t groups, adze_error *err)
{
    const adze_tensor *x = s->x;
    int64_t dims[ADZE_MAX_RANK] = {groups}, axis = adze_node_int(run->node, "axis", 0);
    bool by_axis = adze_node_has(run->node, "axis");
    if (by_axis) {
        memcpy(dims, x->dims, sizeof dims);
        dims[axis < 0 ? axis + x->rank : axis] = groups;
    }
    ADZE_TRY(adze_run_resize(run, 0, x->dtype, by_axis ? x->rank : 1, dims, err));
    size_t row = (size_t)s->inner * adze_ops_element(x->dtype);
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t g = 0; g < groups; g++)
            memcpy((char *)run->outputs[0]->data + (size_t)(o * groups + g) * row,
                   (const char *)x->data + (size_t)(o * s->count + chosen[g]) * row, row);
    return ADZE_OK;
}

static adze_status unique_run(adze_run *run, adze_error *err)
{
    slices s = slices_of(run);
    int64_t n = s.count, *first = run->scratch, *members = first + n, *group = members + n,
            *order = group + n;
    int64_t groups = find_groups(&s, first, members, group, order, (uint64_t *)(order + n));
    if (adze_run_is_late(run))
        return adze_fail(err, ADZE_TIMEOUT, "the run took longer than it may");
    bool sorted = adze_node_int(run->node, "sorted", 1) != 0;
    /* order[g]: group that comes g-th in the output: ascending, or as first seen */
    for (int64_t g = 0; g < groups; g++)
        order[g] = g;
    if (!sorted) {
        int64_t next = 0;
        for (int64_t i = 0; i < n; i++)
            if (first[group[i]] == i)
                order[next++] = group[i];
    }
    int64_t dims[2] = {groups, n};
    for (int k = 1; k < run->output_count; k++)
        if (run->outputs[k])
            ADZE_TRY(adze_run_resize(run, k, ADZE_I64, 1, &dims[k == 2], err));
    int64_t *outputs[4] = {0};
    for (int k = 1; k < run->output_count; k++)
        outputs[k] = run->outputs[k] ? run->outputs[k]->data : NULL;
    for (int64_t g = 0; g < groups; g++) {
        if (outputs[1])
            outputs[1][g] = first[order[g]];
        if (outputs[3])
            outputs[3][g] = members[order[g]];
    }
    for (int64_t g = 0; g < groups;
         g++) /* members: no longer needed, now the place of each group */
        members[order[g]] = g;
    for (int64_t i = 0; i < n && outputs[2]; i++)
        outputs[2][i] = members[group[i]];
    for (int64_t g = 0; g < groups; g++)
        order[g] = first[order[g]];
    return run->outputs[0] ? write_unique(run, &s, order, groups, err) : ADZE_OK;
}

const adze_op adze_ops_selection[] = {
    {.domain = "",
     .name = "ArgMax",
     .since = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "axis keepdims select_last_index",
     .infer = arg_infer,
     .prepare = keys_prepare,
     .run = arg_run},
    {.domain = "",
     .name = "ArgMin",
     .since = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "axis keepdims select_last_index",
     .infer = arg_infer,
     .prepare = keys_prepare,
     .run = arg_run},
    {.domain = "",
     .name = "TopK",
     .since = 10,
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 2,
     .quant = ADZE_QUANT_MOVE,
     .attrs = "axis largest sorted",
     .infer = top_infer,
     .prepare = keys_prepare,
     .scratch = top_scratch,
     .run = top_run},
    {.domain = "",
     .name = "Hardmax",
     .since = 13,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "axis",
     .infer = adze_ops_infer_same,
     .prepare = keys_prepare,
     .run = hardmax_run},
    {.domain = "",
     .name = "Unique",
     .since = 11,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 4,
     .flags = ADZE_OP_DATA_SIZED,
     .attrs = "axis sorted",
     .infer = unique_infer,
     .scratch = unique_scratch,
     .run = unique_run},
    {.name = NULL},
};
