"""adze as a Python module: runs ONNX models on numpy arrays through the shared library, by ctypes.

    import adze_runtime
    model = adze_runtime.Model("model.onnx")             # or bytes of a model, or an onnx.ModelProto
    outputs = model.run({"x": x})                        # a dictionary of arrays

The library is made from the build folder that ADZE_BUILD names (default: build) when it is missing or old. What only
sequences and strings can hold is not passed on: such inputs are refused, such outputs are None."""
import ctypes as c
import os
import subprocess
import tempfile

import ml_dtypes
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = {"float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz", "float8e5m2": "float8_e5m2",
         "float8e5m2fnuz": "float8_e5m2fnuz"}                     # adze's names of types where numpy's differ
RANK = 8


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("message", c.c_char * 2048)]


class Tensor(c.Structure):
    _fields_ = [("dtype", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * RANK), ("data", c.c_void_p),
                ("size", c.c_size_t), ("quant", c.c_void_p), ("owner", c.c_int)]


class Item(c.Structure):
    _fields_ = [("kind", c.c_int), ("tensor", Tensor), ("count", c.c_int), ("items", c.c_void_p)]


class ContextOptions(c.Structure):
    _fields_ = [("threads", c.c_int), ("cpu_level", c.c_char_p)]


class PlanOptions(c.Structure):
    _fields_ = [("fuse", c.c_bool), ("keep_all", c.c_bool), ("refused", c.c_void_p), ("refused_user", c.c_void_p)]


class DtypeInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_int), ("bits", c.c_int)]


class AdzeError(RuntimeError):
    pass


def open_library(build):
    library, archive = os.path.join(build, "libadze.so"), os.path.join(build, "libadze.a")
    if not os.path.exists(library) or os.path.getmtime(library) < os.path.getmtime(archive):
        subprocess.run(["cmake", "--build", build, "--target", "adze_shared"], check=True, stdout=subprocess.DEVNULL)
        os.utime(library)
    lib = c.CDLL(library)
    for name in ("adze_model_graph", "adze_graph_input", "adze_graph_output", "adze_dtype_describe"):
        getattr(lib, name).restype = c.c_void_p
    lib.adze_value_name.restype = c.c_char_p
    lib.adze_dtype_describe.restype = c.POINTER(DtypeInfo)
    lib.adze_version.restype = c.c_char_p
    for name in ("adze_graph_input_count", "adze_graph_output_count", "adze_model_graph"):
        getattr(lib, name).argtypes = [c.c_void_p]
    for name in ("adze_graph_input", "adze_graph_output"):
        getattr(lib, name).argtypes = [c.c_void_p, c.c_int]
    lib.adze_value_name.argtypes = [c.c_void_p]
    return lib


LIB = open_library(os.environ.get("ADZE_BUILD") or os.path.join(ROOT, "build"))
VERSION = LIB.adze_version().decode()


def call(function, *args):
    err = Error()
    if function(*args, c.byref(err)) != 0:
        raise AdzeError(err.message.decode(errors="replace"))


def numpy_type(dtype):
    """The numpy type of one of adze's, or None (strings, types narrower than a byte)."""
    info = LIB.adze_dtype_describe(dtype).contents
    name = NAMES.get(info.name.decode(), info.name.decode())
    if info.bits < 8 or info.bits > 128 or name == "string":
        return None
    return np.dtype(getattr(ml_dtypes, name, None) or name)


def adze_type(array):
    name = next((ours for ours, theirs in NAMES.items() if theirs == array.dtype.name), array.dtype.name)
    dtype = LIB.adze_dtype_from_name(name.encode())
    if not dtype or array.dtype.kind in "OUS":
        raise AdzeError(f"type {array.dtype} cannot be passed on")
    return dtype


def context(threads=0, level=None):
    """Of its own for each model, so that models of several thread counts may live side by side."""
    out = c.c_void_p()
    call(LIB.adze_context_open, c.byref(out), c.byref(ContextOptions(threads, level.encode() if level else None)))
    return out


class Model:
    def __init__(self, model, threads=0, level=None, fuse=True):
        self.context, self.model, self.plan, self.session = context(threads, level), *(c.c_void_p() for _ in "mps")
        if isinstance(model, (str, os.PathLike)):
            self.open(os.fspath(model), fuse)
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "model.onnx")
                with open(path, "wb") as f:
                    f.write(model if isinstance(model, bytes) else model.SerializeToString())
                self.open(path, fuse)

    def open(self, path, fuse):
        call(LIB.adze_model_open, c.byref(self.model), self.context, path.encode())
        graph = LIB.adze_model_graph(self.model)
        name = LIB.adze_value_name
        self.inputs = [name(LIB.adze_graph_input(graph, i)).decode() for i in range(LIB.adze_graph_input_count(graph))]
        self.outputs = [name(LIB.adze_graph_output(graph, i)).decode()
                        for i in range(LIB.adze_graph_output_count(graph))]
        options = PlanOptions(fuse, False, None, None)
        call(LIB.adze_plan_create, c.byref(self.plan), c.c_void_p(graph), c.byref(options))
        call(LIB.adze_session_open, c.byref(self.session), self.plan, None)

    def run(self, feeds):
        """feeds: arrays by name, in any order of dimensions that the model allows; gives arrays by name."""
        missing = [n for n in self.inputs if n not in feeds]
        if missing:
            raise AdzeError(f"input {missing[0]} is not given")
        arrays = [np.asarray(feeds[n], order="C") for n in self.inputs]
        inputs, outputs = (Item * max(len(arrays), 1))(), (Item * max(len(self.outputs), 1))()
        for item, a in zip(inputs, arrays):
            item.tensor = Tensor(adze_type(a), a.ndim, (c.c_int64 * RANK)(*a.shape), a.ctypes.data, a.nbytes, None, 0)
        call(LIB.adze_session_run_items, self.session, inputs, outputs)
        return {n: self.array(item) for n, item in zip(self.outputs, outputs)}

    @staticmethod
    def array(item):
        t, kind = item.tensor, numpy_type(item.tensor.dtype)
        if item.items or item.count or kind is None:
            return None
        shape = tuple(t.dims[:t.rank])
        count = int(np.prod(shape, dtype=np.int64))
        if count == 0:
            return np.zeros(shape, kind)
        return np.frombuffer(c.string_at(t.data, count * kind.itemsize), kind).reshape(shape)

    def __del__(self):
        LIB.adze_session_close(c.byref(self.session))
        LIB.adze_plan_free(c.byref(self.plan))
        LIB.adze_model_close(c.byref(self.model))
        LIB.adze_context_close(c.byref(self.context))
