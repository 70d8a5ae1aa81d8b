/* Copies between strided layouts: one routine behind Transpose, Expand, Slice, Concat, Split, Tile,
 * DepthToSpace. Axes are joined where both sides allow it, then each row is a memcpy, a fill, a
 * transposition by the kernels, or a plain strided loop. */
#include <string.h>
#include "ops/helpers.h"

typedef struct copy_job {
    adze_ops_layout l;
    const adze_rows_table *rows;
    int rank;              /* axes before the kernel's own */
    bool across;           /* the last two axes are a transposition ... */
    int64_t block, blocks; /* ... done in blocks of the last axis but one */
} copy_job;

/* Joins axis i + 1 into axis i wherever both strides continue, and drops axes of one element. */
static void join_axes(adze_ops_layout *l)
{
    int rank = 0;
    for (int i = 0; i < l->rank; i++) {
        if (l->dims[i] == 1)
            continue;
        bool join = rank > 0 && l->from[rank - 1] == l->from[i] * l->dims[i] &&
                    l->to[rank - 1] == l->to[i] * l->dims[i];
        int at = join ? rank - 1 : rank++;
        l->dims[at] = join ? l->dims[at] * l->dims[i] : l->dims[i];
        l->from[at] = l->from[i];
        l->to[at] = l->to[i];
    }
    l->rank = rank;
}

static void swap_axes(adze_ops_layout *l, int a, int b)
{
    int64_t *fields[3] = {l->dims, l->from, l->to};
    for (int k = 0; k < 3; k++) {
        int64_t t = fields[k][a];
        fields[k][a] = fields[k][b];
        fields[k][b] = t;
    }
}

/* Brings the axis that is dense in the output last; true when the one dense in the input could be
 * brought before it, so that the two are a transposition. */
static bool order_axes(adze_ops_layout *l)
{
    int dense_to = -1, dense_from = -1;
    for (int i = 0; i < l->rank; i++) {
        if (l->to[i] == 1)
            dense_to = i;
        if (l->from[i] == 1)
            dense_from = i;
    }
    if (dense_to < 0)
        return false;
    swap_axes(l, dense_to, l->rank - 1);
    if (dense_from == l->rank - 1)
        dense_from = dense_to;
    else if (dense_from == dense_to)
        dense_from = l->rank - 1;
    if (dense_from < 0 || dense_from == l->rank - 1 || l->from[l->rank - 1] <= 0 ||
        l->to[dense_from] <= 0 || (l->dims[dense_from] == 2 && l->from[l->rank - 1] == 2) ||
        (l->size != 1 && l->size != 2 && l->size != 4 && l->size != 8))
        return false;
    swap_axes(l, dense_from, l->rank - 2);
    return true;
}

/* One element for all, every second one, or any other. */
#define STRIDED_LOOP(type)                                                                         \
    do {                                                                                           \
        const type *a = (const type *)(const void *)x, first = *a;                                 \
        type *b = (type *)(void *)y;                                                               \
        if (from == 0 && to == 1) {                                                                \
            ADZE_SIMD                                                                              \
            for (int64_t i = 0; i < n; i++)                                                        \
                b[i] = first;                                                                      \
        } else if (from == 2 && to == 1) {                                                         \
            ADZE_SIMD                                                                              \
            for (int64_t i = 0; i < n; i++)                                                        \
                b[i] = a[2 * i];                                                                   \
        } else {                                                                                   \
            for (int64_t i = 0; i < n; i++)                                                        \
                b[i * to] = a[i * from];                                                           \
        }                                                                                          \
    } while (0)

static void copy_row(size_t size, int64_t n, const char *x, int64_t from, char *y, int64_t to)
{
    if (from == 1 && to == 1) {
        memcpy(y, x, (size_t)n * size);
        return;
    }
    switch (size) {
    case 1: STRIDED_LOOP(uint8_t); break;
    case 2: STRIDED_LOOP(uint16_t); break;
    case 4: STRIDED_LOOP(uint32_t); break;
    case 8: STRIDED_LOOP(uint64_t); break;
    default:
        for (int64_t i = 0; i < n; i++)
            memcpy(y + i * to * (int64_t)size, x + i * from * (int64_t)size, size);
    }
}

static void transpose_block(const copy_job *job, int64_t block, const char *x, char *y)
{
    const adze_ops_layout *l = &job->l;
    int r = l->rank - 1, c = l->rank - 2;
    int64_t first = block * job->block, columns = ADZE_MIN(job->block, l->dims[c] - first);
    x += first * (int64_t)l->size;
    y += first * l->to[c] * (int64_t)l->size;
    const adze_rows_table *t = job->rows;
    switch (l->size) {
    case 1: t->transpose_1(l->dims[r], columns, x, l->from[r], y, l->to[c]); break;
    case 2: t->transpose_2(l->dims[r], columns, x, l->from[r], y, l->to[c]); break;
    case 4: t->transpose_4(l->dims[r], columns, x, l->from[r], y, l->to[c]); break;
    default: t->transpose_8(l->dims[r], columns, x, l->from[r], y, l->to[c]); break;
    }
}

static void copy_range(void *user, int64_t begin, int64_t end, int worker)
{
    const copy_job *job = user;
    const adze_ops_layout *l = &job->l;
    ADZE_UNUSED(worker);
    int64_t index[ADZE_OPS_COPY_RANK], from = 0, to = 0;
    int64_t block = begin % job->blocks, rest = begin / job->blocks;
    for (int i = job->rank - 1; i >= 0; i--) {
        index[i] = rest % l->dims[i];
        rest /= l->dims[i];
        from += index[i] * l->from[i];
        to += index[i] * l->to[i];
    }
    int last = l->rank - 1;
    for (int64_t at = begin; at < end; at++) {
        const char *x = l->x + from * (int64_t)l->size;
        char *y = l->y + to * (int64_t)l->size;
        if (job->across)
            transpose_block(job, block, x, y);
        else
            copy_row(l->size, l->dims[last], x, l->from[last], y, l->to[last]);
        if (++block < job->blocks)
            continue;
        block = 0;
        for (int i = job->rank - 1; i >= 0; i--) {
            bool wrap = ++index[i] == l->dims[i];
            from += l->from[i] * (wrap ? 1 - l->dims[i] : 1);
            to += l->to[i] * (wrap ? 1 - l->dims[i] : 1);
            if (!wrap)
                break;
            index[i] = 0;
        }
    }
}

void adze_ops_copy(adze_run *run, const adze_ops_layout *layout)
{
    copy_job job = {.l = *layout, .rows = &run->kernels->rows};
    adze_ops_layout *l = &job.l;
    int64_t total = 1;
    for (int i = 0; i < l->rank; i++)
        total *= l->dims[i];
    if (total == 0)
        return;
    join_axes(l);
    if (l->rank == 0) {
        memcpy(l->y, l->x, l->size);
        return;
    }
    if (l->rank == 1 && l->from[0] == 1 && l->to[0] == 1) {
        adze_ops_copy_bytes(run, l->y, l->x, (size_t)total * l->size);
        return;
    }
    job.across = l->rank > 1 && order_axes(l);
    int64_t width = l->dims[l->rank - 1];
    job.rank = l->rank - 1 - job.across;
    job.block = job.blocks = 1;
    if (job.across) {
        int64_t columns = l->dims[l->rank - 2];
        job.block = ADZE_MIN(columns, ADZE_MAX(64, (32768 / width + 63) / 64 * 64));
        job.blocks = (columns + job.block - 1) / job.block;
        width *= job.block;
    }
    int64_t pieces = job.blocks;
    for (int i = 0; i < job.rank; i++)
        pieces *= l->dims[i];
    adze_ops_parallel(run, pieces, ADZE_MAX(1, 32768 / width), copy_range, &job);
}

typedef struct bytes_job {
    char *to;
    const char *from;
} bytes_job;

static void copy_bytes(void *user, int64_t begin, int64_t end, int worker)
{
    const bytes_job *job = user;
    ADZE_UNUSED(worker);
    memcpy(job->to + begin, job->from + begin, (size_t)(end - begin));
}

void adze_ops_copy_bytes(adze_run *run, void *to, const void *from, size_t size)
{
    bytes_job job = {to, from};
    if (size > 0 && to != from)
        adze_ops_parallel(run, (int64_t)size, 1 << 18, copy_bytes, &job);
}
