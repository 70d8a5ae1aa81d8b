#!/usr/bin/env python3
"""tokenizer.json files, strings, and the ids that Hugging Face's tokenizers gives for them.

    make.py golden                 what lies here: five small tokenizers trained on the repository's text, 160 strings, their
                                   ids (the text grows, so each run makes others; all of them belong together)
    make.py compare ADZE VOCABULARIES [TOKENIZER.json ...]
                                   the program ADZE on 1,000 strings: those five, four converted from GGUF vocabularies
                                   (the folder with ggml-vocab-*.gguf), and others by path

Needs the packages tokenizers and, to convert, gguf. Files, read by tests/unit/test_tokenizer_golden.c: strings.json;
<name>.json, the tokenizer; <name>.ids.json, for each string "special": ids with special text parsed and ends added,
"plain": without either, "text": what the former decode to, "spelt": the same with special tokens spelt out."""
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
MARK = "\u2581"
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        r"\s+(?!\S)|\s+")
SPECIAL = ["<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|> ", "adze", "  ", " [mask]", "<é>",
           "<e\u0301>", "[CLS]", "[SEP]", "[MASK]"]

PHRASES = [
    "Hello, world! It's a test, isn't it? I'm sure they've DONE'S 'ſ", "Привет, как дела? Ёлка",
    "你好，世界！我喜欢 编程 123", "こんにちは世界、テスト", "한국어 토큰화 테스트입니다.", "مرحبا بالعالم ١٢٣",
    "שלום עולם", "नमस्ते दुनिया किताब", "สวัสดีชาวโลก", "Γειά σου Κόσμε ΣΑΣ", "İstanbul ıği Çalış",
    "café naïve ﬁancé Ａｂｃ ① ½ ²", "👩‍👩‍👧‍👦 🇩🇪🏳️‍🌈 👍🏽 😀😃", "a\u0301e\u0308 ñ n\u0303 ế", "\t\ttab\r\n\r\n  lines \n\n\n x   ",
    "for (int i = 0; i < n; i++) { x[i] += 3.14e-10; } // done", '<html><body class="a">&nbsp;</body></html>',
    "def f(x):\n    return x**2 # 测试\n", "1234567890 12 3456,789.00 $5 €7 100%", "   leading and trailing   ",
    "\u3000全角\u3000space\u00a0nbsp\u200bzwsp\u2028ls\u0085nel\ufeffbom\u180e", "y\x01z\x7f\x1b",
    "_under_score__ CamelCase snake_case kebab-case", "▁▁meta▁space ▁ ", "Ġbyte Ċlevel ĉ", "ßẞ ǅ ŉ ᾳ ﷺ",
    "don't DON'T Don’t we'Re y'all'd", "<0x0A> <0xFF>", "a" * 120, "abc " * 30, "." * 50, " " * 60, "\n" * 30,
    "ab\u200dcd", "é" * 20, "αβγ" * 15,
]


def repository_text():
    """Prose and code of the repository, in a fixed order."""
    parts = []
    for folder, pattern in (("", ".md"), ("docs", ".md"), ("include/adze", ".h")):
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if name.endswith(pattern):
                with open(os.path.join(ROOT, folder, name), encoding="utf-8") as file:
                    parts.append(file.read())
    return "\n".join(parts)


def make_strings(text, special, count=1000, seed=7):
    """Multilingual, code, whitespace, emoji, random Unicode, the text of special tokens."""
    r = random.Random(seed)
    letters = [chr(c) for c in range(32, 0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    pieces = ["Hello", "'s", " don", "'T", " 12", "345", "..", "!?", " ", "  ", "\n", "é", "中文", "😀", "_", "-"]
    out = PHRASES + [""]
    while len(out) < count:
        kind = r.randrange(8)
        if kind == 0:
            at = r.randrange(len(text) - 200)
            s = text[at:at + r.randrange(1, 120)]
        elif kind == 1:
            s = "".join(r.choice(letters) for _ in range(r.randrange(1, 12)))
        elif kind == 2:
            s = "".join(r.choice(" \t\n\r\u00a0\u3000  ab.,'1é中") for _ in range(r.randrange(1, 30)))
        elif kind == 3:
            s = "".join(r.choice(PHRASES)[:r.randrange(1, 12)] for _ in range(r.randrange(1, 4)))
        elif kind == 4:
            s = r.choice(PHRASES)
            s = s[r.randrange(len(s)):][:25] + r.choice(PHRASES)[:9]
        elif kind == 5:
            s = "".join(r.choice(pieces) for _ in range(r.randrange(1, 15)))
        elif kind == 6:
            s = "".join(r.choice(special + ["a", "b ", " ", "x1", "\n"]) for _ in range(r.randrange(1, 8)))
        else:
            s = "".join(chr(r.choice([r.randrange(32, 127), r.randrange(0xa0, 0x378), r.randrange(0x4e00, 0x5000),
                                      r.randrange(0x1f300, 0x1f650)])) for _ in range(r.randrange(1, 20)))
        out.append(s)
    return out


# ---- trained here ----

def trained_unigram(text):
    t = Tokenizer(models.Unigram([("<unk>", 0.0)], 0, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always")
    t.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.UnigramTrainer(vocab_size=800, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>"])
    t.train_from_iterator(text.split("\n"), trainer)
    # the trainer knows no byte tokens: they are put behind the rest, as improbable as anything
    made = json.loads(t.to_str())
    made["model"]["vocab"] += [[b, -30.0] for b in bytes_]
    made["model"]["byte_fallback"] = True
    t = Tokenizer.from_str(json.dumps(made))
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", t.token_to_id("<s>")), ("</s>", t.token_to_id("</s>"))])
    return t


def trained_bpe(text):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=["<|endoftext|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(text.split("\n"), trainer)
    t.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>", rstrip=True)])
    t.add_tokens([AddedToken("  ", normalized=False), AddedToken("adze", single_word=True),
                  AddedToken("[mask]", lstrip=True, normalized=False), AddedToken("<é>", normalized=True),
                  AddedToken("\n\n\n", normalized=False)])
    return t


def trained_wordpiece(text):
    """As all-MiniLM-L6-v2's."""
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece("##", cleanup=True)
    trainer = trainers.WordPieceTrainer(vocab_size=900, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    t.train_from_iterator(text.split("\n"), trainer)
    t.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(x, t.token_to_id(x)) for x in ("[CLS]", "[SEP]")])
    return t


def trained_spm(text):
    """As Llama 2's: merges, spaces as marks, bytes for what has no token."""
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    t.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=first, limit_alphabet=90)
    t.train_from_iterator(text.replace(" ", "\n ").split("\n"), trainer)
    made = json.loads(t.to_str())
    made["added_tokens"] = [a for a in made["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(made))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def trained_qwen(text):
    """As Qwen's: its own expression, and bytes."""
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(text.split("\n"), trainer)
    return t


TRAINED = {"unigram": trained_unigram, "bpe": trained_bpe, "wordpiece": trained_wordpiece, "spm": trained_spm,
           "qwen": trained_qwen}


# ---- converted from GGUF vocabularies ----

def read_gguf(path):
    import gguf
    fields = gguf.GGUFReader(path).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else None
    return get("tokens"), get("token_type"), get("merges"), get("scores")


def add_specials(t, tokens, types):
    for kind, special in ((3, True), (4, False)):
        found = [AddedToken(x, special=special, normalized=False) for x, k in zip(tokens, types) if k == kind]
        t.add_special_tokens(found) if special else t.add_tokens(found)


def byte_bpe(path, pre, **options):
    tokens, types, merges, _ = read_gguf(path)
    pairs = [tuple(m.split(" ")) for m in merges]
    t = Tokenizer(models.BPE({x: i for i, x in enumerate(tokens)}, pairs, **options))
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    add_specials(t, tokens, types)
    return t


def from_gpt2(path):
    return byte_bpe(path, pre_tokenizers.ByteLevel(add_prefix_space=False))


def from_qwen2(path):
    t = byte_bpe(path, pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    t.normalizer = normalizers.NFC()
    return t


def from_falcon(path):
    return byte_bpe(path, pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))


def from_llama_spm(path):
    tokens, types, _, scores = read_gguf(path)
    vocab = {x: i for i, x in enumerate(tokens)}
    pairs = []
    for token, score in zip(tokens, scores):
        for i in range(1, len(token)):
            if token[:i] in vocab and token[i:] in vocab:
                pairs.append((-score, vocab[token[:i]], vocab[token[i:]], (token[:i], token[i:])))
    pairs.sort(key=lambda p: p[:3])
    t = Tokenizer(models.BPE(vocab, [p[3] for p in pairs], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    t.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    add_specials(t, tokens, types)
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


CONVERTED = {"gpt-2": from_gpt2, "qwen2": from_qwen2, "falcon": from_falcon, "llama-spm": from_llama_spm}


# ---- ids, and comparing ----

def expected(t, strings, special):
    t.encode_special_tokens = not special
    return [e.ids for e in t.encode_batch(strings, add_special_tokens=special)]


def golden():
    text = repository_text()
    strings = make_strings(text, SPECIAL, 160)

    def write(name, lines):
        with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
            file.write("[" + ",\n".join(json.dumps(x, ensure_ascii=False, separators=(",", ":")) for x in lines) + "]\n")

    write("strings.json", strings)
    for name, train in TRAINED.items():
        t = train(text)
        rows = []
        for special, plain in zip(expected(t, strings, True), expected(t, strings, False)):
            rows.append({"special": special, "plain": plain, "text": t.decode(special, skip_special_tokens=True),
                         "spelt": t.decode(special, skip_special_tokens=False)})
        write(name + ".ids.json", rows)
        with open(os.path.join(HERE, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(json.loads(t.to_str()), file, ensure_ascii=False, separators=(",", ":"))


def ids_of(adze, path, strings, special):
    """One run of the program for all strings: they are given as lines of JSON."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps(s) + "\n" for s in strings)
        file.flush()
        options = ["--special", "--ends"] if special else []
        out = subprocess.run([adze, "tokenize", path, "--lines", file.name, "--ids", *options], check=True,
                             capture_output=True, text=True).stdout
    return [[int(x) for x in line.split()] for line in out.split("\n")[:-1]]


def compare(adze, vocabularies, others):
    text = repository_text()
    made = {name: lambda train=train: train(text) for name, train in TRAINED.items()}
    for name, convert in CONVERTED.items():
        path = os.path.join(vocabularies, f"ggml-vocab-{name}.gguf")
        if os.path.exists(path):
            made[name] = lambda convert=convert, path=path: convert(path)
    for path in others:
        made[path] = lambda path=path: Tokenizer.from_file(path)
    failed = 0
    for name, make in made.items():
        t = make()
        t.no_truncation()
        t.no_padding()
        specials = [a.content for a in t.get_added_tokens_decoder().values()][:40]
        strings = make_strings(text, specials or ["<s>"])
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            file.write(t.to_str())
            file.flush()
            wrong = 0
            for special in (True, False):
                ours = ids_of(adze, file.name, strings, special)
                for s, a, b in zip(strings, ours, expected(t, strings, special), strict=True):
                    if a != b and (wrong := wrong + 1) <= 3:
                        print(f"{name}: {s!r}\n    got      {a}\n    expected {b}")
        print(f"{name}: {wrong} of {2 * len(strings)} differ")
        failed += wrong > 0
    print(f"{len(made) - failed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    if sys.argv[1:] == ["golden"]:
        golden()
    elif len(sys.argv) >= 4 and sys.argv[1] == "compare":
        sys.exit(compare(sys.argv[2], sys.argv[3], sys.argv[4:]))
    else:
        sys.exit(__doc__)
