"""Networks that look at pictures, for make_networks.py: a table of small configurations of published architectures."""
from functools import partial

import timm
import torch
import torchvision
import transformers
from network_entry import Entry, free_picture, picture
from torch import nn
from torch.nn import functional as F

TV, TIMM, HF = (f"{m.__name__} {m.__version__.split('+')[0]}" for m in (torchvision, timm, transformers))
OWN = f"torch {torch.__version__.split('+')[0]}"
SIZES = {"dims": {"batch": 1, "height": 64, "width": 96}, "other": {"batch": 2, "height": 96, "width": 64}}
BATCH = {"dims": {"batch": 1}, "other": {"batch": 3}}


class Outputs(nn.Module):
    """Calls a module of transformers with keywords and gives the named outputs as a tuple."""

    def __init__(self, net, inputs, outputs, **fixed):
        super().__init__()
        self.net, self.inputs, self.outputs, self.fixed = net, inputs, outputs, fixed

    def forward(self, *values):
        said = self.net(**dict(zip(self.inputs, values)), **self.fixed)
        return tuple(said[name] for name in self.outputs)


class ConvBlock(nn.Sequential):
    def __init__(self, before, after, kernel=3, stride=1):
        super().__init__(nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after), nn.SiLU())


class CrossStage(nn.Module):
    """A stage of a YOLO: half of the channels go through bottlenecks, all are joined."""

    def __init__(self, before, after, count, residual=True):
        super().__init__()
        self.residual, half = residual, after // 2
        self.first, self.last = ConvBlock(before, after, 1), ConvBlock(half * (2 + count), after, 1)
        self.blocks = nn.ModuleList(nn.Sequential(ConvBlock(half, half), ConvBlock(half, half)) for _ in range(count))

    def forward(self, x):
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            y = block(parts[-1])
            parts.append(parts[-1] + y if self.residual else y)
        return self.last(torch.cat(parts, 1))


class Yolo(nn.Module):
    """A detector as YOLO builds them: stages, fast pyramid pooling, paths up and down, boxes decoded on grids."""

    def __init__(self, classes=8, width=16, picks=None):
        super().__init__()
        w, self.classes, self.picks = width, classes, picks
        self.stem = ConvBlock(3, w, 3, 2)
        self.stages = nn.ModuleList(nn.Sequential(ConvBlock(w << i, w << (i + 1), 3, 2), CrossStage(w << (i + 1), w << (i + 1), 1))
                                    for i in range(4))
        self.squeeze, self.spread = ConvBlock(16 * w, 8 * w, 1), ConvBlock(32 * w, 16 * w, 1)
        self.up4, self.up3 = CrossStage(24 * w, 8 * w, 1, False), CrossStage(12 * w, 4 * w, 1, False)
        self.down3, self.down4 = ConvBlock(4 * w, 4 * w, 3, 2), ConvBlock(8 * w, 8 * w, 3, 2)
        self.out4, self.out5 = CrossStage(12 * w, 8 * w, 1, False), CrossStage(24 * w, 16 * w, 1, False)
        self.heads = nn.ModuleList(nn.Conv2d(c * w, 4 * 8 + classes, 1) for c in (4, 8, 16))
        if picks:  # where scores saturate, the order of the boxes is a matter of rounding
            with torch.no_grad():
                for head in self.heads:
                    head.weight *= 0.2

    def pyramid(self, x):
        x = self.squeeze(x)
        pools = [x]
        for _ in range(3):
            pools.append(F.max_pool2d(pools[-1], 5, 1, 2))
        return self.spread(torch.cat(pools, 1))

    def decode(self, x, stride):
        rows, columns = x.shape[2], x.shape[3]
        ys = torch.arange(rows, device=x.device, dtype=x.dtype) + 0.5
        xs = torch.arange(columns, device=x.device, dtype=x.dtype) + 0.5
        center = torch.stack((xs[None, :].expand(rows, columns), ys[:, None].expand(rows, columns))).flatten(1)
        box, score = x.flatten(2).split((32, self.classes), 1)
        sides = (box.unflatten(1, (4, 8)).softmax(2) * torch.arange(8, dtype=x.dtype)[:, None]).sum(2)
        boxes = torch.cat((center - sides[:, :2], center + sides[:, 2:]), 1) * stride
        return torch.cat((boxes, score.sigmoid()), 1)

    def forward(self, image):
        x, kept = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            kept.append(x)
        c3, c4, c5 = kept[1], kept[2], self.pyramid(kept[3])
        p4 = self.up4(torch.cat((F.interpolate(c5, scale_factor=2.0, mode="nearest"), c4), 1))
        p3 = self.up3(torch.cat((F.interpolate(p4, scale_factor=2.0, mode="nearest"), c3), 1))
        n4 = self.out4(torch.cat((self.down3(p3), p4), 1))
        n5 = self.out5(torch.cat((self.down4(n4), c5), 1))
        found = torch.cat([self.decode(h(x), s) for h, x, s in zip(self.heads, (p3, n4, n5), (8.0, 16.0, 32.0))], 2)
        if not self.picks:
            return found
        best, label = found[0, 4:].max(0)
        boxes = found[0, :4].t()
        picked = torchvision.ops.batched_nms(boxes, best, label, 0.5)[:self.picks]
        return boxes[picked], best[picked], label[picked]


class UNet(nn.Module):
    """Down by pooling, up by transposed convolutions or interpolation, joined at every level."""

    def __init__(self, width=8, levels=3, transposed=True):
        super().__init__()
        channels = [width << i for i in range(levels + 1)]
        self.down = nn.ModuleList(self.pair(a, b) for a, b in zip([3] + channels[:-1], channels))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) if transposed else
                                nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Conv2d(b, a, 1))
                                for a, b in zip(channels[:-1], channels[1:]))
        self.join = nn.ModuleList(self.pair(2 * a, a) for a in channels[:-1])
        self.last = nn.Conv2d(width, 2, 1)

    @staticmethod
    def pair(before, after):
        return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(4, after), nn.LeakyReLU(0.1),
                             nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())

    def forward(self, image):
        x, kept = image, []
        for i, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if i else x)
            kept.append(x)
        for i in reversed(range(len(self.up))):
            x = self.join[i](torch.cat((self.up[i](x), kept[i]), 1))
        return self.last(x).sigmoid()


def detector(make, **arguments):
    """torchvision's detectors take a list of pictures and give dictionaries: boxes, scores, labels of the first."""
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = make(weights=None, weights_backbone=None, **arguments)

        def forward(self, image):
            said = self.net([image])
            said = said[1] if isinstance(said, tuple) else said
            return said[0]["boxes"], said[0]["scores"], said[0]["labels"]
    return One


def retinanet(**arguments):
    """Scores spread out, so that which of them is greater does not hang on the last bit."""
    net = torchvision.models.detection.retinanet_resnet50_fpn(**arguments)
    torch.nn.init.normal_(net.head.classification_head.cls_logits.weight, std=0.1)
    return net


def first(make, key="out"):
    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = make()

        def forward(self, image):
            return self.net(image)[key]
    return First


def small_convnext():
    setting = [torchvision.models.convnext.CNBlockConfig(*c) for c in ((32, 64, 2), (64, 128, 2), (128, 256, 3), (256, None, 1))]
    return torchvision.models.ConvNeXt(setting, num_classes=100)


def small_vgg():
    return nn.Sequential(torchvision.models.vgg11_bn().features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 100))


def small_swin(kind="swin_t"):
    v2 = {"block": torchvision.models.swin_transformer.SwinTransformerBlockV2,
          "downsample_layer": torchvision.models.swin_transformer.PatchMergingV2} if kind == "swin_v2_t" else {}
    return torchvision.models.SwinTransformer(patch_size=[4, 4], embed_dim=32, depths=[2, 2, 4], num_heads=[2, 4, 8],
                                              window_size=[7, 7], num_classes=100, **v2)


def detr():
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=transformers.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1],
                                                  out_features=["stage4"]),
        d_model=64, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
        encoder_attention_heads=4, decoder_attention_heads=4, num_queries=20, num_labels=10, init_std=0.2, attn_implementation="eager")
    return Outputs(transformers.DetrForObjectDetection(config), ["pixel_values"], ["logits", "pred_boxes"])


def segformer():
    config = transformers.SegformerConfig(hidden_sizes=[16, 32, 64, 96], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 4, 4],
                                          decoder_hidden_size=64, num_labels=12)
    return Outputs(transformers.SegformerForSemanticSegmentation(config), ["pixel_values"], ["logits"])


def clip_picture():
    config = transformers.CLIPVisionConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
                                           image_size=96, patch_size=16, projection_dim=48, attn_implementation="eager",
                                           initializer_factor=2.0)
    return Outputs(transformers.CLIPVisionModelWithProjection(config), ["pixel_values"], ["image_embeds"])


def entry(name, architecture, source, exporter, opset, build, inputs=None, outputs=("logits",), **more):
    return Entry(name, architecture, source, exporter, opset, inputs or picture(), list(outputs), build, **more)


def tv(name, architecture, exporter, opset, make, size=64, **more):
    return entry(name, architecture, TV, exporter, opset, make, more.pop("inputs", picture(size)), **more)


def pytorch_image(name, architecture, exporter, opset, model, size=64, **more):
    arguments = more.pop("arguments", {})
    return entry(name, architecture, TIMM, exporter, opset, partial(timm.create_model, model, num_classes=100, **arguments),
                 more.pop("inputs", picture(size)), **more)


M = torchvision.models
BOXES = {"outputs": ("boxes", "scores", "labels"), "unlike": ["labels"]}
BATCHED = {"inputs": {"image": {"kind": "picture", "shape": ["batch", 3, 64, 64]}}, **BATCH}
NETWORKS = [
    tv("resnet18", "ResNet", "torchscript", 13, M.resnet18),
    tv("resnet50_batch", "ResNet", "dynamo", 18, M.resnet50, **BATCHED),
    pytorch_image("resnetv2_d", "ResNet", "torchscript", 16, "resnetv2_50d_gn", arguments={"layers": (1, 1, 1, 1)}),
    tv("resnet18_float16", "ResNet", "torchscript", 13, M.resnet18, float16=True),
    tv("mobilenet_v2", "MobileNetV2", "torchscript", 12, M.mobilenet_v2, 96),
    tv("mobilenet_v2_half", "MobileNetV2", "dynamo", 18, partial(M.mobilenet_v2, width_mult=0.5), float16_weights=True),
    tv("mobilenet_v3_small", "MobileNetV3", "dynamo", 18, M.mobilenet_v3_small, 96),
    tv("mobilenet_v3_large", "MobileNetV3", "torchscript", 11, M.mobilenet_v3_large, inputs=free_picture(), **SIZES),
    tv("efficientnet_b0", "EfficientNet", "torchscript", 14, M.efficientnet_b0),
    pytorch_image("efficientnet_lite_same", "EfficientNet", "dynamo", 20, "tf_efficientnet_lite0", 72),
    tv("convnext", "ConvNeXt", "torchscript", 17, small_convnext),
    pytorch_image("convnextv2_atto", "ConvNeXt", "dynamo", 18, "convnextv2_atto", **BATCHED),
    tv("swin", "Swin", "torchscript", 17, small_swin, 112),
    tv("swin_v2", "Swin", "dynamo", 18, partial(small_swin, "swin_v2_t"), 112),
    pytorch_image("vit_tiny", "ViT", "torchscript", 14, "vit_tiny_patch16_224", 96, arguments={"img_size": 96, "depth": 4}),
    pytorch_image("vit_free", "ViT", "dynamo", 18, "vit_tiny_patch16_224",
                  arguments={"img_size": 96, "depth": 3, "dynamic_img_size": True}, inputs=free_picture(), **SIZES),
    entry("detr", "DETR", HF, "torchscript", 16, detr, picture(128), ("logits", "boxes")),
    entry("detr_dynamo", "DETR", HF, "dynamo", 18, detr, picture(128), ("logits", "boxes")),
    entry("yolo", "YOLO", OWN, "torchscript", 13, Yolo, free_picture(), ("found",), **SIZES),
    entry("yolo_dynamo", "YOLO", OWN, "dynamo", 18, Yolo, picture(96), ("found",)),
    entry("yolo_nms", "YOLO", OWN, "torchscript", 16, partial(Yolo, picks=30), picture(96), **BOXES),
    entry("unet", "U-Net", OWN, "torchscript", 11, UNet, free_picture(), ("mask",), **SIZES),
    entry("unet_float16", "U-Net", OWN, "dynamo", 18, UNet, picture(64), ("mask",), float16=True),
    entry("unet_bilinear", "U-Net", OWN, "dynamo", 18, partial(UNet, transposed=False), picture(64), ("mask",)),
    tv("ssdlite", "SSD", "torchscript", 16, detector(M.detection.ssdlite320_mobilenet_v3_large, num_classes=11),
       inputs={"image": {"kind": "picture", "shape": [3, 160, 160], "low": -2, "high": 2}}, **BOXES),
    tv("faster_rcnn", "Faster R-CNN", "torchscript", 16,
       detector(M.detection.fasterrcnn_mobilenet_v3_large_320_fpn, num_classes=11, box_score_thresh=0.01),
       inputs={"image": {"kind": "picture", "shape": [3, 160, 160]}}, **BOXES),
    tv("retinanet", "RetinaNet", "torchscript", 16,
       detector(retinanet, num_classes=11, min_size=160, max_size=160, score_thresh=0.001, detections_per_img=20),
       inputs={"image": {"kind": "picture", "shape": [3, 160, 160]}}, **BOXES),
    entry("clip_picture", "CLIP", HF, "dynamo", 18, clip_picture, picture(96), ("embedded",)),
    tv("squeezenet", "SqueezeNet", "torchscript", 9, M.squeezenet1_1, 96),
    tv("shufflenet_v2", "ShuffleNet", "torchscript", 12, M.shufflenet_v2_x0_5, inputs=free_picture(), **SIZES),
    tv("densenet", "DenseNet", "dynamo", 18, partial(M.DenseNet, 12, (3, 4, 4), 32, num_classes=100)),
    tv("googlenet", "Inception", "torchscript", 10, partial(M.googlenet, weights=None, init_weights=True, aux_logits=False)),
    tv("inception_v3", "Inception", "dynamo", 18, partial(M.inception_v3, weights=None, init_weights=True), 128),
    tv("regnet", "RegNet", "torchscript", 15, M.regnet_y_400mf),
    tv("mnasnet", "MnasNet", "dynamo", 18, M.mnasnet0_5),
    tv("vgg11", "VGG", "torchscript", 8, small_vgg),
    tv("deeplab", "DeepLab", "torchscript", 13, first(partial(M.segmentation.deeplabv3_mobilenet_v3_large, weights=None,
       weights_backbone=None)), inputs=free_picture(), **SIZES),
    tv("lraspp", "LR-ASPP", "dynamo", 18, first(partial(M.segmentation.lraspp_mobilenet_v3_large, weights=None,
       weights_backbone=None)), 96),
    entry("segformer", "SegFormer", HF, "torchscript", 14, segformer, free_picture(), ("logits",), **SIZES),
    entry("segformer_dynamo", "SegFormer", HF, "dynamo", 18, segformer, picture(96), ("logits",)),
]
