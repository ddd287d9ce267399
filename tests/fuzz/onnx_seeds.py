# SPDX-License-Identifier: Apache-2.0
"""Small ONNX models, one for each operator and form that eddy imports: bytes of the protobuf wire format, made without a library.

Field numbers: onnx/onnx.proto3. `models()` gives {name: bytes}; inputs are called x, y, ..., the output is the last node's first."""
import struct

FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16 = 1, 2, 3, 6, 7, 9, 10
PACKING = {FLOAT: "f", UINT8: "B", INT8: "b", INT32: "i", INT64: "q", BOOL: "?", FLOAT16: "e"}


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def number_field(field, number):
    return varint(field << 3) + varint(number)


def bytes_field(field, body):
    body = body.encode() if isinstance(body, str) else body
    return varint(field << 3 | 2) + varint(len(body)) + body


def tensor(name, kind, dims, values):
    body = b"".join(number_field(1, dim) for dim in dims) + number_field(2, kind) + bytes_field(8, name)
    return body + bytes_field(9, struct.pack(f"<{len(values)}{PACKING[kind]}", *values))


def floats(name, dims, scale=0.1):
    count = 1
    for dim in dims:
        count *= dim
    return tensor(name, FLOAT, dims, [scale * (i % 7 - 3) for i in range(count)])


def integers(name, values, kind=INT64, dims=None):
    return tensor(name, kind, [len(values)] if dims is None else dims, values)


def scalar(name, value, kind=FLOAT):
    return tensor(name, kind, [], [value])


class Graph:
    """The body of If, Loop or Scan."""

    def __init__(self, nodes, inputs, outputs, initializers=()):
        self.bytes = graph_fields(nodes, inputs, outputs, initializers)


def attribute(name, value):
    body = bytes_field(1, name)
    if isinstance(value, float):
        return body + varint(2 << 3 | 5) + struct.pack("<f", value) + number_field(20, 1)
    if isinstance(value, int):
        return body + number_field(3, value) + number_field(20, 2)
    if isinstance(value, str):
        return body + bytes_field(4, value) + number_field(20, 3)
    if isinstance(value, Graph):
        return body + bytes_field(6, value.bytes) + number_field(20, 5)
    if isinstance(value, bytes):
        return body + bytes_field(5, value) + number_field(20, 4)
    if isinstance(value[0], float):
        return body + bytes_field(7, struct.pack(f"<{len(value)}f", *value)) + number_field(20, 6)
    if isinstance(value[0], str):
        return body + b"".join(bytes_field(9, text) for text in value) + number_field(20, 8)
    return body + b"".join(number_field(8, one) for one in value) + number_field(20, 7)


def node(op, inputs, outputs, domain="", **attributes):
    body = b"".join(bytes_field(1, name) for name in inputs) + b"".join(bytes_field(2, name) for name in outputs)
    body += bytes_field(3, op.lower()) + bytes_field(4, op)
    body += b"".join(bytes_field(5, attribute(name, value)) for name, value in attributes.items())
    return body + (bytes_field(7, domain) if domain else b"")


def value_info(name, kind, dims):
    shape = b"".join(bytes_field(1, number_field(1, dim) if isinstance(dim, int) else bytes_field(2, dim)) for dim in dims)
    return bytes_field(1, name) + bytes_field(2, bytes_field(1, number_field(1, kind) + bytes_field(2, shape)))


def graph_fields(nodes, inputs, outputs, initializers):
    graph = b"".join(bytes_field(1, one) for one in nodes) + bytes_field(2, "seed")
    graph += b"".join(bytes_field(5, one) for one in initializers)
    graph += b"".join(bytes_field(11, value_info(*one)) for one in inputs)
    return graph + b"".join(bytes_field(12, value_info(*one)) for one in outputs)


def model(nodes, inputs, outputs, initializers=(), opset=13):
    graph = graph_fields(nodes, inputs, outputs, initializers)
    return number_field(1, 8) + bytes_field(7, graph) + bytes_field(8, bytes_field(1, "") + number_field(2, opset))


def one(op, dims, initializers=(), inputs=None, out=(FLOAT, []), kind=FLOAT, opset=13, outputs=("o",), **attributes):
    """A model of one node: x, then the initializers' names, or `inputs`."""
    names = ["x"] + [name_of(item) for item in initializers] if inputs is None else inputs
    return model([node(op, names, outputs, **attributes)], [("x", kind, dims)], [(outputs[0], out[0], out[1])], initializers, opset)


def name_of(initializer):
    at = initializer.index(b"\x42")  # field 8, bytes: behind dims and type, which are small numbers
    return initializer[at + 2:at + 2 + initializer[at + 1]].decode()


def pair(op, first, second, kind=FLOAT, out=FLOAT):
    return model([node(op, ["x", "y"], ["o"])], [("x", kind, first), ("y", kind, second)], [("o", out, [])])


def elementwise():
    made = {op.lower(): one(op, [1, 2, 5]) for op in
            ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Exp", "Log", "Sqrt", "Abs", "Neg", "Erf", "Identity")}
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min", "Sum"):
        made[op.lower()] = pair(op, [1, 3, 4], [3, 1])
    for op in ("Less", "Greater", "Equal"):
        made[op.lower()] = pair(op, [2, 3], [3], out=BOOL)
    for op in ("And", "Or"):
        made[op.lower()] = pair(op, [2, 3], [3], kind=BOOL, out=BOOL)
    made["not"] = one("Not", [4], kind=BOOL, out=(BOOL, []))
    made["clip"] = one("Clip", [5], [scalar("low", -1.0), scalar("high", 1.0)])
    made["clip-6"] = one("Clip", [5], opset=6, min=-1.0, max=1.0)
    made["softmax"] = one("Softmax", [2, 5], axis=-1)
    made["softmax-11"] = one("Softmax", [2, 3, 2], opset=11, axis=1)
    made["cast"] = one("Cast", [3], out=(INT32, []), to=INT32)
    made["half"] = model([node("Relu", ["x"], ["o"])], [("x", FLOAT16, [4])], [("o", FLOAT16, [4])])
    return made


def spatial():
    made = {"conv": one("Conv", [1, 2, 5, 5], [floats("w", [3, 2, 3, 3]), floats("b", [3])], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
            "conv-groups": one("Conv", [1, 4, 4, 4], [floats("w", [4, 2, 1, 1])], group=2),
            "conv-depthwise": one("Conv", [1, 3, 5, 5], [floats("w", [3, 1, 3, 3])], group=3, auto_pad="SAME_UPPER"),
            "conv-dilated": one("Conv", [1, 1, 7, 7], [floats("w", [2, 1, 3, 3])], dilations=[2, 2]),
            "conv-1d": one("Conv", [1, 2, 9], [floats("w", [3, 2, 3])], pads=[1, 1]),
            "max-pool": one("MaxPool", [1, 2, 5, 5], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            "average-pool": one("AveragePool", [1, 2, 5, 5], kernel_shape=[2, 2], ceil_mode=1, strides=[2, 2], count_include_pad=1),
            "global-average": one("GlobalAveragePool", [1, 3, 4, 4]), "global-max": one("GlobalMaxPool", [1, 3, 4, 4]),
            "batch-norm": one("BatchNormalization", [1, 3, 2, 2], [floats("s", [3]), floats("b", [3]), floats("m", [3]),
                                                                   tensor("v", FLOAT, [3], [1.0, 2.0, 3.0])]),
            "batch-norm-rank-8": one("BatchNormalization", [1, 3, 2, 2, 1, 1, 1, 1], [floats(name, [3]) for name in "sbmv"]),
            "upsample": one("Upsample", [1, 1, 2, 2], [tensor("s", FLOAT, [4], [1.0, 1.0, 2.0, 2.0])], opset=9, mode="nearest")}
    sizes = integers("z", [1, 2, 5, 3])
    for mode in ("nearest", "linear"):
        for place in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
            made[f"resize-{mode}-{place}"] = one("Resize", [1, 2, 3, 4], [sizes], ["x", "", "", "z"], mode=mode, coordinate_transformation_mode=place)
    made["conv-relu-add"] = model(
        [node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]), node("BatchNormalization", ["c", "b", "b", "b", "v"], ["n"]),
         node("Relu", ["n"], ["r"]), node("Add", ["r", "x"], ["s"]), node("Clip", ["s"], ["o"], min=0.0, max=6.0)],
        [("x", FLOAT, [1, 2, 4, 4])], [("o", FLOAT, [])],
        [floats("w", [2, 2, 3, 3]), floats("b", [2]), tensor("v", FLOAT, [2], [1.0, 2.0])], 6)
    made["conv-norm-norm"] = model(
        [node("Conv", ["x", "w", "b"], ["c"])] + [node("BatchNormalization", ["cno"[i], "b", "b", "b", "v"], ["nop"[i]]) for i in range(3)],
        [("x", FLOAT, [1, 2, 4, 4])], [("p", FLOAT, [])], [floats("w", [2, 2, 3, 3]), floats("b", [2]), tensor("v", FLOAT, [2], [1.0, 2.0])])
    return made


def matrices():
    weights = [floats("w", [1, 16, 3]), floats("r", [1, 16, 4]), floats("b", [1, 32])]
    made = {"gemm": one("Gemm", [2, 4], [floats("w", [3, 4]), floats("c", [3])], transB=1),
            "gemm-scaled": one("Gemm", [4, 2], [floats("w", [4, 3]), floats("c", [2, 1])], transA=1, alpha=0.5, beta=2.0),
            "matmul": pair("MatMul", [2, 3, 4], [4, 5]), "matmul-layer": one("MatMul", [2, 3, 4], [floats("w", [4, 5])]),
            "matmul-vector": pair("MatMul", [4], [4, 3]),
            "lstm": one("LSTM", [5, 2, 3], weights, outputs=("o", "h", "c"), hidden_size=4),
            "lstm-both": one("LSTM", [3, 1, 3], [floats("w", [2, 16, 3]), floats("r", [2, 16, 4]), floats("b", [2, 32])],
                             hidden_size=4, direction="bidirectional")}
    return made


def shapes():
    made = {"reshape": one("Reshape", [2, 6], [integers("s", [3, -1])]), "flatten": one("Flatten", [2, 3, 4], axis=1),
            "squeeze": one("Squeeze", [1, 3, 1], [integers("a", [0])]), "unsqueeze": one("Unsqueeze", [3], [integers("a", [0, 2])]),
            "squeeze-11": one("Squeeze", [1, 3, 1], opset=11, axes=[0, 2]),
            "transpose": one("Transpose", [2, 3, 4], perm=[2, 0, 1]),
            "concat": model([node("Concat", ["x", "y", "x"], ["o"], axis=1)], [("x", FLOAT, [2, 2]), ("y", FLOAT, [2, 3])], [("o", FLOAT, [])]),
            "split": one("Split", [2, 6], [integers("p", [2, 4])], outputs=("o", "q"), axis=1),
            "slice": one("Slice", [4, 6], [integers("b", [3, -1]), integers("e", [0, -7]), integers("a", [0, 1]), integers("t", [-1, -2])]),
            "slice-9": one("Slice", [4, 6], opset=9, starts=[1, 2], ends=[3, 100], axes=[0, 1]),
            "gather": one("Gather", [3, 4], [integers("i", [2, 0, -1])], axis=0),
            "gather-scalar": one("Gather", [3, 4], [scalar("i", 1, INT64)], axis=1),
            "gather-computed": model([node("Gather", ["w", "x"], ["o"])], [("x", INT64, [3])], [("o", FLOAT, [])], [floats("w", [5, 2])]),
            "expand": one("Expand", [3, 1], [integers("s", [2, 1, 4])]),
            "one-hot": one("OneHot", [3], [scalar("d", 4, INT64), tensor("v", FLOAT, [2], [0.0, 1.0])], kind=INT64),
            "pad": one("Pad", [2, 3], [integers("p", [1, 0, 0, 2]), scalar("v", 0.5)]),
            "arg-max": one("ArgMax", [3, 4], out=(INT64, []), axis=1, keepdims=0),
            "constant": model([node("Constant", [], ["c"], value=floats("", [3])), node("Add", ["x", "c"], ["o"])], [("x", FLOAT, [3])],
                              [("o", FLOAT, [])])}
    for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"):
        made[op.lower()] = one(op, [2, 3, 4], keepdims=0, axes=[1, -1])
    made["reducesum-i64"] = one("ReduceSum", [2, 300], kind=INT64, out=(INT64, []), axes=[1])
    made["shape-arithmetic"] = model(
        [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["g"]), node("Unsqueeze", ["g"], ["u"], axes=[0]),
         node("Concat", ["u", "m"], ["t"], axis=0), node("Reshape", ["x", "t"], ["o"])],
        [("x", FLOAT, [2, 3, 4])], [("o", FLOAT, [])], [scalar("i", 0, INT64), integers("m", [-1])], 11)
    made["constant-of-shape"] = model([node("ConstantOfShape", ["s"], ["c"], value=tensor("", FLOAT, [1], [2.0])), node("Mul", ["x", "c"], ["o"])],
                                      [("x", FLOAT, [2, 3])], [("o", FLOAT, [])], [integers("s", [2, 3])])
    return made


def quantised():
    scales = [scalar("xs", 0.05), scalar("xz", 128, UINT8), scalar("ws", 0.02), scalar("wz", 0, INT8), scalar("ys", 0.1), scalar("yz", 100, UINT8)]
    weights = tensor("w", INT8, [3, 2, 3, 3], [i % 11 - 5 for i in range(54)])
    per_channel = [tensor("ws", FLOAT, [3], [0.1, 0.2, 0.3]), tensor("wz", INT8, [3], [0, 0, 0])]
    bias = integers("b", [1, -2, 3], INT32)
    made = {"qlinear-conv": model([node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
                                   node("QLinearConv", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["c"], pads=[1, 1, 1, 1]),
                                   node("DequantizeLinear", ["c", "ys", "yz"], ["o"])],
                                  [("x", FLOAT, [1, 2, 5, 5])], [("o", FLOAT, [])], scales + [weights, bias])}
    qdq = [node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
           node("DequantizeLinear", ["w", "ws", "wz"], ["f"], axis=0)]
    tail = [node("QuantizeLinear", ["c", "ys", "yz"], ["p"]), node("DequantizeLinear", ["p", "ys", "yz"], ["o"])]
    made["qdq-conv"] = model(qdq + [node("Conv", ["d", "f"], ["e"], strides=[2, 2]), node("Relu", ["e"], ["c"])] + tail,
                             [("x", FLOAT, [1, 2, 5, 5])], [("o", FLOAT, [])], [s for s in scales if name_of(s) not in ("ws", "wz")] + per_channel + [weights])
    made["qdq-gemm"] = model(qdq + [node("Gemm", ["d", "f", "g"], ["c"], transB=1)] + tail, [("x", FLOAT, [2, 4])], [("o", FLOAT, [])],
                             [s for s in scales if name_of(s) not in ("ws", "wz")] + per_channel +
                             [tensor("w", INT8, [3, 4], [i - 6 for i in range(12)]), floats("g", [3])])
    made["qdq-add"] = model([node("QuantizeLinear", ["x", "xs", "xz"], ["q"]), node("DequantizeLinear", ["q", "xs", "xz"], ["d"]),
                             node("Add", ["d", "d"], ["c"])] + tail, [("x", FLOAT, [1, 6])], [("o", FLOAT, [])], scales)
    return made


def trees():
    nodes = {"nodes_treeids": [0, 0, 0, 1], "nodes_nodeids": [0, 1, 2, 0], "nodes_featureids": [1, 0, 0, 0], "nodes_values": [0.5, 0.0, 0.0, 0.0],
             "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF", "LEAF"], "nodes_truenodeids": [1, 0, 0, 0], "nodes_falsenodeids": [2, 0, 0, 0]}
    regressor = {"target_treeids": [0, 0, 1], "target_nodeids": [1, 2, 0], "target_ids": [0, 0, 0], "target_weights": [1.0, 2.0, 3.0], "n_targets": 1}
    classifier = {"class_treeids": [0, 0, 1], "class_nodeids": [1, 2, 0], "class_ids": [0, 1, 2], "class_weights": [1.0, 2.0, 3.0],
                  "classlabels_int64s": [10, 20, 30], "post_transform": "SOFTMAX"}
    return {"trees-regressor": one("TreeEnsembleRegressor", [2, 3], domain="ai.onnx.ml", **nodes, **regressor),
            "trees-classifier": one("TreeEnsembleClassifier", [2, 3], out=(INT64, []), outputs=("o", "p"), domain="ai.onnx.ml", **nodes, **classifier)}


def pooled():
    made = {"conv-3d": one("Conv", [1, 2, 4, 3, 3], [floats("w", [2, 2, 2, 2, 2]), floats("b", [2])], strides=[2, 1, 1], pads=[1, 0, 0, 0, 0, 1]),
            "max-pool-3d": one("MaxPool", [1, 2, 4, 4, 4], kernel_shape=[2, 2, 2], strides=[2, 1, 1]),
            "average-pool-1d": one("AveragePool", [1, 2, 7], kernel_shape=[3], pads=[1, 1], count_include_pad=1),
            "conv-transpose": one("ConvTranspose", [1, 2, 3, 3], [floats("w", [2, 3, 3, 3]), floats("b", [3])], strides=[2, 2], pads=[1, 1, 1, 1],
                                  output_padding=[1, 1]),
            "conv-transpose-1d": one("ConvTranspose", [1, 2, 4], [floats("w", [2, 1, 3])], group=2, auto_pad="SAME_UPPER", strides=[2])}
    sizes, scales = integers("z", [2, 5]), tensor("s", FLOAT, [4], [1.0, 1.0, 0.6, 1.5])
    for mode in ("nearest", "linear", "cubic"):
        for place in ("half_pixel_symmetric", "tf_crop_and_resize", "half_pixel"):
            made[f"resize-axis-{mode}-{place}"] = one("Resize", [1, 1, 4, 4], [tensor("r", FLOAT, [8], [0.0, 0.0, 0.2, 0.4, 1.0, 1.0, 0.6, 1.7]), scales],
                                                      ["x", "r", "s"], mode=mode, coordinate_transformation_mode=place, antialias=1, opset=19)
    made["resize-aspect"] = one("Resize", [1, 1, 4, 7], [sizes], ["x", "", "", "z"], axes=[3, 2], keep_aspect_ratio_policy="not_larger", opset=19)
    return made


def indexed():
    i, pairs = integers("i", [2, 0, -1, 1], dims=[2, 2]), integers("i", [0, 1, 1, 0], dims=[2, 2])
    made = {"gather-elements": one("GatherElements", [2, 3], [i], axis=1), "gather-nd": one("GatherND", [2, 2, 3], [pairs]),
            "gather-nd-batch": one("GatherND", [2, 3], [integers("i", [2, 0], dims=[2, 1])], batch_dims=1),
            "scatter-elements": one("ScatterElements", [2, 3], [i, floats("u", [2, 2])], axis=1, reduction="add", opset=18),
            "scatter-nd": one("ScatterND", [2, 2, 3], [pairs, floats("u", [2, 3])], reduction="max", opset=18),
            "top-k": one("TopK", [3, 5], [integers("k", [2])], outputs=("o", "p"), axis=-1, largest=0),
            "cumulative-sum": one("CumSum", [2, 4], [scalar("a", 1, INT64)], reverse=1, exclusive=1),
            "trilu": one("Trilu", [2, 3, 3], [scalar("k", -1, INT64)], opset=14, upper=0), "arg-min": one("ArgMin", [3, 4], out=(INT64, []), axis=0),
            "tile": one("Tile", [2, 1, 3], [integers("r", [1, 3, 2])]), "depth-to-space": one("DepthToSpace", [1, 8, 2, 3], blocksize=2, mode="CRD"),
            "space-to-depth": one("SpaceToDepth", [1, 2, 4, 2], blocksize=2),
            "where": model([node("Where", ["c", "x", "y"], ["o"])], [("c", BOOL, [2, 1]), ("x", FLOAT, [3]), ("y", FLOAT, [2, 3])], [("o", FLOAT, [])])}
    for mode in ("edge", "reflect", "wrap"):
        made[f"pad-{mode}"] = one("Pad", [3, 4], [integers("p", [1, -1, 2, 2])], mode=mode, opset=19)
    for op in ("ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"):
        made[op.lower()] = one(op, [2, 3, 4], keepdims=1, axes=[0, 2])
    made["non-zero"] = model([node("NonZero", ["x"], ["n"]), node("Transpose", ["n"], ["t"], perm=[1, 0]), node("GatherND", ["x", "t"], ["o"])],
                             [("x", FLOAT, [2, 3])], [("o", FLOAT, ["n"]), ("n", INT64, [2, "n"])])
    made["non-max-suppression"] = model(
        [node("NonMaxSuppression", ["x", "y", "m", "t", "s"], ["n"]), node("Slice", ["n", "b", "e", "a"], ["p"]), node("Cast", ["p"], ["o"], to=FLOAT)],
        [("x", FLOAT, [1, 4, 4]), ("y", FLOAT, [1, 2, 4])], [("o", FLOAT, ["n", 1])],
        [integers("m", [3]), tensor("t", FLOAT, [1], [0.5]), tensor("s", FLOAT, [1], [0.1]), integers("b", [2]), integers("e", [3]), integers("a", [1])])
    return made


def numbers():
    made = {}
    for kind, code in (("u8", UINT8), ("i8", INT8), ("i32", INT32), ("i64", INT64)):
        for op in ("Add", "Div", "Mod", "Pow", "Max", "BitwiseXor"):
            made[f"{op.lower()}-{kind}"] = pair(op, [2, 3], [3], kind=code, out=code)
    for op in ("Elu", "Selu", "Celu", "Gelu", "Softplus", "Mish", "ThresholdedRelu", "Reciprocal", "Sign", "Round", "Atanh"):
        made[op.lower()] = one(op, [5], opset=20)
    made["log-softmax"] = one("LogSoftmax", [2, 5], axis=0)
    made["clip-computed"] = model([node("Clip", ["x", "l", "h"], ["o"])], [("x", INT8, [4]), ("l", INT8, []), ("h", INT8, [])], [("o", INT8, [])])
    made["dynamic-quantize"] = one("DynamicQuantizeLinear", [2, 3], outputs=("o", "s", "z"), out=(UINT8, []))
    made["quantize-axis"] = one("QuantizeLinear", [2, 3], [tensor("s", FLOAT, [3], [0.1, 0.2, 0.3]), integers("z", [1, 2, 3], UINT8)], axis=1, out=(UINT8, []))
    made["dequantize-blocks"] = one("DequantizeLinear", [2, 4], [tensor("s", FLOAT, [2, 2], [0.1, 0.2, 0.3, 0.4])], kind=INT8, axis=1, block_size=2, opset=21)
    made["matmul-nbits"] = one("MatMulNBits", [2, 6], [tensor("w", UINT8, [2, 2, 2], [0xA9, 0xCB, 0x98, 0, 0x10, 0x32, 0x21, 0]), floats("s", [4]),
                                                       tensor("z", UINT8, [2, 1], [0x88, 0x11])], domain="com.microsoft", K=6, N=2, bits=4, block_size=4)
    made["einsum"] = model([node("Einsum", ["x", "y"], ["o"], equation="bij,bjk->bki")], [("x", FLOAT, [2, 3, 4]), ("y", FLOAT, [2, 4, 5])],
                           [("o", FLOAT, [])])
    made["matmul-integer"] = model([node("MatMulInteger", ["x", "y", "z"], ["o"])], [("x", UINT8, [2, 3]), ("y", INT8, [3, 4]), ("z", UINT8, [2])],
                                   [("o", INT32, [])])
    made["conv-integer"] = one("ConvInteger", [1, 2, 4, 4], [tensor("w", INT8, [3, 2, 2, 2], list(range(24))), scalar("z", 7, UINT8)], kind=UINT8,
                               out=(INT32, []), pads=[1, 0, 0, 1])
    return made


def normalised():
    made = {"layer-norm": one("LayerNormalization", [2, 3, 4], [floats("s", [4]), floats("b", [4])], outputs=("o", "m", "d"), opset=17),
            "instance-norm": one("InstanceNormalization", [1, 2, 3, 3], [floats("s", [2]), floats("b", [2])]),
            "group-norm": one("GroupNormalization", [1, 4, 3], [floats("s", [4]), floats("b", [4])], num_groups=2, opset=21),
            "lrn": one("LRN", [1, 5, 2, 2], size=3)}
    for op, gates in (("GRU", 3), ("RNN", 1)):
        made[op.lower()] = one(op, [4, 2, 3], [floats("w", [1, 5 * gates, 3]), floats("r", [1, 5 * gates, 5]), floats("b", [1, 10 * gates])],
                               outputs=("o", "h"), hidden_size=5)
    made["lstm-lengths"] = one("LSTM", [4, 2, 3], [floats("w", [1, 8, 3]), floats("r", [1, 8, 2]), integers("l", [3, 9], INT32), floats("p", [1, 6])],
                               ["x", "w", "r", "", "l", "", "", "p"], outputs=("o", "h", "c"), hidden_size=2)
    return made


def controlled():
    number, truth = ("v", FLOAT, [2]), ("c", BOOL, [])
    body = Graph([node("Add", ["v", "x"], ["w"]), node("Identity", ["c"], ["d"])], [("i", INT64, []), truth, number],
                 [("d", BOOL, []), ("w", FLOAT, [2])])
    steps = Graph([node("Add", ["v", "b"], ["w"]), node("Mul", ["w", "b"], ["p"])], [number, ("b", FLOAT, [2])], [("w", FLOAT, [2]), ("p", FLOAT, [2])])
    branches = {"then_branch": Graph([node("Neg", ["x"], ["t"])], [], [("t", FLOAT, [2])]),
                "else_branch": Graph([node("Abs", ["x"], ["e"])], [], [("e", FLOAT, [2])])}
    return {"if": model([node("If", ["c"], ["o"], **branches)], [truth, ("x", FLOAT, [2])], [("o", FLOAT, [2])]),
            "loop": model([node("Loop", ["n", "c", "x"], ["o"], body=body)], [truth, ("x", FLOAT, [2])], [("o", FLOAT, [2])],
                          [scalar("n", 3, INT64)]),
            "scan": model([node("Scan", ["x", "y"], ["o", "q"], body=steps, num_scan_inputs=1)], [("x", FLOAT, [2]), ("y", FLOAT, [3, 2])],
                          [("o", FLOAT, [2]), ("q", FLOAT, [3, 2])])}


def models():
    return {**elementwise(), **spatial(), **matrices(), **shapes(), **quantised(), **trees(), **pooled(), **indexed(), **numbers(), **normalised(),
            **controlled()}
