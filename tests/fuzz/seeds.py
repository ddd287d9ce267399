#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: seeds.py FOLDER: writes what the fuzzers begin with, a folder for each parser. Made here, so that no binary lies in the tree;
what a fuzzer found is kept under corpus/."""
import pathlib
import struct
import sys

import onnx_seeds
import tflite_seeds

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

JSON = ['{"ax":1.5,"ay":-2e-3,"az":0}', '[1,2.5,-3e+10,true,false,null,"a\\u00e9\\ud83d\\ude00\\n"]', '{"a":{"b":[{"c":1},{"c":2}]},"t":1700000000}',
        '{"ax":[1,2,3],"ay":[1,2,3],"az":[4,5,6],"t":"2026-11-23T14:05:31.5Z"}', '{"ax":NaN}', "[" * 70, '{"a~b":1,"a/b":2,"":3}', '"\\uDC00"', "-0.0e-400"]
CSV = ["ax,ay,az\n1,2,3\n4,5,6\n", '1;2;3\r\n"4";"5 ";6\r\n', '"a""x",ay\n1', "1,2\n", "\n\n1,2,3", "t,ax,ay,az\n2026-11-23T14:05:31Z,1,2,3\n"]
CONTROL = ['{"id":"7","pipeline":"line"}', '{"what":"health"}', '{"level":"debug","note":{"a":[1,2]}}', '{"id":12}', "[]", ""]
TOPIC = ["a/+/c\0a/b/c", "a/#\0a", "#\0$SYS/x", "$share/g/a/b\0a/b", "+\0", "+/+\0/x"]


def cbor():
    half = bytes.fromhex("a3626178f93c00626179fb3ff199999999999a62617af94000")
    return [half, bytes.fromhex("bf626178018262617a02ff"), bytes.fromhex("a3626178830102036261798301020362617a83010203"),
            bytes.fromhex("c1fb41d4f8000000000000"), b"\x9f" * 70, bytes.fromhex("a162617800f7f6f5"), bytes.fromhex("7f616162ff")]


def series():
    """Two bytes of settings before the message: see series_fuzz.c."""
    formats = [[text.encode() for text in JSON], [text.encode() for text in CSV], cbor(), [struct.pack("<6f", *range(6)), b"\0\0\x80\x7f" * 3, b"abc"]]
    return [bytes([number | more << 2, 3]) + body for number, bodies in enumerate(formats) for body in bodies for more in (0, 7)]


def images():
    frames = sorted((TOP / "examples/factory/frames").glob("part-0[0-2].jpg"))
    return [bytes([settings]) + frame.read_bytes() for settings, frame in zip((0, 9, 18), frames)]


def lz4_frames():
    """Stored blocks: magic, descriptor with its checksum left to the fuzzer, a block, the end mark."""
    block = b'{"v":1,"seq":1}\n'
    return [b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(block) | 1 << 31) + block + bytes(4), block, b"\x04\x22\x4d\x18", b""]


def manifests():
    return [path.read_bytes() for path in sorted((TOP / "examples/factory").glob("models*/*/*/model.yaml"))]


def write(folder, name, seeds):
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    items = seeds.items() if isinstance(seeds, dict) else ((str(i), body) for i, body in enumerate(seeds))
    for stem, body in items:
        (place / stem).write_bytes(body.encode() if isinstance(body, str) else body)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.split(":")[0] + ": seeds.py FOLDER")
        return 2
    folder = pathlib.Path(sys.argv[1])
    for name, seeds in (("onnx", onnx_seeds.models()), ("tflite", tflite_seeds.models()), ("json", JSON), ("series", series()), ("image", images()),
                        ("batch", lz4_frames()), ("control", CONTROL), ("topic", TOPIC), ("manifest", manifests())):
        write(folder, name, seeds)
    return 0


sys.exit(main())
