"""Every colour pair that the components use is readable in both themes (WCAG 2.2: 4.5 for text, 3 for shapes)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parents[1] / "static" / "ui" / "tokens.css").read_text()
TOKENS = dict(re.findall(r"(--[\w-]+):\s*(light-dark\(oklch\([^)]*\), oklch\([^)]*\)\)|oklch\([^)]*\))\s*;", CSS))
WHITE = "oklch(1 0 0)"
STATUS = ("ok", "warn", "bad")
SERIES = tuple(f"--c{i}" for i in range(1, 8))

TEXT = [
    *((ink, on) for ink in ("--ink", "--ink-2", "--ink-3") for on in ("--canvas", "--surface", "--surface-2")),
    *((ink, on) for ink in ("--ink", "--ink-2", "--ink-3") for on in ("--hover", "--raised", "--press")),
    *((ink, "--accent-soft") for ink in ("--ink", "--ink-2", "--accent-ink")),
    *(("--accent-ink", on) for on in ("--surface", "--surface-2", "--raised", "--hover")),
    *(("--on-accent", on) for on in ("--accent", "--accent-hover")),
    *((f"--{s}-ink", on) for s in STATUS for on in (f"--{s}-soft", "--surface", "--raised")),
    ("--surface", "--bad-ink"),  # the solid danger button
]
SHAPES = [
    *(("--line-control", on) for on in ("--surface", "--surface-2")),
    *(("--focus", on) for on in ("--surface", "--canvas", "--accent-soft", "--raised")),
    *((shape, "--surface") for shape in (*(f"--{s}" for s in STATUS), *SERIES)),
]


def _linear(lightness: float, chroma: float, hue: float) -> list[float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
    rgb = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short,
    )
    return [min(1, max(0, value)) for value in rgb]


def _luminance(name: str, theme: str) -> float:
    colours = re.findall(r"oklch\(([^)]*)\)", TOKENS.get(name, name))
    chosen = colours[0] if len(colours) == 1 or theme == "light" else colours[1]
    red, green, blue = _linear(*map(float, chosen.split("/")[0].split()))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str, theme: str) -> float:
    darker, lighter = sorted((_luminance(one, theme), _luminance(other, theme)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_right():
    assert ratio("oklch(0 0 0)", WHITE, "light") == pytest.approx(21, abs=0.01)
    assert ratio("oklch(0.5999 0 0)", WHITE, "light") == pytest.approx(3.95, abs=0.05)  # #808080


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable(theme):
    found = {pair: round(ratio(*pair, theme), 2) for pair in TEXT}
    assert {pair: value for pair, value in found.items() if value < 4.5} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_shapes_that_mean_something_are_seen(theme):
    found = {pair: round(ratio(*pair, theme), 2) for pair in SHAPES}
    assert {pair: value for pair, value in found.items() if value < 3} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_on_the_ramp_are_readable(theme):
    dark_ink, light_ink = "oklch(.20 .05 268)", "oklch(.95 .012 268)"
    inks = {
        "light": [dark_ink] * 7 + [WHITE] * 3,
        "dark": [light_ink] * 7 + [WHITE] + ["oklch(.17 .04 268)"] * 2,
    }[theme]
    found = {f"--h{i}": round(ratio(inks[i], f"--h{i}", theme), 2) for i in range(10)}
    assert {name: value for name, value in found.items() if value < 4.5} == {}
