"""Folders of cases for against.sh."""
import os

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as n


def case(name, nodes, inputs, outputs, constants=(), external=None):
    folder = f"{name}/test_data_set_0"
    os.makedirs(folder, exist_ok=True)

    def info(value_name, value):
        if isinstance(value, list):
            return h.make_tensor_sequence_value_info(value_name, T.FLOAT, None)
        return h.make_tensor_value_info(value_name, getattr(value, "onnx", None) or h.np_dtype_to_tensor_dtype(value.dtype), value.shape)

    graph = h.make_graph(nodes, name, [info(k, v) for k, v in inputs.items()],
                         [h.make_tensor_value_info(k, t, None) for k, t in outputs.items()], [n.from_array(v, k) for k, v in constants])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, f"{name}/model.onnx", **(dict(save_as_external_data=True, location=external, size_threshold=0) if external else {}))
    for k, value in enumerate(inputs.values()):
        proto = n.from_list(value, "s") if isinstance(value, list) else n.from_array(value)
        with open(f"{folder}/input_{k}.pb", "wb") as f:
            f.write(proto.SerializeToString())


rng = np.random.default_rng(1)
x = rng.standard_normal((1, 3, 5, 5)).astype(np.float32)
w = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
case("equal", [h.make_node("Conv", ["x", "w"], ["a"], "first"), h.make_node("Relu", ["a"], ["b"], "second"),
               h.make_node("Softmax", ["b"], ["y"], "third", axis=1)], {"x": x}, {"y": T.FLOAT}, [("w", w)])
case("different", [h.make_node("Relu", ["x"], ["a"], "first"),
                   h.make_node("Resize", ["a", "", "scales"], ["b"], "second", mode="linear", coordinate_transformation_mode="align_corners"),
                   h.make_node("ReduceSum", ["b"], ["y"], "third", keepdims=0)],
     {"x": np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)}, {"y": T.FLOAT}, [("scales", np.array([1, 1, 0.6, 0.6], np.float32))])
case("types", [h.make_node("StringConcat", ["s", "s"], ["t"]), h.make_node("Cast", ["i"], ["j"], to=T.INT4), h.make_node("Cast", ["j"], ["y"], to=T.INT8)],
     {"s": np.array([["a", "öö", ""]], object), "i": np.array([-8, 7, 3, 1, 0], np.float32)}, {"t": T.STRING, "y": T.INT8})
case("sequence", [h.make_node("SequenceLength", ["s"], ["y"])], {"s": [np.ones(2, np.float32)]}, {"y": T.INT64})
case("external", [h.make_node("MatMul", ["x", "w"], ["y"])], {"x": x[0, 0]}, {"y": T.FLOAT}, [("w", w[0, 0, 0][:, None].repeat(5, 0)[:5])], "weights.bin")
np.save("external/x.npy", x[0, 0])
