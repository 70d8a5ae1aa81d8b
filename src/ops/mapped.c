/* Copies where each axis has a table: which input coordinate an output coordinate shows, or -1
 * for the constant. Padding and nearest-neighbour resizing are such copies. */
#include "ops/helpers.h"

#include <string.h>

/* Neighbours that come from neighbours; from -1: `fill` alone. */
typedef struct map_piece {
    int64_t to, from, count; /* along the axis */
} map_piece;

enum { PIECES = 8 };

typedef struct map_job {
    const adze_ops_map *m;
    const adze_rows_table *rows;
    int64_t strides[ADZE_MAX_RANK]; /* of x, in bytes */
    int axis;                       /* the last one whose table is not the identity */
    int64_t chunk;                  /* bytes after that axis */
    bool inside;                    /* the table of that axis has no -1 */
    bool doubles;                   /* it has each element twice */
    bool even;                      /* all bytes of `fill` are the same */
    int pieces;                     /* of a line; 0: more than PIECES */
    map_piece piece[PIECES];
} map_job;

static void fill_bytes(const map_job *job, char *y, int64_t size)
{
    if (job->even && size > 16) {
        memset(y, job->m->fill[0], (size_t)size);
        return;
    }
    for (int64_t i = 0; i < size; i += (int64_t)job->m->size)
        memcpy(y + i, job->m->fill, job->m->size);
}

#define PICK(type)                                                                                 \
    do {                                                                                           \
        const type *a = (const type *)(const void *)x;                                             \
        type *b = (type *)(void *)y;                                                               \
        for (int64_t i = 0; i < n; i++)                                                            \
            b[i] = a[source[i]];                                                                   \
    } while (0)

static map_piece piece_at(const map_job *job, int64_t i)
{
    const int64_t *source = job->m->source[job->axis], n = job->m->y->dims[job->axis];
    int64_t count = 1, step = source[i] >= 0;
    while (i + count < n && source[i + count] == source[i] + count * step)
        count++;
    return (map_piece){i, source[i], count};
}

static void copy_piece(const map_job *job, const map_piece *p, const char *x, char *y)
{
    int64_t chunk = job->chunk;
    if (p->from < 0)
        fill_bytes(job, y + p->to * chunk, p->count * chunk);
    else if (p->count == 1 && chunk == 4)
        memcpy(y + p->to * 4, x + p->from * 4, 4); /* known when compiled */
    else
        memcpy(y + p->to * chunk, x + p->from * chunk, (size_t)(p->count * chunk));
}

/* One line along the axis: runs of neighbours are one copy. */
static void map_line(const map_job *job, const char *x, char *y)
{
    const int64_t *source = job->m->source[job->axis];
    int64_t n = job->m->y->dims[job->axis], chunk = job->chunk;
    if (job->doubles && (chunk == 4 || chunk == 1)) {
        (chunk == 4 ? job->rows->double_4 : job->rows->double_1)(n / 2, x, y);
        return;
    }
    if (job->pieces) {
        for (int i = 0; i < job->pieces; i++)
            copy_piece(job, &job->piece[i], x, y);
        return;
    }
    if (job->inside && n > 1 && source[1] != source[0] + 1 && (chunk == 4 || chunk == 1)) {
        if (chunk == 4)
            PICK(uint32_t);
        else
            PICK(uint8_t);
        return;
    }
    for (int64_t i = 0; i < n;) {
        map_piece p = piece_at(job, i);
        copy_piece(job, &p, x, y);
        i += p.count;
    }
}

static void map_lines(void *user, int64_t begin, int64_t end, int worker)
{
    const map_job *job = user;
    const adze_ops_map *m = job->m;
    ADZE_UNUSED(worker);
    int64_t line_size = m->y->dims[job->axis] * job->chunk, last = -2, at[ADZE_MAX_RANK];
    for (int64_t i = job->axis - 1, rest = begin; i >= 0; i--) {
        at[i] = rest % m->y->dims[i];
        rest /= m->y->dims[i];
    }
    for (int64_t line = begin; line < end; line++) {
        int64_t from = 0;
        bool outside = false;
        for (int i = 0; i < job->axis; i++) {
            int64_t s = m->source[i][at[i]];
            outside |= s < 0;
            from += s * job->strides[i];
        }
        char *y = (char *)m->y->data + line * line_size;
        if (outside)
            fill_bytes(job, y, line_size);
        else if (from == last)
            memcpy(y, y - line_size, (size_t)line_size);
        else
            map_line(job, (const char *)m->x->data + from, y);
        last = outside ? -2 : from;
        for (int i = job->axis - 1; i >= 0 && ++at[i] == m->y->dims[i]; i--)
            at[i] = 0;
    }
}

static bool is_identity(const adze_ops_map *m, int axis)
{
    bool same = m->x->dims[axis] == m->y->dims[axis];
    for (int64_t i = 0; i < m->y->dims[axis] && same; i++)
        same = m->source[axis][i] == i;
    return same;
}

void adze_ops_map_copy(adze_run *run, const adze_ops_map *m)
{
    map_job job = {.m = m,
                   .rows = &run->kernels->rows,
                   .chunk = (int64_t)m->size,
                   .axis = m->x->rank - 1,
                   .inside = true};
    if (adze_tensor_elements(m->y) == 0)
        return;
    while (job.axis >= 0 && is_identity(m, job.axis))
        job.chunk *= m->x->dims[job.axis--];
    if (job.axis < 0) {
        adze_ops_copy_bytes(run, m->y->data, m->x->data, m->y->size);
        return;
    }
    adze_ops_strides(m->x->rank, m->x->dims, job.strides);
    int64_t lines = 1;
    for (int i = 0; i < job.axis; i++) {
        job.strides[i] *= (int64_t)m->size;
        lines *= m->y->dims[i];
    }
    for (int64_t i = 0; i < m->y->dims[job.axis]; i++)
        job.inside &= m->source[job.axis][i] >= 0;
    job.doubles = m->y->dims[job.axis] == 2 * m->x->dims[job.axis];
    for (int64_t i = 0; i < m->y->dims[job.axis] && job.doubles; i++)
        job.doubles = m->source[job.axis][i] == i / 2;
    job.even = true;
    for (size_t i = 1; i < m->size; i++)
        job.even &= m->fill[i] == m->fill[0];
    for (int64_t i = 0; i < m->y->dims[job.axis]; i += job.piece[job.pieces++].count) {
        if (job.pieces == PIECES) {
            job.pieces = 0;
            break;
        }
        job.piece[job.pieces] = piece_at(&job, i);
    }
    int64_t line_size = ADZE_MAX(1, m->y->dims[job.axis] * job.chunk);
    adze_ops_parallel(run, lines, ADZE_MAX(1, 65536 / line_size), map_lines, &job);
}
