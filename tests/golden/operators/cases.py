"""Cases in the form of ONNX's own node tests (a folder with model.onnx and test_data_set_0), packed as .tar.xz.

What the scripts here share: making a model of one node, asking ONNX Runtime for its outputs, writing and packing the
folders, running `adze cases` over them. An archive has no times and no owners, so it changes only with its content."""
import io
import lzma
import os
import subprocess
import tarfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def tensor(value, name):
    """A TensorProto; value: an array, or (onnx type, shape, raw bytes) for types that NumPy lacks."""
    if isinstance(value, tuple):
        return helper.make_tensor(name, value[0], value[1], value[2], raw=True)
    return numpy_helper.from_array(np.asarray(value), name)


def info(value, name, rank_only=False):
    t = tensor(value, name)
    return helper.make_tensor_value_info(name, t.data_type, [None] * len(t.dims) if rank_only else list(t.dims))


def model_of(nodes, feeds, constants, outputs, opset, domain="com.microsoft", ir=8):
    graph = helper.make_graph(nodes, "case", [info(v, k) for k, v in feeds.items()],
                              [helper.make_empty_tensor_value_info(o) for o in outputs],
                              [tensor(v, k) for k, v in constants.items()])
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def save(folder, name, model, feeds, expected):
    """expected: {output: array}; the model's outputs get their types."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    types = {k: info(v, k) for k, v in expected.items()}
    names = [o.name for o in model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend([types[n] for n in names])
    path = os.path.join(folder, name)
    data = os.path.join(path, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    with open(os.path.join(path, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    initialized = {i.name for i in model.graph.initializer}
    inputs = [i.name for i in model.graph.input if i.name not in initialized]
    for i, k in enumerate(inputs):
        with open(os.path.join(data, f"input_{i}.pb"), "wb") as f:
            f.write(tensor(feeds[k], k).SerializeToString())
    for i, k in enumerate(names):
        with open(os.path.join(data, f"output_{i}.pb"), "wb") as f:
            f.write(tensor(expected[k], k).SerializeToString())


def onnxruntime_outputs(model, feeds):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def pack(folder, archive):
    """All files of a folder, sorted, as .tar.xz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for root, folders, files in sorted(os.walk(folder)):
            folders.sort()
            for file in sorted(files):
                path = os.path.join(root, file)
                entry = tarfile.TarInfo(os.path.relpath(path, folder))
                entry.size = os.path.getsize(path)
                entry.mode = 0o644
                with open(path, "rb") as f:
                    tar.addfile(entry, f)
    with open(archive, "wb") as f:
        f.write(lzma.compress(buffer.getvalue(), preset=9))


def run_adze(adze, folder, *options):
    """Cases that fail, with their reasons."""
    out = subprocess.run([adze, "cases", folder, *options], capture_output=True, text=True, check=False)
    print(out.stdout[-6000:] + out.stderr[-2000:])
    return out.returncode
