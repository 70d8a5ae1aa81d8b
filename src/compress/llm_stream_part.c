/* The unfinished file. Beside it lies a journal: a first line that says of what (a hash of source, recipe and
 * layout), then a line for each slab that is in the file, with a hash of its bytes. Nothing is synced on the
 * way: going on verifies the bytes instead, so that a kill, a full disk and even a power cut cost at most
 * what is not as the journal says. */
#include "compress/llm_stream_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/hash.h"

static adze_status fail_errno(adze_error *err, const char *path, const char *doing, int number)
{
    char why[128];
    if (number == ENOSPC || number == EDQUOT)
        return adze_fail(err, ADZE_IO,
                         "%s: the disk is full; what is done is kept: make room and run the same "
                         "again",
                         path);
    return adze_fail(err, number == ENOENT || number == ENOTDIR ? ADZE_NOT_FOUND : ADZE_IO,
                     "%s: cannot %s: %s", path, doing, strerror_r(number, why, sizeof why));
}

/* ---- who is who ---- */

static void add_stat(adze_sha256 *sha, const char *path)
{
    struct stat info = {0};
    if (stat(path, &info) != 0)
        return;
    int64_t facts[3] = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    adze_sha256_add(sha, path, strlen(path) + 1);
    adze_sha256_add(sha, facts, sizeof facts);
}

static adze_status add_folder(adze_sha256 *sha, const char *path, adze_error *err)
{
    char **names;
    int count;
    adze_arena arena = {0};
    adze_status status = adze_folder_list(&names, &count, path, &arena, err);
    for (int i = 0; i < count && status == ADZE_OK; i++) {
        const char *file = adze_path_join(&arena, path, names[i]);
        if (!file)
            status = adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to list it", path);
        else if (!adze_file_is_folder(file))
            add_stat(sha, file);
    }
    adze_arena_free(&arena);
    return status;
}

/* The header holds metadata, types and layout, so all of the recipe but the matrix. */
static adze_status identify(char out[65], const adze_llm_quantization *q, adze_error *err)
{
    adze_sha256 sha;
    const char *source = adze_checkpoint_path(q->checkpoint);
    const char *words[] = {adze_version(), adze_cpu_level_name(q->context->level),
                           q->options.measure_error ? "measured" : ""};
    adze_sha256_init(&sha);
    for (size_t i = 0; i < ADZE_COUNT_OF(words); i++)
        adze_sha256_add(&sha, words[i], strlen(words[i]) + 1);
    adze_sha256_add(&sha, q->header, q->header_size);
    if (q->imatrix)
        add_stat(&sha, q->options.imatrix);
    if (adze_file_is_folder(source))
        ADZE_TRY(add_folder(&sha, source, err));
    int count;
    adze_mapping *const *mappings = adze_checkpoint_mappings(q->checkpoint, &count);
    for (int i = 0; i < count; i++)
        add_stat(&sha, adze_mapping_path(mappings[i]));
    adze_sha256_hex(&sha, out);
    return ADZE_OK;
}

static adze_status check_target(const adze_llm_quantization *q, const char *path, adze_error *err)
{
    struct stat info;
    ADZE_TRY(adze_checkpoint_spare(q->checkpoint, path, err));
    if (q->options.imatrix && adze_file_is_same(path, q->options.imatrix))
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "%s: is the importance matrix; give the output another name", path);
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: expected the name of a file, found %s", path,
                         S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    return ADZE_OK;
}

static adze_status check_room(const llm_part *part, uint64_t bytes, adze_error *err)
{
    struct statvfs disk;
    struct stat info;
    char needs[32], has[32];
    if (fstatvfs(part->fd, &disk) != 0 || fstat(part->fd, &info) != 0)
        return ADZE_OK; /* writing will tell */
    double there = (double)info.st_blocks * 512;
    double room = (double)disk.f_bavail * (double)disk.f_frsize + there;
    if (room >= (double)bytes)
        return ADZE_OK;
    return adze_fail(err, ADZE_IO, "%s: the disk is too full: %s are needed, %s are free",
                     part->path, adze_format_bytes(needs, (double)bytes - there),
                     adze_format_bytes(has, room - there));
}

/* ---- the journal ---- */

static const char journal_kind[] = "adze-quantize-1";

/* Four lanes, as a hash over all of a large file must not cost what encoding does. */
static uint64_t hash_row(const char *at, size_t size)
{
    uint64_t lanes[4] = {1, 2, 3, 4}, words[4];
    for (; size >= sizeof words; at += sizeof words, size -= sizeof words) {
        memcpy(words, at, sizeof words);
        for (int k = 0; k < 4; k++) {
            lanes[k] = (lanes[k] ^ words[k]) * 0x9e3779b97f4a7c15u;
            lanes[k] ^= lanes[k] >> 32;
        }
    }
    return adze_hash64(lanes, sizeof lanes) ^ adze_hash64(at, size);
}

uint64_t llm_rows_hash(const void *bytes, size_t row_bytes, int64_t first, int64_t rows)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        const char *row = (const char *)bytes + (size_t)i * row_bytes;
        uint64_t pair[2] = {(uint64_t)(first + i), hash_row(row, row_bytes)};
        sum += adze_hash64(pair, sizeof pair);
    }
    return sum;
}

typedef struct check {
    const llm_part *part;
    const llm_work *work;
    int64_t first, rows, piece_rows;
    llm_worker *workers;
    _Atomic uint64_t sum;
} check;

static void check_piece(void *user, int64_t piece, int worker)
{
    check *c = user;
    int64_t first = c->first + piece * c->piece_rows;
    int64_t rows = ADZE_MIN(c->piece_rows, c->first + c->rows - first);
    size_t size = (size_t)rows * c->work->row_bytes;
    off_t at = (off_t)(c->work->offset + (uint64_t)first * c->work->row_bytes);
    if (pread(c->part->fd, c->workers[worker].out, size, at) == (ssize_t)size)
        atomic_fetch_add(&c->sum,
                         llm_rows_hash(c->workers[worker].out, c->work->row_bytes, first, rows));
}

/* True when the file holds what a line says. */
static bool holds(const llm_part *part, const adze_llm_quantization *q, llm_worker *workers,
                  llm_position at, int64_t rows, uint64_t sum)
{
    check c = {.part = part,
               .work = &q->work[at.tensor],
               .first = at.row,
               .rows = rows,
               .workers = workers};
    c.piece_rows = llm_piece_rows(&q->cut, c.work);
    adze_pool_run(q->cut.workers > 1 ? q->context->pool : NULL,
                  (rows + c.piece_rows - 1) / c.piece_rows, check_piece, &c);
    return atomic_load(&c.sum) == sum;
}

static void step(llm_position *at, const adze_llm_quantization *q, int64_t rows)
{
    at->row += rows;
    while (at->tensor < q->count && at->row >= q->work[at->tensor].source->rows) {
        at->tensor++;
        at->row = 0;
    }
}

/* Follows the lines as long as they go on from one another and the file agrees; *kept: bytes of the journal
 * that hold. */
static llm_position follow(const llm_part *part, const char *journal, size_t *kept,
                           double (*errors)[2], const adze_llm_quantization *q, llm_worker *workers)
{
    llm_position at = {0}, said;
    const char *line = strchr(journal, '\n');
    int64_t rows;
    uint64_t sum;
    double lost, total;
    step(&at, q, 0);
    for (const char *end; line && (end = strchr(++line, '\n')) != NULL; line = end) {
        *kept = (size_t)(line - journal);
        if (sscanf(line, "%d %" SCNd64 " %" SCNd64 " %" SCNx64 " %la %la", &said.tensor, &said.row,
                   &rows, &sum, &lost, &total) != 6)
            return at;
        if (said.tensor != at.tensor || said.row != at.row || at.tensor >= q->count || rows < 1 ||
            rows > q->work[at.tensor].source->rows - at.row ||
            !holds(part, q, workers, at, rows, sum))
            return at;
        if (errors) {
            errors[at.tensor][0] += lost;
            errors[at.tensor][1] += total;
        }
        step(&at, q, rows);
    }
    *kept = line ? (size_t)(line - journal) : strlen(journal);
    return at;
}

static adze_status begin_journal(const llm_part *part, const char *first_line, adze_error *err)
{
    size_t size = strlen(first_line);
    if (ftruncate(part->fd, 0) != 0 || ftruncate(part->journal_fd, 0) != 0)
        return fail_errno(err, part->temporary, "empty", errno);
    if (write(part->journal_fd, first_line, size) != (ssize_t)size)
        return fail_errno(err, part->journal, "write", errno);
    return ADZE_OK;
}

static adze_status resume(const llm_part *part, const char *journal, llm_position *position,
                          double (*errors)[2], const adze_llm_quantization *q, llm_worker *workers,
                          adze_error *err)
{
    size_t kept = 0;
    *position = follow(part, journal, &kept, errors, q, workers);
    return ftruncate(part->journal_fd, (off_t)kept) == 0
               ? ADZE_OK
               : fail_errno(err, part->journal, "shorten", errno);
}

static adze_status open_files(llm_part *part, adze_error *err)
{
    part->fd = open(part->temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (part->fd < 0)
        return fail_errno(err, part->temporary, "create", errno);
    if (flock(part->fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(part->fd);
        part->fd = -1;
        return adze_fail(err, ADZE_IO, "%s: another process is writing it", part->temporary);
    }
    part->journal_fd = open(part->journal, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    return part->journal_fd < 0 ? fail_errno(err, part->journal, "create", errno) : ADZE_OK;
}

static adze_status open_part(llm_part *part, llm_position *position, double (*errors)[2],
                             const adze_llm_quantization *q, llm_worker *workers, adze_error *err)
{
    char identity[65], first_line[128], *journal = NULL;
    size_t size = 0;
    ADZE_TRY(check_target(q, part->path, err));
    ADZE_TRY(identify(identity, q, err));
    (void)snprintf(first_line, sizeof first_line, "%s %s\n", journal_kind, identity);
    ADZE_TRY(open_files(part, err));
    ADZE_TRY(check_room(part, q->bytes, err));
    ADZE_TRY(adze_file_read(&journal, &size, part->journal, 1 << 30, err));
    bool ours = adze_starts_with(journal, first_line);
    adze_status status = ours ? resume(part, journal, position, errors, q, workers, err)
                              : begin_journal(part, first_line, err);
    adze_free(journal);
    if (status == ADZE_OK)
        status = llm_part_write(part, q->header, q->header_size, 0, err);
    if (status == ADZE_OK && ftruncate(part->fd, (off_t)q->bytes) != 0)
        status = fail_errno(err, part->temporary, "lengthen", errno);
    if (status != ADZE_OK && !ours)
        (void)!ftruncate(part->fd, 0); /* nothing to go on with: it goes */
    return status;
}

adze_status llm_part_open(llm_part *part, llm_position *position, double (*errors)[2],
                          const adze_llm_quantization *q, llm_worker *workers, const char *path,
                          adze_error *err)
{
    *part = (llm_part){.fd = -1, .journal_fd = -1};
    *position = (llm_position){0};
    part->path = adze_arena_strdup(&part->arena, path);
    part->temporary = adze_arena_printf(&part->arena, "%s.part", path);
    part->journal = adze_arena_printf(&part->arena, "%s.part.journal", path);
    bool fine = part->path && part->temporary && part->journal;
    adze_status status = fine ? open_part(part, position, errors, q, workers, err)
                              : adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to write it", path);
    step(position, q, 0);
    struct stat info;
    if (status != ADZE_OK)
        llm_part_close(part, part->fd >= 0 && fstat(part->fd, &info) == 0 && info.st_size == 0);
    return status;
}

/* ---- writing ---- */

adze_status llm_part_write(const llm_part *part, const void *bytes, size_t size, uint64_t offset,
                           adze_error *err)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = pwrite(part->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail_errno(err, part->temporary, "write", n < 0 ? errno : EIO);
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return ADZE_OK;
}

adze_status llm_part_done(const llm_part *part, llm_position from, int64_t rows, uint64_t sum,
                          const double errors[2], adze_error *err)
{
    char line[160];
    int size = snprintf(line, sizeof line, "%d %" PRId64 " %" PRId64 " %016" PRIx64 " %a %a\n",
                        from.tensor, from.row, rows, sum, errors[0], errors[1]);
    if (write(part->journal_fd, line, (size_t)size) != size)
        return fail_errno(err, part->journal, "write", errno);
    return ADZE_OK;
}

adze_status llm_part_finish(llm_part *part, adze_error *err)
{
    if (fdatasync(part->fd) != 0 && errno != EINVAL)
        return fail_errno(err, part->temporary, "write", errno);
    if (rename(part->temporary, part->path) != 0)
        return fail_errno(err, part->path, "name the finished file", errno);
    (void)unlink(part->journal);
    llm_part_close(part, false);
    return ADZE_OK;
}

void llm_part_close(llm_part *part, bool forget)
{
    if (forget && part->fd >= 0) {
        (void)unlink(part->temporary);
        (void)unlink(part->journal);
    }
    if (part->journal_fd >= 0)
        (void)close(part->journal_fd);
    if (part->fd >= 0)
        (void)close(part->fd);
    part->fd = part->journal_fd = -1;
    adze_arena_free(&part->arena);
}
