# SPDX-License-Identifier: Apache-2.0
"""Small TFLite models, one for each operator that eddy converts: FlatBuffers written forwards, made without a library.

Field numbers: TensorFlow Lite's schema.fbs. `models()` gives {name: bytes}."""
import struct

FLOAT32, INT32, UINT8, INT64, INT16, INT8 = 0, 2, 3, 4, 7, 9
PACKING = {FLOAT32: "f", INT32: "i", UINT8: "B", INT64: "q", INT8: "b"}
SIZES = {"b": 1, "B": 1, "i": 4, "I": 4, "f": 4, "q": 8}


class Table:
    """fields: {number: (format of struct, value) or another object that is referred to}"""

    def __init__(self, fields):
        self.fields = fields

    def write(self, out, later):
        slots, at = {}, 4
        for number, field in sorted(self.fields.items(), key=lambda item: -(SIZES[item[1][0]] if isinstance(item[1], tuple) else 4)):
            size = SIZES[field[0]] if isinstance(field, tuple) else 4
            at = (at + size - 1) // size * size
            slots[number] = at
            at += size
        count = max(self.fields, default=-1) + 1
        pad(out, 2)
        vtable = len(out)
        out += struct.pack("<HH", 4 + 2 * count, at) + b"".join(struct.pack("<H", slots.get(i, 0)) for i in range(count))
        pad(out, 8)
        start = len(out)
        out += struct.pack("<i", start - vtable) + bytes(at - 4)
        for number, field in self.fields.items():
            if isinstance(field, tuple):
                struct.pack_into("<" + field[0], out, start + slots[number], field[1])
            else:
                later.append((start + slots[number], field))
        return start


class Vector:
    """Numbers of one format, or objects that are referred to (format None)."""

    def __init__(self, form, items):
        self.form, self.items = form, items

    def write(self, out, later):
        pad(out, 16, 4)
        start = len(out)
        out += struct.pack("<I", len(self.items))
        for item in self.items:
            if self.form is None:
                later.append((len(out), item))
                out += bytes(4)
            else:
                out += struct.pack("<" + self.form, item)
        return start


class Text:
    def __init__(self, text):
        self.text = text.encode()

    def write(self, out, later):
        pad(out, 4)
        start = len(out)
        out += struct.pack("<I", len(self.text)) + self.text + b"\0"
        return start


def pad(out, to, behind=0):
    while (len(out) + behind) % to:
        out.append(0)


def finish(root):
    out, later = bytearray(b"\0\0\0\0TFL3"), [(0, root)]
    while later:
        place, item = later.pop(0)
        start = item.write(out, later)
        struct.pack_into("<I", out, place, start - place)
    return bytes(out)


class Model:
    def __init__(self):
        self.buffers, self.tensors, self.codes, self.operators = [Table({})], [], [], []

    def tensor(self, dims, kind=FLOAT32, values=None, scale=None, zero=0, axis=0):
        buffer = 0
        if values is not None:
            buffer = len(self.buffers)
            self.buffers.append(Table({0: Vector("B", struct.pack(f"<{len(values)}{PACKING[kind]}", *values))}))
        fields = {0: Vector("i", dims), 1: ("b", kind), 2: ("I", buffer), 3: Text(f"t{len(self.tensors)}")}
        if scale is not None:
            scales = scale if isinstance(scale, list) else [scale]
            fields[4] = Table({2: Vector("f", scales), 3: Vector("q", [zero] * len(scales)), 6: ("i", axis)})
        self.tensors.append(Table(fields))
        return len(self.tensors) - 1

    def constant(self, dims, kind=FLOAT32, **more):
        count = 1
        for dim in dims:
            count *= dim
        return self.tensor(dims, kind, [i % 7 - 3 if kind != UINT8 else i % 7 for i in range(count)], **more)

    def integers(self, values):
        return self.tensor([len(values)] if isinstance(values, list) else [], INT32, values if isinstance(values, list) else [values])

    def operator(self, code, inputs, outputs, options=None, custom=None, intermediates=None):
        self.codes.append(Table({0: ("b", min(code, 127)), 3: ("i", code), **({1: Text(custom[0])} if custom else {})}))
        fields = {0: ("I", len(self.codes) - 1), 1: Vector("i", inputs), 2: Vector("i", outputs), 4: Table(options or {})}
        if custom:
            fields[5] = Vector("B", custom[1])
        if intermediates:
            fields[8] = Vector("i", intermediates)
        self.operators.append(Table(fields))

    def write(self, inputs, outputs):
        subgraph = Table({0: Vector(None, self.tensors), 1: Vector("i", inputs), 2: Vector("i", outputs), 3: Vector(None, self.operators)})
        return finish(Table({0: ("I", 3), 1: Vector(None, self.codes), 2: Vector(None, [subgraph]), 3: Text("seed"), 4: Vector(None, self.buffers)}))


def one(code, dims, out, options=None, operands=(), kind=FLOAT32, quantised=None, outputs=1, first=()):
    """x, then what each of `operands` adds to the model; quantised: scale of input and output."""
    model = Model()
    x = model.tensor(dims, kind, scale=quantised)
    before, more = [make(model) for make in first], [make(model) for make in operands]
    made = [model.tensor(out, kind, scale=quantised) for _ in range(outputs)]
    model.operator(code, before + [x] + more, made, options)
    return model.write([x], made)


def two(code, first, second, options=None, kind=FLOAT32, quantised=None):
    model = Model()
    x, y, o = (model.tensor(dims, kind, scale=quantised) for dims in (first, second, first))
    model.operator(code, [x, y], [o], options)
    return model.write([x, y], [o])


def numbers(values):
    return lambda model: model.integers(values)


def weights(dims, kind=FLOAT32, **more):
    return lambda model: model.constant(dims, kind, **more)


def elementwise():
    unary = {"logistic": 14, "relu": 19, "relu-n1-1": 20, "relu6": 21, "tanh": 28, "exp": 47, "neg": 59, "log": 73, "sqrt": 75, "abs": 101, "hard-swish": 117}
    binary = {"add": 0, "mul": 18, "sub": 41, "div": 42, "prelu": 54, "maximum": 55, "minimum": 57}
    made = {name: one(code, [1, 5], [1, 5]) for name, code in unary.items()}
    made.update({name + "-int8": one(code, [1, 5], [1, 5], kind=INT8, quantised=0.05) for name, code in unary.items()})
    made.update({name: two(code, [2, 3, 4], [4], {0: ("b", 1)}) for name, code in binary.items()})
    made.update({name + "-int8": two(code, [2, 3, 4], [4], {0: ("b", 1)}, INT8, 0.1) for name, code in binary.items()})
    made["add-one-quantised"] = one(0, [2, 3], [2, 3], {}, [weights([3], INT8)], INT8, 0.1)
    made["leaky-relu"] = one(98, [6], [6], {0: ("f", 0.1)})
    made["softmax"] = one(25, [2, 5], [2, 5], {0: ("f", 1.0)})
    made["softmax-int8"] = one(25, [2, 5], [2, 5], {0: ("f", 1.0)}, kind=INT8, quantised=1 / 256)
    model = Model()
    x, q, d = model.tensor([3]), model.tensor([3], INT8, scale=0.1), model.tensor([3])
    model.operator(114, [x], [q])
    model.operator(6, [q], [d])
    made["quantize"] = model.write([x], [d])
    return made


def layers():
    conv, depthwise, pool = {0: ("b", 0), 1: ("i", 2), 2: ("i", 2), 3: ("b", 3)}, {0: ("b", 1), 1: ("i", 1), 2: ("i", 1), 3: ("i", 1), 4: ("b", 1)}, \
        {0: ("b", 1), 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 2)}
    made = {"conv": one(3, [1, 5, 5, 2], [1, 3, 3, 3], conv, [weights([3, 3, 3, 2]), weights([3])]),
            "depthwise": one(4, [1, 5, 5, 2], [1, 3, 3, 2], depthwise, [weights([1, 3, 3, 2]), weights([2])]),
            "fully-connected": one(9, [2, 4], [2, 3], {0: ("b", 1)}, [weights([3, 4]), weights([3])]),
            "fully-connected-hybrid": one(9, [2, 4], [2, 3], {}, [weights([3, 4], INT8, scale=0.1)]),
            "average-pool": one(1, [1, 4, 4, 2], [1, 2, 2, 2], pool), "max-pool": one(17, [1, 4, 4, 2], [1, 2, 2, 2], pool),
            "average-pool-int8": one(1, [1, 4, 4, 2], [1, 2, 2, 2], pool, kind=INT8, quantised=0.1)}
    made["conv-int8"] = one(3, [1, 5, 5, 2], [1, 3, 3, 3], conv, [weights([3, 3, 3, 2], INT8, scale=[0.1, 0.2, 0.3]),
                                                                  weights([3], INT32, scale=[0.005, 0.01, 0.015])], INT8, 0.05)
    for name, code, dims, options in (("conv", 3, [3, 3, 3, 2], conv), ("depthwise", 4, [1, 3, 3, 2], depthwise)):
        model = Model()
        x, w, o = model.tensor([1, 5, 5, 2]), model.constant(dims), model.tensor([1, 3, 3, dims[0] if code == 3 else 2], INT8, scale=0.1)
        model.operator(code, [x, w], [o], options)
        made[name + "-floats-into-int8"] = model.write([x], [o])  # to be refused: the result's room is that of bytes
    made["conv-uint8"] = one(3, [1, 5, 5, 2], [1, 3, 3, 3], conv, [weights([3, 3, 3, 2], UINT8, scale=0.1, zero=3), weights([3], INT32, scale=0.005)],
                             UINT8, 0.05)
    made["depthwise-int8"] = one(4, [1, 5, 5, 2], [1, 3, 3, 2], depthwise, [weights([1, 3, 3, 2], INT8, scale=[0.1] * 2, axis=3),
                                                                            weights([2], INT32, scale=[0.005] * 2)], INT8, 0.05)
    made["fully-connected-int8"] = one(9, [2, 4], [2, 3], {}, [weights([3, 4], INT8, scale=0.1), weights([3], INT32, scale=0.005)], INT8, 0.05)
    return made


def shapes():
    made = {"reshape": one(22, [2, 6], [3, 4], {}, [numbers([3, -1])]), "reshape-option": one(22, [2, 6], [3, 4], {0: Vector("i", [3, 4])}),
            "squeeze": one(43, [1, 3, 1], [3], {0: Vector("i", [0, 2])}), "expand-dims": one(70, [3], [1, 3], {}, [numbers(0)]),
            "pad": one(34, [1, 2, 2, 1], [1, 4, 3, 1], {}, [lambda m: m.tensor([4, 2], INT32, [0, 0, 1, 1, 0, 1, 0, 0])]),
            "transpose": one(39, [2, 3, 4], [4, 2, 3], {}, [numbers([2, 0, 1])]),
            "mean": one(40, [1, 4, 4, 3], [1, 3], {}, [numbers([1, 2])]), "mean-int8": one(40, [1, 4, 4, 3], [1, 3], {}, [numbers([1, 2])], INT8, 0.1),
            "sum": one(74, [2, 3, 4], [2, 1, 4], {0: ("b", 1)}, [numbers([1])]), "reduce-max": one(82, [2, 3], [3], {}, [numbers([0])]),
            "reduce-min": one(89, [2, 3], [3], {}, [numbers([-1])]),
            "strided-slice": one(45, [4, 6], [2, 6], {0: ("i", 2), 1: ("i", 2)}, [numbers([0, 0]), numbers([4, 0]), numbers([2, 1])]),
            "strided-slice-shrink": one(45, [4, 6], [6], {4: ("i", 1), 1: ("i", 2)}, [numbers([1, 0]), numbers([2, 6]), numbers([1, 1])]),
            "slice": one(65, [4, 6], [2, 5], {}, [numbers([1, 1]), numbers([2, -1])]),
            "split": one(49, [2, 6], [2, 3], {0: ("i", 2)}, outputs=2, first=[numbers(1)]),
            "unpack": one(88, [2, 3], [3], {0: ("i", 2), 1: ("i", 0)}, outputs=2),
            "resize-bilinear": one(23, [1, 3, 4, 2], [1, 5, 6, 2], {3: ("b", 1)}, [numbers([5, 6])]),
            "resize-nearest": one(97, [1, 3, 4, 2], [1, 5, 6, 2], {0: ("b", 1)}, [numbers([5, 6])]),
            "arg-max": one(56, [2, 5], [2], {}, [numbers(1)]), "cast": one(53, [4], [4], {}),
            "concatenation": two(2, [2, 3], [2, 3], {0: ("i", 1)}), "pack": two(83, [2, 3], [2, 3], {0: ("i", 2), 1: ("i", 0)})}
    return made


def lstm():
    model = Model()
    x = model.tensor([1, 5, 3])
    inputs = [x] + [model.constant([4, 3]) for _ in range(4)] + [model.constant([4, 4]) for _ in range(4)] + [-1] * 3
    inputs += [model.constant([4]) for _ in range(4)] + [-1, -1, model.tensor([1, 4]), model.tensor([1, 4])]
    out = model.tensor([1, 5, 4])
    model.operator(44, inputs, [out], {0: ("b", 4)})
    return model.write([x], [out])


def lstm_int8():
    model = Model()
    x, out = model.tensor([1, 5, 3], INT8, scale=0.05, zero=-3), model.tensor([1, 5, 4], INT8, scale=1 / 128, zero=2)
    inputs = [x] + [model.constant([4, 3], INT8, scale=0.1) for _ in range(4)] + [model.constant([4, 4], INT8, scale=0.1) for _ in range(4)] + [-1] * 3
    inputs += [model.constant([4], INT32, scale=0.005) for _ in range(4)] + [-1, -1]
    inputs += [model.tensor([1, 4], INT8, scale=1 / 128, zero=2), model.tensor([1, 4], INT16, scale=2 ** -12)]
    gates, hidden = [model.tensor([0]) for _ in range(4)], model.tensor([0], INT8, scale=1 / 128, zero=2)
    model.operator(44, inputs, [out], {0: ("b", 4), 1: ("f", 10.0)}, intermediates=gates + [hidden])
    return model.write([x], [out])


def flexbuffer(values):
    """A map of text to number, all 4 bytes wide; keys are sorted, offsets go backwards."""
    out, places = bytearray(), {}
    for key in sorted(values):
        places[key] = len(out)
        out += key.encode() + b"\0"
    pad(out, 4)
    out += struct.pack("<I", len(values))
    keys = len(out)
    for key in sorted(values):
        out += struct.pack("<I", len(out) - places[key])
    out += struct.pack("<II", len(out) - keys, 4) + struct.pack("<I", len(values))
    start = len(out)
    for key in sorted(values):
        out += struct.pack("<f" if isinstance(values[key], float) else "<i", values[key])
    out += bytes((3 if isinstance(values[key], float) else 1) << 2 | 2 for key in sorted(values))
    return bytes(out) + struct.pack("<B", len(out) - start) + bytes([9 << 2 | 2, 1])


def detection():
    model = Model()
    boxes, scores = model.tensor([1, 6, 4]), model.tensor([1, 6, 3])
    anchors = model.constant([6, 4])
    outputs = [model.tensor([1, 5, 4]), model.tensor([1, 5]), model.tensor([1, 5]), model.tensor([1])]
    options = {"max_detections": 5, "max_classes_per_detection": 1, "num_classes": 2, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
               "nms_score_threshold": 0.0, "nms_iou_threshold": 0.5, "use_regular_nms": 0}
    model.operator(32, [boxes, scores, anchors], outputs, custom=("TFLite_Detection_PostProcess", flexbuffer(options)))
    return model.write([boxes, scores], outputs)


def models():
    return {**elementwise(), **layers(), **shapes(), "lstm": lstm(), "lstm-int8": lstm_int8(), "detection": detection()}
