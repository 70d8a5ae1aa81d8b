"""Networks of rarer architectures, for make_networks.py: what else people bring, from video to graphs to loops."""
from functools import partial

import torch
import torchvision
import transformers
from network_entry import MASK, ids, picture
from networks_sequence import TOKENS, bert, entry
from networks_vision import BOXES, HF, OWN, Outputs, detector, pytorch_image, tv
from networks_vision import entry as seen
from torch import nn
from torch.nn import functional as F

# timm's name: name, architecture, exporter, opset, size
TIMM = [
    ("mixer_s32_224", "MLP-Mixer", "torchscript", 13, 224), ("ghostnet_100", "GhostNet", "dynamo", 18, 64),
    ("levit_128s", "LeViT", "torchscript", 14, 224), ("mobilevit_xxs", "MobileViT", "dynamo", 18, 96),
    ("repvgg_a0", "RepVGG", "torchscript", 12, 64), ("fastvit_t8", "FastViT", "dynamo", 18, 96),
    ("edgenext_xx_small", "EdgeNeXt", "torchscript", 14, 96), ("maxvit_rmlp_pico_rw_256", "MaxViT", "dynamo", 18, 256),
    ("poolformer_s12", "PoolFormer", "torchscript", 11, 64), ("xcit_nano_12_p16_224", "XCiT", "torchscript", 14, 96),
    ("efficientformer_l1", "EfficientFormer", "dynamo", 20, 224), ("hrnet_w18_small", "HRNet", "torchscript", 13, 64),
    ("eca_nfnet_l0", "NFNet", "torchscript", 15, 64), ("pvt_v2_b0", "PVT", "dynamo", 18, 96),
    ("cait_xxs24_224", "CaiT", "torchscript", 14, 224), ("inception_next_atto", "InceptionNeXt", "torchscript", 17, 64),
    ("dla34", "DLA", "torchscript", 10, 64), ("skresnet18", "SKNet", "dynamo", 18, 64),
    ("mobileone_s0", "MobileOne", "torchscript", 13, 64), ("tiny_vit_5m_224", "TinyViT", "torchscript", 14, 224),
    ("crossvit_tiny_240", "CrossViT", "torchscript", 14, 240),
    ("convmixer_768_32", "ConvMixer", "torchscript", 13, 56), ("focalnet_tiny_srf", "FocalNet", "dynamo", 18, 64),
    ("davit_tiny", "DaViT", "torchscript", 14, 64), ("gcvit_xxtiny", "GCViT", "torchscript", 14, 224),
    ("mobilenetv4_conv_small", "MobileNetV4", "dynamo", 21, 96), ("efficientvit_b0", "EfficientViT", "torchscript", 16, 96),
    ("ese_vovnet19b_dw", "VoVNet", "torchscript", 11, 64), ("cspdarknet53", "CSPDarkNet", "torchscript", 9, 64),
    ("resnest14d", "ResNeSt", "torchscript", 13, 64), ("res2net50_14w_8s", "Res2Net", "torchscript", 12, 64),
    ("repvit_m0_9", "RepViT", "torchscript", 13, 64), ("botnet26t_256", "BoTNet", "torchscript", 14, 256),
]


class Small(nn.Module):
    """A superresolver: convolutions, then pixels from channels."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(1, 32, 5), nn.PReLU(32), nn.Conv2d(32, 16, 3, padding=1), nn.PReLU(),
                                  nn.Conv2d(16, 9, 3, padding=1))

    def forward(self, image):
        return F.pixel_shuffle(self.body(image), 3) + F.interpolate(image, scale_factor=3.0, mode="bicubic", align_corners=False)


class Style(nn.Module):
    """Fast style transfer: reflection padding, instance normalisation, residual blocks, nearest upsampling."""

    def __init__(self):
        super().__init__()

        def conv(a, b, k, stride=1):
            return nn.Sequential(nn.ReflectionPad2d(k // 2), nn.Conv2d(a, b, k, stride), nn.InstanceNorm2d(b, affine=True), nn.ReLU())
        self.down = nn.Sequential(conv(3, 16, 9), conv(16, 32, 3, 2), conv(32, 48, 3, 2))
        self.residual = nn.ModuleList(nn.Sequential(conv(48, 48, 3), nn.Conv2d(48, 48, 3, padding=1), nn.InstanceNorm2d(48)) for _ in range(2))
        self.up = nn.Sequential(nn.Upsample(scale_factor=2), conv(48, 32, 3), nn.Upsample(scale_factor=2), conv(32, 16, 3),
                                nn.Conv2d(16, 3, 9, padding=4))

    def forward(self, image):
        x = self.down(image)
        for block in self.residual:
            x = x + block(x)
        return self.up(x).tanh()


class Transformed(nn.Module):
    """A spatial transformer: where to look is computed, then sampled."""

    def __init__(self):
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, 8, 7, 2), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(8, 8, 5), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                                  nn.Linear(32, 6))
        self.see = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, image):
        theta = 0.3 * self.look(image).view(-1, 2, 3) + torch.tensor([[1.0, 0, 0], [0, 1, 0]])
        grid = F.affine_grid(theta, image.size(), align_corners=False)
        return self.see(F.grid_sample(image, grid, align_corners=False, padding_mode="border"))


class Deformed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.offset, self.mask = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 18, 3, padding=1), nn.Conv2d(8, 9, 3, padding=1)
        self.deform = torchvision.ops.DeformConv2d(8, 12, 3, padding=1)

    def forward(self, image):
        x = self.first(image).relu()
        return self.deform(x, self.offset(x), self.mask(x).sigmoid()).mean((2, 3))


class GraphNet(nn.Module):
    """Two rounds of messages along edges: gathered, transformed, added up at their ends."""

    def __init__(self):
        super().__init__()
        self.inside, self.message, self.update = nn.Linear(8, 32), nn.Linear(64, 32), nn.GRUCell(32, 32)
        self.last = nn.Linear(32, 3)

    def forward(self, nodes, edges):
        h = self.inside(nodes).relu()
        for _ in range(2):
            sent = self.message(torch.cat((h[edges[0]], h[edges[1]]), 1)).relu()
            got = torch.zeros_like(h).index_add(0, edges[1], sent)
            degree = torch.zeros(h.shape[0]).scatter_add(0, edges[1], torch.ones(edges.shape[1])).clamp(min=1)
            h = self.update(got / degree[:, None], h)
        return self.last(h)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(64 + 8, 32), nn.LayerNorm(32), nn.ELU(), nn.Linear(32, 10))

    def forward(self, points):
        near = torch.cdist(points, points).topk(4, largest=False, dim=2).values[:, :, 1:].amax(2)
        sorted_ = near.sort(1, descending=True).values[:, :8]
        return self.all(torch.cat((self.each(points.transpose(1, 2)).amax(2), sorted_), 1))


class Causal(nn.Module):
    """Dilated causal convolutions with gates (WaveNet, TCN)."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 24, 1), nn.Conv1d(24, 16, 1)
        self.filters = nn.ModuleList(nn.Conv1d(24, 48, 2, dilation=1 << i) for i in range(5))

    def forward(self, sound):
        x, skip = self.first(sound), 0
        for i, f in enumerate(self.filters):
            y = f(F.pad(x, (1 << i, 0)))
            y = F.glu(torch.cat((y[:, :24].tanh(), y[:, 24:]), 1), 1)
            x, skip = x + y, skip + y
        return self.last(F.relu(skip))


class Spectral(nn.Module):
    """A classifier of sound that computes its own spectrogram."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(256))
        self.register_buffer("mel", torch.rand(129, 20))
        self.read = nn.GRU(20, 32, batch_first=True)
        self.last = nn.Linear(32, 5)

    def forward(self, sound):
        parts = torch.stft(sound, 256, 128, window=self.window, return_complex=False, center=False)
        power = parts.pow(2).sum(-1).transpose(1, 2)
        return self.last(self.read((power @ self.mel + 1e-4).log())[1][0])


class Recommender(nn.Module):
    """Embeddings of categories, interactions of all pairs (DLRM)."""

    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(n, 16) for n in (50, 100, 30))
        self.dense, self.top = nn.Sequential(nn.Linear(6, 16), nn.ReLU()), nn.Sequential(nn.Linear(16 + 6, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, numbers, categories):
        parts = torch.stack([self.dense(numbers)] + [t(categories[:, i] % t.num_embeddings) for i, t in enumerate(self.tables)], 1)
        pairs = torch.einsum("bij,bkj->bik", parts, parts)
        row, column = torch.tril_indices(4, 4, -1)
        return self.top(torch.cat((parts[:, 0], pairs[:, row, column]), 1)).sigmoid()


class Field(nn.Module):
    """A radiance field: positions encoded by waves, an MLP, colours added up along rays."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(36, 64), nn.Softplus(), nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 4))

    def forward(self, origins, directions):
        depth = torch.linspace(0.2, 2, 12)
        at = origins[:, None] + directions[:, None] * depth[:, None]
        waves = at[..., None] * (2.0 ** torch.arange(6, dtype=torch.float32))
        out = self.body(torch.cat((waves.sin(), waves.cos()), -1).flatten(2))
        opacity = 1 - torch.exp(-F.relu(out[..., 3]) * 0.15)
        seen = torch.log(1 - opacity + 1e-6)
        clear = torch.exp(torch.cumsum(seen, 1) - seen)
        return (opacity * clear)[..., None].mul(out[..., :3].sigmoid()).sum(1)


class Diffuser(nn.Module):
    """The denoiser of a diffusion model: a step's number as waves, groups normalised, attention over pixels."""

    def __init__(self):
        super().__init__()
        torch.backends.mha.set_fastpath_enabled(False)
        self.time = nn.Sequential(nn.Linear(32, 48), nn.SiLU(), nn.Linear(48, 32))
        self.inside, self.down, self.out = nn.Conv2d(4, 32, 3, padding=1), nn.Conv2d(32, 32, 3, 2, 1), nn.Conv2d(32, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, 32) for _ in range(3))
        self.attend, self.up = nn.MultiheadAttention(32, 4, batch_first=True), nn.Conv2d(64, 32, 3, padding=1)

    def forward(self, latent, step):
        angles = step[:, None].float() * torch.exp(-torch.arange(16) * 0.6)
        time = self.time(torch.cat((angles.sin(), angles.cos()), 1))[:, :, None, None]
        x = self.inside(latent)
        y = self.down(F.silu(self.norms[0](x) + time))
        b, c, h, w = y.shape
        flat = self.norms[1](y).flatten(2).transpose(1, 2)
        y = y + self.attend(flat, flat, flat, need_weights=False)[0].transpose(1, 2).reshape(b, c, h, w)
        x = torch.cat((x, F.interpolate(y, scale_factor=2.0)), 1)
        return self.out(F.silu(self.norms[2](self.up(x))))


class Volume(nn.Module):
    """A U-Net over volumes, as medical pictures are segmented."""

    def __init__(self):
        super().__init__()

        def block(a, b):
            return nn.Sequential(nn.Conv3d(a, b, 3, padding=1, bias=False), nn.InstanceNorm3d(b, affine=True), nn.LeakyReLU(0.01))
        self.first, self.second, self.third = block(1, 8), block(8, 16), block(16, 32)
        self.up, self.join, self.last = nn.ConvTranspose3d(32, 16, 2, 2), block(32, 16), nn.Conv3d(24, 3, 1)

    def forward(self, volume):
        a = self.first(volume)
        b = self.second(F.max_pool3d(a, 2))
        c = self.third(F.avg_pool3d(b, 2))
        b = self.join(torch.cat((self.up(c), b), 1))
        b = F.interpolate(b, scale_factor=2.0, mode="trilinear", align_corners=False)
        return self.last(torch.cat((b, a), 1)).softmax(1)


class Greedy(nn.Module):
    """A decoder that goes on by itself: a scripted loop that ends when the data say so, with branches inside."""

    def __init__(self):
        super().__init__()
        self.embedding, self.cell, self.last = nn.Embedding(40, 24), nn.Linear(48, 24), nn.Linear(24, 40)
        nn.init.normal_(self.last.weight, std=1.5)

    def forward(self, state):
        total = self.last(state) * 0
        token = total.argmax(1)
        steps = 0
        while steps < 12 and bool(token.sum() < 60):
            state = self.cell(torch.cat([self.embedding(token), state], 1)).tanh()
            scores = self.last(state)
            if bool(scores.max() > 4.0):
                total = total + scores.softmax(1)
            else:
                total = total * 0.5
            token = scores.argmax(1)
            steps += 1
        return total


def scripted(kind):
    return lambda: torch.jit.script(kind())


class Packed(nn.Module):
    """Sequences of their own lengths through an LSTM."""

    def __init__(self):
        super().__init__()
        self.read, self.last = nn.LSTM(12, 20, bidirectional=True, batch_first=True), nn.Linear(40, 6)

    def forward(self, rows, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
        out, _ = nn.utils.rnn.pad_packed_sequence(self.read(packed)[0], batch_first=True, total_length=rows.shape[1])
        return self.last(out)


class Raft(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = torchvision.models.optical_flow.raft_small(weights=None)

    def forward(self, before, after):
        return self.net(before, after, num_flow_updates=3)[-1]


T = transformers


def decoder(kind, config, **more):
    small = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 500,
             "initializer_range": 0.1, "attn_implementation": "eager", "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **more}
    return lambda: Outputs(kind(config(**small)), ["input_ids", "attention_mask"], ["logits"], use_cache=False)


def bart():
    config = T.BartConfig(vocab_size=500, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
                          encoder_ffn_dim=96, decoder_ffn_dim=96, max_position_embeddings=64, init_std=0.1, attn_implementation="eager",
                          pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=2)
    return Outputs(T.BartModel(config).get_encoder(), ["input_ids", "attention_mask"], ["last_hidden_state"])


def dpt():
    config = T.DPTConfig(hidden_size=48, num_hidden_layers=4, num_attention_heads=4, intermediate_size=96, image_size=96, patch_size=16,
                         backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[16, 16, 32, 32], fusion_hidden_size=32, is_hybrid=False,
                         attn_implementation="eager", initializer_range=0.1)
    return Outputs(T.DPTForDepthEstimation(config), ["pixel_values"], ["predicted_depth"])


def dinov2():
    config = T.Dinov2Config(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=98, patch_size=14,
                            attn_implementation="eager", initializer_range=0.1)
    return Outputs(T.Dinov2Model(config), ["pixel_values"], ["last_hidden_state"])


def yolos():
    config = T.YolosConfig(hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, image_size=[96, 96],
                           patch_size=16, num_detection_tokens=10, attn_implementation="eager", initializer_range=0.2)
    return Outputs(T.YolosForObjectDetection(config), ["pixel_values"], ["logits", "pred_boxes"])


def hubert():
    config = T.HubertConfig(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, conv_dim=(24, 24),
                            conv_stride=(5, 8), conv_kernel=(10, 8), num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
                            attn_implementation="eager", initializer_range=0.1)
    net = T.HubertModel(config)
    torch.nn.utils.parametrize.remove_parametrizations(net.encoder.pos_conv_embed.conv, "weight")
    return Outputs(net, ["input_values"], ["last_hidden_state"])


def vocoder():
    config = T.SpeechT5HifiGanConfig(model_in_dim=20, upsample_initial_channel=32, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
                                     resblock_kernel_sizes=[3, 7], resblock_dilation_sizes=[[1, 3], [1, 3]], initializer_range=0.2)
    return T.SpeechT5HifiGan(config)


def free(name, *shape, kind="normal", **more):
    return {name: {"kind": kind, "shape": list(shape), **more}}


EDGES = free("edges", 2, "edges", kind="ids", high=12)
NETWORKS = [pytorch_image("timm_" + model, architecture, exporter, opset, model, size,
                          arguments={"img_size": size} if model.startswith("xcit") else {})
            for model, architecture, exporter, opset, size in TIMM] + [
    seen("superresolution", "ESPCN", OWN, "torchscript", 14, Small, free("image", 1, 1, "height", "width", kind="picture"), ("image3",),
         dims={"height": 24, "width": 40}, other={"height": 33, "width": 21}),
    seen("superresolution_dynamo", "ESPCN", OWN, "dynamo", 18, Small, picture(32, 1), ("image3",)),
    seen("style", "style transfer", OWN, "torchscript", 11, Style, free("image", 1, 3, "height", "width", kind="picture"), ("styled",),
         dims={"height": 48, "width": 64}, other={"height": 64, "width": 40}),
    seen("spatial_transformer", "spatial transformer", OWN, "torchscript", 20, Transformed, picture(48), ("scores",)),
    seen("spatial_transformer_dynamo", "spatial transformer", OWN, "dynamo", 20, Transformed, picture(48), ("scores",)),
    seen("deformable", "deformable convolution", OWN, "dynamo", 19, Deformed, picture(24), ("features",)),
    seen("graph", "graph network", OWN, "torchscript", 16, GraphNet, {**free("nodes", 12, 8), **EDGES}, ("labels",),
         dims={"edges": 30}, other={"edges": 17}),
    seen("graph_dynamo", "graph network", OWN, "dynamo", 18, GraphNet, {**free("nodes", 12, 8), **EDGES}, ("labels",),
         dims={"edges": 30}, other={"edges": 17}),
    seen("points", "PointNet", OWN, "torchscript", 13, PointNet, free("points", "batch", "points", 3), ("scores",),
         dims={"batch": 2, "points": 40}, other={"batch": 1, "points": 23}),
    seen("points_dynamo", "PointNet", OWN, "dynamo", 18, PointNet, free("points", 2, 40, 3), ("scores",)),
    seen("causal", "WaveNet", OWN, "torchscript", 13, Causal, free("sound", "batch", 1, "samples"), ("scores",),
         dims={"batch": 1, "samples": 200}, other={"batch": 2, "samples": 77}),
    seen("causal_dynamo", "WaveNet", OWN, "dynamo", 18, Causal, free("sound", "batch", 1, "samples"), ("scores",),
         dims={"batch": 2, "samples": 200}, other={"batch": 3, "samples": 77}),
    seen("spectral", "GRU on a spectrogram", OWN, "torchscript", 17, Spectral, free("sound", 1, 4000, kind="speech"), ("scores",)),
    seen("spectral_dynamo", "GRU on a spectrogram", OWN, "dynamo", 18, Spectral, free("sound", 1, 4000, kind="speech"), ("scores",)),
    seen("recommender", "DLRM", OWN, "torchscript", 13, Recommender,
         {**free("numbers", "batch", 6), **free("categories", "batch", 3, kind="ids", high=1000)}, ("chance",), dims={"batch": 5}, other={"batch": 2}),
    seen("recommender_dynamo", "DLRM", OWN, "dynamo", 18, Recommender,
         {**free("numbers", "batch", 6), **free("categories", "batch", 3, kind="ids", high=1000)}, ("chance",), dims={"batch": 5}, other={"batch": 2}),
    seen("radiance", "NeRF", OWN, "torchscript", 14, Field, {**free("origins", "rays", 3), **free("directions", "rays", 3)}, ("colour",),
         dims={"rays": 20}, other={"rays": 7}),
    seen("radiance_dynamo", "NeRF", OWN, "dynamo", 18, Field, {**free("origins", "rays", 3), **free("directions", "rays", 3)}, ("colour",),
         dims={"rays": 20}, other={"rays": 7}),
    seen("diffusion", "diffusion U-Net", OWN, "torchscript", 14, Diffuser,
         {**free("latent", "batch", 4, 16, 16), **free("step", "batch", kind="ids", high=1000)}, ("noise",), dims={"batch": 2}, other={"batch": 1}),
    seen("diffusion_dynamo", "diffusion U-Net", OWN, "dynamo", 18, Diffuser,
         {**free("latent", "batch", 4, 16, 16), **free("step", "batch", kind="ids", high=1000)}, ("noise",), dims={"batch": 2}, other={"batch": 3}),
    seen("greedy_loop", "loop decoder", OWN, "torchscript", 14, scripted(Greedy), free("state", "batch", 24), ("total",),
         dims={"batch": 3}, other={"batch": 1}),
    seen("packed_lstm", "LSTM with lengths", OWN, "torchscript", 14, Packed, {**free("rows", "batch", "tokens", 12),
         **free("lengths", "batch", kind="ids", low=1, high=9)}, ("labels",), dims={"batch": 4, "tokens": 9}, other={"batch": 2, "tokens": 11}),
    seen("volumes", "3D U-Net", OWN, "torchscript", 13, Volume, free("volume", "batch", 1, "depth", 32, 40), ("labels",),
         dims={"batch": 1, "depth": 16}, other={"batch": 2, "depth": 24}),
    tv("r3d_18", "3D ResNet", "torchscript", 13, torchvision.models.video.r3d_18,
       inputs={"clip": {"kind": "picture", "shape": [1, 3, 6, 40, 40]}}),
    tv("raft_small", "RAFT", "torchscript", 16, Raft, inputs={k: {"kind": "picture", "shape": [1, 3, 128, 128], "scale": 0.4}
       for k in ("before", "after")}, outputs=("flow",)),
    tv("fcos", "FCOS", "torchscript", 16, detector(torchvision.models.detection.fcos_resnet50_fpn, num_classes=11, min_size=128, max_size=128,
       score_thresh=0.001, detections_per_img=20), inputs={"image": {"kind": "picture", "shape": [3, 128, 128]}}, **BOXES),
    entry("albert", "ALBERT", "torchscript", 14, bert(T.AlbertModel, T.AlbertConfig, embedding_size=32), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("roberta", "RoBERTa", "dynamo", 18, bert(T.RobertaModel, T.RobertaConfig), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("electra", "ELECTRA", "torchscript", 11, bert(T.ElectraModel, T.ElectraConfig, embedding_size=32), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("mpnet", "MPNet", "torchscript", 14, bert(T.MPNetModel, T.MPNetConfig), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("deberta", "DeBERTa", "torchscript", 15, bert(T.DebertaV2Model, T.DebertaV2Config, relative_attention=True, pos_att_type=["p2c", "c2p"],
          position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True), {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("bart_encoder", "BART", "torchscript", 14, bart, {**ids(500), **MASK}, ("hidden",), **TOKENS),
    entry("llama", "Llama", "torchscript", 17, decoder(T.LlamaForCausalLM, T.LlamaConfig, num_key_value_heads=2), {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("llama_dynamo", "Llama", "dynamo", 20, decoder(T.LlamaForCausalLM, T.LlamaConfig, num_key_value_heads=2), {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("qwen2", "Qwen2", "dynamo", 18, decoder(T.Qwen2ForCausalLM, T.Qwen2Config, num_key_value_heads=2), {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("gemma2", "Gemma 2", "dynamo", 18, decoder(T.Gemma2ForCausalLM, T.Gemma2Config, num_key_value_heads=2, head_dim=16), {**ids(500), **MASK},
          ("logits",), **TOKENS),
    entry("bloom", "BLOOM", "torchscript", 14, decoder(T.BloomForCausalLM, T.BloomConfig), {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("opt", "OPT", "torchscript", 14, decoder(T.OPTForCausalLM, T.OPTConfig, ffn_dim=96, word_embed_proj_dim=64, max_position_embeddings=64),
          {**ids(500), **MASK}, ("logits",), **TOKENS),
    entry("mamba", "Mamba", "dynamo", 18, lambda: Outputs(T.MambaForCausalLM(T.MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=500,
          state_size=8)), ["input_ids"], ["logits"], use_cache=False), free("input_ids", 1, 12, kind="ids", high=500), ("logits",)),
    seen("dpt", "DPT", HF, "torchscript", 16, dpt, picture(96), ("depth",)),
    seen("dinov2", "DINOv2", HF, "dynamo", 18, dinov2, picture(98), ("hidden",)),
    seen("yolos", "YOLOS", HF, "torchscript", 16, yolos, picture(96), ("logits", "boxes")),
    entry("hubert", "HuBERT", "dynamo", 18, hubert, free("sound", 1, 3000, kind="speech"), ("hidden",)),
    entry("vocoder", "HiFi-GAN", "torchscript", 13, vocoder, free("mel", 1, "frames", 20), ("sound",), dims={"frames": 30}, other={"frames": 17}),
]
