#!/usr/bin/env python3
"""Logits (or embeddings) of llama.cpp for given token ids, through libllama.so and ctypes: an independent opinion on
what a GGUF computes.

    ADZE_LLAMA_LIB=.../libllama.so python3 bench/peers/llama_logits.py MODEL.gguf OUT.npy --tokens FILE [options]

FILE: ids separated by white space, or a .npy. OUT.npy: float32 (--half: float16) [tokens, vocab], one row for each
position: the logits for the token after it. A long text goes in chunks, each a sequence of its own, as
llama-perplexity does it: --context 512 --chunks 8; --second-half keeps of each chunk only the rows that
llama-perplexity scores. Ids that fill no whole chunk are left out when --chunks or --second-half is given.

The structures below are those of llama.h; where the library's differ, its defaults look wrong and this stops.
"""

import argparse
import ctypes as c
import os
import sys
import time

import numpy as np

KV = {"f32": 0, "f16": 1, "q8_0": 8}  # enum ggml_type


def structure(*fields):
    fields = [(name, kind) for kind, names in fields for name in names.split()]
    return type("Structure", (c.Structure,), {"_fields_": fields})


ModelParams = structure(
    (c.c_void_p, "devices overrides"), (c.c_int32, "gpu_layers split_mode load_mode lazy_mode main_gpu"),
    (c.c_void_p, "tensor_split progress progress_data kv_overrides"),
    (c.c_bool, "vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp"))
ContextParams = structure(
    (c.c_uint32, "n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq"),
    (c.c_int32, "n_threads n_threads_batch ctx_type rope_scaling_type pooling_type attention_type flash_attn"),
    (c.c_float, "rope_freq_base rope_freq_scale yarn_ext yarn_attn yarn_fast yarn_slow"), (c.c_uint32, "yarn_orig_ctx"),
    (c.c_float, "defrag"), (c.c_void_p, "eval_callback eval_data"), (c.c_int32, "type_k type_v"),
    (c.c_void_p, "abort_callback abort_data"),
    (c.c_bool, "embeddings offload_kqv no_perf op_offload swa_full kv_unified"), (c.c_void_p, "samplers"),
    (c.c_size_t, "n_samplers"), (c.c_void_p, "other"))
Batch = structure(
    (c.c_int32, "n_tokens"), (c.POINTER(c.c_int32), "token"), (c.c_void_p, "embd"),
    (c.POINTER(c.c_int32), "pos n_seq_id"),
    (c.POINTER(c.POINTER(c.c_int32)), "seq_id"), (c.POINTER(c.c_int8), "logits"))


def load():
    path = os.environ.get("ADZE_LLAMA_LIB")
    if not path:
        sys.exit("llama_logits: set ADZE_LLAMA_LIB to libllama.so")
    lib = c.CDLL(path)
    pointers = "load_model_from_file model_load_from_file init_from_model get_memory model_get_vocab get_logits_ith " \
               "get_embeddings_ith"
    for name in pointers.split():
        if hasattr(lib, "llama_" + name):
            getattr(lib, "llama_" + name).restype = c.c_void_p
    lib.llama_get_logits_ith.restype = lib.llama_get_embeddings_ith.restype = c.POINTER(c.c_float)
    lib.llama_model_default_params.restype = ModelParams
    lib.llama_context_default_params.restype = ContextParams
    lib.llama_batch_init.restype = Batch
    lib.llama_model_load_from_file.argtypes = [c.c_char_p, ModelParams]
    lib.llama_init_from_model.argtypes = [c.c_void_p, ContextParams]
    lib.llama_decode.argtypes = [c.c_void_p, Batch]
    for name in "model_get_vocab vocab_n_tokens get_memory model_n_embd vocab_bos".split():
        getattr(lib, "llama_" + name).argtypes = [c.c_void_p]
    lib.llama_memory_clear.argtypes = [c.c_void_p, c.c_bool]
    lib.llama_get_logits_ith.argtypes = lib.llama_get_embeddings_ith.argtypes = [c.c_void_p, c.c_int32]
    return lib


# Messages of the library: only warnings (3) and errors (4).
@c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
def quiet(level, text, _):
    if level in (3, 4):
        sys.stderr.write(text.decode(errors="replace"))


class Model:
    def __init__(self, path, context, step, options):
        self.lib = load()
        self.lib.llama_log_set(quiet, None)
        params = self.lib.llama_model_default_params()
        params.gpu_layers = 0
        self.model = self.lib.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            sys.exit(f"llama_logits: {path}: cannot be loaded")
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        params = self.lib.llama_context_default_params()
        if (params.n_ctx, params.n_batch, params.type_k, params.flash_attn) != (512, 2048, 1, -1):
            sys.exit("llama_logits: this libllama.so has other structures than the ones in this script")
        params.n_ctx, params.n_batch, params.n_ubatch = context, step, step
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = options.threads
        params.flash_attn = 1 if options.flash else 0
        params.type_k = params.type_v = KV[options.kv]
        if options.embeddings:
            params.embeddings, params.pooling_type = True, 0
        self.context = self.lib.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit("llama_logits: no context (enough memory?)")
        self.step, self.embeddings = step, options.embeddings
        self.batch = self.lib.llama_batch_init(step, 0, 1)
        self.width = (self.lib.llama_model_n_embd(self.model) if self.embeddings else
                      self.lib.llama_vocab_n_tokens(self.vocab))
        self.row = self.lib.llama_get_embeddings_ith if self.embeddings else self.lib.llama_get_logits_ith

    def sequence(self, ids, out, first=0):
        """Rows first.. of one sequence that starts afresh."""
        memory = self.lib.llama_get_memory(self.context)
        if memory:
            self.lib.llama_memory_clear(memory, True)
        for start in range(0, len(ids), self.step):
            part = ids[start:start + self.step]
            for i, token in enumerate(part):
                self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i] = int(token), start + i, 1
                self.batch.seq_id[i][0] = 0
                self.batch.logits[i] = start + i >= first
            self.batch.n_tokens = len(part)
            code = self.lib.llama_decode(self.context, self.batch)
            if code:
                sys.exit(f"llama_logits: llama_decode failed with {code}")
            for i in range(max(0, first - start), len(part)):
                out[start + i - first] = np.ctypeslib.as_array(self.row(self.context, i), (self.width,))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--tokens", required=True, help="ids, white space between them, or a .npy")
    parser.add_argument("--context", type=int, default=0, help="tokens in a chunk (default: all ids, one chunk)")
    parser.add_argument("--chunks", type=int, default=0, help="at most so many chunks")
    parser.add_argument("--second-half", action="store_true", help="only rows context/2 .. context-2 of each chunk")
    parser.add_argument("--bos", action="store_true", help="the first id of each chunk becomes the model's BOS")
    parser.add_argument("--batch", type=int, default=512, help="tokens at once; 1: step by step through the KV cache")
    parser.add_argument("--kv", choices=KV, default="f16")
    parser.add_argument("--flash", action="store_true", help="flash attention (default: off)")
    parser.add_argument("--embeddings", action="store_true", help="last hidden states, not pooled, instead of logits")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--half", action="store_true", help="write float16")
    options = parser.parse_args()

    text = not options.tokens.endswith(".npy")
    ids = np.load(options.tokens) if not text else np.array(open(options.tokens).read().split(), int)
    context = options.context or len(ids)
    chunks = [ids[i:i + context] for i in range(0, len(ids), context)]
    if options.chunks or options.second_half:
        chunks = [chunk for chunk in chunks if len(chunk) == context][:options.chunks or None]
    if not chunks:
        sys.exit(f"llama_logits: {len(ids)} ids fill no chunk of {context}")
    model = Model(options.model, context, min(options.batch, context), options)
    first, last = (context // 2, context - 1) if options.second_half else (0, context)
    lengths = [min(last, len(chunk)) - first for chunk in chunks]
    out = np.lib.format.open_memmap(options.out, mode="w+", dtype=np.float16 if options.half else np.float32,
                                    shape=(sum(lengths), model.width))
    started, row = time.time(), 0
    for chunk, length in zip(chunks, lengths):
        if options.bos:
            chunk = np.concatenate([[model.lib.llama_vocab_bos(model.vocab)], chunk[1:]])
        model.sequence(chunk[:first + length], out[row:row + length], first)
        row += length
    out.flush()
    print(f"{out.shape[0]} x {out.shape[1]} {'embeddings' if options.embeddings else 'logits'} in "
          f"{time.time() - started:.1f} s: {options.out}")


if __name__ == "__main__":
    main()
