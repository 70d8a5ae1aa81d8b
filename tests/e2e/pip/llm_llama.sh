# The golden models as GGUF: written by adze and read by llama.cpp, written by llama.cpp's converter and read by adze.
set -euo pipefail
[ -n "${ADZE_LLAMA_LIB:-}" ] || { echo "SKIPPED: set ADZE_LLAMA_LIB to llama.cpp's libllama.so"; exit 77; }
python=${ADZE_LLAMA_PYTHON:-$("$ADZE_SOURCE/tools/venv")} || { echo "SKIPPED: no python with numpy (tools/venv)"; exit 77; }
exec "$python" "$ADZE_SOURCE/tests/e2e/pip/llm_llama.py"
