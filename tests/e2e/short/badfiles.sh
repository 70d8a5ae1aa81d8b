# Cut-off and bit-flipped models and unreadable data: one clear line, exit code 3, nothing half-written.
set -euo pipefail
models=$ADZE_SOURCE/models/fashion-mnist
passed=0 failed=0
wrong() { failed=$((failed + 1)); echo "FAILED $*"; }

# refused <what> <command...>: exit code 3, one line on stderr that names the file
refused() {
    local what=$1 code=0
    shift
    "$@" >out 2>err </dev/null || code=$?
    if [ $code != 3 ]; then
        wrong "$what: exit code $code: $(head -c 300 err)"
    elif [ "$(wc -l <err)" != 1 ] || ! grep -qE '^adze: .*(broken|flipped|nowhere)' err; then
        wrong "$what: no one clear line: $(head -c 300 err)"
    else
        passed=$((passed + 1))
    fi
}

size=$(stat -c %s "$models/fashion-mnist.onnx")
for bytes in 0 1 7 100 1000 $((size / 3)) $((size / 2)) $((size - 1000)) $((size - 1)); do
    head -c "$bytes" "$models/fashion-mnist.onnx" >broken.onnx
    refused "cut off after $bytes bytes" "$ADZE" inspect broken.onnx
done
head -c 50000 /dev/urandom >broken.onnx
refused "random bytes" "$ADZE" inspect broken.onnx
mkdir -p broken.folder.onnx
refused "a folder" "$ADZE" inspect broken.folder.onnx

# A flipped bit may also hit a weight or a name, which no reader can notice; but nothing may crash, and
# what is refused is refused clearly. Most of the structure lies in front of the weights.
if command -v python3 >/dev/null; then
    python3 - "$models/fashion-mnist.onnx" <<'PY'
import random, sys
data, rng = open(sys.argv[1], "rb").read(), random.Random(1)
for i in range(150):
    b = bytearray(data)
    at = rng.randrange(len(b)) if i % 3 else rng.randrange(4000)
    b[at] ^= 1 << rng.randrange(8)
    open(f"flipped-{i}.onnx", "wb").write(b)
PY
    for file in flipped-*.onnx; do
        code=0
        "$ADZE" graph "$file" --after all >out 2>err </dev/null || code=$?
        case $code in
        0) passed=$((passed + 1)) ;;
        3 | 4) if grep -q '^adze: .' err; then passed=$((passed + 1)); else wrong "$file: silent, exit code $code"; fi ;;
        *) wrong "$file: exit code $code: $(head -c 300 err)" ;;
        esac
    done
else
    echo "SKIPPED bit flips"
    echo "    no python3"
fi

# Data.
head -c 3000 "$models/t10k-images-idx3-ubyte.gz" >broken-images-idx3-ubyte.gz
echo "no numbers" >broken.npy
if "$ADZE" --help | grep -q '^  eval '; then
    refused "cut-off IDX" "$ADZE" eval "$models/fashion-mnist.onnx" --data broken-images-idx3-ubyte.gz
    refused "no data set" "$ADZE" eval "$models/fashion-mnist.onnx" --data nowhere.gz
fi
refused "bad .npy" "$ADZE" run "$models/fashion-mnist.onnx" --input image=broken.npy
head -c 1000 "$models/fashion-mnist.onnx" >broken.onnx
for command in "quantize broken.onnx --calibration $models/calib-images-idx3-ubyte.gz --output result.onnx" \
    "quantize $models/fashion-mnist.onnx --calibration broken-images-idx3-ubyte.gz --output result.onnx" \
    "convert broken.onnx result.onnx" \
    "optimize broken.onnx --data $models/t10k-images-idx3-ubyte.gz --output result" \
    "optimize $models/fashion-mnist.onnx --data broken-images-idx3-ubyte.gz --output result"; do
    "$ADZE" --help | grep -q "^  ${command%% *} " || continue
    # shellcheck disable=SC2086
    refused "$command" "$ADZE" $command
    left=$(find . -name 'result*' ! -type d ! -name 'ledger.sqlite*')
    [ -z "$left" ] || wrong "$command left $left behind"
    rm -rf result*
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
