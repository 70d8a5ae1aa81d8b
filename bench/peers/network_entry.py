"""What make_networks.py knows of a network: an entry, and the decorator that makes one of a function."""
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Entry:
    name: str
    architecture: str
    source: str
    exporter: str       # "torchscript" or "dynamo"
    opset: int
    inputs: dict        # name: specification, in the order of forward's parameters
    outputs: list
    build: Callable     # () -> module whose forward takes and gives plain tensors
    dims: dict = field(default_factory=dict)
    other: dict = field(default_factory=dict)   # second sizes: the named dimensions are exported free
    unlike: list = field(default_factory=list)  # outputs that may be the same for all inputs
    enliven: bool = True
    float16_weights: bool = False   # stored as float16 and cast
    float16: bool = False           # all of it


def picture(size=64, channels=3, batch=1):
    return {"image": {"kind": "picture", "shape": [batch, channels, size, size]}}


def free_picture(channels=3):
    return {"image": {"kind": "picture", "shape": ["batch", channels, "height", "width"]}}


def ids(high, name="input_ids"):
    return {name: {"kind": "ids", "shape": ["batch", "tokens"], "high": high}}


MASK = {"attention_mask": {"kind": "mask", "shape": ["batch", "tokens"]}}
