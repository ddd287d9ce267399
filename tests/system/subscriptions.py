#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who gets which message over a change of subscriptions: usage subscriptions.py EDDY.

A persistent session outlives the configuration that made it: what it still delivers must not fill the window of what is wanted."""
import json
import pathlib
import subprocess
import sys

from gateway import SOURCE, WAIT_S, Agent, Broker, check, finish, temporary, wait_until

EDDY = sys.argv[1]
EDDYD = str(pathlib.Path(EDDY).parent / "eddyd")
WINDOW = 8


def config(folder, broker, pipelines):
    lines = "".join(f"  - {{ name: {name}, topics: [\"{topic}\"], input: {{ kind: image }}, model: part-check, sink: {{ linger: 0ms }} }}\n"
                    for name, topic in pipelines.items())
    return f"agent: {{ id: gw, state_dir: {folder}/state }}\nlocal: {{ url: \"{broker.url}\", receive_maximum: {WINDOW} }}\n" \
           f"models_dir: {SOURCE}/examples/factory/models\npipelines:\n{lines}"


def command(broker, verb, body="{}"):
    """The reply; None where none came, or it says failed."""
    done = subprocess.run([EDDY, "ctl", "-b", broker.url, "-a", "gw", "--timeout", "5", verb, body], capture_output=True, text=True, check=False,
                          timeout=WAIT_S)
    return json.loads(done.stdout) if done.returncode == 0 else None


def counted(broker, wanted):
    """Waits until the pipelines have committed as many results as wanted, {name: count}; they are error results: the inputs are no images."""
    seen = {}

    def same():
        reply = command(broker, "get")
        seen.update({pipeline["name"]: pipeline["out"] for pipeline in reply["data"]["pipelines"]} if reply else {})
        return seen == wanted

    good = wait_until(same)
    print(f"     results {seen}" if good else f"     results {seen}, expected {wanted}")
    return good


def leftover(folder, broker):
    agent = Agent(EDDYD, folder, config(folder, broker, {"old": "old/#"}))
    wait_until(lambda: command(broker, "ping"))
    agent.stop()
    agent = Agent(EDDYD, folder, config(folder, broker, {"new": "new/#"}))
    wait_until(lambda: command(broker, "ping"))  # answered after the subscriptions
    broker.publish_lines("old/1", [f"old {i}" for i in range(3 * WINDOW)])
    broker.publish_lines("new/1", [f"new {i}" for i in range(2 * WINDOW)])
    check(counted(broker, {"new": 2 * WINDOW}), f"{3 * WINDOW} such messages do not hold up others in a window of {WINDOW}")
    check(agent.stop() == 0, "and it stops in order")


def pause(folder, broker):
    agent = Agent(EDDYD, folder, config(folder, broker, {"left": "camera/#", "right": "camera/#", "alone": "sensor/#"}))
    wait_until(lambda: command(broker, "ping"))
    check(command(broker, "pause", "{\"pipeline\":\"left\"}"), "a pipeline is paused")
    check(command(broker, "pause", "{\"pipeline\":\"alone\"}"), "another one too")
    broker.publish_lines("sensor/1", ["away"])
    broker.publish_lines("camera/1", [f"frame {i}" for i in range(2 * WINDOW)])
    check(counted(broker, {"left": 0, "right": 2 * WINDOW, "alone": 0}), "a pipeline with the same topic gets what it got before")
    check(command(broker, "resume"), "all are resumed")
    broker.publish_lines("sensor/1", [f"reading {i}" for i in range(4)])
    broker.publish_lines("camera/1", ["frame"])
    check(counted(broker, {"left": 1, "right": 2 * WINDOW + 1, "alone": 4}), "and take inputs again")
    check(agent.stop() == 0, "and it stops in order")


with temporary() as top:
    the_broker = Broker(top)
    try:
        for part in (leftover, pause):
            place = pathlib.Path(top) / part.__name__
            place.mkdir()
            part(str(place), the_broker)
    finally:
        the_broker.stop()
finish()
