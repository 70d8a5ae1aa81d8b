/* Attributes that passes put on ordinary nodes of a plan's private copy of the graph; never in files.
 *
 * channels_last 1: tensors 4-D [N, H, W, C] instead of [N, C, H, W] (Conv, pooling, Resize, ...); attributes
 *   that name axes or hold kernel shapes keep their meaning in ONNX's order. Weights stay [oc, ic/g, kh, kw].
 * lo, hi: the result is clamped to [lo, hi] (real numbers) before it is stored, and before it is
 *   requantized: exactly Clip behind the operator. Conv, ConvTranspose, Gemm, MatMul, Add.
 * residual 1 (Conv): input 3, of the output's shape, is added; then the clamp. Integer convolutions first
 *   round to the type (inner_type: ONNX data type, inner_scale, inner_zero) that stood between
 *   convolution and addition, so that fusing does not change a bit. Its clamp (of the inner value): inner_lo,
 *   inner_hi.
 * narrowed 1 (Cast): made by widen_half, whose input may be taken in its place. */
#ifndef ADZE_OPS_FUSED_H
#define ADZE_OPS_FUSED_H

#define ADZE_FUSED_CHANNELS_LAST "adze.channels_last"
#define ADZE_FUSED_LO "adze.lo"
#define ADZE_FUSED_HI "adze.hi"
#define ADZE_FUSED_RESIDUAL "adze.residual"
#define ADZE_FUSED_INNER_TYPE "adze.inner_type"
#define ADZE_FUSED_INNER_SCALE "adze.inner_scale"
#define ADZE_FUSED_INNER_ZERO "adze.inner_zero"
#define ADZE_FUSED_INNER_LO "adze.inner_lo"
#define ADZE_FUSED_INNER_HI "adze.inner_hi"
#define ADZE_FUSED_NARROWED "adze.narrowed"

#endif
