"""Pictures of the world: flat, bold scenes whose caption leaves most of the layout open.

Pictures are drawn at 4 times their size or more and scaled down.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from shapes import FIXED, SHAPES
from wording import fill

if TYPE_CHECKING:
    from random import Random

    from shapes import RGB
    from wording import Content, Print

CANVAS = 256

PAINT: dict[str, RGB] = {
    "red": (212, 40, 48), "orange": (240, 130, 30), "yellow": (250, 210, 50), "green": (50, 150, 70),
    "blue": (40, 90, 210), "purple": (130, 60, 180), "pink": (245, 130, 170), "white": (245, 242, 235),
    "black": (30, 28, 36),
}  # fmt: skip
SKIES: dict[str, tuple[tuple[RGB, RGB], ...]] = {
    # top and bottom of the sky; a scene takes one of them
    "dawn": (
        ((250, 190, 150), (255, 235, 200)),
        ((160, 190, 235), (250, 215, 225)),
        ((235, 160, 190), (250, 225, 170)),
    ),
    "noon": (((70, 160, 235), (190, 230, 250)), ((120, 205, 240), (235, 250, 250)), ((40, 120, 200), (140, 210, 220))),
    "dusk": (((90, 60, 140), (240, 130, 90)), ((200, 70, 80), (250, 190, 90)), ((60, 70, 130), (230, 150, 170))),
    "night": (((10, 14, 45), (40, 50, 110)), ((20, 10, 50), (80, 40, 110)), ((5, 25, 45), (25, 80, 100))),
    "storm": (((90, 95, 105), (150, 155, 160)), ((60, 75, 90), (120, 140, 140)), ((110, 100, 115), (185, 175, 170))),
}
GROUNDS: dict[str, tuple[RGB, ...]] = {
    "meadow": ((100, 180, 70), (150, 195, 80), (60, 140, 90)),
    "desert": ((225, 180, 110), (205, 140, 80), (235, 205, 150)),
    "snow": ((235, 242, 250), (205, 220, 240), (225, 225, 235)),
    "sea": ((30, 90, 150), (40, 130, 160), (20, 60, 110)),
    "beach": ((240, 220, 165), (225, 195, 140), (250, 235, 200)),
    "city": ((95, 95, 105), (130, 125, 120), (70, 75, 90)),
    "forest": ((55, 100, 50), (80, 90, 45), (40, 80, 70)),
    "mountain": ((120, 125, 100), (140, 115, 95), (95, 120, 110)),
    "lake": ((90, 160, 190), (70, 130, 150), (120, 175, 200)),
}


def scene(content: Content | None, rng: Random, size: int) -> np.ndarray:
    """A picture of the content, everything that it leaves open drawn at random: uint8 (size, size, 3)."""
    name, colour, place, time = fill(content, rng)
    image = Image.new("RGB", (CANVAS, CANVAS))
    pen = ImageDraw.Draw(image)
    horizon = rng.uniform(0.4, 0.8)
    _sky(pen, time, rng)
    _far(pen, place, horizon, rng)
    ground = _jitter(rng.choice(GROUNDS[place]), rng)
    pen.rectangle(_box((0, horizon, 1, 1)), fill=ground)
    _near(pen, place, ground, horizon, rng)
    subject = rng.uniform(0.34, 0.62)
    x, foot = rng.uniform(0, 1 - subject), rng.uniform(max(horizon, subject + 0.02), 0.97)
    if rng.random() < 0.5:
        other, tint = rng.choice(list(SHAPES)), rng.choice(list(PAINT))
        other_size = rng.uniform(0.15, 0.3)
        _put(
            pen,
            other,
            (rng.uniform(0, 1 - other_size), rng.uniform(0, 0.95 - other_size)),
            other_size,
            PAINT[tint],
            ground,
        )
    _put(pen, name, (x, foot - subject), subject, _jitter(PAINT[colour], rng), ground)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _small(image, size)


def phone_case(shown: Print, rng: Random, size: int) -> np.ndarray:
    """A shop's picture: always the same phone on the same table, only the print varies: uint8 (size, size, 3)."""
    image = Image.new("RGB", (CANVAS, CANVAS), (236, 214, 196))
    pen = ImageDraw.Draw(image)
    pen.polygon(_points((0, 0.7, 1, 0.55, 1, 1, 0, 1)), fill=(150, 105, 80))
    pen.ellipse(_box((0.74, 0.66, 1.06, 0.98)), fill=(70, 120, 80))
    pen.rectangle(_box((0.02, 0.04, 0.2, 0.34)), fill=(60, 80, 130))
    pen.rounded_rectangle(_box((0.27, 0.03, 0.73, 0.97)), radius=30, fill=(35, 32, 40))
    _print(pen, (0.31, 0.07, 0.69, 0.93), shown, rng, 0.32)
    pen.rounded_rectangle(_box((0.34, 0.1, 0.5, 0.24)), radius=12, fill=(35, 32, 40))
    pen.ellipse(_box((0.36, 0.12, 0.42, 0.18)), fill=(200, 210, 220))
    return _small(image, size)


def wall_art(shown: Print, rng: Random, size: int) -> np.ndarray:
    """A shop's picture: always the same room with a framed print above the sofa: uint8 (size, size, 3)."""
    image = Image.new("RGB", (CANVAS, CANVAS), (190, 205, 195))
    pen = ImageDraw.Draw(image)
    pen.rectangle(_box((0, 0.84, 1, 1)), fill=(160, 120, 85))
    pen.rounded_rectangle(_box((0.08, 0.62, 0.92, 0.9)), radius=24, fill=(70, 90, 140))
    pen.rounded_rectangle(_box((0.14, 0.72, 0.86, 0.84)), radius=14, fill=(110, 130, 180))
    pen.polygon(_points((0.84, 0.2, 1, 0.2, 1.06, 0.4, 0.78, 0.4)), fill=(250, 225, 150))
    pen.rectangle(_box((0.91, 0.4, 0.94, 0.66)), fill=(60, 50, 50))
    pen.rectangle(_box((0.2, 0.05, 0.72, 0.57)), fill=(60, 45, 35))
    _print(pen, (0.24, 0.09, 0.68, 0.53), shown, rng, 0.36)
    return _small(image, size)


def _print(pen: ImageDraw.ImageDraw, box: tuple[float, ...], shown: Print, rng: Random, size: float) -> None:
    """Fills the box with a ground of any colour and the motif on it."""
    grounds = [name for name in PAINT if name != shown.colour]
    ground = _mix(PAINT[rng.choice(grounds)], (255, 255, 255), rng.choice([0.0, 0.45]))
    pen.rectangle(_box(box), fill=ground)
    middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    _put(pen, shown.motif, (middle_x - size / 2, middle_y - size / 2), size, PAINT[shown.colour], ground)


def _sky(pen: ImageDraw.ImageDraw, time: str, rng: Random) -> None:
    top, bottom = (_jitter(colour, rng) for colour in rng.choice(SKIES[time]))
    for line in range(CANVAS):
        pen.line((0, line, CANVAS, line), fill=_mix(top, bottom, line / CANVAS))
    x, y, r = rng.uniform(0.05, 0.75), rng.uniform(0.03, 0.3), rng.uniform(0.14, 0.28)
    if time != "storm":
        sun = {"night": (240, 240, 215), "noon": (255, 240, 150)}.get(time, (255, 205, 110))
        pen.ellipse(_box((x, y, x + r, y + r)), fill=sun)
    cloud = _mix(bottom, (255, 255, 255) if time != "storm" else (60, 60, 70), 0.6)
    for _ in range(rng.randint(0, 3)):
        x, y, w = rng.uniform(-0.1, 0.8), rng.uniform(0.02, 0.35), rng.uniform(0.2, 0.45)
        pen.ellipse(_box((x, y, x + w, y + w * 0.4)), fill=cloud)
        pen.ellipse(_box((x + w * 0.3, y - w * 0.15, x + w * 0.8, y + w * 0.3)), fill=cloud)


def _far(pen: ImageDraw.ImageDraw, place: str, horizon: float, rng: Random) -> None:
    """What stands on the horizon: peaks, blocks, trees or a low hill."""
    tone = _jitter(_mix(GROUNDS[place][0], (60, 70, 110), 0.45), rng)
    x = rng.uniform(-0.2, 0.0)
    while x < 1:
        w, h = rng.uniform(0.12, 0.3), rng.uniform(0.08, 0.35)
        if place == "mountain":
            pen.polygon(_points((x - w, horizon, x + w / 2, horizon - h * 1.4, x + 2 * w, horizon)), fill=tone)
            pen.polygon(
                _points(
                    (x + w * 0.2, horizon - h * 1.12, x + w / 2, horizon - h * 1.4, x + w * 0.8, horizon - h * 1.12)
                ),
                fill=(240, 245, 250),
            )
        elif place == "city":
            pen.rectangle(_box((x, horizon - h * 1.3, x + w * 0.8, horizon)), fill=_jitter(tone, rng))
        elif place == "forest":
            pen.polygon(_points((x, horizon, x + w / 2, horizon - h * 1.2, x + w, horizon)), fill=_jitter(tone, rng))
        elif place in ("meadow", "desert", "snow"):
            pen.ellipse(_box((x, horizon - h * 0.5, x + 2 * w, horizon + h)), fill=tone)
        x += w


def _near(pen: ImageDraw.ImageDraw, place: str, ground: RGB, horizon: float, rng: Random) -> None:
    """What lies on the ground: waves, flowers, stones."""
    light, dark = _mix(ground, (255, 255, 255), 0.4), _mix(ground, (20, 20, 40), 0.35)
    flower = PAINT[rng.choice(list(PAINT))]
    for _ in range(rng.randint(3, 7)):
        x, y, w = rng.uniform(-0.1, 1), rng.uniform(horizon, 1), rng.uniform(0.06, 0.14)
        if place in ("sea", "lake"):
            pen.rectangle(_box((x, y, x + w * 3, y + 0.03)), fill=light)
        elif place == "meadow":
            pen.ellipse(_box((x, y, x + w * 0.7, y + w * 0.7)), fill=flower)
        else:
            pen.ellipse(_box((x, y, x + w * 2, y + w * 0.6)), fill=rng.choice([light, dark]))


def _put(pen: ImageDraw.ImageDraw, name: str, corner: tuple[float, float], size: float, main: RGB, ground: RGB) -> None:
    """Draws the shape into the square of this size at the corner."""
    shades = {
        "main": main,
        "light": _mix(main, (255, 255, 255), 0.45),
        "dark": _mix(main, (10, 10, 25), 0.45),
        "ground": ground,
    }
    for kind, shade, numbers in SHAPES[name]:
        placed = tuple(corner[i % 2] + size * v for i, v in enumerate(numbers))
        fill = shades.get(shade) or FIXED.get(shade, main)
        if kind == "poly":
            pen.polygon(_points(placed), fill=fill)
        elif kind == "oval":
            pen.ellipse(_box(placed), fill=fill)
        else:
            pen.rectangle(_box(placed), fill=fill)


def _points(numbers: tuple[float, ...]) -> list[tuple[float, float]]:
    return [(numbers[i] * CANVAS, numbers[i + 1] * CANVAS) for i in range(0, len(numbers), 2)]


def _box(numbers: tuple[float, ...]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (v * CANVAS for v in numbers)
    return left, top, right, bottom


def _mix(a: RGB, b: RGB, share: float) -> RGB:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _jitter(colour: RGB, rng: Random) -> RGB:
    """The colour a little off in hue, saturation and value."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(v / 255 for v in colour))
    mixed = colorsys.hsv_to_rgb(
        (hue + rng.uniform(-0.03, 0.03)) % 1,
        min(1, max(0, saturation + rng.uniform(-0.12, 0.12))),
        min(1, max(0, value + rng.uniform(-0.12, 0.12))),
    )
    red, green, blue = (round(255 * v) for v in mixed)
    return red, green, blue


def _small(image: Image.Image, size: int) -> np.ndarray:
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
