# Operators of com.microsoft as ONNX Runtime computes them, and models in the forms of opsets 1 to 6 as the specification
# says: the cases of tests/golden/operators (made by the scripts there) at every CPU level of this machine, fused and not,
# and with every dimension of every input made a symbol.
set -euo pipefail
model=$ADZE_SOURCE/models/fashion-mnist/fashion-mnist.onnx
passed=0 failed=0 skipped=0

# mode <least number of cases> <folder> <options of adze cases...>
mode() {
    local least=$1 folder=$2
    shift 2
    if "$ADZE" cases "$folder" "$@" >out.txt && [ "$(sed -n 's/ passed, .*//p' out.txt)" -ge "$least" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        tail -n 20 out.txt
        echo "FAILED $folder $* at ${ADZE_CPU:-the best level}"
    fi
}

for archive in "$ADZE_SOURCE"/tests/golden/operators/*.tar.xz; do
    name=$(basename "$archive" .tar.xz)
    mkdir "$name"
    tar xJf "$archive" -C "$name"
done
for level in ref avx2 avx512; do
    export ADZE_CPU=$level
    if ! "$ADZE" inspect "$model" >/dev/null 2>level.err; then
        skipped=$((skipped + 1))
        echo "SKIPPED level $level"
        echo "    $(cat level.err)"
        continue
    fi
    for folder in */; do
        count=$(find "$folder" -name model.onnx | wc -l)
        mode "$count" "$folder" --threads 2
        mode "$count" "$folder" --fuse off --threads 1
        mode "$count" "$folder" --symbolic
    done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
