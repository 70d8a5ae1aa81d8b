# The cases that converters left (ONNX's simple, pytorch-operator and pytorch-converted), fused and not and with every
# dimension of every input made a symbol, and nine old networks whose weights are ConstantOfShape (light).
set -euo pipefail
data=${ADZE_TEST_DATA:-$ADZE_SOURCE/../shared/data}/conformance
[ -r "$data/onnx-other.tar.xz" ] || {
    echo "no conformance cases at $data: set ADZE_TEST_DATA"
    exit 77
}
command -v python3 >/dev/null || { echo "no python3 to make inputs with"; exit 77; }
tar xJf "$data/onnx-other.tar.xz"

# What does not pass, and why.
cat >listed <<'EOF'
test_gradient_of_add	differentiates at run time: Gradient belongs to training
test_gradient_of_add_and_mul	differentiates at run time: Gradient belongs to training
EOF
cut -f1 listed >known

# Networks have no input files: the input is arange(n) / n, written as a TensorProto (dims, float32, raw_data).
python3 - <<'PY'
import array, glob, json, math, os, shutil, subprocess

def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

for path in glob.glob("light/*.onnx"):
    case = "networks/" + os.path.basename(path)[:-5]
    os.makedirs(case + "/test_data_set_0")
    shutil.copy(path, case + "/model.onnx")
    shutil.copy(path[:-5] + "_output_0.pb", case + "/test_data_set_0/output_0.pb")
    dims = json.loads(subprocess.check_output([os.environ["ADZE"], "inspect", path, "--json"]))["inputs"][0]["shape"]
    n = math.prod(dims)
    raw = array.array("f", (i / n for i in range(n))).tobytes()
    with open(case + "/test_data_set_0/input_0.pb", "wb") as f:
        f.write(b"".join(b"\x08" + varint(d) for d in dims) + b"\x10\x01" + b"\x4a" + varint(len(raw)) + raw)
PY

passed=0 failed=0
# mode <name> <folder> <file of names that fail> <cases there> <options of adze cases...>
mode() {
    local name=$1 folder=$2 expected=$3 count=$4
    shift 4
    "$ADZE" cases "$folder" "$@" --list "$name.tsv" >/dev/null || [ $? = 1 ]
    awk -F'\t' '$2 != "pass" { print $1 }' "$name.tsv" | sort >"$name.fail"
    if [ "$(wc -l <"$name.tsv")" = "$count" ] && cmp -s "$expected" "$name.fail"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $name: $(wc -l <"$name.tsv") cases; listed and passing, then failing and not listed:"
        comm -3 "$expected" "$name.fail"
        comm -13 "$expected" "$name.fail" | grep -wFf - "$name.tsv" | cut -c1-300
    fi
}

mkdir small
mv simple pytorch-operator pytorch-converted small
model=$ADZE_SOURCE/models/fashion-mnist/fashion-mnist.onnx
skipped=0
for level in ref avx2 avx512; do
    if ! ADZE_CPU=$level "$ADZE" inspect "$model" >/dev/null 2>level.err; then
        skipped=$((skipped + 1))
        echo "SKIPPED level $level"
        echo "    $(cat level.err)"
        continue
    fi
    export ADZE_CPU=$level
    mode $level small known 140
    mode $level-plain small known 140 --fuse off --threads 1
    mode $level-symbolic small known 140 --symbolic
    unset ADZE_CPU
done
if [ -z "${ADZE_TEST_BUDGET:-}" ]; then # sanitizers would take minutes
    mode networks networks /dev/null 9
    mode networks-plain networks /dev/null 9 --fuse off
    mode networks-symbolic networks /dev/null 9 --symbolic
else
    skipped=$((skipped + 1))
    echo "SKIPPED networks"
    echo "    too slow under sanitizers"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
