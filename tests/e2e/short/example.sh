# The examples, built against the installed package through CMake and through pkg-config, give the numbers
# of the program.
set -euo pipefail
models=$ADZE_SOURCE/models/fashion-mnist
prefix=$PWD/prefix
cmake --install "$ADZE_BUILD" --prefix "$prefix" >install.log || { cat install.log; exit 1; }
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$ADZE_BUILD/CMakeCache.txt")
sanitize=$(sed -n 's/^ADZE_SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$ADZE_BUILD/CMakeCache.txt")

for example in "$ADZE_SOURCE"/examples/*.c; do
    [ "$(wc -l <"$example")" -le 100 ] || { echo "$example is longer than 100 lines"; exit 1; }
done
[ "$(wc -l <"$ADZE_SOURCE/examples/classify.c")" -le 60 ] || { echo "classify.c is longer than 60 lines"; exit 1; }

cmake -S "$ADZE_SOURCE/examples" -B by-cmake -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$compiler" -DCMAKE_C_FLAGS="$sanitize -Wall -Wextra -Werror" >cmake.log 2>&1 &&
    cmake --build by-cmake >>cmake.log 2>&1 || { cat cmake.log; exit 1; }
PKG_CONFIG_PATH=$(find "$prefix" -name adze.pc -printf '%h')
export PKG_CONFIG_PATH
flags=$(pkg-config --define-prefix --static --cflags --libs adze)
# shellcheck disable=SC2086
"$compiler" $sanitize "$ADZE_SOURCE/examples/classify.c" $flags -o classify

[ "$(by-cmake/custom_operator cube.onnx)" = "0 1 8 27 " ] || { echo "custom_operator computes something else"; exit 1; }
"$ADZE" inspect cube.onnx >cube.txt
grep -q "Cube" cube.txt && grep -q "register" cube.txt || { echo "inspect does not list Cube with a cure:"; cat cube.txt; exit 1; }

data=$models/t10k-images-idx3-ubyte.gz
by-cmake/classify "$models/fashion-mnist.onnx" "$data" "$models/preprocess.json" >example.txt
./classify "$models/fashion-mnist.onnx" "$data" "$models/preprocess.json" | cmp - example.txt
[ "$(wc -l <example.txt)" = 8 ]

command -v python3 >/dev/null || { echo "no python3 to make the program's input with"; exit 77; }
python3 - "$data" <<'PY'
import array, gzip, struct, sys
with gzip.open(sys.argv[1]) as f:
    pixels = f.read(16 + 8 * 28 * 28)[16:]
values = array.array("f", [(p * 0.00392156862745098 - 0.2860) / 0.3530 for p in pixels])
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 1, 28, 28), }".ljust(117) + "\n"
open("x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + values.tobytes())
PY
"$ADZE" run "$models/fashion-mnist.onnx" --input image=x.npy --output-dir out >/dev/null
python3 - <<'PY'
import array
raw = open("out/logits.npy", "rb").read()
program = array.array("f", raw[-8 * 10 * 4:])
rows = [line.split() for line in open("example.txt")]
example = [float(x) for row in rows for x in row[1:]]
worst = max(abs(a - b) for a, b in zip(program, example))
assert len(example) == 80 and worst <= 1e-5, worst
labels = [max(range(10), key=lambda c: program[i * 10 + c]) for i in range(8)]
assert labels == [int(row[0][:-1]) for row in rows], labels
print("the largest difference is", worst)
PY
