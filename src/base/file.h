/* Files: mapped reading, writing beside and renaming, folders, times. */
#ifndef ADZE_BASE_FILE_H
#define ADZE_BASE_FILE_H
#include "base/memory.h"
#include "base/text.h"

/* A file mapped read-only, reference counted; empty files have size 0 and a valid pointer. */
typedef struct adze_mapping adze_mapping;

adze_status adze_mapping_open(adze_mapping **out, const char *path,
                              adze_error *err) ADZE_MUST_CHECK;
adze_mapping *adze_mapping_retain(adze_mapping *mapping);
void adze_mapping_release(adze_mapping **mapping);
const uint8_t *adze_mapping_bytes(const adze_mapping *mapping);
size_t adze_mapping_size(const adze_mapping *mapping);
const char *adze_mapping_path(const adze_mapping *mapping);
/* Lets the pages of these bytes leave memory (reading brings them back), so that walking through a
 * large file needs little; false, and nothing done, when they do not all lie in the mapping. */
bool adze_mapping_drop(const adze_mapping *mapping, const void *bytes, size_t size);
/* These bytes are read soon: the disk may begin; false as above. */
bool adze_mapping_want(const adze_mapping *mapping, const void *bytes, size_t size);

/* Lets these bytes of the mapping be written: the pages touched become this process's own, the file stays as it
 * is. False when they do not all lie in the mapping, or the system refuses. */
bool adze_mapping_make_writable(const adze_mapping *mapping, const void *bytes, size_t size);

/* Output that appears whole or not at all: written to a temporary name in the same folder, renamed by
 * finish, removed by abort (or when finish fails). */
typedef struct adze_output adze_output;

adze_status adze_output_open(adze_output **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
/* Write errors are kept and reported by finish. */
void adze_output_write(adze_output *output, const void *bytes, size_t size);
bool adze_output_failed(const adze_output *output);   /* finish will say why */
uint64_t adze_output_size(const adze_output *output); /* bytes written so far */
adze_status adze_output_finish(adze_output **output, adze_error *err) ADZE_MUST_CHECK;
void adze_output_abort(adze_output **output);
/* The three calls above in one. */
adze_status adze_file_write(const char *path, const void *bytes, size_t size,
                            adze_error *err) ADZE_MUST_CHECK;
/* Whole file into adze_alloc'ed memory with a NUL behind it; for small files; refuses > limit bytes. */
adze_status adze_file_read(char **out, size_t *size, const char *path, size_t limit,
                           adze_error *err) ADZE_MUST_CHECK;

bool adze_file_exists(const char *path);
bool adze_file_is_folder(const char *path);
bool adze_file_is_same(const char *a, const char *b); /* by any name; false when one is absent */
int64_t adze_file_size(const char *path);             /* -1 when absent */
adze_status adze_folder_make(const char *path, adze_error *err) ADZE_MUST_CHECK; /* with parents */
/* Entry names (not paths) except . and .., sorted by bytes; in the arena. */
adze_status adze_folder_list(char ***names, int *count, const char *path, adze_arena *arena,
                             adze_error *err) ADZE_MUST_CHECK;
/* "a/b.onnx" -> "b.onnx"; and "a/b.onnx", "c" -> "a/c" (c itself when absolute). */
const char *adze_path_name(const char *path);
char *adze_path_beside(adze_arena *arena, const char *path, const char *name);
char *adze_path_join(adze_arena *arena, const char *folder, const char *name);
/* Every character outside [A-Za-z0-9._-] becomes '_'. */
char *adze_path_sanitize(adze_arena *arena, const char *name);
/* gunzip a whole .gz in memory; refuses results over limit bytes. Free with adze_free. */
adze_status adze_gunzip(uint8_t **out, size_t *out_size, const uint8_t *bytes, size_t size,
                        size_t limit, adze_error *err) ADZE_MUST_CHECK;

double adze_now(void);           /* monotonic seconds */
uint64_t adze_peak_rss(void);    /* bytes: largest resident size of this process so far */
uint64_t adze_current_rss(void); /* bytes */
size_t adze_last_cache(void);    /* bytes of the last level of cache; 0: not known */

#endif
