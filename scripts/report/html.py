"""Make build/report.html from the records of builds and benches: `nox -s report`.

It shows where the time of a build went, and whether builds are as fast as they were. The page
is one file that needs no server, network or script.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.filesize import decimal

from scripts.buildkit.records import BuildRecord
from scripts.core.console import UserError
from scripts.core.git import revision
from scripts.core.paths import RECORDS
from scripts.images import catalogue
from scripts.images.sizes import baselines
from scripts.report import benchmarks, formatting, layers, series
from scripts.report.timeline import ticks, timeline

PAGE = RECORDS / "report.html"
TEMPLATES = Path(__file__).with_name("templates")

_MOST_BUILDS = 60
_FILTERS: Mapping[str, Callable[..., str]] = {
    "bytes": decimal,
    "mark": formatting.mark,
    "moment": formatting.moment,
    "percent": formatting.percent,
    "duration": formatting.duration,
}


def gather(builds: Sequence[BuildRecord]) -> dict[str, Any]:
    """Return the variables of the template; `builds` are sorted by their start."""
    notes = []
    try:
        images = list(catalogue.images().values())
    except UserError as error:
        notes.append(f"The table of images is missing: {error.why}.")
        images = []
    image_layers = layers.built_layers(images, builds)
    if not image_layers:
        notes.append("No layers are shown: no engine answers, or it has none of the images.")
    run = benchmarks.newest_run()
    rebuilds = benchmarks.rebuilds(run) if run else []
    return {
        "made": datetime.now(UTC),
        "revision": revision(),
        "notes": notes,
        "builds": builds[-_MOST_BUILDS:],
        "omitted": max(0, len(builds) - _MOST_BUILDS),
        "timelines": [(build, timeline(build)) for build in series.worth_a_timeline(builds)],
        "rates": series.hit_rates(builds),
        "images": images,
        "layers": image_layers,
        "sizes": series.sizes(builds),
        "baseline": baselines(),
        "run": run,
        "rebuilds": rebuilds,
        "contenders": [
            name
            for name in benchmarks.CONTENDERS
            if any(name in rebuild.seconds for rebuild in rebuilds)
        ],
        "figures": benchmarks.newest_figures(),
    }


def hues(images: Sequence[catalogue.Image]) -> Callable[[str, Sequence[str]], int]:
    """Return a function that gives the colour of a stage, from its name and targets.

    The colour is the number of the stage's image, or -1 for a stage of several images.
    """
    numbers = {image.name: number for number, image in enumerate(images)}
    stages = {image.stage: image.name for image in images}

    def hue(stage: str, targets: Sequence[str]) -> int:
        named = [name for name in numbers if f"-{stage}".endswith(f"-{name}")]
        targeted = [name for name in targets if name in numbers]
        alone = targeted[0] if len(targeted) == 1 else stages.get(stage, "")
        return numbers.get(named[-1] if named else alone, -1)

    return hue


def render(variables: Mapping[str, Any]) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _FILTERS
    helpers = {
        "build_hit_rate": series.build_hit_rate,
        "hue": hues(variables["images"]),
        "marks_around": formatting.marks_around,
        "scale": formatting.scale,
        "ticks": ticks,
    }
    return environment.get_template("report.html").render(**helpers, **variables)
