#!/usr/bin/env python3
"""Times adze, ONNX Runtime and OpenVINO side by side on the same models, inputs and threads.

    networks.py [--adze build/adze] [--model NAME=FILE.onnx[=QDQ.onnx]]... [--threads 1,2] [--rounds 30] [--out CSV]

Without --model: the model that comes with adze, and a MobileNetV2 where PyTorch can make it (make_mobilenet.py) or a
file is given. Where no QDQ file is given, `adze quantize` makes it. All three run in turns, a short burst each, so
that whatever disturbs the machine disturbs all; each burst's first runs are left out. Medians, and ratios to adze
(above 1: adze is faster): `ratio` is the median over rounds of the quotient within a round, `ratio_p10` the quotient
of the 10th percentiles, which a busy machine disturbs less. adze counts only the run; for the others the call from Python counts too (some microseconds). One row each into bench/results.
"""
import argparse
import csv
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from programs import processor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FASHION = os.path.join(ROOT, "models/fashion-mnist")
PAUSE = 0.003  # seconds between bursts: the worker threads of one go to sleep before the next begins


class Adze:
    name = "adze"

    def __init__(self, path, threads, adze):
        self.version = subprocess.run([adze, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
        self.process = subprocess.Popen([adze, "bench", path, "--commands", "--threads", str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"adze bench {path} did not start")

    def burst(self, runs):
        self.process.stdin.write(f"run {runs}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class InProcess:
    """Programs that are called from here: run() is timed."""

    def burst(self, runs):
        times = []
        for _ in range(runs):
            start = time.perf_counter_ns()
            self.run()
            times.append((time.perf_counter_ns() - start) / 1e6)
        return times

    def close(self):
        pass


class OnnxRuntime(InProcess):
    name = "onnxruntime"

    def __init__(self, path, threads, inputs):
        import onnxruntime
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.kept = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in inputs]
        for information, value in zip(self.session.get_inputs(), self.kept):
            self.binding.bind_ortvalue_input(information.name, value)
        for information in self.session.get_outputs():
            self.binding.bind_output(information.name)

    def run(self):
        self.session.run_with_iobinding(self.binding)


class OpenVino(InProcess):
    name = "openvino"

    def __init__(self, path, threads, inputs):
        import openvino
        self.version = openvino.__version__.split("-")[0]
        core = openvino.Core()
        model = core.read_model(path)
        for port, value in zip(model.inputs, inputs):
            model.reshape({port: list(value.shape)})
        compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                                                     "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        self.request = compiled.create_infer_request()
        self.kept = [openvino.Tensor(value, shared_memory=True) for value in inputs]
        for i, tensor in enumerate(self.kept):
            self.request.set_input_tensor(i, tensor)

    def run(self):
        self.request.infer()


def random_inputs(path):
    """Standard normal, with every free dimension 1, as `adze bench` takes them."""
    import onnxruntime
    rng = np.random.default_rng(1)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [rng.standard_normal([d if isinstance(d, int) else 1 for d in i.shape]).astype(np.float32)
            for i in session.get_inputs()]


def open_all(path, threads, adze):
    inputs = random_inputs(path)
    contestants = [Adze(path, threads, adze)]
    for kind in (OnnxRuntime, OpenVino):
        try:
            contestants.append(kind(path, threads, inputs))
        except Exception as error:  # a program that is not installed or refuses the model is left out, and said
            print(f"{kind.name}: left out: {str(error).splitlines()[0]}", file=sys.stderr)
    return contestants


def compare(path, threads, args):
    contestants = open_all(path, threads, args.adze)
    first = min(contestants[0].burst(5))
    runs = max(4, min(200, int(args.burst / first)))
    skipped = max(1, runs // 5)
    medians = {c.name: [] for c in contestants}
    samples = {c.name: [] for c in contestants}
    for round_ in range(args.rounds + 2):
        for k in range(len(contestants)):
            contestant = contestants[(round_ + k) % len(contestants)]
            times = contestant.burst(runs)[skipped:]
            time.sleep(PAUSE)
            if round_ >= 2:
                medians[contestant.name].append(statistics.median(times))
                samples[contestant.name] += times
    for contestant in contestants:
        contestant.close()
    ours, quiet = medians["adze"], sorted(samples["adze"])[len(samples["adze"]) // 10]
    rows = []
    for c in contestants:
        ordered = sorted(samples[c.name])
        rows.append({"program": c.name, "version": c.version, "runs": len(ordered),
                     "median_ms": statistics.median(ordered), "p10_ms": ordered[len(ordered) // 10],
                     "p90_ms": ordered[len(ordered) * 9 // 10],
                     "ratio": statistics.median(t / o for t, o in zip(medians[c.name], ours)),
                     "ratio_p10": ordered[len(ordered) // 10] / quiet})
    return rows


def quantize(adze, path, name, folder):
    out = os.path.join(folder, name + "-int8.onnx")
    command = [adze, "quantize", path, "--output", out]
    if name == "fashion-mnist":
        command += ["--calibration", os.path.join(FASHION, "calib-images-idx3-ubyte.gz"),
                    "--preprocess", os.path.join(FASHION, "preprocess.json")]
    else:
        data = os.path.join(folder, name + ".npy")
        shape = random_inputs(path)[0].shape
        np.save(data, np.random.default_rng(2).standard_normal((8,) + shape[1:]).astype(np.float32))
        command += ["--calibration", data]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def find_models(args, folder):
    models = []
    for text in args.model:
        name, *files = text.split("=")
        models.append((name, files[0], files[1] if len(files) > 1 else None))
    if models:
        return models
    models.append(("fashion-mnist", os.path.join(FASHION, "fashion-mnist.onnx"), None))
    mobilenet = os.path.join(folder, "mobilenetv2.onnx")
    maker = os.path.join(ROOT, "bench/peers/make_mobilenet.py")
    if subprocess.run(["python3", maker, mobilenet], capture_output=True, check=False).returncode == 0:
        models.append(("mobilenetv2", mobilenet, None))
    else:
        print("mobilenetv2: left out: PyTorch is needed to make it (or --model mobilenetv2=FILE)", file=sys.stderr)
    return models


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adze", default=os.path.join(ROOT, "build/adze"))
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--burst", type=float, default=30, help="milliseconds of adze's runs in one burst")
    parser.add_argument("--out", default=os.path.join(ROOT, "bench/results/networks.csv"))
    args = parser.parse_args()
    fields = ["date", "processor", "cpu_level", "threads", "model", "type", "program", "version", "runs", "median_ms",
              "p10_ms", "p90_ms", "ratio", "ratio_p10"]
    common = {"date": datetime.date.today().isoformat(), "processor": processor(),
              "cpu_level": os.environ.get("ADZE_CPU", "best")}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path, quantized in find_models(args, folder):
            quantized = quantized or quantize(args.adze, path, name, folder)
            for kind, file in (("float", path), ("int8", quantized)):
                for threads in map(int, args.threads.split(",")):
                    for row in compare(file, threads, args):
                        rows.append({**common, "threads": threads, "model": name, "type": kind, **row})
                        print(f"{name} {kind} {threads} thread(s): {row['program']:12} {row['median_ms']:9.4f} ms "
                              f"({row['p10_ms']:.4f} to {row['p90_ms']:.4f}), ratio {row['ratio']:.2f}, "
                              f"of p10 {row['ratio_p10']:.2f}", flush=True)
    with open(args.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
