#!/usr/bin/env python3
"""Networks quantized by other tools, in adze and in ONNX Runtime.

    quantized_networks.py FOLDER... [--only NAME,...] [--keep FOLDER] [--samples 16] [--csv FILE] [--table FILE.md]

FOLDERs hold networks with their descriptions, as real_networks.py and make_networks.py write them; those of PLAN that are
there are quantized by onnxruntime.quantization (static QDQ, static QOperator, dynamic) and NNCF, those that come quantized
are taken as they are. Each runs on three inputs, the last in other sizes where the network allows it:

- node by node: every node computed by adze from ONNX Runtime's own inputs of it (its optimisation off);
- in pieces between integer values: from DequantizeLinear to QuantizeLinear, which adze computes on integers (parity.py);
- end to end: cosine of each float output, the worst of all; beside it ONNX Runtime's with itself: its optimisation on,
  and its float inputs moved by a millionth. Where rounding makes so much of so little that this is below 0.999, end to
  end says nothing.

Wanted (what is known to differ has its reason in KNOWN): integers within one step everywhere, 99.9 % of the elements
equal, floats within 1e-4 of the largest magnitude of their value, and cosine at least 0.999 where ONNX Runtime's with
itself is. Exit code 1 otherwise. Networks that read text are given drawn text (Pillow and the DejaVu fonts). Needs onnx,
onnxruntime, sympy and, for some, nncf."""
import argparse
import csv
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime import quantization as q

import adze_runtime
import make_ocr_lines
import make_ocr_pages
import network_inputs
import parity

I8, U8 = q.QuantType.QInt8, q.QuantType.QUInt8
QDQ, QOPERATOR = q.QuantFormat.QDQ, q.QuantFormat.QOperator
STATIC = {  # format, activations, weights, a scale for each channel
    "QDQ uint8, int8": (QDQ, U8, I8, False),
    "QDQ uint8, int8 per channel": (QDQ, U8, I8, True),
    "QDQ int8, int8 per channel": (QDQ, I8, I8, True),
    "QDQ uint8, uint8": (QDQ, U8, U8, False),
    "QOperator uint8, uint8": (QOPERATOR, U8, U8, False),
    "QOperator uint8, int8 per channel": (QOPERATOR, U8, I8, True),
    "QOperator int8, int8": (QOPERATOR, I8, I8, False),
}
DYNAMIC = {"dynamic int8": (I8, False), "dynamic uint8": (U8, False), "dynamic int8 per channel": (I8, True)}
AS_IT_COMES = "as it comes"
PLAN = [
    ("ppocr_det", "QDQ uint8, int8 per channel"), ("ppocr_det", "NNCF"),
    ("ppocr_rec", "QDQ int8, int8 per channel"), ("ppocr_rec", "dynamic int8"),
    ("ppocr_cls", "QOperator uint8, uint8"), ("ppocr_cls", "QDQ uint8, int8"),
    ("magika", "QDQ uint8, uint8"), ("magika", "dynamic int8 per channel"),
    ("silero_vad_sequence", "dynamic int8"), ("silero_vad_sequence", "QDQ uint8, int8"),
    ("fashion_mnist", "QOperator int8, int8"), ("fashion_mnist", "NNCF"),
    ("nudenet", "QDQ uint8, int8"), ("dnsmos_p808", "QOperator uint8, int8 per channel"),
    ("ddddocr_int8", AS_IT_COMES), ("tashkeel_int8", AS_IT_COMES),
    ("resnet18", "NNCF"), ("resnet18", "QOperator uint8, int8 per channel"),
    ("mobilenet_v2", "QDQ int8, int8 per channel"), ("mobilenet_v3_small", "NNCF"),
    ("efficientnet_b0", "QDQ uint8, int8"), ("unet", "QOperator uint8, uint8"),
    ("vit_tiny", "QDQ uint8, int8 per channel"), ("swin", "NNCF transformer"),
    ("bert", "dynamic uint8"), ("bert", "NNCF transformer"), ("distilbert", "QOperator uint8, uint8"),
    ("gpt2", "dynamic int8"), ("whisper_encoder", "QDQ int8, int8 per channel"), ("lstm_tagger", "dynamic int8"),
]
FMA = ("halves of QLinearAdd (HardSwish adds in steps of 3/255 : 6/255): ONNX Runtime rounds them as its fused multiply-add "
       "leaves them, without FMA as adze does")
HALF = ("DynamicQuantizeLSTM rounds its state to 8 bits at each step: in one input of three a value (-22.499998 steps in one program, "
        "-22.500006 in the other) goes the other way at step 10 of the first layer, and the steps after it follow (2.2e-2 at last); "
        "all other layers, directions and inputs are within 6e-7")
KNOWN = {("ppocr_cls", "QOperator uint8, uint8"): FMA, ("tashkeel_int8", AS_IT_COMES): HALF}      # what differs, and why
FIELDS = ["network", "architecture", "weights", "quantized", "nodes", "ok", "node_values", "node_steps", "node_equal", "node_float",
          "piece_values", "piece_steps", "piece_equal", "piece_worst_tensor", "cosine", "itself", "why", "adze", "onnxruntime", "nncf"]


def pictures(images, mean=0.5, std=0.5):
    pixels = np.stack([np.asarray(i, np.float32) for i in images]) / 255
    return np.ascontiguousarray(((pixels - mean) / std).transpose(0, 3, 1, 2), np.float32)


def feeds_of(description, seed, other=False):
    """As the description says, but text for those that read it: of noise they say nothing, each time another."""
    name, rng = description["name"], np.random.default_rng(seed)
    if name == "ppocr_det":
        page = make_ocr_pages.page(seed)[0]
        return {"x": pictures([page.crop((0, 64, *((256, 384) if other else (320, 320))))],
                              (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
    if name in ("ppocr_rec", "ppocr_cls"):
        return {"x": pictures([make_ocr_lines.line(rng, make_ocr_pages.fonts()) for _ in range(3 if other else 1)])}
    return network_inputs.make(description, seed, other)


def moved(feeds, seed):
    rng = np.random.default_rng(seed)
    return {k: v + (1e-6 * np.abs(v).max() * rng.standard_normal(v.shape)).astype(v.dtype) if v.dtype.kind == "f" else v
            for k, v in feeds.items()}


class Samples(q.CalibrationDataReader):
    def __init__(self, description, count):
        self.feeds = [feeds_of(description, 100 + seed) for seed in range(count)]
        self.at = 0

    def get_next(self):
        self.at += 1
        return self.feeds[self.at - 1] if self.at <= len(self.feeds) else None


def recent(model):
    """At least opset 13, which scales per channel need; weights as initializers, which the quantizers look for."""
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < 13:
        model = onnx.version_converter.convert_version(model, 17)
    for node in [n for n in model.graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]:
        node.attribute[0].t.name = node.output[0]
        model.graph.initializer.append(node.attribute[0].t)
        model.graph.node.remove(node)
    return model


def prepared(path, folder):
    """With shapes, as onnxruntime.quantization wants it; what that leaves in the working folder goes with `folder`."""
    path = os.path.abspath(path)
    before = os.getcwd()
    os.chdir(folder)
    try:
        return with_shapes(path, folder)
    finally:
        os.chdir(before)


def with_shapes(path, folder):
    model, new, done = recent(onnx.load(path)), os.path.join(folder, "recent.onnx"), os.path.join(folder, "prepared.onnx")
    onnx.save(model, new)
    for symbolic in (True, False):
        try:
            q.shape_inference.quant_pre_process(new, done, skip_symbolic_shape=not symbolic, skip_optimization=True)
            return done
        except Exception as e:      # its shape inference does not know all networks; quantization may do without
            print(f"    quant_pre_process: {(str(e) or type(e).__name__).splitlines()[0][:100]}")
    return new


def by_nncf(path, description, count, transformer, out):
    """In a process of its own: whoever has no nncf can do without these."""
    code = """
import sys, json, nncf, onnx
import quantized_networks
path, out, count, kind, description = sys.argv[1:]
description = json.loads(description)
feeds = [quantized_networks.feeds_of(description, 100 + seed) for seed in range(int(count))]
model = nncf.quantize(onnx.load(path), nncf.Dataset(feeds), subset_size=int(count), fast_bias_correction=True,
                      model_type=nncf.ModelType.TRANSFORMER if kind == "transformer" else None)
onnx.save(model, out)"""
    done = subprocess.run([sys.executable, "-c", code, path, out, str(count), "transformer" if transformer else "network",
                           json.dumps(description)], capture_output=True, text=True, cwd=os.path.dirname(os.path.abspath(__file__)))
    if done.returncode != 0:
        raise RuntimeError(f"nncf: {done.stderr.strip().splitlines()[-1]}")


def quantize(path, description, method, count, out):
    """Writes `out`."""
    if method == AS_IT_COMES:
        onnx.save(onnx.load(path), out)
        return
    with tempfile.TemporaryDirectory() as folder:
        if method.startswith("NNCF"):
            new = os.path.join(folder, "recent.onnx")
            onnx.save(recent(onnx.load(path)), new)
            by_nncf(new, description, count, "transformer" in method, out)
            return
        source = prepared(path, folder)
        if method in DYNAMIC:
            weights, channels = DYNAMIC[method]
            q.quantize_dynamic(source, out, weight_type=weights, per_channel=channels)
        else:
            form, activations, weights, channels = STATIC[method]
            q.quantize_static(source, out, Samples(description, count), quant_format=form, activation_type=activations,
                              weight_type=weights, per_channel=channels)


class Tally:
    """What the integers and floats of several runs come to."""

    def __init__(self):
        self.values = self.elements = self.equal = 0
        self.steps = self.floats = 0.0
        self.worst_tensor, self.others_fit, self.bad = 1.0, True, []

    def add(self, rows):
        for r in rows:
            self.values += 1
            size = max(int(np.prod(r.shape)), 1)
            if r.dtype in ("int8", "uint8", "int16", "uint16"):
                self.elements += size
                self.equal += r.equal * size
                self.steps = max(self.steps, r.error)
                self.worst_tensor = min(self.worst_tensor, r.equal)
            else:
                self.floats = max(self.floats, r.error if r.dtype.startswith(("float", "bfloat")) else 0.0)
                self.others_fit &= r.ratio <= 1
            if not r.ratio <= 1:
                self.bad.append(r)

    def show(self, most=4):
        for r in sorted(self.bad, key=lambda r: -r.ratio)[:most]:
            print(f"    {r.op} {r.value} {r.dtype}{list(r.shape)}: error {r.error:.3g}, {100 * r.equal:.3f} % equal {r.note}")

    @property
    def share(self):
        return self.equal / self.elements if self.elements else 1.0

    @property
    def ok(self):
        return self.steps <= 1 and self.share >= 0.999 and self.others_fit


def cosine(a, b):
    if a.shape != b.shape:
        return 0.0
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    if not a.any() and not b.any():
        return 1.0
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300))


def compare(path, description):
    model, nodes, pieces, nearest, itself = onnx.load(path), Tally(), Tally(), 1.0, 1.0
    outputs = [o.name for o in model.graph.output]
    whole, theirs, optimised = adze_runtime.Model(path), parity.session(path), parity.session(path, optimise=True)
    for seed in range(3):
        feeds = feeds_of(description, seed, other=seed == 2 and "other" in description)
        values = parity.every_value(model, feeds)
        nodes.add(parity.compare(model, values))
        pieces.add(parity.compare(model, values, pieces=True))
        got = whole.run(feeds)
        again = [dict(zip(outputs, s.run(outputs, f))) for s, f in ((theirs, moved(feeds, seed)), (optimised, feeds))]
        for name in outputs:
            if isinstance(values[name], np.ndarray) and values[name].dtype.kind == "f" and values[name].size > 1:
                nearest = min(nearest, cosine(got[name], values[name]))
                itself = min(itself, *(cosine(other[name], values[name]) for other in again))
    return nodes, pieces, nearest, itself


def check(path, description, method, args):
    keep = args.keep or tempfile.gettempdir()
    out = os.path.join(os.path.abspath(keep), f"{description['name']}-{method.replace(', ', '-').replace(' ', '-')}.onnx")
    nncf = importlib.metadata.version("nncf") if method.startswith("NNCF") else ""
    if not (args.keep and os.path.exists(out)):
        quantize(path, description, method, args.samples, out)
    nodes, pieces, near, itself = compare(out, description)
    nodes.show()
    pieces.show()
    ok = nodes.ok and pieces.ok and (near >= 0.999 or itself < 0.999)
    return dict(zip(FIELDS, [
        description["name"], description["architecture"], description["weights"], method, len(onnx.load(out).graph.node), ok,
        nodes.values, int(nodes.steps), f"{100 * nodes.share:.4f}", f"{nodes.floats:.1e}",
        pieces.values, int(pieces.steps), f"{100 * pieces.share:.4f}", f"{100 * pieces.worst_tensor:.3f}", f"{near:.6f}", f"{itself:.6f}",
        "" if ok else KNOWN.get((description["name"], method), ""),
        adze_runtime.VERSION, ort.__version__, nncf]))


TABLE = """# Networks quantized by other tools

Made by `bench/peers/quantized_networks.py`: adze {adze} beside ONNX Runtime {onnxruntime}{nncf}. Every network runs on three
inputs. *Nodes*: every node computed by adze from ONNX Runtime's own inputs of it (its optimisation off). *Pieces*: from
DequantizeLinear to QuantizeLinear, which adze computes on integers and ONNX Runtime, so run, on floats. Given are the share of equal
8-bit elements and the largest distance in steps. *Cosine*: of the outputs end to end, the worst over inputs and outputs.
*Itself*: the same of ONNX Runtime with itself, its optimisation on, and its float inputs moved by a millionth; where that
is below 0.999, rounding makes so much of so little that end to end says nothing.

{strict} of {all} are within one step everywhere, equal in 99.9 % of the elements and have a cosine of at least 0.999. {loose} more
are so but for the cosine, and ONNX Runtime's own is below 0.999 there.

| network | weights | quantized | nodes | equal | steps | pieces: equal | steps | cosine | itself |
|---|---|---|---|---|---|---|---|---|---|
"""


def write_table(path, rows):
    nncf = next((r["nncf"] for r in rows if r["nncf"]), "")
    reasons = [r["why"] for r in rows if r["why"]]
    with open(path, "w", encoding="utf-8") as f:
        strict = sum(bool(r["ok"]) and float(r["cosine"]) >= 0.999 for r in rows)
        f.write(TABLE.format(adze=rows[0]["adze"], onnxruntime=rows[0]["onnxruntime"], nncf=f", NNCF {nncf}" if nncf else "",
                             all=len(rows), strict=strict, loose=sum(bool(r["ok"]) for r in rows) - strict))
        for r in rows:
            mark = " *" if r["why"] else ""
            f.write(f"| {r['network']} ({r['architecture']}){mark} | {r['weights']} | {r['quantized']} | {r['nodes']} "
                    f"| {r['node_equal']} % | {r['node_steps']} | {r['piece_equal']} % | {r['piece_steps']} | {r['cosine']} | {r['itself']} |\n")
        f.writelines(f"\n\\* {why}.\n" for why in dict.fromkeys(reasons))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", nargs="+")
    ap.add_argument("--only", default="")
    ap.add_argument("--keep", help="folder for the quantized models; those there are used again")
    ap.add_argument("--samples", type=int, default=16)
    ap.add_argument("--csv")
    ap.add_argument("--table")
    args = ap.parse_args()
    found = {d["name"]: (path, d) for path, d in network_inputs.find(args.folder)}
    rows, failed = [], []
    for name, method in PLAN:
        if name not in found or (args.only and name not in args.only.split(",")):
            continue
        print(f"{name}, {method}", flush=True)
        try:
            row = check(*found[name], method, args)
        except Exception as e:      # of three programs
            failed.append(name)
            print(f"    {type(e).__name__}: {str(e)[:600]}", flush=True)
            continue
        rows.append(row)
        print("    " + " ".join(f"{k}={row[k]}" for k in FIELDS[5:17]), flush=True)
    if args.csv and rows:
        with open(args.csv, "w", newline="") as f:
            out = csv.DictWriter(f, FIELDS)
            out.writeheader()
            out.writerows(rows)
    if args.table and rows:
        write_table(args.table, rows)
    print(f"{sum(r['ok'] for r in rows)} of {len(rows)} as wanted; not compared: {', '.join(failed) or 'none'}")
    return bool(failed) or not all(r["ok"] or r["why"] for r in rows)


if __name__ == "__main__":
    sys.exit(main())
