/* Conversions between element types, for one element and for rows. The definition of the result is the
 * scalar function; rows equal it. Narrow floats: round half to even, float16/bfloat16 overflow to
 * infinity, float8 per the ONNX Cast specification (saturate flag). */
#ifndef ADZE_TENSOR_DTYPE_H
#define ADZE_TENSOR_DTYPE_H
#include "adze/tensor.h"

float adze_f16_to_f32(uint16_t h);
uint16_t adze_f32_to_f16(float f);
float adze_bf16_to_f32(uint16_t h);
uint16_t adze_f32_to_bf16(float f);
/* Any of the narrow float types (float8 kinds, float4e2m1, float8e8m0): code in the low bits. */
float adze_narrow_to_f32(adze_dtype dtype, uint8_t code);
uint8_t adze_f32_to_narrow(adze_dtype dtype, float f, bool saturate);

/* n elements of `dtype` starting at element `first` of src -> floats. All numeric non-block types. */
void adze_row_to_f32(adze_dtype dtype, const void *src, int64_t first, int64_t n, float *dst);
/* And back: rounded half to even, saturated for integers. */
void adze_row_from_f32(adze_dtype dtype, const float *src, int64_t n, void *dst, int64_t first);

/* Packed 2- and 4-bit integers: element i of src, sign-extended for signed types. */
int adze_packed_get(adze_dtype dtype, const uint8_t *src, int64_t i);
void adze_packed_set(adze_dtype dtype, uint8_t *dst, int64_t i, int value);

#endif
