"""Networks over tokens, sound and other sequences, for make_networks.py."""
from functools import partial

import torch
import transformers
from network_entry import MASK, Entry, ids
from networks_vision import HF, OWN, Outputs
from torch import nn

TOKENS = {"dims": {"batch": 1, "tokens": 16}, "other": {"batch": 2, "tokens": 9}}
SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 500,
         "initializer_range": 0.1, "attn_implementation": "eager"}


def of(model, config, inputs, outputs, **fixed):
    """A builder of a model of transformers from its configuration."""
    return lambda: Outputs(model(config()), inputs, outputs, **fixed)


def gpt2_config():
    return transformers.GPT2Config(n_embd=64, n_layer=3, n_head=4, vocab_size=500, n_positions=64, initializer_range=0.1,
                                   attn_implementation="eager")


def gpt2():
    return Outputs(transformers.GPT2LMHeadModel(gpt2_config()), ["input_ids", "attention_mask"], ["logits"], use_cache=False)


class WithPast(nn.Module):
    """A decoder with its cache as plain tensors: past.N.key, past.N.value, in and out."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, input_ids, attention_mask, *past):
        cache = transformers.DynamicCache(list(zip(past[0::2], past[1::2])))
        said = self.net(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        layers = said.past_key_values.layers
        return (said.logits, *(t for layer in layers for t in (layer.keys, layer.values)))


def past_inputs(layers, heads, size):
    shapes = {"input_ids": {"kind": "ids", "shape": ["batch", "tokens"], "high": 500},
              "attention_mask": {"kind": "constant", "value": 1, "dtype": "int64", "shape": ["batch", "total"]}}
    for i in range(layers):
        for part in ("key", "value"):
            shapes[f"past.{i}.{part}"] = {"kind": "normal", "shape": ["batch", heads, "past", size], "scale": 0.5}
    return shapes


def past_outputs(layers):
    return ["logits"] + [f"present.{i}.{part}" for i in range(layers) for part in ("key", "value")]


PAST = {"dims": {"batch": 1, "tokens": 3, "past": 5, "total": 8}, "other": {"batch": 2, "tokens": 1, "past": 11, "total": 12}}


def whisper_config():
    return transformers.WhisperConfig(d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                                      decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128, vocab_size=500,
                                      num_mel_bins=40, max_source_positions=50, max_target_positions=40, init_std=0.1,
                                      pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
                                      attn_implementation="eager")


class WhisperDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = transformers.WhisperForConditionalGeneration(whisper_config())

    def forward(self, input_ids, encoder_hidden_states):
        said = self.net.model.decoder(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), encoder_hidden_states=encoder_hidden_states, use_cache=False)
        return self.net.proj_out(said.last_hidden_state)


class WhisperEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = transformers.WhisperModel(whisper_config()).encoder

    def forward(self, mel):
        return self.net(mel).last_hidden_state


def t5_config():
    return transformers.T5Config(vocab_size=500, d_model=64, d_kv=16, d_ff=128, num_layers=3, num_decoder_layers=2, num_heads=4,
                                 feed_forward_proj="gated-gelu", initializer_factor=1.0, decoder_start_token_id=0)


def clip_text_config():
    return transformers.CLIPTextConfig(vocab_size=500, hidden_size=64, intermediate_size=128, num_hidden_layers=3,
                                       num_attention_heads=4, max_position_embeddings=32, projection_dim=48, eos_token_id=499,
                                       bos_token_id=498, attn_implementation="eager", initializer_factor=2.0)


def wav2vec2():
    config = transformers.Wav2Vec2Config(
        vocab_size=32, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        conv_dim=(32, 32, 32), conv_stride=(5, 4, 4), conv_kernel=(10, 8, 4), num_feat_extract_layers=3,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, attn_implementation="eager", initializer_range=0.1)
    net = transformers.Wav2Vec2ForCTC(config)
    torch.nn.utils.parametrize.remove_parametrizations(net.wav2vec2.encoder.pos_conv_embed.conv, "weight")
    return Outputs(net, ["input_values"], ["logits"])


class Tagger(nn.Module):
    """Embedding, recurrent layers in both directions, a label for each token."""

    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(200, 32)
        self.recurrent = kind(32, 48, num_layers=2, bidirectional=True, batch_first=True)
        self.last = nn.Linear(96, 12)

    def forward(self, tokens):
        return self.last(self.recurrent(self.embedding(tokens))[0]).log_softmax(-1)


class Crnn(nn.Module):
    """Convolutions over a line of text, its columns through an LSTM: characters at each column."""

    def __init__(self):
        super().__init__()
        layers, before = [], 1
        for after, pool in ((16, (2, 2)), (32, (2, 2)), (48, (2, 1)), (64, (2, 1))):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(pool, pool)]
            before = after
        self.see = nn.Sequential(*layers, nn.Conv2d(64, 64, (2, 1)), nn.ReLU())
        self.read = nn.LSTM(64, 48, num_layers=2, bidirectional=True)
        self.last = nn.Linear(96, 40)

    def forward(self, line):
        columns = self.see(line).squeeze(2).permute(2, 0, 1)
        return self.last(self.read(columns)[0])


def entry(name, architecture, exporter, opset, build, inputs, outputs, source=HF, **more):
    return Entry(name, architecture, source, exporter, opset, inputs, list(outputs), build, **more)


def bert(kind=transformers.BertModel, config=transformers.BertConfig, outputs=("last_hidden_state",), inputs=("input_ids", "attention_mask"),
         **more):
    return of(kind, partial(config, **{**SMALL, **more}), list(inputs), list(outputs))


def distilbert():
    config = transformers.DistilBertConfig(vocab_size=500, dim=64, n_layers=3, n_heads=4, hidden_dim=128,
                                           initializer_range=0.1, attn_implementation="eager")
    return Outputs(transformers.DistilBertForSequenceClassification(config), ["input_ids", "attention_mask"], ["logits"])


MEL = {"mel": {"kind": "normal", "shape": [1, 40, 100]}}
HEARD = {"input_ids": {"kind": "ids", "shape": ["batch", "tokens"], "high": 500},
         "encoder_hidden_states": {"kind": "normal", "shape": ["batch", "frames", 64]}}
T = transformers
NETWORKS = [
    entry("bert", "BERT", "torchscript", 14, bert(outputs=("last_hidden_state", "pooler_output")), {**ids(500), **MASK},
          ("hidden", "pooled"), **TOKENS),
    entry("bert_dynamo", "BERT", "dynamo", 18, bert(), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("bert_half", "BERT", "torchscript", 17, bert(T.BertForTokenClassification, outputs=("logits",), num_labels=7),
          {**ids(500), **MASK}, ("logits",), float16_weights=True, **TOKENS),
    entry("bert_float16", "BERT", "dynamo", 18, bert(), {**ids(500), **MASK}, ("hidden",), float16=True, **TOKENS),
    entry("distilbert", "DistilBERT", "torchscript", 13, distilbert, {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("gpt2", "GPT-2", "torchscript", 14, gpt2, {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("gpt2_dynamo", "GPT-2", "dynamo", 18, gpt2, {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("gpt2_past", "GPT-2", "torchscript", 17, lambda: WithPast(T.GPT2LMHeadModel(gpt2_config())), past_inputs(3, 4, 16),
          past_outputs(3), **PAST),
    entry("whisper_encoder", "Whisper", "torchscript", 14, WhisperEncoder, MEL, ("hidden",)),
    entry("whisper_encoder_dynamo", "Whisper", "dynamo", 20, WhisperEncoder, MEL, ("hidden",)),
    entry("whisper_decoder", "Whisper", "torchscript", 17, WhisperDecoder, HEARD, ("logits",),
          dims={"batch": 1, "tokens": 6, "frames": 20}, other={"batch": 2, "tokens": 11, "frames": 13}),
    entry("t5_encoder", "T5", "torchscript", 14, of(T.T5EncoderModel, t5_config, ["input_ids", "attention_mask"],
          ["last_hidden_state"]), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("t5_encoder_dynamo", "T5", "dynamo", 18, of(T.T5EncoderModel, t5_config, ["input_ids", "attention_mask"],
          ["last_hidden_state"]), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("clip_text", "CLIP", "torchscript", 14, of(T.CLIPTextModelWithProjection, clip_text_config, ["input_ids", "attention_mask"],
          ["text_embeds"]), {**ids(500), **MASK}, ("embedding",), **TOKENS),
    entry("wav2vec2", "Wav2Vec2", "torchscript", 15, wav2vec2, {"sound": {"kind": "speech", "shape": ["batch", "samples"]}},
          ("logits",), dims={"batch": 1, "samples": 4000}, other={"batch": 2, "samples": 5333}),
    entry("wav2vec2_dynamo", "Wav2Vec2", "dynamo", 18, wav2vec2, {"sound": {"kind": "speech", "shape": [1, 4000]}}, ("logits",)),
    entry("lstm_tagger", "LSTM tagger", "torchscript", 14, partial(Tagger, nn.LSTM), ids(200, "tokens"), ("labels",), OWN, **TOKENS),
    entry("gru_tagger", "GRU tagger", "torchscript", 11, partial(Tagger, nn.GRU), ids(200, "tokens"), ("labels",), OWN, **TOKENS),
    entry("lstm_tagger_dynamo", "LSTM tagger", "dynamo", 18, partial(Tagger, nn.LSTM),
          {"tokens": {"kind": "ids", "shape": [2, 16], "high": 200}}, ("labels",), OWN),
    entry("crnn", "CRNN", "torchscript", 12, Crnn, {"line": {"kind": "picture", "shape": ["batch", 1, 32, "width"]}}, ("characters",),
          OWN, dims={"batch": 1, "width": 100}, other={"batch": 3, "width": 164}),
]
