#!/usr/bin/env python3
"""Times one operator at a time in adze and in ONNX Runtime, to find kernels that are slow: bench/peers/operators.py

    operators.py [--adze build/adze] [--only NAME,NAME] [--threads 1] [--rounds 7] [--out CSV]

Every line of CASES is a model of one node at a size that networks have. Bursts in turns; medians; `ratio` above 1: adze
is faster. The call into ONNX Runtime from Python counts for it (some 10 microseconds), so sizes are large. Sorted by ratio.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
rng = np.random.default_rng(1)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return np.abs(f(*shape)) + np.float32(0.1)


def i(high, *shape, kind=np.int64):
    return rng.integers(0, high, shape).astype(kind)


def u8(*shape):
    return rng.integers(0, 255, shape).astype(np.uint8)


def const(*values, kind=np.int64):
    return ("constant", np.array(values, kind))


def weight(*shape):
    return ("constant", f(*shape) * np.float32(0.05))


def scalar(value, kind=np.float32):
    return ("constant", np.array(value, kind))


IMAGE = (1, 64, 56, 56)
TEXT = (1, 128, 768)

# name: operator, inputs (arrays are fed, ("constant", array) are initializers, None is left out), attributes, outputs
CASES = {}


def case(name, op, inputs, outputs=1, domain="", opset=21, **attributes):
    CASES[name] = (op, inputs, attributes, outputs, domain, opset)


for unary in (
    "Relu",
    "Sigmoid",
    "Tanh",
    "Exp",
    "Erf",
    "HardSigmoid",
    "HardSwish",
    "Elu",
    "Selu",
    "Softplus",
    "Softsign",
    "LeakyRelu",
    "Neg",
    "Abs",
    "Floor",
    "Round",
    "Sin",
    "Cos",
    "Tan",
    "Atan",
    "Sign",
    "Ceil",
    "Celu",
    "ThresholdedRelu",
    "Gelu",
    "Mish",
    "Identity",
    "Sinh",
    "IsNaN",
    "Reciprocal",
    "Asinh",
):
    case(unary, unary, [f(*TEXT)])
for unary in ("Log", "Sqrt"):
    case(unary, unary, [positive(*TEXT)])
for unary in ("Acos", "Asin", "Atanh"):
    case(unary, unary, [np.clip(f(*TEXT), -0.9, 0.9)])
case("Not", "Not", [f(*TEXT) > 0])
for binary in ("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "PRelu"):
    extra = {"fmod": 1} if binary == "Mod" else {}
    case(binary, binary, [positive(*TEXT), positive(*TEXT)], **extra)
    case(binary + " row", binary, [positive(*TEXT), positive(768)], **extra)
    case(binary + " channel", binary, [positive(*IMAGE), positive(64, 1, 1)], **extra)
for binary in ("Add", "Mul", "Div", "Mod"):
    case(binary + " int64", binary, [i(100, *TEXT) + 1, i(50, *TEXT) + 1])
case("Pow 2", "Pow", [f(*TEXT), scalar(2.0)])
case("Pow 3", "Pow", [f(*TEXT), scalar(3.0)])
case("Pow .5", "Pow", [positive(*TEXT), scalar(0.5)])
for compare in ("Equal", "Greater", "Less", "GreaterOrEqual"):
    case(compare, compare, [f(*TEXT), f(*TEXT)])
case("And", "And", [f(*TEXT) > 0, f(*TEXT) > 0])
case("Where", "Where", [f(*TEXT) > 0, f(*TEXT), f(*TEXT)])
case("Where mask", "Where", [f(1, 1, 128, 128) > 0, f(1, 12, 128, 128), scalar(-1e9)])
case("Clip", "Clip", [f(*TEXT), scalar(-1.0), scalar(1.0)])
case("BitShift", "BitShift", [i(100, *TEXT, kind=np.uint32), i(5, *TEXT, kind=np.uint32)], direction="LEFT")
case("BitwiseAnd", "BitwiseAnd", [i(100, *TEXT, kind=np.int32), i(50, *TEXT, kind=np.int32)])
case("Sum 3", "Sum", [f(*TEXT), f(*TEXT), f(*TEXT)])
case("Mean 3", "Mean", [f(*TEXT), f(*TEXT), f(*TEXT)])
for to, kind in (
    ("int64", TensorProto.INT64),
    ("float16", TensorProto.FLOAT16),
    ("int8", TensorProto.INT8),
    ("bool", TensorProto.BOOL),
    ("double", TensorProto.DOUBLE),
):
    case("Cast to " + to, "Cast", [f(*TEXT)], to=kind)
case("Cast from int64", "Cast", [i(100, *TEXT)], to=TensorProto.FLOAT)
case("Cast from float16", "Cast", [f(*TEXT).astype(np.float16)], to=TensorProto.FLOAT)
case("Cast from uint8", "Cast", [u8(1, 3, 640, 640)], to=TensorProto.FLOAT)
case("Cast from bool", "Cast", [f(*TEXT) > 0], to=TensorProto.FLOAT)
case("Cast int64 int32", "Cast", [i(100, *TEXT)], to=TensorProto.INT32)

for reduce in (
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceSumSquare",
    "ReduceLogSum",
):
    case(reduce + " last", reduce, [positive(*TEXT), const(-1)])
    case(reduce + " middle", reduce, [positive(*TEXT), const(1)])
    case(reduce + " spatial", reduce, [positive(*IMAGE), const(2, 3)])
    case(reduce + " channel", reduce, [positive(*IMAGE), const(1)])
    case(reduce + " all", reduce, [positive(*TEXT)])
case("ReduceMean int64", "ReduceMean", [i(100, *TEXT), const(-1)])
for arg in ("ArgMax", "ArgMin"):
    case(arg + " last", arg, [f(1, 128, 1000)], axis=-1)
    case(arg + " channel", arg, [f(1, 21, 128, 128)], axis=1)
case("Softmax last", "Softmax", [f(1, 12, 128, 128)], axis=-1)
case("Softmax channel", "Softmax", [f(1, 21, 128, 128)], axis=1)
case("Softmax short", "Softmax", [f(4096, 64)], axis=-1)
case("LogSoftmax", "LogSoftmax", [f(128, 1000)], axis=-1)
case("Hardmax", "Hardmax", [f(128, 1000)], axis=-1)
case("CumSum", "CumSum", [f(*TEXT), scalar(1, np.int64)])
case("CumSum last", "CumSum", [f(*TEXT), scalar(2, np.int64)])
case("CumSum int64", "CumSum", [i(10, 1, 4096, 8), scalar(1, np.int64)])
case("TopK last", "TopK", [f(1, 100, 1000), const(10)], outputs=2)
case("TopK large", "TopK", [f(1, 8400), const(300)], outputs=2)
case("TopK axis", "TopK", [f(1, 80, 1000), const(10)], outputs=2, axis=1)

case("LayerNormalization", "LayerNormalization", [f(*TEXT), weight(768), weight(768)])
case("RMSNormalization", "RMSNormalization", [f(*TEXT), weight(768)], opset=23)
case("InstanceNormalization", "InstanceNormalization", [f(*IMAGE), weight(64), weight(64)])
case("GroupNormalization", "GroupNormalization", [f(*IMAGE), weight(64), weight(64)], num_groups=8)
case("BatchNormalization", "BatchNormalization", [f(*IMAGE), weight(64), weight(64), weight(64), ("constant", positive(64))])
case("LRN", "LRN", [f(*IMAGE)], size=5, alpha=1e-4, beta=0.75)
case("LRN .5", "LRN", [f(*IMAGE)], size=5, alpha=1e-4, beta=0.5)
case("LpNormalization", "LpNormalization", [f(128, 512)], axis=-1, p=2)
case("LpNormalization channel", "LpNormalization", [f(*IMAGE)], axis=1, p=2)
case("MeanVarianceNormalization", "MeanVarianceNormalization", [f(*IMAGE)], axes=[0, 2, 3])
case("MeanVarianceNormalization channel", "MeanVarianceNormalization", [f(*IMAGE)], axes=[1])

case("Conv 3x3", "Conv", [f(*IMAGE), weight(64, 64, 3, 3), weight(64)], pads=[1, 1, 1, 1])
case("Conv 1x1", "Conv", [f(1, 256, 28, 28), weight(256, 256, 1, 1), weight(256)])
case("Conv 7x7 s2", "Conv", [f(1, 3, 224, 224), weight(64, 3, 7, 7), weight(64)], pads=[3, 3, 3, 3], strides=[2, 2])
case("Conv 3x3 512 at 7", "Conv", [f(1, 512, 7, 7), weight(512, 512, 3, 3), weight(512)], pads=[1, 1, 1, 1])
case("Conv 3x3 512 at 14 s2", "Conv", [f(1, 512, 14, 14), weight(512, 512, 3, 3), weight(512)], pads=[1, 1, 1, 1], strides=[2, 2])
case("Conv 1x1 2048 at 7", "Conv", [f(1, 2048, 7, 7), weight(512, 2048, 1, 1), weight(512)])
case("Conv 3x3 512 at 28", "Conv", [f(1, 512, 28, 28), weight(512, 512, 3, 3), weight(512)], pads=[1, 1, 1, 1])
case("Conv dilated", "Conv", [f(1, 256, 28, 28), weight(256, 256, 3, 3), weight(256)], pads=[6, 6, 6, 6], dilations=[6, 6])
case("Conv groups", "Conv", [f(1, 128, 28, 28), weight(128, 4, 3, 3), weight(128)], pads=[1, 1, 1, 1], group=32)
case("Conv depthwise 3x3", "Conv", [f(1, 144, 56, 56), weight(144, 1, 3, 3), weight(144)], pads=[1, 1, 1, 1], group=144)
case("Conv depthwise 5x5 s2", "Conv", [f(1, 144, 56, 56), weight(144, 1, 5, 5), weight(144)], pads=[2, 2, 2, 2], strides=[2, 2], group=144)
case("Conv depthwise 7x7", "Conv", [f(1, 192, 28, 28), weight(192, 1, 7, 7), weight(192)], pads=[3, 3, 3, 3], group=192)
case("Conv 1-D", "Conv", [f(1, 80, 3000), weight(384, 80, 3), weight(384)], pads=[1, 1])
case("Conv 1-D k7", "Conv", [f(1, 64, 4000), weight(64, 64, 7), weight(64)], pads=[3, 3])
case("Conv 1-D depthwise", "Conv", [f(1, 256, 1000), weight(256, 1, 31), weight(256)], pads=[15, 15], group=256)
case("Conv 3-D", "Conv", [f(1, 16, 16, 28, 28), weight(32, 16, 3, 3, 3), weight(32)], pads=[1] * 6)
case("Conv 1 channel", "Conv", [f(1, 1, 28, 28), weight(32, 1, 3, 3), weight(32)], pads=[1, 1, 1, 1])
case("Conv batch 8", "Conv", [f(8, 64, 28, 28), weight(64, 64, 3, 3), weight(64)], pads=[1, 1, 1, 1])
case("ConvTranspose 2x2", "ConvTranspose", [f(1, 128, 28, 28), weight(128, 64, 2, 2), weight(64)], strides=[2, 2])
case("ConvTranspose 4x4", "ConvTranspose", [f(1, 64, 28, 28), weight(64, 64, 4, 4), weight(64)], strides=[2, 2], pads=[1, 1, 1, 1])
case("ConvTranspose 1-D", "ConvTranspose", [f(1, 128, 500), weight(128, 64, 16), weight(64)], strides=[8], pads=[4, 4])
case("ConvTranspose depthwise", "ConvTranspose", [f(1, 64, 28, 28), weight(64, 1, 4, 4)], strides=[2, 2], pads=[1, 1, 1, 1], group=64)
case("MaxPool 3x3 s2", "MaxPool", [f(1, 64, 112, 112)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
case("MaxPool 2x2", "MaxPool", [f(1, 64, 112, 112)], kernel_shape=[2, 2], strides=[2, 2])
case("MaxPool 5x5 s1", "MaxPool", [f(1, 256, 20, 20)], kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2])
case("MaxPool 1-D", "MaxPool", [f(1, 64, 4000)], kernel_shape=[3], strides=[2])
case("MaxPool indices", "MaxPool", [f(1, 64, 56, 56)], outputs=2, kernel_shape=[2, 2], strides=[2, 2])
case("AveragePool", "AveragePool", [f(1, 64, 112, 112)], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
case("AveragePool 3-D", "AveragePool", [f(1, 32, 16, 28, 28)], kernel_shape=[2, 2, 2], strides=[2, 2, 2])
case("LpPool", "LpPool", [f(1, 64, 56, 56)], kernel_shape=[3, 3], strides=[2, 2])
case("MaxPool 3-D", "MaxPool", [f(1, 32, 16, 28, 28)], kernel_shape=[2, 2, 2], strides=[2, 2, 2])
case("MaxUnpool", "MaxUnpool", [f(*IMAGE), i(4 * 64 * 56 * 56, *IMAGE)], kernel_shape=[2, 2], strides=[2, 2])
case("ConvTranspose fed", "ConvTranspose", [f(1, 32, 14, 14), f(32, 16, 2, 2)], strides=[2, 2])
case("DeformConv", "DeformConv", [f(1, 64, 28, 28), weight(64, 64, 3, 3), f(1, 18, 28, 28)], pads=[1, 1, 1, 1], opset=19)
case("GlobalAveragePool", "GlobalAveragePool", [f(1, 256, 28, 28)])
case("GlobalMaxPool", "GlobalMaxPool", [f(1, 256, 28, 28)])

case("MatMul", "MatMul", [f(*TEXT), weight(768, 768)])
case("MatMul one row", "MatMul", [f(1, 768), weight(768, 3072)])
case("MatMul batch", "MatMul", [f(12, 128, 64), f(12, 64, 128)])
case("MatMul vector", "MatMul", [f(1000, 512), f(512)])
case("MatMul double", "MatMul", [f(128, 256).astype(np.float64), f(256, 256).astype(np.float64)])
case("MatMul int32", "MatMul", [i(9, 64, 128, kind=np.int32), i(9, 128, 64, kind=np.int32)])
case("Gemm", "Gemm", [f(128, 768), weight(3072, 768), weight(3072)], transB=1)
case("Gemm transA", "Gemm", [f(768, 128), weight(768, 768)], transA=1)
case("Einsum bhid,bhjd", "Einsum", [f(1, 12, 128, 64), f(1, 12, 128, 64)], equation="bhid,bhjd->bhij")
case("Einsum outer", "Einsum", [f(256), f(512)], equation="i,j->ij")
case("MatMulInteger", "MatMulInteger", [u8(128, 768), ("constant", rng.integers(-90, 90, (768, 768)).astype(np.int8))])
case("Det", "Det", [f(256, 8, 8)])

case("Transpose nchw", "Transpose", [f(1, 64, 112, 112)], perm=[0, 2, 3, 1])
case("Transpose nhwc", "Transpose", [f(1, 112, 112, 64)], perm=[0, 3, 1, 2])
case("Transpose heads", "Transpose", [f(1, 128, 12, 64)], perm=[0, 2, 1, 3])
case("Transpose keys", "Transpose", [f(1, 128, 12, 64)], perm=[0, 2, 3, 1])
case("Transpose reverse", "Transpose", [f(32, 64, 96)], perm=[2, 1, 0])
case("Transpose uint8", "Transpose", [u8(1, 640, 640, 3)], perm=[0, 3, 1, 2])
case("Concat channel", "Concat", [f(*IMAGE), f(*IMAGE)], axis=1)
case("Concat last", "Concat", [f(*TEXT), f(*TEXT)], axis=-1)
case("Split", "Split", [f(1, 128, 2304)], outputs=3, axis=-1, num_outputs=3)
case("Slice", "Slice", [f(*IMAGE), const(1, 1), const(55, 55), const(2, 3)])
case("Slice step", "Slice", [f(1, 3, 640, 640), const(0, 0), const(640, 640), const(2, 3), const(2, 2)])
case("Slice back", "Slice", [f(*TEXT), const(-1), const(-1000), const(1), const(-1)])
case("Pad", "Pad", [f(*IMAGE), const(0, 0, 1, 1, 0, 0, 1, 1)])
case("Pad reflect", "Pad", [f(*IMAGE), const(0, 0, 1, 1, 0, 0, 1, 1)], mode="reflect")
case("Pad edge", "Pad", [f(*IMAGE), const(0, 0, 1, 1, 0, 0, 1, 1)], mode="edge")
case("Tile", "Tile", [f(1, 64, 28, 28), const(1, 1, 2, 2)])
case("Expand", "Expand", [f(1, 64, 1, 1), const(1, 64, 56, 56)])
case("Expand heads", "Expand", [f(1, 4, 1, 128, 64), const(1, 4, 8, 128, 64)])
case("Gather rows", "Gather", [("constant", f(30522, 768)), i(30522, 1, 128)])
case("Gather last", "Gather", [f(*TEXT), i(768, 100)], axis=2)
case("Gather one", "Gather", [f(1, 128, 3, 256), scalar(1, np.int64)], axis=2)
case("GatherElements", "GatherElements", [f(128, 768), i(128, 128, 768)], axis=0)
case("GatherElements last", "GatherElements", [f(128, 768), i(768, 128, 768)], axis=1)
case("GatherND", "GatherND", [f(128, 128, 64), i(128, 1000, 2)])
case("ScatterND", "ScatterND", [f(1000, 64), i(1000, 100, 1), f(100, 64)])
case("ScatterElements", "ScatterElements", [f(128, 768), i(128, 128, 768), f(128, 768)], axis=0)
case("ScatterElements add", "ScatterElements", [f(128, 768), i(128, 128, 768), f(128, 768)], axis=0, reduction="add")
case(
    "Resize 2x nearest",
    "Resize",
    [f(1, 128, 28, 28), None, const(1, 1, 2, 2, kind=np.float32)],
    mode="nearest",
    coordinate_transformation_mode="asymmetric",
    nearest_mode="floor",
)
case("Resize 2x linear", "Resize", [f(1, 128, 28, 28), None, const(1, 1, 2, 2, kind=np.float32)], mode="linear")
case(
    "Resize linear align",
    "Resize",
    [f(1, 21, 65, 65), None, None, const(1, 21, 513, 513)],
    mode="linear",
    coordinate_transformation_mode="align_corners",
)
case("Resize cubic", "Resize", [f(1, 3, 128, 128), None, const(1, 1, 2, 2, kind=np.float32)], mode="cubic")
case("Resize smaller antialias", "Resize", [f(1, 3, 480, 640), None, None, const(1, 3, 224, 224)], mode="linear", antialias=1)
case("GridSample", "GridSample", [f(1, 32, 56, 56), np.tanh(f(1, 56, 56, 2))], mode="linear")
case("GridSample cubic", "GridSample", [f(1, 16, 56, 56), np.tanh(f(1, 56, 56, 2))], mode="cubic")
case("AffineGrid", "AffineGrid", [f(1, 2, 3), const(1, 3, 256, 256)])
case("DepthToSpace", "DepthToSpace", [f(1, 64, 56, 56)], blocksize=2)
case("SpaceToDepth", "SpaceToDepth", [f(1, 3, 320, 320)], blocksize=2)
case("OneHot", "OneHot", [i(1000, 128), scalar(1000, np.int64), const(0, 1, kind=np.float32)])
case("NonZero", "NonZero", [f(128, 768) > 1])
case("Compress", "Compress", [f(1000, 64), f(1000) > 0], axis=0)
case("Unique", "Unique", [i(1000, 10000)])
case("Trilu", "Trilu", [f(1, 12, 128, 128)], upper=0)
case("ReverseSequence", "ReverseSequence", [f(128, 8, 64), const(*([100] * 8))], time_axis=0, batch_axis=1)
case("EyeLike", "EyeLike", [f(512, 512)])
case("Range", "Range", [np.array(0, np.int64), np.array(100000, np.int64), np.array(1, np.int64)])
case("Col2Im", "Col2Im", [f(1, 64 * 9, 54 * 54), const(56, 56), const(3, 3)])
case("Dropout", "Dropout", [f(*TEXT)])
case(
    "RoiAlign",
    "RoiAlign",
    [f(1, 256, 50, 50), np.sort(rng.random((100, 4)).astype(np.float32) * 50), np.zeros(100, np.int64)],
    output_height=7,
    output_width=7,
    sampling_ratio=2,
)
case(
    "MaxRoiPool",
    "MaxRoiPool",
    [f(1, 256, 50, 50), np.insert(np.sort(rng.random((100, 4)).astype(np.float32) * 50), 0, 0, axis=1)],
    pooled_shape=[7, 7],
)
boxes = rng.random((1, 5000, 2)).astype(np.float32) * 600
case(
    "NonMaxSuppression",
    "NonMaxSuppression",
    [
        np.concatenate([boxes, boxes + 40], 2),
        rng.random((1, 4, 5000)).astype(np.float32),
        const(100),
        const(0.5, kind=np.float32),
        const(0.5, kind=np.float32),
    ],
)

case("LSTM", "LSTM", [f(50, 1, 128), weight(1, 512, 128), weight(1, 512, 128), weight(1, 1024)], outputs=3, hidden_size=128)
case(
    "LSTM both",
    "LSTM",
    [f(50, 1, 256), weight(2, 1024, 256), weight(2, 1024, 256), weight(2, 2048)],
    outputs=3,
    hidden_size=256,
    direction="bidirectional",
)
case(
    "GRU",
    "GRU",
    [f(50, 1, 128), weight(1, 384, 128), weight(1, 384, 128), weight(1, 768)],
    outputs=2,
    hidden_size=128,
    linear_before_reset=1,
)
case("RNN", "RNN", [f(50, 1, 128), weight(1, 128, 128), weight(1, 128, 128), weight(1, 256)], outputs=2, hidden_size=128)
case("Attention", "Attention", [f(1, 12, 128, 64), f(1, 12, 128, 64), f(1, 12, 128, 64)], opset=23)
case("Attention causal", "Attention", [f(1, 12, 256, 64), f(1, 12, 256, 64), f(1, 12, 256, 64)], opset=23, is_causal=1)
case("DFT", "DFT", [f(16, 512, 1), None, scalar(1, np.int64)], onesided=1, opset=20)
case("STFT", "STFT", [f(1, 16000, 1), scalar(160, np.int64), positive(400), scalar(400, np.int64)], onesided=1, opset=17)

q = (scalar(0.02), scalar(128, np.uint8))
case("QuantizeLinear", "QuantizeLinear", [f(*IMAGE), *q])
case("DequantizeLinear", "DequantizeLinear", [u8(*IMAGE), *q])
case("QuantizeLinear int8", "QuantizeLinear", [f(*IMAGE), scalar(0.02), scalar(0, np.int8)])
case("DynamicQuantizeLinear", "DynamicQuantizeLinear", [f(*TEXT)], outputs=3)
case(
    "QLinearConv",
    "QLinearConv",
    [u8(*IMAGE), *q, ("constant", rng.integers(-90, 90, (64, 64, 3, 3)).astype(np.int8)), scalar(0.01), scalar(0, np.int8), *q],
    pads=[1, 1, 1, 1],
)
case(
    "QLinearMatMul",
    "QLinearMatMul",
    [u8(128, 768), *q, ("constant", rng.integers(-90, 90, (768, 768)).astype(np.int8)), scalar(0.01), scalar(0, np.int8), *q],
)
case(
    "ConvInteger",
    "ConvInteger",
    [u8(*IMAGE), ("constant", u8(64, 64, 3, 3)), scalar(128, np.uint8), scalar(100, np.uint8)],
    pads=[1, 1, 1, 1],
)
M = "com.microsoft"
case("QLinearAdd", "QLinearAdd", [u8(*IMAGE), *q, u8(*IMAGE), *q, *q], domain=M)
case("QLinearMul", "QLinearMul", [u8(*IMAGE), *q, u8(*IMAGE), *q, *q], domain=M)
case("QLinearAveragePool", "QLinearAveragePool", [u8(*IMAGE), *q, *q], domain=M, kernel_shape=[2, 2], strides=[2, 2])
case("QLinearGlobalAveragePool", "QLinearGlobalAveragePool", [u8(*IMAGE), *q, *q], domain=M)
case("QLinearSigmoid", "QLinearSigmoid", [u8(*IMAGE), *q, *q], domain=M)
case("QLinearLeakyRelu", "QLinearLeakyRelu", [u8(*IMAGE), *q, *q], domain=M, alpha=0.1)
case("QLinearConcat", "QLinearConcat", [*q, u8(*IMAGE), *q, u8(*IMAGE), *q], domain=M, axis=1)
case("QLinearSoftmax", "QLinearSoftmax", [u8(128, 1000), *q, scalar(1 / 256), scalar(0, np.uint8)], domain=M, **{"axis": -1, "opset_": 13})
case(
    "QGemm",
    "QGemm",
    [u8(128, 768), *q, ("constant", rng.integers(-90, 90, (768, 768)).astype(np.int8)), scalar(0.01), scalar(0, np.int8), None, *q],
    domain=M,
)
case(
    "DynamicQuantizeMatMul",
    "DynamicQuantizeMatMul",
    [f(128, 768), ("constant", rng.integers(-90, 90, (768, 768)).astype(np.int8)), scalar(0.01), scalar(0, np.int8)],
    domain=M,
)
case(
    "MatMulIntegerToFloat",
    "MatMulIntegerToFloat",
    [u8(128, 768), ("constant", rng.integers(-90, 90, (768, 768)).astype(np.int8)), q[0], scalar(0.01), q[1], scalar(0, np.int8)],
    domain=M,
)
case(
    "MatMulNBits one row",
    "MatMulNBits",
    [f(1, 2048), ("constant", u8(2048, 64, 16)), ("constant", positive(2048 * 64) * np.float32(0.01))],
    domain=M,
    K=2048,
    N=2048,
    bits=4,
    block_size=32,
)
case(
    "MatMulNBits",
    "MatMulNBits",
    [f(128, 2048), ("constant", u8(2048, 64, 16)), ("constant", positive(2048 * 64) * np.float32(0.01))],
    domain=M,
    K=2048,
    N=2048,
    bits=4,
    block_size=32,
)
case("SkipLayerNormalization", "SkipLayerNormalization", [f(*TEXT), f(*TEXT), weight(768), weight(768), weight(768)], domain=M)
case("BiasGelu", "BiasGelu", [f(*TEXT), weight(768)], domain=M)
case("FastGelu", "FastGelu", [f(*TEXT)], domain=M)
case("QuickGelu", "QuickGelu", [f(*TEXT)], domain=M)
case("FusedMatMul", "FusedMatMul", [f(12, 128, 64), f(12, 128, 64)], domain=M, transB=1, alpha=0.125)
case("MultiHeadAttention", "MultiHeadAttention", [f(*TEXT), f(*TEXT), f(*TEXT)], domain=M, num_heads=12)
case("Attention contrib", "Attention", [f(*TEXT), weight(768, 2304), weight(2304)], domain=M, num_heads=12)
case("RotaryEmbedding", "RotaryEmbedding", [f(1, 12, 128, 64), i(128, 1, 128), weight(128, 32), weight(128, 32)], domain=M)

L = "ai.onnx.ml"
trees, depth = 100, 6
nodes = dict(
    nodes_treeids=[],
    nodes_nodeids=[],
    nodes_featureids=[],
    nodes_values=[],
    nodes_modes=[],
    nodes_truenodeids=[],
    nodes_falsenodeids=[],
    nodes_missing_value_tracks_true=[],
)
leaves = dict(target_treeids=[], target_nodeids=[], target_ids=[], target_weights=[])
for tree in range(trees):
    for node in range(2 ** (depth + 1) - 1):
        leaf = node >= 2**depth - 1
        for key, value in (
            ("treeids", tree),
            ("nodeids", node),
            ("featureids", int(rng.integers(30))),
            ("values", float(rng.standard_normal())),
            ("modes", "LEAF" if leaf else "BRANCH_LEQ"),
            ("truenodeids", 0 if leaf else 2 * node + 1),
            ("falsenodeids", 0 if leaf else 2 * node + 2),
            ("missing_value_tracks_true", 0),
        ):
            nodes["nodes_" + key].append(value)
        if leaf:
            for key, value in (("treeids", tree), ("nodeids", node), ("ids", 0), ("weights", float(rng.standard_normal()))):
                leaves["target_" + key].append(value)
case("TreeEnsembleRegressor", "TreeEnsembleRegressor", [f(1000, 30)], domain=L, opset=21, n_targets=1, **nodes, **leaves)
case("TreeEnsembleRegressor one", "TreeEnsembleRegressor", [f(1, 30)], domain=L, opset=21, n_targets=1, **nodes, **leaves)
case(
    "LinearClassifier",
    "LinearClassifier",
    [f(1000, 30)],
    outputs=2,
    domain=L,
    coefficients=[float(x) for x in f(90)],
    intercepts=[0.1, 0.2, 0.3],
    classlabels_ints=[0, 1, 2],
    multi_class=0,
    post_transform="SOFTMAX",
)
case("Scaler", "Scaler", [f(1000, 30)], domain=L, offset=[0.5] * 30, scale=[2.0] * 30)
case("Normalizer", "Normalizer", [f(1000, 30)], domain=L, norm="L2")
case(
    "SVMRegressor",
    "SVMRegressor",
    [f(200, 30)],
    domain=L,
    coefficients=[float(x) for x in f(100)],
    support_vectors=[float(x) for x in f(3000)],
    n_supports=100,
    rho=[0.1],
    kernel_type="RBF",
    kernel_params=[0.1, 0.0, 3.0],
)
case("LabelEncoder", "LabelEncoder", [i(100, 10000)], domain=L, keys_int64s=list(range(100)), values_int64s=list(range(100, 200)))


def build(name, path):
    op, inputs, attributes, outputs, domain, opset = CASES[name]
    feeds, initializers, names = {}, [], []
    for n, value in enumerate(inputs):
        if value is None:
            names.append("")
            continue
        names.append(f"x{n}")
        if isinstance(value, tuple):
            initializers.append(numpy_helper.from_array(value[1], names[-1]))
        else:
            feeds[names[-1]] = value
    given = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()]
    attributes = {key.rstrip("_"): value for key, value in attributes.items()}  # QLinearSoftmax has an attribute named opset
    node = helper.make_node(op, names, [f"y{n}" for n in range(outputs)], domain=domain, **attributes)
    results = [onnx.ValueInfoProto(name=f"y{n}") for n in range(outputs)]
    imports = [helper.make_opsetid("", opset)]
    if domain:
        imports.append(helper.make_opsetid(domain, 3 if domain == L else 1))
    model = helper.make_model(helper.make_graph([node], "g", given, results, initializers), opset_imports=imports, ir_version=10)
    onnx.save(model, path)
    return feeds


def measure(name, args, folder):
    path = os.path.join(folder, "model.onnx")
    feeds = build(name, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = args.threads, 1, 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    command = [args.adze, "bench", path, "--commands", "--threads", str(args.threads)]
    for key, value in feeds.items():
        np.save(os.path.join(folder, key + ".npy"), value)
        command += ["--input", f"{key}={folder}/{key}.npy"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(" ".join(process.stderr.read().split()))

        def ours(runs):
            process.stdin.write(f"run {runs}\n")
            process.stdin.flush()
            return [float(word) for word in process.stdout.readline().split()]

        def theirs(runs):
            times = []
            for _ in range(runs):
                start = time.perf_counter_ns()
                session.run(None, feeds)
                times.append((time.perf_counter_ns() - start) / 1e6)
            return times

        runs = max(2, min(100, int(10 / max(ours(2)[-1], theirs(2)[-1]))))
        a, b = [], []
        for _ in range(args.rounds):
            a += ours(runs)
            b += theirs(runs)
        process.stdin.close()
    return statistics.median(a), statistics.median(b)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--adze", default=os.path.join(ROOT, "build/adze"))
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out")
    args = parser.parse_args()
    rows = []
    for name in args.only.split(",") if args.only else CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                adze, runtime = measure(name, args, folder)
                rows.append((runtime / adze, name, adze, runtime))
            except Exception as error:  # the rest goes on
                print(f"{name}: {str(error)[:300]}", file=sys.stderr)
    rows.sort()
    for ratio, name, adze, runtime in rows:
        print(f"{name:32s} adze {adze:9.4f} ms  ONNX Runtime {runtime:9.4f} ms  ratio {ratio:.2f}")
    if args.out:
        with open(args.out, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("operator", "adze_ms", "onnxruntime_ms", "ratio", "threads", "onnxruntime"))
            table.writerows((n, f"{a:.4f}", f"{b:.4f}", f"{r:.3f}", args.threads, onnxruntime.__version__) for r, n, a, b in rows)


if __name__ == "__main__":
    main()
