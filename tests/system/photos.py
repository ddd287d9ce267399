#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""eddy infer on real photos: usage photos.py EDDY SHARED_DATA

person/no person as accurate as the models are elsewhere, in both number forms; the faces that the photos are listed with; objects in the
places they are; broken and odd JPEGs answered, never a crash. Exit 77: the data is not here."""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

EDDY, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
if not DATA.is_dir():
    print("skipped: no ../shared/data here: photos and models are not part of the project")
    sys.exit(77)
failures = []


def check(good, what):
    print("ok  " if good else "BAD ", what)
    if not good:
        failures.append(what)


def bundle(folder, file, manifest):
    path = pathlib.Path(folder) / file.replace(".", "-")
    path.mkdir()
    os.symlink(DATA / "models" / file, path / pathlib.Path(file).name)
    text = f"name: model\nversion: 1.0.0\nfile: {pathlib.Path(file).name}\nlicense: test\n" + manifest
    (path / "model.yaml").write_text(text)
    return path


def infer(model, files):
    done = subprocess.run([EDDY, "infer", "-m", str(model), *map(str, files)], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode not in (0, 1) or len(lines) != len(files):
        print(done.stderr)
        check(False, f"infer gave {len(lines)} lines for {len(files)} files, exit {done.returncode}")
    return lines


with open(DATA / "images/camera/labels.csv", newline="") as file:
    photos = list(csv.DictReader(file))
paths = [DATA / "images/camera" / photo["file"] for photo in photos]

with tempfile.TemporaryDirectory() as folder:
    person = "task: classification\nlabels: [no-person, person]\ninput: {color: rgb, resize: stretch, mean: [0, 0, 0], std: [255, 255, 255]}\n" \
             "output: {decode: classes}\n"
    for form, expected in (("float", 88.1), ("int8", 89.6)):
        lines = infer(bundle(folder, f"vww_96_{form}.tflite", person), paths)
        right = sum((line["result"]["label"] == "person") == (photo["person"] == "1") for line, photo in zip(lines, photos))
        accuracy = 100 * right / len(photos)
        # one photo is 1.5 points, and a decoder that scales while decoding sees slightly other pixels
        check(accuracy >= expected - 1.6, f"person/no person {form}: {accuracy:.1f} % of {len(photos)} photos, elsewhere {expected} %")

    faces = "task: detection\nlabels: [face]\ninput: {color: rgb, resize: stretch, mean: [127, 127, 127], std: [128, 128, 128]}\n" \
            "output: {decode: boxes, threshold: 0.7, iou: 0.3}\n"
    lines = infer(bundle(folder, "face_rfb_320.onnx", faces), paths)
    listed = found = 0
    for line, photo in zip(lines, photos):
        objects = line["result"]["objects"]
        inside = all(0 <= o["box"][0] < o["box"][2] <= int(photo["width"]) and 0 <= o["box"][1] < o["box"][3] <= int(photo["height"]) for o in objects)
        check(inside, f"boxes inside {photo['file']}") if not inside else None
        if photo["faces"] not in ("", "0"):
            listed += int(photo["faces"])
            found += min(int(photo["faces"]), len(objects))
            check(len(objects) == int(photo["faces"]), f"{photo['file']}: {len(objects)} faces, listed {photo['faces']}")
    print(f"faces: {found} of {listed} listed ones found")

    coco = f"labels: labels.txt\n"
    nanodet = bundle(folder, "nanodet_m_320.onnx", "task: detection\n" + coco +
                     "input: {color: bgr, resize: stretch, mean: [103.53, 116.28, 123.675], std: [57.375, 57.12, 58.395]}\n"
                     "output: {decode: nanodet, threshold: 0.4, iou: 0.6}\n")
    os.symlink(DATA / "models/labels/coco_80.txt", nanodet / "labels.txt")
    ssd = bundle(folder, "ssd_mobilenet_v1_uint8.tflite", "task: detection\n" + coco +
                 "input: {color: rgb, resize: stretch, mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5]}\n"
                 "output: {decode: ssd, threshold: 0.4}\n")
    os.symlink(DATA / "models/labels/coco_90.txt", ssd / "labels.txt")
    scenes = {"19_dog_bicycle_truck.jpg": {"dog", "bicycle"}, "20_giraffe_zebra.jpg": {"giraffe", "zebra"}, "33_elephant.jpg": {"elephant"},
              "49_airplane.jpg": {"airplane"}, "58_train_bridge.jpg": {"train"}, "06_two_dogs_running.jpg": {"dog"}}
    for name, model in (("nanodet", nanodet), ("ssd", ssd)):
        lines = infer(model, [DATA / "images/camera" / scene for scene in scenes])
        good = 0
        for (scene, wanted), line in zip(scenes.items(), lines):
            seen = {o["label"] for o in line["result"]["objects"]}
            good += bool(wanted & seen)
            print("    ", name, scene, sorted(seen))
        check(good >= len(scenes) - 1, f"{name}: what is in {good} of {len(scenes)} scenes is named")

    with open(DATA / "images/odd/properties.csv", newline="") as file:
        odd = list(csv.DictReader(file))
    lines = infer(pathlib.Path(folder) / "vww_96_int8-tflite", [DATA / "images/odd" / row["file"] for row in odd])
    counts = {}
    for row, line in zip(odd, lines):
        verdict = "result" if "result" in line else "error"
        counts[row["verdict"], verdict] = counts.get((row["verdict"], verdict), 0) + 1
        if row["verdict"] == "good" and verdict == "error":
            check(False, f"{row['file']}: {line['error']['message']}")
        if row["verdict"] == "bad" and verdict == "result":
            check(False, f"{row['file']}: decoded, though no other decoder does")
    print("odd JPEGs:", ", ".join(f"{a} -> {b}: {n}" for (a, b), n in sorted(counts.items())))

print(f"{len(failures)} failures")
sys.exit(bool(failures))
