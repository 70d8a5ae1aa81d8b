"""Corners of operators in today's form that ONNX's node cases leave out: broadcasts, types, empty tensors, dimensions that only
a run knows. Expected as the text of the specification says, computed with NumPy. Writes corners.tar.xz.

    corners.py [--adze PROGRAM]     with a program: runs the cases through it, writes nothing"""
import sys

import numpy as np
from cases import tensor
from forms import Model, main_of
from onnx import TensorProto, helper

CASES = {}
rng = np.random.default_rng(11)


def case(draw):
    CASES[draw.__name__] = draw
    return draw


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def model(opset, ir=10):
    m = Model(opset, ir)
    m.listed = False
    return m


def free(name, value):
    """An input whose dimensions the model does not know."""
    t = tensor(value, name)
    return helper.make_tensor_value_info(name, t.data_type, [f"{name}_{i}" for i in range(len(t.dims))])


def packed(values, kind, bits):
    """Numbers narrower than a byte, as `tensor` takes them."""
    flat = np.asarray(values).reshape(-1).astype(np.int64) & ((1 << bits) - 1)
    each = 8 // bits
    flat = np.pad(flat, (0, -len(flat) % each)).reshape(-1, each)
    return kind, np.shape(values), bytes((flat << (bits * np.arange(each))).sum(1).astype(np.uint8))


# ---- types ----


@case
def reshape_half_to_unknown_rank():
    m, x, shape = model(18), floats(2, 3, 4).astype(np.float16), np.array([-1, 4], np.int64)
    m.node("Reshape", [m.input("x", x), m.input("shape", shape, free("shape", shape))], ["v"])
    return m.node("Concat", ["v", "v"], axis=0).gives(y=np.tile(x.reshape(6, 4), (2, 1)))


@case
def conv_transpose_half_of_unknown_weights():
    m, x, w = model(22), floats(1, 2, 3).astype(np.float16), floats(2, 1, 1).astype(np.float16)
    m.node("ConvTranspose", [m.input("x", x), m.input("w", w, free("w", w))], ["v"]).node("ReduceSumSquare", ["v"], keepdims=0)
    y = (x.astype(np.float32) * w.astype(np.float32)[None, :, 0]).sum(1, keepdims=True).astype(np.float16)
    return m.gives(y=(y.astype(np.float32)**2).sum().astype(np.float16))


def unranked(m, name, value):
    """An input whose rank only a run knows."""
    axis = m.constant(f"{name}_axis", np.array([0]))
    m.node("Unsqueeze", [m.input(name, value), axis], [f"{name}_u"])
    m.node("Squeeze", [f"{name}_u", m.input(f"{name}_axes", np.array([0]))], [f"{name}_s"])
    return f"{name}_s"


@case
def clip_of_unknown_rank():
    m, x = model(14), floats(2, 3)
    return m.node("Clip", [unranked(m, "x", x), m.constant("low", np.float32(0))]).gives(y=np.maximum(x, 0))


def shrink(dtype):
    def draw():
        m, x = model(9), rng.integers(0 if dtype == np.uint8 else -9, 9, (3, 7)).astype(dtype)
        m.node("Shrink", [m.input("x", x)], lambd=2.0, bias=1.0)
        wide = x.astype(np.int64)
        return m.gives(y=np.where(wide < -2, wide + 1, np.where(wide > 2, wide - 1, 0)).astype(dtype))
    return draw


for _type in (np.int8, np.uint8, np.int64):
    CASES[f"shrink_{np.dtype(_type).name}"] = shrink(_type)


@case
def shrink_not_a_number():
    m, x = model(9), np.array([np.nan, 3, -3, 0.1], np.float32)
    return m.node("Shrink", [m.input("x", x)], bias=1.0).gives(y=np.array([0, 2, -2, 0], np.float32))


NARROW = {"int4": (TensorProto.INT4, 4, 21), "uint4": (TensorProto.UINT4, 4, 21),
          "float4e2m1": (TensorProto.FLOAT4E2M1, 4, 23), "uint2": (TensorProto.UINT2, 2, 25)}


def narrow(name, pad):
    def draw():
        kind, bits, opset = NARROW[name]
        m, x = model(opset, 14), rng.integers(0, 1 << bits, (3, 5))
        names = [m.input("x", packed(x, kind, bits))]
        if pad:
            names += [m.constant("pads", np.array([1, 0, 0, 2], np.int64)), m.constant("value", packed([3], kind, bits))]
            m.constants["value"] = (kind, (), m.constants["value"][2])
            y = np.pad(x, ((1, 0), (0, 2)), constant_values=3)
        else:
            y = x.T
        return m.node("Pad" if pad else "Transpose", names).gives(y=packed(y, kind, bits))
    return draw


for _name in NARROW:
    CASES[f"transpose_{_name}"] = narrow(_name, False)
    CASES[f"pad_{_name}"] = narrow(_name, True)


# ---- reductions of integers ----


@case
def reduce_l2_of_integers_cuts():
    m, x = model(18), np.array([[5, -8, -7], [1, 1, 1]], np.int32)
    return m.node("ReduceL2", [m.input("x", x), m.constant("axes", np.array([1]))], keepdims=0).gives(
        y=np.array([11, 1], np.int32))


def nothing(op, dtype, value):
    def draw():
        m, x = model(20), np.zeros((2, 0, 3), dtype)
        m.node(op, [m.input("x", x), m.constant("axes", np.array([1]))], keepdims=0)
        return m.gives(y=np.full((2, 3), value, dtype))
    return draw


for _op, _type, _value in (("ReduceMax", np.int64, np.iinfo(np.int64).min), ("ReduceMin", np.int8, 127),
                           ("ReduceMin", np.uint8, 255), ("ReduceMax", bool, False), ("ReduceMin", bool, True)):
    CASES[f"{_op}_of_no_{np.dtype(_type).name}".lower()] = nothing(_op, _type, _value)


# ---- products ----


def vector(left):
    def draw():
        m = model(10)
        a = rng.integers(0, 255, (5,) if left else (2, 3, 4, 5)).astype(np.uint8)
        b = rng.integers(-9, 9, (2, 3, 5, 4) if left else (5,)).astype(np.int8)
        m.node("MatMulInteger", [m.input("a", a), m.input("b", b), m.constant("az", np.uint8(7))])
        return m.gives(y=np.matmul(a.astype(np.int32) - 7, b.astype(np.int32)))
    return draw


CASES["matmul_integer_vector_by_batches"] = vector(True)
CASES["matmul_integer_batches_by_vector"] = vector(False)


def codes_of(bits, n, k):
    codes = rng.integers(0, 1 << bits, (n, k))
    return codes, np.frombuffer(packed(codes, 0, bits)[2], np.uint8).reshape(n, -1)


def grouped(bits, kind):
    """Columns in groups by index, as GPTQ with act_order leaves them."""
    def draw():
        m, n, k, block = model(17), 5, 48, 16
        codes, b = codes_of(bits, n, k)
        a, scale, group = floats(2, k), rng.uniform(0.1, 1, (n, 3)).astype(np.float32), rng.integers(0, 3, k)
        names = [m.input("a", a), m.constant("b", b.reshape(n, 3, -1)), m.constant("s", scale)]
        zero = np.full((n, 3), 1 << (bits - 1))
        if kind == "float":
            zero = rng.uniform(0, 9, (n, 3)).astype(np.float32)
            names.append(m.constant("z", zero))
        elif kind == "packed":
            zero = rng.integers(0, 1 << bits, (n, 3))
            rows = [packed(row, 0, bits)[2] for row in zero]
            names.append(m.constant("z", np.frombuffer(b"".join(rows), np.uint8).reshape(n, -1)))
        names += [""] * (4 - len(names)) + [m.constant("g", group.astype(np.int32))]
        m.node("MatMulNBits", names, domain="com.microsoft", K=k, N=n, bits=bits, block_size=block)
        return m.gives(y=(a @ ((codes - zero[:, group]) * scale[:, group]).T).astype(np.float32))
    return draw


for _bits, _kind in ((4, None), (4, "float"), (4, "packed"), (8, "packed"), (2, None)):
    CASES[f"matmul_{_bits}_bits_grouped_{_kind}".lower()] = grouped(_bits, _kind)


# ---- normalisations ----


def normalised(op, shape, *others, axis):
    def draw():
        m, x = model(23), floats(*shape)
        rest = [floats(*s) for s in others]
        names = [m.input("x", x), *(m.input(f"p{i}", p) for i, p in enumerate(rest))]
        m.node(op, names, axis=axis)
        axes = tuple(range(axis % len(shape), len(shape)))
        centred = x - x.mean(axes, keepdims=True) if op[0] == "L" else x
        y = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + np.float32(1e-5)) * rest[0]
        return m.gives(y=y + rest[1] if len(rest) > 1 else y)
    return draw


CASES["layer_norm_scale_broadcasts"] = normalised("LayerNormalization", (2, 5, 4), (2, 1, 4), (5, 1), axis=0)
CASES["layer_norm_scale_of_rows"] = normalised("LayerNormalization", (3, 4, 4), (4, 1), axis=-1)
CASES["rms_norm_scale_broadcasts"] = normalised("RMSNormalization", (4, 4), (4, 1), axis=-2)


@case
def group_norm_18_of_unknown_channels():
    m, x, s, b = model(18), floats(2, 6, 5), floats(3), floats(3)
    m.node("GroupNormalization", [m.input("x", x, free("x", x)), m.constant("s", s), m.constant("b", b)], num_groups=3)
    g = x.reshape(2, 3, 10)
    g = (g - g.mean(2, keepdims=True)) / np.sqrt(g.var(2, keepdims=True) + np.float32(1e-5))
    return m.gives(y=(g * s[:, None] + b[:, None]).reshape(x.shape))


# ---- sizes ----


def larger(pad):
    def draw():
        """What output_shape asks for beyond the natural size is at the end."""
        m, x, w = model(11), floats(1, 1, 3), floats(1, 1, 3)
        m.node("ConvTranspose", [m.input("x", x), m.constant("w", w)], strides=[2], output_shape=[8], auto_pad=pad)
        y = np.zeros(8, np.float32)
        for i in range(3):
            y[2 * i:2 * i + 3] += x[0, 0, i] * w[0, 0]
        return m.gives(y=y.reshape(1, 1, 8))
    return draw


for _pad in ("NOTSET", "SAME_UPPER", "SAME_LOWER"):
    CASES[f"conv_transpose_larger_{_pad}".lower()] = larger(_pad)


def one_in_a_block(dequantize):
    def draw():
        m, x, s = model(21), floats(3, 2, 4), rng.uniform(0.01, 0.1, (3, 2, 4)).astype(np.float32)
        z = rng.integers(100, 150, (3, 2, 4)).astype(np.uint8)
        q = np.clip(np.rint(x / s) + z, 0, 255).astype(np.uint8)
        names = [m.input("x", q if dequantize else x), m.constant("s", s), m.constant("z", z)]
        m.node("DequantizeLinear" if dequantize else "QuantizeLinear", names, axis=-2, block_size=1)
        return m.gives(y=((q.astype(np.float32) - z) * s).astype(np.float32) if dequantize else q)
    return draw


CASES["quantize_blocks_of_one"] = one_in_a_block(False)
CASES["dequantize_blocks_of_one"] = one_in_a_block(True)


@case
def quantize_nothing():
    m, x = model(13), np.zeros((0, 2), np.float32)
    m.node("QuantizeLinear", [m.input("x", x), m.constant("s", np.zeros(0, np.float32))], axis=0)
    return m.gives(y=np.zeros((0, 2), np.uint8))


@case
def scan_8_backwards_from_its_length():
    m, x, state = model(8, 3), floats(2, 4, 3), floats(2, 3)
    body = helper.make_graph([helper.make_node("Add", ["s", "x"], ["t"]), helper.make_node("Mul", ["t", "t"], ["y"])], "body",
                             [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "sx"],
                             [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "ty"])
    lengths = np.array([2, 4], np.int64)
    m.node("Scan", [m.input("lengths", lengths), m.input("state", state), m.input("x", x)], ["last", "y"], body=body,
           num_scan_inputs=1, directions=[1])
    last, y = state.copy(), np.zeros_like(x)
    for b, n in enumerate(lengths):
        for t in range(n):
            last[b] += x[b, n - 1 - t]
            y[b, t] = last[b]**2
    return m.gives(last=last, y=y)


@case
def hardmax_9_of_nothing():
    m, x = model(9), np.zeros((1, 4, 0, 3), np.float32)
    return m.node("Hardmax", [m.input("x", x)], axis=2).gives(y=x)


@case
def batch_norm_training_between_convolutions():
    m, x, w = model(15), floats(2, 3, 5, 5), floats(8, 3, 1, 1)
    rest = [m.constant(n, v) for n, v in (("s", floats(8)), ("b", floats(8)), ("mean", floats(8)), ("var", floats(8)**2))]
    m.node("Conv", [m.input("x", x), m.constant("w", w)], ["c"])
    m.node("BatchNormalization", ["c", *rest], ["n"], training_mode=1)
    m.node("Conv", ["n", m.constant("last", np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1))])
    c = np.einsum("nchw,oc->nohw", x, w[..., 0, 0])
    y = (c - c.mean((0, 2, 3), keepdims=True)) / np.sqrt(c.var((0, 2, 3), keepdims=True) + np.float32(1e-5))
    s, b = m.constants["s"], m.constants["b"]
    return m.gives(y=(y * s[:, None, None] + b[:, None, None]).astype(np.float32))


# ---- quantized volumes, and tensors of unknown rank ----


@case
def quantized_gather_of_unknown_rank():
    m, x, i = model(16), rng.integers(-128, 128, (3, 4)).astype(np.int8), np.array([2, 0, -1])
    m.constant("s", np.float32(0.5))
    m.node("DequantizeLinear", [m.input("x", x), "s", m.constant("z", np.int8(-20))], ["f"])
    m.node("Gather", ["f", unranked(m, "i", i)], ["g"], axis=1)
    m.node("QuantizeLinear", ["g", "s", m.constant("other", np.int8(13))])
    return m.gives(y=np.clip(x[:, i].astype(np.int32) + 33, -128, 127).astype(np.int8))


@case
def window_of_one():
    m = model(17)
    m.node("HammingWindow", [m.input("n", np.int64(1))], periodic=1)
    return m.gives(y=np.array([4 / 46], np.float32))



def quantized(node, shape, compute, *weights, **attributes):
    """The node between DequantizeLinear and QuantizeLinear; all numbers are exact."""
    def draw():
        m, x = model(13), rng.integers(0, 255, shape).astype(np.uint8)
        m.constant("s", np.float32(0.5))
        m.constant("z", np.uint8(100))
        m.constant("w_z", np.int8(0))
        m.node("DequantizeLinear", [m.input("x", x), "s", "z"], ["x_f"])
        names, real = ["x_f"], [(x.astype(np.float32) - 100) * np.float32(0.5)]
        for i, w in enumerate(weights):
            stored = rng.integers(-9, 9, w).astype(np.int8)
            m.node("DequantizeLinear", [m.constant(f"w{i}", stored), "s", "w_z"], [f"w{i}_f"])
            names.append(f"w{i}_f")
            real.append(stored.astype(np.float32) * np.float32(0.5))
        m.node(node, names, ["y_f"], **attributes).node("QuantizeLinear", ["y_f", "s", "z"])
        return m.gives(y=np.clip(np.rint(compute(*real) / np.float32(0.5)) + 100, 0, 255).astype(np.uint8))
    return draw


CASES["quantized_conv_of_volumes"] = quantized("Conv", (1, 2, 3, 4, 3), lambda x, w: np.einsum("ncdhw,oc->nodhw", x, w[..., 0, 0, 0]),
                                               (4, 2, 1, 1, 1))
for _pool, _fn in (("MaxPool", np.max), ("AveragePool", np.mean)):
    CASES[f"quantized_{_pool}_of_volumes".lower()] = quantized(
        _pool, (1, 2, 2, 4, 3), lambda x, fn=_fn: fn(x.reshape(1, 2, 1, 2, 2, 2, 3), (3, 5)), kernel_shape=[2, 2, 1],
        strides=[2, 2, 1])


# ---- attention of com.microsoft with dimensions that only a run knows ----


def attended(q, k, v, heads, allowed=None):
    """[batch, tokens, heads * d] each."""
    split = [np.stack(np.split(x, heads, -1), 1) for x in (q, k, v)]
    s = split[0] @ split[1].transpose(0, 1, 3, 2) / np.sqrt(np.float32(split[0].shape[-1]))
    if allowed is not None:
        s = s + np.where(allowed, 0, -10000)[:, None, None]
    p = np.exp(s - s.max(-1, keepdims=True))
    y = p / p.sum(-1, keepdims=True) @ split[2]
    return np.concatenate(list(y.transpose(1, 0, 2, 3)), -1).astype(np.float32)


@case
def multi_head_attention_wider_values():
    m, q, k, v, bias = model(17), floats(2, 3, 8), floats(2, 5, 8), floats(2, 5, 12), floats(28)
    names = [m.input(n, x, free(n, x)) for n, x in (("q", q), ("k", k), ("v", v), ("bias", bias))]
    m.node("MultiHeadAttention", names, domain="com.microsoft", num_heads=2)
    return m.gives(y=attended(q + bias[:8], k + bias[8:16], v + bias[16:], 2))


def ends(starts):
    def draw():
        m, x, w, bias = model(17), floats(2, 5, 6), floats(6, 24), floats(24)
        mask = np.array([4, 5, 1, 0] if starts else [4, 2], np.int32)
        names = [m.input("x", x, free("x", x)), m.constant("w", w), m.constant("bias", bias),
                 m.input("mask", mask, free("mask", mask))]
        m.node("Attention", names, domain="com.microsoft", num_heads=2)
        first = mask[2:] if starts else [0, 0]
        allowed = np.array([(np.arange(5) < mask[b]) & (np.arange(5) >= first[b]) for b in range(2)])
        return m.gives(y=attended(*np.split(x @ w + bias, 3, -1), 2, allowed))
    return draw


CASES["attention_mask_of_ends"] = ends(False)
CASES["attention_mask_of_starts"] = ends(True)


if __name__ == "__main__":
    sys.exit(main_of(CASES, "corners.tar.xz"))
