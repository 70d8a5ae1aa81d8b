"""The default model in adze and in ONNX Runtime, float and quantized: outputs, files, what runs as integers."""
import gzip
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort

ADZE, SOURCE = os.environ["ADZE"], os.environ["ADZE_SOURCE"]
MODELS = os.path.join(SOURCE, "models", "fashion-mnist")
FLOAT = os.path.join(MODELS, "fashion-mnist.onnx")
counts = {"passed": 0, "failed": 0}


def check(name, good, said):
    counts["passed" if good else "failed"] += 1
    print(f"{'ok    ' if good else 'FAILED'} {name}: {said}", flush=True)


def adze(*args, level=None):
    env = dict(os.environ, **({"ADZE_CPU": level} if level else {}))
    done = subprocess.run([ADZE, *args], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"FAILED adze {' '.join(args)}: exit code {done.returncode}\n{done.stderr[-800:]}")
        counts["failed"] += 1
    return done.returncode == 0


def images():
    with gzip.open(os.path.join(MODELS, "t10k-images-idx3-ubyte.gz")) as f:
        pixels = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    p = json.load(open(os.path.join(MODELS, "preprocess.json")))
    return ((pixels * p["scale"] - p["mean"][0]) / p["std"][0]).astype(np.float32)


def session(path, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL, save=None):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    options.intra_op_num_threads = 2
    if save:
        options.optimized_model_filepath = save
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_ort(s, x, batch=500):
    return np.concatenate([s.run(None, {"image": x[i:i + batch]})[0] for i in range(0, len(x), batch)])


def run_adze(path, x):
    np.save("x.npy", x)
    return np.load("out/logits.npy") if adze("run", path, "--input", "x.npy", "--output-dir", "out") else None


def agreement(a, b):
    return float(np.mean(a.argmax(1) == b.argmax(1)))


def weight_bytes(path):
    """Bytes of float and of 8-bit constants with at least 2 axes."""
    out = {"float": 0, "int": 0}
    for t in onnx.load(path).graph.initializer:
        if len(t.dims) >= 2:
            n = int(np.prod(t.dims))
            if t.data_type == onnx.TensorProto.FLOAT:
                out["float"] += 4 * n
            elif t.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8):
                out["int"] += n
    return out


def float_layers(path):
    """Layers of an optimised graph that multiply floats: their weights are a float initializer, or none."""
    graph = onnx.load(path).graph
    return [n.name or n.op_type for n in graph.node
            if n.op_type in ("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul",
                             "NhwcFusedConv")]


def check_static(name, path, x, left_float, reference, near_wanted=0.999):
    """near_wanted: sums that lie almost on the border between two steps are rounded by ONNX Runtime after float
    arithmetic and here after exact integer arithmetic; where ranges are clipped, later layers enlarge that."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    ours = run_adze(path, x)
    theirs = run_ort(session(path, save="optimised.onnx"), x)
    plain = run_ort(session(path, ort.GraphOptimizationLevel.ORT_DISABLE_ALL), x)
    same = agreement(ours, theirs)
    check(f"{name}: best class as ONNX Runtime, optimised", same >= near_wanted, f"{100 * same:.2f} %")
    scales = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    last = [n for n in onnx.load(path).graph.node if n.output[0] == "logits"][0]
    if last.op_type == "DequantizeLinear":
        step = float(scales[last.input[1]])
        near = float(np.mean(np.abs(ours - plain) <= step * 1.001))
        equal = float(np.mean(np.abs(ours - plain) <= step * 0.001))
        check(f"{name}: logits within one step of ONNX Runtime, not optimised", near >= near_wanted,
              f"{100 * near:.3f} %, equal {100 * equal:.2f} %")
    floats = float_layers("optimised.onnx")
    check(f"{name}: no float layers in ONNX Runtime's optimised graph but those the recipe leaves in float",
          len(floats) <= left_float, f"{len(floats)}, the recipe leaves {left_float}: {' '.join(floats)[:200]}")
    print(f"       {name}: best class as the float model {100 * agreement(ours, reference):.2f} %, "
          f"file {os.path.getsize(path) / os.path.getsize(FLOAT):.3f} of the original")


def main():
    x = images()
    reference = run_ort(session(FLOAT), x)
    ours = run_adze(FLOAT, x)
    worst = float(np.abs(ours - reference).max())
    check("float: largest difference from ONNX Runtime at most 1e-4", worst <= 1e-4, f"{worst:.2g}")

    data = ["--calibration", os.path.join(MODELS, "calib-images-idx3-ubyte.gz"),
            "--preprocess", os.path.join(MODELS, "preprocess.json"), "--samples", "256"]
    for name, options, near in (
            ("static", [], 0.999),
            # ONNX Runtime on x86 takes signed activations for integers only where no two layers share one.
            ("static symmetric", ["--symmetric", "--set", "activations.type=uint8"], 0.998),
            ("static per tensor, mse", ["--per-tensor", "--calibrator", "mse"], 0.998),
            ("static, corrected", ["--equalize", "--bias-correction", "--calibrator", "percentile"], 0.995)):
        if adze("quantize", FLOAT, *data, *options, "--output", "q.onnx"):
            check_static(name, "q.onnx", x, 0, reference, near)
    float_bytes = weight_bytes(FLOAT)["float"]
    share = weight_bytes("q.onnx")["int"] / float_bytes
    check("quantized weights at most 26 % of the original's", share <= 0.26, f"{100 * share:.2f} %")

    best = os.path.join(os.environ["ADZE_BUILD"], "demo", "best.onnx")
    if os.path.exists(best):
        recipe = json.load(open(best.replace(".onnx", ".recipe.json")))
        left = recipe.get("resolved", {}).get("float_nodes") or recipe.get("float_nodes", [])
        check_static("best of the demo", best, x, len(left), reference)

    # What else the writer writes: it must load, and mean what adze computes.
    for name, options in (("float16", ["--scheme", "float16"]),
                          ("dynamic", ["--scheme", "dynamic"]),
                          ("weights int8", ["--scheme", "weight_only"]),
                          ("weights int4", ["--scheme", "weight_only", "--set", "weights.type=int4",
                                            "--set", "weights.granularity=block"])):
        if not adze("quantize", FLOAT, *options, "--output", "w.onnx"):
            continue
        onnx.checker.check_model(onnx.load("w.onnx"), full_check=True)
        try:
            theirs = run_ort(session("w.onnx"), x[:1000], 1000)  # dynamic: the range is that of the batch
        except Exception as e:  # what ONNX Runtime raises has no common class
            check(f"{name}: loads in ONNX Runtime", False, str(e)[:300])
            continue
        same = agreement(run_adze("w.onnx", x[:1000]), theirs)
        check(f"{name}: best class as ONNX Runtime", same >= 0.999, f"{100 * same:.2f} %")
    if adze("convert", FLOAT, "c.onnx"):
        onnx.checker.check_model(onnx.load("c.onnx"), full_check=True)
        worst = float(np.abs(run_ort(session("c.onnx"), x[:500]) - reference[:500]).max())
        check("converted: the same model to ONNX Runtime", worst <= 1e-5, f"{worst:.2g}")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
