#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo as a user sees it: usage demo.py EDDY. A live table, then a summary that adds up; --keep until Ctrl-C; nothing stays behind."""
import glob
import re
import signal
import subprocess
import sys

from gateway import SOURCE, WAIT_S, check, finish, mosquitto_program

EDDY = sys.argv[1]
mosquitto_program()


def run(*options, interrupt_after=None):
    process = subprocess.Popen([EDDY, "demo", "--data", f"{SOURCE}/examples/factory", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = ""
    for line in process.stdout:
        text += line
        if interrupt_after is not None and re.match(rf" +{interrupt_after} \|", line):
            process.send_signal(signal.SIGINT)
            interrupt_after = None
    return process.wait(timeout=WAIT_S), text


def numbers(text, beginning):
    line = re.search(rf"^ *{re.escape(beginning)} +(\d.*)$", text, re.M)
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line.group(1))] if line else []


before = set(glob.glob("/tmp/eddy-demo-*"))
status, text = run("--seconds", "4")
check(status == 0, "4 seconds: exit 0")
check(text.count(" | ") >= 3 * 4, "a line of the table each second")
frames, readings = numbers(text, "camera frames"), numbers(text, "motor readings")
check(len(frames) == 7 and frames[0] == frames[1] >= 15 and frames[2] == 0, "as many results as frames, no error")
check(len(frames) == 7 and frames[3] == 100 and frames[6] > 0, "frames right against the known truth, repeats from the cache")
check(len(readings) == 7 and readings[1] == readings[0] - 2 and readings[3] == 100, "readings: one result a window")
for wanted in ("0 missing, 0 twice", "p99", "all inputs to a cloud, computed", "eddy, measured"):
    check(wanted in text, f"the summary has: {wanted}")
check(re.search(r"held-out accuracy 0\.9\d+ of \d+ frames", text) is not None, "the models say how good they are")
megabytes = numbers(text, "MB an hour at this pace")
check(len(megabytes) == 2 and 5 * megabytes[0] < megabytes[1], "less than a fifth of the bytes goes upstream")
status, text = run("--keep", interrupt_after=2)
check(status == 0 and "against the known truth" in text, "--keep: until Ctrl-C, then the summary, exit 0")
check(set(glob.glob("/tmp/eddy-demo-*")) <= before, "no folder stays behind")
if status != 0 or len(frames) != 7:
    print(text)
finish()
