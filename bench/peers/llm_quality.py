#!/usr/bin/env python3
"""What each quantization costs, by adze and by llama.cpp on the same files, into bench/results/llm_quality.csv.

    ADZE_LLAMA_BIN=llama.cpp/build/bin bench/peers/llm_quality.py F16.gguf --file TEXT --imatrix M.gguf [--chunks 40]

The F16 model is the reference: llama-perplexity saves its predictions on the text (chunks of 512, second half scored), and
both programs' perplexity is compared. Then each type is made by adze with the importance matrix (from other text), and
measured by both. Columns: the file's size, bits per weight, perplexity of both and their ratio, adze's mean Kullback-Leibler
divergence from llama.cpp's F16 with its standard error, the share of positions with the same most likely token, and prompt
and generation speed of adze (medians of 3).
"""
import argparse
import csv
import os
import re
import sys

from programs import run, run_json

TYPES = ("Q8_0 Q6_K Q5_K_M Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4 Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XXS "
         "Q2_K IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_S TQ2_0 TQ1_0")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("--adze", default="build/adze")
    ap.add_argument("--file", required=True)
    ap.add_argument("--imatrix", required=True)
    ap.add_argument("--types", default=TYPES)
    ap.add_argument("--chunks", type=int, default=40)
    ap.add_argument("--folder", default="/tmp")
    ap.add_argument("--no-speed", action="store_true")
    ap.add_argument("--out", default="bench/results/llm_quality.csv")
    args = ap.parse_args()
    binaries = os.environ.get("ADZE_LLAMA_BIN") or sys.exit("ADZE_LLAMA_BIN: the folder of llama-perplexity")
    base = os.path.join(args.folder, "adze-quality.base")
    made = os.path.join(args.folder, "adze-quality.gguf")
    text = ["-f", args.file, "-c", "512", "--chunks", str(args.chunks)]

    def theirs(model, *more):
        said = "".join(run([os.path.join(binaries, "llama-perplexity"), "-m", model, *text, *more]))
        return float(re.search(r"Final estimate: PPL = ([0-9.]+)", said).group(1))

    def ours(model):
        q = run_json([args.adze, "perplexity", model, "--file", args.file, "--context", "512", "--chunks",
                      str(args.chunks), "--kl-divergence-base", base, "--json"])
        s = {"prompt_tokens_per_s": 0, "generate_tokens_per_s": 0}
        if not args.no_speed:
            s = run_json([args.adze, "bench", model, "--prompt", "256", "--generate", "64", "--repetitions", "3",
                          "--json"])
        return q, s

    with open(args.out, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["model", "type", "bytes", "bits_per_weight", "tokens_scored", "perplexity", "perplexity_error",
                    "llama_perplexity", "ratio", "kld", "kld_error", "kld_p99", "same_top", "prompt_tokens_per_s",
                    "generate_tokens_per_s"])
        whole = os.path.getsize(args.model)
        for kind in ["F16"] + args.types.split():
            model = args.model
            if kind != "F16":
                model = made
                run([args.adze, "quantize", args.model, made, "--type", kind, "--imatrix", args.imatrix])
            their = theirs(model, *(["--save-all-logits", base] if kind == "F16" else []))
            q, s = ours(model)
            p, k = q["perplexity"], q["kld"]
            size = os.path.getsize(model)
            row = [os.path.basename(args.model), kind, size, round(16 * size / whole, 3), args.chunks * 256, p["value"], p["error"],
                   their, round(p["value"] / their, 5), k["mean"], k["error"], k["p99"], q["same_top"],
                   round(s["prompt_tokens_per_s"], 1), round(s["generate_tokens_per_s"], 1)]
            print(*row[1:], flush=True)
            w.writerow(row)
            f.flush()
    for path in (base, made):
        if os.path.exists(path):
            os.remove(path)


if __name__ == "__main__":
    main()
