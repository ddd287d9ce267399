# SPDX-License-Identifier: Apache-2.0
"""check.py: the shipped models on the shipped replay: what they say against what was drawn.

    python3 check.py                  with the arithmetic of quantise.py
    python3 check.py --eddy PROGRAM   the frames also through `eddy infer`, whose labels and scores must agree
    python3 check.py --held-out       draws the held-out frames and motors once more: the accuracy that each model.yaml states
    python3 check.py --held-out --eddy PROGRAM    and the int8 classifier's also through `eddy infer`, within half a percent

Exit 1 where eddy or a model.yaml disagrees.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import frames
import quantise
import train

HERE = pathlib.Path(__file__).resolve().parent
FRAMES = HERE / "frames"
SCORE_TOLERANCE = 0.05
ACCURACY_TOLERANCE = 0.005


def model_path(name, folder="models"):
    return HERE / folder / name / train.VERSION / f"{name}.onnx"


def yaml_text(name, key, folder="models"):
    """What stands behind a key, or behind "# held-out", in a model.yaml that train.py wrote."""
    for line in (model_path(name, folder).parent / "model.yaml").read_text().splitlines():
        if line.strip().startswith(key + ":"):
            return line.split(":", 1)[1].strip()
    raise KeyError(key)


def yaml_numbers(name, key, folder="models"):
    return [float(part) for part in yaml_text(name, key, folder).strip("[]").split(",")]


def check_frames():
    """{file: (label, probability)} of the distinct frames."""
    with open(FRAMES / "frames.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = {row["file"]: row["truth"] for row in rows}
    pixels = np.stack([frames.preprocess((FRAMES / name).read_bytes(), train.FRAME_SIZE) for name in truth])
    scores = quantise.evaluate(str(model_path("part-check")), (pixels - train.MEAN) / train.STD)
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    said = {name: (frames.CLASSES[row.argmax()], row.max()) for name, row in zip(truth, chances)}
    wrong = [f"{name}: {said[name][0]}, is {truth[name]}" for name in truth if said[name][0] != truth[name]]
    print(f"frames: {len(rows)} in the replay, {len(truth)} distinct, {len(truth) - len(wrong)} right", *wrong, sep="\n  ")
    return said


def check_readings():
    mean, std = np.array(yaml_numbers("motor-anomaly", "mean")), np.array(yaml_numbers("motor-anomaly", "std"))
    threshold = yaml_numbers("motor-anomaly", "threshold")[0]
    motors = {}
    for line in (HERE / "readings" / "readings.ndjson").read_text().splitlines():
        reading = json.loads(line)
        block = np.array([reading["payload"][axis] for axis in ("ax", "ay", "az")]).T
        motors.setdefault(reading["topic"], []).append((block, reading["truth"]))
    counts = {}
    for blocks in motors.values():
        windows = np.stack([np.concatenate([a, b]) for (a, _), (b, _) in zip(blocks, blocks[1:])])
        scores = train.anomaly_scores(str(model_path("motor-anomaly")), train.torch.from_numpy((windows - mean) / std))
        for score, (_, truth) in zip(scores, blocks[1:]):
            seen = counts.setdefault(truth, [0, 0])
            seen[0] += score > threshold
            seen[1] += 1
    for truth, (alarms, windows) in counts.items():
        print(f"readings: {truth}: {alarms} of {windows} windows above {threshold}")


def compare(eddy, said):
    command = [eddy, "infer", "-m", str(model_path("part-check").parent), "--json", *[str(FRAMES / name) for name in said]]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    worst, differing = 0.0, 0
    for (name, (label, chance)), line in zip(said.items(), lines):
        result = json.loads(line)["result"]
        if result["label"] != label:
            differing += 1
            print(f"  {name}: eddy says {result['label']} {result['score']:.3f}, quantise.py {label} {chance:.3f}")
        else:
            worst = max(worst, abs(result["score"] - chance))
    print(f"eddy infer: {len(lines)} frames, {differing} other labels, scores within {worst:.4f}")
    return len(lines) == len(said) and differing == 0 and worst <= SCORE_TOLERANCE


def agrees(name, folder, measured):
    stated = yaml_text(name, "# held-out", folder)
    print(f"{folder}/{name}: {measured}" + ("" if measured == stated else f"\n  but its model.yaml says: {stated}"))
    return measured == stated


def check_held_out():
    frames_held_out = train.held_out_frames()
    good = True
    for folder in ("models", "models-fp32"):
        good &= agrees("part-check", folder, train.part_check_accuracy(str(model_path("part-check", folder)), frames_held_out)[1])
        mean, std = (np.array(yaml_numbers("motor-anomaly", key, folder), dtype=np.float32) for key in ("mean", "std"))
        threshold = yaml_numbers("motor-anomaly", "threshold", folder)[0]
        motors = train.held_out_motors(mean, std)
        good &= agrees("motor-anomaly", folder, train.motor_accuracy(str(model_path("motor-anomaly", folder)), threshold, motors)[1])
    return good


def held_out_through(eddy):
    """The held-out frames as files, through the program as users run it."""
    right, count = 0, 600 * len(frames.CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{index}.jpg" for index in range(count)]
        for index, name in enumerate(names):
            kind = frames.CLASSES[index % len(frames.CLASSES)]
            pathlib.Path(name).write_bytes(frames.encode(frames.render(kind, train.SEED_HELD_OUT + index)))
        command = [eddy, "infer", "-m", str(model_path("part-check").parent), *names]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for index, line in enumerate(lines):
        right += json.loads(line)["result"]["label"] == frames.CLASSES[index % len(frames.CLASSES)]
    stated = float(yaml_text("part-check", "# held-out").split()[1])
    print(f"eddy infer: accuracy {right / count:.4f} of {len(lines)} held-out frames, stated {stated}")
    return len(lines) == count and abs(right / count - stated) <= ACCURACY_TOLERANCE


def check_replay(eddy):
    said = check_frames()
    check_readings()
    return eddy is None or compare(eddy, said)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--eddy", metavar="PROGRAM")
    arguments.add_argument("--held-out", action="store_true")
    given = arguments.parse_args()
    if given.held_out:
        train.torch.set_num_threads(1)
        right = check_held_out() & (given.eddy is None or held_out_through(given.eddy))
    else:
        right = check_replay(given.eddy)
    sys.exit(0 if right else 1)
