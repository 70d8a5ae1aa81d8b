#!/usr/bin/env python3
"""Names the first node in which adze and ONNX Runtime differ.

    parity.py MODEL.onnx... [--input NAME=FILE.npy]... [--shape NAME=1x3x224x224]... [--seed 0] [--worst 10]
    parity.py CASES [--only 'test_conv*']        a folder of ONNX backend cases, as 'adze cases' takes it

ONNX Runtime runs the model, its optimisation off, and hands over every value of it. Then adze computes every node from
ONNX Runtime's own inputs of that node, so that differences do not add up, and the results are compared. All nodes are
computed in one go: in a copy of the model in which each node reads inputs of the graph instead of results of others.
Inputs without a file are random, dimensions without a number 1.

A model with QuantizeLinear and DequantizeLinear is compared twice. Node by node first, as ONNX Runtime has just run
it. Then in pieces between integer values: there DequantizeLinear, arithmetic, QuantizeLinear become one operator on
integers in adze, which is what runs when the whole model does.

Tolerances: floats 1e-4 of the largest magnitude of the value (--tolerance; float16 2e-3, bfloat16 and DynamicQuantizeLSTM,
which rounds inside, 2e-2); 8 and 16 bits within one step, 99.9 % of the elements equal; other integers, and which
elements are not finite, equal. Ends with exit code 1 when something exceeds them. What cannot be passed from one to the
other (sequences, strings, 4-bit types) is computed together with the nodes that use it; what is drawn at random is not
compared."""
import argparse
import copy
import fnmatch
import glob
import os
import sys
from collections import namedtuple

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import adze_runtime

RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}
COARSE = {"Sigmoid": 2e-7}      # ONNX Runtime's is right to so much only, which is all of a result below it
MAX_STEPS, MIN_EQUAL = 1, 0.999

# It rounds its state to 8 bits at every step, where a difference in the last bit of a float may become one of a step.
OPERATOR_TOLERANCE = {"DynamicQuantizeLSTM": 2e-2}

# One compared value: `error` is the worst difference (floats: relative to the largest magnitude of the value; integers:
# steps), `ratio` that over what is allowed, `equal` the share of equal elements.
Row = namedtuple("Row", "order node op value dtype shape error ratio equal note")


# ---- ONNX Runtime ----

def session(model, optimise=False, threads=2):
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.log_severity_level = 3
    # Its DynamicQuantizeLSTM shares the batch among threads, each with a scale for its own rows.
    nodes = (onnx.load(model) if isinstance(model, str) else model).graph.node
    options.intra_op_num_threads = 1 if any(n.op_type == "DynamicQuantizeLSTM" for n in nodes) else threads
    data = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def every_value(model, feeds):
    """What each value of the outermost graph is to ONNX Runtime, what it was fed included."""
    model = copy.deepcopy(model)
    graph = model.graph
    known = {o.name for o in graph.output}
    for node in graph.node:
        graph.output.extend(helper.make_empty_tensor_value_info(o) for o in node.output if o and o not in known)
    s = session(model)
    names = [o.name for o in s.get_outputs()]
    return {**feeds, **dict(zip(names, s.run(names, feeds)))}


# ---- inputs ----

def constants(graph):
    return {i.name for i in graph.initializer} | {i.values.name for i in graph.sparse_initializer}


def inputs_of(model):
    weights = constants(model.graph)
    return [i for i in model.graph.input if i.name not in weights]


def random_feeds(model, seed=0, shapes=None, given=None, scale=1.0):
    """Normally distributed floats, integers below 100, in the model's shapes; `given` goes before."""
    rng, feeds = np.random.default_rng(seed), dict(given or {})
    for i in inputs_of(model):
        t = i.type.tensor_type
        dims = (shapes or {}).get(i.name) or [d.dim_value or 1 for d in t.shape.dim]
        kind = helper.tensor_dtype_to_np_dtype(t.elem_type)
        if i.name in feeds:
            continue
        if kind.kind in "iu":
            feeds[i.name] = rng.integers(0, 100, dims).astype(kind)
        else:
            feeds[i.name] = (rng.normal(size=dims) * scale).astype(kind) if kind != bool else np.ones(dims, bool)
    return feeds


# ---- every node on its own ----

def is_array(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiubV" and value.dtype.names is None


def names_inside(graph):
    """Names that nodes of a graph inside a node read."""
    for node in graph.node:
        yield from reads(node)


def reads(node):
    yield from (i for i in node.input if i)
    for a in node.attribute:
        for g in [a.g] if a.HasField("g") else a.graphs:
            yield from names_inside(g)


def from_constants(graph):
    """Values that no input of the graph has a part in: both programs keep them as constants."""
    known = constants(graph)
    for node in graph.node:
        if node.op_type not in RANDOM and all(n in known for n in reads(node)):
            known.update(node.output)
    return known


def inside_pieces(graph):
    """Float values between DequantizeLinear and QuantizeLinear that nobody else sees."""
    users, made_by = {}, {}
    for node in graph.node:
        made_by.update((o, node) for o in node.output)
        for name in reads(node):
            users.setdefault(name, []).append(node)
    outputs, hidden = {o.name for o in graph.output}, set()

    def leads_to_quantize(value):
        for _ in range(3):       # arithmetic, its activation, their QuantizeLinear
            if value in outputs or len(users.get(value, [])) != 1:
                return False
            node = users[value][0]
            if node.op_type == "QuantizeLinear":
                return node.input[0] == value
            if node.op_type not in ("Relu", "Clip", "Sigmoid", "HardSwish", "LeakyRelu", "Add"):
                return False
            value = node.output[0]
        return False

    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            hidden.update(o for o in node.output if o not in outputs)
        elif node.op_type != "QuantizeLinear":
            fed = [made_by[i].op_type for i in node.input if i in made_by]
            if ("DequantizeLinear" in fed or any(i in hidden for i in node.input)) and leads_to_quantize(
                    node.output[0]):
                hidden.add(node.output[0])
    return hidden


def apart(model, values, nodes, hidden=frozenset()):
    """A model in which each of `nodes` reads inputs of the graph, unless the value is constant or hidden; the names of
    its outputs by the original ones, and the inputs to feed."""
    constant, known = from_constants(model.graph), constants(model.graph)
    cut = {n for n, v in values.items() if is_array(v) and n not in constant and n not in hidden}
    made_by = {o: n for n in model.graph.node for o in n.output}
    needed, wanted, stack = {}, set(), list(nodes)
    while stack:                                # with each node the ones whose results are not fed
        node = stack.pop()
        if id(node) in needed:
            continue
        needed[id(node)] = node
        for name in reads(node):
            if name in cut or name in known:
                wanted.add(name)
            elif name in made_by:
                stack.append(made_by[name])
    out = copy.deepcopy(model)
    graph = out.graph
    for field in ("node", "input", "output", "value_info", "initializer"):
        graph.ClearField(field)
    results = {}
    own = {id(n) for n in nodes}
    for node in model.graph.node:
        if id(node) not in needed:
            continue
        new = graph.node.add()
        new.CopyFrom(node)
        for k, name in enumerate(node.output):
            if name in cut:
                new.output[k] = name + "/alone"
            if id(node) in own and name and is_array(values.get(name)) and name not in hidden:
                results[name] = new.output[k]
    for name in results.values():
        graph.output.append(helper.make_empty_tensor_value_info(name))
    graph.initializer.extend(i for i in model.graph.initializer if i.name in wanted)
    feeds = {n: values[n] for n in wanted if n in cut}
    for name, v in feeds.items():
        graph.input.append(helper.make_tensor_value_info(name, onnx_type(v), v.shape))
    return out, results, feeds


def onnx_type(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def run_apart(model, values, nodes, hidden, threads=0):
    """adze's result for each value of `nodes`; an exception's text where a node does not run."""
    small, results, feeds = apart(model, values, nodes, hidden)
    if not results:
        return {}
    try:
        got = adze_runtime.Model(small, threads=threads).run(feeds)
        return {name: got[new] for name, new in results.items()}
    except adze_runtime.AdzeError as e:
        if len(nodes) == 1:
            return {name: str(e) for name in results}
    half = len(nodes) // 2
    out = run_apart(model, values, nodes[:half], hidden, threads)
    out.update(run_apart(model, values, nodes[half:], hidden, threads))
    return out


def rename(graph, names):
    """Another name for values of a graph, wherever they are read, graphs inside its nodes included."""
    for node in graph.node:
        for field in (node.input, node.output):
            for k, name in enumerate(field):
                field[k] = names.get(name, name)
        for a in node.attribute:
            for g in [a.g] if a.HasField("g") else a.graphs:
                rename(g, names)
    for o in graph.output:
        o.name = names.get(o.name, o.name)


def with_branches(model, values):
    """The model with the nodes of the branches that were taken in the place of If."""
    out = copy.deepcopy(model)
    graph = out.graph
    known = {**{i.name: numpy_helper.to_array(i) for i in graph.initializer}, **values}
    nodes = list(graph.node)
    graph.ClearField("node")
    for node in nodes:
        if node.op_type != "If":
            graph.node.append(node)
            continue
        taken = "then_branch" if known[node.input[0]].item() else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == taken)
        made = [i.name for i in branch.initializer] + [o for n in branch.node for o in n.output if o]
        rename(branch, {name: f"{node.output[0]}/{name}" for name in made})
        for i in branch.initializer:
            i.name = f"{node.output[0]}/{i.name}"
        graph.initializer.extend(branch.initializer)
        graph.node.extend(branch.node)
        graph.node.extend(helper.make_node("Identity", [o.name], [name]) for o, name in zip(branch.output, node.output) if name)
    return out


# ---- comparison ----

def measure(actual, expected, tolerance, coarse=0.0):
    """error, ratio to what is allowed, share of equal elements, note"""
    if isinstance(actual, str) or actual is None:
        return np.inf, np.inf, 0.0, actual or "no result"
    if actual.dtype.name.startswith("float8") and expected.dtype == np.uint8:
        actual = actual.view(np.uint8)      # ONNX Runtime hands out the bytes
    if actual.dtype != expected.dtype or actual.shape != expected.shape:
        return np.inf, np.inf, 0.0, f"{actual.dtype}{list(actual.shape)}, expected {expected.dtype}{list(expected.shape)}"
    if expected.size == 0:
        return 0.0, 0.0, 1.0, ""
    if expected.dtype.kind in "iub":
        off = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
        equal = float(np.mean(actual == expected))
        if expected.dtype.itemsize > 2 or expected.dtype.kind == "b":
            return float(off.max()), 0.0 if equal == 1 else np.inf, equal, ""
        # small tensors cannot have 99.9 % equal elements unless all are: one step in one element is allowed
        allowed = max(1 - MIN_EQUAL, 1 / off.size)
        ratio = off.max() / MAX_STEPS if off.max() > MAX_STEPS else (1 - equal) / allowed
        return float(off.max()), float(ratio), equal, ""
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(e)
    if not np.array_equal(finite, np.isfinite(a)) or not np.array_equal(a[~finite], e[~finite], equal_nan=True):
        return np.inf, np.inf, 0.0, "other elements are infinite or not a number"
    largest = np.abs(e[finite]).max(initial=0.0)
    worst = max(np.abs(a[finite] - e[finite]).max(initial=0.0) - coarse, 0) / max(largest, 1e-30)
    return float(worst), float(worst / tolerance), float(np.mean(a == e)), ""


def compare(model, values, pieces=False, tolerance=1e-4, threads=0):
    """A row for each value of the outermost graph that both programs have, in the order of the graph."""
    hidden = inside_pieces(model.graph) if pieces else frozenset()
    nodes = [n for n in model.graph.node if n.op_type not in RANDOM]
    got, rows = run_apart(model, values, nodes, hidden, threads), []
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    for order, node in enumerate(nodes):
        for k, name in enumerate(node.output):
            # what the mask of Dropout is without training is said since opset 12; ONNX Runtime's is 0 before, adze's 1
            if name not in got or (node.op_type == "Dropout" and k and opset < 12):
                continue
            e = values[name]
            allowed = OPERATOR_TOLERANCE.get(node.op_type, TOLERANCE.get(e.dtype.name, tolerance))
            error, ratio, equal, note = measure(got[name], e, allowed, COARSE.get(node.op_type, 0.0))
            rows.append(Row(order, node.name or node.output[0], node.op_type, name, e.dtype.name, e.shape, error, ratio,
                            equal, note))
    return rows


def quantized(model):
    return any(n.op_type in ("QuantizeLinear", "DequantizeLinear") for n in model.graph.node)


def show(title, rows, worst):
    if not rows:
        return False
    integers = [r for r in rows if r.dtype in ("int8", "uint8", "int16", "uint16")]
    floats = [r for r in rows if r.dtype.startswith(("float", "bfloat"))]
    print(f"{title}: {len(rows)} values compared")
    if floats:
        print(f"  floats: worst relative difference {max(r.error for r in floats):.2g} in {len(floats)} values")
    if integers:
        sizes = [max(int(np.prod(r.shape)), 1) for r in integers]
        equal = sum(r.equal * s for r, s in zip(integers, sizes)) / sum(sizes)
        print(f"  8 and 16 bits: at most {max(r.error for r in integers):.0f} steps apart, {100 * equal:.4f} % equal "
              f"in {len(integers)} values")
    for r in sorted(rows, key=lambda r: -r.ratio)[:worst]:
        print(f"  {r.op:24} {r.dtype:8} {'x'.join(map(str, r.shape)) or 'scalar':18} error {r.error:9.2g} "
              f"equal {100 * r.equal:8.3f} %  {r.value} {r.note}")
    first = next((r for r in rows if not r.ratio <= 1), None)
    if first:
        count = sum(not r.ratio <= 1 for r in rows)
        print(f"  FIRST TO DIFFER of {count}: {first.op} '{first.node}' in its output {first.value}")
    return bool(first)


def whole(model, values, feeds):
    """Each output of the model computed by adze from the inputs: largest difference, and cosine."""
    try:
        got = adze_runtime.Model(model).run(feeds)
    except adze_runtime.AdzeError as e:
        print(f"whole model: adze: {e}")
        return
    for o in model.graph.output:
        a, e = got[o.name], values.get(o.name)
        if not is_array(e) or a is None:
            continue
        error, _, equal, note = measure(a, e, 1.0)
        x, y = (v.astype(np.float64).ravel() if v.shape == e.shape else np.zeros(1) for v in (a, e))
        cosine = x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-300)
        print(f"whole model, {o.name}: difference {error:.2g}, equal {100 * equal:.3f} %, cosine {cosine:.7f} {note}")


def check_model(path, args):
    model = onnx.load(path)
    inputs, given = [i.name for i in inputs_of(model)], {}
    for text in args.input:
        name, _, file = text.rpartition("=")
        given[name or inputs[0]] = np.load(file)
    shapes = {}
    for text in args.shape:
        name, _, dims = text.rpartition("=")
        shapes[name or inputs[0]] = [int(d) for d in dims.split("x")]
    unknown = [n for n in [*given, *shapes] if n not in inputs]
    if unknown:
        raise SystemExit(f"{path}: has no input {unknown[0]}; its inputs are {', '.join(inputs)}")
    feeds = random_feeds(model, args.seed, shapes, given)
    values = every_value(model, feeds)
    rows = compare(model, values, False, args.tolerance)
    bad = show(f"{path}: node by node", rows, args.worst)
    inside, at = model, values
    while next((r.op for r in rows if not r.ratio <= 1), "") == "If":
        inside = with_branches(inside, at)
        at = every_value(inside, feeds)
        rows = compare(inside, at, False, args.tolerance)
        show("with the nodes inside If", rows, args.worst)
    if quantized(model):
        bad |= show("in pieces between integer values", compare(model, values, True, args.tolerance), args.worst)
    if args.worst:
        whole(model, values, feeds)
    return bad


# ---- folders of cases ----

def case_feeds(model, folder):
    feeds = {}
    for k, i in enumerate(inputs_of(model)):
        if not i.type.HasField("tensor_type"):
            return None
        tensor = TensorProto()
        with open(os.path.join(folder, f"input_{k}.pb"), "rb") as f:
            tensor.ParseFromString(f.read())
        feeds[i.name] = numpy_helper.to_array(tensor)
        if i.type.tensor_type.elem_type == TensorProto.STRING:
            return None
    return feeds


def check_cases(root, args):
    total = {"equal": 0, "different": 0, "not compared": 0}
    args.worst = 0
    for path in sorted(glob.glob(os.path.join(root, "**", "model.onnx"), recursive=True)):
        name, folder = os.path.basename(os.path.dirname(path)), os.path.dirname(path)
        if not fnmatch.fnmatch(name, args.only):
            continue
        try:
            feeds = case_feeds(onnx.load(path), os.path.join(folder, "test_data_set_0"))
            values = every_value(onnx.load(path), feeds) if feeds is not None else None
        except Exception as e:      # ONNX Runtime has no common class of what it raises
            values, why = None, str(e).splitlines()[0]
        else:
            why = "sequences or strings"
        if values is None:
            total["not compared"] += 1
            print(f"{name}: ONNX Runtime: {why[:100]}")
            continue
        rows = compare(onnx.load(path), values, False, args.tolerance)
        bad = next((r for r in rows if not r.ratio <= 1), None)
        total["different" if bad else "equal"] += 1
        if bad:
            print(f"{name}: {bad.op} differs in {bad.value}: {bad.error:.2g}, {100 * bad.equal:.2f} % equal {bad.note}")
    print(", ".join(f"{v} {k}" for k, v in total.items()))
    return total["different"] > 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", nargs="+")
    ap.add_argument("--input", action="append", default=[])
    ap.add_argument("--shape", action="append", default=[])
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--tolerance", type=float, default=1e-4)
    ap.add_argument("--worst", type=int, default=10)
    ap.add_argument("--only", default="*")
    args = ap.parse_args()
    return max([check_cases(m, args) if os.path.isdir(m) else check_model(m, args) for m in args.model])


if __name__ == "__main__":
    sys.exit(main())
