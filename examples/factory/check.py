# SPDX-License-Identifier: Apache-2.0
"""check.py: the shipped models on the shipped replay: what they say against what was drawn.

    python3 check.py                  with the arithmetic of quantise.py
    python3 check.py --eddy PROGRAM   the frames also through `eddy infer`, whose labels and scores must agree

Exit 1 where eddy disagrees.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys

import numpy as np

import frames
import quantise
import train

HERE = pathlib.Path(__file__).resolve().parent
FRAMES = HERE / "frames"
SCORE_TOLERANCE = 0.05


def model_path(name):
    return HERE / "models" / name / train.VERSION / f"{name}.onnx"


def yaml_numbers(name, key):
    """The numbers of one line of a model.yaml that train.py wrote."""
    for line in (model_path(name).parent / "model.yaml").read_text().splitlines():
        if line.strip().startswith(key + ":"):
            return [float(part) for part in line.split(":", 1)[1].strip(" []").split(",")]
    raise KeyError(key)


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


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--eddy", metavar="PROGRAM")
    program = arguments.parse_args().eddy
    results = check_frames()
    check_readings()
    sys.exit(0 if program is None or compare(program, results) else 1)
