# SPDX-License-Identifier: Apache-2.0
"""gateway.py: what the system tests share: a private mosquitto, an eddyd on it, checks that count. A test ends with finish()."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
WAIT_S = 60  # patience with a slow machine, not a limit on eddy
failures = []


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def check(good, what):
    print("ok  " if good else "BAD ", what, flush=True)
    if not good:
        failures.append(what)


def finish():
    print(f"{len(failures)} failures; to repeat: {' '.join([sys.executable, *sys.argv])}")
    sys.exit(bool(failures))


def wait_until(true, patience_s=WAIT_S):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


def mosquitto_program():
    for folder in ("/usr/sbin", "/usr/bin", "/usr/local/sbin"):
        if os.access(f"{folder}/mosquitto", os.X_OK):
            return f"{folder}/mosquitto"
    skip("mosquitto is not installed (apt-get install mosquitto)")


class Broker:
    def __init__(self, folder):
        if shutil.which("mosquitto_pub") is None:
            skip("mosquitto_pub is not installed (apt-get install mosquitto-clients)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = pathlib.Path(folder) / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10000\n")
        self.process = subprocess.Popen([mosquitto_program(), "-c", str(config)], stderr=subprocess.DEVNULL)
        self.url = f"mqtt://127.0.0.1:{self.port}"
        if not wait_until(self.answers):
            raise RuntimeError("mosquitto does not start")

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def publish_lines(self, topic, lines):
        """One message a line, at QoS 1; returns once the broker has them."""
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-V", "5", "-q", "1", "-t", topic, "-l"],
                       input="".join(line + "\n" for line in lines), text=True, check=True, timeout=WAIT_S)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Agent:
    """An eddyd with the config text given; its stderr goes to a file."""

    def __init__(self, program, folder, config, environment=None):
        self.config = pathlib.Path(folder) / "eddy.yaml"
        self.config.write_text(config)
        self.log = pathlib.Path(folder) / "eddyd.log"
        environment = {**os.environ, **(environment or {})}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([program, "-c", str(self.config)], stderr=log, env=environment)

    def says(self, text, times=1):
        return wait_until(lambda: self.log.read_text().count(text) >= times)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=WAIT_S)


def temporary():
    return tempfile.TemporaryDirectory(prefix="eddy-test-")
