/* Are two ONNX structs the same in every member? Ends the test at the first difference. */
#ifndef ADZE_TEST_ONNX_COMPARE_H
#define ADZE_TEST_ONNX_COMPARE_H
#include "formats/onnx.h"

void onnx_compare_models(const adze_onnx_model *a, const adze_onnx_model *b);
void onnx_compare_tensors(const adze_onnx_tensor *a, const adze_onnx_tensor *b);

#endif
