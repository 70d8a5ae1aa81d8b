#!/usr/bin/env python3
"""The nine old networks of ONNX's 'light' cases against ONNX Runtime, every value of them.

    light_networks.py [ONNX-OTHER.tar.xz] [--seed 1] [--out bench/results/light_networks.csv]

As they come, all weights are constants and nearly all results the same number. So each is compared twice: as it comes,
the input being arange(n) / n as its expected output wants it, and with seeded random weights (normal with the standard
deviation sqrt(2 / number of inputs), so that values neither vanish nor explode; the last Softmax left out) on a random
picture. Every node is computed by adze from ONNX Runtime's inputs of it (parity.py), then the whole network from its
input. Exit code 1 when a value is further apart than 1e-4 of the largest magnitude (whole network: 1e-3)."""
import argparse
import copy
import csv
import os
import sys
import tarfile
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

import adze_runtime
import parity

DATA = os.environ.get("ADZE_TEST_DATA") or os.path.join(adze_runtime.ROOT, "..", "shared", "data")


def draw(rng, shape, node, k):
    """Weights for input k of `node`."""
    if node.op_type == "BatchNormalization" and k in (1, 4):        # scale, variance
        return rng.uniform(0.5, 1.5, shape)
    if node.op_type == "Unsqueeze":                                 # scales and shifts of caffe2
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) == 1:
        return rng.normal(0, 0.1, shape)
    turned = any(a.name == "transB" and a.i for a in node.attribute)
    fan_in = shape[0] if node.op_type == "Gemm" and not turned else np.prod(shape[1:])
    return rng.normal(0, np.sqrt(2 / fan_in), shape)


def with_random_weights(model, seed):
    model, rng = copy.deepcopy(model), np.random.default_rng(seed)
    shapes = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    made = {n.output[0]: n for n in model.graph.node if n.op_type == "ConstantOfShape"}
    weights = {}
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name in made and name not in weights:
                shape = tuple(int(d) for d in shapes[made[name].input[0]])
                weights[name] = draw(rng, shape, node, k).astype(np.float32)
    last, output = model.graph.node[-1], model.graph.output[0]
    gone = set(weights)
    if last.op_type == "Softmax":       # may be sure of one class, which hides what its input is
        gone.add(output.name)
        output.name = last.input[0]
    kept = [n for n in model.graph.node if n.output[0] not in gone]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in weights.items())
    return model


def compare(name, weights, model, feeds, expected=None):
    values = parity.every_value(model, feeds)
    rows = parity.compare(model, values)
    worst = max(rows, key=lambda r: r.ratio)
    output = model.graph.output[0].name
    got = adze_runtime.Model(model).run(feeds)[output]
    whole = parity.measure(got, values[output] if expected is None else expected, 1e-3)
    return {"network": name, "weights": weights, "nodes": len(model.graph.node), "values": len(rows),
            "worst": f"{worst.error:.2e}", "worst_op": worst.op, "whole": f"{whole[0]:.2e}",
            "std": f"{values[output].std(dtype=np.float64):.3g}", "ok": worst.ratio <= 1 and whole[1] <= 1}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("tar", nargs="?", default=os.path.join(DATA, "conformance", "onnx-other.tar.xz"))
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--out", default=os.path.join(adze_runtime.ROOT, "bench", "results", "light_networks.csv"))
    args = ap.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(args.tar) as tar:
            tar.extractall(folder, [m for m in tar.getmembers() if m.name.lstrip("./").startswith("light/")],
                           filter="data")
        light = os.path.join(folder, "light")
        for file in sorted(f for f in os.listdir(light) if f.endswith(".onnx")):
            model = onnx.load(os.path.join(light, file))
            i = parity.inputs_of(model)[0]
            shape = [d.dim_value for d in i.type.tensor_type.shape.dim]
            n, tensor = int(np.prod(shape)), onnx.TensorProto()
            with open(os.path.join(light, file[:-5] + "_output_0.pb"), "rb") as f:
                tensor.ParseFromString(f.read())
            ramp = (np.arange(n).reshape(shape) / n).astype(np.float32)
            picture = np.random.default_rng(args.seed).normal(size=shape).astype(np.float32)
            for row in (compare(file[6:-5], "constant", model, {i.name: ramp}, numpy_helper.to_array(tensor)),
                        compare(file[6:-5], "random", with_random_weights(model, args.seed), {i.name: picture})):
                results.append(row)
                print(*row.values(), flush=True)
    with open(args.out, "w", newline="") as f:
        out = csv.DictWriter(f, [*results[0], "adze", "onnxruntime"])
        out.writeheader()
        out.writerows({**r, "adze": adze_runtime.VERSION, "onnxruntime": ort.__version__} for r in results)
    return not all(r["ok"] for r in results)


if __name__ == "__main__":
    sys.exit(main())
