#!/usr/bin/env python3
"""Exports networks of many architectures to ONNX, with random weights from fixed seeds, as people's exporters do.

    make_networks.py OUT_FOLDER [NAME...]        make_networks.py --list

Each NAME.onnx gets a NAME.json beside it that describes its inputs (network_inputs.py). Needs torch, torchvision,
transformers, timm, onnx and onnxscript; nothing is downloaded. The networks are made from configurations
(networks_vision.py, networks_sequence.py, networks_rare.py), small enough to run in moments; both of PyTorch's exporters, several opsets, some
with free dimensions, some with weights stored as float16.

Weights: as the libraries initialize them, except what would make a network say the same to everything. Scales and shifts get
some noise, vanishing layer scales a size, and batch normalisation the statistics of random pictures.
"""
import inspect
import json
import os
import sys
import traceback
import warnings

import network_inputs
import networks_rare
import networks_sequence
import networks_vision
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper


def enliven(net, generator):
    """Noise on scales and shifts; vectors that start near zero (layer scale) get a size."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim == 1 and p.is_floating_point():
                noise = torch.randn(p.shape, generator=generator)
                if name.endswith("bias"):
                    p += 0.1 * noise
                elif p.abs().mean() < 0.05:
                    p.copy_(0.3 + 0.05 * noise)
                else:
                    p += 0.1 * noise
            elif p.is_floating_point() and not p.any():  # a head that starts with nothing
                p.copy_(torch.randn(p.shape, generator=generator) / p[0].numel() ** 0.5)


def settle(net, inputs, rounds=6):
    """Gives batch normalisation the statistics of what reaches it."""
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]

    def follow(m, given):
        m.running_mean.lerp_(given[0].transpose(0, 1).flatten(1).mean(1), 0.5)
        m.running_var.lerp_(given[0].transpose(0, 1).flatten(1).var(1, unbiased=False).clamp(min=1e-3), 0.5)

    hooks = [m.register_forward_pre_hook(follow) for m in norms]
    with torch.no_grad():
        for seed in range(rounds if norms else 0):
            net(*inputs(100 + seed))
    for h in hooks:
        h.remove()


def store_as_float16(path):
    """Float weights are stored as float16 and cast where they are used, as size-conscious converters do."""
    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and numpy_helper.to_array(tensor).size > 64:
            half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name + "_f16")
            casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
            tensor.CopyFrom(half)
    old = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + old)
    onnx.save(model, path)


def dynamic_shapes(entry, net):
    """For the dynamo exporter: the free axes of each parameter of forward; what a *parameter takes is a tuple."""
    free = [{axis: torch.export.Dim.AUTO for axis, d in enumerate(spec["shape"]) if isinstance(d, str)}
            for spec in entry.inputs.values()]
    shapes = []
    for parameter in inspect.signature(net.forward).parameters.values():
        if not free:  # what is left has defaults
            break
        rest = parameter.kind is parameter.VAR_POSITIONAL
        shapes.append(tuple(free) if rest else free.pop(0))
    return tuple(shapes)


def export(entry, folder):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = entry.build().eval()
    description = {"name": entry.name, "architecture": entry.architecture, "source": entry.source,
                   "exporter": entry.exporter, "opset": entry.opset, "weights": "random", "inputs": entry.inputs,
                   "dims": entry.dims}
    if entry.other:
        description["other"] = entry.other
    if entry.unlike:
        description["unlike"] = entry.unlike

    def inputs(seed):
        return tuple(torch.from_numpy(v) for v in network_inputs.make(description, seed).values())

    if entry.enliven:
        enliven(net, generator)
    settle(net, inputs)
    if entry.float16:
        net.half()
        description["weights"] = "random, float16"
        for spec in description["inputs"].values():
            if "dtype" not in spec and spec["kind"] not in network_inputs.DEFAULT_TYPES:
                spec["dtype"] = "float16"
    path = os.path.join(folder, entry.name + ".onnx")
    common = {"opset_version": entry.opset, "input_names": list(entry.inputs), "output_names": entry.outputs}
    with torch.no_grad():
        if entry.exporter == "torchscript":
            axes = {name: {a: d for a, d in enumerate(spec["shape"]) if isinstance(d, str)}
                    for name, spec in entry.inputs.items()} if entry.other else None
            torch.onnx.export(net, inputs(0), path, dynamo=False, dynamic_axes=axes, **common)
        else:
            shapes = dynamic_shapes(entry, net) if entry.other else None
            torch.onnx.export(net, inputs(0), path, dynamo=True, dynamic_shapes=shapes, external_data=False,
                              verbose=False, **common)
    if entry.float16_weights:
        store_as_float16(path)
        description["weights"] = "random, stored as float16"
    with open(os.path.join(folder, entry.name + ".json"), "w", encoding="utf-8") as file:
        json.dump(description, file, indent=1)


def main():
    entries = networks_vision.NETWORKS + networks_sequence.NETWORKS + networks_rare.NETWORKS
    if "--list" in sys.argv[1:]:
        for e in entries:
            print(f"{e.name:28} {e.architecture:18} {e.exporter:12} opset {e.opset}")
        return 0
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    folder, names = sys.argv[1], sys.argv[2:]
    unknown = set(names) - {e.name for e in entries}
    if unknown:
        sys.exit(f"no such network: {', '.join(sorted(unknown))} (make_networks.py --list)")
    os.makedirs(folder, exist_ok=True)
    warnings.filterwarnings("ignore")
    failed = 0
    for e in entries:
        if names and e.name not in names:
            continue
        try:
            export(e, folder)
            print(f"{e.name}: {os.path.getsize(os.path.join(folder, e.name + '.onnx')) / 1e6:.1f} MB", flush=True)
        except Exception as error:  # an exporter that gives up on one network does not stop the others
            failed += 1
            print(f"{e.name}: not exported: {type(error).__name__}: {str(error).strip().splitlines()[:1]}", flush=True)
            if names:
                traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
