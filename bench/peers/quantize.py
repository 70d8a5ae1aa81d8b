#!/usr/bin/env python3
"""Quantizes a float16 GGUF of random weights with adze and with llama-quantize, in turn, into bench/results/quantize.csv.

    ADZE_LLAMA_BIN=llama.cpp/build/bin bench/peers/quantize.py [--types Q4_K_M,Q8_0] [--rounds 3] [--folder /dev/shm]

Needs numpy and gguf. The model has the shape of Llama-3.2-1B (2.5 GB; --small: a twentieth), seeded, and lies in the
folder, as the outputs do: a tmpfs, unless --folder says otherwise; it is read once before, so that it is in the page
cache. With --disk the first type is also written to that folder, synced by adze as always, and by a sync of the other's
file. For each type: wall and processor time (medians), peak resident size, whether both chose the same type for each
tensor, and the relative error of both on some rows of one tensor of each type.
"""
import argparse
import csv
import os
import statistics
import subprocess
import sys
import time

import gguf
import numpy as np
from programs import processor, said_version

SHAPES = {"1b": dict(width=2048, layers=16, ffn=8192, heads=32, kv=8, vocabulary=128256),
          "small": dict(width=1024, layers=4, ffn=4096, heads=16, kv=4, vocabulary=16384)}


def tensors(s):
    head = s["width"] // s["heads"]
    yield "token_embd.weight", (s["vocabulary"], s["width"])
    yield "output_norm.weight", (s["width"],)
    for i in range(s["layers"]):
        for name, shape in (("attn_norm", (s["width"],)), ("attn_q", (s["width"], s["width"])),
                            ("attn_k", (s["kv"] * head, s["width"])), ("attn_v", (s["kv"] * head, s["width"])),
                            ("attn_output", (s["width"], s["width"])), ("ffn_norm", (s["width"],)),
                            ("ffn_gate", (s["ffn"], s["width"])), ("ffn_up", (s["ffn"], s["width"])),
                            ("ffn_down", (s["width"], s["ffn"]))):
            yield f"blk.{i}.{name}.weight", shape


def make(path, s):
    """Normal weights, a few of them ten times as large, as models have them."""
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(path + ".new", "llama")
    w.add_context_length(8192)
    w.add_embedding_length(s["width"])
    w.add_block_count(s["layers"])
    w.add_feed_forward_length(s["ffn"])
    w.add_head_count(s["heads"])
    w.add_head_count_kv(s["kv"])
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(500000.0)
    w.add_rope_dimension_count(s["width"] // s["heads"])
    w.add_vocab_size(s["vocabulary"])
    w.add_file_type(1)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("llama-bpe")
    w.add_token_list(["t", "0", "t0"] + [f"t{i}" for i in range(3, s["vocabulary"])])
    w.add_token_types([1] * s["vocabulary"])
    w.add_token_merges(["t 0"])
    for name, shape in tensors(s):
        kind = np.float32 if len(shape) == 1 else np.float16
        w.add_tensor_info(name, shape, np.dtype(kind), int(np.prod(shape)) * np.dtype(kind).itemsize)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_ti_data_to_file()
    for name, shape in tensors(s):
        if len(shape) == 1:
            values = np.ones(shape, np.float32)
        else:
            values = rng.standard_normal(shape, np.float32) * np.float32(0.02)
            values[rng.random(shape, np.float32) < 0.001] *= 10
            values = values.astype(np.float16)
        w.write_tensor_data(values)
    w.close()
    os.rename(path + ".new", path)


# In a small process of its own: what a child counts as its peak begins with its parent's size.
RUN = """
import os, subprocess, sys, time
start = time.monotonic()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
said = child.stderr.read()
_, code, used = os.wait4(child.pid, 0)
print(time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
if code:
    sys.exit(said.decode(errors="replace")[-2000:])
"""


def run(command):
    """Wall seconds, processor seconds, peak resident bytes."""
    said = subprocess.run([sys.executable, "-S", "-c", RUN, *command], capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(f"{' '.join(command)}: failed\n{said.stderr}")
    return [float(word) for word in said.stdout.split()]


def error(source, made):
    """Relative root of mean squared error over 64 rows from the middle."""
    first = source.data.shape[0] // 2
    was = source.data[first:first + 64].astype(np.float32)
    now = gguf.quants.dequantize(made.data[first:first + 64], made.tensor_type)
    return float(np.sqrt(((now - was) ** 2).sum() / (was ** 2).sum()))


def compare(source, ours, theirs):
    """Same types? And the errors of both by type, one tensor each."""
    source, ours, theirs = ({t.name: t for t in gguf.GGUFReader(p).tensors} for p in (source, ours, theirs))
    same = ours.keys() == theirs.keys() and all(ours[n].tensor_type == theirs[n].tensor_type for n in ours)
    errors = {}
    for name, t in ours.items():
        kind = t.tensor_type.name
        if kind not in errors and kind not in ("F32", "F16") and len(t.shape) == 2:
            errors[kind] = (error(source[name], t), error(source[name], theirs[name]))
    return same, errors


def on_disk(args, binaries, source, threads):
    """The columns behind the facts, for outputs on a disk; both end when the file is there."""
    kind = args.types.split(",")[0]
    paths = [os.path.join(args.disk, f"adze-bench-{p}.gguf") for p in ("ours", "theirs")]
    theirs = f"{os.path.join(binaries, 'llama-quantize')} {source} {paths[1]} {kind} {threads} && sync {paths[1]}"
    runs = [run([args.adze, "quantize", source, paths[0], "--type", kind, "--threads", str(threads)]),
            run(["sh", "-c", theirs])]
    for path in paths:
        os.remove(path)
    (a, b, c), (d, e, f) = runs
    return [kind, round(a, 2), round(d, 2), round(d / a, 2), round(b, 2), round(e, 2), round(e / b, 2), int(c), int(f),
            "", ""]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--adze", default="build/adze")
    ap.add_argument("--types", default="Q4_K_M,Q8_0,Q6_K,Q4_0")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--folder", default="/dev/shm")
    ap.add_argument("--disk", help="a folder on a disk")
    ap.add_argument("--small", action="store_true")
    ap.add_argument("--out", default="bench/results/quantize.csv")
    args = ap.parse_args()
    binaries = os.environ.get("ADZE_LLAMA_BIN") or sys.exit("ADZE_LLAMA_BIN: the folder of llama-quantize")
    shape = "small" if args.small else "1b"
    source = os.path.join(args.folder, f"adze-bench-{shape}.gguf")
    if not os.path.exists(source):
        make(source, SHAPES[shape])
    with open(source, "rb") as f:
        while f.read(1 << 24):
            pass
    size = os.path.getsize(source)
    outputs = [os.path.join(args.folder, f"adze-bench-{p}.gguf") for p in ("ours", "theirs")]
    threads = len(os.sched_getaffinity(0))
    facts = [processor(), threads, said_version([args.adze, "--version"], "adze"),
             said_version([os.path.join(binaries, "llama-quantize"), "--dry-run", source, "Q8_0"], "version"), shape,
             size, args.folder]
    rows = []
    for kind in args.types.split(","):
        commands = [[args.adze, "quantize", source, outputs[0], "--type", kind, "--threads", str(threads)],
                    [os.path.join(binaries, "llama-quantize"), source, outputs[1], kind, str(threads)]]
        runs = [[], []]
        for _ in range(args.rounds):
            for i in range(2):
                if os.path.exists(outputs[i]):
                    os.remove(outputs[i])
                runs[i].append(run(commands[i]))
        same, errors = compare(source, *outputs)
        ours, theirs = ([statistics.median(column) for column in zip(*r)] for r in runs)
        row = facts + [kind, round(ours[0], 2), round(theirs[0], 2), round(theirs[0] / ours[0], 2), round(ours[1], 2),
                       round(theirs[1], 2), round(theirs[1] / ours[1], 2), int(ours[2]), int(theirs[2]),
                       "equal" if same else "DIFFER",
                       " ".join(f"{k}:{a:.5f}/{b:.5f}" for k, (a, b) in sorted(errors.items()))]
        rows.append(row)
        print(*row[7:], flush=True)
    for path in outputs:
        os.remove(path)
    if args.disk:
        rows.append(facts[:-1] + [args.disk] + on_disk(args, binaries, source, threads))
        print(*rows[-1][7:], flush=True)
    with open(args.out, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["cpu", "threads", "adze", "llama_cpp", "model", "source_bytes", "folder", "type", "adze_s", "llama_s",
                    "speedup", "adze_cpu_s", "llama_cpu_s", "cpu_ratio", "adze_rss", "llama_rss", "types",
                    "errors_adze_llama"])
        w.writerows(rows)


if __name__ == "__main__":
    main()
