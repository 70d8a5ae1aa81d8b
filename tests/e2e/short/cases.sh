# ONNX's own node cases at every CPU level of this machine, with one and two threads, fused and not, and with every
# dimension of every input made a symbol. tests/golden/onnx_known_failures.tsv lists what does not pass, and why: a case that
# fails and is not listed is a failure, and so is one that is listed and passes.
set -euo pipefail
data=${ADZE_TEST_DATA:-$ADZE_SOURCE/../shared/data}/conformance
[ -r "$data/onnx-node-visible.tar.xz" ] || {
    echo "no conformance cases at $data: set ADZE_TEST_DATA"
    exit 77
}
tar xJf "$data/onnx-node-visible.tar.xz"
known=$ADZE_SOURCE/tests/golden/onnx_known_failures.tsv
awk -F'\t' '$2 == "always" { print $1 }' "$known" | sort >always
awk -F'\t' '$2 == "always" || $2 == "symbolic" { print $1 }' "$known" | sort >symbolic

model=$ADZE_SOURCE/models/fashion-mnist/fashion-mnist.onnx
passed=0 failed=0 skipped=0

# mode <expected failures> <name> <options of adze cases...>
mode() {
    local expected=$1 name=$2
    shift 2
    "$ADZE" cases node "$@" --list "$name.tsv" >/dev/null || [ $? = 1 ]
    awk -F'\t' '$2 != "pass" { print $1 }' "$name.tsv" | sort >"$name.fail"
    if [ "$(wc -l <"$name.tsv")" -gt 1000 ] && cmp -s "$expected" "$name.fail"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name: listed and passing, then failing and not listed:"
        comm -3 "$expected" "$name.fail" | head -20
        comm -13 "$expected" "$name.fail" | grep -wFf - "$name.tsv" | head -5
    fi
}

for level in ref avx2 avx512; do
    export ADZE_CPU=$level
    if ! "$ADZE" inspect "$model" >/dev/null 2>level.err; then
        skipped=$((skipped + 1))
        echo "SKIPPED level $level"
        echo "    $(cat level.err)"
        continue
    fi
    for threads in 1 2; do
        for fuse in on off; do
            mode always $level-$threads-$fuse --threads $threads --fuse $fuse
        done
    done
    mode symbolic $level-symbolic --threads 2 --symbolic
done
echo "$(($(wc -l <"$known") - 1)) cases are listed, $(wc -l <always) of them always"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
