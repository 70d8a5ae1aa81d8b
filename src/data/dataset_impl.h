/* The inside of a data set: a source shared by all its subsets, and a choice of samples. */
#ifndef ADZE_DATA_DATASET_IMPL_H
#define ADZE_DATA_DATASET_IMPL_H
#include <stdatomic.h>
#include "adze/data.h"
#include "base/file.h"
#include "formats/npy.h"

/* One input or expected output of all samples: an array, or pictures that are decoded when read. */
typedef struct adze_field {
    const char *name;   /* "": fits any */
    adze_tensor array;  /* [samples, ...]; data NULL: files */
    const char **files; /* [samples] */
    bool pictures;      /* preprocessing applies */
} adze_field;

typedef struct adze_field_list {
    adze_field *items;
    int count, capacity;
} adze_field_list;

typedef struct adze_source {
    atomic_int references;
    adze_arena arena;
    const char *path;
    adze_preprocess preprocess;
    bool preprocess_given;
    int64_t count; /* samples; -1 until the first field says */
    adze_field_list inputs, expected;
    int32_t *labels; /* [count] or NULL */
    int64_t classes;
    char **class_names;      /* [classes] or NULL */
    adze_mapping **mappings; /* keep borrowed arrays alive, as do the two below */
    int mapping_count, mapping_capacity;
    adze_npz *npz;
    uint8_t **buffers;
    int buffer_count, buffer_capacity;
} adze_source;

struct adze_dataset {
    adze_source *source;
    int64_t *chosen; /* [count]; NULL: all */
    int64_t count;
};

adze_status adze_source_no_memory(const adze_source *s, adze_error *err);
/* `name` and the kind of array decide what it is: labels, an expected output ("expected/NAME",
 * "NAME:expected") or an input. Takes the array over, on failure too; `where` names it in messages. */
adze_status adze_source_add_array(adze_source *s, const char *name, adze_tensor *array,
                                  const char *where, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_source_set_labels(adze_source *s, adze_tensor *array, const char *where,
                                   adze_error *err) ADZE_MUST_CHECK;
/* Keeps the mapping, or memory of adze_alloc, as long as the source; takes it over on failure too. */
adze_status adze_source_keep(adze_source *s, adze_mapping *mapping, uint8_t *buffer,
                             adze_error *err) ADZE_MUST_CHECK;
adze_status adze_source_open_folder(adze_source *s, const char *path,
                                    adze_error *err) ADZE_MUST_CHECK;
adze_status adze_source_open_npy(adze_source *s, const char *name, const char *path,
                                 adze_error *err) ADZE_MUST_CHECK;
/* Any single file: by its first bytes, CSV by its name. */
adze_status adze_source_open_file(adze_source *s, const char *path,
                                  adze_error *err) ADZE_MUST_CHECK;
adze_status adze_source_open_labels(adze_source *s, const char *path,
                                    adze_error *err) ADZE_MUST_CHECK;
/* The only input of pictures from files; copies nothing. */
adze_status adze_source_add_files(adze_source *s, const char **files, int64_t count,
                                  adze_error *err) ADZE_MUST_CHECK;

adze_source *adze_source_retain(adze_source *s);
void adze_source_release(adze_source **s);

#endif
