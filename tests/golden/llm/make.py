#!/usr/bin/env python3
"""Makes the golden models of this folder: tiny seeded language models by transformers 5, one folder for each
variant of each architecture, with the logits that torch computes for 64 tokens in float32.

    config.json        as transformers 5 writes it
    config-v4.json     the same model in the spelling of transformers 4
    model.safetensors  weights in bfloat16 (variants that differ only in their config link to one file)
    logits.npy         float32 [64, vocab]; encoders: hidden.npy, float32 [64, hidden], the last hidden states

index.json lists the variants and, for each, the features that must matter: how to switch one off (a JSON merge
patch of config.json, tensors filled with a constant, or left out with what they belong to), and how far the logits then move, relative to the
largest magnitude. Weights are scaled so that each moves them by 1e-2 or more; this script fails where one does
not, where steps with the KV cache differ from the whole pass, or where float32 is no firm reference.

The whole pass means that all 64 tokens are given at once: dynamic and longrope scale by the length of the
sequence, so all 64 positions are scaled for length 64 (step by step, transformers would rescale as it goes).
Where this matters, prefix.npy has the logits of the first 24 tokens alone.

    python3 tests/golden/llm/make.py [VARIANT...]      needs torch and transformers 5
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import warnings

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, logging

HERE = pathlib.Path(__file__).resolve().parent
TOKENS, PREFIX, VOCAB = 64, 24, 80
ENCODERS = ("bert", "nomic_bert")
logging.set_verbosity_error()
logging.disable_progress_bar()
warnings.simplefilter("ignore")
torch.set_num_threads(1)

# Sizes: heads of 8, two query heads to a KV head, an odd vocabulary of rotary base and epsilon so that neither
# can be guessed.
DENSE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0)
RMS = dict(DENSE, num_key_value_heads=2, rms_norm_eps=0.02)
LAYER = dict(DENSE, layer_norm_eps=0.02)
FALCON = dict(DENSE, ffn_hidden_size=64, layer_norm_epsilon=0.02)
del FALCON["intermediate_size"]
STARCODER = dict(DENSE, num_key_value_heads=2, norm_epsilon=0.02)
THETA = 300.0
LONG = dict(short_factor=[1.0, 1.3, 1.7, 2.2], long_factor=[1.5, 2.5, 4.0, 6.0])


def rope(kind="default", theta=THETA, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **more))


# Switching off: a patch of config.json (None removes a key), the constant for tensors whose name matches, or the
# name of modules to leave out.
OFF_ROPE = dict(rope_parameters=dict(rope_type="default", factor=None))
OFF_THETA = dict(rope_parameters=dict(rope_theta=10000.0))
OFF_PART = dict(rope_parameters=dict(partial_rotary_factor=1.0))
OFF_WINDOW = dict(sliding_window=TOKENS)


def fill(pattern, value):
    return dict(tensors=pattern, fill=value)


OFF_BIAS = fill(r"(proj|fc1|fc2|dense|c_attn|c_proj|c_fc|query|key|value|query_key_value|h_to_4h|4h_to_h)\.bias$", 0.0)
RMS_OFF = dict(norm_eps=dict(rms_norm_eps=1e-6), rope_theta=OFF_THETA)
LAYER_OFF = dict(norm_eps=dict(layer_norm_eps=1e-6), rope_theta=OFF_THETA)
MOE = dict(num_experts_per_tok=2)

# name: (model type, config, {feature: how to switch it off}, variant whose weights it shares)
VARIANTS = {
    "llama": ("llama", RMS | rope(), RMS_OFF, None),
    "llama-linear": ("llama", RMS | rope("linear", factor=4.0), dict(scaling=OFF_ROPE), "llama"),
    "llama-dynamic": ("llama", RMS | rope("dynamic", factor=4.0) | dict(max_position_embeddings=32),
                      dict(scaling=OFF_ROPE), "llama"),
    "llama-llama3": ("llama", RMS | rope("llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                         original_max_position_embeddings=32), dict(scaling=OFF_ROPE), "llama"),
    "llama-yarn": ("llama", RMS | rope("yarn", factor=4.0, original_max_position_embeddings=32),
                   dict(scaling=OFF_ROPE, attention_factor=dict(rope_parameters=dict(attention_factor=1.0))), "llama"),
    "llama-yarn-betas": ("llama", RMS | rope("yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=4.0,
                                             beta_slow=0.25, attention_factor=1.3), dict(
        scaling=OFF_ROPE, attention_factor=dict(rope_parameters=dict(attention_factor=None)),
        betas=dict(rope_parameters=dict(beta_fast=None, beta_slow=None))), "llama"),
    "llama-longrope": ("llama", RMS | rope("longrope", factor=4.0, original_max_position_embeddings=32, **LONG), dict(
        scaling=OFF_ROPE, long_factors=dict(rope_parameters=dict(long_factor=LONG["short_factor"])),
        attention_factor=dict(rope_parameters=dict(attention_factor=1.0))), "llama"),
    "llama-bias": ("llama", RMS | rope() | dict(attention_bias=True, mlp_bias=True), dict(bias=OFF_BIAS), None),
    "llama-head-dim": ("llama", RMS | rope() | dict(head_dim=16, tie_word_embeddings=True), RMS_OFF, None),
    "mistral": ("mistral", RMS | rope() | dict(sliding_window=8), dict(window=OFF_WINDOW), "llama"),
    "qwen2": ("qwen2", RMS | rope(), dict(RMS_OFF, bias=OFF_BIAS), None),
    "qwen2-window": ("qwen2", RMS | rope() | dict(use_sliding_window=True, sliding_window=8, max_window_layers=1), dict(
        window=OFF_WINDOW, full_layers=dict(layer_types=["sliding_attention"] * 2)), "qwen2"),
    "qwen2-yarn": ("qwen2", RMS | rope("yarn", factor=4.0, original_max_position_embeddings=32),
                   dict(scaling=OFF_ROPE), "qwen2"),
    "qwen3": ("qwen3", RMS | rope() | dict(head_dim=16, tie_word_embeddings=True),
              dict(RMS_OFF, qk_norm_weights=fill("[qk]_norm", 1.0), qk_norm=dict(without="[qk]_norm")), None),
    "qwen2-moe": ("qwen2_moe", RMS | rope() | MOE | dict(
        num_experts=4, moe_intermediate_size=32, shared_expert_intermediate_size=64, norm_topk_prob=False), dict(
        router_norm=dict(norm_topk_prob=True), experts_used=dict(num_experts_per_tok=3), bias=OFF_BIAS,
        shared_expert_gate=fill("shared_expert_gate", 0.0), shared_expert=fill("shared_expert.down", 0.0)), None),
    "qwen3-moe": ("qwen3_moe", RMS | rope() | MOE | dict(
        num_experts=4, moe_intermediate_size=32, norm_topk_prob=True, head_dim=8), dict(
        router_norm=dict(norm_topk_prob=False), experts_used=dict(num_experts_per_tok=3),
        qk_norm_weights=fill("[qk]_norm", 1.0), qk_norm=dict(without="[qk]_norm")), None),
    "qwen3-moe-fused": ("qwen3_moe", RMS | rope() | MOE | dict(
        num_experts=4, moe_intermediate_size=32, norm_topk_prob=False, head_dim=8, tie_word_embeddings=True), dict(
        router_norm=dict(norm_topk_prob=True)), None),
    "mixtral": ("mixtral", RMS | rope() | MOE | dict(
        num_local_experts=4, intermediate_size=32, sliding_window=None), dict(
        RMS_OFF, experts_used=dict(num_experts_per_tok=3)), None),
    "gemma": ("gemma", RMS | rope() | dict(head_dim=16, num_key_value_heads=1, rms_norm_eps=1.0), RMS_OFF, None),
    "gemma2": ("gemma2", RMS | rope() | dict(
        num_hidden_layers=3, head_dim=16, sliding_window=8, query_pre_attn_scalar=8, attn_logit_softcapping=3.0,
        final_logit_softcapping=12.0), dict(
        RMS_OFF, window=OFF_WINDOW, attention_cap=dict(attn_logit_softcapping=1e6),
        final_cap=dict(final_logit_softcapping=1e6), attention_scale=dict(query_pre_attn_scalar=16),
        alternation=dict(layer_types=["sliding_attention"] * 3)), None),
    "gemma3": ("gemma3_text", RMS | dict(
        num_hidden_layers=7, intermediate_size=32, sliding_window=8, query_pre_attn_scalar=24, head_dim=8,
        rope_parameters=dict(sliding_attention=dict(rope_type="default", rope_theta=THETA),
                             full_attention=dict(rope_type="linear", factor=4.0, rope_theta=3000.0))), dict(
        norm_eps=dict(rms_norm_eps=1e-6), window=OFF_WINDOW, attention_scale=dict(query_pre_attn_scalar=8),
        local_base=dict(rope_parameters=dict(sliding_attention=dict(rope_theta=3000.0))),
        global_base=dict(rope_parameters=dict(full_attention=dict(rope_theta=THETA))),
        scaling=dict(rope_parameters=dict(full_attention=dict(rope_type="default", factor=None))),
        alternation=dict(layer_types=["sliding_attention"] * 7),
        qk_norm_weights=fill("[qk]_norm", 0.0), qk_norm=dict(without="[qk]_norm")), None),
    "phi2": ("phi", LAYER | rope(partial_rotary_factor=0.5), dict(
        LAYER_OFF, partial=OFF_PART, bias=OFF_BIAS, head_bias=fill("lm_head.bias", 0.0)), None),
    "phi3": ("phi3", RMS | rope() | dict(sliding_window=8, original_max_position_embeddings=128),
             dict(RMS_OFF, window=OFF_WINDOW), None),
    "phi3-longrope": ("phi3", RMS | rope("longrope", **LONG) | dict(original_max_position_embeddings=32), dict(
        scaling=OFF_ROPE, long_factors=dict(rope_parameters=dict(long_factor=LONG["short_factor"])),
        attention_factor=dict(rope_parameters=dict(attention_factor=1.0))), "phi3"),
    "phi3-partial": ("phi3", RMS | dict(original_max_position_embeddings=32) | rope(
        "longrope", partial_rotary_factor=0.5, short_factor=[1.3, 1.7], long_factor=[2.5, 4.0]),
        dict(scaling=OFF_ROPE), "phi3"),
    "gpt2": ("gpt2", dict(vocab_size=VOCAB, n_positions=64, n_embd=32, n_layer=2, n_head=4, n_inner=64, bos_token_id=1,
                          eos_token_id=2, layer_norm_epsilon=0.02), dict(
        norm_eps=dict(layer_norm_epsilon=1e-6), positions=fill("wpe", 0.0), bias=OFF_BIAS), None),
    "gpt-neox": ("gpt_neox", LAYER | rope(partial_rotary_factor=0.25) | dict(num_attention_heads=2), dict(
        LAYER_OFF, parallel=dict(use_parallel_residual=False), partial=OFF_PART, bias=OFF_BIAS), None),
    "gpt-neox-serial": ("gpt_neox", LAYER | rope(partial_rotary_factor=0.25) | dict(
        num_attention_heads=2, use_parallel_residual=False), dict(parallel=dict(use_parallel_residual=True)),
        "gpt-neox"),
    "stablelm": ("stablelm", LAYER | rope(partial_rotary_factor=0.25) | dict(
        num_attention_heads=2, num_key_value_heads=1, use_qkv_bias=True), dict(
        LAYER_OFF, partial=OFF_PART, bias=OFF_BIAS), None),
    "stablelm-parallel": ("stablelm", LAYER | rope(partial_rotary_factor=0.5) | dict(
        num_key_value_heads=2, use_parallel_residual=True, qk_layernorm=True), dict(
        partial=OFF_PART, qk_norm=dict(without="[qk]_layernorm"), qk_norm_weights=fill("layernorm.norms", 1.0)), None),
    "falcon": ("falcon", FALCON | rope(), dict(
        norm_eps=dict(layer_norm_epsilon=1e-6), rope_theta=OFF_THETA), None),
    "falcon-new": ("falcon", FALCON | rope() | dict(
        new_decoder_architecture=True, num_kv_heads=2, tie_word_embeddings=False), dict(
        norm_eps=dict(layer_norm_epsilon=1e-6), rope_theta=OFF_THETA), None),
    "falcon-alibi": ("falcon", dict(FALCON, alibi=True, multi_query=False, parallel_attn=False, bias=True), dict(
        norm_eps=dict(layer_norm_epsilon=1e-6), bias=OFF_BIAS, alibi=dict(alibi=False)), None),
    "starcoder2": ("starcoder2", STARCODER | rope(), dict(
        norm_eps=dict(norm_epsilon=1e-6), rope_theta=OFF_THETA, bias=OFF_BIAS), None),
    "starcoder2-window": ("starcoder2", STARCODER | rope() | dict(sliding_window=8),
                          dict(window=OFF_WINDOW), "starcoder2"),
    "olmo2": ("olmo2", RMS | rope(), dict(
        RMS_OFF, qk_norm_weights=fill("[qk]_norm", 1.0), qk_norm=dict(without="[qk]_norm")), None),
    "granite": ("granite", RMS | rope() | dict(
        tie_word_embeddings=True, rms_norm_eps=0.5, embedding_multiplier=3.0, logits_scaling=1.5,
        residual_multiplier=0.6, attention_multiplier=0.5), dict(
        RMS_OFF, embedding=dict(embedding_multiplier=1.0), logits=dict(logits_scaling=1.0),
        residual=dict(residual_multiplier=1.0), attention=dict(attention_multiplier=8 ** -0.5)), None),
    "cohere": ("cohere", LAYER | rope() | dict(num_key_value_heads=2, logit_scale=0.75),
               dict(LAYER_OFF, logits=dict(logit_scale=1.0)), None),
    "cohere-qk-norm": ("cohere", LAYER | rope() | dict(num_key_value_heads=2, logit_scale=0.75, use_qk_norm=True), dict(
        qk_norm=dict(without="[qk]_norm"), qk_norm_weights=fill("[qk]_norm", 1.0)), None),
    "bert": ("bert", dict(LAYER), dict(
        norm_eps=dict(layer_norm_eps=1e-6), positions=fill("position_embeddings", 0.0),
        types=fill("token_type", 0.0), bias=OFF_BIAS), None),
    "nomic-bert": ("nomic_bert", LAYER | rope(), dict(LAYER_OFF, types=fill("token_type", 0.0)), None),
}


def draw(name, tensor, kind, generator):
    """Weights such that everything matters: attention far from uniform, norms far from 1, logits wide."""
    noise = torch.randn(tensor.shape, generator=generator)
    if tensor.ndim == 1 or "layernorm.norms" in name or kind == "cohere" and "_norm" in name:
        if name.endswith("bias"):
            return 0.3 * noise
        return 0.3 * noise + (0.0 if kind.startswith("gemma") else 1.0)
    if re.search(r"embed|wte|emb_in", name):
        return noise * (0.3 if re.search("position|token_type", name) else 1.0)
    if "wpe" in name:
        return 0.5 * noise
    fan_in = tensor.shape[0] if kind == "gpt2" and "lm_head" not in name else tensor.shape[-1]
    gain = 1.2
    if re.search(r"lm_head|embed_out", name):
        gain = 5.0
    elif re.search(r"q_proj|k_proj|qkv|query|key|c_attn", name):
        gain = 1.6
    elif re.search(r"gate\.weight", name):
        gain = 2.0
    return noise * gain / fan_in ** 0.5


def merge(document, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def spelling_of_4(config):
    """config.json as transformers 4 (and the repositories of its time) wrote it."""
    old = dict(config, transformers_version="4.46.0")
    old["torch_dtype"] = old.pop("dtype")
    kind = config["model_type"]
    parameters = old.pop("rope_parameters", None)
    if "layer_types" in old:
        del old["layer_types"]
        if kind == "gemma3_text":
            old["sliding_window_pattern"] = old.pop("_sliding_window_pattern")
    if kind == "nomic_bert":  # the names of its own code, which came before transformers had it
        return {
            "activation_function": "swiglu", "architectures": ["NomicBertModel"], "causal": False, "model_type": kind,
            "n_embd": config["hidden_size"], "n_head": config["num_attention_heads"],
            "n_inner": config["intermediate_size"], "n_layer": config["num_hidden_layers"],
            "max_trained_positions": 2048, "n_positions": 8192, "layer_norm_epsilon": config["layer_norm_eps"],
            "rotary_emb_base": parameters["rope_theta"], "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False,
            "rotary_emb_scale_base": None, "prenorm": False, "qkv_proj_bias": False, "mlp_fc1_bias": False,
            "mlp_fc2_bias": False, "parallel_block": False, "type_vocab_size": config["type_vocab_size"],
            "use_rms_norm": False, "vocab_size": config["vocab_size"], "torch_dtype": "bfloat16"}
    if parameters is None:
        return old
    if kind == "gemma3_text":
        old["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        parameters = parameters["full_attention"]
    scaling = dict(parameters)
    theta, part = scaling.pop("rope_theta"), scaling.pop("partial_rotary_factor", None)
    old["rotary_emb_base" if kind == "gpt_neox" else "rope_theta"] = theta
    if part is not None:
        old["rotary_pct" if kind == "gpt_neox" else "partial_rotary_factor"] = part
    if kind == "phi3":  # there it stood beside, not inside
        scaling.pop("original_max_position_embeddings", None)
    if kind == "phi3" or kind == "llama" and scaling["rope_type"] in ("linear", "dynamic"):
        scaling["type"] = scaling.pop("rope_type")
    old["rope_scaling"] = None if "default" in scaling.values() else scaling
    return old


def load(config, state, without=None):
    """The model for a config.json and a state, in float32."""
    config = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
        save_file(state, folder + "/model.safetensors", metadata={"format": "pt"})
        auto = AutoModel if config["model_type"] in ENCODERS else AutoModelForCausalLM
        # transformers' eager attention counts ALiBi twice, see FalconModel.forward and FalconAttention.forward
        eager = dict(attn_implementation="sdpa" if config.get("alibi") else "eager")
        if "num_experts_per_tok" in config:
            eager["experts_implementation"] = "eager"
        model = auto.from_pretrained(folder, dtype=torch.float32, **eager).eval()
    for name, module in list(model.named_modules()):
        if without and re.search(without + "$", name):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, torch.nn.Identity())
    return model


@torch.no_grad()
def whole(model, tokens):
    out = model(tokens[None])
    return (out.logits if "logits" in out else out.last_hidden_state)[0].double().numpy()


@torch.no_grad()
def stepwise(model, tokens):
    """One token at a time through the KV cache."""
    cache, rows = None, []
    for token in tokens:
        out = model(token[None, None], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        rows.append(out.logits[0, 0].double().numpy())
    return np.stack(rows)


def apart(a, b):
    return float(np.abs(a - b).max() / np.abs(a).max())


def make_weights(name, kind, config, folder):
    auto = AutoModel if kind in ENCODERS else AutoModelForCausalLM
    model = auto.from_config(AutoConfig.for_model(kind, **config))
    generator = torch.Generator().manual_seed(sum(name.encode()) * 7919)
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            tensor.copy_(draw(key, tensor, kind, generator))
    model.to(torch.bfloat16).save_pretrained(folder, save_original_format="fused" not in name)


def make(name, tokens):
    kind, settings, features, shared = VARIANTS[name]
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    make_weights(shared or name, kind, settings, folder)
    if shared:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").symlink_to(f"../{shared}/model.safetensors")
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    state = load_file(folder / "model.safetensors")

    model = load(config, state)
    logits = whole(model, tokens)
    old = spelling_of_4(config)
    (folder / "config-v4.json").write_text(json.dumps(old, indent=2) + "\n")
    if kind != "nomic_bert":
        assert apart(logits, whole(load(old, state), tokens)) == 0, f"{name}: the old spelling is another model"

    entry = dict(architecture=kind, deviation=float(logits.std()), largest=float(np.abs(logits).max()), features={})
    entry["float32_noise"] = apart(logits, whole(load(config, state).double(), tokens))
    by_length = settings.get("rope_parameters", {}).get("rope_type") in ("dynamic", "longrope")
    if kind in ENCODERS:
        entry["hidden"] = "hidden.npy"
    else:
        entry["logits"] = "logits.npy"
        steps = apart(logits, stepwise(load(config, state), tokens))
        entry["cache_difference"] = steps
        assert by_length or steps < 1e-5, f"{name}: with and without cache differ by {steps}"
        assert entry["deviation"] >= 3, f"{name}: deviation {entry['deviation']}"
    np.save(folder / entry.get("logits", "hidden.npy"), logits.astype(np.float32))
    if by_length:
        entry["prefix"] = "prefix.npy"
        np.save(folder / "prefix.npy", whole(load(config, state), tokens[:PREFIX]).astype(np.float32))
    assert entry["float32_noise"] < 2e-5, f"{name}: noise {entry['float32_noise']}"

    for feature, off in features.items():
        if "without" in off:
            changed, how = load(config, state, off["without"]), dict(off)
        elif "fill" in off:
            hit = [key for key in state if re.search(off["tensors"], key)]
            assert hit, f"{name}: no tensor matches {off['tensors']}"
            patched = {k: torch.full_like(v, off["fill"]) if k in hit else v for k, v in state.items()}
            changed, how = load(config, patched), dict(off)
        else:
            patched = merge(config, off)
            changed, how = load(patched, state), dict(config=off)
        entry["features"][feature] = dict(how, difference=apart(logits, whole(changed, tokens)))
    weak = {f: v["difference"] for f, v in entry["features"].items() if v["difference"] < 1e-2}
    print(f"{name:18} deviation {entry['deviation']:5.2f}  noise {entry['float32_noise']:.1e}  cache "
          f"{entry.get('cache_difference', 0):.1e}  " + "  ".join(
              f"{f} {v['difference']:.2g}" for f, v in entry["features"].items()), flush=True)
    assert not weak, f"{name}: features that hardly matter: {weak}"
    return entry


def main():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, VOCAB, (TOKENS,), generator=generator)
    np.save(HERE / "tokens.npy", tokens.numpy().astype(np.int32))
    path = HERE / "index.json"
    names = sys.argv[1:] or list(VARIANTS)
    done = json.loads(path.read_text())["variants"] if sys.argv[1:] and path.exists() else {}
    failed = []
    for name in names:
        try:
            done[name] = make(name, tokens)
        except AssertionError as error:
            failed.append(str(error))
    index = dict(about="Golden models; see make.py. difference, cache_difference and float32_noise are relative to "
                 "the largest magnitude.", tokens="tokens.npy", prefix_tokens=PREFIX, tolerance=1e-4,
                 variants={name: done[name] for name in VARIANTS if name in done})
    path.write_text(json.dumps(index, indent=1) + "\n")
    size = sum(p.stat().st_size for p in HERE.rglob("*") if p.is_file() and not p.is_symlink())
    print(f"{len(done)} variants, {size / 1e6:.2f} MB", *failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.exit(main())
