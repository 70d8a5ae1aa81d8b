# What was certified is what runs: the int8 model computes the same bits at every CPU level and number of
# threads, and the same recipe gives the same bytes, with the data or, resolved, without them.
set -euo pipefail
models=$ADZE_SOURCE/models/fashion-mnist
"$ADZE" --help | grep -q '^  quantize ' || { echo "built without quantize"; exit 77; }
command -v python3 >/dev/null || { echo "no python3 to make inputs with"; exit 77; }
pictures=64
[ -z "${ADZE_TEST_BUDGET:-}" ] || pictures=8 # sanitizers make plain C slow
python3 - "$models/t10k-images-idx3-ubyte.gz" $pictures <<'PY'
import array, gzip, struct, sys
n = int(sys.argv[2])
with gzip.open(sys.argv[1]) as f:
    pixels = f.read(16 + n * 28 * 28)[16:]
values = array.array("f", [(p / 255 - 0.2860) / 0.3530 for p in pixels])
head = ("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 1, 28, 28), }" % n).ljust(117) + "\n"
open("x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + values.tobytes())
PY

# quantize <output> <options...>
quantize() {
    local out=$1
    shift
    "$ADZE" quantize "$models/fashion-mnist.onnx" --calibration "$models/calib-images-idx3-ubyte.gz" \
        --preprocess "$models/preprocess.json" --samples $pictures --output "$out" "$@" >/dev/null 2>quantize.err ||
        { cat quantize.err; exit 1; }
}

passed=0
for form in "" "--symmetric" "--per-tensor --calibrator mse" "--equalize --bias-correction --calibrator percentile"; do
    # shellcheck disable=SC2086
    quantize first.onnx $form --save-recipe resolved.json
    # shellcheck disable=SC2086
    quantize again.onnx $form --threads 1
    cmp first.onnx again.onnx || { echo "form '$form': another number of threads, other bytes"; exit 1; }
    ADZE_CPU=ref "$ADZE" quantize "$models/fashion-mnist.onnx" --recipe resolved.json --output resolved.onnx >/dev/null
    cmp first.onnx resolved.onnx || { echo "form '$form': the resolved recipe gives other bytes"; exit 1; }

    rm -rf reference
    ADZE_CPU=ref "$ADZE" run first.onnx --threads 1 --input x.npy --output-dir reference >/dev/null
    for level in ref avx2 avx512; do
        ADZE_CPU=$level "$ADZE" inspect first.onnx >/dev/null 2>&1 || { echo "without level $level"; continue; }
        for threads in 1 2 3; do
            ADZE_CPU=$level "$ADZE" run first.onnx --threads $threads --input x.npy --output-dir out >/dev/null
            cmp reference/logits.npy out/logits.npy || {
                echo "form '$form': level $level, $threads threads: other bits"
                exit 1
            }
            passed=$((passed + 1))
        done
    done
done
echo "$passed runs alike"
