#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the tree as the house style has it; prints one line a finding, exit 1 if there is any.

Licence line in every source, who may include whom, size of files and lines, no notes to self, links of the documentation that lead
somewhere, and every command of `eddy` in its manual and completion."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES_MAX = 700
COLUMNS_MAX = 160  # where 140 would break what belongs together
SOURCE = re.compile(r"\.(c|h|py|sh|cmake)$|(^|/)CMakeLists\.txt$|^dev$|^\.ci/run$")
# Which folders the code of a folder may include, besides itself.
MAY_INCLUDE = {
    "base": set(),
    "inference": {"base"},
    "config": {"base"},
    "cache": {"base"},
    "transport": {"base"},
    "agent": {"base", "inference", "config", "cache", "transport"},
}
NOTE_TO_SELF = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A path from the top of the tree, in backticks: it must be there, or the page speaks of a file that moved.
MENTION = re.compile(r"`((?:agent|base|bench|cache|config|docs|examples|inference|packaging|tests|transport)/[\w./-]*[\w/])`")


def files():
    """Paths that git has or would add; without git all but build folders."""
    command = ["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=False) if os.path.exists(os.path.join(TOP, ".git")) else None
    if listed is not None and listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return sorted({name for name in names if name and os.path.isfile(os.path.join(TOP, name))})
    found = []
    for folder, folders, names in os.walk(TOP):
        folders[:] = [name for name in folders if not name.startswith("build") and name not in (".git", "__pycache__")]
        found += [os.path.relpath(os.path.join(folder, name), TOP) for name in names]
    return sorted(found)


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def check_source(name, text):
    lines = text.splitlines()
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:3]):
        yield f"{name}:1: no SPDX-License-Identifier line"
    if len(lines) > LINES_MAX:
        yield f"{name}: {len(lines)} lines, at most {LINES_MAX}"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and "http" not in line:
            yield f"{name}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
        if NOTE_TO_SELF.search(line):
            yield f"{name}:{number}: a note to self"
        if line != line.rstrip():
            yield f"{name}:{number}: blanks at the end of the line"


def check_includes(name, text):
    folder = name.split("/", 1)[0]
    if folder not in MAY_INCLUDE:
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'#\s*include "([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        other = target.split("/", 1)[0]
        if not os.path.exists(os.path.join(TOP, target)):
            yield f"{name}:{number}: {target} is not there: includes name the path from the top"
        elif other != folder and other not in MAY_INCLUDE[folder]:
            yield f"{name}:{number}: {folder} may not include {other}"


def anchors(text):
    """The headings of a page as their links name them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            page, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(name), page)) if page else name
            if not os.path.exists(os.path.join(TOP, path)):
                yield f"{name}:{number}: {target} leads nowhere"
            elif anchor and path.endswith(".md") and anchor not in anchors(read(path)):
                yield f"{name}:{number}: {target}: {path} has no such heading"
        for path in MENTION.findall(line):
            if not os.path.exists(os.path.join(TOP, path)) and not path.startswith("build"):
                yield f"{name}:{number}: {path} is not there"


def check_commands():
    table = re.search(r"commands\[\] = \{(.*?)\n\};", read("agent/cli/main.c"), re.S)
    names = re.findall(r'\{"([a-z-]+)"', table.group(1)) if table else []
    if not names:
        yield "agent/cli/main.c: no table of commands found"
    for place in ("docs/man/eddy.1", "packaging/completion/eddy"):
        text = read(place)
        yield from (f"{place}: says nothing of `eddy {name}`" for name in names if not re.search(rf"\b{name}\b", text))


def findings():
    for name in files():
        if SOURCE.search(name):
            text = read(name)
            yield from check_source(name, text)
            yield from check_includes(name, text)
        elif name.endswith(".md"):
            yield from check_links(name, read(name))
    yield from check_commands()


def main():
    found = list(findings())
    for line in found:
        print(line)
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
