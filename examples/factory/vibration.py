# SPDX-License-Identifier: Apache-2.0
"""vibration.py: what an accelerometer on the housing of an electric motor would measure, in m/s^2.

Axes: ax radial and horizontal, ay along the shaft, az radial and vertical (it carries gravity).

The sensor is triggered once per revolution by a mark on the shaft and then takes 32 samples, evenly over that
revolution (synchronous sampling, as for order tracking); at about 49.5 revolutions per second that is 1,584 samples
per second. Each such block is one message. Blocks start at the same shaft angle, so two blocks in a row join smoothly
in everything that turns with the shaft.

What the signal is made of (R. B. Randall, J. Antoni, "Rolling element bearing diagnostics - A tutorial", Mechanical
Systems and Signal Processing 25 (2011) 485-520, for the bearing; ISO 10816-1 for how strong is how bad):

    unbalance      a mass m at radius r pulls with m r w^2 and turns with the shaft: a sine of 1 x the rotation, the two
                   radial axes a quarter turn apart. Vibration velocity v (mm/s rms) gives the acceleration amplitude
                   sqrt(2) v w / 1000. Small machines (class I): good below 0.71 mm/s, not acceptable above 4.5 mm/s.
    misalignment   some 2 x the rotation, mostly along the shaft; every motor has a little.
    line frequency the stator's pull at twice 50 Hz; near 2 x the rotation but, for the slip, not in step with it.
    bearing        each ball that rolls over a pit in the outer race strikes the housing, which rings at its resonance and
                   dies away: exp(-z w t) sin(w t). The blows come at
                       BPFO = n/2 fr (1 - d/D cos(phi))
                   for n balls of diameter d on the pitch diameter D with contact angle phi. The balls slip, so the gaps
                   vary by a per cent or two, and the load that turns with the shaft modulates the strength.
    noise          from everything else.

    python3 vibration.py     writes readings/readings.ndjson: 60 s of two motors, one message a line with its time, topic,
                             payload and truth: the state in the window (two blocks) that this message completes
"""
import json
import pathlib

import numpy as np

STATES = ["healthy", "unbalance", "bearing"]
BLOCK = 32
WINDOW = 64
LINE_HZ = 50.0
GRAVITY = 9.81


class Motor:
    """One motor as it was mounted: its constants come from the seed. state is set from outside."""

    def __init__(self, seed):
        rng = self.rng = np.random.default_rng(seed)
        self.rotation_hz = rng.uniform(49.2, 49.8)  # two poles at 50 Hz, with slip
        self.heavy_spot = rng.uniform(0, 2 * np.pi)
        self.residual_mm_s = rng.uniform(0.25, 0.7)
        self.support = rng.uniform(0.75, 1.0)  # the vertical axis is stiffer
        self.second_order = rng.uniform(0.05, 0.25)
        self.second_phase = rng.uniform(0, 2 * np.pi)
        self.stator = rng.uniform(0.03, 0.15)
        self.stator_phase = rng.uniform(0, 2 * np.pi)
        self.noise = rng.uniform(0.12, 0.20)
        self.balls, self.diameter_ratio, self.contact = 9, rng.uniform(0.18, 0.23), 0.0
        self.resonance_hz, self.damping = rng.uniform(480, 640), rng.uniform(0.03, 0.06)
        self.path = np.array([rng.uniform(0.7, 1.0), rng.uniform(0.2, 0.5), rng.uniform(0.7, 1.0)])
        self.unbalance_mm_s = rng.uniform(4.5, 8.0)
        self.blow = rng.uniform(1.5, 5.0)
        self.state = "healthy"

    def _turning(self, angle, velocity_mm_s):
        amplitude = np.sqrt(2) * velocity_mm_s * 2 * np.pi * self.rotation_hz / 1000
        radial = amplitude * np.cos(angle + self.heavy_spot)
        along = 0.15 * radial
        return np.stack([radial, along, self.support * amplitude * np.sin(angle + self.heavy_spot)], axis=1)

    def _bearing(self, times):
        """The ringing of all blows that are still heard in this block."""
        bpfo = self.balls / 2 * self.rotation_hz * (1 - self.diameter_ratio * np.cos(self.contact))
        gaps = (1 + self.rng.normal(0, 0.015, 16)) / bpfo
        blows = times[0] - 8 / bpfo + self.rng.uniform(0, 1) / bpfo + np.cumsum(gaps)
        since = times[:, None] - blows[None, :]
        strength = self.blow * (1 + 0.3 * np.cos(2 * np.pi * self.rotation_hz * (blows - times[0]) + self.heavy_spot))
        omega = 2 * np.pi * self.resonance_hz
        ringing = np.exp(-self.damping * omega * np.maximum(since, 0)) * np.sin(omega * since) * (since > 0)
        return (ringing * strength).sum(axis=1)[:, None] * self.path

    def block(self, time_s):
        """One revolution from the trigger nearest to time_s: [32, 3]."""
        angle = 2 * np.pi * np.arange(BLOCK) / BLOCK
        trigger_s = np.round(time_s * self.rotation_hz) / self.rotation_hz
        times = trigger_s + angle / (2 * np.pi * self.rotation_hz)
        wander = 1 + self.rng.normal(0, 0.05)
        velocity = self.unbalance_mm_s if self.state == "unbalance" else self.residual_mm_s
        signal = self._turning(angle, velocity * wander)
        signal += self.second_order * np.cos(2 * angle + self.second_phase)[:, None] * np.array([0.5, 1.0, 0.4])
        signal += self.stator * np.cos(4 * np.pi * LINE_HZ * times + self.stator_phase)[:, None] * np.array([1.0, 0.1, 0.8])
        if self.state == "bearing":
            signal += self._bearing(times)
        signal += self.rng.normal(0, self.noise, signal.shape)
        signal[:, 2] += GRAVITY
        return signal


def windows(state, motors, per_motor, seed):
    """Windows of two blocks from many different motors: float32 [motors * per_motor, 64, 3]."""
    out = []
    for number in range(motors):
        motor = Motor([seed, number])
        motor.state = state
        for start in motor.rng.uniform(0, 1000, per_motor):
            out.append(np.concatenate([motor.block(start), motor.block(start + BLOCK_EVERY_MS / 1000)]))
    return np.round(np.array(out), 3).astype(np.float32)


REPLAY_MS = 60_000
BLOCK_EVERY_MS = 250
REPLAY = {  # motor: seed, and from which second on it is in which state
    "motor-1": ([8_000_000, 0], {0: "healthy", 6: "unbalance", 10: "healthy", 31: "bearing", 37: "healthy"}),
    "motor-2": ([8_000_000, 1], {0: "healthy", 12: "bearing", 16: "healthy", 44: "unbalance", 50: "healthy"}),
}


def write_replay(folder):
    """Two motors, four blocks a second each, one after the other."""
    lines = []
    for number, (name, (seed, script)) in enumerate(REPLAY.items()):
        motor = Motor(seed)
        before = "healthy"
        for t_ms in range(number * BLOCK_EVERY_MS // 2, REPLAY_MS, BLOCK_EVERY_MS):
            motor.state = [state for second, state in script.items() if second * 1000 <= t_ms][-1]
            block = np.round(motor.block(t_ms / 1000), 3)
            payload = {axis: [float(value) for value in block[:, index]] for index, axis in enumerate(["ax", "ay", "az"])}
            truth = motor.state if motor.state != "healthy" else before
            before = motor.state
            lines.append({"t_ms": t_ms, "topic": f"sensor/{name}/reading", "truth": truth, "payload": payload})
    lines.sort(key=lambda line: line["t_ms"])
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / "readings.ndjson").write_text(text)


if __name__ == "__main__":
    write_replay(pathlib.Path(__file__).resolve().parent / "readings")
