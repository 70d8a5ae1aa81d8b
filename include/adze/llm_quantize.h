/** @file
 * Language models made smaller: a GGUF file (or a Hugging Face folder) in, a GGUF file of quantized blocks
 * out, tensor by tensor in slabs of rows, so that memory does not grow with the model. And importance
 * matrices: which columns of the weights meet large activations (docs/llm-quantize.md).
 * Threads: one call at a time for each output; an importance matrix may be read by many threads. */
#ifndef ADZE_LLM_QUANTIZE_H
#define ADZE_LLM_QUANTIZE_H
#include "adze/llm.h"

ADZE_BEGIN_C

/* ---- quantizing ---- */

typedef struct adze_llm_progress {
    double share;        /* done, 0 to 1 */
    double seconds_left; /* by what was measured so far; -1: not known yet */
    const char *tensor;  /* at work on */
} adze_llm_progress;

typedef struct adze_llm_quantize_options {
    const char *type;    /* of the file: "Q4_K_M", "IQ3_XS", "F16" ...; "COPY": nothing changes */
    const char *imatrix; /* file of an importance matrix, or NULL */
    const char *output_type;         /* of output.weight (tied embeddings too); NULL: the mix */
    const char *embedding_type;      /* of token_embd.weight; NULL: as the mix says */
    const char *const *tensor_types; /* "REGEX=TYPE": the first found in a tensor's name wins */
    int tensor_type_count;
    bool pure;             /* one type for all tensors that may be quantized */
    bool leave_output;     /* output.weight stays as it is */
    bool allow_requantize; /* tensors that are quantized already may be quantized again */
    bool measure_error;    /* decode what was encoded: adze_llm_tensor_report.error */
    size_t max_ram;        /* bytes of resident memory for the whole process; 0: 250,000,000 */
    /** Ten times a second or more often, from the calling thread; false stops: what is done so far is kept for the
     * next call. */
    bool (*progress)(void *user, const adze_llm_progress *progress);
    void *user;
} adze_llm_quantize_options;

ADZE_API adze_llm_quantize_options adze_llm_quantize_options_default(void);

typedef struct adze_llm_tensor_report {
    const char *name;
    adze_dtype from, to;
    int rank;
    int64_t dims[4];
    uint64_t bytes_before, bytes;
    bool fallback;     /* the row does not divide into blocks of the type of the mix */
    bool needs_matrix; /* the type is of use with an importance matrix only */
    bool has_matrix;   /* the matrix has this tensor's columns */
    double error;      /* root of mean squared error relative to the weights; -1: not measured */
} adze_llm_tensor_report;

/** What is to be done to a model, or was. */
typedef struct adze_llm_quantization adze_llm_quantization;

/** Plans: types of all tensors, the layout of the file, the memory it takes. Opens the files, writes none.
 * `path`: as for adze_engine_open. Free with adze_llm_quantization_close. Fails with ADZE_NOT_FOUND,
 * ADZE_BAD_FILE, ADZE_BAD_MODEL, ADZE_BAD_ARGUMENT (type unknown; tensors are quantized already and
 * allow_requantize is not set; an override matches nothing), ADZE_UNSUPPORTED (no encoder for a type),
 * ADZE_BAD_DATA (the importance matrix does not fit), ADZE_LIMIT (max_ram is too small: how much is
 * needed), ADZE_NO_MEMORY. A missing importance matrix fails only when run. */
ADZE_MUST_CHECK ADZE_API adze_status
adze_llm_quantization_open(adze_llm_quantization **out, adze_context *context, const char *path,
                           const adze_llm_quantize_options *options, adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_llm_quantization_close(adze_llm_quantization **quantization);

ADZE_API int adze_llm_quantization_count(const adze_llm_quantization *quantization);
ADZE_API const adze_llm_tensor_report *adze_llm_quantization_tensor(
    const adze_llm_quantization *quantization, int i);
ADZE_API uint64_t adze_llm_quantization_bytes(const adze_llm_quantization *quantization); /* file */
ADZE_API uint64_t adze_llm_quantization_bytes_before(const adze_llm_quantization *quantization);
/** Most resident memory of this process while it runs, in bytes. */
ADZE_API uint64_t adze_llm_quantization_memory(const adze_llm_quantization *quantization);
/** Seconds that encoding takes, from a short encoding of some real rows of every type. Fails with ADZE_BAD_DATA
 * (weights that are not finite), ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_llm_quantization_estimate(
    double *seconds, const adze_llm_quantization *quantization, adze_error *err);

/** Writes the file. Work goes on in "<path>.part", with "<path>.part.journal" beside it, which are renamed and
 * removed at the end: after a failure, a kill or a stop the same call goes on where it was, and gives the
 * same bytes; other options or another source begin anew. The bytes do not depend on the number of threads.
 * Fails with ADZE_BAD_ARGUMENT (a type needs an importance matrix), ADZE_BAD_DATA (a weight is not finite:
 * tensor, row, column), ADZE_IO (disk full: how much is missing; another process writes this file),
 * ADZE_CANCELLED, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_llm_quantization_run(adze_llm_quantization *quantization,
                                                               const char *path, adze_error *err);
/** Rows that a former run had done already, as a share of all, 0 to 1. */
ADZE_API double adze_llm_quantization_resumed(const adze_llm_quantization *quantization);

/** As a report: JSON (stable schema, docs/llm-quantize.md) and text for people; free both with
 * adze_string_free; either may be NULL. seconds: estimated or measured, -1: left out. */
ADZE_MUST_CHECK ADZE_API adze_status
adze_llm_quantization_describe(const adze_llm_quantization *quantization, double seconds,
                               char **json, char **text, adze_error *err);

/* ---- importance matrices ---- */

/** For each tensor of weights: sums of squares of the activations in each column, and how many rows of activations
 * were seen; with experts, for each of them. */
typedef struct adze_imatrix adze_imatrix;

/** An empty one. Free with adze_imatrix_close. */
ADZE_MUST_CHECK ADZE_API adze_status adze_imatrix_create(adze_imatrix **out, adze_error *err);
/** Reads what llama-imatrix or adze wrote: GGUF, or the older .dat form. Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE,
 * ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_imatrix_open(adze_imatrix **out, const char *path,
                                                       adze_error *err);
/** Writes the GGUF form. Fails with ADZE_IO, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_imatrix_save(const adze_imatrix *imatrix,
                                                       const char *path, adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_imatrix_close(adze_imatrix **imatrix);

/** Adds what `from` has seen. Fails with ADZE_BAD_DATA (of another model: names the tensor), unchanged then. */
ADZE_MUST_CHECK ADZE_API adze_status adze_imatrix_merge(adze_imatrix *imatrix,
                                                        const adze_imatrix *from, adze_error *err);

/** The same for activations as they come: rows [tokens, width] that meet `weights`; expert -1: not among
 * `experts` (then 1). Fails with ADZE_BAD_DATA (another width before; not finite). */
ADZE_MUST_CHECK ADZE_API adze_status adze_imatrix_add(adze_imatrix *imatrix, const char *weights,
                                                      int64_t expert, int64_t experts,
                                                      const float *x, int64_t tokens, int64_t width,
                                                      adze_error *err);

typedef struct adze_imatrix_collect_options {
    int64_t context;     /* tokens in a chunk: 512 */
    int64_t chunks;      /* at most so many; 0: all that fill a chunk */
    bool output;         /* output.weight too */
    const char *dataset; /* what the text is called in the file, or NULL */
    /** After each chunk; false stops: what was seen so far is in the matrix. */
    bool (*progress)(void *user, const adze_llm_progress *progress);
    void *user;
} adze_imatrix_collect_options;

ADZE_API adze_imatrix_collect_options adze_imatrix_collect_options_default(void);

/** Runs the model over `ids`, a text encoded with its ends (BOS where the vocabulary wants one), in chunks that each
 * begin anew, with BOS, and adds what its weights meet. Fails with ADZE_BAD_DATA (text shorter than a chunk;
 * activations that are not finite), ADZE_UNSUPPORTED (an encoder), ADZE_CANCELLED, and as
 * adze_chat_append. */
ADZE_MUST_CHECK ADZE_API adze_status
adze_imatrix_collect(adze_imatrix *imatrix, const adze_engine *engine, const int32_t *ids,
                     int64_t count, const adze_imatrix_collect_options *options, adze_error *err);

typedef struct adze_imatrix_entry {
    const char *name;      /* of the weights */
    int64_t width;         /* columns */
    int64_t experts;       /* 1: a plain matrix */
    const double *sums;    /* [experts, width] sums of squares */
    const int64_t *counts; /* [experts] rows seen */
} adze_imatrix_entry;

ADZE_API int adze_imatrix_count(const adze_imatrix *imatrix);
/** Sorted by name; valid until the next change. */
ADZE_API const adze_imatrix_entry *adze_imatrix_entry_at(const adze_imatrix *imatrix, int i);
ADZE_API const adze_imatrix_entry *adze_imatrix_find(const adze_imatrix *imatrix,
                                                     const char *name); /* NULL: absent */
ADZE_API int64_t adze_imatrix_chunks(const adze_imatrix *imatrix);
/** Statistics per tensor as JSON and text; free both with adze_string_free; either may be NULL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_imatrix_describe(const adze_imatrix *imatrix, char **json,
                                                           char **text, adze_error *err);

ADZE_END_C
#endif
