# adze's numbers and files against ONNX Runtime and onnx.checker.
set -euo pipefail
python=$("$ADZE_SOURCE/tools/venv") || { echo "no virtual environment with onnx and onnxruntime (tools/venv)"; exit 77; }
exec "$python" "$ADZE_SOURCE/tests/e2e/pip/ort.py"
