/** @file
 * Element types, shapes, quantization parameters and tensors.
 *
 * A tensor is dense, in C order (last axis fastest). Types narrower than a byte are packed, first
 * element in the low bits, as in ONNX. Block types hold rows of blocks, each block its own scales, as
 * in GGML. A quantization says how bytes become numbers: real = scale * (stored - zero_point). */
#ifndef ADZE_TENSOR_H
#define ADZE_TENSOR_H
#include "adze/adze.h"

ADZE_BEGIN_C

typedef enum adze_kind {
    ADZE_KIND_NONE,
    ADZE_KIND_FLOAT,
    ADZE_KIND_INT,  /* signed */
    ADZE_KIND_UINT, /* unsigned */
    ADZE_KIND_BOOL,
    ADZE_KIND_COMPLEX,
    ADZE_KIND_STRING,
    ADZE_KIND_BLOCK /* block-quantized floats */
} adze_kind;

/* enum name, text, kind, bits per element (block types: 0), elements per block, bytes per block,
 * ONNX TensorProto.DataType (-1: none), GGML type (-1: none) */
#define ADZE_DTYPE_LIST(X)                                                                         \
    X(UNDEFINED, "undefined", NONE, 0, 1, 0, 0, -1)                                                \
    X(F32, "float32", FLOAT, 32, 1, 4, 1, 0)                                                       \
    X(U8, "uint8", UINT, 8, 1, 1, 2, -1)                                                           \
    X(I8, "int8", INT, 8, 1, 1, 3, 24)                                                             \
    X(U16, "uint16", UINT, 16, 1, 2, 4, -1)                                                        \
    X(I16, "int16", INT, 16, 1, 2, 5, 25)                                                          \
    X(I32, "int32", INT, 32, 1, 4, 6, 26)                                                          \
    X(I64, "int64", INT, 64, 1, 8, 7, 27)                                                          \
    X(STRING, "string", STRING, 128, 1, 16, 8, -1)                                                 \
    X(BOOL, "bool", BOOL, 8, 1, 1, 9, -1)                                                          \
    X(F16, "float16", FLOAT, 16, 1, 2, 10, 1)                                                      \
    X(F64, "float64", FLOAT, 64, 1, 8, 11, 28)                                                     \
    X(U32, "uint32", UINT, 32, 1, 4, 12, -1)                                                       \
    X(U64, "uint64", UINT, 64, 1, 8, 13, -1)                                                       \
    X(C64, "complex64", COMPLEX, 64, 1, 8, 14, -1)                                                 \
    X(C128, "complex128", COMPLEX, 128, 1, 16, 15, -1)                                             \
    X(BF16, "bfloat16", FLOAT, 16, 1, 2, 16, 30)                                                   \
    X(F8E4M3FN, "float8e4m3fn", FLOAT, 8, 1, 1, 17, -1)                                            \
    X(F8E4M3FNUZ, "float8e4m3fnuz", FLOAT, 8, 1, 1, 18, -1)                                        \
    X(F8E5M2, "float8e5m2", FLOAT, 8, 1, 1, 19, -1)                                                \
    X(F8E5M2FNUZ, "float8e5m2fnuz", FLOAT, 8, 1, 1, 20, -1)                                        \
    X(U4, "uint4", UINT, 4, 2, 1, 21, -1)                                                          \
    X(I4, "int4", INT, 4, 2, 1, 22, -1)                                                            \
    X(F4E2M1, "float4e2m1", FLOAT, 4, 2, 1, 23, -1)                                                \
    X(F8E8M0, "float8e8m0", FLOAT, 8, 1, 1, 24, -1)                                                \
    X(U2, "uint2", UINT, 2, 4, 1, 25, -1)                                                          \
    X(I2, "int2", INT, 2, 4, 1, 26, -1)                                                            \
    X(Q4_0, "q4_0", BLOCK, 0, 32, 18, -1, 2)                                                       \
    X(Q4_1, "q4_1", BLOCK, 0, 32, 20, -1, 3)                                                       \
    X(Q5_0, "q5_0", BLOCK, 0, 32, 22, -1, 6)                                                       \
    X(Q5_1, "q5_1", BLOCK, 0, 32, 24, -1, 7)                                                       \
    X(Q8_0, "q8_0", BLOCK, 0, 32, 34, -1, 8)                                                       \
    X(Q8_1, "q8_1", BLOCK, 0, 32, 36, -1, 9)                                                       \
    X(Q2_K, "q2_K", BLOCK, 0, 256, 84, -1, 10)                                                     \
    X(Q3_K, "q3_K", BLOCK, 0, 256, 110, -1, 11)                                                    \
    X(Q4_K, "q4_K", BLOCK, 0, 256, 144, -1, 12)                                                    \
    X(Q5_K, "q5_K", BLOCK, 0, 256, 176, -1, 13)                                                    \
    X(Q6_K, "q6_K", BLOCK, 0, 256, 210, -1, 14)                                                    \
    X(Q8_K, "q8_K", BLOCK, 0, 256, 292, -1, 15)                                                    \
    X(IQ2_XXS, "iq2_xxs", BLOCK, 0, 256, 66, -1, 16)                                               \
    X(IQ2_XS, "iq2_xs", BLOCK, 0, 256, 74, -1, 17)                                                 \
    X(IQ3_XXS, "iq3_xxs", BLOCK, 0, 256, 98, -1, 18)                                               \
    X(IQ1_S, "iq1_s", BLOCK, 0, 256, 50, -1, 19)                                                   \
    X(IQ4_NL, "iq4_nl", BLOCK, 0, 32, 18, -1, 20)                                                  \
    X(IQ3_S, "iq3_s", BLOCK, 0, 256, 110, -1, 21)                                                  \
    X(IQ2_S, "iq2_s", BLOCK, 0, 256, 82, -1, 22)                                                   \
    X(IQ4_XS, "iq4_xs", BLOCK, 0, 256, 136, -1, 23)                                                \
    X(IQ1_M, "iq1_m", BLOCK, 0, 256, 56, -1, 29)                                                   \
    X(TQ1_0, "tq1_0", BLOCK, 0, 256, 54, -1, 34)                                                   \
    X(TQ2_0, "tq2_0", BLOCK, 0, 256, 66, -1, 35)                                                   \
    X(MXFP4, "mxfp4", BLOCK, 0, 32, 17, -1, 39)                                                    \
    X(NVFP4, "nvfp4", BLOCK, 0, 64, 36, -1, 40)                                                    \
    X(Q1_0, "q1_0", BLOCK, 0, 128, 18, -1, 41)                                                     \
    X(Q2_0, "q2_0", BLOCK, 0, 64, 18, -1, 42)

typedef enum adze_dtype {
#define X(name, text, kind, bits, block, bytes, onnx, ggml) ADZE_##name,
    ADZE_DTYPE_LIST(X)
#undef X
        ADZE_DTYPE_COUNT
} adze_dtype;

typedef struct adze_dtype_info {
    const char *name;
    adze_kind kind;
    int bits;        /* per element; 0 for block types */
    int block_size;  /* elements per block (packed types: elements per byte) */
    int block_bytes; /* bytes per block */
    int onnx;        /* TensorProto.DataType, -1: none */
    int ggml;        /* ggml_type, -1: none */
} adze_dtype_info;

/** Never NULL; an unknown type gives the row of ADZE_UNDEFINED. */
ADZE_API const adze_dtype_info *adze_dtype_describe(adze_dtype dtype);
/** By name ("float32", "q4_K"); ADZE_UNDEFINED when there is none. */
ADZE_API adze_dtype adze_dtype_from_name(const char *name);
ADZE_API adze_dtype adze_dtype_from_onnx(int type);

/** One element of a tensor of strings: bytes that live as long as the tensor's owner says. */
typedef struct adze_string {
    const char *data;
    size_t length;
} adze_string;

#define ADZE_MAX_RANK 8

/** How stored integers become real numbers. Immutable once attached; `count` scales along `axis`
 * (axis -1: one for all), or blocks of `block` elements along `axis` (0: no blocks). */
typedef struct adze_quant {
    int axis;                  /* -1: per tensor */
    int block;                 /* 0: none */
    int64_t count;             /* number of scales */
    const float *scale;        /* [count] */
    const int32_t *zero_point; /* [count] or NULL: all zero */
} adze_quant;

typedef enum adze_tensor_owner {
    ADZE_BORROWED, /* someone else frees the bytes (a mapped file, an arena, a session) */
    ADZE_OWNED     /* adze_tensor_free frees them */
} adze_tensor_owner;

typedef struct adze_tensor {
    adze_dtype dtype;
    int rank; /* 0: a scalar */
    int64_t dims[ADZE_MAX_RANK];
    void *data;
    size_t size;             /* bytes at data */
    const adze_quant *quant; /* NULL: the elements are the numbers; never owned */
    adze_tensor_owner owner;
} adze_tensor;

/** Elements of a shape; -1 for a negative dimension and on overflow of the others, even beside one of 0: the strides of
 * a tensor never overflow. */
ADZE_API int64_t adze_shape_elements(int rank, const int64_t *dims);
/** Bytes for so many elements of a type (rows of block types must divide); SIZE_MAX on overflow. */
ADZE_API size_t adze_dtype_bytes(adze_dtype dtype, int64_t elements);

ADZE_API int64_t adze_tensor_elements(const adze_tensor *tensor);
/** Whether element type and dimensions are equal (quant is ignored). */
ADZE_API bool adze_tensor_same_type(const adze_tensor *a, const adze_tensor *b);

/** Makes an owned, zeroed tensor. Fails with ADZE_NO_MEMORY, ADZE_BAD_ARGUMENT. */
ADZE_MUST_CHECK ADZE_API adze_status adze_tensor_make(adze_tensor *out, adze_dtype dtype, int rank,
                                                      const int64_t *dims, adze_error *err);
/** A tensor over bytes that the caller keeps. */
ADZE_API adze_tensor adze_tensor_view(adze_dtype dtype, int rank, const int64_t *dims, void *data);
/** Owned copy of `from` (strings: copied in one block with the array). */
ADZE_MUST_CHECK ADZE_API adze_status adze_tensor_copy(adze_tensor *out, const adze_tensor *from,
                                                      adze_error *err);
/** Frees owned bytes and zeroes the struct; NULL and borrowed are fine. */
ADZE_API void adze_tensor_free(adze_tensor *tensor);

/** Element `i` as a double / int64 (any numeric type but complex, string and block types; quant is
 * ignored); for small things such as shapes, not for loops over pictures. */
ADZE_API double adze_tensor_get_f64(const adze_tensor *tensor, int64_t i);
ADZE_API int64_t adze_tensor_get_i64(const adze_tensor *tensor, int64_t i);
/** Writes element `i`, rounded half to even and saturated to the type's range. */
ADZE_API void adze_tensor_set_f64(adze_tensor *tensor, int64_t i, double value);
ADZE_API void adze_tensor_set_i64(adze_tensor *tensor, int64_t i, int64_t value);

/** "float32[1,3,224,224]" into buf, which is returned. */
ADZE_API const char *adze_tensor_format(const adze_tensor *tensor, char *buf, size_t size);

ADZE_END_C
#endif
