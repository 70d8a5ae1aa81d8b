#!/usr/bin/env python3
"""What `adze inspect` foretells of language models, beside what `adze bench` measures, into bench/results/llm_forecast.csv.

    bench/peers/llm_forecast.py MODEL.gguf... [--rounds 5] [--generate 64] [--context 512]

Each round foretells and measures every file, the two in turns first, so that both meet the same neighbours. Columns: tokens
per second foretold and measured (medians), the ratio of these, lowest and highest ratio of a round; memory foretold and
measured (peak, with a prompt of --context tokens) and their ratio. Exit code 1 when speed is more than 20 % or memory more
than 5 % off.
"""
import argparse
import csv
import datetime
import os
import statistics
import sys

from programs import run_json

COLUMNS = ["date", "cpu", "cpu_level", "threads", "model", "bytes", "rounds", "foretold_tokens_per_s", "measured_tokens_per_s",
           "speed_ratio", "speed_ratio_min", "speed_ratio_max", "foretold_memory", "measured_memory", "memory_ratio"]


def foretell(args, model):
    return run_json([args.adze, "inspect", model, "--context", str(args.context), "--threads", str(args.threads), "--json"])


def measure(args, model):
    return run_json([args.adze, "bench", model, "--prompt", str(args.context), "--generate", str(args.generate),
                     "--repetitions", "3", "--threads", str(args.threads), "--json"])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--adze", default="build/adze")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--generate", type=int, default=64)
    ap.add_argument("--context", type=int, default=512)
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("--out", default="bench/results/llm_forecast.csv")
    args = ap.parse_args()
    device = run_json([args.adze, "device", "--json"])
    pairs = {model: [] for model in args.models}
    for r in range(args.rounds):
        for model in args.models:
            order = (foretell, measure) if r % 2 == 0 else (measure, foretell)
            answers = {step: step(args, model) for step in order}
            pairs[model].append((answers[foretell], answers[measure]))
            print(os.path.basename(model), *(round(answers[step][key], 2) for step, key in
                  ((foretell, "tokens_per_s"), (measure, "generate_tokens_per_s"))), file=sys.stderr, flush=True)
    off = False
    with open(args.out, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(COLUMNS)
        for model, rounds in pairs.items():
            before, after = zip(*rounds)
            speed = [statistics.median(b["tokens_per_s"] for b in before),
                     statistics.median(a["generate_tokens_per_s"] for a in after)]
            ratios = sorted(b["tokens_per_s"] / a["generate_tokens_per_s"] for b, a in rounds)
            memory = [statistics.median(b["memory"]["total"] for b in before),
                      statistics.median(a["peak_memory"] for a in after)]
            row = [os.path.basename(model), os.path.getsize(model), args.rounds, *(round(s, 2) for s in speed),
                   round(speed[0] / speed[1], 3), round(ratios[0], 3), round(ratios[-1], 3), *(int(m) for m in memory),
                   round(memory[0] / memory[1], 3)]
            print(*row, flush=True)
            w.writerow([datetime.date.today().isoformat(), device["processor"], after[0]["cpu_level"], args.threads, *row])
            off = off or abs(speed[0] / speed[1] - 1) > 0.2 or abs(memory[0] / memory[1] - 1) > 0.05
    sys.exit(off)


main()
