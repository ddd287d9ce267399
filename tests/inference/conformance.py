#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX operator conformance: usage conformance.py conformance|operators_document|update EDDY NODE_TESTS

conformance         runs every node test with `eddy model test`: it passes, or the loader says what it does not support, with the operator's
                    name and where it sits. A wrong answer fails, and so does a table that differs from docs/operators.md.
operators_document  docs/operators.md names the operators, types and notes that `eddy model operators` has (needs no node tests).
update              writes docs/operators.md from a run.
NODE_TESTS holds onnx-node-tests.tar.gz and index.csv. Exit 77: it is not here."""
import collections
import concurrent.futures
import csv
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

VERB, EDDY, TESTS = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/operators.md"
# Upstream's tolerance; whole numbers are exact.
TOLERANCE = ["--atol", "1e-7", "--rtol", "1e-3"]
# Stored results that contradict the operator's specification. They count as failed.
DISPUTED = dict.fromkeys(["test_qlinearmatmul_2D_int8_float16", "test_qlinearmatmul_2D_int8_float32", "test_qlinearmatmul_3D_int8_float16"],
                         "the stored result wraps around where the specification says saturate (-236 became 20, not -128)")

HEAD = """# ONNX operators

Written by `tests/inference/conformance.py update` from `eddy model operators` and a run of the ONNX node tests; a test keeps it current.

The loader takes opsets 6 to 24 of ai.onnx, the trees of ai.onnx.ml, and the same names in
com.microsoft. Half and double precision are read, computed in single, and half is given back where the file says so. Whatever is not
here is refused when the model is opened, with the operator's name and node. "known at open" is explained in `inference/graph.h`: a
constant of the file, a result of constants and shapes, or an input whose content the caller gives at open. A "bounded" result has an extent
that only a run knows: there is room for the most it can be, and the output's shape says what is there.

*tests* counts the ONNX node tests that hold the operator: passed / all. *opsets* are those of the tests that passed.
"""


def run_eddy(*arguments):
    return subprocess.run([EDDY, *map(str, arguments)], capture_output=True, text=True, check=False)


def operators():
    listed = run_eddy("model", "operators", "--json")
    return [json.loads(line) for line in listed.stdout.splitlines()]


def judge(folder):
    sets = sorted(folder.glob("test_data_set_*"))
    done = run_eddy("model", "test", folder / "model.onnx", *sets, *TOLERANCE)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode not in (0, 1, 3) or len(lines) != len(sets):
        return "crash", f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    for status in ("fail", "unsupported"):
        for line in lines:
            if line["status"] == status:
                return status, line["why"]
    return "pass", ""


def run_all():
    with open(TESTS / "index.csv", newline="", encoding="utf-8") as file:
        index = list(csv.DictReader(file))
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(TESTS / "onnx-node-tests.tar.gz") as archive:
            archive.extractall(folder)
        folders = [pathlib.Path(folder) / "onnx-node-tests" / row["suite"] / row["test"] for row in index]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            verdicts = list(pool.map(judge, folders))
    return [dict(row, status=status, why=why) for row, (status, why) in zip(index, verdicts)]


def opset_range(opsets):
    return "" if not opsets else str(min(opsets)) if min(opsets) == max(opsets) else f"{min(opsets)}-{max(opsets)}"


def table(results):
    total, passed, opsets = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    for row in results:
        for name in row["ops"].split():
            total[name] += 1
            if row["status"] == "pass":
                passed[name] += 1
                opsets[name].append(int(row["opset"]))
    lines, family = [], None
    for row in operators():
        if row["family"] != family:
            family = row["family"]
            lines += ["", f"## {family}", "", "| operator | types | tests | opsets | notes |", "|---|---|---|---|---|"]
        name = row["operator"]
        count = f"{passed[name]}/{total[name]}" if total[name] else ""
        lines.append(f"| {name} | {row['types']} | {count} | {opset_range(opsets[name])} | {row['note']} |")
    return lines


def remainder(results):
    left = [row for row in results if row["status"] != "pass"]
    passed = len(results) - len(left)
    lines = ["", "## Result", "", f"{passed} of {len(results)} node tests pass ({100 * passed / len(results):.1f} %). The others:", "",
             "| test | status | why |", "|---|---|---|"]
    for row in left:
        why = DISPUTED.get(row["test"]) or row["why"].split("model.onnx: ", 1)[-1]
        lines.append(f"| {row['test']} | {row['status']} | {why} |")
    return lines


def document(results):
    return HEAD + "\n".join(table(results) + remainder(results)) + "\n"


def say(good, what):
    print("ok  " if good else "BAD ", what)
    return good


def check_results(results):
    good = True
    for row in results:
        name = row["test"]
        if row["status"] == "unsupported":
            operator = any(f"operator {op}" in row["why"] for op in row["ops"].split())
            good &= say(operator and "node \"" in row["why"] or "element type" in row["why"], f"{name} is refused by name and place: {row['why']}")
        elif row["status"] != "pass" and name not in DISPUTED:
            good &= say(False, f"{name}: {row['status']}: {row['why']}")
    count = sum(row["status"] == "pass" for row in results)
    print(f"{count} of {len(results)} pass")
    return good


def check_document():
    """Operator, types and notes of each row, in order."""
    rows = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text(encoding="utf-8").split("## Result")[0].splitlines()
            if line.startswith("| ") and not line.startswith("| operator")]
    named = [(cells[0], cells[1]) for cells in rows]
    wanted = [(row["operator"], row["types"]) for row in operators()]
    for line in set(wanted) ^ set(named):
        say(False, f"{line[0]} ({line[1]}): only in " + ("docs/operators.md" if line in named else "the loader"))
    return say(named == wanted, f"docs/operators.md names the {len(wanted)} operators of the loader")


def main():
    if VERB == "operators_document":
        return 0 if check_document() else 1
    if not (TESTS / "index.csv").is_file():
        print("skipped: no ../shared/data/onnx-node-tests here: the node tests are not part of the project")
        return 77
    results = run_all()
    good = check_results(results)
    if VERB == "update":
        DOCUMENT.write_text(document(results), encoding="utf-8")
        return 0 if good else 1
    current = DOCUMENT.read_text(encoding="utf-8") == document(results)
    say(current, f"docs/operators.md is what this run says; else: {os.path.basename(__file__)} update EDDY NODE_TESTS")
    return 0 if good and current else 1


sys.exit(main())
