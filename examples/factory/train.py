# SPDX-License-Identifier: Apache-2.0
"""train.py: makes the two models of the demo. Only for those who change them; the demo ships what came out.

Needs Debian's python3-numpy, python3-torch, python3-onnx and python3-pil, one core and a few minutes:

    python3 train.py part-check | motor-anomaly | all

Writes models/<name>/1.0.0 (int8) and models-fp32/<name>/1.0.0 (the same network in float), each with the accuracy measured
on data that neither training nor calibration nor the choice of the threshold has seen. Same seeds, same library versions:
same files.
"""
import argparse
import hashlib
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn

import frames
import quantise
import vibration

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "1.0.0"
FRAME_SIZE = 96
MEAN, STD = 127.5, 64.0
SEED_TRAIN, SEED_HELD_OUT, SEED_THRESHOLD = 1_000_000, 8_000_000, 3_000_000


def write_bundle(folder, name, float_model, yaml):
    bundle = HERE / folder / name / VERSION
    bundle.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256((bundle / f"{name}.onnx").read_bytes()).hexdigest()
    form = "float32" if float_model else "int8"
    (bundle / "model.yaml").write_text(
        "# SPDX-License-Identifier: Apache-2.0\n# Written by examples/factory/train.py.\n"
        + yaml.format(name=name, version=VERSION, sha256=digest, form=form)
    )


def model_path(folder, name):
    path = HERE / folder / name / VERSION / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(path)


# ---- part-check ----

PART_CHECK_YAML = """\
# held-out: {{accuracy}}
name: {name}
version: {version}
description: "{form} classifier of factory parts, made from drawn frames; held-out {{short}}"
task: classification
file: {name}.onnx
labels: labels.txt
license: Apache-2.0
sha256: {sha256}
input:
  color: rgb
  resize: stretch
  mean: [{mean}, {mean}, {mean}]
  std: [{std}, {std}, {std}]
output:
  decode: classes
  activation: softmax
  top: 4
"""


def frame_set(per_class, seed, whole_decode_every=0):
    """Frames as the agent's decoder gives them: uint8 [n, 3, 96, 96] and class indices, classes in turn.

    whole_decode_every: of each class every so many-th frame is decoded at full size instead, which is rougher once it is
    stretched; 0: none."""
    count = per_class * len(frames.CLASSES)
    pixels = np.empty((count, 3, FRAME_SIZE, FRAME_SIZE), dtype=np.uint8)
    truth = np.arange(count) % len(frames.CLASSES)
    for index in range(count):
        jpeg = frames.encode(frames.render(frames.CLASSES[truth[index]], seed + index))
        number = index // len(frames.CLASSES) + 1
        whole = whole_decode_every > 0 and number % whole_decode_every == 0
        pixels[index] = np.rint(frames.preprocess(jpeg, FRAME_SIZE, reduced=not whole))
    return torch.from_numpy(pixels), torch.from_numpy(truth)


def normalised(pixels):
    return (pixels.float() - MEAN) / STD


def part_check_network():
    layers, before = [], 3
    for channels, stride in [(16, 2), (24, 2), (32, 2), (32, 1), (64, 2), (64, 1)]:
        layers += [nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, len(frames.CLASSES)))


def train_part_check(pixels, truth, epochs=18, batch=64):
    torch.manual_seed(1)
    network = part_check_network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.5e-3, total_steps=epochs * (len(truth) // batch))
    for epoch in range(epochs):
        order, correct, start = torch.randperm(len(truth)), 0, time.monotonic()
        for step in range(len(truth) // batch):
            chosen = order[step * batch : (step + 1) * batch]
            x = normalised(pixels[chosen])
            if step % 2:
                x = x.flip(3)  # the plate is the same from left to right
            x = x + 0.03 * torch.randn_like(x)
            scores = network(x)
            loss = nn.functional.cross_entropy(scores, truth[chosen], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            correct += (scores.argmax(1) == truth[chosen]).sum().item()
        print(f"epoch {epoch}: {correct / len(truth):.4f} of the training frames, {time.monotonic() - start:.1f} s", flush=True)
    return network.eval()


def report_frames(path, pixels, truth):
    scores = np.concatenate([quantise.evaluate(path, normalised(pixels[i : i + 100])) for i in range(0, len(truth), 100)])
    guess, truth = scores.argmax(1), truth.numpy()
    recall = [f"{name} {(guess[truth == i] == i).mean():.4f}" for i, name in enumerate(frames.CLASSES)]
    short = f"accuracy {(guess == truth).mean():.4f} of {len(truth)} frames"
    return short, f"{short}; recall: {', '.join(recall)}"


def held_out_frames():
    """The frames that the accuracy is stated for: as the agent decodes them, and (fewer) decoded at full size."""
    return frame_set(600, SEED_HELD_OUT), frame_set(200, SEED_HELD_OUT, whole_decode_every=1)


def part_check_accuracy(path, held_out):
    """(short, long): what model.yaml says of a file."""
    reduced, whole = held_out
    short, accuracy = report_frames(path, *reduced)
    return short, f"{accuracy}; decoded at full size: {report_frames(path, *whole)[0]}"


def make_part_check():
    name = "part-check"
    print("drawing frames", flush=True)
    pixels, truth = frame_set(2000, SEED_TRAIN, whole_decode_every=3)
    held_out = held_out_frames()
    network = quantise.fold_batch_norm(train_part_check(pixels, truth))
    shape = (1, 3, FRAME_SIZE, FRAME_SIZE)
    quantise.write_float(network, shape, model_path("models-fp32", name))
    quantise.write_qdq(network, shape, normalised(pixels[:400]), model_path("models", name), "eddy factory", keep=0.99999)
    for folder in ("models", "models-fp32"):
        path = model_path(folder, name)
        short, accuracy = part_check_accuracy(path, held_out)
        print(f"{folder}: {accuracy}", flush=True)
        (pathlib.Path(path).parent / "labels.txt").write_text("".join(label + "\n" for label in frames.CLASSES))
        yaml = PART_CHECK_YAML.replace("{mean}", str(MEAN)).replace("{std}", str(STD))
        yaml = yaml.replace("{{accuracy}}", accuracy).replace("{{short}}", short)
        write_bundle(folder, name, folder == "models-fp32", yaml)


# ---- motor-anomaly ----

MOTOR_YAML = """\
# held-out: {{accuracy}}
# threshold: 1.25 x the 99.9th percentile over windows of other healthy motors
name: {name}
version: {version}
description: "{form} autoencoder of healthy motor vibration, made from simulated motors; held-out {{short}}"
task: anomaly
file: {name}.onnx
license: Apache-2.0
sha256: {sha256}
input:
  fields: 3
  window: 64
  normalize:
    mean: [{{mean}}]
    std: [{{std}}]
output:
  decode: reconstruction
  threshold: {{threshold}}
"""


def motor_network():
    flat = vibration.WINDOW * 3
    layers = [nn.Flatten()]
    for inputs, outputs in [(flat, 64), (64, 16), (16, 64)]:
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, flat), quantise.Reshape(vibration.WINDOW, 3))


def train_motor(healthy, epochs=60, batch=128):
    torch.manual_seed(2)
    network = motor_network()
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(healthy) // batch))
    for epoch in range(epochs):
        order, total = torch.randperm(len(healthy)), 0.0
        for step in range(len(healthy) // batch):
            x = healthy[order[step * batch : (step + 1) * batch]]
            loss = nn.functional.mse_loss(network(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        if epoch % 10 == 9:
            print(f"epoch {epoch}: error {total / (len(healthy) // batch):.4f}", flush=True)
    return network.eval()


def anomaly_scores(path, windows):
    out = np.concatenate([quantise.evaluate(path, windows[i : i + 500]) for i in range(0, len(windows), 500)])
    return ((out - windows.double().numpy()) ** 2).mean(axis=(1, 2))


def held_out_motors(mean, std):
    """{state: normalised windows} that the accuracy is stated for."""
    return {state: torch.from_numpy((vibration.windows(state, 200, 20, SEED_HELD_OUT) - mean) / std) for state in vibration.STATES}


def motor_accuracy(path, threshold, held_out):
    """(short, long): what model.yaml says of a file."""
    scores = {state: anomaly_scores(path, windows) for state, windows in held_out.items()}
    alarms = {state: (values > threshold).mean() for state, values in scores.items()}
    short = (f"false alarms {alarms['healthy']:.4f}, found: unbalance {alarms['unbalance']:.4f}, "
             f"bearing {alarms['bearing']:.4f}, of {len(scores['healthy'])} windows each")
    ranges = ", ".join(f"{state} {values.min():.3g} to {values.max():.3g}" for state, values in scores.items())
    return short, f"{short}; scores: {ranges}"


def make_motor_anomaly():
    name = "motor-anomaly"
    raw = vibration.windows("healthy", 500, 60, SEED_TRAIN)
    mean, std = raw.mean(axis=(0, 1)).round(3), raw.std(axis=(0, 1)).round(3)
    prepare = lambda x: torch.from_numpy((x - mean) / std)
    healthy = prepare(raw)
    others = prepare(vibration.windows("healthy", 200, 50, SEED_THRESHOLD))
    held_out = held_out_motors(mean, std)
    network = train_motor(healthy)
    shape = (1, vibration.WINDOW, 3)
    quantise.write_float(network, shape, model_path("models-fp32", name))
    quantise.write_qdq(network, shape, healthy[:4000], model_path("models", name), "eddy factory")
    for folder in ("models", "models-fp32"):
        path = model_path(folder, name)
        threshold = float(f"{1.25 * np.percentile(anomaly_scores(path, others), 99.9):.3g}")
        short, accuracy = motor_accuracy(path, threshold, held_out)
        print(f"{folder}: threshold {threshold}; {accuracy}", flush=True)
        yaml = MOTOR_YAML.replace("{{accuracy}}", accuracy).replace("{{short}}", short).replace("{{threshold}}", str(threshold))
        for key, values in (("{{mean}}", mean), ("{{std}}", std)):
            yaml = yaml.replace(key, ", ".join(f"{value:.3f}" for value in values))
        write_bundle(folder, name, folder == "models-fp32", yaml)


MAKERS = {"part-check": make_part_check, "motor-anomaly": make_motor_anomaly}

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", choices=[*MAKERS, "all"])
    wanted = arguments.parse_args().model
    torch.set_num_threads(1)
    started = time.monotonic()
    for maker in MAKERS.values() if wanted == "all" else [MAKERS[wanted]]:
        maker()
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
