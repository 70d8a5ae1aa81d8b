/* Products of activations that are quantized as they come (8 bits, one scale) with constant weights of 8 bits, in integers:
 * what com.microsoft's DynamicQuantizeLSTM is made of. */
#ifndef ADZE_OPS_DYNAMIC_LINEAR_H
#define ADZE_OPS_DYNAMIC_LINEAR_H
#include "kernels/conv.h"
#include "ops/execute.h"

typedef struct adze_dynamic_linear {
    int64_t n, k;
    const int8_t *packed;
    const float *scale;  /* [n] */
    const int32_t *zero; /* [n], of the packed weights; NULL: all are 0 */
    const int32_t *sums; /* [n]: of the weights less their zero */
} adze_dynamic_linear;

/* How numbers from lo <= 0 to hi >= 0 become bytes: rint(x / scale) + zero. */
typedef struct adze_dynamic_scale {
    float scale;
    int32_t zero;
} adze_dynamic_scale;

adze_dynamic_scale adze_dynamic_scale_of(float lo, float hi);

/* Packs matrix `index` of the weights [matrices, k, n], int8 or uint8, into `room`: adze_dynamic_size bytes, 64-byte
 * aligned. scale and zero (or NULL) have one element, one for each matrix, or one for each column of each. */
size_t adze_dynamic_size(const adze_kernels *k, const adze_tensor *w);
adze_dynamic_linear adze_dynamic_pack(const adze_kernels *k, const adze_tensor *w, int64_t index,
                                      const adze_tensor *scale, const adze_tensor *zero,
                                      void *room);
/* Bytes that a product of so many rows needs beside its operands. */
size_t adze_dynamic_scratch(const adze_dynamic_linear *w, int64_t rows);
/* y [rows, n] = x [rows, k] times the weights + bias [n] or NULL; pool NULL: on this thread. */
void adze_dynamic_multiply(const adze_dynamic_linear *w, const adze_kernels *k, adze_pool *pool,
                           int64_t rows, const uint8_t *x, adze_dynamic_scale how,
                           const float *bias, float *y, void *scratch);

#endif
