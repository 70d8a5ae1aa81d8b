# The examples that run networks of pip packages: vad (silero-vad) and ocr_line (PP-OCR), built against the installed adze,
# against ONNX Runtime on the same samples and pictures.
set -euo pipefail
python=$("$ADZE_SOURCE/tools/venv") || { echo "no virtual environment with onnxruntime (tools/venv)"; exit 77; }
cmake --install "$ADZE_BUILD" --prefix "$PWD/prefix" >install.log || { cat install.log; exit 1; }
cmake -S "$ADZE_SOURCE/examples" -B examples -DCMAKE_PREFIX_PATH="$PWD/prefix" -DCMAKE_BUILD_TYPE=Release >cmake.log 2>&1 &&
    cmake --build examples >>cmake.log 2>&1 || { cat cmake.log; exit 1; }
"$python" "$ADZE_SOURCE/bench/peers/make_ocr_lines.py" lines --count 60 || echo "no pictures of lines"
exec "$python" "$ADZE_SOURCE/tests/e2e/pip/examples.py" examples lines
