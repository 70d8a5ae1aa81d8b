/* The mixes: which type every tensor of a language model gets for a file type by name ("Q4_K_M"), equal to
 * what llama-quantize chooses (llama.cpp, src/llama-quant.cpp), so that files of one name are of one kind.
 * Pure: names and shapes in, types out. */
#ifndef ADZE_COMPRESS_LLM_MIX_H
#define ADZE_COMPRESS_LLM_MIX_H
#include "adze/tensor.h"
#include "base/memory.h"

/* name, number in general.file_type (llama_ftype), type of most tensors */
#define ADZE_LLM_FILE_LIST(X)                                                                      \
    X(F32, 0, F32)                                                                                 \
    X(F16, 1, F16)                                                                                 \
    X(BF16, 32, BF16)                                                                              \
    X(Q4_0, 2, Q4_0)                                                                               \
    X(Q4_1, 3, Q4_1)                                                                               \
    X(Q5_0, 8, Q5_0)                                                                               \
    X(Q5_1, 9, Q5_1)                                                                               \
    X(Q8_0, 7, Q8_0)                                                                               \
    X(Q2_K, 10, Q2_K)                                                                              \
    X(Q2_K_S, 21, Q2_K)                                                                            \
    X(Q3_K_S, 11, Q3_K)                                                                            \
    X(Q3_K_M, 12, Q3_K)                                                                            \
    X(Q3_K_L, 13, Q3_K)                                                                            \
    X(Q4_K_S, 14, Q4_K)                                                                            \
    X(Q4_K_M, 15, Q4_K)                                                                            \
    X(Q5_K_S, 16, Q5_K)                                                                            \
    X(Q5_K_M, 17, Q5_K)                                                                            \
    X(Q6_K, 18, Q6_K)                                                                              \
    X(IQ1_S, 24, IQ1_S)                                                                            \
    X(IQ1_M, 31, IQ1_M)                                                                            \
    X(IQ2_XXS, 19, IQ2_XXS)                                                                        \
    X(IQ2_XS, 20, IQ2_XS)                                                                          \
    X(IQ2_S, 28, IQ2_XS)                                                                           \
    X(IQ2_M, 29, IQ2_S)                                                                            \
    X(IQ3_XXS, 23, IQ3_XXS)                                                                        \
    X(IQ3_XS, 22, IQ3_S)                                                                           \
    X(IQ3_S, 26, IQ3_S)                                                                            \
    X(IQ3_M, 27, IQ3_S)                                                                            \
    X(IQ4_NL, 25, IQ4_NL)                                                                          \
    X(IQ4_XS, 30, IQ4_XS)                                                                          \
    X(TQ1_0, 36, TQ1_0)                                                                            \
    X(TQ2_0, 37, TQ2_0)                                                                            \
    X(MXFP4_MOE, 38, MXFP4)

typedef enum adze_llm_file {
#define X(name, number, base) ADZE_LLM_FILE_##name,
    ADZE_LLM_FILE_LIST(X)
#undef X
        ADZE_LLM_FILE_COUNT
} adze_llm_file;

typedef struct adze_llm_file_info {
    const char *name;
    int number;
    adze_dtype base;
} adze_llm_file_info;

extern const adze_llm_file_info adze_llm_files[ADZE_LLM_FILE_COUNT];

/* By name in any case, Q3_K, Q4_K, Q5_K and MXFP4 standing for their usual mixes; ADZE_LLM_FILE_COUNT:
 * unknown. */
adze_llm_file adze_llm_file_find(const char *name);
/* A type as people write it: "q6_K", "Q6_k", "f16", "bf16", "float32"; ADZE_UNDEFINED: unknown. */
adze_dtype adze_llm_type_find(const char *name);
const char *adze_llm_type_name(adze_dtype dtype); /* as GGML spells it: "f16", "q6_K" */

/* As strcmp: tensors outside of layers first, then layer by layer, by name within. */
int adze_llm_order(const char *x, const char *y);

typedef struct adze_llm_mix_tensor {
    const char *name;
    int rank;
    const int64_t *dims; /* last axis fastest */
    adze_dtype from;
    adze_dtype to;     /* filled */
    bool fallback;     /* filled: the row does not divide into blocks of the type wanted */
    bool needs_matrix; /* filled: garbage without an importance matrix */
} adze_llm_mix_tensor;

typedef struct adze_llm_mix {
    adze_llm_file file;
    adze_dtype output, embedding; /* ADZE_UNDEFINED: as the mix says */
    const char *const *overrides; /* "REGEX=TYPE": the first that is found in a name wins */
    int override_count;
    bool pure;         /* all tensors that may be quantized get the base type */
    bool leave_output; /* output.weight stays as it is */
    bool copy;         /* nothing changes */
    bool matrix;       /* an importance matrix is at hand */
    const char *architecture;
    int64_t layers, heads, kv_heads, experts;
} adze_llm_mix;

/* Fails with ADZE_BAD_ARGUMENT (an override is no REGEX=TYPE, or matches no tensor), ADZE_NO_MEMORY. */
adze_status adze_llm_mix_choose(adze_llm_mix_tensor *tensors, int count, const adze_llm_mix *mix,
                                adze_error *err) ADZE_MUST_CHECK;

#endif
