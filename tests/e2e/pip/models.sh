# adze optimize on networks that it was not made with, without a line of code for them: PP-OCR's direction classifier on
# drawn text lines, and MobileNetV2 with random weights; each ends with a valid front.
set -uo pipefail
python=$("$ADZE_SOURCE/tools/venv") || { echo "no virtual environment (tools/venv)"; exit 77; }
peers=$ADZE_SOURCE/bench/peers
passed=0 failed=0 skipped=0

# has_front <folder>: a front whose members exist, load in ONNX Runtime and are not slower than the original
has_front() {
    "$python" - "$1" <<'PY'
import json, sys
import onnx, onnxruntime
folder = sys.argv[1]
r = json.load(open(folder + "/report.json"))
front = [t for t in r["trials"][1:] if t["status"] == "front"]
print(f"{len(r['trials']) - 1} candidates, {len(front)} on the front, {r['metric']}; {r['verdict']}")
assert front and r["best"] in [t["name"] for t in front]
for t in front:
    onnx.checker.check_model(onnx.load(f"{folder}/{t['model_file']}"), full_check=True)
    onnxruntime.InferenceSession(f"{folder}/{t['model_file']}", providers=["CPUExecutionProvider"])
    m, s = t["certified_metric"], t["speedup"]
    print(f"  {t['name']}: {t['size'] / r['trials'][0]['size']:.2f} of the size, {s['value']:.2f}x, {m['value']:.4f}")
    assert s["high"] >= 0.95 and m["low"] <= m["value"] <= m["high"], t
PY
}

# optimized <name> <options...>
optimized() {
    local name=$1
    shift
    if "$ADZE" optimize "$@" --output "$name" >"$name.txt" 2>&1 && has_front "$name"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -n 15 "$name.txt"
        echo "FAILED $name"
    fi
}

ocr=$("$python" -c "import glob, sysconfig
print((glob.glob(sysconfig.get_path('purelib') + '/rapidocr_onnxruntime/models/*cls*.onnx') or [''])[0])")
if [ -n "$ocr" ] && "$python" "$peers/make_ocr_lines.py" lines --count 400; then
    echo '{"channels": "rgb", "mean": 0.5, "std": 0.5}' >ocr.json
    # Unlabelled: the pictures of both folders side by side, so that agreement with the original is the metric.
    mkdir flat && for f in lines/*/*.png; do cp "$f" "flat/$(basename "$(dirname "$f")")-$(basename "$f")"; done
    optimized ocr "$ocr" --data flat --preprocess ocr.json --shape "$("$python" -c "import onnx, sys
print(onnx.load(sys.argv[1]).graph.input[0].name)" "$ocr")=?x3x48x192" --require "agreement>=0.95" --budget 60s
else
    skipped=$((skipped + 1))
    printf 'SKIPPED ocr\n    no rapidocr-onnxruntime in the virtual environment, or the pictures cannot be drawn\n'
fi

if /usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null; then
    /usr/bin/python3 "$peers/make_mobilenet.py" mobilenet.onnx >mobilenet.log 2>&1 || cat mobilenet.log
    "$python" -c "import numpy as np
r = np.random.default_rng(0)
x = sum(np.kron(r.normal(size=(64, 3, s, s)), np.ones((1, 1, 224 // s, 224 // s))) for s in (4, 8, 16, 56, 224))
np.save('pictures.npy', (x / x.std()).astype(np.float32))"
    optimized mobilenet mobilenet.onnx --data pictures.npy --goal latency --budget 60s
else
    skipped=$((skipped + 1))
    printf 'SKIPPED mobilenet\n    no PyTorch with torchvision (Debian: python3-torch, python3-torchvision)\n'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
