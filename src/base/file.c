/* Files of a POSIX system: mappings, output that appears whole or not at all, folders. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct adze_mapping {
    atomic_int references;
    const uint8_t *bytes;
    size_t size;
    char path[];
};

static adze_status fail_errno(adze_error *err, const char *path, const char *doing)
{
    int number = errno;
    adze_status status = number == ENOENT || number == ENOTDIR ? ADZE_NOT_FOUND
                         : number == ENOMEM                    ? ADZE_NO_MEMORY
                         : number == EISDIR                    ? ADZE_BAD_ARGUMENT
                                                               : ADZE_IO;
    char why[128];
    return adze_fail(err, status, "%s: cannot %s: %s", path, doing,
                     strerror_r(number, why, sizeof why));
}

static adze_status map_descriptor(adze_mapping *mapping, int fd, adze_error *err)
{
    static const uint8_t nothing[1] = {0};
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_errno(err, mapping->path, "open");
    if (!S_ISREG(info.st_mode))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: expected a file, found %s", mapping->path,
                         S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    mapping->size = (size_t)info.st_size;
    mapping->bytes = nothing;
    if (mapping->size == 0)
        return ADZE_OK;
    void *bytes = mmap(NULL, mapping->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return fail_errno(err, mapping->path, "map");
    mapping->bytes = bytes;
    return ADZE_OK;
}

adze_status adze_mapping_open(adze_mapping **out, const char *path, adze_error *err)
{
    adze_mapping *mapping = adze_alloc(1, sizeof *mapping + strlen(path) + 1);
    if (!mapping)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", path);
    memcpy(mapping->path, path, strlen(path) + 1);
    atomic_init(&mapping->references, 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    adze_status status = fd < 0 ? fail_errno(err, path, "open") : map_descriptor(mapping, fd, err);
    if (fd >= 0)
        (void)close(fd);
    if (status == ADZE_OK)
        *out = mapping;
    else
        adze_free(mapping);
    return status;
}

adze_mapping *adze_mapping_retain(adze_mapping *mapping)
{
    if (mapping)
        atomic_fetch_add_explicit(&mapping->references, 1, memory_order_relaxed);
    return mapping;
}

void adze_mapping_release(adze_mapping **mapping)
{
    adze_mapping *gone = *mapping;
    *mapping = NULL;
    if (!gone || atomic_fetch_sub(&gone->references, 1) != 1)
        return;
    if (gone->size)
        (void)munmap((void *)(uintptr_t)gone->bytes, gone->size);
    adze_free(gone);
}

const uint8_t *adze_mapping_bytes(const adze_mapping *mapping)
{
    return mapping->bytes;
}

size_t adze_mapping_size(const adze_mapping *mapping)
{
    return mapping->size;
}

/* The whole pages that hold these bytes; NULL when they do not all lie in the mapping. */
static void *pages_of(const adze_mapping *mapping, const void *bytes, size_t *size)
{
    uintptr_t begin = (uintptr_t)mapping->bytes, from = (uintptr_t)bytes;
    if (from < begin || from - begin > mapping->size || *size > mapping->size - (from - begin))
        return NULL;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = from & ~(page - 1); /* a mapping begins at a page */
    *size += *size ? from - start : 0;
    return (void *)start;
}

static bool advise(const adze_mapping *mapping, const void *bytes, size_t size, int advice)
{
    void *pages = pages_of(mapping, bytes, &size);
    if (pages && size)
        (void)madvise(pages, size, advice);
    return pages != NULL;
}

bool adze_mapping_drop(const adze_mapping *mapping, const void *bytes, size_t size)
{
    return advise(mapping, bytes, size, MADV_DONTNEED);
}

bool adze_mapping_want(const adze_mapping *mapping, const void *bytes, size_t size)
{
    return advise(mapping, bytes, size, MADV_WILLNEED);
}

bool adze_mapping_make_writable(const adze_mapping *mapping, const void *bytes, size_t size)
{
    void *pages = pages_of(mapping, bytes, &size);
    return pages && (size == 0 || mprotect(pages, size, PROT_READ | PROT_WRITE) == 0);
}

const char *adze_mapping_path(const adze_mapping *mapping)
{
    return mapping->path;
}

struct adze_output {
    int fd;
    int error;     /* errno of the first failure */
    uint64_t size; /* written, buffered bytes included */
    size_t buffered;
    char *path;      /* where it shall appear */
    char *temporary; /* where it is now; NULL: written in place (a device or pipe), or unnamed */
    bool unnamed;    /* has no name yet, so that even a kill leaves nothing */
    adze_arena arena;
    char buffer[1 << 16];
};

static char *self_name(char buf[48], int fd)
{
    (void)snprintf(buf, 48, "/proc/self/fd/%d", fd);
    return buf;
}

/* A file without a name in the target's folder; -1 where the file system or the kernel has none. */
static int open_unnamed(adze_output *output)
{
#ifdef O_TMPFILE
    char self[48];
    const char *folder = adze_path_beside(&output->arena, output->path, ".");
    int fd = folder ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
    output->unnamed = fd >= 0 && access(self_name(self, fd), F_OK) == 0;
    if (fd >= 0 && !output->unnamed)
        (void)close(fd);
    return output->unnamed ? fd : -1;
#else
    ADZE_UNUSED(output);
    return -1;
#endif
}

/* Makes a name of our own beside the target, for a new file or the unnamed one; that it must not be there keeps two
 * writers apart. */
static int make_name(adze_output *output)
{
    char self[48];
    for (int i = 0; i < 1000; i++) {
        output->temporary =
            adze_arena_printf(&output->arena, "%s.tmp-%ld-%d", output->path, (long)getpid(), i);
        if (!output->temporary) {
            errno = ENOMEM;
            return -1;
        }
        int made = output->unnamed
                       ? linkat(AT_FDCWD, self_name(self, output->fd), AT_FDCWD, output->temporary,
                                AT_SYMLINK_FOLLOW)
                       : open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (made >= 0)
            return made;
        if (errno != EEXIST)
            break;
    }
    output->temporary = NULL;
    return -1;
}

static bool open_target(adze_output *output, const char *path)
{
    struct stat info;
    bool exists = stat(path, &info) == 0;
    char *real = exists ? realpath(path, NULL) : NULL; /* a link keeps pointing where it points */
    output->path = adze_arena_strdup(&output->arena, real ? real : path);
    free(real);
    if (!output->path) {
        errno = ENOMEM;
        return false;
    }
    if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return false;
    }
    bool in_place = exists && !S_ISREG(info.st_mode);
    output->fd = in_place ? open(path, O_WRONLY | O_CLOEXEC) : open_unnamed(output);
    if (!in_place && output->fd < 0)
        output->fd = make_name(output);
    return output->fd >= 0;
}

static void output_free(adze_output **output)
{
    if ((*output)->fd >= 0)
        (void)close((*output)->fd);
    adze_arena_free(&(*output)->arena);
    adze_free(*output);
    *output = NULL;
}

adze_status adze_output_open(adze_output **out, const char *path, adze_error *err)
{
    adze_output *output = adze_alloc(1, sizeof *output);
    if (!output)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to write it", path);
    output->fd = -1;
    if (!open_target(output, path)) {
        adze_status status = fail_errno(err, path, "create");
        output_free(&output);
        return status;
    }
    *out = output;
    return ADZE_OK;
}

static void write_through(adze_output *output, const char *bytes, size_t size)
{
    while (size > 0 && output->error == 0) {
        ssize_t n = write(output->fd, bytes, ADZE_MIN(size, (size_t)1 << 30));
        if (n < 0 && errno != EINTR)
            output->error = errno;
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
}

static void flush(adze_output *output)
{
    write_through(output, output->buffer, output->buffered);
    output->buffered = 0;
}

void adze_output_write(adze_output *output, const void *bytes, size_t size)
{
    if (size == 0)
        return;
    output->size += size;
    if (size > sizeof output->buffer - output->buffered)
        flush(output);
    if (size > sizeof output->buffer - output->buffered) {
        write_through(output, bytes, size);
        return;
    }
    memcpy(output->buffer + output->buffered, bytes, size);
    output->buffered += size;
}

bool adze_output_failed(const adze_output *output)
{
    return output->error != 0;
}

uint64_t adze_output_size(const adze_output *output)
{
    return output->size;
}

adze_status adze_output_finish(adze_output **output_pointer, adze_error *err)
{
    adze_output *output = *output_pointer;
    flush(output);
    if (output->temporary || output->unnamed) {
        if (output->error == 0 && fdatasync(output->fd) != 0 && errno != EINVAL)
            output->error = errno;
        if (output->error == 0 && output->unnamed && make_name(output) < 0)
            output->error = errno;
        if (output->error == 0 && rename(output->temporary, output->path) != 0)
            output->error = errno;
    }
    if (output->error != 0) {
        errno = output->error;
        adze_status status = fail_errno(err, output->path, "write");
        adze_output_abort(output_pointer);
        return status;
    }
    output_free(output_pointer);
    return ADZE_OK;
}

void adze_output_abort(adze_output **output)
{
    if (!*output)
        return;
    if ((*output)->temporary)
        (void)unlink((*output)->temporary);
    output_free(output);
}

adze_status adze_file_write(const char *path, const void *bytes, size_t size, adze_error *err)
{
    adze_output *output;
    ADZE_TRY(adze_output_open(&output, path, err));
    adze_output_write(output, bytes, size);
    return adze_output_finish(&output, err);
}

/* Grows by doubling, so that pipes can be read as well; one byte is kept for the NUL. */
static adze_status read_all(adze_text *text, int fd, const char *path, size_t limit,
                            adze_error *err)
{
    char chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, path, "read");
        adze_text_add(text, chunk, (size_t)n);
        if (text->failed)
            return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to read it", path);
        if (text->length > limit)
            return adze_fail(err, ADZE_LIMIT, "%s: larger than the limit of %zu bytes", path,
                             limit);
        if (n == 0)
            return ADZE_OK;
    }
}

adze_status adze_file_read(char **out, size_t *size, const char *path, size_t limit,
                           adze_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, path, "open");
    adze_text text = {0};
    adze_status status = read_all(&text, fd, path, limit, err);
    (void)close(fd);
    if (status != ADZE_OK) {
        adze_text_free(&text);
        return status;
    }
    *out = text.data;
    *size = text.length;
    return ADZE_OK;
}

bool adze_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool adze_file_is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool adze_file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

int64_t adze_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

adze_status adze_folder_make(const char *path, adze_error *err)
{
    adze_arena arena = {0};
    char *part = adze_arena_strdup(&arena, path);
    adze_status status =
        part ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to create it", path);
    for (char *at = part; part && status == ADZE_OK; at++) {
        char kept = *at;
        if (kept != '/' && kept != 0)
            continue;
        *at = 0;
        if (at != part && mkdir(part, 0777) != 0) {
            int why = errno;
            if (!adze_file_is_folder(part)) {
                errno = why;
                status = fail_errno(err, part, "create the folder");
            }
        }
        *at = kept;
        if (kept == 0)
            break;
    }
    adze_arena_free(&arena);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool list_names(DIR *folder, char ***names, int *count, adze_arena *arena)
{
    char **items = NULL;
    int n = 0, capacity = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!adze_arena_grow(arena, &items, &capacity, n, sizeof *items) ||
            !(items[n] = adze_arena_strdup(arena, entry->d_name)))
            return false;
        n++;
    }
    if (n > 0)
        qsort(items, (size_t)n, sizeof *items, by_bytes);
    *names = items;
    *count = n;
    return true;
}

adze_status adze_folder_list(char ***names, int *count, const char *path, adze_arena *arena,
                             adze_error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail_errno(err, path, "read the folder");
    bool listed = list_names(folder, names, count, arena);
    (void)closedir(folder);
    return listed ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to list it", path);
}
