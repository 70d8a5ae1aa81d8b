"""Operators of com.microsoft in random forms, expected as ONNX Runtime computes them.

    contrib.py                        writes contrib.tar.xz (a few cases of each operator)
    contrib.py --adze PROGRAM [--only NAME] [--count N] [--seed N]   compares N random cases of each, keeps nothing

A form that ONNX Runtime refuses is drawn again."""
import argparse
import os
import sys
import tempfile

import contrib_attention
import contrib_plain
from cases import HERE, model_of, onnxruntime_outputs, pack, run_adze, save
import numpy as np

CASES = {**contrib_attention.CASES, **contrib_plain.CASES}


def write(folder, name, draw, seed, tries=20):
    refused = ""
    for attempt in range(tries):
        rng = np.random.default_rng([seed, attempt, *name.encode()])
        nodes, feeds, constants, outputs, *opset = draw(rng)
        model = model_of(nodes, feeds, constants, outputs, opset[0] if opset else 17)
        try:
            expected = onnxruntime_outputs(model, feeds)
        except Exception as e:  # what ONNX Runtime raises has no common class
            refused = str(e)
            continue
        save(folder, f"{name}_{seed}", model, feeds, expected)
        return True
    print(f"{name}: ONNX Runtime refuses every form drawn: {refused[:500]}")
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--adze")
    parser.add_argument("--only")
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="leave the folders there")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = a.keep or temporary
        complete = True
        for name, draw in CASES.items():
            if not a.only or a.only in name:
                complete = all([write(folder, name, draw, a.seed + i) for i in range(a.count)]) and complete
        if a.adze:
            return run_adze(a.adze, folder) or not complete
        pack(folder, os.path.join(HERE, "contrib.tar.xz"))
        return not complete


if __name__ == "__main__":
    sys.exit(main())
