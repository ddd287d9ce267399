# SPDX-License-Identifier: Apache-2.0
"""frames.py: what the camera above the line would see, drawn by arithmetic alone.

A machined plate (four corner holes, a bore with a ring, a notch) lies on a belt between two rails, seen from above.

    good          straight (at most 4 degrees) and in the middle of the belt, all four corner holes, no scratch
    scratched     one to three scratches, bright with a dark lip
    missing-hole  one or two corner holes were not drilled
    misaligned    turned by 11 to 32 degrees, or pushed towards a rail

Light, colour temperature, gain, belt texture and its position, part position and size, smudges, blur, motion blur and
sensor noise vary in every class, so none of them gives the class away. The same seed gives the same frame.

    python3 frames.py            writes frames/*.jpg and frames/frames.csv: the replay of the demo
    python3 frames.py --sheet F  writes one picture with examples of each class
"""
import argparse
import csv
import io
import pathlib

import numpy as np
from PIL import Image, ImageFilter

CLASSES = ["good", "scratched", "missing-hole", "misaligned"]
WIDTH, HEIGHT = 320, 240
JPEG_QUALITY = 85
RAIL_HEIGHT = 18
PART_HALF = (92.0, 58.0)
HOLES = [(-70.0, -37.0), (70.0, -37.0), (-70.0, 37.0), (70.0, 37.0)]
HOLE_RADIUS, BORE_RADIUS = 10.0, 23.0

Y, X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
_table_rng = np.random.default_rng(20110501)
FINE_NOISE = _table_rng.standard_normal((1024, 1024)).astype(np.float32)


def _smooth_noise(cell_x, cell_y):
    """Noise whose features are about cell_x by cell_y pixels, from the fine table; it repeats without a seam."""
    small = np.pad(FINE_NOISE[: 1024 // cell_y, : 1024 // cell_x], 4, mode="wrap")
    large = Image.fromarray(small).resize((1024 + 8 * cell_x, 1024 + 8 * cell_y), Image.BICUBIC)
    return np.asarray(large, dtype=np.float32)[4 * cell_y : 4 * cell_y + 1024, 4 * cell_x : 4 * cell_x + 1024]


CLOUDS = _smooth_noise(64, 64)
BRUSHED = _smooth_noise(128, 1) + 0.6 * _smooth_noise(64, 2)


def _sample(table, x, y):
    return table[y.astype(np.int32) & 1023, x.astype(np.int32) & 1023]


def _cover(distance, softness=0.7):
    """Signed distance (negative inside) to coverage 0..1."""
    return np.clip(0.5 - distance / (2 * softness), 0, 1)


def _rounded_box(u, v, half_u, half_v, radius):
    du, dv = np.abs(u) - (half_u - radius), np.abs(v) - (half_v - radius)
    return np.hypot(np.maximum(du, 0), np.maximum(dv, 0)) + np.minimum(np.maximum(du, dv), 0) - radius


def _circle(u, v, center, radius):
    return np.hypot(u - center[0], v - center[1]) - radius


def _belt(rng):
    """The belt, scrolled to where it happens to be, with seams and stains; and the rails."""
    scroll = rng.uniform(0, 1024)
    x = X + scroll
    tone = rng.uniform(0.17, 0.27)
    weave = 0.018 * np.sin(x * 1.9) * np.sin(Y * 1.7) + 0.010 * np.sin((x + Y) * 0.55)
    stains = 0.022 * _sample(CLOUDS, x, Y + rng.uniform(0, 1024)) + 0.014 * _sample(FINE_NOISE, x, Y)
    seam = np.exp(-(((x % rng.uniform(260, 420)) - 30) / 2.0) ** 2) * 0.05
    belt = tone + weave + stains - seam
    hue = np.array([0.95, 1.03, 1.0], dtype=np.float32) + rng.uniform(-0.05, 0.05, 3).astype(np.float32)
    image = belt[..., None] * hue

    edge = np.minimum(Y, HEIGHT - 1 - Y)
    rail = _cover(edge - RAIL_HEIGHT, 0.8)
    profile = 0.46 + 0.16 * np.cos((edge - RAIL_HEIGHT * 0.45) / RAIL_HEIGHT * 4.0) + 0.02 * _sample(BRUSHED, X, Y)
    bolts = _cover(np.hypot((X + 40) % 110 - 55, edge - 8) - 4.0)
    image = image * (1 - rail[..., None]) + ((profile * (1 - 0.45 * bolts)) * rail)[..., None]
    gap = np.exp(-((edge - RAIL_HEIGHT - 2) / 2.5) ** 2) * 0.45
    return image * (1 - gap[..., None])


def _pose(rng, kind):
    angle = rng.uniform(-4, 4)
    shift_x, shift_y = rng.uniform(-26, 26), rng.uniform(-8, 8)
    if kind == "misaligned":
        if rng.random() < 0.7:
            angle = rng.uniform(11, 32) * rng.choice([-1, 1])
        else:
            shift_y = rng.uniform(24, 38) * rng.choice([-1, 1])
    return np.deg2rad(angle), shift_x, shift_y, rng.uniform(0.95, 1.05)


def _scratch_distance(u, v, rng):
    """Distance to a slightly bent line across the plate, growing towards its ends so that it tapers off."""
    length, heading = rng.uniform(45, 125), rng.uniform(0, 2 * np.pi)
    middle = np.array([rng.uniform(-62, 62), rng.uniform(-34, 34)])
    bend = rng.uniform(-0.5, 0.5)
    steps = np.linspace(-0.5, 0.5, 9)
    points = [middle + length * s * np.array([np.cos(heading + bend * s), np.sin(heading + bend * s)]) for s in steps]
    best = np.full(u.shape, 1e9, dtype=np.float32)
    for part, (a, b) in enumerate(zip(points, points[1:])):
        d = b - a
        t = np.clip(((u - a[0]) * d[0] + (v - a[1]) * d[1]) / (d @ d), 0, 1)
        taper = np.maximum(np.abs((part + t) / 4 - 1) - 0.6, 0) * 3.0
        best = np.minimum(best, np.hypot(u - a[0] - t * d[0], v - a[1] - t * d[1]) + taper)
    return best


def _scratches(u, v, metal, rng):
    """Brightness to add; scratches that would hardly lie on metal are drawn again."""
    total = np.zeros(u.shape, dtype=np.float32)
    for _ in range(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15])):
        for _ in range(20):
            distance = _scratch_distance(u, v, rng)
            if ((distance < 1.0) & (metal > 0.9)).sum() > 75:
                break
        width = rng.uniform(0.9, 1.5)
        core = np.exp(-((distance / width) ** 2))
        lip = np.exp(-(((distance - 2.0 * width) / width) ** 2))
        total += rng.uniform(0.28, 0.45) * core - rng.uniform(0.14, 0.28) * lip
    return total


def _smudges(u, v, rng):
    """Oil: soft, wide and dark, in every class; a scratch is thin."""
    shade = np.ones(u.shape, dtype=np.float32)
    for _ in range(rng.integers(0, 4)):
        center, size = (rng.uniform(-85, 85), rng.uniform(-50, 50)), rng.uniform(10, 26)
        shade -= rng.uniform(0.05, 0.16) * np.exp(-(_circle(u, v, center, 0) / size) ** 2)
    return shade


def _part(image, kind, rng):
    """Lays the plate with its shadow over the belt."""
    angle, shift_x, shift_y, size = _pose(rng, kind)
    dx, dy = (X - WIDTH / 2 - shift_x) / size, (Y - HEIGHT / 2 - shift_y) / size
    u, v = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)

    missing = []
    if kind == "missing-hole":
        missing = rng.choice(4, size=rng.choice([1, 2], p=[0.8, 0.2]), replace=False)
    outline = np.maximum(_rounded_box(u, v, *PART_HALF, 11.0), -_circle(u, v, (0, -PART_HALF[1] - 4), 13.0))
    voids = _circle(u, v, (0, 0), BORE_RADIUS)
    for index, center in enumerate(HOLES):
        if index not in missing:
            voids = np.minimum(voids, _circle(u, v, center, HOLE_RADIUS))
    solid = np.maximum(outline, -voids)
    metal = _cover(solid)

    light_angle = rng.uniform(0, 2 * np.pi)
    light_x, light_y = np.cos(light_angle), np.sin(light_angle)
    shadow = _cover(outline, 7.0)
    shadow = np.roll(shadow, (int(round(-6 * light_y)), int(round(-6 * light_x))), axis=(0, 1))
    image = image * (1 - 0.5 * shadow[..., None])

    slope_y, slope_x = np.gradient(solid)
    bevel = np.clip(1 + solid / 3.0, 0, 1) * (slope_x * light_x + slope_y * light_y)
    ring = np.exp(-((_circle(u, v, (0, 0), BORE_RADIUS + 9) / 1.6) ** 2))
    sheen_at = rng.uniform(-80, 80)
    sheen = rng.uniform(0.0, 0.14) * np.exp(-(((u * 0.8 + v * 0.6) - sheen_at) / rng.uniform(25, 60)) ** 2)
    offset = rng.uniform(0, 1024, 2)
    tone = rng.uniform(0.55, 0.68) * _smudges(u, v, rng) + sheen + 0.16 * bevel - 0.10 * ring
    tone = tone + rng.uniform(0.010, 0.026) * _sample(BRUSHED, u + offset[0], v * 2 + offset[1])
    for index in missing:
        tone = tone - 0.25 * np.exp(-(_circle(u, v, HOLES[index], 0) / 1.6) ** 2)  # the punch mark of the hole to be
    if kind == "scratched":
        tone = tone + _scratches(u, v, metal, rng)
    tint = np.array([0.985, 1.0, 1.02], dtype=np.float32)
    return image * (1 - metal[..., None]) + tone[..., None] * metal[..., None] * tint


def _camera(image, rng):
    """Uneven light, lens, exposure and sensor."""
    direction, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.22)
    across = ((X - WIDTH / 2) * np.cos(direction) + (Y - HEIGHT / 2) * np.sin(direction)) / (WIDTH / 2)
    radius2 = ((X - WIDTH / 2) ** 2 + (Y - HEIGHT / 2) ** 2) / (WIDTH / 2) ** 2
    light = (1 + strength * across) * (1 - rng.uniform(0.05, 0.22) * radius2) * rng.uniform(0.78, 1.22)
    balance = 1 + rng.uniform(-0.05, 0.05, 3).astype(np.float32)
    image = np.clip(image * light[..., None] * balance, 0, 1)
    length = rng.integers(1, 4)
    image = sum(np.roll(image, step, axis=1) for step in range(length)) / length
    picture = Image.fromarray((image * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    noise = rng.standard_normal((HEIGHT, WIDTH, 3), dtype=np.float32) * rng.uniform(1.5, 5.0)
    return np.clip(np.asarray(picture, dtype=np.float32) + noise, 0, 255).astype(np.uint8)


def render(kind, seed):
    """One frame as uint8 [240, 320, 3]."""
    rng = np.random.default_rng([seed, CLASSES.index(kind)])
    return _camera(_part(_belt(rng), kind, rng), rng)


def encode(frame):
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def preprocess(jpeg, size, reduced=True):
    """What the agent does with a frame: RGB, bilinear stretch (its triangle as wide as the factor); uint8-range floats [3, size, size].

    reduced: the JPEG decoder already scales by 1/2, 1/4 or 1/8 where that still covers the input, as the agent's does."""
    picture = Image.open(io.BytesIO(jpeg))
    if reduced:
        picture.draft("RGB", (size, size))
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)
    return np.stack([np.asarray(Image.fromarray(pixels[..., c], "F").resize((size, size), Image.BILINEAR)) for c in range(3)])


REPLAY_SEED = 7_000_000
REPLAY_PARTS = 46
REPLAY_DEFECTS = {4: 1, 8: 2, 11: 3, 15: 1, 19: 2, 22: 3, 25: 1, 29: 3, 32: 2, 36: 1, 39: 3, 43: 2}  # part: index in CLASSES
REPLAY_STOPS = {6: 5, 17: 4, 30: 5}  # part: how many more times the camera sends it while the belt stands


def write_replay(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "frames.csv", "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file", "truth"])
        for part in range(REPLAY_PARTS):
            kind = CLASSES[REPLAY_DEFECTS.get(part, 0)]
            name = f"part-{part:02d}.jpg"
            (folder / name).write_bytes(encode(render(kind, REPLAY_SEED + part)))
            for _ in range(1 + REPLAY_STOPS.get(part, 0)):
                rows.writerow([name, kind])


def write_sheet(path, seed):
    columns = 4
    sheet = Image.new("RGB", (columns * WIDTH, len(CLASSES) * HEIGHT))
    for row, kind in enumerate(CLASSES):
        for column in range(columns):
            sheet.paste(Image.open(io.BytesIO(encode(render(kind, seed + column)))), (column * WIDTH, row * HEIGHT))
    sheet.save(path)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sheet", metavar="FILE", help="write examples of each class as one picture and stop")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    if given.sheet:
        write_sheet(given.sheet, given.seed)
    else:
        write_replay(pathlib.Path(__file__).resolve().parent / "frames")
