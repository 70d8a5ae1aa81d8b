"""Seeded inputs for whole networks, as the .json beside each .onnx describes them (make_networks.py, real_networks.py).

A network's description:

    {"name": "bert", "architecture": "BERT", "source": "transformers 5.0", "exporter": "dynamo", "opset": 18,
     "weights": "random", "inputs": {"input_ids": {"kind": "ids", "shape": ["batch", "tokens"], "high": 512}},
     "dims": {"batch": 1, "tokens": 16}, "other": {"batch": 2, "tokens": 9}}

`dims` says what the names in shapes stand for, `other` (where there is one) a second set of sizes to run.
`unlike` names outputs that need not vary with the inputs (anchors, or what is rounded to whole numbers).
"""
import json
import os

import numpy as np

DEFAULT_TYPES = {"ids": "int64", "mask": "int64", "range": "int64"}


def smooth(rng, shape):
    """Pictures about normalised: noise at several scales, added up. The last two axes are space."""
    *front, high, wide = shape
    total = np.zeros(shape)
    for cells in (2, 4, 8, 32):
        rows, columns = np.minimum(np.arange(high) * cells // high, cells - 1), np.minimum(np.arange(wide) * cells // wide, cells - 1)
        total += rng.standard_normal((*front, cells, cells))[..., rows[:, None], columns]
    return (total + 0.5 * rng.standard_normal(shape)) / 2


def speech(rng, shape):
    """Sound at 16 kHz about as voiced speech: a gliding tone with overtones under a slow envelope, and some noise."""
    *front, samples = shape
    t = np.arange(samples) / 16000
    out = np.empty((int(np.prod(front, dtype=int)), samples))
    for row in out:
        pitch, glide, beat = rng.uniform(90, 250), rng.uniform(-60, 60), rng.uniform(2, 6)
        phase = 2 * np.pi * (pitch * t + glide * t * t / 2)
        voice = sum(rng.uniform(0.2, 1) / k * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 12))
        row[:] = 0.15 * voice * (0.55 + 0.45 * np.sin(2 * np.pi * beat * t + rng.uniform(0, 6)))
        row += rng.uniform(0.002, 0.02) * rng.standard_normal(samples)
    return out.reshape(shape)


def page(rng, shape):
    """Lines of dark strokes on a light ground, about normalised: pictures of text, to a detector."""
    out = np.empty((int(np.prod(shape[:-3], dtype=int)), *shape[-3:]))
    for picture in out:
        picture[:] = rng.uniform(0.7, 1) + 0.02 * rng.standard_normal(picture.shape)
        size = int(rng.integers(10, 20))
        for top in range(int(rng.integers(3, size)), shape[-2] - size, size * 2):
            for left in range(int(rng.integers(2, 3 * size)), shape[-1] - size, int(size * 0.8)):
                if rng.uniform() < 0.8:  # a letter: an upright, and a bar
                    at, bar = left + int(rng.integers(0, size // 3)), top + int(rng.integers(0, size - 2))
                    picture[:, top:top + size, at:at + 2] = rng.uniform(0, 0.2)
                    picture[:, bar:bar + 2, left:left + size // 2 + 1] = rng.uniform(0, 0.2)
    return out.reshape(shape) * 4 - 2


def file_bytes(rng, shape):
    """The first bytes of files: text of some alphabet, numbers, or noise after a head of zeros."""
    kinds = (b"etaoin shrdlu\n.,", b'{"key": 0123456789, }\n', b"(def f x) # -> [];\n", bytes(range(256)))
    alphabet = np.frombuffer(kinds[rng.integers(0, len(kinds))], np.uint8)
    return alphabet[rng.integers(0, len(alphabet), shape)]


def one(spec, dims, rng):
    shape = tuple(dims[d] if isinstance(d, str) else d for d in spec["shape"])
    kind = spec["kind"]
    if kind == "normal":
        value = rng.standard_normal(shape) * spec.get("scale", 1)
    elif kind == "uniform":
        value = rng.uniform(spec.get("low", 0), spec.get("high", 1), shape)
    elif kind == "picture":
        value = smooth(rng, shape) * spec.get("scale", 1) + spec.get("offset", 0)
        if "low" in spec:
            value = np.clip(value, spec["low"], spec["high"])
    elif kind == "speech":
        value = speech(rng, shape)
    elif kind == "speech_column":  # samples in the last axis but one
        value = speech(rng, shape[:-1])[..., None]
    elif kind in ("page", "bytes"):
        value = {"page": page, "bytes": file_bytes}[kind](rng, shape)
    elif kind == "ids":
        value = rng.integers(spec.get("low", 0), spec["high"], shape)
    elif kind == "mask":  # ones, and at the end of each row up to a third zeros
        keep = rng.integers((2 * shape[-1] + 2) // 3, shape[-1] + 1, shape[:-1] + (1,))
        value = np.arange(shape[-1]) < keep
    elif kind == "range":
        value = np.broadcast_to(np.arange(shape[-1]) + spec.get("start", 0), shape)
    elif kind == "constant":
        value = np.full(shape, spec["value"])
    else:
        raise ValueError(f"unknown kind of input '{kind}'")
    return np.array(value, order="C").astype(spec.get("dtype", DEFAULT_TYPES.get(kind, "float32")))


def make(description, seed, other=False):
    """{name: array} for a description; `other` takes its second set of sizes."""
    dims = description.get("other" if other else "dims", {})
    rng = np.random.default_rng(1000 * seed + 7)
    return {name: one(spec, dims, rng) for name, spec in description["inputs"].items()}


def find(folders, names=()):
    """(path of the .onnx, description) of all networks in these folders that have a description."""
    found = []
    for folder in folders:
        for file in sorted(os.listdir(folder)):
            path = os.path.join(folder, file[:-5] + ".onnx")
            if file.endswith(".json") and os.path.exists(path) and (not names or file[:-5] in names):
                with open(os.path.join(folder, file), encoding="utf-8") as stream:
                    found.append((path, json.load(stream)))
    return found
