#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What --help, the manual pages and the bash completion say is the same, option by option: usage manuals.py EDDY. And all of it is accepted."""
import pathlib
import re
import subprocess
import sys

from gateway import SOURCE, check, finish

EDDY = sys.argv[1]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
EVERYWHERE = {"--help", "--version", "--json"}  # of the section "common options"


def run(*arguments, program=EDDY):
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def options(text):
    return set(OPTION.findall(text))


def manual(name):
    return (SOURCE / "docs/man" / name).read_text().replace("\\-", "-")


def completion(command):
    """The options that the completion offers behind a command."""
    match = re.search(rf"^    {command}\) echo \"(.*)\" ;;$", COMPLETION, re.M)
    return set(match.group(1).split()) if match else set()


def section(command):
    match = re.search(rf"^\.SS {command}\n(.*?)(?=^\.S[SH] )", MANUAL, re.M | re.S)
    return match.group(1) if match else ""


def same(what, left, right):
    check(left == right, f"{what}" + ("" if left == right else f": {sorted(left ^ right)} is in one of them only"))


def verbs(text):
    match = re.search(r"Verbs: ([a-z, \n-]+)[.(]", text)
    return set(re.split(r",\s+", match.group(1))) if match else set()


MANUAL, COMPLETION = manual("eddy.1"), (SOURCE / "packaging/completion/eddy").read_text()
commands = re.findall(r"^  ([a-z-]+) ", run("--help").stdout, re.M)
check(len(commands) >= 8, f"eddy --help lists its commands: {' '.join(commands)}")
same("eddy.1 has a section for each", set(commands), set(re.findall(r"^\.SS ([a-z-]+)$", MANUAL, re.M)))
offered = re.search(r'commands="([^"]*)"', COMPLETION).group(1).split()
same("the completion offers them", set(commands) | {"help"}, set(offered))
for command in commands:
    done = run(command, "--help")
    check(done.returncode == 0 and done.stdout.startswith(f"usage: eddy {command}"), f"eddy {command} --help: exit 0, on stdout")
    said = options(done.stdout) - {"--help", "--version"}
    same(f"eddy {command}: help and manual", said - EVERYWHERE, options(section(command)) - EVERYWHERE)
    same(f"eddy {command}: help and completion", said, completion(command))
    check(run(command, "--no-such-option").returncode == 2, f"eddy {command}: an unknown option is wrong usage, exit 2")
    for option in sorted(said):
        check("unrecognized option" not in run(command, option).stderr, f"eddy {command} knows {option}")
    check(run(command, "--version").stdout == run("--version").stdout != "", f"eddy {command} --version")
ctl = run("ctl", "--help").stdout
same("ctl: verbs of help and manual", verbs(ctl), verbs(section("ctl").replace("\n", " ")))
same("ctl: verbs of help and completion", verbs(ctl), set(re.search(r'"\$command" = ctl.*?-W "([a-z -]+)"', COMPLETION, re.S).group(1).split()))
table = re.search(r"verbs\[\] = \{(.*?)\n\};", (SOURCE / "agent/control.c").read_text(), re.S).group(1)
same("ctl: verbs of help and agent", verbs(ctl), set(re.findall(r'\{"([a-z-]+)"', table)) | {"reload"})
daemon = run("--help", program=str(pathlib.Path(EDDY).parent / "eddyd")).stdout
page = manual("eddyd.8")
same("eddyd: help and manual", options(daemon), options(page))
same("eddyd: help and completion", options(daemon), options(re.search(r"_eddyd\(\).*?\n}", COMPLETION, re.S).group(0)))
for path in ("docs/man/eddy.1", "docs/man/eddyd.8", "docs/man/eddy.yaml.5"):
    done = subprocess.run(["man", "--warnings", "-l", "-Tutf8", SOURCE / path], capture_output=True, text=True, check=False) \
        if pathlib.Path("/usr/bin/man").exists() and pathlib.Path("/usr/bin/groff").exists() else None
    if done is not None:
        check(done.returncode == 0 and done.stderr == "", f"{path} is formatted without a warning" + done.stderr[:200])
finish()
