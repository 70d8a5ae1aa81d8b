"""Probabilities of examples/vad and texts of examples/ocr_line against ONNX Runtime: examples.py BUILT LINES.

The speech is made here (pulses through the resonances of vowels, noise, silence), so that nothing need be downloaded."""
import glob
import os
import subprocess
import sys
import sysconfig
import wave

import numpy as np
import onnxruntime

BUILT, LINES = sys.argv[1:3]
PACKAGES = sysconfig.get_path("purelib")
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(name, ok, text):
    counts["passed" if ok else "failed"] += 1
    print(f"{'passed' if ok else 'FAILED'} {name}: {text}")


def skip(name, text):
    counts["skipped"] += 1
    print(f"SKIPPED {name}: {text}")


def network(pattern):
    found = glob.glob(os.path.join(PACKAGES, pattern))
    if not found:
        return None, None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return found[0], onnxruntime.InferenceSession(found[0], options, providers=["CPUExecutionProvider"])


def resonance(x, hertz, width, rate):
    r = np.exp(-np.pi * width / rate)
    a, b, y = 2 * r * np.cos(2 * np.pi * hertz / rate), -r * r, np.zeros(len(x) + 2)
    for i in range(len(x)):
        y[i + 2] = x[i] + a * y[i + 1] + b * y[i]
    return y[2:]


def speech(rate, seconds=6.0):
    """Syllables of changing vowels and pitch in groups, with pauses between, and a little noise."""
    rng = np.random.default_rng(3)
    out = rng.normal(0, 0.001, int(rate * seconds))
    vowels = [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
    at = 0.4
    while at < seconds - 0.6:
        n, pitch = int(rate * rng.uniform(0.12, 0.25)), rng.uniform(100, 140)
        phase = np.cumsum(pitch * (1 - 0.2 * np.arange(n) / n) / rate)
        x = np.diff(np.floor(phase), prepend=0) + rng.normal(0, 0.01, n)
        for f in vowels[rng.integers(len(vowels))]:
            if f < rate / 2:
                x = resonance(x, f, 80, rate)
        x *= np.hanning(n) / np.abs(x).max() * 0.4
        out[int(at * rate):int(at * rate) + n] += x
        at += n / rate + (rng.uniform(0.4, 0.9) if rng.random() < 0.25 else 0.03)
    return np.clip(out * 32768, -32768, 32767).astype(np.int16)


def check_vad():
    path, session = network("silero_vad/data/silero_vad.onnx")
    if not path:
        skip("vad", "the package silero-vad is not there (tests/requirements.txt)")
        return
    for rate in (16000, 8000):
        samples, window, past = speech(rate), rate * 4 // 125, rate // 250
        with wave.open("speech.wav", "wb") as f:
            f.setnchannels(1)
            f.setsampwidth(2)
            f.setframerate(rate)
            f.writeframes(samples.tobytes())
        state, context, expected = np.zeros((2, 1, 128), np.float32), np.zeros((1, past), np.float32), []
        for i in range(0, len(samples), window):
            chunk = np.zeros((1, window), np.float32)
            chunk[0, :len(samples[i:i + window])] = samples[i:i + window] / np.float32(32768)
            x = np.concatenate([context, chunk], 1)
            p, state = session.run(None, {"input": x, "state": state, "sr": np.array(rate, np.int64)})
            context = x[:, -past:]
            expected.append(p.item())
        out = subprocess.run([f"{BUILT}/vad", path, "speech.wav"], capture_output=True, text=True, check=False)
        found = [float(line.split()[1]) for line in out.stdout.splitlines()]
        same = out.returncode == 0 and len(found) == len(expected)
        worst = max(abs(a - b) for a, b in zip(found, expected)) if same else np.inf
        varied = max(expected) > 0.5 > 0.1 > min(expected)
        check(f"vad at {rate} Hz: every probability within 1e-4", worst <= 1e-4 and varied,
              f"{len(found)} windows, worst {worst:.2g}, from {min(expected):.3f} to {max(expected):.3f} {out.stderr}")


def check_ocr():
    from PIL import Image

    path, session = network("rapidocr_onnxruntime/models/*rec*.onnx")
    pictures = sorted(glob.glob(f"{LINES}/0/*.png"))
    if not path or not pictures:
        skip("ocr_line", "the package rapidocr-onnxruntime (tests/requirements.txt) or the pictures are not there")
        return
    characters = ["", *session.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]
    expected = []
    for name in pictures:  # 192 x 48: nothing to resize
        x = np.zeros((1, 3, 48, 320), np.float32)
        image = np.asarray(Image.open(name), np.float32)[:, :, ::-1]
        x[0, :, :, :image.shape[1]] = ((image / 255 - 0.5) / 0.5).transpose(2, 0, 1)
        best = session.run(None, {session.get_inputs()[0].name: x})[0][0].argmax(1)
        expected.append("".join(characters[c] for i, c in enumerate(best) if c and (i == 0 or c != best[i - 1])))
    out = subprocess.run([f"{BUILT}/ocr_line", path, *pictures], capture_output=True, text=True, check=False)
    found = out.stdout.split("\n")[:-1]
    same = sum(a == b for a, b in zip(found, expected))
    check("ocr_line: the texts are ONNX Runtime's", same == len(expected) == len(found) and sum(map(len, expected)) > 100,
          f"{same} of {len(expected)}, such as {expected[:3]} {out.stderr}")


check_vad()
check_ocr()
print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
sys.exit(counts["failed"] > 0)
