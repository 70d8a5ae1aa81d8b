#!/usr/bin/env python3
"""Asks llama-quantize which type it gives each tensor of tiny models, for every mix: llm_mix.txt.

    tests/golden/llm_mix.py FOLDER-OF-LLAMA-BINARIES > tests/golden/llm_mix.txt

Needs numpy and gguf. A model: its name, architecture, layers, heads, heads of keys, experts; then kinds of
tensors, "*" before a name that every layer has. After that a line for each mix, without and with importance
matrix ("-", "+", "=" for both), and the types in the order of the kinds, runs counted.
"""
import os
import re
import subprocess
import sys
import tempfile

import gguf
import numpy as np

MIXES = """Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 F16 BF16 F32 Q2_K Q2_K_S Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S
Q5_K_M Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_NL IQ4_XS TQ1_0 TQ2_0
MXFP4_MOE""".split()

ATTENTION = ["*attn_norm.weight 256", "*attn_q.weight 256 256", "*attn_k.weight 256 256",
             "*attn_v.weight 256 256", "*attn_output.weight 256 256"]
FFN = ["*ffn_gate.weight 256 256", "*ffn_up.weight 256 256", "*ffn_down.weight 256 256"]
EXPERTS = ["*ffn_gate_inp.weight 8 256", "*ffn_gate_exps.weight 8 32 256", "*ffn_up_exps.weight 8 32 256",
           "*ffn_down_exps.weight 8 32 256"]
EMBEDDING = ["token_embd.weight 64 256", "output_norm.weight 256"]
OUTPUT = ["output.weight 64 256"]
WIDE = [k.replace(" 256", " 576") for k in EMBEDDING + ATTENTION + FFN[:2]] + ["*ffn_down.weight 576 1536"]
ODD = [k.replace(" 256", " 40") for k in EMBEDDING + OUTPUT + ATTENTION + FFN]
QKV = ["*attn_qkv.weight 256 256", "*attn_qkv.bias 256", "*attn_output.weight 256 256",
       "*ffn_up.weight 256 256", "*ffn_down.weight 256 256", "*ffn_down.bias 256"]

# name, architecture, layers, heads, heads of keys, experts, kinds, further keys
MODELS = [
    ("llama-1b", "llama", 16, 32, 8, 0, EMBEDDING + ATTENTION + FFN, {}),
    ("llama-7b", "llama", 32, 32, 32, 0, EMBEDDING + OUTPUT + ATTENTION + FFN, {}),
    ("smollm2", "llama", 30, 9, 3, 0, WIDE, {}),
    ("odd", "llama", 8, 8, 8, 0, ODD, {}),
    ("llama-70b", "llama", 80, 64, 8, 0, EMBEDDING + OUTPUT + ["*attn_v.weight 256 256"], {}),
    ("qwen2-72b", "qwen2", 80, 64, 16, 0, EMBEDDING + OUTPUT + ["*attn_v.weight 256 256"], {}),
    ("mixtral", "llama", 32, 32, 8, 8, EMBEDDING + OUTPUT + ATTENTION + EXPERTS, {}),
    ("qwen2moe", "qwen2moe", 24, 16, 16, 60,
     EMBEDDING + OUTPUT + ATTENTION + EXPERTS + ["*ffn_down_shexp.weight 256 256",
                                                 "*ffn_gate_inp_shexp.weight 256"], {}),
    ("qwen3moe", "qwen3moe", 12, 32, 4, 128, EMBEDDING + ATTENTION + EXPERTS, {}),
    ("falcon", "falcon", 32, 71, 1, 0, EMBEDDING + OUTPUT + QKV, {"layer_norm_epsilon": 1e-5}),
    ("gemma2", "gemma2", 26, 8, 4, 0, EMBEDDING + ATTENTION + FFN + ["*post_ffw_norm.weight 256"],
     {"attention.sliding_window": 16}),
    ("gpt2", "gpt2", 12, 12, 12, 0, EMBEDDING + ["position_embd.weight 16 256"] + QKV,
     {"layer_norm_epsilon": 1e-5}),
    ("bert", "bert", 6, 12, 12, 0, EMBEDDING + ["position_embd.weight 16 256", "token_types.weight 2 256"]
     + ATTENTION + FFN[1:], {"layer_norm_epsilon": 1e-5}),
    ("gemma3n", "gemma3n", 6, 8, 2, 0,
     EMBEDDING + ["per_layer_token_embd.weight 64 256", "per_layer_model_proj.weight 256 256",
                  "altup_proj.weight 3 64 256"] + ATTENTION + FFN + ["*laurel_l.weight 256 256"],
     {"attention.sliding_window": 16}),
]


def write(path, model):
    _, architecture, layers, heads, kv, experts, kinds, more = model
    w = gguf.GGUFWriter(path, architecture)
    key = lambda name: f"{architecture}.{name}"
    w.add_uint32(key("block_count"), layers)
    w.add_uint32(key("context_length"), 64)
    w.add_uint32(key("embedding_length"), 256)
    w.add_uint32(key("feed_forward_length"), 256)
    w.add_uint32(key("attention.head_count"), heads)
    w.add_uint32(key("attention.head_count_kv"), kv)
    w.add_float32(key("attention.layer_norm_rms_epsilon"), 1e-5)
    w.add_float32(key("attention.layer_norm_epsilon"), 1e-5)
    w.add_uint32(key("vocab_size"), 64)
    if experts:
        w.add_uint32(key("expert_count"), experts)
        w.add_uint32(key("expert_used_count"), 2)
        w.add_uint32(key("expert_feed_forward_length"), 32)
    for name, value in more.items():
        (w.add_float32 if isinstance(value, float) else w.add_uint32)(key(name), value)
    for name, shape in tensors(model):
        w.add_tensor(name, np.zeros(shape, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def tensors(model):
    for kind in model[6]:
        name, *shape = kind.split()
        shape = [int(n) for n in shape]
        for layer in range(model[2]) if name[0] == "*" else [None]:
            yield (name if layer is None else f"blk.{layer}.{name[1:]}"), shape


def matrix(path):
    w = gguf.GGUFWriter(path, "none")
    w.add_type("imatrix")
    w.add_array("imatrix.datasets", ["none"])
    w.add_uint32("imatrix.chunk_count", 1)
    w.add_uint32("imatrix.chunk_size", 512)
    w.add_tensor("none.in_sum2", np.ones((1, 256), np.float32))
    w.add_tensor("none.counts", np.ones((1, 1), np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def ask(binaries, path, mix, imatrix):
    """The type of each tensor, by name."""
    command = [os.path.join(binaries, "llama-quantize"), "--dry-run"]
    command += ["--imatrix", imatrix] if imatrix else []
    said = subprocess.run(command + [path, mix], capture_output=True, text=True, check=True)
    types = {}
    for line in (said.stdout + said.stderr).splitlines():
        found = re.match(r"\[ *\d+/ *\d+\] +(\S+) +- \[.*type = +(\S+),.*?(?:\((\S+)\))?$", line)
        if found:
            name, before, after = found.groups()
            types[name] = after or before
    return types


def runs(types):
    text = []
    i = 0
    while i < len(types):
        n = 1
        while i + n < len(types) and types[i + n] == types[i]:
            n += 1
        text.append(types[i] + (f"*{n}" if n > 1 else ""))
        i += n
    return " ".join(text)


def main():
    binaries = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        imatrix = os.path.join(folder, "imatrix.gguf")
        matrix(imatrix)
        for model in MODELS:
            path = os.path.join(folder, model[0] + ".gguf")
            write(path, model)
            print("model", *model[:6])
            for kind in model[6]:
                print("kind", kind)
            names = [name for name, _ in tensors(model)]
            for mix in MIXES:
                said = []
                for m in (None, imatrix):
                    types = ask(binaries, path, mix, m)
                    said.append(runs([types[name] for name in names]))
                if said[0] == said[1]:
                    print("mix", mix, "=", said[0])
                else:
                    print("mix", mix, "-", said[0])
                    print("mix", mix, "+", said[1])


main()
