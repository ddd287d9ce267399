# SPDX-License-Identifier: Apache-2.0
"""quantise.py: post-training quantisation of a small sequential network to an int8 ONNX file in QDQ form, and its evaluation.

Known modules: Conv2d, Linear, ReLU (behind one of these), AdaptiveAvgPool2d(1), Flatten, Reshape (below). BatchNorm must
have been folded (fold_batch_norm).

The form: every tensor passes QuantizeLinear -> DequantizeLinear before an operator and behind it, so that an engine can
fold each DQ -> operator -> Q into integers.
    activations  uint8, one scale and zero point per tensor; behind ReLU the zero point is 0, so ReLU is the clamp
    weights      int8, symmetric (-127..127), one scale per output channel
    bias         int32, scale = input scale x weight scale
Pooling, flatten and reshape keep the scale of their input.

evaluate() runs such a file, not the network it came from: it follows the ONNX definition of each operator in float64, which
for these sizes gives the exact integer sums.
"""
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

OPSET = 13
IR_VERSION = 7


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


def fold_batch_norm(network):
    """The same function without BatchNorm: each one goes into the convolution before it."""
    folded = []
    for module in network.eval():
        if isinstance(module, nn.BatchNorm2d):
            folded[-1] = nn.utils.fusion.fuse_conv_bn_eval(folded[-1], module)
        else:
            folded.append(module)
    return nn.Sequential(*folded).eval()


def _observe(network, samples, keep):
    """Range of the input and of every module's output over the samples; the outermost 1 - keep of the values is cut off."""
    def span(x):
        values = np.sort(x.numpy().ravel())
        cut = int(len(values) * (1 - keep) / 2)
        return min(float(values[cut]), 0.0), max(float(values[len(values) - 1 - cut]), 0.0)

    spans = [span(samples)]
    with torch.no_grad():
        for module in network:
            samples = module(samples)
            spans.append(span(samples))
    return spans


class _Writer:
    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def quantised(self, x, name, scale, zero_point):
        """x through Q and DQ; the name of what comes out."""
        parameters = [self.constant(f"{name}_scale", np.float32(scale)), self.constant(f"{name}_zero_point", np.uint8(zero_point))]
        self.node("QuantizeLinear", [x, *parameters], f"{name}_quantised")
        return self.node("DequantizeLinear", [f"{name}_quantised", *parameters], f"{name}_dequantised")

    def weights(self, name, module, input_scale):
        weight = module.weight.detach().numpy().astype(np.float64)
        scale = np.abs(weight.reshape(len(weight), -1)).max(axis=1).astype(np.float32) / np.float32(127)
        scale = np.maximum(scale, np.float32(1e-8))
        integers = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).clip(-127, 127).astype(np.int8)
        bias_scale = (np.float32(input_scale) * scale).astype(np.float32)
        bias = np.rint(module.bias.detach().numpy().astype(np.float64) / bias_scale).astype(np.int32)
        names = []
        for part, data, part_scale in (("weight", integers, scale), ("bias", bias, bias_scale)):
            inputs = [
                self.constant(f"{name}_{part}", data),
                self.constant(f"{name}_{part}_scale", part_scale),
                self.constant(f"{name}_{part}_zero_point", np.zeros(len(part_scale), dtype=data.dtype)),
            ]
            names.append(self.node("DequantizeLinear", inputs, f"{name}_{part}_dequantised", axis=0))
        return names


def _scale(span):
    low, high = span
    scale = np.float32(max(high - low, 1e-6) / 255)
    return scale, int(np.clip(np.rint(-low / scale), 0, 255))


def write_qdq(network, input_shape, samples, path, producer, keep=1.0):
    """Calibrates with samples and writes the int8 file. network must be an eval-mode Sequential of known modules."""
    spans = _observe(network, samples, keep)
    writer = _Writer()
    scale, zero_point = _scale(spans[0])
    x = writer.quantised("input", "input", scale, zero_point)
    modules = list(network)
    for index, module in enumerate(modules):
        name = f"layer{index}"
        if isinstance(module, nn.ReLU):
            continue
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            weight, bias = writer.weights(name, module, scale)
            if isinstance(module, nn.Conv2d):
                pad = module.padding[0]
                y = writer.node("Conv", [x, weight, bias], name, kernel_shape=list(module.kernel_size), strides=list(module.stride),
                                pads=[pad] * 4, dilations=[1, 1], group=module.groups)
            else:
                y = writer.node("Gemm", [x, weight, bias], name, transB=1)
            rectified = index + 1 < len(modules) and isinstance(modules[index + 1], nn.ReLU)
            if rectified:
                y = writer.node("Relu", [y], f"{name}_relu")
            scale, zero_point = _scale(spans[index + 1 + rectified])
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            y = writer.node("GlobalAveragePool", [x], name)
        elif isinstance(module, nn.Flatten):
            y = writer.node("Flatten", [x], name, axis=1)
        elif isinstance(module, Reshape):
            y = writer.node("Reshape", [x, writer.constant(f"{name}_shape", np.array([-1, *module.shape], dtype=np.int64))], name)
        else:
            raise TypeError(f"no QDQ form for {type(module).__name__}")
        x = writer.quantised(y, name, scale, zero_point)
    writer.nodes[-1].output[0] = "output"

    with torch.no_grad():
        output_shape = list(network(torch.zeros(input_shape)).shape)
    graph = helper.make_graph(
        writer.nodes, "graph",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(input_shape))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output_shape)],
        writer.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=producer)
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def write_float(network, input_shape, path):
    torch.onnx.export(network, torch.zeros(input_shape), path, opset_version=OPSET, input_names=["input"], output_names=["output"])
    onnx.checker.check_model(onnx.load(path), full_check=True)


def _per_axis(parameter, x, axis):
    return parameter if parameter.ndim == 0 else parameter.reshape([-1 if a == axis else 1 for a in range(x.ndim)])


def evaluate(path, batch):
    """Output of an ONNX file for a batch: float [n, ...] in, float64 out. Follows the file node by node."""
    model = onnx.load(path)
    values = {c.name: torch.from_numpy(numpy_helper.to_array(c).copy()) for c in model.graph.initializer}
    values = {name: value if value.dtype == torch.int64 else value.double() for name, value in values.items()}
    values["input"] = torch.as_tensor(batch).double()
    for node in model.graph.node:
        a = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Constant":
            values[node.output[0]] = torch.from_numpy(numpy_helper.to_array(a["value"]).copy())
            continue
        x, *rest = [values[name] for name in node.input]
        if node.op_type == "QuantizeLinear":
            y = (torch.round(x / rest[0]) + rest[1]).clamp(0, 255)
        elif node.op_type == "DequantizeLinear":
            y = (x - _per_axis(rest[1], x, a.get("axis", 1))) * _per_axis(rest[0], x, a.get("axis", 1))
        elif node.op_type == "Conv":
            y = nn.functional.conv2d(x, *rest, stride=a["strides"], padding=a["pads"][0], groups=a["group"])
        elif node.op_type == "Gemm":
            y = x @ rest[0].T + rest[1]
        elif node.op_type == "Relu":
            y = x.relu()
        elif node.op_type == "GlobalAveragePool":
            y = x.mean(dim=(2, 3), keepdim=True)
        elif node.op_type == "Flatten":
            y = x.flatten(1)
        elif node.op_type == "Reshape":
            y = x.reshape(rest[0].tolist())
        else:
            raise TypeError(f"no evaluation of {node.op_type}")
        values[node.output[0]] = y
    return values["output"].numpy()
