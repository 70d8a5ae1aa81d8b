/** @file
 * Data sets: samples with labels, read on demand from the files people have.
 *
 * Understood: IDX pairs, NumPy .npy and .npz, folders of .npy files, folders of pictures (by class or
 * flat), single pictures, CSV tables. docs/data.md describes the naming rules.
 * Threads: an opened data set is read-only; any number of threads may read from it. */
#ifndef ADZE_DATA_H
#define ADZE_DATA_H
#include "adze/tensor.h"

ADZE_BEGIN_C

typedef enum adze_layout { ADZE_NCHW, ADZE_NHWC } adze_layout;

typedef enum adze_channels {
    ADZE_CHANNELS_KEEP, /* as in the file */
    ADZE_CHANNELS_RGB,
    ADZE_CHANNELS_BGR,
    ADZE_CHANNELS_GREY
} adze_channels;

typedef enum adze_resize_mode {
    ADZE_RESIZE_BILINEAR, /* as Pillow: the filter grows when shrinking */
    ADZE_RESIZE_NEAREST
} adze_resize_mode;

/** From a decoded picture to the model's input, in this order: channels, resize, centre crop,
 * x = (pixel * scale - mean) / std, layout, dtype. */
typedef struct adze_preprocess {
    adze_channels channels;
    int resize_width, resize_height; /* 0: no resizing */
    bool keep_aspect; /* the picture covers the size; crop cuts off what is too much */
    adze_resize_mode resize_mode;
    int crop_width, crop_height; /* 0: no crop */
    double scale;
    double mean[4], std[4];
    int mean_count, std_count; /* 1: the same for all channels */
    adze_layout layout;
    adze_dtype dtype;      /* of what adze_dataset_read gives for pictures */
    char label_column[64]; /* of CSV tables; "": label, labels, class, target or y */
} adze_preprocess;

/** Channels kept, no resizing, scale 1/255, mean 0, std 1, NCHW, float32. */
ADZE_API adze_preprocess adze_preprocess_default(void);
/** Reads a JSON description, keys as in docs/data.md. Fails with ADZE_BAD_FILE naming the key. */
ADZE_MUST_CHECK ADZE_API adze_status adze_preprocess_load(adze_preprocess *out, const char *path,
                                                          adze_error *err);

typedef struct adze_dataset adze_dataset;

/** Opens what `path` names; `preprocess` NULL: the default for pictures, and arrays of numbers are taken
 * as they are. Free with adze_dataset_close. Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE, ADZE_BAD_DATA,
 * ADZE_UNSUPPORTED. */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_open(adze_dataset **out, const char *path,
                                                       const adze_preprocess *preprocess,
                                                       adze_error *err);
/** Frees and nulls `*dataset`; NULL is fine. Subsets stay valid. */
ADZE_API void adze_dataset_close(adze_dataset **dataset);

ADZE_API const char *adze_dataset_path(const adze_dataset *dataset);
ADZE_API int64_t adze_dataset_count(const adze_dataset *dataset);

/** Inputs; the name is "" where the files give none, and then fits every model input. */
ADZE_API int adze_dataset_input_count(const adze_dataset *dataset);
ADZE_API const char *adze_dataset_input_name(const adze_dataset *dataset, int index);
/** Expected outputs, for models that are not classifiers. */
ADZE_API int adze_dataset_expected_count(const adze_dataset *dataset);
ADZE_API const char *adze_dataset_expected_name(const adze_dataset *dataset, int index);

ADZE_API bool adze_dataset_has_labels(const adze_dataset *dataset);
/** Class of a sample, 0 to classes - 1; -1 when there are no labels. */
ADZE_API int64_t adze_dataset_label(const adze_dataset *dataset, int64_t sample);
/** Number of classes; 0 without labels. */
ADZE_API int64_t adze_dataset_classes(const adze_dataset *dataset);
/** Name of a class, NULL when the files give none. */
ADZE_API const char *adze_dataset_class_name(const adze_dataset *dataset, int64_t index);

/** One batch of input `input` (NULL: the only one): samples `indices` (NULL: 0 to count - 1) as
 * [count, ...], float32, or for pictures the preprocessing's dtype. `*out` must be zeroed or hold an
 * owned tensor, whose memory is used again when it fits; after a failure its contents are undefined,
 * but it must still be freed. Fails with ADZE_BAD_DATA (samples differ in
 * shape, unknown name), ADZE_BAD_FILE, ADZE_BAD_ARGUMENT (no such sample). */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_read(adze_tensor *out,
                                                       const adze_dataset *dataset,
                                                       const char *input, const int64_t *indices,
                                                       int64_t count, adze_error *err);
/** The same in another element type: rounded half to even and saturated for integers. */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_read_as(adze_tensor *out, adze_dtype dtype,
                                                          const adze_dataset *dataset,
                                                          const char *input, const int64_t *indices,
                                                          int64_t count, adze_error *err);
/** The same for an expected output, float32. */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_read_expected(adze_tensor *out,
                                                                const adze_dataset *dataset,
                                                                const char *output,
                                                                const int64_t *indices,
                                                                int64_t count, adze_error *err);

/** SHA-256, in hexadecimal, of the contents (not of names of files, nor of the preprocessing) and of the
 * choice of samples: equal for equal data wherever they lie. Reads everything. */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_identity(char out[65],
                                                           const adze_dataset *dataset,
                                                           adze_error *err);

/** A data set of some samples of another, in this order; shares its files. */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_subset(adze_dataset **out,
                                                         const adze_dataset *dataset,
                                                         const int64_t *indices, int64_t count,
                                                         adze_error *err);
/** Two disjoint parts: `*first` gets the fraction (over 0, under 1) of every class, `*second` the rest;
 * the same for the same seed on every machine. Fails with ADZE_BAD_DATA for fewer than two samples. */
ADZE_MUST_CHECK ADZE_API adze_status adze_dataset_split(adze_dataset **first, adze_dataset **second,
                                                        const adze_dataset *dataset,
                                                        double fraction, uint64_t seed,
                                                        adze_error *err);

ADZE_END_C
#endif
