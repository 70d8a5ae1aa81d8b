"""Random forms of the other operators of com.microsoft that tools leave in files."""
import numpy as np
from contrib_attention import floats, named, node


def pick(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def bytes_of(rng, signed, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8) if signed else rng.integers(0, 256, shape).astype(np.uint8)


def scale(rng, *shape):
    return rng.uniform(0.005, 0.06, shape).astype(np.float32)


def zero(rng, signed, *shape):
    return (rng.integers(-20, 20, shape) + (0 if signed else 128)).astype(np.int8 if signed else np.uint8)


def shape_of(rng, rank):
    return [int(rng.integers(1, 6)) for _ in range(rank)]


# ---- dequantize, compute, quantize ----


def pair(op):
    def draw(rng):
        signed, shape = rng.random() < 0.5, shape_of(rng, int(rng.integers(1, 5)))
        other = [n if rng.random() < 0.7 else 1 for n in shape][int(rng.integers(0, len(shape))):]
        feeds = {"a": bytes_of(rng, signed, *shape), "b": bytes_of(rng, signed, *other)}
        constants = {"as": scale(rng), "az": zero(rng, signed), "bs": scale(rng), "bz": zero(rng, signed),
                     "cs": scale(rng) * np.float32(2), "cz": zero(rng, signed)}
        names = ["a", "as", "az", "b", "bs", "bz", "cs", "cz"]
        return [node(op, names, ["c"])], feeds, constants, ["c"]
    return draw


def single(op, attributes=lambda rng, rank: {}, rank=None, unit=False):
    def draw(rng):
        signed, dims = rng.random() < 0.5, rank or int(rng.integers(2, 5))
        feeds = {"x": bytes_of(rng, signed, *[n + 3 for n in shape_of(rng, dims)])}
        constants = {"xs": scale(rng), "xz": zero(rng, signed), "ys": np.float32(1 / 256) if unit else scale(rng),
                     "yz": np.int8(-128) if unit and signed else np.uint8(0) if unit else zero(rng, signed)}
        it = node(op, ["x", "xs", "xz", "ys", "yz"], ["y"], **attributes(rng, dims))
        return [it], feeds, constants, ["y"]
    return draw


def pool_attributes(rng, rank):
    """No ceil_mode together with count_include_pad: ONNX Runtime counts there what lies beyond the padding too."""
    n, form = rank - 2, pick(rng, {}, {"ceil_mode": 1}, {"count_include_pad": 1})
    return {"kernel_shape": [int(rng.integers(1, 4)) for _ in range(n)],
            "strides": [int(rng.integers(1, 3)) for _ in range(n)] if rng.random() < 0.5 else None,
            "pads": [0] * n + [int(rng.integers(0, 1)) for _ in range(n)] if rng.random() < 0.5 else None,
            "channels_last": pick(rng, None, 1), **form}


def max_pool(rng):
    feeds = {"x": bytes_of(rng, rng.random() < 0.5, 2, 5, 6, 3)}
    it = node("NhwcMaxPool", ["x"], ["y"], kernel_shape=[int(rng.integers(1, 4)), int(rng.integers(1, 4))],
              strides=[int(rng.integers(1, 3)), int(rng.integers(1, 3))], pads=pick(rng, None, [0, 0, 1, 1]),
              dilations=pick(rng, None, [1, 2]))
    return [it], feeds, {}, ["y"]


def concat(rng):
    signed, rank = rng.random() < 0.5, int(rng.integers(1, 4))
    axis, shape = int(rng.integers(0, rank)), shape_of(rng, rank)
    feeds, constants, names = {}, {"ys": scale(rng), "yz": zero(rng, signed)}, ["ys", "yz"]
    for i in range(int(rng.integers(1, 4))):
        shape[axis] = int(rng.integers(1, 5))
        feeds[f"x{i}"] = bytes_of(rng, signed, *shape)
        constants[f"s{i}"], constants[f"z{i}"] = scale(rng), zero(rng, signed)
        names += [f"x{i}", f"s{i}", f"z{i}"]
    return [node("QLinearConcat", names, ["y"], axis=axis)], feeds, constants, ["y"]


def where(rng):
    signed, shape = rng.random() < 0.5, shape_of(rng, 3)
    feeds = {"c": rng.random(shape) < 0.5, "x": bytes_of(rng, signed, *shape), "y": bytes_of(rng, signed, *shape[1:])}
    constants = {n: scale(rng) if n[1] == "s" else zero(rng, signed) for n in ("xs", "xz", "ys", "yz", "zs", "zz")}
    return [node("QLinearWhere", ["c", "x", "xs", "xz", "y", "ys", "yz", "zs", "zz"], ["z"])], feeds, constants, ["z"]


def quantize(rng):
    rank = int(rng.integers(1, 5))
    shape, axis = shape_of(rng, rank), pick(rng, None, int(rng.integers(0, rank)))
    n = [] if axis is None else [shape[axis]]
    kind = pick(rng, np.uint8, np.int8, np.uint16, np.int16)
    constants = {"s": scale(rng, *n), "z": rng.integers(0, 100, n).astype(kind)}
    feeds = {"x": floats(rng, *shape) * 3}
    return [node("QuantizeLinear", ["x", "s", "z"], ["y"], axis=axis)], feeds, constants, ["y"]


def dequantize(rng):
    rank = int(rng.integers(1, 5))
    shape, axis = shape_of(rng, rank), pick(rng, None, int(rng.integers(0, rank)))
    n = [] if axis is None else [shape[axis]]
    kind = pick(rng, np.uint8, np.int8, np.uint16, np.int16, np.int32)
    constants = {"s": scale(rng, *n), "z": rng.integers(0, 100, n).astype(kind) * (kind is not np.int32)}
    constants["z"] = constants["z"].astype(kind)
    feeds = {"x": rng.integers(0, 127, shape).astype(kind)}
    return [node("DequantizeLinear", ["x", "s", "z"], ["y"], axis=axis)], feeds, constants, ["y"]


# ---- products ----


def gemm(rng):
    m, n, k = int(rng.integers(1, 7)), int(rng.integers(1, 9)), int(rng.integers(1, 40))
    ta, tb, columns, b_signed = (rng.random() < 0.5 for _ in range(4))
    a_signed = b_signed and rng.random() < 0.4
    feeds = {"a": bytes_of(rng, a_signed, *((k, m) if ta else (m, k)))}
    per = [n] if columns else []
    constants = {"as": scale(rng), "az": zero(rng, a_signed), "b": bytes_of(rng, b_signed, *((n, k) if tb else (k, n))),
                 "bs": scale(rng, *per), "bz": zero(rng, b_signed, *per)}
    names = ["a", "as", "az", "b", "bs", "bz"]
    alpha = pick(rng, None, 0.5)
    if rng.random() < 0.5:
        constants["c"] = rng.integers(-5000, 5000, pick(rng, [n], [1, n], [m, n])).astype(np.int32)
    names.append("c" if "c" in constants else "")
    if rng.random() < 0.7:
        constants["ys"], constants["yz"] = scale(rng) * np.float32(k), zero(rng, a_signed)
        names += ["ys", "yz"]
    while not names[-1]:
        names.pop()
    return [node("QGemm", names, ["y"], transA=int(ta), transB=int(tb), alpha=alpha)], feeds, constants, ["y"]


def product(dynamic):
    def draw(rng):
        m, n, k, signed = int(rng.integers(1, 7)), int(rng.integers(1, 9)), int(rng.integers(1, 40)), rng.random() < 0.5
        batch = pick(rng, [], [3], [2, 2])
        a_signed = signed and rng.random() < 0.3
        columns = [n] if rng.random() < 0.5 else []
        feeds = {"a": floats(rng, *batch, m, k) if dynamic else bytes_of(rng, a_signed, *batch, m, k)}
        constants = {"b": bytes_of(rng, signed, k, n), "bs": scale(rng, *columns)}
        if not dynamic:
            constants["as"] = scale(rng)
            if rng.random() < 0.7:
                constants["az"] = zero(rng, a_signed)
        if rng.random() < 0.7:
            constants["bz"] = zero(rng, signed, *columns)
        if rng.random() < 0.5:
            constants["bias"] = floats(rng, n)
        names = named(["a", "b", "bs", "bz", "bias"] if dynamic else ["a", "b", "as", "bs", "az", "bz", "bias"],
                      {**feeds, **constants})
        while not names[-1]:
            names.pop()
        return [node("DynamicQuantizeMatMul" if dynamic else "MatMulIntegerToFloat", names, ["y"])], feeds, constants, ["y"]
    return draw


def bits_product(rng):
    bits, block = pick(rng, 2, 4, 4, 8), pick(rng, 16, 32)
    k, n, m = int(rng.integers(1, 100)), int(rng.integers(1, 10)), int(rng.integers(1, 5))
    blocks = -(-k // block)
    feeds = {"a": floats(rng, *pick(rng, [], [2]), m, k)}
    constants = {"b": bytes_of(rng, False, n, blocks, block * bits // 8), "s": scale(rng, n, blocks)}
    if rng.random() < 0.3:
        constants["s"] = constants["s"].reshape(-1)
    kind = pick(rng, None, "packed", "float")
    if kind == "packed":
        constants["z"] = bytes_of(rng, False, n, (blocks * bits + 7) // 8)
    elif kind == "float":
        constants["z"] = rng.uniform(0, 2**bits, (n, blocks)).astype(np.float32)
    if rng.random() < 0.4:
        constants["bias"] = floats(rng, n)
    names = named(["a", "b", "s", "z", "", "bias"], {**feeds, **constants})
    while not names[-1]:
        names.pop()
    return [node("MatMulNBits", names, ["y"], K=k, N=n, bits=bits, block_size=block)], feeds, constants, ["y"]


def fused_matmul(rng):
    ta, tb, ba, bb = (rng.random() < 0.5 for _ in range(4))
    batched = rng.random() < 0.5
    m, n, k, batch = int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 4))
    a, b = ((k, m) if ta else (m, k)), ((n, k) if tb else (k, n))
    if batched:
        a = (a[0], batch, 2, a[1]) if ba else (batch, 2, *a)
        b = (b[0], batch, 2, b[1]) if bb else (batch, 2, *b)
    feeds = {"a": floats(rng, *a), "b": floats(rng, *b)}
    it = node("FusedMatMul", ["a", "b"], ["y"], transA=int(ta), transB=int(tb), alpha=pick(rng, None, 0.7),
              transBatchA=int(ba and batched), transBatchB=int(bb and batched))
    return [it], feeds, {}, ["y"]


def fused_gemm(rng):
    ta, tb = rng.random() < 0.5, rng.random() < 0.5
    m, n, k = int(rng.integers(1, 6)), int(rng.integers(1, 6)), int(rng.integers(1, 6))
    feeds = {"a": floats(rng, *((k, m) if ta else (m, k))), "b": floats(rng, *((n, k) if tb else (k, n)))}
    if rng.random() < 0.6:
        feeds["c"] = floats(rng, *pick(rng, [n], [m, n], [1, n]))
    activation = pick(rng, "Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "HardSigmoid", "Softplus")
    numbers = {"activation_alpha": 0.3, "activation_beta": 0.4} if activation in ("LeakyRelu", "Elu", "HardSigmoid") else {}
    it = node("FusedGemm", list(feeds), ["y"], transA=int(ta), transB=int(tb), alpha=pick(rng, None, 0.7),
              beta=pick(rng, None, 0.5), activation=activation, **numbers)
    return [it], feeds, {}, ["y"]


def fused_conv(rng):
    c, oc, group = pick(rng, (2, 4, 1), (4, 4, 2), (3, 3, 3))
    feeds = {"x": floats(rng, 1, c, 6, 7)}
    constants = {"w": floats(rng, oc, c // group, 3, 2)}
    names = ["x", "w"]
    if rng.random() < 0.6:
        constants["b"] = floats(rng, oc)
    if rng.random() < 0.3:
        feeds["z"] = floats(rng, 1, oc, 4, 6)
    names = named(["x", "w", "b", "z"], {**feeds, **constants})
    while not names[-1]:
        names.pop()
    activation, numbers = pick(rng, ("Relu", None), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.7]), ("Tanh", None),
                               ("Sigmoid", None), ("HardSigmoid", [0.3, 0.4]))
    it = node("FusedConv", names, ["y"], group=group, kernel_shape=[3, 2], activation=activation,
              activation_params=numbers)
    return [it], feeds, constants, ["y"]


def qlinear_conv(rng):
    last, signed, w_signed = rng.random() < 0.7, rng.random() < 0.4, rng.random() < 0.6
    c, oc, group = pick(rng, (2, 4, 1), (4, 4, 2), (3, 3, 3))
    feeds = {"x": bytes_of(rng, signed, *((2, 6, 7, c) if last else (2, c, 6, 7)))}
    per = [oc] if rng.random() < 0.5 else []
    constants = {"xs": scale(rng), "xz": zero(rng, signed), "w": bytes_of(rng, w_signed, oc, c // group, 3, 2),
                 "ws": scale(rng, *per), "wz": np.zeros(per, np.int8) if w_signed else zero(rng, False),
                 "ys": scale(rng) * np.float32(20), "yz": zero(rng, signed)}
    if not w_signed:
        constants["ws"] = scale(rng)
    names = list(feeds) + list(constants)
    if rng.random() < 0.5:
        constants["b"] = rng.integers(-3000, 3000, oc).astype(np.int32)
        names.append("b")
    it = node("QLinearConv", names, ["y"], group=group, kernel_shape=[3, 2], channels_last=int(last),
              pads=pick(rng, None, [1, 0, 1, 1]), strides=pick(rng, None, [2, 1]))
    return [it], feeds, constants, ["y"]


# ---- activations, normalisations, embeddings ----


def gelu(op, bias=False, attributes=None):
    def draw(rng):
        # Below -2 the approximations of tanh, not the operators, decide the digits.
        feeds = {"x": rng.uniform(-2, 4, (*shape_of(rng, 2), 6)).astype(np.float32)}
        if bias and (op == "BiasGelu" or rng.random() < 0.5):
            feeds["b"] = rng.uniform(0, 1, 6).astype(np.float32)
        return [node(op, list(feeds), ["y"], **(attributes(rng) if attributes else {}))], feeds, {}, ["y"]
    return draw


def skip_norm(simplified):
    def draw(rng):
        b, s, h = shape_of(rng, 3)
        h += 3
        feeds = {"input": floats(rng, b, s, h), "skip": floats(rng, *pick(rng, [b, s, h], [1, s, h], [s, h]))}
        constants = {"gamma": floats(rng, h)}
        if not simplified and rng.random() < 0.7:
            constants["beta"] = floats(rng, h)
        if rng.random() < 0.5:
            constants["bias"] = floats(rng, h)
        order = ["input", "skip", "gamma", "bias"] if simplified else ["input", "skip", "gamma", "beta", "bias"]
        names = named(order, {**feeds, **constants})
        while not names[-1]:
            names.pop()
        summed = rng.random() < 0.5
        op = "SkipSimplifiedLayerNormalization" if simplified else "SkipLayerNormalization"
        it = node(op, names, ["y", "", "", "sum"] if summed else ["y"], epsilon=pick(rng, None, 0.01))
        return [it], feeds, constants, ["y", "sum"] if summed else ["y"]
    return draw


def embed_norm(quantized):
    def draw(rng):
        b, s, h, words = int(rng.integers(1, 4)), int(rng.integers(1, 6)), 8, 11
        segments, masked, signed = rng.random() < 0.6, rng.random() < 0.5, rng.random() < 0.5
        feeds = {"ids": rng.integers(0, words, (b, s)).astype(np.int32)}
        if segments:
            feeds["segments"] = rng.integers(0, 2, (b, s)).astype(np.int32)
        if masked:
            feeds["mask"] = (np.arange(s) < rng.integers(1, s + 1, (b, 1))).astype(np.int32)
        tables = {"words": (words, h), "positions": (s + 3, h), "kinds": (2, h), "gamma": (h,), "beta": (h,)}
        if not segments:
            del tables["kinds"]
        constants, numbers, zeros = {}, [], []
        for name, shape in tables.items():
            constants[name] = bytes_of(rng, signed, *shape) if quantized else floats(rng, *shape)
            if quantized:
                constants[name + "_s"], constants[name + "_z"] = scale(rng), zero(rng, signed)
        if quantized:
            numbers = [n + "_s" for n in ("words", "positions", "kinds", "gamma", "beta")]
            zeros = [n + "_z" for n in ("words", "positions", "kinds", "gamma", "beta")]
        elif rng.random() < 0.4:
            feeds["places"] = rng.integers(0, s + 3, pick(rng, (b, s), (1, s))).astype(np.int32)
        order = ["ids", "segments", "words", "positions", "kinds", "gamma", "beta", "mask"]
        names = named(order + (numbers + zeros if quantized else ["places"]), {**feeds, **constants})
        while not names[-1]:
            names.pop()
        outputs = ["y", "mask_index"]
        if not quantized and rng.random() < 0.4:
            outputs.append("sum")
        op = "QEmbedLayerNormalization" if quantized else "EmbedLayerNormalization"
        return [node(op, names, outputs, epsilon=pick(rng, None, 0.01))], feeds, constants, outputs
    return draw


def pad(rng):
    shape = [n + 2 for n in shape_of(rng, int(rng.integers(1, 4)))]
    mode = pick(rng, None, "constant", "reflect", "edge")
    low = -1 if mode in (None, "constant") else 0
    feeds = {"x": floats(rng, *shape)}
    constants = {"pads": rng.integers(low, 3, 2 * len(shape)).astype(np.int64)}
    if rng.random() < 0.3:
        constants["pads"] = constants["pads"][None]
    if mode in (None, "constant") and rng.random() < 0.5:
        constants["value"] = np.float32([1.5]) if rng.random() < 0.5 else np.float32(1.5)
    return [node("Pad", ["x", *constants], ["y"], mode=mode)], feeds, constants, ["y"]


def gather_blocks(rng):
    bits, block = pick(rng, 4, 8), 16
    rows, blocks = int(rng.integers(2, 8)), int(rng.integers(1, 4))
    columns = blocks * block - (int(rng.integers(0, 8)) * 2 if rng.random() < 0.3 else 0)
    constants = {"data": bytes_of(rng, False, rows, columns * bits // 8), "s": scale(rng, rows, blocks)}
    if rng.random() < 0.5:
        constants["z"] = bytes_of(rng, False, rows, -(-blocks * bits // 8))
    feeds = {"indices": rng.integers(-rows, rows, pick(rng, (3,), (2, 2), ())).astype(pick(rng, np.int32, np.int64))}
    names = ["data", "indices", "s"] + (["z"] if "z" in constants else [])
    it = node("GatherBlockQuantized", names, ["y"], bits=bits, block_size=block, gather_axis=0, quantize_axis=1)
    return [it], feeds, constants, ["y"]


def lstm(rng):
    directions = pick(rng, "forward", "reverse", "bidirectional")
    d, s, b, i, h = 2 if directions == "bidirectional" else 1, int(rng.integers(1, 5)), int(rng.integers(1, 4)), 5, 4
    signed, columns = rng.random() < 0.5, rng.random() < 0.5
    feeds, per = {"X": floats(rng, s, b, i)}, [d, 4 * h] if columns else [d]
    constants = {"W": bytes_of(rng, signed, d, i, 4 * h), "R": bytes_of(rng, signed, d, h, 4 * h)}
    for n in ("W", "R"):
        constants[n + "s"], constants[n + "z"] = scale(rng, *per) * np.float32(0.2), zero(rng, signed, *per)
    if rng.random() < 0.6:
        constants["B"] = floats(rng, d, 8 * h)
    if rng.random() < 0.4:
        feeds["lens"] = rng.integers(1, s + 1, b).astype(np.int32)
    if rng.random() < 0.4:
        feeds["h"], feeds["c"] = floats(rng, d, b, h), floats(rng, d, b, h)
    if rng.random() < 0.3:
        constants["P"] = floats(rng, d, 3 * h)
    names = named(["X", "W", "R", "B", "lens", "h", "c", "P", "Ws", "Wz", "Rs", "Rz"], {**feeds, **constants})
    return [node("DynamicQuantizeLSTM", names, ["Y", "Yh", "Yc"], hidden_size=h, direction=directions)], feeds, \
        constants, ["Y", "Yh", "Yc"]


CASES = {
    "bias_gelu": gelu("BiasGelu", True),
    "dequantize_linear": dequantize,
    "dynamic_quantize_lstm": lstm,
    "dynamic_quantize_matmul": product(True),
    "embed_layer_norm": embed_norm(False),
    "fast_gelu": gelu("FastGelu", True),
    "fused_conv": fused_conv,
    "fused_gemm": fused_gemm,
    "fused_matmul": fused_matmul,
    "gather_block_quantized": gather_blocks,
    "gelu": gelu("Gelu"),
    "matmul_integer_to_float": product(False),
    "matmul_n_bits": bits_product,
    "nhwc_max_pool": max_pool,
    "pad": pad,
    "qembed_layer_norm": embed_norm(True),
    "qgemm": gemm,
    "qlinear_add": pair("QLinearAdd"),
    "qlinear_average_pool": single("QLinearAveragePool", pool_attributes, 4),
    "qlinear_concat": concat,
    "qlinear_conv": qlinear_conv,
    "qlinear_global_average_pool": single("QLinearGlobalAveragePool",
                                          lambda rng, rank: {"channels_last": pick(rng, None, 1)}, 4),
    "qlinear_leaky_relu": single("QLinearLeakyRelu", lambda rng, rank: {"alpha": 0.2}),
    "qlinear_mul": pair("QLinearMul"),
    "qlinear_sigmoid": single("QLinearSigmoid", unit=True),
    "qlinear_softmax": single("QLinearSoftmax", lambda rng, rank: {
        "axis": int(rng.integers(-rank, rank)), "opset": pick(rng, 11, 13)}, unit=True),
    "qlinear_where": where,
    "quantize_linear": quantize,
    "quick_gelu": gelu("QuickGelu", attributes=lambda rng: {"alpha": pick(rng, None, 0.8)}),
    "skip_layer_norm": skip_norm(False),
    "skip_simplified_layer_norm": skip_norm(True),
}
