#!/usr/bin/env python3
"""Embeddings of sentences by adze and by torch (transformers): the lowest cosine between the two.

    bench/peers/embeddings.py FOLDER --file SENTENCES.txt

FOLDER holds a BERT-like encoder (config.json, model.safetensors, tokenizer.json) with mean pooling, as all-MiniLM-L6-v2;
SENTENCES has one on each line. Needs torch and transformers. Exit code 1 below 0.9999.
"""
import argparse
import json
import subprocess
import sys

import torch
from transformers import AutoModel, AutoTokenizer


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("--adze", default="build/adze")
    ap.add_argument("--file", required=True)
    args = ap.parse_args()
    with open(args.file, encoding="utf-8") as f:
        sentences = [line.rstrip("\n") for line in f]
    said = subprocess.run([args.adze, "embed", args.folder, "--file", args.file, "--json"], capture_output=True, text=True,
                          check=True)
    ours = json.loads(said.stdout)
    tokenizer = AutoTokenizer.from_pretrained(args.folder)
    model = AutoModel.from_pretrained(args.folder).eval().float()
    lowest = 1.0
    for sentence, got in zip(sentences, ours, strict=True):
        tokens = tokenizer(sentence, return_tensors="pt", truncation=True, max_length=512)
        with torch.no_grad():
            hidden = model(**tokens).last_hidden_state
        expected = hidden.mean(1)[0]
        actual = torch.tensor(got["embedding"])
        lowest = min(lowest, float(torch.nn.functional.cosine_similarity(expected, actual, dim=0)))
    print(f"{len(ours)} sentences, lowest cosine {lowest:.8f}")
    return lowest < 0.9999


if __name__ == "__main__":
    sys.exit(main())
