# bench/peers/parity.py: the default model, float and quantized, node by node as ONNX Runtime; a difference is named.
set -uo pipefail
python=$("$ADZE_SOURCE/tools/venv") || { echo "no virtual environment with onnx and onnxruntime (tools/venv)"; exit 77; }
parity=("$python" "$ADZE_SOURCE/bench/peers/parity.py")
models=$ADZE_SOURCE/models/fashion-mnist
passed=0 failed=0

# expect <exit code> <pattern> <arguments of parity.py...>
expect() {
    local code=$1 pattern=$2
    shift 2
    "${parity[@]}" "$@" >out.txt 2>&1
    if [ $? = "$code" ] && grep -q "$pattern" out.txt; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED parity.py $*"
        tail -n 20 out.txt
    fi
}

expect 0 "whole model" "$models/fashion-mnist.onnx" --shape 3x1x28x28
expect 1 "FIRST TO DIFFER" "$models/fashion-mnist.onnx" --tolerance 1e-12
for options in "" "--symmetric --set activations.type=uint8" "--per-tensor"; do
    # shellcheck disable=SC2086
    "$ADZE" quantize "$models/fashion-mnist.onnx" --calibration "$models/calib-images-idx3-ubyte.gz" --samples 64 \
        --preprocess "$models/preprocess.json" $options --output q.onnx >/dev/null
    expect 0 "in pieces between integer values" q.onnx --shape 2x1x28x28
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
