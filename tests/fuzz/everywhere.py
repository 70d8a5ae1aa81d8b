#!/usr/bin/env python3
"""Tries the same few bad ideas everywhere in small models, and runs each result in the fuzzer once.

    tests/fuzz/everywhere.py SEEDS [types] [numbers] [shapes] [inputs] [--fuzzer build-fuzz/fuzz_execute] [--keep FOLDER]

SEEDS: a folder of ONNX models, such as build-fuzz/seeds/execute, which `tools/fuzz 1 execute` makes. types: each constant and
input of every element type; numbers: each integer of attributes and small constants as the least, the largest and others,
floats as NaN and infinities; shapes: constants of fewer, more and empty axes; inputs: nodes with inputs and outputs added,
taken away and exchanged, attributes left out. A hundred thousand models from the node cases of ONNX, some minutes. What chance
takes hours to find, this finds at once. Prints where it failed, how often, and the models. Needs the onnx package.
"""
import argparse
import collections
import hashlib
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto as T

BITS = {T.FLOAT: 32, T.FLOAT16: 16, T.DOUBLE: 64, T.INT8: 8, T.UINT8: 8, T.INT32: 32, T.INT64: 64, T.BOOL: 8, T.BFLOAT16: 16, T.INT4: 4}
NUMBERS = [2**63 - 1, -(2**63), 2**62, -1, 0, 2**31, -(2**31) - 1, 2**32 + 1, 3, 1000003]
FLOATS = [float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 0.0]
LARGEST_SEED, LARGEST_CONSTANT, BATCH = 16000, 12000, 1500


def cut(raw, size):
    return (raw * (size // max(1, len(raw)) + 1) if raw else bytes(size))[:size]


def types(m):
    for i, t in enumerate(m.graph.initializer):
        kept = t.SerializeToString()
        count = int(np.prod(t.dims)) if t.dims else 1
        for kind in [k for k in (*BITS, T.STRING) if k != t.data_type]:
            raw, dims, name = t.raw_data, list(t.dims), t.name
            t.Clear()
            t.dims.extend(dims)
            t.name, t.data_type = name, kind
            if kind == T.STRING:
                t.string_data.extend([b"1"] * count)
            else:
                raw = cut(raw, (count * BITS[kind] + 7) // 8)
                t.raw_data = bytes(b & 1 for b in raw) if kind == T.BOOL else raw
            for v in m.graph.input:
                if v.name == name:
                    v.type.tensor_type.elem_type = kind
            yield f"c{i}t{kind}"
            t.ParseFromString(kept)
    for i, v in enumerate(m.graph.input):
        was = v.type.tensor_type.elem_type
        for kind in (*BITS, T.STRING):
            if v.type.HasField("tensor_type") and kind != was:
                v.type.tensor_type.elem_type = kind
                yield f"i{i}t{kind}"
                v.type.tensor_type.elem_type = was


def numbers(m):
    for i, t in enumerate(m.graph.initializer):
        old = np.frombuffer(t.raw_data, np.int64) if t.data_type == T.INT64 and t.raw_data else np.zeros(0, np.int64)
        for e in range(min(old.size, 3) if old.size <= 8 else 0):
            for k, v in enumerate(NUMBERS):
                new = old.copy()
                new[e] = v
                t.raw_data = new.tobytes()
                yield f"c{i}e{e}v{k}"
            t.raw_data = old.tobytes()
    for n, node in enumerate(m.graph.node):
        for a, attr in enumerate(node.attribute):
            kept = attr.SerializeToString()
            for k, v in enumerate(NUMBERS):
                if attr.type == onnx.AttributeProto.INT:
                    attr.i = v
                    yield f"n{n}a{a}v{k}"
                for e in range(min(len(attr.ints), 2)):
                    attr.ints[e] = v
                    yield f"n{n}a{a}e{e}v{k}"
                    attr.ParseFromString(kept)
            for k, v in enumerate(FLOATS if attr.type == onnx.AttributeProto.FLOAT else ()):
                attr.f = v
                yield f"n{n}a{a}f{k}"
            attr.ParseFromString(kept)


def shapes(m):
    for o in (*m.graph.output, *m.graph.input):
        if o in m.graph.output or any(t.name == o.name for t in m.graph.initializer):
            o.type.tensor_type.ClearField("shape")
    for i, t in enumerate(m.graph.initializer):
        d, raw = list(t.dims), t.raw_data
        ways = [[], [0], [1], d[::-1], d + [1], [1] + d]
        for k in range(min(len(d), 3)):
            ways += [d[:k] + [x] + d[k + 1 :] for x in (0, 1, d[k] + 1)] + [d[:k] + d[k + 1 :]]
        for k, way in enumerate(ways if t.data_type in BITS and raw else ()):
            size = (int(np.prod(way)) if way else 1) * BITS[t.data_type] // 8
            if size <= LARGEST_CONSTANT:
                del t.dims[:]
                t.dims.extend(way)
                t.raw_data = cut(raw, size)
                yield f"s{i}v{k}"
        del t.dims[:]
        t.dims.extend(d)
        t.raw_data = raw


def inputs(m):
    names = list(dict.fromkeys(v.name for v in (*m.graph.initializer, *m.graph.input)))[:4]
    for n, node in enumerate(m.graph.node[:6]):
        kept, old = node.SerializeToString(), list(node.input)
        ways = [old + [x] for x in names] + [old + ["", x] for x in names]
        for j in range(len(old)):
            ways += [old[:j], old[:j] + [""] + old[j + 1 :]] + [old[:j] + [x] + old[j + 1 :] for x in names]
        for k, way in enumerate(ways):
            del node.input[:]
            node.input.extend(way)
            yield f"n{n}i{k}"
        node.ParseFromString(kept)
        for k in range(2):
            node.output.append(f"extra{k}")
            yield f"n{n}o{k}"
        node.ParseFromString(kept)
        for k in range(len(node.attribute)):
            del node.attribute[k]
            yield f"n{n}x{k}"
            node.ParseFromString(kept)


def write_all(seeds, way, folder):
    seen = set()
    for file in sorted(os.listdir(seeds)):
        with open(os.path.join(seeds, file), "rb") as f:
            data = f.read()
        try:
            model = onnx.load_from_string(data)
        except Exception:  # a seed that is none
            continue
        for tag in way(model) if len(data) <= LARGEST_SEED else ():
            changed = model.SerializeToString()
            digest = hashlib.sha1(changed).digest()
            if digest not in seen:
                seen.add(digest)
                with open(os.path.join(folder, f"{file[:-5]}.{way.__name__}.{tag}.onnx"), "wb") as f:
                    f.write(changed)
    return len(seen)


def run_all(folder, fuzzer, found):
    files = sorted(os.path.join(folder, f) for f in os.listdir(folder))
    at = 0
    while at < len(files):
        done = subprocess.run([fuzzer, "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={folder}.", *files[at : at + BATCH]],
                              capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0:
            at += BATCH
            continue
        last = re.findall(r"^Running: (\S+)", done.stderr, re.M)[-1]
        where = " < ".join(re.findall(r"#\d+ 0x\w+ in (\w+) \S*src/\S+", done.stderr)[:4])
        what = re.search(r"runtime error: .*|SUMMARY: .*", done.stderr)
        found[where].append((last, what.group(0) if what else "?"))
        at = files.index(last) + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("seeds")
    parser.add_argument("ways", nargs="*", default=["types", "numbers", "shapes", "inputs"])
    parser.add_argument("--fuzzer", default="build-fuzz/fuzz_execute")
    parser.add_argument("--keep", default="build-fuzz/everywhere", help="where models that fail are kept")
    args = parser.parse_args()
    found = collections.defaultdict(list)
    for name in args.ways:
        with tempfile.TemporaryDirectory() as folder:
            count = write_all(args.seeds, {"types": types, "numbers": numbers, "shapes": shapes, "inputs": inputs}[name], folder)
            run_all(folder, args.fuzzer, found)
            print(f"{name}: {count} models", flush=True)
            for cases in found.values():
                if os.path.exists(cases[0][0]):
                    os.makedirs(args.keep, exist_ok=True)
                    os.replace(cases[0][0], os.path.join(args.keep, os.path.basename(cases[0][0])))
    for where, cases in found.items():
        print(f"{len(cases)} at {where}\n    {cases[0][1]}\n    {os.path.join(args.keep, os.path.basename(cases[0][0]))}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
