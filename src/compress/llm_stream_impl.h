/* The inside of quantizing a language model: the plan (llm_quantize.c), the loop over slabs of rows
 * (llm_stream.c), the unfinished file and its journal (llm_stream_part.c), words (llm_report.c).
 *
 * Work goes tensor by tensor, slab by slab; a slab is cut into pieces of rows, which any worker decodes,
 * encodes and writes to their place. So memory is a few buffers for each worker and the mapped rows of one
 * slab, and the bytes depend on nothing but rows, type and matrix. */
#ifndef ADZE_COMPRESS_LLM_STREAM_IMPL_H
#define ADZE_COMPRESS_LLM_STREAM_IMPL_H
#include "adze/llm_quantize.h"
#include "base/context.h"
#include "compress/imatrix.h"
#include "compress/llm_mix.h"
#include "formats/gguf.h"
#include "kernels/kernels.h"
#include "llm/checkpoint.h"

typedef struct llm_work {
    const adze_checkpoint_tensor *source;
    adze_llm_tensor_report report;
    const adze_imatrix_entry *matrix; /* NULL: none */
    int64_t width;                    /* elements in a row */
    int64_t slice_rows;               /* rows that share their importance: of one expert */
    size_t row_bytes;                 /* encoded */
    uint64_t offset;                  /* of its first row in the file */
} llm_work;

/* How a run is cut up, by the memory it may use. */
typedef struct llm_cut {
    int workers;
    int64_t piece_elements;               /* rows of a piece together, at least one row */
    int64_t slab_bytes;                   /* of the source */
    size_t in_size, float_size, out_size; /* buffers of a worker */
    uint64_t memory;                      /* most resident bytes of the process */
} llm_cut;

struct adze_llm_quantization {
    adze_arena arena;
    adze_context *context;
    adze_llm_quantize_options options;
    adze_llm_file file; /* ADZE_LLM_FILE_COUNT: only copied */
    adze_checkpoint *checkpoint;
    adze_imatrix *imatrix;
    llm_work *work;
    int count;
    char *header;
    size_t header_size;
    uint64_t bytes, bytes_before;
    llm_cut cut;
    double resumed;
};

/* What one worker keeps. */
typedef struct llm_worker {
    void *in, *out;
    float *floats;
    adze_error error; /* of the first row that failed */
    int64_t failed_row;
} llm_worker;

/* What encoding needs beside the plan. */
typedef struct llm_tools {
    adze_arena arena;
    const adze_block_codec *codecs; /* by type */
    void *tables[ADZE_DTYPE_COUNT];
    llm_worker *workers;
    float *importance; /* of the tensor at work, or NULL where it has none */
    float *importance_buffer;
} llm_tools;

int64_t llm_piece_rows(const llm_cut *cut, const llm_work *work);
adze_status llm_tools_open(llm_tools *tools, const adze_llm_quantization *q,
                           adze_error *err) ADZE_MUST_CHECK;
void llm_tools_close(llm_tools *tools);
void llm_tools_begin(llm_tools *tools, const llm_work *work);
/* Rows first .. first + rows - 1, encoded into worker->out; *errors gets the squares of what was lost and of
 * the weights when they are asked for (else NULL). Fails with ADZE_BAD_DATA: not finite. */
adze_status llm_encode_rows(double errors[2], const adze_llm_quantization *q,
                            const llm_tools *tools, const llm_work *work, llm_worker *worker,
                            int64_t first, int64_t rows, adze_error *err) ADZE_MUST_CHECK;
/* Lets go of what reading these rows brought into memory. */
void llm_drop_rows(const adze_llm_quantization *q, const llm_work *work, int64_t first,
                   int64_t rows);
void llm_drop_all(const adze_llm_quantization *q);

/* ---- the unfinished file ---- */

/* Where work goes on: all rows before are done. */
typedef struct llm_position {
    int tensor;
    int64_t row;
} llm_position;

typedef struct llm_part {
    adze_arena arena;
    const char *path, *temporary, *journal; /* final name; with .part; with .part.journal */
    int fd, journal_fd;
} llm_part;

/* Opens or makes the unfinished file, locks it, finds how far it got (errors: two sums for each tensor, or
 * NULL). A journal of something else, or bytes that are not as it says, are done anew. */
adze_status llm_part_open(llm_part *part, llm_position *position, double (*errors)[2],
                          const adze_llm_quantization *q, llm_worker *workers, const char *path,
                          adze_error *err) ADZE_MUST_CHECK;
adze_status llm_part_write(const llm_part *part, const void *bytes, size_t size, uint64_t offset,
                           adze_error *err) ADZE_MUST_CHECK;
/* Rows of one tensor are in the file; sum: llm_rows_hash of each, added up. */
adze_status llm_part_done(const llm_part *part, llm_position from, int64_t rows, uint64_t sum,
                          const double errors[2], adze_error *err) ADZE_MUST_CHECK;
uint64_t llm_rows_hash(const void *bytes, size_t row_bytes, int64_t first, int64_t rows);
/* Everything is there: gives the file its name. */
adze_status llm_part_finish(llm_part *part, adze_error *err) ADZE_MUST_CHECK;
void llm_part_close(llm_part *part, bool forget); /* forget: removes it */

#endif
