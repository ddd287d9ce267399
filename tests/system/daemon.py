#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""eddyd as systemd sees it: usage daemon.py EDDY. The sd_notify protocol, journald levels, exit codes, SIGHUP with good and bad files."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

from gateway import SOURCE, WAIT_S, Agent, Broker, check, finish, temporary

EDDYD = str(pathlib.Path(sys.argv[1]).parent / "eddyd")


def config(folder, broker, more=""):
    return f"agent: {{ id: gw, state_dir: {folder}/state{more} }}\nlocal: {{ url: \"{broker.url}\" }}\nmodels_dir: {SOURCE}/examples/factory/models\n" \
           f"pipelines:\n  - {{ name: line, topics: [\"camera/#\"], input: {{ kind: image }}, model: part-check }}\n"


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = f"{folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(WAIT_S)

    def hears(self, word):
        """The first message that has the word."""
        while True:
            message = self.socket.recv(4096).decode()
            if word in message:
                return message


def notify(folder, broker):
    manager = Manager(folder)
    agent = Agent(EDDYD, folder, config(folder, broker), {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
    check("READY=1" in manager.hears("READY"), "READY=1 once it runs")
    beats = [manager.hears("WATCHDOG=1") for _ in range(3)]
    check(all("STATUS=1 pipelines; local" in beat for beat in beats), "WATCHDOG=1 again and again, with a status line")
    agent.process.send_signal(signal.SIGHUP)
    reloading = manager.hears("RELOADING=1")
    check("MONOTONIC_USEC=" in reloading and manager.hears("READY=1") != "", "SIGHUP: RELOADING=1, then READY=1")
    check(agent.says("reloaded"), "a good file is taken")
    agent.config.write_text(config(folder, broker, ", log_level: debug").replace("part-check", "no-such-model"))
    agent.process.send_signal(signal.SIGHUP)
    manager.hears("RELOADING=1")
    check(manager.hears("READY=1") != "" and agent.says("reload refused") and agent.process.poll() is None, "a file that does not work is refused, it runs on")
    before = agent.log.read_text()
    agent.config.write_text(config(folder, broker).replace("workers", "wrkers").replace("agent: {", "agent: { colour: red,"))
    agent.process.send_signal(signal.SIGHUP)
    check(agent.says("reload refused", 2) and "eddy.yaml:1:" in agent.log.read_text()[len(before):], "and one with an unknown key, with its line")
    agent.process.send_signal(signal.SIGTERM)
    check("STOPPING=1" in manager.hears("STOPPING"), "SIGTERM: STOPPING=1")
    check(agent.process.wait(timeout=WAIT_S) == 0, "and exit 0")


def levels(folder, broker):
    agent = Agent(EDDYD, folder, config(folder, broker), {"JOURNAL_STREAM": "1:1"})
    agent.says("local broker connected")
    agent.stop()
    lines = agent.log.read_text().splitlines()
    check(lines and all(re.match(r"\d{4}-\d\d-\d\dT\S+Z (error|warning|info|debug) ", line) for line in lines),
          "a stderr that is not the journal, whatever JOURNAL_STREAM says: time and level")
    agent.config.write_text(config(folder, broker).replace("part-check", "no-such-model"))
    ours, its = socket.socketpair()
    status = os.fstat(its.fileno())
    done = subprocess.run([EDDYD, "-c", str(agent.config)], stderr=its, check=False, timeout=WAIT_S,
                          env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    its.close()
    text = ours.makefile().read()
    check(done.returncode != 0 and text.startswith("<3>") and "no-such-model" in text, "the journal gets <3> before an error")


def exit_codes(folder, broker):
    path = pathlib.Path(folder) / "wrong.yaml"
    path.write_text("agent: { workers: many }\n")
    done = subprocess.run([EDDYD, "-c", str(path)], capture_output=True, text=True, check=False)
    check(done.returncode == 78 and "wrong.yaml:1:19:" in done.stderr, "a wrong configuration: exit 78, with file, line and column")
    unit = (SOURCE / "packaging/debian/eddyd.service").read_text()
    check("\nRestartPreventExitStatus=78\n" in unit and "\nType=notify\n" in unit, "the unit does not restart on 78")
    check(subprocess.run([EDDYD, "--wrong"], capture_output=True, check=False).returncode == 2, "wrong usage: exit 2")
    path.write_text(config(folder, broker))
    check(subprocess.run([EDDYD, "-c", str(path), "--check"], capture_output=True, check=False).returncode == 0, "--check: exit 0 and nothing started")


with temporary() as top:
    the_broker = Broker(top)
    try:
        for part in (notify, levels, exit_codes):
            place = pathlib.Path(top) / part.__name__
            place.mkdir()
            part(str(place), the_broker)
    finally:
        the_broker.stop()
finish()
