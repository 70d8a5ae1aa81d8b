"""The golden models of tests/golden/llm through GGUF, both ways, against torch's logits:

adze convert writes float32 GGUF, llama.cpp loads it: within 1e-3 of torch, relative to the largest magnitude;
adze reads that file within 1e-5, and (where $ADZE_LLAMA_SRC is llama.cpp's source) that of llama.cpp's converter within
1e-4. Where llama.cpp computes another model than transformers, it is listed here with the reason, and must still be so.
"""
import json
import os
import pathlib
import re
import subprocess
import sys

ADZE, SOURCE = os.environ["ADZE"], pathlib.Path(os.environ["ADZE_SOURCE"])
sys.path.insert(0, str(SOURCE / "bench" / "peers"))
import golden_gguf  # noqa: E402

NO_WINDOW = "there is no sliding window in this architecture"
SCALE = "query_pre_attn_scalar is taken to be the size of a head"
OTHER_IN_LLAMA = {
    "llama-dynamic": "no dynamic NTK: the base does not grow with the length",
    "llama-yarn-betas": "beta_fast, beta_slow and attention_factor of YaRN are not read from the file",
    "mistral": NO_WINDOW,
    "qwen2-window": NO_WINDOW,
    "starcoder2-window": NO_WINDOW,
    "phi3": "the window is not applied",
    "gemma2": SCALE,
    "gemma3": SCALE,
    "qwen3-moe-fused": "norm_topk_prob false: weights of the chosen experts are made to sum to one",
    "falcon-alibi": "the layers of Falcon-RW are not known: not loaded",
    "cohere-qk-norm": "norms of q and k are known in models of 64 layers and more only: not loaded",
}
LOST_BY_CONVERTER = {
    "llama-dynamic": "dynamic NTK",
    "llama-longrope": "longrope in llama's family",
    "mistral": "the window",
    "qwen2-window": "the window",
    "starcoder2-window": "the window",
    "gemma2": "query_pre_attn_scalar",
    "gemma3": "query_pre_attn_scalar",
    "qwen3-moe-fused": "norm_topk_prob",
    "falcon-alibi": "ALiBi: not converted",
}
counts = {"passed": 0, "failed": 0}


def check(name, good, said):
    counts["passed" if good else "failed"] += 1
    print(f"{'ok    ' if good else 'FAILED'} {name}: {said}", flush=True)


def in_llama(name, path, index, out):
    found = golden_gguf.difference(path, name, index, out)
    reason = OTHER_IN_LLAMA.get(name)
    if reason:
        differs = isinstance(found, str) or found > 1e-3
        said = f"{found:.2g}" if isinstance(found, float) else "not loaded"
        check(f"{name} in llama.cpp", differs, f"{said}, as expected: {reason}")
    elif isinstance(found, str):
        check(f"{name} in llama.cpp", False, found)
    else:
        check(f"{name} in llama.cpp", found <= 1e-3, f"{found:.2g} from torch")


def in_adze(what, folder, lost):
    """The unit test of all golden models on the files of this folder; when it fails it shows the differences of all."""
    tests = pathlib.Path(os.environ.get("ADZE_BUILD", pathlib.Path(ADZE).parent)) / "adze-tests"
    done = subprocess.run([str(tests), "-k", "test_architectures.a_prompt_whole"], capture_output=True, text=True,
                          env=dict(os.environ, ADZE_GOLDEN_GGUF=str(folder), ADZE_GOLDEN_SHOW="1"))
    shown = dict(re.findall(r"^ *([\w-]+) +([\d.e+-]+|inf|nan)$", done.stdout, re.M))
    if not lost:
        check(f"adze on {what}", done.returncode == 0, (done.stdout + done.stderr).strip()[-2000:])
        return
    if not shown:
        check(f"adze on {what}", False, f"no differences shown: {(done.stdout + done.stderr).strip()[-2000:]}")
    for name, difference in shown.items():
        if name in lost:
            check(f"{name} of {what}", float(difference) > 1e-4, f"{difference}, as expected: lost is {lost[name]}")
        else:
            check(f"{name} of {what}", float(difference) <= 1e-4, f"{difference} from torch")


def main():
    out = pathlib.Path("golden").resolve()
    index = json.loads((golden_gguf.GOLDEN / "index.json").read_text())
    ours, theirs = out / "ours", out / "theirs"
    for folder in (ours, theirs):
        folder.mkdir(parents=True, exist_ok=True)
    for name in index["variants"]:
        path = ours / f"{name}.gguf"
        done = subprocess.run([ADZE, "convert", str(golden_gguf.GOLDEN / name), str(path), "--type", "F32"],
                              capture_output=True, text=True)
        if done.returncode:
            check(f"{name} converted", False, done.stderr.strip())
        else:
            in_llama(name, path, index, out)
    in_adze("its own GGUF", ours, None)
    if not os.environ.get("ADZE_LLAMA_SRC"):
        print("SKIPPED: llama.cpp's converter: set ADZE_LLAMA_SRC to its source")
    else:
        for name in index["variants"]:
            made = golden_gguf.convert(name, theirs)
            if isinstance(made, str) and name not in LOST_BY_CONVERTER:
                check(f"{name} by llama.cpp's converter", False, made)
        in_adze("llama.cpp's converter", theirs, LOST_BY_CONVERTER)
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return counts["failed"] > 0


if __name__ == "__main__":
    sys.exit(main())
