"""Results as a Markdown table, JSON and charts."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from scripts.bench.measuring import Row, Spread

_PACKAGES = ("litestar", "uvicorn", "uvloop", "pycasbin", "pyjwt", "cryptography", "msgspec", "sqlalchemy")
_MET = {True: "yes", False: "no", None: ""}
_WIDTH, _HEIGHT, _EDGE = 800, 360, 60
_LEFT, _RIGHT = 80, 230  # of the lines: the numbers beside them, and their names
_APART = 15  # two names


def machine() -> dict[str, object]:
    """The machine and the versions."""
    model = next((line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), "")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []


def write(directory: Path, rows: Sequence[Row], failed: Mapping[str, str], how: Mapping[str, object]) -> None:
    """Write the results so far to a directory: `results.json`, `results.md`, `rules.svg`, `keys.svg`."""
    directory.mkdir(parents=True, exist_ok=True)
    found = {"machine": machine(), "how": how, "rows": [row.as_json() for row in rows], "failed": failed}
    (directory / "results.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    (directory / "results.md").write_text(markdown(rows, failed, how))
    rules = [row for row in rows if row.part == "decide" and row.size]
    keys = [row for row in rows if row.part == "keys" and row.size]
    (directory / "rules.svg").write_text(chart("A decision, by the number of rules", "rules", rules))
    (directory / "keys.svg").write_text(chart("A request by an API key, by the number in use", "keys in use", keys))


def markdown(rows: Iterable[Row], failed: Mapping[str, str], how: Mapping[str, object]) -> str:
    """The table below a description of the machine."""
    here = machine()
    versions = ", ".join(f"{name} {number}" for name, number in dict(here["versions"]).items())  # type: ignore[call-overload]  # as above
    said = ", ".join(f"{name} {value}" for name, value in how.items())
    lines = [
        f"{here['processor']}, {here['cores']} cores, {here['system']}, Python {here['python']}, {versions}; {said}.",
        "",
        "| part | what | ours | compared with | ratio | goal | met |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        other = f"{_of(row.other, row.unit)} ({row.beside})" if row.other else ""
        ratio = _of(row.ratio, "") if row.ratio else ""
        goal = "; ".join(said for said in (row.goal, row.note) if said)
        ours = _of(row.ours, row.unit) if row.ours else ""
        lines.append(f"| {row.part} | {row.what} | {ours} | {other} | {ratio} | {goal} | {_MET[row.met]} |")
    lines += [f"\nThe part `{part}` failed: {why}" for part, why in failed.items()]
    return "\n".join(lines) + "\n"


def _of(spread: Spread, unit: str) -> str:
    least, middle, most = (_number(value) for value in (spread.min, spread.median, spread.max))
    unit = "/s" if unit == "1/s" else f" {unit}" if unit else ""
    return f"{middle}{unit} ({least} to {most})" if least != most else f"{middle}{unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def chart(title: str, across: str, rows: Iterable[Row]) -> str:
    """A chart with logarithmic axes, and a line for each measurement at several sizes."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row.size and row.ours:
            name = (
                row.what.replace(f"{row.size:,} rules", "")
                .replace(f"{row.size:,} ", "")
                .strip(" ,")
                .replace(", ,", ",")
            )
            lines.setdefault(name, []).append((row.size, row.ours.median))
    points = [point for line in lines.values() for point in line]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/><text x="{_LEFT}" y="24">{title}</text>'
    ]
    if points:
        xs, ys = ([math.log10(value) for value in values] for values in zip(*points, strict=True))
        left, right, low, high = min(xs), max(xs), math.floor(min(ys)), math.ceil(max(ys)) or 1

        def place(x: float, y: float) -> tuple[float, float]:
            over = (math.log10(x) - left) / ((right - left) or 1)
            up = (math.log10(y) - low) / ((high - low) or 1)
            return _LEFT + over * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _EDGE - up * (_HEIGHT - 2 * _EDGE)

        for power in range(low, high + 1):
            y = place(10**left, 10**power)[1]
            parts.append(f'<path d="M{_LEFT} {y:.0f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
            parts.append(f'<text x="4" y="{y + 4:.0f}">{_number(10.0**power)} µs</text>')
        for size in sorted({x for x, _ in points}):
            parts.append(f'<text x="{place(size, 10**low)[0]:.0f}" y="{_HEIGHT - 40}">{size:,}</text>')
        names: list[tuple[float, str, str]] = []
        for number, (name, line) in enumerate(lines.items()):
            colour = f"hsl({number * 67 % 360} 60% 40%)"
            drawn = [place(*point) for point in sorted(line)]
            parts += [
                f'<path d="M{a:.0f} {b:.0f}L{c:.0f} {d:.0f}" stroke="{colour}" stroke-width="2"/>'
                for (a, b), (c, d) in pairwise(drawn)
            ]
            names.append((drawn[-1][1] + 4, name, colour))
        lowest = float("-inf")
        for y, name, colour in sorted(names):
            lowest = max(y, lowest + _APART)
            parts.append(f'<text x="{_WIDTH - _RIGHT + 8}" y="{lowest:.0f}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{(_WIDTH + _LEFT - _RIGHT) // 2}" y="{_HEIGHT - 14}">{across}</text></svg>\n')
    return "".join(parts)
