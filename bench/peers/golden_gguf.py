#!/usr/bin/env python3
"""The golden models of tests/golden/llm as float32 GGUF files, by llama.cpp's own converter, and how far llama.cpp's
logits then are from torch's: an independent opinion on the golden models, and what GGUF can say of each architecture.
Keys that the converter leaves at the values of the models it knows (rotary base, feed-forward length) are set right.

    ADZE_LLAMA_SRC=.../llama.cpp ADZE_LLAMA_LIB=.../libllama.so python3 bench/peers/golden_gguf.py FOLDER [VARIANT...]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent.parent / "tests" / "golden" / "llm"

# The converter in a process of its own, told that there is no vocabulary.
CONVERT = """
import json, os, pathlib, sys
source, folder, out = sys.argv[1:]
sys.path[:0] = [source, source + "/gguf-py"]
import gguf
from conversion import get_model_class
import conversion.base as base
hparams = json.load(open(folder + "/config.json"))
if hparams["model_type"] != "nomic_bert":
    hparams = base.ModelBase.load_hparams(pathlib.Path(folder), False) | hparams
kind = get_model_class(hparams["architectures"][0])
size = hparams["vocab_size"]
def no_vocabulary(self):
    self.gguf_writer.add_tokenizer_model("no_vocab")
    self.gguf_writer.add_vocab_size(size)
    if "type_vocab_size" in hparams:
        self.gguf_writer.add_token_type_count(hparams["type_vocab_size"])
kind.set_vocab = no_vocabulary
original = kind.modify_tensors
def modify_tensors(self, *arguments):  # stablelm's returns what it should yield
    more = yield from original(self, *arguments)
    yield from more or ()
kind.modify_tensors = modify_tensors
model = kind(pathlib.Path(folder), gguf.LlamaFileType.ALL_F32, pathlib.Path(out), eager=True, hparams=hparams)
prepare = model.gguf_writer.write_header_to_file
def with_more(path=None):
    writer, number = model.gguf_writer, gguf.GGUFValueType
    arch = gguf.MODEL_ARCH_NAMES[model.model_arch]
    for key, value in json.loads(os.environ["MORE"]).items():
        kind = number.FLOAT32 if isinstance(value, float) else number.UINT32
        writer.kv_data[0][arch + "." + key] = gguf.gguf_writer.GGUFValue(value, kind)
    prepare(path)
model.gguf_writer.write_header_to_file = with_more
model.write()
"""


def convert(name, out):
    """The folder's copy; with the pooling of sentence-transformers where it is an encoder."""
    folder = out / (name + ".folder")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(GOLDEN / name, folder)
    config = json.loads((folder / "config.json").read_text())
    kind, more = config["model_type"], {}
    rope = config.get("rope_parameters", {})
    if "rope_theta" in rope:
        more["rope.freq_base"] = rope["rope_theta"]
    if kind in ("phi", "gpt2", "falcon"):
        more["feed_forward_length"] = 64
    if kind == "gemma3_text":
        more["rope.freq_base_swa"] = rope["sliding_attention"]["rope_theta"]
    if kind in ("gpt_neox", "nomic_bert"):  # the converter knows the older names only
        shutil.copy(folder / "config-v4.json", folder / "config.json")
    elif kind == "gpt2" or kind == "falcon" and not config["new_decoder_architecture"]:
        (folder / "config.json").write_text(json.dumps(dict(config, n_ctx=64, num_kv_heads=1)))
    vocabulary = {f"t{i}": i for i in range(config["vocab_size"])}
    tokenizer = dict(model=dict(type="WordPiece", vocab=vocabulary), added_tokens=[])
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(dict(pooling_mode_mean_tokens=True)))
    modules = [dict(type="sentence_transformers.models.Pooling", path="1_Pooling")]
    (folder / "modules.json").write_text(json.dumps(modules))
    path = out / (name + ".gguf")
    path.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", CONVERT, os.environ["ADZE_LLAMA_SRC"], str(folder), str(path)],
                          capture_output=True, text=True, env=dict(os.environ, MORE=json.dumps(more)))
    shutil.rmtree(folder)
    return path if path.exists() and done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def difference(path, name, index, out):
    """How far llama.cpp's logits (or hidden states) are from torch's, relative to the largest; or what went wrong."""
    entry, rows = index["variants"][name], out / "rows.npy"
    done = subprocess.run([sys.executable, str(HERE / "llama_logits.py"), str(path), str(rows), "--tokens",
                           str(GOLDEN / index["tokens"]), "--kv", "f32", "--threads", "1",
                           *(["--embeddings"] if "hidden" in entry else [])], capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["?"])[-1]
    want, got = np.load(GOLDEN / name / entry.get("hidden", entry.get("logits"))), np.load(rows)
    rows.unlink()
    return float(np.abs(want - got).max() / np.abs(want).max())


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(exist_ok=True)
    index = json.loads((GOLDEN / "index.json").read_text())
    for name in sys.argv[2:] or index["variants"]:
        path = convert(name, out)
        if isinstance(path, str):
            print(f"{name:18} not converted: {path}", flush=True)
            continue
        found = difference(path, name, index, out)
        print(f"{name:18} " + (f"{found:.2g}" if isinstance(found, float) else f"not run: {found}"), flush=True)


if __name__ == "__main__":
    main()
