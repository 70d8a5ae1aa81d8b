#!/usr/bin/env python3
"""Tokens per second of language models by adze and by llama.cpp's llama-bench, in turn, into bench/results/llm_speed.csv.

    ADZE_LLAMA_BIN=llama.cpp/build/bin bench/peers/llm_speed.py MODEL.gguf... [--prompt 512] [--generate 128] [--rounds 5]

Each round runs both programs once on each file: prompt, generation, and generation at each depth. The two take turns in
going first. A round gives one ratio; the CSV has the medians of both and of the ratios, with the lowest and highest, and for
generation the share of the machine's measured reading bandwidth that adze reaches.
"""
import argparse
import csv
import datetime
import os
import statistics
import sys

from programs import processor, run_json, said_version


def ours(args, model, what, n, depth):
    counts = ["--prompt", str(n), "--generate", "0"] if what == "prompt" else ["--prompt", "0", "--generate", str(n)]
    said = run_json([args.adze, "bench", model, *counts, "--depth", str(depth), "--repetitions", "1",
                     "--threads", str(args.threads), "--json"])
    return said[f"{what}_tokens_per_s"]


def theirs(args, model, what, n, depth):
    counts = ["-p", str(n), "-n", "0"] if what == "prompt" else ["-p", "0", "-n", str(n)]
    said = run_json([os.path.join(args.binaries, "llama-bench"), "-m", model, *counts, "-d", str(depth), "-r", "1",
                     "-t", str(args.threads), "-o", "json"])
    return said[0]["avg_ts"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--adze", default="build/adze")
    ap.add_argument("--prompt", type=int, default=512)
    ap.add_argument("--generate", type=int, default=128)
    ap.add_argument("--depths", default="0", help="for generation, as 0,2048")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("--out", default="bench/results/llm_speed.csv")
    args = ap.parse_args()
    args.binaries = os.environ.get("ADZE_LLAMA_BIN") or sys.exit("ADZE_LLAMA_BIN: the folder of llama-bench")
    device = run_json([args.adze, "device", "--json"])
    bandwidth = max(p["read_bytes_per_s"] for p in device["peaks"])
    facts = [datetime.date.today().isoformat(), processor(), args.threads, said_version([args.adze, "--version"], "adze"),
             said_version([os.path.join(args.binaries, "llama-bench"), "--version"], "version")]
    cases = [("prompt", args.prompt, 0)] + [("generate", args.generate, int(d)) for d in args.depths.split(",")]
    with open(args.out, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["date", "cpu", "threads", "adze", "llama_cpp", "model", "bytes", "test", "tokens", "depth", "rounds",
                    "adze_tokens_per_s", "llama_tokens_per_s", "ratio", "ratio_min", "ratio_max", "bandwidth_share"])
        for model in args.models:
            size = os.path.getsize(model)
            for what, n, depth in cases:
                pairs = []
                for r in range(args.rounds):
                    order = (ours, theirs) if r % 2 == 0 else (theirs, ours)
                    said = {run: run(args, model, what, n, depth) for run in order}
                    pairs.append((said[ours], said[theirs]))
                a, b = (statistics.median(column) for column in zip(*pairs))
                ratios = sorted(x / y for x, y in pairs)
                share = round(a * size / bandwidth, 3) if what == "generate" else ""
                row = [os.path.basename(model), size, what, n, depth, args.rounds, round(a, 2), round(b, 2),
                       round(statistics.median(ratios), 3), round(ratios[0], 3), round(ratios[-1], 3), share]
                print(*row, flush=True)
                w.writerow(facts + row)
                f.flush()


main()
