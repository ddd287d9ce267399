#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as its users meet it: usage command_line.py EDDY SOURCE_DIR

Exit codes (0 done, 1 failed, 2 usage, 3 only unsupported), help and version everywhere, JSON that is JSON, messages that name what was
wrong; check, infer, bench, model, and, with a real mosquitto and a real eddyd, tail and ctl."""
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

EDDY, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
FACTORY = SOURCE / "examples/factory"
CLASSIFIER, ANOMALY = FACTORY / "models/part-check/1.0.0", FACTORY / "models/motor-anomaly/1.0.0"
COMMANDS = ("check", "infer", "bench", "model", "tail", "ctl", "demo", "sample-config")
sys.path.insert(0, str(SOURCE / "tests/fuzz"))
sys.dont_write_bytecode = True
import onnx_seeds  # noqa: E402

failures = []


def check(good, what, seen=None):
    if not good:
        failures.append(what)
        print("BAD ", what, "" if seen is None else f"\n     {str(seen)[:600]}")


def run(*arguments, program=EDDY, stdin=None, timeout=120):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, errors="replace", input=stdin, timeout=timeout, check=False)


def expect(code, *arguments, says="", where="stderr", **more):
    """Runs eddy; checks its exit code and that it says so. A usage error shows the usage."""
    done = run(*arguments, **more)
    check(done.returncode == code, f"eddy {' '.join(map(str, arguments))}: exit {done.returncode}, expected {code}", done.stderr or done.stdout)
    check(says in getattr(done, where), f"eddy {' '.join(map(str, arguments))}: {where} does not say \"{says}\"", getattr(done, where))
    if code == 2:
        check("usage: eddy" in done.stderr and done.stdout == "", f"eddy {' '.join(map(str, arguments))}: no usage on stderr", done.stdout)
    return done


def lines_of(done):
    try:
        return [json.loads(line) for line in done.stdout.splitlines()]
    except ValueError as problem:
        check(False, f"not JSON: {problem}", done.stdout)
        return []


def usage():
    expect(2)
    expect(2, "frobnicate", says="unknown command \"frobnicate\"")
    expect(0, "--help", says="usage: eddy COMMAND", where="stdout")
    expect(0, "--version", says="eddy 0.", where="stdout")
    for command in COMMANDS:
        expect(0, command, "--help", says="usage: eddy " + command, where="stdout")
        expect(0, command, "--version", says="eddy 0.", where="stdout")
        expect(2, command, "--no-such-option")
    for arguments in (("check", "superfluous"), ("infer",), ("infer", "-m"), ("infer", "-m", CLASSIFIER), ("bench",), ("bench", "a", "b"),
                      ("bench", CLASSIFIER, "--runs", "many"), ("bench", CLASSIFIER, "--runs", "0"), ("bench", CLASSIFIER, "--threads", "0"),
                      ("model",), ("model", "run", ANOMALY), ("model", "test", ANOMALY), ("model", "test", ANOMALY, "x", "--atol", "-1"),
                      ("model", "test", ANOMALY, "x", "--rtol", "1x"), ("model", "paint", ANOMALY), ("tail", "--count", "0"), ("tail", "--count", "x"),
                      ("tail", "superfluous"), ("ctl",), ("ctl", "ping", "{}", "more"), ("ctl", "--timeout", "soon", "ping"),
                      ("infer", "-m", ANOMALY, "--hop", "-1", "x"), ("infer", "-m", ANOMALY, "--window", "0", "x"),
                      ("infer", "-m", ANOMALY, "--format", "xml", "x")):
        expect(2, *arguments)


def configurations(folder):
    good, bad = folder / "eddy.yaml", folder / "bad.yaml"
    sample = expect(0, "sample-config")
    good.write_text(sample.stdout)
    expect(0, "check", "-c", good, "--syntax", says="good", where="stdout")
    bad.write_text("agent: { id: gw, workers: many }\npipelines:\n  - name: line\n    colour: red\n")
    done = expect(1, "check", "-c", bad, says=f"{bad}:1:")
    check("colour" in done.stderr and f"{bad}:4:" in done.stderr and "expected" in done.stderr, "check names every problem with its place", done.stderr)
    expect(1, "check", "-c", folder / "absent.yaml", says="absent.yaml")
    bad.write_bytes(b"\xff\xfe\x00")
    expect(1, "check", "-c", bad, says=str(bad))
    daemon = str(pathlib.Path(EDDY).with_name("eddyd"))
    done = run("--check", "-c", bad, program=daemon)
    check(done.returncode == 78, f"eddyd --check: exit {done.returncode} on a bad config, expected 78 (EX_CONFIG)", done.stderr)
    done = run("-c", bad, program=daemon)
    check(done.returncode == 78, f"eddyd: exit {done.returncode} on a bad config, expected 78", done.stderr)
    good.write_text((FACTORY / "eddy.yaml").read_text().replace("@STATE@", str(folder)).replace("@PORT@", "1883").replace("@MODELS@", str(FACTORY / "models")))
    done = expect(0, "check", "-c", good, says="2 pipelines, good", where="stdout")
    check('pipeline "line": model part-check@1.0.0' in done.stdout, "check names each pipeline's model", done.stdout)
    good.write_text(good.read_text().replace("model: part-check", "model: nowhere"))
    expect(1, "check", "-c", good, says='pipeline "line": ')


def inference(folder):
    frames = sorted((FACTORY / "frames").glob("*.jpg"))[:3]
    lines = lines_of(expect(0, "infer", "-m", CLASSIFIER, *frames, "--json"))
    check([line["file"] for line in lines] == [str(frame) for frame in frames], "infer gives a line a file, in order", lines)
    check(all("label" in line["result"] and line["model"] == "part-check@1.0.0" for line in lines), "infer gives results", lines)
    broken = folder / "broken.jpg"
    broken.write_bytes(frames[0].read_bytes()[:500])
    lines = lines_of(expect(1, "infer", "-m", CLASSIFIER, frames[0], broken, folder / "absent.jpg"))
    check(len(lines) == 3 and "result" in lines[0] and lines[1]["error"]["code"] == "input" and "absent.jpg" in lines[2]["error"]["message"],
          "infer answers each file for itself", lines)
    expect(1, "infer", "-m", folder / "absent", frames[0], says="absent")
    expect(1, "infer", "-m", CLASSIFIER, "--cpu", "z80", frames[0], says="z80")
    reading = folder / "reading.json"
    axis = [0.01 * i for i in range(64)]
    reading.write_text(json.dumps({"ax": axis, "ay": axis, "az": axis}))
    fields = ("--field", "/ax", "--field", "/ay", "--field", "/az")
    lines = lines_of(expect(0, "infer", "-m", ANOMALY, *fields, reading))
    check(len(lines) == 1 and set(lines[0]["result"]) == {"score", "threshold", "anomalous"}, "infer reads a series", lines)
    reading.write_text('{"ax":NaN}')
    lines = lines_of(expect(1, "infer", "-m", ANOMALY, *fields, reading))
    check("not JSON" in lines[0]["error"]["message"], "infer says what was wrong with a reading", lines)
    odd = folder / 'we"ird\nname.onnx'
    shutil.copy(CLASSIFIER / "part-check.onnx", odd)
    lines = lines_of(expect(0, "infer", "-m", odd, frames[0]))
    check(len(lines) == 1 and lines[0]["model"].startswith('we"ird'), "a model's file name does not break the JSON", lines)


def roofline(folder):
    """The picture is XML with nothing that runs, has a circle for each layer that multiplies, at its place on both axes, and agrees with the JSON."""
    picture = folder / "roofline.svg"
    odd = folder / "a<b>&\"c\".onnx"
    shutil.copy(CLASSIFIER / "part-check.onnx", odd)
    line = lines_of(expect(0, "bench", odd, "--runs", "5", "--json", "--svg", picture))[0]
    ceilings = line["ceilings"]
    check(ceilings["f32_gmac_s"] > 0 and ceilings["i8_gmac_s"] > 0 and all(read["gb_s"] > 0 for read in ceilings["read"]), "bench measures ceilings", ceilings)
    root = xml.etree.ElementTree.parse(picture).getroot()
    space = "{http://www.w3.org/2000/svg}"
    kinds = {element.tag.removeprefix(space) for element in root.iter()}
    check(kinds == {"svg", "style", "text", "line", "circle", "title"}, "the picture is of shapes and text", kinds)
    check([text.text for text in root.iter(f"{space}text") if text.get("class") == "title"] == [odd.name], "the picture is named after its model")
    grid = [line for line in root.iter(f"{space}line") if line.get("class") == "grid"]
    places = {"x": [float(line.get("x1")) for line in grid if line.get("x1") == line.get("x2")],
              "y": [float(line.get("y1")) for line in grid if line.get("y1") == line.get("y2")]}
    ticks = {axis: [math.log10(float(text.text)) for text in root.iter(f"{space}text") if text.get("class") == axis and re.fullmatch(r"[\d.e+-]+", text.text)]
             for axis in "xy"}
    layers = {index: layer for index, layer in enumerate(line["layers"]) if layer["macs"] > 0}
    circles = {int(circle[0].text.split()[0]): circle for circle in root.iter(f"{space}circle")}
    check(circles.keys() == layers.keys() and len(list(root.iter(f"{space}circle"))) == len(layers) > 1, "a circle a layer that multiplies", circles)
    for index, layer in layers.items():
        values = {"x": layer["macs"] / layer["bytes"], "y": layer["macs"] / layer["us"] / 1e3}
        for axis, value in values.items():
            low, high = ticks[axis][0], ticks[axis][-1]
            expected = places[axis][0] + (math.log10(value) - low) / (high - low) * (places[axis][-1] - places[axis][0])
            check(abs(float(circles[index].get(f"c{axis}")) - expected) < 0.1, f"layer {index} lies where its {axis} says", circles[index].attrib)
        words, numbers = circles[index][0].text.rsplit(": ", 1)
        check(words == f"{index} {layer['kind']} {layer['name']}" and abs(float(numbers.split()[0]) - layer["us"]) < 0.001 + 1e-5 * layer["us"],
              "a circle says what its layer is", circles[index][0].text)
    expect(1, "bench", odd, "--runs", "5", "--svg", folder / "absent" / "picture.svg", says="could not be written")


def benchmark(folder):
    line = lines_of(expect(0, "bench", ANOMALY, "--runs", "7", "--json"))[0]
    contract = {"model", "cpu", "threads", "runs", "load_ms", "first_ms", "med_ms", "min_ms", "p95_ms", "macs", "arena_bytes", "peak_kb"}
    check(set(line) == contract | {"winograd_layers", "packed"}, "bench has the contract's keys, and says what it filters minimally and maps", line)
    check(line["runs"] == 7 and 0 < line["min_ms"] <= line["med_ms"] <= line["p95_ms"], "bench counts and orders", line)
    expect(0, "bench", ANOMALY, "--runs", "3", "--threads", "2", says="MMAC", where="stdout")
    expect(0, "bench", ANOMALY, "--runs", "3", "--packed", says="MMAC", where="stdout")
    expect(1, "bench", ANOMALY, "--runs", "3", "--compare", "ncnn", says="reads neither")
    expect(1, "bench", ANOMALY, "--runs", "3", "--compare", "other", says="no runtime to compare with")
    expect(1, "bench", ANOMALY, "--runs", "3", "--compare", "onnxruntime=/nowhere.so", says="--compare onnxruntime=PATH")
    library = os.environ.get("EDDY_ONNXRUNTIME")  # a path; whoever has it can try the comparison itself
    if library:
        line = lines_of(expect(0, "bench", ANOMALY, "--runs", "9", "--json", "--compare", f"onnxruntime={library}"))[0]
        check(line["ratio"] > 0 and line["difference"] < 1.1, f"results beside {line['peer']} differ by at most {line['difference']}")
    roofline(folder)
    damaged = folder / "damaged.onnx"
    damaged.write_bytes((ANOMALY / "motor-anomaly.onnx").read_bytes()[:1000])
    expect(1, "bench", damaged, says="damaged.onnx")
    damaged.write_bytes(b"")
    expect(1, "bench", damaged, says="damaged.onnx")


def npy(path, kind, shape, body):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({','.join(map(str, shape))},), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)
    return path


def models(folder):
    file, vectors, given = folder / "add.onnx", folder / "vectors", folder / "x.npy"
    file.write_bytes(onnx_seeds.models()["constant"])  # x + [-0.3, -0.2, -0.1]
    expect(0, "model", "inspect", file, says="Add", where="stdout")
    expect(1, "model", "inspect", folder / "absent.onnx", says="absent.onnx")
    npy(given, "<f4", [3], struct.pack("<3f", 1, 2, 3))
    out = folder / "out"
    out.mkdir()
    expect(0, "model", "run", file, "--input", f"x={given}", "--output", out)
    body = (out / "o.npy").read_bytes()
    numbers = struct.unpack("<3f", body[-12:])
    check(body.startswith(b"\x93NUMPY") and b"'shape': (3,)" in body and all(abs(a - b) < 1e-6 for a, b in zip(numbers, (0.7, 1.8, 2.9))),
          "model run writes the sum", numbers)
    expect(1, "model", "run", file, "--input", f"y={given}", "--output", out, says="no such input")
    expect(1, "model", "run", file, "--input", str(given), "--output", out, says="NAME=FILE.npy")
    expect(1, "model", "run", file, "--input", f"x={npy(folder / 'wide.npy', '<f8', [3], bytes(24))}", "--output", out, says="<f4")
    expect(1, "model", "run", file, "--input", f"x={npy(folder / 'long.npy', '<f4', [4], bytes(16))}", "--output", out, says="shape")
    expect(1, "model", "run", file, "--input", f"x={npy(folder / 'cut.npy', '<f4', [3], bytes(11))}", "--output", out, says="cut.npy")
    (folder / "no.npy").write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")
    expect(1, "model", "run", file, "--input", f"x={folder / 'no.npy'}", "--output", out, says="does not fit")

    vectors.mkdir()
    (vectors / "input_0.pb").write_bytes(onnx_seeds.tensor("x", onnx_seeds.FLOAT, [3], [1, 2, 3]))
    (vectors / "output_0.pb").write_bytes(onnx_seeds.tensor("o", onnx_seeds.FLOAT, [3], [0.7, 1.8, 2.9]))
    line = lines_of(expect(0, "model", "test", file, vectors, "--json"))[0]
    check(line["status"] == "pass" and line["dir"] == str(vectors) and line["max_abs"] < 1e-6, "model test passes", line)
    (vectors / "output_0.pb").write_bytes(onnx_seeds.tensor("o", onnx_seeds.FLOAT, [3], [0.7, 1.8, 3.9]))
    line = lines_of(expect(1, "model", "test", file, vectors))[0]
    check(line["status"] == "fail" and abs(line["max_abs"] - 1) < 1e-5 and "[2]" in line["why"], "model test says where it fails", line)
    expect(0, "model", "test", file, vectors, "--atol", "2")
    unsupported = folder / "unsupported.onnx"
    unsupported.write_bytes(onnx_seeds.one("Frobnicate", [3]))
    lines = lines_of(expect(3, "model", "test", unsupported, vectors))
    check(lines[0]["status"] == "unsupported" and "Frobnicate" in lines[0]["why"], "model test names the operator", lines)
    (vectors / "output_0.pb").write_bytes(b"\x0a\xff")
    line = lines_of(expect(1, "model", "test", file, vectors))[0]
    check("output_0.pb" in line["why"], "model test names a damaged vector", line)
    lines = lines_of(expect(1, "model", "test", file, folder / "nowhere", vectors))
    check(len(lines) == 2 and "output_0.pb" in lines[0]["why"], "model test gives a line a folder", lines)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            check(False, f"waited in vain for {what}")
            return False
        time.sleep(0.05)
    return True


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def talk(folder, port):
    url = f"mqtt://127.0.0.1:{port}"

    def ctl(code, *arguments, agent="factory", says=""):
        done = expect(code, "ctl", "-b", url, "-a", agent, *arguments)
        check(says in done.stdout + done.stderr, f"ctl {arguments}: does not say {says}", done.stdout + done.stderr)
        return done

    if not wait_for(lambda: run("ctl", "-b", url, "-a", "factory", "--timeout", "1", "ping").returncode == 0, "the agent"):
        return
    reply = lines_of(ctl(0, "ping"))[0]
    check(reply["state"] == "successful" and reply["data"]["agent"] == "factory", "ping is answered", reply)
    check("pipelines" in json.dumps(lines_of(ctl(0, "get"))[0]), "get gives health")
    ctl(1, "frobnicate", says='unknown command \\"frobnicate\\"')
    ctl(1, "ping", "{", says="not JSON")
    ctl(1, "ping", "[1]", says="not a JSON object")
    ctl(1, "pause", '{"pipeline":"nowhere"}', says='no pipeline \\"nowhere\\"')
    ctl(1, "log-level", '{"level":"loud"}', says="expected error, warning, info or debug")
    ctl(0, "pause", '{"pipeline":"motor"}')
    ctl(0, "resume", '{"pipeline":"motor","note":[1,{"a":null}]}')
    ctl(0, "reload")
    ctl(1, "--timeout", "0.5", "ping", agent="nobody", says='no reply from agent "nobody"')

    tail = subprocess.Popen([EDDY, "tail", "-b", url, "--count", "4"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    axis = [0.01 * i for i in range(64)]
    publish = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1"]
    for payload in (json.dumps({"ax": axis, "ay": axis, "az": axis}), "[" * 1000, "", '{"ax":NaN}'):
        subprocess.run(publish + ["-t", "sensor/1/reading", "-m", payload], check=True)
    try:
        lines = [json.loads(line) for line in tail.communicate(timeout=30)[0].splitlines()]
    except subprocess.TimeoutExpired:
        tail.kill()
        lines = []
    check(tail.returncode == 0 and len(lines) == 4, f"tail ends after 4 results: exit {tail.returncode}", lines)
    check(["error" in line for line in lines] == [False, True, True, True] and [line["seq"] for line in lines] == sorted(line["seq"] for line in lines),
          "bad readings become error results, in order", lines)
    subprocess.run(publish + ["-t", "eddy/x/result/y", "-r", "-m", "\x04\x22\x4d\x18 damaged"], check=True)
    subprocess.run(publish + ["-t", "eddy/z/result/y", "-r", "-m", '{"plain":1}\n{"plain":2}'], check=True)
    done = expect(0, "tail", "-b", url, "-t", "eddy/z/result/#", "--count", "2")
    check(done.stdout == '{"plain":1}\n{"plain":2}\n', "tail reads plain results", done.stdout)
    subprocess.run(publish + ["-t", "eddy/t/result/y", "-r", "-s"], input=b'\x1b]0;title\x07 \xc2\x9b31m\x7f\r \xff\t caf\xc3\xa9\x00', check=True)
    done = expect(0, "tail", "-b", url, "-t", "eddy/t/result/#", "--count", "1")
    check(done.stdout == "\\u001b]0;title\\u0007 \\u009b31m\\u007f\\u000d \\xff\t caf\u00e9\\u0000\n", "tail prints no control characters", done.stdout)


def brokers(folder):
    broker_program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if broker_program is None or shutil.which("mosquitto_pub") is None:
        print("no mosquitto here: tail and ctl are not tried")
        return
    port = free_port()
    expect(1, "ctl", "-b", f"mqtt://127.0.0.1:{port}", "-a", "x", "--timeout", "1", "ping", says="not connected")
    expect(1, "tail", "-b", "gopher://127.0.0.1", says="gopher")
    broker = agent = None
    try:
        broker = subprocess.Popen([broker_program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        config = folder / "agent.yaml"
        text = (FACTORY / "eddy.yaml").read_text()
        config.write_text(text.replace("@STATE@", str(folder / "state")).replace("@PORT@", str(port)).replace("@MODELS@", str(FACTORY / "models")))
        (folder / "state").mkdir()
        wait_for(lambda: answers(port), "mosquitto")
        with open(folder / "eddyd.log", "w", encoding="utf-8") as log:
            agent = subprocess.Popen([str(pathlib.Path(EDDY).with_name("eddyd")), "-c", str(config)], stdout=log, stderr=log)
        talk(folder, port)
        agent.send_signal(signal.SIGTERM)
        check(agent.wait(timeout=30) == 0, f"eddyd stops on SIGTERM: exit {agent.returncode}", (folder / "eddyd.log").read_text())
    finally:
        for process in (agent, broker):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def main():
    usage()
    for part in (configurations, inference, benchmark, models, brokers):
        with tempfile.TemporaryDirectory() as folder:
            part(pathlib.Path(folder))
    print(f"{len(failures)} failures")
    return 1 if failures else 0


sys.exit(main())
