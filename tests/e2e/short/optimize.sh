# The main job on a part of the data: it ends with a front; it resumes after kill -9; what is slower is rejected
# for that reason; requirements that cannot be met end with exit code 1 and the nearest miss.
set -euo pipefail
models=$ADZE_SOURCE/models/fashion-mnist
"$ADZE" --help | grep -q '^  optimize ' || { echo "built without optimize"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to cut the data and read reports with"; exit 77; }
python3 - "$models" <<'PY'
import gzip, struct, sys
for name, head in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8)):
    data = gzip.open(f"{sys.argv[1]}/t10k-{name}.gz").read()
    each = 784 if head == 16 else 1
    n = 1200
    open(f"few-{name}", "wb").write(data[:4] + struct.pack(">I", n) + data[8:head + n * each])
PY

search=("$ADZE" optimize "$models/fashion-mnist.onnx" --calibration "$models/calib-images-idx3-ubyte.gz" --samples 64
    --data few-images-idx3-ubyte --preprocess "$models/preprocess.json" --threads 1 --output)

# In the middle of a search: kill -9, then again.
"${search[@]}" out --require "top1>=original-3%" --require "size<=0.38*original" --budget 200s >killed.txt 2>&1 &
pid=$!
for ((i = 0; i < 1200; i++)); do
    sleep 0.1
    [ "$(grep -cE '^\[[0-9]+/' killed.txt || true)" -ge 6 ] && break
done
kill -9 $pid 2>/dev/null || { cat killed.txt; echo "ended before it could be killed"; exit 1; }
wait $pid || true
[ ! -e out/best.onnx ] && [ ! -e out/report.json ] || { echo "half-written results"; exit 1; }
code=0
"${search[@]}" out --require "top1>=original-3%" --require "size<=0.38*original" --budget "${ADZE_TEST_BUDGET:-12s}" >again.txt 2>&1 || code=$?
if [ -n "${ADZE_TEST_BUDGET:-}" ]; then
    # Sanitizers make everything a hundred times slower: that it went on and ended with a report is all they can say.
    [ $code -le 1 ] && [ -s out/report.json ] || { tail -20 again.txt; exit 1; }
    exit 0
fi
[ $code = 0 ] || { tail -20 again.txt; exit 1; }

# A candidate pays extra time for each run: all are slower, none is recommended.
code=0
ADZE_TEST_SLOWDOWN=5 "${search[@]}" slow --require "top1>=original-3%" --budget 12s >slow.txt 2>&1 || code=$?
[ $code = 1 ] || { tail -20 slow.txt; echo "slower candidates: exit code $code, expected 1"; exit 1; }

cp -r out cannot # the ledger comes along: nothing is measured again but the finalists
code=0
"${search[@]}" cannot --require "size<=1KB" --require "top1>=original-3%" --budget 12s >cannot.txt 2>&1 || code=$?
[ $code = 1 ] || { tail -20 cannot.txt; echo "impossible requirement: exit code $code, expected 1"; exit 1; }
[ ! -e cannot/best.onnx ] || { echo "best.onnx in spite of a failed requirement"; exit 1; }
grep -q "Nearest miss: " cannot.txt || { tail -20 cannot.txt; echo "the nearest miss is not named"; exit 1; }

"$ADZE" optimize "$models/fashion-mnist.onnx" --data few-images-idx3-ubyte --require "speed>=fast" --output bad \
    >bad.txt 2>&1 && { echo "accepted a nonsense requirement"; exit 1; } || [ $? = 2 ] || { cat bad.txt; exit 1; }

python3 - "$ADZE" <<'PY'
import json, os, subprocess, sys
r = json.load(open("out/report.json"))
trials = r["trials"][1:]
front = [t for t in trials if t["status"] == "front"]
assert r["reused"] >= 3, f"resumed with {r['reused']} trials from the ledger"
assert len(trials) >= 5 and front and r["passed"] and r["best"] in [t["name"] for t in front], r["verdict"]
for t in front:
    assert t["speedup"]["low"] > 0.9, t
    for file in (t["model_file"], t["recipe_file"]):
        assert os.path.getsize("out/" + file) > 0
    recipe = "out/" + t["recipe_file"]
    subprocess.run([sys.argv[1], "quantize", os.environ["ADZE_SOURCE"] + "/models/fashion-mnist/fashion-mnist.onnx",
                    "--recipe", recipe, "--output", "again.onnx"], check=True, stdout=subprocess.DEVNULL)
    assert open("again.onnx", "rb").read() == open("out/" + t["model_file"], "rb").read(), recipe
assert open("out/best.onnx", "rb").read() in [open("out/" + t["model_file"], "rb").read() for t in front]
html = open("out/report.html").read()
assert "<svg" in html and "<script" not in html and "http://" not in html and "https://" not in html

slow = json.load(open("slow/report.json"))
assert not slow["passed"] and slow["best"] is None
reasons = [t["reason"] for t in slow["trials"][1:] if t["status"] in ("rejected", "dropped")]
assert reasons and any("slower than the original" in x for x in reasons), reasons
print(len(trials), "candidates,", r["reused"], "resumed,", len(front), "on the front")
PY
