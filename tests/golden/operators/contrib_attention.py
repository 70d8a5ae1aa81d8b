"""Random forms of the attention operators of com.microsoft. Each function gives a case: node, inputs, constants."""
import numpy as np
from onnx import helper


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, domain="com.microsoft",
                            **{k: v for k, v in attributes.items() if v is not None})


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def named(inputs, present):
    """Names for a node's inputs, '' where absent."""
    return [n if n in present else "" for n in inputs]


def quantize_cache(rng, feeds, kv, d):
    """The past in 8 or 4 bits; attributes."""
    bits, columns = int(rng.choice([8, 4])), rng.random() < 0.5
    batch, rows = feeds["query"].shape[0], feeds["past_key"].shape[2] if "past_key" in feeds else 0
    for name, scale in (("past_key", "k_scale"), ("past_value", "v_scale")):
        feeds[name] = (rng.integers(-128, 128, (batch, kv, rows, d)).astype(np.int8) if bits == 8 else
                       rng.integers(0, 256, (batch, kv, rows, d // 2)).astype(np.uint8))
        feeds[scale] = ((0.02 if bits == 8 else 0.4) * rng.uniform(0.5, 1.5, (1, kv, 1, d) if columns else (1,))
                        ).astype(np.float32)
    kind = "PER_CHANNEL" if columns else "PER_TENSOR"
    return {"k_quant_type": kind, "v_quant_type": kind, "kv_cache_bit_width": bits}


def window_cache(rng):
    """A cache that holds a window: many tokens came before, a few rows are left of them."""
    kv, heads, d, window = 1, 2, 16, int(rng.integers(1, 7))
    capacity, past, s = window + int(rng.choice([0, 1, 3])), int(rng.integers(0, 15)), int(rng.integers(1, 6))
    total, at_once = past + s, capacity - window + 1
    kept = total if total <= capacity else total - at_once * -(-(total - capacity) // at_once)
    feeds = {"query": floats(rng, 1, s, heads * d), "key": floats(rng, 1, s, kv * d), "value": floats(rng, 1, s, kv * d),
             "past_key": floats(rng, 1, kv, capacity, d), "past_value": floats(rng, 1, kv, capacity, d),
             "seqlens_k": np.array([total - 1], np.int32), "total_sequence_length": np.array(total, np.int32)}
    rotary = rng.random() < 0.5
    if rotary:
        angles = rng.uniform(0, 6, (total, d // 2))
        feeds["cos_cache"], feeds["sin_cache"] = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    if rng.random() < 0.4:
        feeds["attention_bias"] = floats(rng, 1, 1, s, total)
    attributes = quantize_cache(rng, feeds, kv, d) if rng.random() < 0.4 else {}
    inputs = ["query", "key", "value", "past_key", "past_value", "seqlens_k", "total_sequence_length", "cos_cache",
              "sin_cache", "", "attention_bias", "", "k_scale", "v_scale"]
    names = named(inputs, feeds)
    while not names[-1]:
        names.pop()
    outputs = ["output", "present_key", "present_value"]
    it = node("GroupQueryAttention", names, outputs, num_heads=heads, kv_num_heads=kv, do_rotary=int(rotary),
              local_window_size=window, sliding_window_cache=1, **attributes)
    return [it], feeds, {}, outputs if kept == capacity else outputs[:1]  # behind what is kept may be anything


def group_query_attention(rng):
    """Packed or not, prompt, later chunk or single token, buffers as long as needed or longer."""
    batch, kv, group = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    heads, d = kv * group, int(rng.choice([16, 32]))
    form = rng.choice(["prompt", "token", "chunk"])
    s = 1 if form == "token" else int(rng.integers(2, 7))
    if form == "chunk":
        batch = 1
    past = 0 if form == "prompt" else int(rng.integers(1, 9))
    lengths = np.full(batch, past + s) if form != "token" else rng.integers(1, past + 1, batch) + s
    if form == "token":
        lengths[0] = past + s
    total = int(lengths.max())
    packed = rng.random() < 0.4
    feeds = {}
    if packed:
        feeds["query"] = floats(rng, batch, s, (heads + 2 * kv) * d)
    else:
        feeds["query"], feeds["key"] = floats(rng, batch, s, heads * d), floats(rng, batch, s, kv * d)
        feeds["value"] = floats(rng, batch, s, kv * d)
    if form != "prompt" or rng.random() < 0.3:
        rows = past + int(rng.integers(0, 2)) * int(rng.integers(s, s + 6))
        feeds["past_key"], feeds["past_value"] = floats(rng, batch, kv, rows, d), floats(rng, batch, kv, rows, d)
    feeds["seqlens_k"] = (lengths - 1).astype(np.int32)
    feeds["total_sequence_length"] = np.array(total, np.int32)
    rotary = rng.random() < 0.6
    if rotary:
        half = d // 2 if rng.random() < 0.7 or d == 16 else d // 4
        angles = rng.uniform(0, 6, (total + int(rng.integers(0, 4)), half))
        feeds["cos_cache"], feeds["sin_cache"] = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        if rng.random() < 0.3:
            feeds["position_ids"] = rng.integers(0, total - s + 1, (batch, 1)) + np.arange(s)[None]
    if rng.random() < 0.3:
        feeds["attention_bias"] = floats(rng, int(rng.choice([1, batch])), int(rng.choice([1, heads])), s, total)
    if rng.random() < 0.3:
        feeds["head_sink"] = floats(rng, heads)
    if rng.random() < 0.15 and "past_key" in feeds and feeds["past_key"].shape[2] >= total:
        feeds["query_seqlens"] = np.full(batch, s, np.int32)
    cache = quantize_cache(rng, feeds, kv, d) if rng.random() < 0.25 else {}
    inputs = ["query", "key", "value", "past_key", "past_value", "seqlens_k", "total_sequence_length", "cos_cache",
              "sin_cache", "position_ids", "attention_bias", "head_sink", "k_scale", "v_scale", "", "", "query_seqlens"]
    names = named(inputs, feeds)
    while not names[-1]:
        names.pop()
    shown = int(rng.choice([0, 0, 0, 1, 2]))
    outputs = ["output", "present_key", "present_value"] + (["output_qk"] if shown else [])
    pick = rng.random(6)
    causal = 0 if pick[5] < 0.15 and form != "token" else None
    it = node("GroupQueryAttention", names, outputs, num_heads=heads, kv_num_heads=kv, do_rotary=int(rotary),
              rotary_interleaved=int(rng.integers(0, 2)), scale=0.3 if pick[0] < 0.3 else None,
              local_window_size=int(rng.integers(1, 6)) if pick[1] < 0.4 and causal is None else None,
              softcap=2.5 if pick[2] < 0.3 else None,
              smooth_softmax=1 if pick[3] < 0.2 and "head_sink" not in feeds else None, qk_output=shown or None,
              causal=causal, **cache)
    return [it], feeds, {}, outputs


def attention_mask(rng, form, batch, queries, keys):
    """Masks of the forms that Attention takes; None: none."""
    if form == "lengths":
        return rng.integers(1, keys + 1, batch).astype(np.int32)
    if form == "starts":
        return np.concatenate([rng.integers(keys // 2 + 1, keys + 1, batch), rng.integers(0, keys // 2 + 1, batch)]
                              ).astype(np.int32)
    if form == "keys":
        mask = rng.integers(0, 2, (batch, keys))
    elif form == "pairs":
        mask = rng.integers(0, 2, (batch, queries, keys))
    else:
        return None
    mask[..., 0] = 1
    return mask.astype(np.int32)


def attention(rng, quantized=False):
    """Attention, or QAttention with weights and input of 8 bits."""
    batch, heads, s = int(rng.integers(1, 3)), int(rng.integers(1, 4)), int(rng.integers(2, 6))
    d, hidden = int(rng.choice([4, 8])), int(rng.choice([8, 12]))
    past = int(rng.choice([0, 0, 3])) if not quantized or rng.random() < 0.5 else 0
    uneven = not quantized and past == 0 and rng.random() < 0.3
    width = 3 * heads * d if not uneven else 2 * heads * d + heads * 2 * d
    mask = attention_mask(rng, rng.choice(["", "lengths", "starts", "keys", "pairs"]), batch, s, past + s)
    feeds, constants = {}, {"bias": floats(rng, width)}
    attributes = {"num_heads": heads, "unidirectional": int(rng.random() < 0.4) or None,
                  "scale": 0.4 if rng.random() < 0.3 and not quantized else None,
                  "qkv_hidden_sizes": [heads * d, heads * d, heads * 2 * d] if uneven else None}
    if mask is not None:
        feeds["mask_index"] = mask
    if past:
        feeds["past"] = floats(rng, 2, batch, heads, past, d)
    if not quantized:
        feeds["input"] = floats(rng, batch, s, hidden)
        constants["weight"] = floats(rng, hidden, width) * 0.3
        if rng.random() < 0.3:
            feeds["attention_bias"] = floats(rng, int(rng.choice([1, batch])), int(rng.choice([1, heads])), s, past + s)
        names = named(["input", "weight", "bias", "mask_index", "past", "attention_bias"], {**feeds, **constants})
        op = "Attention"
    else:
        signed, columns = rng.random() < 0.4, rng.random() < 0.5
        feeds["input"] = rng.integers(0, 256, (batch, s, hidden)).astype(np.uint8)
        kind = np.int8 if signed else np.uint8
        low, high = (-127, 128) if signed else (0, 256)
        constants["weight"] = rng.integers(low, high, (hidden, width)).astype(kind)
        constants["input_scale"] = np.float32(0.02)
        constants["weight_scale"] = rng.uniform(0.001, 0.01, width if columns else ()).astype(np.float32)
        constants["input_zero_point"] = np.uint8(rng.integers(0, 256))
        constants["weight_zero_point"] = (rng.integers(-3, 4, width if columns else ()) + (0 if signed else 128)
                                          ).astype(kind)
        names = named(["input", "weight", "bias", "input_scale", "weight_scale", "mask_index", "input_zero_point",
                       "weight_zero_point", "past"], {**feeds, **constants})
        op = "QAttention"
    while not names[-1]:
        names.pop()
    outputs = ["output"] + (["present"] if past else [])
    return [node(op, names, outputs, **attributes)], feeds, constants, outputs


def qattention(rng):
    return attention(rng, True)


def multi_head_attention(rng):
    batch, heads, s = int(rng.integers(1, 3)), int(rng.integers(1, 4)), int(rng.integers(2, 6))
    d = int(rng.choice([4, 8]))
    form = rng.choice(["separate", "packed", "packed_kv", "cross", "past"])
    keys, past = (s if form != "cross" else int(rng.integers(2, 7))), (3 if form == "past" else 0)
    feeds, dv = {}, d
    if form == "packed":
        feeds["query"] = floats(rng, batch, s, heads, 3, d)
    elif form == "packed_kv":
        feeds["query"], feeds["key"] = floats(rng, batch, s, heads * d), floats(rng, batch, keys, heads, 2, d)
    else:
        dv = d if form == "past" else int(rng.choice([d, 2 * d]))
        feeds["query"], feeds["key"] = floats(rng, batch, s, heads * d), floats(rng, batch, keys, heads * d)
        feeds["value"] = floats(rng, batch, keys, heads * dv)
    if form in ("cross", "separate") and rng.random() < 0.3:
        dv = d
        feeds["key"], feeds["value"] = floats(rng, batch, heads, keys, d), floats(rng, batch, heads, keys, d)
    if rng.random() < 0.5 and form not in ("packed", "packed_kv"):
        feeds["bias"] = floats(rng, heads * (2 * d + dv))
    if past:
        feeds["past_key"], feeds["past_value"] = (floats(rng, batch, heads, past, d) for _ in range(2))
    if rng.random() < 0.4:
        feeds["key_padding_mask"] = attention_mask(rng, rng.choice(["lengths", "keys", "pairs"]), batch, s, past + keys)
    if rng.random() < 0.3:
        feeds["attention_bias"] = floats(rng, int(rng.choice([1, batch])), int(rng.choice([1, heads])), s, past + keys)
    names = named(["query", "key", "value", "bias", "key_padding_mask", "attention_bias", "past_key", "past_value"],
                  feeds)
    while not names[-1]:
        names.pop()
    outputs = ["output"] + (["present_key", "present_value"] if past or rng.random() < 0.2 else [])
    # With more keys than past and queries ONNX Runtime's causal mask leaves out the last query: not drawn.
    causal = rng.random() < 0.3 and keys == s
    it = node("MultiHeadAttention", names, outputs, num_heads=heads, scale=0.4 if rng.random() < 0.3 else None,
              unidirectional=1 if causal else None)
    return [it], feeds, {}, outputs


def rotary_embedding(rng):
    batch, heads, s = int(rng.integers(1, 3)), int(rng.integers(1, 4)), int(rng.integers(1, 5))
    d = int(rng.choice([8, 16]))
    partial = rng.random() < 0.3
    r = d // 2 if partial else d
    deep = rng.random() < 0.4
    feeds = {"input": floats(rng, batch, heads, s, d) if deep else floats(rng, batch, s, heads * d)}
    rows = s + 5
    feeds["position_ids"] = (np.array([int(rng.integers(0, 5))]) if rng.random() < 0.5 else
                             rng.integers(0, rows, (batch, s))).astype(np.int64)
    angles = rng.uniform(0, 6, (rows, r // 2))
    feeds["cos_cache"], feeds["sin_cache"] = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    it = node("RotaryEmbedding", list(feeds), ["output"], interleaved=int(rng.integers(0, 2)),
              num_heads=heads if partial else None, rotary_embedding_dim=r if partial else None)
    return [it], feeds, {}, ["output"]


CASES = {
    "attention": attention,
    "group_query_attention": group_query_attention,
    "group_query_window_cache": window_cache,
    "multi_head_attention": multi_head_attention,
    "qattention": qattention,
    "rotary_embedding": rotary_embedding,
}
