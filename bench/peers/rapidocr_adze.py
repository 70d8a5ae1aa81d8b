#!/usr/bin/env python3
"""RapidOCR with adze in the place of ONNX Runtime: the same text?

    rapidocr_adze.py [PAGE.png...] [--count 10] [--seed 1]

RapidOCR (pip: rapidocr-onnxruntime) finds lines, turns them upright and reads them, with three networks; its pre- and
postprocessing stay as they are. It runs twice over each page (drawn by make_ocr_pages.py unless pictures are given), once
with ONNX Runtime and once with adze. Compared are the texts, the boxes and the scores. Exit code 1 when a text differs."""
import argparse
import difflib
import sys
import time
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
from PIL import Image

import adze_runtime
import make_ocr_pages
from rapidocr_onnxruntime import RapidOCR
from rapidocr_onnxruntime.utils import infer_engine


class Session:
    """As much of onnxruntime.InferenceSession as RapidOCR uses."""

    def __init__(self, path, sess_options=None, providers=None):
        self.model = adze_runtime.Model(path)
        self.metadata = {p.key: p.value for p in onnx.load(path).metadata_props}

    def get_inputs(self):
        return [SimpleNamespace(name=n) for n in self.model.inputs]

    def get_outputs(self):
        return [SimpleNamespace(name=n) for n in self.model.outputs]

    def get_providers(self):
        return ["CPUExecutionProvider"]

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map=self.metadata)

    def run(self, names, feeds):
        outputs = self.model.run(feeds)
        return [outputs[n] for n in names]


def reader(session):
    infer_engine.InferenceSession = session
    try:
        return RapidOCR()
    finally:
        infer_engine.InferenceSession = onnxruntime.InferenceSession


def read(ocr, pixels):
    start = time.perf_counter()
    result, _ = ocr(pixels)
    return result or [], time.perf_counter() - start


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("page", nargs="*")
    ap.add_argument("--count", type=int, default=10)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    pages = [(p, Image.open(p).convert("RGB"), None) for p in args.page]
    pages = pages or [(f"page {i}", *make_ocr_pages.page(args.seed + i)) for i in range(args.count)]
    theirs, ours = reader(onnxruntime.InferenceSession), reader(Session)
    different, seconds, read_right = 0, np.zeros(2), []
    for name, image, drawn in pages:
        pixels = np.asarray(image)[:, :, ::-1]      # as OpenCV has them
        (a, ta), (b, tb) = read(ours, pixels), read(theirs, pixels)
        seconds += (ta, tb)
        texts = [line[1] for line in a], [line[1] for line in b]
        same = texts[0] == texts[1]
        different += not same
        said = f"{name}: {len(b)} lines, {'same text' if same else 'OTHER TEXT'}"
        if same and a:
            boxes = max(np.abs(np.array(x[0]) - np.array(y[0])).max() for x, y in zip(a, b))
            scores = max(abs(float(x[2]) - float(y[2])) for x, y in zip(a, b))
            said += f", boxes at most {boxes:.2g} pixels apart, scores {scores:.1e}"
        if drawn:
            flat = ["".join(t.split()) for t in (" ".join(drawn), " ".join(texts[0]))]
            read_right.append(difflib.SequenceMatcher(None, *flat, autojunk=False).ratio())
        print(said, flush=True)
        for x, y in zip(*texts):
            if x != y:
                print(f"    adze '{x}'\n    ONNX Runtime '{y}'")
    print(f"{len(pages) - different} of {len(pages)} pages with the same text; adze {adze_runtime.VERSION} {seconds[0]:.1f} s, "
          f"ONNX Runtime {onnxruntime.__version__} {seconds[1]:.1f} s"
          + (f"; {100 * np.mean(read_right):.1f} % of the characters as drawn" if read_right else ""))
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
