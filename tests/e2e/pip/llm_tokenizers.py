"""Tokenizers through adze convert, on 1,000 strings each:

    llm_tokenizers.py VOCABULARIES [NAME...]

Every ggml-vocab-NAME.gguf there, as a tiny model, becomes a folder, in which the package tokenizers must give adze's ids,
and GGUF again, in which adze and llama.cpp (where $ADZE_LLAMA_LIB is its libllama.so) must give them too. Then folders with
tokenizer.json made by others become GGUF, with the ids that tokenizers gives for them: three kinds written out here, and
by path those in $ADZE_TOKENIZER_JSON (separated by colons).
"""
import functools
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unicodedata

import gguf
import numpy as np
from tokenizers import Tokenizer

ADZE, SOURCE = os.environ["ADZE"], pathlib.Path(os.environ["ADZE_SOURCE"])
WIDTH = 32


def load_make():
    spec = importlib.util.spec_from_file_location("make", SOURCE / "tests/golden/tokenizers/make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = load_make()
counts = {"passed": 0, "failed": 0, "skipped": 0}

# What one side cannot say, and how many of the 2,000 results may differ for it.
# Accents are, in llama.cpp and adze, all but the first character of a decomposition: not so Hangul and vowel signs in BERT.
# How many depends on the strings, which are drawn from the text of this repository.
ACCENTS, SPACES = 90, 30
KNOWN = {
    "bert-bge: folder, tokenizers": ACCENTS,
    "tokenizer.json: tokenizer.json as GGUF, adze": ACCENTS,
    "bert-bge again: GGUF, llama.cpp": SPACES,  # which control characters vanish, what is Chinese, U+2581 within words
    "tokenizer.json: GGUF, llama.cpp": SPACES,
    "deepseek-llm again: GGUF, llama.cpp": SPACES,  # its expression takes no U+00A0 for a space
    "nomic-bert-moe: folder, tokenizers": 120,  # text of special tokens, not parsed: in tokenizers they are pieces too
    "bpe: tokenizer.json as GGUF, adze": 60,  # added tokens that take spaces beside them
}


def run(*command):
    done = subprocess.run([str(x) for x in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:3]))}: {done.stderr.strip()[-700:]}")
    return done.stdout


def tiny(path, vocabulary, tokens=0):
    """A model of one layer around a vocabulary (a GGUF file), or around so many tokens without one."""
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in {"context_length": 64, "embedding_length": WIDTH, "block_count": 1, "feed_forward_length": WIDTH,
                       "attention.head_count": 2, "attention.head_count_kv": 2}.items():
        writer.add_uint32("llama." + key, value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    if vocabulary:
        for name, field in gguf.GGUFReader(vocabulary).fields.items():
            if not name.startswith("tokenizer."):
                continue
            tokens = len(field.data) if name == "tokenizer.ggml.tokens" else tokens
            sub = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=sub)

    def add(name, *shape):
        writer.add_tensor(name, random.normal(size=shape).astype(np.float32 if len(shape) == 1 else np.float16))

    add("token_embd.weight", tokens, WIDTH)
    add("output_norm.weight", WIDTH)
    for name in ("attn_norm", "ffn_norm"):
        add(f"blk.0.{name}.weight", WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        add(f"blk.0.{name}.weight", WIDTH, WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def by_llama(path, strings, special):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(s) + "\n" for s in strings)
        file.flush()
        out = run(sys.executable, SOURCE / "bench/peers/llama_tokens.py", path, file.name, *["--special"] * special)
    return [[int(x) for x in line.split()] for line in out.split("\n")[:-1]]


def compare(name, strings, one, other):
    wrong, shown = 0, 0
    for special in (True, False):
        for s, a, b in zip(strings, one(special), other(special), strict=True):
            if a != b:
                wrong += 1
                if (shown := shown + 1) <= int(os.environ.get("SHOW", 2)):
                    print(f"    {s!r} special {special}\n        {a}\n        {b}")
    good = wrong <= KNOWN.get(name, 0)
    counts["passed" if good else "failed"] += 1
    print(f"{'ok    ' if good else 'FAILED'} {name}: {wrong} of {2 * len(strings)} differ", flush=True)


def strings_for(t, text):
    specials = [a.content for a in t.get_added_tokens_decoder().values()][:40]
    return make.make_strings(text, specials or ["<s>"])


def in_llama(name, path, strings, adze):
    if os.environ.get("ADZE_LLAMA_LIB"):
        compare(f"{name}: GGUF, llama.cpp", strings, adze, lambda special: by_llama(path, strings, special))


def gguf_and_back(name, vocabulary, folder, text):
    first, hf, second = folder / "first.gguf", folder / "hf", folder / "second.gguf"
    tiny(first, vocabulary)
    said = run(ADZE, "convert", first, hf)
    if not (hf / "tokenizer.json").exists():
        counts["skipped"] += 1
        print(f"SKIPPED {name}: {said.strip()}")
        return
    t = Tokenizer.from_file(str(hf / "tokenizer.json"))
    strings = strings_for(t, text)
    adze = {special: make.ids_of(ADZE, str(first), strings, special) for special in (True, False)}
    compare(f"{name}: folder, tokenizers", strings, adze.get, lambda special: make.expected(t, strings, special))
    run(ADZE, "convert", hf, second)
    compare(f"{name}: folder as GGUF, adze", strings, adze.get,
            lambda special: make.ids_of(ADZE, str(second), strings, special))
    in_llama(name + " again", second, strings, lambda special: make.ids_of(ADZE, str(second), strings, special))


def folder_of_others(name, make_one, beside, folder, text):
    """beside: other files of the tokenizer's folder."""
    t = make_one()
    first, hf, second = folder / "first.gguf", folder / "hf", folder / "second.gguf"
    tiny(first, None, t.get_vocab_size() + 3)
    run(ADZE, "convert", first, hf)
    t.no_truncation()
    t.no_padding()
    t.save(str(hf / "tokenizer.json"))
    for path in beside:
        shutil.copy(path, hf)
    run(ADZE, "convert", hf, second)
    strings = strings_for(t, text)
    if "NFC" in json.dumps(json.loads(t.to_str())["normalizer"]):  # which GGUF cannot say
        strings = [unicodedata.normalize("NFC", s) for s in strings]
    compare(f"{name}: tokenizer.json as GGUF, adze", strings, lambda special: make.expected(t, strings, special),
            lambda special: make.ids_of(ADZE, str(second), strings, special))
    in_llama(name, second, strings, lambda special: make.ids_of(ADZE, str(second), strings, special))


def trained_bpe(text):
    """Without what is refused."""
    return Tokenizer.from_str(make.TRAINED["bpe"](text).to_str().replace('"single_word":true', '"single_word":false'))


def others(vocabularies, text):
    for name, convert in make.CONVERTED.items():
        yield name, functools.partial(convert, str(vocabularies / f"ggml-vocab-{name}.gguf")), []
    yield "bpe", functools.partial(trained_bpe, text), []
    for path in filter(None, os.environ.get("ADZE_TOKENIZER_JSON", "").split(":")):
        beside = [p for p in pathlib.Path(path).parent.glob("*.json") if "token" in p.name and p.name != "tokenizer.json"]
        yield path, functools.partial(Tokenizer.from_file, path), beside


def attempt(name, what, *arguments):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        try:
            what(name, *arguments[:-1], pathlib.Path(folder), arguments[-1])
        except (RuntimeError, ValueError, KeyError) as error:
            counts["failed"] += 1
            print(f"FAILED {name}: {error}", flush=True)


def main():
    vocabularies, only = pathlib.Path(sys.argv[1]), sys.argv[2:]
    text = make.repository_text()
    for path in sorted(vocabularies.glob("ggml-vocab-*.gguf")):
        name = path.stem.removeprefix("ggml-vocab-")
        if not only or name in only:
            attempt(name, gguf_and_back, str(path), text)
    for name, make_one, beside in others(vocabularies, text):
        if not only or "others" in only or name in only:
            attempt(pathlib.Path(name).name, folder_of_others, make_one, beside, text)
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
