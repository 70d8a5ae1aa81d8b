#!/usr/bin/env python3
"""Trains the default model of adze and writes fashion-mnist.onnx.

    make.py --data DIR [--epochs 36] [--stop 25] [--out fashion-mnist.onnx] [--validate]

DIR holds the four IDX files of Fashion-MNIST (Debian: package dataset-fashion-mnist, which puts them into
/usr/share/datasets/fashion-mnist).
Needs PyTorch (made with 1.13), on the CPU. The seed and the number of threads are fixed.

--validate trains on 55,000 of the 60,000 training images and reports the other 5,000: use it to choose anything.
Without it all 60,000 are trained on. The 10,000 test images are read once, after the last epoch, to state the result.
"""
import argparse
import gzip
import os
import time
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEAN, STD = 0.2860, 0.3530      # of the training images, after pixel / 255
SEED = 20
CLASSES = 10


# ---- the network -----------------------------------------------------------------------------------------------------

def conv(cin, cout, kernel, stride=1, groups=1, act=None):
    """A convolution, its batch normalisation (folded into the convolution by the export) and an activation."""
    layers = OrderedDict(conv=nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
                         norm=nn.BatchNorm2d(cout))
    if act:
        layers["act"] = act()
    return nn.Sequential(layers)


class Inverted(nn.Module):
    """Inverted residual: 1x1 expand, 3x3 depthwise, 1x1 project; added to its input where the shapes agree."""

    def __init__(self, cin, hidden, cout, stride=1):
        super().__init__()
        self.expand = conv(cin, hidden, 1, act=nn.ReLU)
        self.depthwise = conv(hidden, hidden, 3, stride, groups=hidden, act=nn.ReLU6)
        self.project = conv(hidden, cout, 1)
        self.add = stride == 1 and cin == cout

    def forward(self, x):
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.add else y


class Residual(nn.Module):
    """Plain residual block: two 3x3 convolutions, added to the input."""

    def __init__(self, channels):
        super().__init__()
        self.first = conv(channels, channels, 3, act=nn.ReLU)
        self.second = conv(channels, channels, 3)

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


def network():
    return nn.Sequential(OrderedDict(
        stem=conv(1, 32, 3, act=nn.ReLU),               # 28 x 28
        down1=conv(32, 32, 3, stride=2, act=nn.ReLU),   # 14 x 14
        block1=Inverted(32, 96, 32),
        block2=Inverted(32, 96, 32),
        down2=Inverted(32, 128, 48, stride=2),          # 7 x 7
        block3=Residual(48),
        block4=Inverted(48, 192, 48),
        block5=Inverted(48, 192, 48),
        head=conv(48, 192, 1, act=nn.Hardswish),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(0.1),
        classifier=nn.Linear(192, CLASSES),
    ))


def multiply_adds(net):
    """Multiply-adds of the convolutions and the linear layer for one image."""
    total = 0

    def count(module, _, out):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += out.shape[2] * out.shape[3] * module.weight.numel()
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    hooks = [m.register_forward_hook(count) for m in net.modules()]
    net.eval()(torch.zeros(1, 1, 28, 28))
    for h in hooks:
        h.remove()
    return total


# ---- the data --------------------------------------------------------------------------------------------------------

def read_idx(path):
    with gzip.open(path) as f:
        data = f.read()
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder, part):
    images = read_idx(os.path.join(folder, part + "-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(folder, part + "-labels-idx1-ubyte.gz"))
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))


def prepare(pixels):
    """uint8 [N,28,28] to the network's input."""
    return ((pixels.float() / 255 - MEAN) / STD).unsqueeze(1)


def augment(pixels, rng):
    """Random crop out of 2 pixels of padding, random mirror, random erasing; pixels uint8 [N,28,28]."""
    n = len(pixels)
    padded = F.pad(pixels, (2, 2, 2, 2)).numpy()
    dy, dx = rng.integers(0, 5, n), rng.integers(0, 5, n)
    rows = dy[:, None] + np.arange(28)
    cols = dx[:, None] + np.arange(28)
    cols = np.where((rng.random(n) < 0.5)[:, None], cols[:, ::-1], cols)
    out = padded[np.arange(n)[:, None, None], rows[:, :, None], cols[:, None, :]]
    for i in np.flatnonzero(rng.random(n) < 0.25):
        h, w = rng.integers(3, 11, 2)
        y, x = rng.integers(0, 29 - h), rng.integers(0, 29 - w)
        out[i, y:y + h, x:x + w] = rng.integers(0, 256, (h, w))
    return torch.from_numpy(out)


# ---- training --------------------------------------------------------------------------------------------------------

def accuracy(net, images, labels):
    net.eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(images), 500):
            right += int((net(prepare(images[i:i + 500])).argmax(1) == labels[i:i + 500]).sum())
    return right / len(images)


def train(net, average, images, labels, args, check):
    rng = np.random.default_rng(SEED)
    decayed = [p for p in net.parameters() if p.dim() > 1]
    plain = [p for p in net.parameters() if p.dim() <= 1]
    steps = len(images) // args.batch
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": args.decay},
                                   {"params": plain, "weight_decay": 0.0}], lr=args.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=args.epochs * steps, pct_start=0.2)
    net.to(memory_format=torch.channels_last)
    step = 0
    for epoch in range(min(args.epochs, args.stop)):
        net.train()
        start, loss_sum = time.time(), 0.0
        order = rng.permutation(len(images))
        for i in range(steps):
            pick = torch.from_numpy(order[i * args.batch:(i + 1) * args.batch])
            x = prepare(augment(images[pick], rng)).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(net(x), labels[pick], label_smoothing=args.smoothing)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            keep = min(args.average, step / (step + 10))
            with torch.no_grad():
                for a, b in zip(average.state_dict().values(), net.state_dict().values()):
                    if a.is_floating_point():
                        a.lerp_(b, 1 - keep)
                    else:
                        a.copy_(b)
            loss_sum += float(loss)
            if args.limit and i + 1 >= args.limit:
                break
        line = f"epoch {epoch + 1}/{args.epochs} loss {loss_sum / (i + 1):.4f} {time.time() - start:.0f} s"
        if check is not None:
            line += f" validation {accuracy(average, *check):.4f}"
        print(line, flush=True)
        if args.checkpoint:
            torch.save(average.state_dict(), args.checkpoint)


def export(net, path):
    net = net.eval().to(memory_format=torch.contiguous_format)
    torch.onnx.export(net, torch.zeros(1, 1, 28, 28), path, opset_version=14, input_names=["image"],
                      output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    ap.add_argument("--out", default=os.path.join(here, "fashion-mnist.onnx"))
    ap.add_argument("--epochs", type=int, default=36)
    ap.add_argument("--stop", type=int, default=25, help="end after this epoch of the schedule")
    ap.add_argument("--batch", type=int, default=128)
    ap.add_argument("--rate", type=float, default=4e-3)
    ap.add_argument("--decay", type=float, default=0.02)
    ap.add_argument("--smoothing", type=float, default=0.05)
    ap.add_argument("--average", type=float, default=0.998)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--checkpoint", help="write the averaged weights here after each epoch")
    ap.add_argument("--validate", action="store_true")
    ap.add_argument("--limit", type=int, default=0, help="at most this many steps an epoch (to time it)")
    args = ap.parse_args()

    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(args.threads)
    net, average = network(), network()
    average.load_state_dict(net.state_dict())
    print(f"parameters {sum(p.numel() for p in net.parameters())} multiply-adds {multiply_adds(net)}", flush=True)

    images, labels = load(args.data, "train")
    check = None
    if args.validate:
        order = np.random.default_rng(SEED + 1).permutation(len(images))
        held, kept = order[:5000], order[5000:]
        check = images[held], labels[held]
        images, labels = images[kept], labels[kept]
    train(net, average, images, labels, args, check)
    export(average, args.out)
    if not args.validate:
        print(f"test accuracy {accuracy(average, *load(args.data, 't10k')):.4f}")


if __name__ == "__main__":
    main()
