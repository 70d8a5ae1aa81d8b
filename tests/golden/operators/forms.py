"""Models in forms that ONNX has left behind (opsets 1 to 6, some later) and in forms that files have but node tests do not,
expected as the text of the specification says, computed with NumPy. Writes forms.tar.xz.

    forms.py [--adze PROGRAM]     with a program: runs the cases through it, writes nothing"""
import argparse
import os
import sys
import tempfile

import numpy as np
import onnx
from cases import HERE, info, pack, run_adze, save, tensor
from onnx import TensorProto, helper

CASES = {}


def case(draw):
    CASES[draw.__name__] = draw
    return draw


class Model:
    """Nodes of one opset; `run` gives inputs, constants and expected outputs."""

    def __init__(self, opset, ir=3):
        self.opset, self.ir, self.nodes, self.domains = opset, ir, [], []
        self.feeds, self.constants, self.expected, self.types = {}, {}, {}, {}
        self.listed = True  # initializers stand among the inputs, as IR version 3 asks for

    def input(self, name, value, declared=None):
        self.feeds[name] = value
        if declared is not None:
            self.types[name] = declared
        return name

    def constant(self, name, value):
        self.constants[name] = value
        return name

    def node(self, op, inputs, outputs=("y",), domain="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, list(outputs), domain=domain, **attributes))
        if domain and domain not in self.domains:
            self.domains.append(domain)
        return self

    def gives(self, **expected):
        self.expected.update(expected)
        return self

    def save(self, folder, name):
        protos = [v if isinstance(v, onnx.TensorProto) else tensor(v, k) for k, v in self.constants.items()]
        for k, p in zip(self.constants, protos):
            p.name = k
        inputs = [self.types.get(k) or info(v, k) for k, v in self.feeds.items()]
        if self.listed:
            inputs += [helper.make_tensor_value_info(p.name, p.data_type, list(p.dims)) for p in protos]
        graph = helper.make_graph(self.nodes, name, inputs,
                                  [helper.make_empty_tensor_value_info(o) for o in self.expected], protos)
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, 1) for d in self.domains]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=self.ir)
        save(folder, name, model, self.feeds, self.expected)


rng = np.random.default_rng(5)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def aligned(b, rank, axis):
    """The second operand of opset 6: its axes are those of the first from `axis` on."""
    return b.reshape(b.shape + (1,) * (rank - axis - b.ndim))


ARITHMETIC = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power}
LOGIC = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}
COMPARISONS = {"Equal": np.equal, "Less": np.less, "Greater": np.greater}

# ---- broadcast and axis ----


def broadcasting(op, fn, opset, axis, kind):
    def draw():
        m = Model(opset)
        if kind == "float":
            a, b = np.abs(floats(2, 3, 4, 5)) + 1, np.abs(floats(3, 4)) + 1
        elif kind == "bool":
            a, b = rng.random((2, 3, 4, 5)) < 0.5, rng.random((3, 4)) < 0.5
        else:
            a, b = rng.integers(0, 3, (2, 3, 4, 5)).astype(np.int32), rng.integers(0, 3, (3, 4)).astype(np.int32)
            if op != "Equal":
                a, b = a.astype(np.float32), b.astype(np.float32)
        if axis is None:
            b = b[0, 0].reshape(()) if opset > 1 else np.resize(b, (4, 5))  # a suffix of the axes
        attributes = {"broadcast": 1} | ({} if axis is None else {"axis": axis})
        if opset == 1 and op in ARITHMETIC and op != "Pow":
            attributes["consumed_inputs"] = [0, 0]
        m.node(op, [m.input("a", a), m.input("b", b)], **attributes)
        y = fn(a, aligned(b, 4, axis) if axis is not None else b)
        return m.gives(y=y.astype(a.dtype) if op in ARITHMETIC else y)
    return draw


for _op, _fn in ARITHMETIC.items():
    for _opset in (1, 6):
        for _axis in (1, None):
            CASES[f"{_op}_{_opset}_axis_{_axis}".lower()] = broadcasting(_op, _fn, _opset, _axis, "float")
for _op, _fn in LOGIC.items():
    CASES[f"{_op}_1_axis_1".lower()] = broadcasting(_op, _fn, 1, 1, "bool")
for _op, _fn in COMPARISONS.items():
    CASES[f"{_op}_1_axis_1".lower()] = broadcasting(_op, _fn, 1, 1, "int")
    CASES[f"{_op}_6_axis_none".lower()] = broadcasting(_op, _fn, 6, None, "int")


@case
def add_without_broadcast():
    m, a, b = Model(1), floats(2, 3), floats(2, 3)
    return m.node("Add", [m.input("a", a), m.input("b", b)], consumed_inputs=[1, 0]).gives(y=a + b)


@case
def prelu_one_slope_a_channel():
    m, x, slope = Model(6), floats(2, 3, 4, 4), floats(3)
    m.node("PRelu", [m.input("x", x), m.constant("slope", slope)])
    return m.gives(y=np.where(x < 0, x * slope[:, None, None], x))


# ---- consumed_inputs ----

SINGLE = {"Abs": np.abs, "Neg": np.negative, "Exp": np.exp, "Relu": lambda x: np.maximum(x, 0), "Tanh": np.tanh,
          "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Floor": np.floor, "Ceil": np.ceil,
          "Elu": lambda x: np.where(x < 0, np.exp(x) - 1, x), "LeakyRelu": lambda x: np.where(x < 0, 0.01 * x, x),
          "Selu": lambda x: np.where(x <= 0, 1.6732 * np.exp(x) - 1.6732, x) * np.float32(1.0507),
          "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1), "Reciprocal": lambda x: 1 / x}


def consuming(op, fn):
    def draw():
        m, x = Model(1), floats(3, 4)
        return m.node(op, [m.input("x", x)], consumed_inputs=[1]).gives(y=fn(x).astype(np.float32))
    return draw


for _op, _fn in SINGLE.items():
    CASES[f"{_op}_1_consumed".lower()] = consuming(_op, _fn)


def several(op, fn):
    def draw():
        m = Model(1)
        x = [floats(2, 3) for _ in range(3)]
        m.node(op, [m.input(f"x{i}", v) for i, v in enumerate(x)], consumed_inputs=[0, 0, 0])
        return m.gives(y=fn(np.stack(x)).astype(np.float32))
    return draw


for _op, _fn in {"Sum": lambda x: x.sum(0), "Mean": lambda x: x.mean(0), "Max": lambda x: x.max(0),
                 "Min": lambda x: x.min(0)}.items():
    CASES[f"{_op}_1_consumed".lower()] = several(_op, _fn)


# ---- attributes that became inputs ----


@case
def reshape_1_shape():
    m, x = Model(1), floats(2, 3, 4)
    m.node("Reshape", [m.input("x", x)], shape=[0, -1], consumed_inputs=[0])
    return m.gives(y=x.reshape(2, 12))


@case
def slice_1_attributes():
    m, x = Model(1), floats(5, 6, 7)
    m.node("Slice", [m.input("x", x)], axes=[0, 2], starts=[1, -4], ends=[-1, 1000])
    return m.gives(y=x[1:-1, :, -4:])


@case
def slice_1_without_axes():
    m, x = Model(1), floats(5, 6)
    return m.node("Slice", [m.input("x", x)], starts=[1, 2], ends=[3, 5]).gives(y=x[1:3, 2:5])


@case
def squeeze_1_axes():
    m, x = Model(1), floats(1, 3, 1, 4)
    return m.node("Squeeze", [m.input("x", x)], axes=[0, 2]).gives(y=x.reshape(3, 4))


@case
def squeeze_1_all():
    m, x = Model(1), floats(1, 3, 1, 4)
    return m.node("Squeeze", [m.input("x", x)]).gives(y=x.reshape(3, 4))


@case
def unsqueeze_1_axes():
    m, x = Model(1), floats(3, 4)
    return m.node("Unsqueeze", [m.input("x", x)], axes=[0, 3]).gives(y=x.reshape(1, 3, 4, 1))


@case
def split_1_attribute():
    m, x = Model(1), floats(2, 6)
    m.node("Split", [m.input("x", x)], ["a", "b"], axis=1, split=[2, 4])
    return m.gives(a=x[:, :2], b=x[:, 2:])


@case
def split_1_input():
    m, x = Model(1), floats(6, 2)
    m.node("Split", [m.input("x", x), m.constant("split", np.float32([2, 4]))], ["a", "b"])
    return m.gives(a=x[:2], b=x[2:])


@case
def split_2_equal():
    m, x = Model(2), floats(6, 2)
    m.node("Split", [m.input("x", x)], ["a", "b", "c"])
    return m.gives(a=x[:2], b=x[2:4], c=x[4:])


@case
def concat_1_axis_is_1():
    m, a, b = Model(1), floats(2, 3), floats(2, 4)
    return m.node("Concat", [m.input("a", a), m.input("b", b)]).gives(y=np.concatenate([a, b], 1))


@case
def tile_1_axis():
    m, x = Model(1), floats(2, 3)
    m.node("Tile", [m.input("x", x), m.constant("tiles", np.float32([3])), m.constant("axis", np.float32([1]))])
    return m.gives(y=np.tile(x, (1, 3)))


@case
def topk_1_attribute():
    m, x = Model(1), floats(3, 6)
    at = np.argsort(-x, 1)[:, :2]
    m.node("TopK", [m.input("x", x)], ["y", "at"], k=2)
    return m.gives(y=np.take_along_axis(x, at, 1), at=at.astype(np.int64))


@case
def clip_1_attributes():
    m, x = Model(1), floats(3, 4)
    m.node("Clip", [m.input("x", x)], min=-0.5, max=0.5, consumed_inputs=[0])
    return m.gives(y=np.clip(x, -0.5, 0.5).astype(np.float32))


@case
def clip_6_one_side():
    m, x = Model(6), floats(3, 4)
    return m.node("Clip", [m.input("x", x)], min=0.25).gives(y=np.maximum(x, np.float32(0.25)))


@case
def cast_1_word():
    m, x = Model(1), (floats(3, 4) * 5)
    return m.node("Cast", [m.input("x", x)], to="INT32").gives(y=x.astype(np.int32))


@case
def reduce_1_axes():
    m, x = Model(1), floats(2, 3, 4)
    m.node("ReduceMean", [m.input("x", x)], ["a"], axes=[1, 2], keepdims=0).node("ReduceSum", ["x"], ["b"], axes=[0])
    m.node("ReduceMax", ["x"], ["c"]).node("ReduceLogSumExp", ["x"], ["d"], axes=[1])
    return m.gives(a=x.mean((1, 2)), b=x.sum(0, keepdims=True), c=x.max(keepdims=True),
                   d=np.log(np.exp(x).sum(1, keepdims=True)))


# ---- padding and scaling ----


@case
def pad_1_paddings():
    m, x = Model(1), floats(2, 3)
    m.node("Pad", [m.input("x", x)], paddings=[0, 1, 2, 0], value=1.5)
    return m.gives(y=np.pad(x, ((0, 2), (1, 0)), constant_values=1.5))


@case
def pad_2_reflect():
    m, x = Model(2), floats(3, 4)
    return m.node("Pad", [m.input("x", x)], pads=[1, 2, 2, 1], mode="reflect").gives(
        y=np.pad(x, ((1, 2), (2, 1)), mode="reflect"))


@case
def pad_2_negative():
    m, x = Model(2), floats(3, 4)
    return m.node("Pad", [m.input("x", x)], pads=[-1, 0, 1, -1]).gives(y=np.pad(x[1:, :-1], ((0, 1), (0, 0))))


@case
def upsample_1_sides():
    m, x = Model(1), floats(1, 2, 3, 4)
    m.node("Upsample", [m.input("x", x)], height_scale=2.0, width_scale=3.0, mode="nearest")
    return m.gives(y=x.repeat(2, 2).repeat(3, 3))


@case
def upsample_7_scales():
    m, x = Model(7), floats(1, 2, 3, 4)
    m.node("Upsample", [m.input("x", x)], scales=[1.0, 1.0, 3.0, 2.0], mode="nearest")
    return m.gives(y=x.repeat(3, 2).repeat(2, 3))


@case
def upsample_9_input():
    m, x = Model(9), floats(1, 1, 2, 3)
    m.node("Upsample", [m.input("x", x), m.constant("s", np.float32([1, 1, 2, 2]))], mode="linear")
    lines = np.stack([x[:, :, 0], (x[:, :, 0] + x[:, :, 1]) / 2, x[:, :, 1], x[:, :, 1]], 2)
    columns = [lines[..., i // 2] if i % 2 == 0 or i == 5 else (lines[..., i // 2] + lines[..., i // 2 + 1]) / 2
               for i in range(6)]
    return m.gives(y=np.stack(columns, -1).astype(np.float32))


# ---- normalisation, dropout, softmax ----


def batch_norm(x, scale, bias, mean, var, epsilon):
    shape = (1, -1) + (1,) * (x.ndim - 2) if scale.ndim == 1 else (1, *scale.shape)
    scale, bias, mean, var = (v.reshape(shape) for v in (scale, bias, mean, var))
    return ((x - mean) / np.sqrt(var + epsilon) * scale + bias).astype(np.float32)


def normalizing(opset, shape, **attributes):
    def draw():
        m, x = Model(opset), floats(2, 3, 4, 2)
        parts = [floats(*shape), floats(*shape), floats(*shape), np.abs(floats(*shape)) + 0.5]
        names = [m.constant(n, v) for n, v in zip(("scale", "bias", "mean", "var"), parts)]
        m.node("BatchNormalization", [m.input("x", x), *names], epsilon=1e-3, **attributes)
        return m.gives(y=batch_norm(x, *parts, 1e-3))
    return draw


CASES["batch_norm_1"] = normalizing(1, (3,), is_test=1, spatial=1, consumed_inputs=[0, 0, 0, 1, 1])
CASES["batch_norm_6"] = normalizing(6, (3,), is_test=1, momentum=0.9)
CASES["batch_norm_7"] = normalizing(7, (3,), spatial=1)
CASES["batch_norm_6_each_place"] = normalizing(6, (3, 4, 2), is_test=1, spatial=0)
CASES["batch_norm_7_each_place"] = normalizing(7, (3, 4, 2), spatial=0)


@case
def instance_norm_1():
    m, x, s, b = Model(1), floats(2, 3, 4, 5), floats(3), floats(3)
    m.node("InstanceNormalization", [m.input("x", x), m.constant("s", s), m.constant("b", b)], consumed_inputs=[0, 0, 0])
    mean, var = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    return m.gives(y=((x - mean) / np.sqrt(var + 1e-5) * s[:, None, None] + b[:, None, None]).astype(np.float32))


@case
def dropout_1_is_test():
    m, x = Model(1), floats(3, 4)
    return m.node("Dropout", [m.input("x", x)], is_test=1, ratio=0.5, consumed_inputs=[0]).gives(y=x)


@case
def dropout_6_mask_unused():
    m, x = Model(6), floats(3, 4)
    return m.node("Dropout", [m.input("x", x)], ["y", "mask"], is_test=1, ratio=0.25).gives(y=x)


def flattened_softmax(op):
    def draw():
        m, x = Model(1), floats(2, 3, 4)
        flat = x.reshape(2, 12)
        e = np.exp(flat - flat.max(1, keepdims=True))
        y = {"Softmax": e / e.sum(1, keepdims=True), "LogSoftmax": np.log(e / e.sum(1, keepdims=True)),
             "Hardmax": (np.arange(12) == flat.argmax(1)[:, None]).astype(np.float32)}[op]
        return m.node(op, [m.input("x", x)]).gives(y=y.reshape(2, 3, 4).astype(np.float32))
    return draw


for _op in ("Softmax", "LogSoftmax", "Hardmax"):
    CASES[f"{_op}_1_flattens".lower()] = flattened_softmax(_op)


# ---- products, pooling, recurrent ----


@case
def gemm_6_broadcast():
    m, a, b, c = Model(6), floats(3, 4), floats(5, 4), floats(5)
    m.node("Gemm", [m.input("a", a), m.constant("b", b), m.constant("c", c)], transB=1, broadcast=1, alpha=0.5)
    return m.gives(y=(0.5 * a @ b.T + c).astype(np.float32))


@case
def lp_pool_1():
    m, x = Model(1), floats(1, 2, 4, 6)
    m.node("LpPool", [m.input("x", x)], kernel_shape=[2, 3], strides=[2, 3], p=2.0)
    return m.gives(y=np.sqrt((x.reshape(1, 2, 2, 2, 2, 3) ** 2).sum((3, 5))))


@case
def global_lp_pool_1():
    m, x = Model(1), floats(1, 2, 3, 3)
    m.node("GlobalLpPool", [m.input("x", x)], p=1.0)
    return m.gives(y=np.abs(x).sum((2, 3), keepdims=True))


@case
def pools_1():
    m, x = Model(1), floats(1, 2, 4, 6)
    m.node("MaxPool", [m.input("x", x)], ["a"], kernel_shape=[2, 3], strides=[2, 3])
    m.node("AveragePool", ["x"], ["b"], kernel_shape=[2, 3], strides=[2, 3], auto_pad="VALID")
    parts = x.reshape(1, 2, 2, 2, 2, 3)
    return m.gives(a=parts.max((3, 5)), b=parts.mean((3, 5)))


@case
def rnn_1_output_sequence():
    m, x, w, r = Model(1), floats(3, 2, 4), floats(1, 5, 4), floats(1, 5, 5)
    m.node("RNN", [m.input("x", x), m.constant("w", w), m.constant("r", r)], ["y", "last"], hidden_size=5,
           output_sequence=1)
    h, ys = np.zeros((2, 5), np.float32), []
    for t in range(3):
        h = np.tanh(x[t] @ w[0].T + h @ r[0].T)
        ys.append(h)
    return m.gives(y=np.stack(ys)[:, None], last=h[None])


# ---- operators that were experimental ----


@case
def experimental():
    m, x = Model(1), floats(1, 3, 4, 5)
    m.node("Affine", [m.input("x", x)], ["a"], alpha=2.0, beta=0.5)
    m.node("ScaledTanh", ["x"], ["b"], alpha=1.5, beta=0.7)
    m.node("ParametricSoftplus", ["x"], ["c"], alpha=1.5, beta=0.7)
    m.node("ThresholdedRelu", ["x"], ["d"], alpha=0.4)
    m.node("ImageScaler", ["x"], ["e"], scale=2.0, bias=[0.1, 0.2, 0.3])
    m.node("Crop", ["x"], ["f"], border=[1, 0, 2, 1])
    m.node("Scale", ["x"], ["g"], scale=3.0)
    m.node("MeanVarianceNormalization", ["x"], ["h"])
    bias = np.float32([0.1, 0.2, 0.3])[:, None, None]
    mean, deviation = x.mean((2, 3), keepdims=True), x.std((2, 3), keepdims=True)
    return m.gives(a=2 * x + np.float32(0.5), b=np.float32(1.5) * np.tanh(np.float32(0.7) * x),
                   c=np.float32(1.5) * np.log1p(np.exp(np.float32(0.7) * x)), d=np.where(x > 0.4, x, 0).astype(np.float32),
                   e=2 * x + bias, f=x[:, :, :3, 1:3], g=3 * x, h=((x - mean) / deviation).astype(np.float32))


# ---- files of other kinds ----


@case
def initializers_not_listed():
    m, x, w = Model(9, ir=4), floats(2, 3), floats(3, 4)
    m.listed = False
    return m.node("MatMul", [m.input("x", x), m.constant("w", w)]).gives(y=x @ w)


@case
def weights_stored_as_float16():
    """Cast before each use, as converters write them; bytes in int32_data, as some do."""
    m, x, w = Model(7), floats(1, 3, 5, 5), floats(4, 3, 1, 1).astype(np.float16)
    stored = TensorProto(data_type=TensorProto.FLOAT16, dims=w.shape)
    stored.int32_data.extend(int(v) for v in w.reshape(-1).view(np.uint16))
    m.node("Cast", [m.constant("w", stored)], ["wide"], to=TensorProto.FLOAT)
    m.node("Conv", [m.input("x", x), "wide"], kernel_shape=[1, 1])
    return m.gives(y=np.einsum("nchw,oc->nohw", x, w[:, :, 0, 0].astype(np.float32)))


@case
def integers_in_their_own_fields():
    m, x = Model(7), rng.integers(-5, 5, (2, 3))
    stored = TensorProto(data_type=TensorProto.INT64, dims=[3])
    stored.int64_data.extend([1, -2, 3])
    return m.node("Add", [m.input("x", x), m.constant("w", stored)]).gives(y=x + np.int64([1, -2, 3]))


@case
def shapes_missing():
    m, x = Model(7), floats(2, 3)
    declared = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    m.node("Relu", [m.input("x", x, declared)], ["r"]).node("MatMul", ["r", m.constant("w", floats(3, 4))])
    return m.gives(y=np.maximum(x, 0) @ m.constants["w"])


@case
def dimensions_without_names():
    m, x = Model(7), floats(2, 3)
    declared = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["?", -1])
    return m.node("Transpose", [m.input("x", x, declared)]).gives(y=x.T)


@case
def batch_is_dynamic():
    m, x = Model(7), floats(5, 3)
    declared = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])
    m.node("Gemm", [m.input("x", x, declared), m.constant("w", floats(3, 4)), m.constant("b", floats(4))])
    return m.gives(y=x @ m.constants["w"] + m.constants["b"])


@case
def strings_in():
    m, x = Model(9), np.array([["cat", "dog"], ["emu", "cat"]], object)
    m.node("LabelEncoder", [m.input("x", x)], domain="ai.onnx.ml", classes_strings=["cat", "emu", "fox"], default_int64=-1)
    return m.gives(y=np.int64([[0, -1], [1, 0]]))


@case
def strings_through():
    m, x = Model(11), np.array(["a", "bc", "", "déf"], object)
    m.node("Gather", [m.input("x", x), m.constant("at", np.int64([3, 0]))])
    return m.gives(y=np.array(["déf", "a"], object))


@case
def integer_product_to_float16():
    """Sums beyond the range of float16 before they are scaled."""
    m, a, b = Model(17, ir=8), np.full((2, 32), 200, np.uint8), np.full((32, 3), 128, np.uint8)
    scale = np.float16(2.0**-5)
    names = [m.input("a", a), m.constant("b", b), m.constant("as", scale), m.constant("bs", scale)]
    m.node("MatMulIntegerToFloat", names, domain="com.microsoft")
    return m.gives(y=np.full((2, 3), 800, np.float16))


@case
def group_query_attention_normalises():
    """q_norm_weight and k_norm_weight, which ONNX Runtime has on other devices only."""
    m, q, k, v, wq, wk = Model(17, ir=8), floats(1, 3, 32), floats(1, 3, 16), floats(1, 3, 16), floats(16), floats(16)
    names = [m.input("q", q), m.input("k", k), m.input("v", v), "", "", m.constant("last", np.int32([2])),
             m.constant("total", np.int32(3)), "", "", "", "", "", "", "", m.constant("wq", wq), m.constant("wk", wk)]
    m.node("GroupQueryAttention", names, ["y", "keys"], domain="com.microsoft", num_heads=2, kv_num_heads=1,
           qk_norm_epsilon=0.01, k_norm_epsilon=0.1)
    q = q.reshape(1, 3, 2, 16).transpose(0, 2, 1, 3)
    q = q / np.sqrt((q**2).mean(-1, keepdims=True) + np.float32(0.01)) * wq
    k = k / np.sqrt((k**2).mean(-1, keepdims=True) + np.float32(0.1)) * wk
    s = np.where(np.tri(3, dtype=bool), q @ k[:, None].transpose(0, 1, 3, 2) / 4, -np.inf)
    p = np.exp(s) / np.exp(s).sum(-1, keepdims=True)
    return m.gives(y=(p @ v[:, None]).transpose(0, 2, 1, 3).reshape(1, 3, 32).astype(np.float32),
                   keys=k[:, None].astype(np.float32))


@case
def flex_attention_mods():
    """Heads in groups; the graphs use a value of outside."""
    m, q, k, v = Model(26, ir=13), floats(1, 4, 2, 8), floats(1, 2, 3, 8), floats(1, 2, 3, 8)
    m.listed = False
    one = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("s", "t")]
    score = helper.make_graph([helper.make_node("Mul", ["s", "gain"], ["t"])], "score", one[:1], one[1:])
    prob = helper.make_graph([helper.make_node("Sub", ["s", "less"], ["t"])], "prob", one[:1], one[1:],
                             [tensor(np.float32(0.1), "less")])
    names = [m.input(n, x) for n, x in (("q", q), ("k", k), ("v", v))]
    m.constant("gain", np.float32(0.5))
    m.node("FlexAttention", names, domain="ai.onnx.preview", score_mod=score, prob_mod=prob)
    s = np.einsum("bhqd,bhkd->bhqk", q, k.repeat(2, 1)) / np.sqrt(np.float32(8)) * np.float32(0.5)
    p = np.exp(s) / np.exp(s).sum(-1, keepdims=True) - np.float32(0.1)
    return m.gives(y=np.einsum("bhqk,bhkd->bhqd", p, v.repeat(2, 1)).astype(np.float32))


def main_of(cases, archive):
    parser = argparse.ArgumentParser()
    parser.add_argument("--adze")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in sorted(cases.items()):
            draw().save(folder, name)
        if a.adze:
            return run_adze(a.adze, folder) or run_adze(a.adze, folder, "--symbolic")
        pack(folder, os.path.join(HERE, archive))
        return 0


if __name__ == "__main__":
    sys.exit(main_of(CASES, "forms.tar.xz"))
