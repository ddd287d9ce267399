# SPDX-License-Identifier: Apache-2.0
"""Convolutional nets that nobody tuned for, as ONNX files: odd channel counts and sizes, 5x5 and 7x7 kernels, strides with SAME padding, groups,
dilation. The same files for the same seed. `write(folder)` makes NET.fp32.onnx, NET.s8.onnx and NET.u8.onnx (QDQ) and nets.json.

Weights are random with the spread that keeps activations at the size that the scales are made for (He initialisation), so that quantised
results are no rows of clipped numbers."""
import json
import math
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/fuzz"))
import onnx_seeds  # noqa: E402
from onnx_seeds import FLOAT, INT8, INT32, UINT8, bytes_field, model, scalar, tensor  # noqa: E402

SEED, LAYERS, CLASSES, LIMIT = 20, 7, 10, 6.0
CHANNELS, SIZES = (3, 5, 17, 24, 40, 144), (31, 57, 97)
NAMES = ("wide-kernels", "strided", "grouped", "depthwise", "dilated", "pointwise", "mixed-31", "mixed-57", "mixed-97")


def node(op, inputs, outputs, **attributes):
    """Called like its result: other runtimes want names to differ (of two names in a message the last one counts)."""
    return onnx_seeds.node(op, inputs, outputs, **attributes) + bytes_field(3, outputs[0])


def choose_layer(kind, channels, chance):
    """A convolution: columns, kernel, stride, groups, dilation."""
    columns, kernel, stride, groups, dilation = chance.choice(CHANNELS[1:]), chance.choice((1, 3, 5, 7)), 1, 1, 1
    mixed = kind.startswith("mixed")
    if kind == "wide-kernels":
        kernel = chance.choice((5, 7))
    elif kind == "pointwise":
        kernel = chance.choice((1, 1, 3))
    if kind == "strided" or (mixed and chance.random() < 0.3):
        stride = chance.choice((1, 2))
    if kind == "dilated" or (mixed and chance.random() < 0.2):
        kernel, dilation = 3, 2
    if kind == "depthwise" and chance.random() < 0.5 or (mixed and chance.random() < 0.25):
        columns, groups, kernel, dilation = channels, channels, chance.choice((3, 5, 7)), 1
    elif kind == "grouped" and channels % 8 == 0:
        columns, groups = chance.choice((24, 40, 144)), chance.choice((2, 4, 8))
    return columns, kernel, stride, groups, dilation


def describe(name):
    """Size of the input, its channels, and the layers; ends in a pool and a fully connected layer."""
    chance = random.Random(f"{SEED} {name}")
    size = int(name.split("-")[1]) if name.startswith("mixed") else chance.choice(SIZES)
    channels, layers = 3, [(chance.choice((24, 40)), chance.choice((3, 5, 7)), 2, 1, 1)]
    for _ in range(LAYERS - 1):
        layers.append(choose_layer(name, layers[-1][0], chance))
    return size, channels, layers


def random_weights(chance, count, inputs):
    edge = math.sqrt(6.0 / inputs)
    return [chance.uniform(-edge, edge) for _ in range(count)]


class Writer:
    """Nodes and constants of one net in one form: fp32, s8 or u8."""

    def __init__(self, form):
        self.nodes, self.constants, self.form, self.macs, self.count = [], [], form, 0, 0
        self.kind, self.zero = (INT8, -128) if form == "s8" else (UINT8, 0)

    def scale(self, name, value, zero, kind):
        self.constants += [scalar(f"{name}_s", value), tensor(f"{name}_z", kind, [], [zero])]
        return [f"{name}_s", f"{name}_z"]

    def quantised(self, name, signed=False):
        """The value through a pair of QuantizeLinear and DequantizeLinear; signed: it may be negative."""
        if self.form == "fp32":
            return name
        low = self.zero + 128 if signed else self.zero
        pair = self.scale(name, (2 if signed else 1) * LIMIT / 255, low, self.kind)
        self.nodes += [node("QuantizeLinear", [name] + pair, [f"{name}_q"]), node("DequantizeLinear", [f"{name}_q"] + pair, [f"{name}_d"])]
        return f"{name}_d"

    def weights(self, name, shape, values, input_scale):
        """Names of weights and a bias of zeros."""
        if self.form == "fp32":
            self.constants += [tensor(name, FLOAT, shape, values), tensor(f"{name}_b", FLOAT, [shape[0]], [0.0] * shape[0])]
            return [name, f"{name}_b"]
        each = len(values) // shape[0]
        rows = [values[o * each:(o + 1) * each] for o in range(shape[0])]
        scales = [max(map(abs, row)) / 127 for row in rows]
        numbers = [round(value / scale) for row, scale in zip(rows, scales) for value in row]
        self.constants += [tensor(f"{name}_q", INT8, shape, numbers), tensor(f"{name}_s", FLOAT, [shape[0]], scales),
                           tensor(f"{name}_z", INT8, [shape[0]], [0] * shape[0]), tensor(f"{name}_bq", INT32, [shape[0]], [0] * shape[0]),
                           tensor(f"{name}_bs", FLOAT, [shape[0]], [scale * input_scale for scale in scales]),
                           tensor(f"{name}_bz", INT32, [shape[0]], [0] * shape[0])]
        self.nodes += [node("DequantizeLinear", [f"{name}_q", f"{name}_s", f"{name}_z"], [name], axis=0),
                       node("DequantizeLinear", [f"{name}_bq", f"{name}_bs", f"{name}_bz"], [f"{name}_b"], axis=0)]
        return [name, f"{name}_b"]

    def name(self):
        self.count += 1
        return f"t{self.count}"


def build(name, form):
    size, channels, layers = describe(name)
    writer, chance = Writer(form), random.Random(f"{SEED} weights {name}")
    value, scale, shape = writer.quantised("x", signed=True), 2 * LIMIT / 255, [1, channels, size, size]
    for columns, kernel, stride, groups, dilation in layers:
        depth = channels // groups
        names = writer.weights(writer.name(), [columns, depth, kernel, kernel],
                               random_weights(chance, columns * depth * kernel * kernel, depth * kernel * kernel), scale)
        out, active = writer.name(), writer.name()
        # ONNX Runtime takes no auto_pad beside dilation
        padding = {"pads": [kernel // 2 * dilation] * 4} if dilation > 1 else {"auto_pad": "SAME_UPPER"}
        writer.nodes += [node("Conv", [value] + names, [out], strides=[stride, stride], dilations=[dilation, dilation], group=groups,
                              kernel_shape=[kernel, kernel], **padding), node("Relu", [out], [active])]
        size, channels, scale = (size + stride - 1) // stride, columns, LIMIT / 255
        writer.macs += size * size * columns * depth * kernel * kernel
        value = writer.quantised(active)
    writer.nodes.append(node("GlobalAveragePool", [value], ["pooled"]))
    value = writer.quantised("pooled")
    writer.nodes.append(node("Flatten", [value], ["flat"], axis=1))
    names = writer.weights("head", [CLASSES, channels], random_weights(chance, CLASSES * channels, channels), scale)
    writer.nodes.append(node("Gemm", [writer.quantised("flat")] + names, ["logits"], transB=1))
    last = writer.quantised("logits", signed=True)
    return model(writer.nodes, [("x", FLOAT, shape)], [(last, FLOAT, [1, CLASSES])], writer.constants), writer.macs + CLASSES * channels


def write(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    nets = {}
    for name in NAMES:
        for form in ("fp32", "s8", "u8"):
            body, macs = build(name, form)
            (folder / f"{name}.{form}.onnx").write_bytes(body)
        nets[name] = {"macs": macs}
    (folder / "nets.json").write_text(json.dumps(nets, indent=1))
