# 'adze cases --against onnxruntime' with the library that pip's onnxruntime carries.
set -euo pipefail
python=$("$ADZE_SOURCE/tools/venv") || { echo "no virtual environment with onnx and onnxruntime (tools/venv)"; exit 77; }
library=$("$python" -c 'import glob, os, onnxruntime; print(*glob.glob(os.path.dirname(onnxruntime.__file__) + "/capi/libonnxruntime.so*"))')
[ -n "$library" ] || { echo "onnxruntime came without a shared library"; exit 77; }
fail() { echo "$1"; cat out; exit 1; }
"$python" "$ADZE_SOURCE/tests/e2e/pip/against.py"

# Equal, node by node and rewritten; a second program, the same values.
"$ADZE" cases equal/model.onnx --against "$library" >out || fail "equal models differ"
grep -q 'node by node: 3 values compared, 0 out of bounds' out || fail "not three values"
grep -q 'rewritten, as it runs: [1-9][0-9]* values compared, 0 out of bounds' out || fail "nothing compared after rewriting"

# ONNX Runtime scales to the last pixel where the scale and the size it gives do not agree. What comes after is fed its value.
set +e
ADZE_ONNXRUNTIME=$library "$ADZE" cases different/model.onnx --against onnxruntime >out
[ $? = 1 ] || fail "exit code of a difference"
set -e
grep -q "FIRST TO DIFFER: Resize 'second' in its output b" out || fail "the node is not named"
grep -qE "float32\\[1,1,1,2\\]: element 1 is [^ ]+, ONNX Runtime's [^ ]+; 1 of 2 differ" out || fail "the difference is not shown"
grep -q 'node by node: 3 values compared, 1 out of bounds' out || fail "a node inherited the difference of another"

# Folders of cases: equal, different, not compared. Strings, 4 and 2 bits go both ways.
set +e
"$ADZE" cases . --against "$library" --list list.tsv >out
[ $? = 1 ] || fail "exit code of a folder"
set -e
grep -q '^3 equal, 1 different, 1 not compared$' out || fail "counts"
grep -qP '^sequence\tnot compared\tinput .s. is not a tensor' list.tsv || { cat list.tsv; exit 1; }

# An external file, and inputs from files.
"$ADZE" cases external/model.onnx --against "$library" --input x=external/x.npy >out || fail "external data"

# Without a model, and without a runtime.
set +e
"$ADZE" cases equal/model.onnx 2>out && fail "a model without --against"
grep -q 'go with --against only' out || fail "what a model needs"
"$ADZE" cases equal/model.onnx --against ./none.so 2>out && fail "no library"
grep -q './none.so: not a shared library' out || fail "what is wrong with the library"
"$ADZE" cases equal --against "$library" --symbolic 2>out && fail "--symbolic does nothing here"
grep -q 'neither --fuse nor --symbolic' out || fail "what does not go together"
