/* The loop: slab after slab, each cut into pieces that the pool hands to its workers. A worker decodes,
 * looks for numbers that are none, encodes and writes its rows to their place, so reading, computing and
 * writing overlap between workers; between slabs the journal is told, pages are let go, progress is shown. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "compress/llm_stream_impl.h"

int64_t llm_piece_rows(const llm_cut *cut, const llm_work *work)
{
    return ADZE_MAX(cut->piece_elements / work->width, (int64_t)1);
}

/* ---- tools ---- */

static bool make_worker(adze_arena *arena, llm_worker *worker, const llm_cut *cut)
{
    worker->failed_row = INT64_MAX;
    worker->in = cut->in_size ? adze_arena_alloc(arena, 1, cut->in_size) : NULL;
    worker->floats = adze_arena_alloc(arena, 1, cut->float_size);
    worker->out = adze_arena_alloc(arena, 1, cut->out_size);
    return (worker->in || !cut->in_size) && worker->floats && worker->out;
}

static bool make_tables(llm_tools *tools, const adze_llm_quantization *q)
{
    for (int i = 0; i < q->count; i++) {
        adze_dtype to = q->work[i].report.to;
        const adze_block_codec *codec = &tools->codecs[to];
        if (to == q->work[i].report.from || !codec->tables_size || tools->tables[to])
            continue;
        tools->tables[to] = adze_arena_alloc(&tools->arena, 1, codec->tables_size);
        if (!tools->tables[to])
            return false;
        codec->tables_init(tools->tables[to]);
    }
    return true;
}

static int64_t longest_matrix(const adze_llm_quantization *q)
{
    int64_t most = 0;
    for (int i = 0; i < q->count; i++)
        if (q->work[i].matrix)
            most = ADZE_MAX(most, q->work[i].matrix->width * q->work[i].matrix->experts);
    return most;
}

adze_status llm_tools_open(llm_tools *tools, const adze_llm_quantization *q, adze_error *err)
{
    int64_t columns = longest_matrix(q);
    *tools = (llm_tools){.codecs = q->context->kernels->blocks.codec};
    tools->workers = ADZE_ARENA_ARRAY(&tools->arena, llm_worker, (size_t)q->cut.workers);
    tools->importance_buffer = ADZE_ARENA_ARRAY(&tools->arena, float, (size_t)columns + 1);
    bool fine = tools->workers && tools->importance_buffer;
    for (int i = 0; i < q->cut.workers && fine; i++)
        fine = make_worker(&tools->arena, &tools->workers[i], &q->cut);
    if (fine && make_tables(tools, q))
        return ADZE_OK;
    llm_tools_close(tools);
    return adze_fail(err, ADZE_NO_MEMORY, "no memory for the buffers of %d workers",
                     q->cut.workers);
}

void llm_tools_close(llm_tools *tools)
{
    adze_arena_free(&tools->arena);
}

void llm_tools_begin(llm_tools *tools, const llm_work *work)
{
    tools->importance = work->matrix ? tools->importance_buffer : NULL;
    if (work->matrix)
        adze_imatrix_weights(tools->importance, work->matrix);
}

/* ---- rows ---- */

/* Bit patterns of floats without their sign are in the order of the numbers, infinity and NaN last. */
static uint32_t magnitude(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x7fffffffu;
}

/* Whether all are below `limit` (a pattern), two at a time: adding 2^31 - limit carries into the sign. */
static bool all_below(const float *x, int64_t count, uint32_t limit)
{
    const uint64_t both = 0x100000001u, add = (0x80000000u - limit) * both;
    uint64_t beyond[4] = {0}, words[4];
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        memcpy(words, x + i, sizeof words);
        for (int k = 0; k < 4; k++)
            beyond[k] |= (words[k] & 0x7fffffff * both) + add;
    }
    for (; i < count; i++)
        beyond[0] |= (uint64_t)magnitude(x[i]) + (0x80000000u - limit);
    return !((beyond[0] | beyond[1] | beyond[2] | beyond[3]) & 0x80000000 * both);
}

/* Index of the first that is not below `limit`; -1: all are. */
static int64_t first_beyond(const float *x, int64_t count, uint32_t limit)
{
    if (all_below(x, count, limit))
        return -1;
    for (int64_t i = 0; i < count; i++)
        if (magnitude(x[i]) >= limit)
            return i;
    return -1;
}

static adze_status check_numbers(const adze_llm_quantization *q, const llm_work *work,
                                 const float *x, int64_t first, int64_t rows, adze_error *err)
{
    const uint32_t infinity = 0x7f800000u, beyond_f16 = 0x477ff000u; /* 65520 */
    bool to_f16 = work->report.to == ADZE_F16;
    int64_t at = first_beyond(x, rows * work->width, to_f16 ? beyond_f16 : infinity);
    if (at < 0)
        return ADZE_OK;
    const char *path = adze_checkpoint_path(q->checkpoint), *name = work->report.name;
    long long row = (long long)(first + at / work->width), column = (long long)(at % work->width);
    if (isfinite(x[at]))
        return adze_fail(err, ADZE_BAD_DATA,
                         "%s: tensor %s, row %lld, column %lld: %g is too large for f16; use bf16 "
                         "for this tensor",
                         path, name, row, column, (double)x[at]);
    return adze_fail(
        err, ADZE_BAD_DATA,
        "%s: tensor %s, row %lld, column %lld: expected a finite number, found %g; the "
        "file is damaged or its training diverged",
        path, name, row, column, (double)x[at]);
}

static void encode(const llm_tools *tools, const llm_work *work, const float *x, int64_t first,
                   int64_t rows, void *out)
{
    adze_dtype to = work->report.to;
    const adze_block_codec *codec = &tools->codecs[to];
    for (int64_t i = 0; i < rows; i++) {
        const float *importance = tools->importance;
        if (importance)
            importance += (first + i) / work->slice_rows * work->width;
        codec->encode(x + i * work->width, work->width, importance, tools->tables[to],
                      (char *)out + (size_t)i * work->row_bytes);
    }
}

/* Decodes each row again into `row`. */
static void measure(double errors[2], const llm_tools *tools, const llm_work *work, const float *x,
                    int64_t rows, const void *out, float *row)
{
    for (int64_t i = 0; i < rows; i++) {
        const float *was = x + i * work->width;
        tools->codecs[work->report.to].decode((const char *)out + (size_t)i * work->row_bytes,
                                              work->width, row);
        for (int64_t j = 0; j < work->width; j++) {
            double lost = (double)row[j] - (double)was[j];
            errors[0] += lost * lost;
            errors[1] += (double)was[j] * (double)was[j];
        }
    }
}

static adze_status source_rows(const void **bytes, const adze_llm_quantization *q,
                               const llm_work *work, llm_worker *worker, int64_t first,
                               int64_t rows, adze_error *err)
{
    const adze_checkpoint_tensor *t = work->source;
    *bytes = t->mapped ? (const char *)t->mapped + (size_t)first * t->row_bytes : worker->in;
    return t->mapped ? ADZE_OK
                     : adze_checkpoint_rows(q->checkpoint, t, first, rows, worker->in, err);
}

adze_status llm_encode_rows(double errors[2], const adze_llm_quantization *q,
                            const llm_tools *tools, const llm_work *work, llm_worker *worker,
                            int64_t first, int64_t rows, adze_error *err)
{
    const void *bytes;
    const adze_block_codec *from = &tools->codecs[work->report.from];
    ADZE_TRY(source_rows(&bytes, q, work, worker, first, rows, err));
    const float *x = worker->floats;
    float *row = worker->floats + rows * work->width; /* the buffer has one row more */
    if (work->report.from == ADZE_F32 && (uintptr_t)bytes % sizeof(float) == 0)
        x = bytes;
    else if (from->decode)
        from->decode(bytes, rows * work->width, worker->floats);
    if (from->decode)
        ADZE_TRY(check_numbers(q, work, x, first, rows, err));
    if (work->report.to == work->report.from) {
        memcpy(worker->out, bytes, (size_t)rows * work->row_bytes);
        return ADZE_OK;
    }
    encode(tools, work, x, first, rows, worker->out);
    if (errors)
        measure(errors, tools, work, x, rows, worker->out, row);
    return ADZE_OK;
}

/* A fault brings in pages around it, so some before the rows have come back since they were dropped. */
void llm_drop_rows(const adze_llm_quantization *q, const llm_work *work, int64_t first,
                   int64_t rows)
{
    const size_t around = 2 << 20;
    const adze_checkpoint_tensor *t = work->source;
    if (!t->mapping || !t->mapped) {
        llm_drop_all(q);
        return;
    }
    const uint8_t *begin = adze_mapping_bytes(t->mapping);
    size_t from = (size_t)((const uint8_t *)t->mapped - begin) + (size_t)first * t->row_bytes;
    size_t back = ADZE_MIN(from, around);
    (void)adze_mapping_drop(t->mapping, begin + from - back, back + (size_t)rows * t->row_bytes);
}

/* So that the disk reads what comes next while this is encoded. */
static void want_rows(const llm_work *work, int64_t first, int64_t rows)
{
    const adze_checkpoint_tensor *t = work->source;
    rows = ADZE_MIN(rows, t->rows - first);
    if (t->mapping && t->mapped && rows > 0)
        (void)adze_mapping_want(t->mapping, (const char *)t->mapped + (size_t)first * t->row_bytes,
                                (size_t)rows * t->row_bytes);
}

void llm_drop_all(const adze_llm_quantization *q)
{
    int count;
    adze_mapping *const *mappings = adze_checkpoint_mappings(q->checkpoint, &count);
    for (int i = 0; i < count; i++)
        (void)adze_mapping_drop(mappings[i], adze_mapping_bytes(mappings[i]),
                                adze_mapping_size(mappings[i]));
}

/* ---- slabs ---- */

typedef struct run {
    adze_llm_quantization *q;
    llm_tools tools;
    llm_part part;
    const llm_work *work;
    int64_t first, rows, piece_rows; /* of the slab */
    double (*piece_errors)[2];       /* by piece of the slab, or NULL */
    _Atomic uint64_t hash;
    _Atomic int64_t slab_elements; /* done of the slab */
    atomic_bool stop;              /* a piece failed, or progress said so */
    bool cancelled;
    double total, done;                                           /* elements */
    double seconds[ADZE_DTYPE_COUNT], elements[ADZE_DTYPE_COUNT]; /* of slabs done, by type made */
    double left[ADZE_DTYPE_COUNT];                                /* elements */
    double told;                                                  /* when progress was shown last */
} run;

/* Of what is left, at the pace of each type in the slabs so far (or of all together); -1: not known yet. */
static double seconds_left(const run *r)
{
    double seconds = 0, elements = 0, left = 0;
    for (int i = 0; i < ADZE_DTYPE_COUNT; i++) {
        seconds += r->seconds[i];
        elements += r->elements[i];
    }
    if (elements == 0)
        return -1;
    for (int i = 0; i < ADZE_DTYPE_COUNT; i++)
        left +=
            r->left[i] * (r->elements[i] > 0 ? r->seconds[i] / r->elements[i] : seconds / elements);
    return left;
}

static void tell(run *r)
{
    const adze_llm_quantize_options *options = &r->q->options;
    double done = r->done + (double)atomic_load(&r->slab_elements);
    if (!options->progress || r->cancelled)
        return;
    r->told = adze_now();
    adze_llm_progress progress = {.share = r->total > 0 ? done / r->total : 1,
                                  .seconds_left = seconds_left(r),
                                  .tensor = r->work->report.name};
    if (options->progress(options->user, &progress))
        return;
    r->cancelled = true;
    atomic_store(&r->stop, true);
}

static adze_status do_piece(run *r, int64_t piece, llm_worker *worker, adze_error *err)
{
    const llm_work *work = r->work;
    int64_t first = r->first + piece * r->piece_rows;
    int64_t rows = ADZE_MIN(r->piece_rows, r->first + r->rows - first);
    double *errors = r->piece_errors ? r->piece_errors[piece] : NULL;
    if (errors)
        errors[0] = errors[1] = 0;
    ADZE_TRY(llm_encode_rows(errors, r->q, &r->tools, work, worker, first, rows, err));
    ADZE_TRY(llm_part_write(&r->part, worker->out, (size_t)rows * work->row_bytes,
                            work->offset + (uint64_t)first * work->row_bytes, err));
    atomic_fetch_add(&r->hash, llm_rows_hash(worker->out, work->row_bytes, first, rows));
    atomic_fetch_add(&r->slab_elements, rows * work->width);
    return ADZE_OK;
}

static void run_piece(void *user, int64_t piece, int index)
{
    run *r = user;
    llm_worker *worker = &r->tools.workers[index];
    adze_error error = {0};
    int64_t row = r->first + piece * r->piece_rows;
    if (atomic_load(&r->stop))
        return;
    if (do_piece(r, piece, worker, &error) != ADZE_OK) {
        atomic_store(&r->stop, true);
        if (row < worker->failed_row) {
            worker->failed_row = row;
            worker->error = error;
        }
    }
    if (index == 0 && adze_now() - r->told > 0.1) /* the calling thread */
        tell(r);
}

/* The failure of the earliest row: pieces are handed out in order, so none before it is left out. */
static adze_status outcome(const run *r, adze_error *err)
{
    const llm_worker *earliest = NULL;
    for (int i = 0; i < r->q->cut.workers; i++) {
        const llm_worker *worker = &r->tools.workers[i];
        if (worker->failed_row != INT64_MAX &&
            (!earliest || worker->failed_row < earliest->failed_row))
            earliest = worker;
    }
    if (earliest)
        return adze_fail(err, earliest->error.status, "%s", earliest->error.message);
    if (r->cancelled)
        return adze_fail(err, ADZE_CANCELLED,
                         "stopped; %s keeps what is done: the same command goes on from there",
                         r->part.temporary);
    return ADZE_OK;
}

static adze_status do_slab(run *r, llm_position at, double errors[2], adze_error *err)
{
    int64_t pieces = (r->rows + r->piece_rows - 1) / r->piece_rows;
    double lost[2] = {0}, start = adze_now(), slab = (double)(r->rows * r->work->width);
    adze_dtype to = r->work->report.to;
    atomic_store(&r->hash, 0);
    atomic_store(&r->slab_elements, 0);
    adze_pool_run(r->q->cut.workers > 1 ? r->q->context->pool : NULL, pieces, run_piece, r);
    llm_drop_rows(r->q, r->work, r->first, r->rows);
    ADZE_TRY(outcome(r, err));
    r->seconds[to] += adze_now() - start;
    r->elements[to] += slab;
    r->left[to] -= slab;
    r->done += slab;
    atomic_store(&r->slab_elements, 0);
    for (int64_t i = 0; r->piece_errors && i < pieces; i++) {
        lost[0] += r->piece_errors[i][0];
        lost[1] += r->piece_errors[i][1];
    }
    errors[0] += lost[0];
    errors[1] += lost[1];
    return llm_part_done(&r->part, at, r->rows, atomic_load(&r->hash), lost, err);
}

/* Rows of a slab: whole pieces, at least one for each worker. */
static int64_t slab_rows(const llm_cut *cut, const llm_work *work)
{
    int64_t piece = llm_piece_rows(cut, work);
    int64_t pieces = cut->slab_bytes / (piece * (int64_t)ADZE_MAX(work->source->row_bytes, 1u));
    return piece * ADZE_MAX(pieces, (int64_t)cut->workers);
}

static adze_status do_tensor(run *r, llm_position at, double errors[2], adze_error *err)
{
    adze_arena arena = {0};
    const llm_work *work = r->work = &r->q->work[at.tensor];
    int64_t most = slab_rows(&r->q->cut, work);
    bool measured = r->q->options.measure_error && work->report.to != work->report.from;
    adze_status status = ADZE_OK;
    r->piece_rows = llm_piece_rows(&r->q->cut, work);
    r->piece_errors = NULL;
    if (measured && !(r->piece_errors = adze_arena_alloc(&arena, (size_t)(most / r->piece_rows + 1),
                                                         sizeof *r->piece_errors)))
        status = adze_fail(err, ADZE_NO_MEMORY, "no memory to measure errors");
    llm_tools_begin(&r->tools, work);
    for (; at.row < work->source->rows && status == ADZE_OK; at.row += r->rows) {
        r->first = at.row;
        r->rows = ADZE_MIN(most, work->source->rows - at.row);
        tell(r);
        want_rows(work, at.row + r->rows, most);
        if (at.row + r->rows == work->source->rows && at.tensor + 1 < r->q->count)
            want_rows(work + 1, 0, slab_rows(&r->q->cut, work + 1));
        status = r->cancelled ? outcome(r, err) : do_slab(r, at, errors, err);
    }
    adze_arena_free(&arena);
    return status;
}

static adze_status do_all(run *r, double (*errors)[2], const char *path, adze_error *err)
{
    adze_llm_quantization *q = r->q;
    llm_position at;
    ADZE_TRY(llm_part_open(&r->part, &at, errors, q, r->tools.workers, path, err));
    for (int i = 0; i < q->count; i++) {
        const llm_work *work = &q->work[i];
        double rows = (double)work->source->rows, width = (double)work->width;
        double done = (i < at.tensor ? rows : i == at.tensor ? (double)at.row : 0) * width;
        r->total += rows * width;
        r->done += done;
        r->left[work->report.to] += rows * width - done;
    }
    q->resumed = r->total > 0 ? r->done / r->total : 0;
    adze_status status = ADZE_OK;
    for (; at.tensor < q->count && status == ADZE_OK; at.tensor++, at.row = 0)
        status = do_tensor(r, at, errors[at.tensor], err);
    if (status == ADZE_OK)
        status = llm_part_finish(&r->part, err);
    if (status != ADZE_OK)
        llm_part_close(&r->part, status == ADZE_BAD_DATA);
    return status;
}

static adze_status check_matrix(const adze_llm_quantization *q, adze_error *err)
{
    int missing = 0;
    const adze_llm_tensor_report *first = NULL;
    for (int i = 0; i < q->count; i++) {
        const adze_llm_tensor_report *t = &q->work[i].report;
        if (t->needs_matrix && !t->has_matrix && t->from != t->to && missing++ == 0)
            first = t;
    }
    if (!first)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_ARGUMENT,
                     "%s to %s, as %d tensors, needs an importance matrix%s; make one with 'adze "
                     "imatrix' and give it with --imatrix",
                     first->name, adze_llm_type_name(first->to), missing,
                     q->imatrix ? ", and the one given says nothing of it" : "");
}

adze_status adze_llm_quantization_run(adze_llm_quantization *q, const char *path, adze_error *err)
{
    run r = {.q = q};
    adze_arena arena = {0};
    ADZE_TRY(check_matrix(q, err));
    double(*errors)[2] = adze_arena_alloc(&arena, (size_t)q->count + 1, sizeof *errors);
    if (!errors)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %d tensors", q->count);
    adze_status status = llm_tools_open(&r.tools, q, err);
    if (status == ADZE_OK) {
        status = do_all(&r, errors, path, err);
        llm_tools_close(&r.tools);
    }
    for (int i = 0; i < q->count && status == ADZE_OK; i++) {
        bool known = q->options.measure_error && errors[i][1] > 0;
        q->work[i].report.error = known ? sqrt(errors[i][0] / errors[i][1]) : -1;
    }
    adze_arena_free(&arena);
    return status;
}

/* ---- time ---- */

/* Seconds for each element of a tensor, by rows from its middle. */
static adze_status pace_of(double *pace, const adze_llm_quantization *q, llm_tools *tools,
                           const llm_work *work, adze_error *err)
{
    int64_t rows = ADZE_MIN(llm_piece_rows(&q->cut, work), work->source->rows);
    int64_t first = (work->source->rows - rows) / 2;
    double start = adze_now(), spent = 0, best = DBL_MAX;
    llm_tools_begin(tools, work);
    for (int i = 0; i < 100 && spent < 0.05; i++) {
        double before = adze_now();
        ADZE_TRY(llm_encode_rows(NULL, q, tools, work, &tools->workers[0], first, rows, err));
        (void)llm_rows_hash(tools->workers[0].out, work->row_bytes, first, rows);
        best = ADZE_MIN(best, adze_now() - before);
        spent = adze_now() - start;
    }
    llm_drop_rows(q, work, first, rows);
    const double io = 0.5e-9; /* a byte of the page cache, mapped or written */
    double bytes = (double)rows * (double)(work->source->row_bytes + work->row_bytes);
    *pace = (best + io * bytes) / (double)(rows * work->width);
    return ADZE_OK;
}

adze_status adze_llm_quantization_estimate(double *seconds, const adze_llm_quantization *q,
                                           adze_error *err)
{
    double paces[ADZE_DTYPE_COUNT] = {0}, total = 0;
    llm_tools tools;
    ADZE_TRY(check_matrix(q, err));
    ADZE_TRY(llm_tools_open(&tools, q, err));
    adze_status status = ADZE_OK;
    for (int i = 0; i < q->count && status == ADZE_OK; i++) {
        const llm_work *work = &q->work[i];
        adze_dtype to = work->report.to;
        bool small = work->source->rows * work->width < 1 << 14;
        if (paces[to] == 0 && !small)
            status = pace_of(&paces[to], q, &tools, work, err);
        total += (double)(work->source->rows * work->width) * paces[to];
    }
    llm_tools_close(&tools);
    if (status == ADZE_OK)
        *seconds = total / q->cut.workers;
    return status;
}
