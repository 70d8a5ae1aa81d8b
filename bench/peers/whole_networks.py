#!/usr/bin/env python3
"""Runs whole networks in adze and in ONNX Runtime on the same inputs, and says how far their outputs are apart.

    whole_networks.py FOLDER... [--adze build/adze] [--only NAME,...] [--out CSV] [--table docs/networks.md] [--time]

A folder holds NAME.onnx with NAME.json (make_networks.py and real_networks.py write both). For each network three seeded inputs, and
one of other sizes where dimensions are free. Every floating-point output must vary over the three by at least 1 % of its
magnitude (a network that says the same to everything proves nothing), and adze's must be within 1e-3 of its largest
magnitude of ONNX Runtime's; whole numbers must be equal. Quantized networks, where one step may decide many, must be as near as a
cosine of 0.999 (parity.py compares them node by node). The reference is ONNX Runtime with its graph optimisations off;
`runtime_itself` is how far it then is from itself with all of them on. --time adds medians of both on one thread.
"""
import argparse
import collections
import csv
import datetime
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import network_inputs
import numpy as np
import onnx
import onnxruntime
from programs import processor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT, VARIES, NEAR, GOOD = 1e-3, 0.01, 0.999, ("equal", "near")
FIELDS = ["date", "network", "architecture", "source", "exporter", "opset", "weights", "nodes", "operators", "inputs",
          "varies", "worst_difference", "runtime_itself", "cosine", "adze_ms", "onnxruntime_ms", "verdict", "why", "adze", "onnxruntime"]


def graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [attribute.g] * attribute.HasField("g") + list(attribute.graphs):
                yield from graphs(inner)


def census(path):
    """Opset, nodes and distinct operators (with what functions and branches hold), who made the file."""
    model = onnx.load(path, load_external_data=False)
    opset = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    nodes = [n for g in graphs(model.graph) for n in g.node]
    nodes += [n for f in model.functions for n in f.node]
    functions = {(f.domain, f.name) for f in model.functions}
    nodes = [n for n in nodes if (n.domain, n.op_type) not in functions]
    return opset, len(nodes), len({(n.domain, n.op_type) for n in nodes}), model.producer_name


def runtime(path, optimised):
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def save(inputs, folder):
    os.makedirs(folder, exist_ok=True)
    words = []
    for i, (name, value) in enumerate(inputs.items()):
        file = os.path.join(folder, f"input{i}.npy")
        np.save(file, value)
        words += ["--input", f"{name}={file}"]
    return words


def run_adze(adze, path, inputs, names, folder):
    """Outputs in the order of the graph, or the program's message as a text."""
    out = os.path.join(folder, "out")
    os.makedirs(out, exist_ok=True)
    done = subprocess.run([adze, "run", path, *save(inputs, folder), "--output-dir", out], capture_output=True, text=True,
                          timeout=900, check=False)
    if done.returncode != 0:
        return " ".join(done.stderr.split()) or f"exit code {done.returncode}"
    return [np.load(os.path.join(out, re.sub(rb"[^A-Za-z0-9._-]", b"_", n.encode()).decode() + ".npy")) for n in names]


def apart(ours, theirs):
    """The largest difference relative to the largest magnitude, infinite where shapes, types or non-numbers differ."""
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    if not theirs.size:
        return 0.0
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(a[np.isinf(b)], b[np.isinf(b)]):
        return float("inf")
    good = np.isfinite(b)
    difference = np.abs(a[good] - b[good]).max(initial=0)
    if not np.issubdtype(theirs.dtype, np.floating):
        return float("inf") if difference else 0.0
    return float(difference / max(np.abs(b[good]).max(initial=0), 1e-30))


def cosine(ours, theirs):
    if ours.shape != theirs.shape:
        return 0.0
    a, b = ours.astype(np.float64).ravel(), theirs.astype(np.float64).ravel()
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300)) if b.any() else 1.0


def varies(outputs):
    """How much one output varies over the inputs, relative to its largest magnitude; a size that varies counts as 1."""
    if len({o.shape for o in outputs}) > 1:
        return 1.0
    with np.errstate(invalid="ignore"):
        stack = np.nan_to_num(np.stack(outputs).astype(np.float64), posinf=0, neginf=0)
    if not stack.size:
        return 0.0
    return float((stack.max(0) - stack.min(0)).max() / max(np.abs(stack).max(), 1e-30))


def compare(path, description, adze, folder):
    """(inputs run, least variation, worst difference, the runtime's own, least cosine, where) or raises with the reason."""
    plain, best = runtime(path, False), runtime(path, True)
    names = [o.name for o in plain.get_outputs()]
    worst, own, near = 0.0, 0.0, 1.0
    where, results = "", []
    cases = [(seed, False) for seed in (1, 2, 3)] + [(4, True)] * ("other" in description)
    for seed, other in cases:
        inputs = network_inputs.make(description, seed, other)
        theirs = plain.run(None, inputs)
        own = max([own] + [apart(b, t) for b, t in zip(best.run(None, inputs), theirs)])
        ours = run_adze(adze, path, inputs, names, os.path.join(folder, str(seed)))
        if isinstance(ours, str):
            raise RuntimeError(ours)
        for name, o, t in zip(names, ours, theirs):
            d = apart(o, t)
            near = min(near, cosine(o, t))
            if d > worst:
                worst, where = d, f"{name}, input {seed}: {o.dtype}{list(o.shape)} against {t.dtype}{list(t.shape)}"
        if not other:
            results.append(theirs)
    vary = min(varies([r[i] for r in results]) for i, name in enumerate(names)
               if name not in description.get("unlike", ()) and np.issubdtype(results[0][i].dtype, np.floating))
    return len(cases), vary, worst, own, near, where


def measure(path, description, adze, folder):
    """Median milliseconds of adze and of ONNX Runtime (all optimisations), one thread each, in turns."""
    inputs = network_inputs.make(description, 1)
    session = runtime(path, True)
    command = [adze, "bench", path, "--commands", "--threads", "1", *save(inputs, folder)]
    times = ([], [])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("adze bench did not start")
        for round_ in range(7):
            process.stdin.write("run 3\n")
            process.stdin.flush()
            ours, theirs = [float(w) for w in process.stdout.readline().split()], []
            for _ in range(3):
                start = time.perf_counter_ns()
                session.run(None, inputs)
                theirs.append((time.perf_counter_ns() - start) / 1e6)
            if round_:
                times[0].extend(ours)
                times[1].extend(theirs)
        process.stdin.close()
    return [statistics.median(t) for t in times]


def judge(path, description, args, version):
    opset, nodes, operators, producer = census(path)
    row = {"date": datetime.date.today().isoformat(), "network": description["name"], "opset": opset, "nodes": nodes,
           "operators": operators, "adze": version, "onnxruntime": onnxruntime.__version__,
           "exporter": description.get("exporter", producer), **{k: description[k] for k in ("architecture", "source", "weights")}}
    with tempfile.TemporaryDirectory() as folder:
        try:
            row["inputs"], row["varies"], row["worst_difference"], row["runtime_itself"], near, where = \
                compare(path, description, args.adze, folder)
            if description.get("quantized"):
                row["cosine"] = near
                row["verdict"] = "near" if near >= NEAR and row["varies"] >= VARIES else "DIFFERS"
            elif row["worst_difference"] > LIMIT:
                row.update(verdict="DIFFERS", why=where)
            elif row["varies"] < VARIES:
                row.update(verdict="TOO ALIKE", why="an output hardly varies with the inputs")
            else:
                row["verdict"] = "equal"
            if args.time and row["verdict"] in GOOD:
                row["adze_ms"], row["onnxruntime_ms"] = measure(path, description, args.adze, folder)
        except Exception as error:  # the run goes on; the reason stands in the table
            row.update(verdict="FAILS", why=str(error))
    return row


def text_of(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_table(rows, file):
    equal = [r for r in rows if r["verdict"] == "equal"]
    counts = collections.Counter(r["architecture"] for r in equal)
    real = sum(r["weights"].startswith("real") for r in equal)
    quantized = [r for r in rows if "cosine" in r]
    first = rows[0]
    lines = [
        "# Whole networks against ONNX Runtime", "",
        f"{len(equal)} of {len(rows) - len(quantized)} networks are equal within {LIMIT:g} of the largest magnitude of each output,",
        f"of {len(counts)} architectures, {real} with real weights. Of {len(quantized)} that came quantized,",
        f"{sum(r['verdict'] == 'near' for r in quantized)} are near: a cosine of at least {NEAR}.", "",
        f"adze {first['adze']}, ONNX Runtime {first['onnxruntime']}, onnx {onnx.__version__}, {processor()}, {first['date']}.", "",
        "Made by `bench/peers/whole_networks.py`, where it says what is compared, and how; the networks by `bench/peers/make_networks.py`",
        "(random weights, fixed seeds) and `bench/peers/real_networks.py` (files that packages carry). *varies*: the least that a",
        "floating-point output varies over three inputs, of its magnitude. *difference*: the worst over all outputs and inputs. *itself*: how",
        "far ONNX Runtime is from itself with and without its graph optimisations. *ms*: medians of a run on one thread, in turns, ONNX",
        "Runtime with all its optimisations, on a machine that did other work too: no measurement of speed, but a look for gaps.", "",
        "| network | architecture | made by | opset | weights | nodes | operators | varies | difference | itself | adze ms | "
        "ONNX Runtime ms | verdict |", "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        lines.append("| " + " | ".join(text_of(r.get(k, "")) for k in (
            "network", "architecture", "made", "opset", "weights", "nodes", "operators", "varies", "worst_difference", "runtime_itself",
            "adze_ms", "onnxruntime_ms", "verdict")) + " |")
    with open(file, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--adze", default=os.path.join(ROOT, "build/adze"))
    parser.add_argument("--only", default="")
    parser.add_argument("--out", help="a CSV file to write")
    parser.add_argument("--table", help="a Markdown file to write")
    parser.add_argument("--time", action="store_true")
    args = parser.parse_args()
    version = subprocess.run([args.adze, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    rows = []
    for path, description in network_inputs.find(args.folders, [n for n in args.only.split(",") if n]):
        row = judge(path, description, args, version)
        row["made"] = ", ".join(filter(None, (row["source"], row["exporter"])))
        rows.append(row)
        said = " ".join(f"{k} {text_of(row[k])}" for k in ("nodes", "varies", "worst_difference", "runtime_itself", "adze_ms", "onnxruntime_ms")
                        if k in row)
        print(f"{row['verdict']:9} {row['network']}: {said} {row.get('why', '')}", flush=True)
    if not rows:
        sys.exit("no networks: a folder needs NAME.onnx with NAME.json")
    bad = sum(r["verdict"] not in GOOD for r in rows)
    print(f"{len(rows) - bad} passed, {bad} failed")
    if args.out:
        with open(args.out, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows({k: text_of(v) for k, v in row.items()} for row in rows)
    if args.table:
        write_table(rows, args.table)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
