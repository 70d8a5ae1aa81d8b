# ONNX's own node cases: at least 500 of the core tier pass at every CPU level of this machine, with one
# and two threads, fused and not, and no mode fails a case that another passes.
set -euo pipefail
data=${ADZE_TEST_DATA:-$ADZE_SOURCE/../shared/data}/conformance
[ -r "$data/onnx-node-visible.tar.xz" ] || {
    echo "no conformance cases at $data: set ADZE_TEST_DATA"
    exit 77
}
tar xJf "$data/onnx-node-visible.tar.xz"
awk -F'\t' '$3 == "A" { print $1 }' "$data/onnx-node-visible.tsv" | sort >tier-a

model=$ADZE_SOURCE/models/fashion-mnist/fashion-mnist.onnx
passed=0 failed=0 skipped=0
for level in ref avx2 avx512; do
    if ! ADZE_CPU=$level "$ADZE" inspect "$model" >/dev/null 2>level.err; then
        skipped=$((skipped + 1))
        echo "SKIPPED level $level"
        echo "    $(cat level.err)"
        continue
    fi
    for threads in 1 2; do
        for fuse in on off; do
            mode=$level-$threads-$fuse
            # Failing cases outside the tier are no failure here: exit code 1 is expected.
            ADZE_CPU=$level "$ADZE" cases node --threads $threads --fuse $fuse --list "$mode.tsv" >/dev/null || [ $? = 1 ]
            awk -F'\t' '$2 == "pass" { print $1 }' "$mode.tsv" | sort | comm -12 - tier-a >"$mode.pass"
            [ -e first.pass ] || cp "$mode.pass" first.pass
            count=$(wc -l <"$mode.pass")
            if [ "$count" -ge 500 ] && cmp -s first.pass "$mode.pass"; then
                passed=$((passed + 1))
            else
                failed=$((failed + 1))
                echo "FAILED $mode: $count of $(wc -l <tier-a) pass; only in one of this mode and the first:"
                comm -3 first.pass "$mode.pass" | head -20
            fi
        done
    done
done
echo "$(wc -l <first.pass) of $(wc -l <tier-a) core cases pass"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
