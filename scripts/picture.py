"""Draw the matrix of images for the README, from what docker-bake.hcl says of them."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from scripts.console import say, start
from scripts.matrix import Image, columns, images
from scripts.paths import ROOT

PICTURE = ROOT / "docs" / "images.svg"

_INK, _FAINT, _DOT = "#1f2933", "#d5dbe1", "#2f7d5b"


def draw(listed: Sequence[Image]) -> None:
    """Write the picture: a row an image, a column a capability."""
    mpl.rcParams["svg.hashsalt"] = "vmaf-images"  # the same images give the same file
    mpl.rcParams["svg.fonttype"] = "none"
    table = columns(listed)
    left, step = 4.3, 1.15
    width, height = left + step * len(table), 1.3 + 0.75 * len(listed)
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    style: dict[str, Any] = {"va": "center", "color": _INK, "family": "sans-serif"}
    for row, image in enumerate(listed):
        y = 1.5 + 0.75 * row
        axes.plot([0.2, width - 0.2], [y - 0.38] * 2, color=_FAINT, linewidth=1)
        axes.text(0.2, y - 0.13, image.tag, fontsize=13, weight="bold", **style)
        note = textwrap.shorten(image.description, 60)
        axes.text(0.2, y + 0.16, note, fontsize=9, **style)
    for column, (heading, held) in enumerate(table):
        x = left + step * (column + 0.5)
        axes.text(x, 0.6, heading, fontsize=9, ha="center", **style)
        for row, has in enumerate(held):
            y = 1.5 + 0.75 * row
            face = _DOT if has else "none"
            axes.plot(x, y, "o", markersize=13, markerfacecolor=face, markeredgecolor=_FAINT)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


def main(_words: Sequence[str]) -> int:
    """Draw every image of the bake file."""
    draw(list(images().values()))
    say(f"drawn: {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    start(main)
