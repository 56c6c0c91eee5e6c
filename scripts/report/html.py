"""Write build/report.html from the records of builds and benchmarks: `nox -s report`.

The page shows the duration of each stage and how builds change over time. It is one file, which
needs no server, network or script.
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
from scripts.report.causes import stage_causes
from scripts.report.timeline import ticks, timeline

PAGE = RECORDS / "report.html"
TEMPLATES = Path(__file__).with_name("templates")

_MAX_BUILDS = 60
_FILTERS: Mapping[str, Callable[..., str]] = {
    "bytes": decimal,
    "mark": formatting.mark,
    "moment": formatting.moment,
    "percent": formatting.percent,
    "duration": formatting.duration,
}


def template_variables(builds: Sequence[BuildRecord]) -> dict[str, Any]:
    """Return the variables of the template; `builds` must be sorted by their start."""
    notes = []
    try:
        images = list(catalogue.images().values())
    except UserError as error:
        notes.append(f"The table of images is missing: {error.why}.")
        images = []
    image_layers = layers.built_layers(images, builds)
    if not image_layers:
        notes.append("No layers are shown: no engine answers, or it has none of the images.")
    drawn = series.timeline_builds(builds)
    run = benchmarks.newest_run()
    rebuilds = benchmarks.rebuilds(run) if run else []
    return {
        "made": datetime.now(UTC),
        "revision": revision(),
        "notes": notes,
        "builds": builds[-_MAX_BUILDS:],
        "omitted": max(0, len(builds) - _MAX_BUILDS),
        "timelines": [(build, timeline(build)) for build in drawn],
        "causes": {build.started: stage_causes(build, builds) for build in drawn},
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
    """Return a function that maps the name and targets of a stage to its colour.

    The colour is the index of the stage's image, or -1 if several images share the stage.
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
    """Return the HTML of the page."""
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
