# Tokenizers from GGUF to tokenizer.json and the other way, against the packages tokenizers and llama.cpp.
set -euo pipefail
python=${ADZE_TOKENIZERS_PYTHON:-}
[ -n "$python" ] || { echo "SKIPPED: set ADZE_TOKENIZERS_PYTHON to a python with tokenizers, gguf and numpy"; exit 77; }
[ -n "${ADZE_LLAMA_LIB:-}" ] || echo "SKIPPED: llama.cpp's opinion: set ADZE_LLAMA_LIB to its libllama.so"
data=${ADZE_DATA:-$ADZE_SOURCE/../shared/data}/conformance/vocab.tar.xz
[ -e "$data" ] || { echo "SKIPPED: no $data"; exit 77; }
tar xf "$data"
exec "$python" "$ADZE_SOURCE/tests/e2e/pip/llm_tokenizers.py" vocab
