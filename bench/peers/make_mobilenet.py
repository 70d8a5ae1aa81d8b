#!/usr/bin/env python3
"""Writes MobileNetV2 (1.0, 1000 classes, input [1,3,224,224]) with random weights as ONNX, for measuring speed.

    make_mobilenet.py OUT.onnx [--size 224] [--batch 1]

Needs PyTorch and torchvision. The weights are random (seed 0) and the network knows nothing; but random pictures are
run through it in training mode first, so that every batch normalisation has the statistics of its input and the
outputs are ordinary numbers that two programs can be compared on, float or int8.
"""
import argparse

import torch
import torchvision


def pictures(count, size, rng):
    """Smooth random pictures, about normalised: noise at several scales, added up."""
    x = torch.zeros(count, 3, size, size)
    for cells in (4, 8, 16, 56, size):
        noise = torch.randn(count, 3, cells, cells, generator=rng)
        x += torch.nn.functional.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False)
    return x / x.std()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--size", type=int, default=224)
    ap.add_argument("--batch", type=int, default=1)
    args = ap.parse_args()

    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    net = torchvision.models.mobilenet_v2(weights=None)
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = None       # plain average over all batches
    net.train()
    with torch.no_grad():
        # Statistics settle layer by layer, so the first rounds only warm up.
        for images in 128, 256:
            for m in net.modules():
                if isinstance(m, torch.nn.BatchNorm2d):
                    m.reset_running_stats()
            for _ in range(images // 16):
                net(pictures(16, args.size, rng))
        net.eval()
        # The classifier's initial weights are tiny: scale it so that logits have a standard deviation near 3.
        y = net(pictures(16, args.size, rng))
        net.classifier[1].weight *= 3 / y.std()
        y = net(pictures(16, args.size, rng))
    print(f"logits: mean {y.mean():.3f} std {y.std():.3f} distinct classes in 16 pictures {len(set(y.argmax(1).tolist()))}")
    torch.onnx.export(net, torch.zeros(args.batch, 3, args.size, args.size), args.out, opset_version=13,
                      input_names=["image"], output_names=["logits"])


if __name__ == "__main__":
    main()
