#!/usr/bin/env python3
"""Token ids of llama.cpp for many texts, through libllama.so and ctypes.

    ADZE_LLAMA_LIB=.../libllama.so python3 bench/peers/llama_tokens.py MODEL.gguf LINES [--special]

LINES: a JSON string on each line; a line of ids comes out for each. --special: special text is parsed, ends are added.
The model is loaded whole, so that its tensors are checked too.
"""
import ctypes as c
import json
import sys

import llama_logits


def main():
    path, lines, special = sys.argv[1], sys.argv[2], "--special" in sys.argv[3:]
    lib = llama_logits.load()
    lib.llama_log_set(llama_logits.quiet, None)
    params = lib.llama_model_default_params()
    params.gpu_layers = 0
    model = lib.llama_model_load_from_file(path.encode(), params)
    if not model:
        sys.exit(f"llama_tokens: {path}: cannot be loaded")
    vocab = lib.llama_model_get_vocab(model)
    lib.llama_tokenize.argtypes = [c.c_void_p, c.c_char_p, c.c_int32, c.POINTER(c.c_int32), c.c_int32, c.c_bool, c.c_bool]
    with open(lines, encoding="utf-8") as file:
        for line in file:
            text = json.loads(line).encode()
            most = len(text) * 2 + 16
            ids = (c.c_int32 * most)()
            count = lib.llama_tokenize(vocab, text, len(text), ids, most, special, special)
            print(*ids[:count])


if __name__ == "__main__":
    main()
