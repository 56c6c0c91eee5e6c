"""Make one page of all that builds and benches have left: `nox -s report`.

For whoever asks where the time of a build went, or whether it is as fast as it
was. The page is one file: no server, no network, no script.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite, log10
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.filesize import decimal

from scripts.buildkit import records
from scripts.buildkit.rawjson import CONTEXT, EXPORT
from scripts.buildkit.records import Record, read_time
from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.git import revision
from scripts.core.paths import PERFORMANCE, RECORDS, ROOT, RUN
from scripts.images import catalogue
from scripts.images.sizes import baselines
from scripts.report import summary
from scripts.report.timeline import ticks, timeline

PAGE = RECORDS / "report.html"
_REBUILDS = (RUN, "-rebuild.json")
"""How the names of the rebuild bench's files end; the second has figures as other benches do."""
TEMPLATES = ROOT / "scripts" / "templates"

_WORK = 1.0
"""A build whose stages took less seconds had nothing to do."""
_MOST_BUILDS = 60
_MINUTE = 60
_ROUND = (0.1, 1, 10, 60, 600, 3600, 36000, 360000)
_CONTENDERS = ("before", "registry", "adr", "ours", "limit")


@dataclass(frozen=True)
class Point:
    """A value of a series, for a small drawing."""

    when: datetime
    value: float
    title: str


@dataclass(frozen=True)
class Rate:
    """How one compiler cache served one stage."""

    stage: str
    cache: str
    hits: int
    calls: int
    when: datetime
    before: Sequence[Point]
    """In earlier builds, oldest first, and in this one."""

    @property
    def share(self) -> float:
        """Hits per call."""
        return self.hits / self.calls

    @property
    def best(self) -> float:
        """The best that it ever was."""
        return max(point.value for point in self.before)

    @property
    def fell(self) -> bool:
        """Whether it is well below that, which `nox -s build` shouts about."""
        return self.calls >= records.FEWEST_CALLS and self.best - self.share > summary.DROP


@dataclass(frozen=True)
class Layer:
    """A layer of a built image, the base first."""

    name: str
    size: int
    made_by: str


# What is on the page


def work(record: Record) -> float:
    """Return the seconds that the stages of a build took, waiting included."""
    stages = (stage for stage in record.stages if stage.name not in {CONTEXT, EXPORT})
    return sum(stage.seconds for stage in stages)


def telling(records: Sequence[Record]) -> list[Record]:
    """Return the builds whose time is worth looking at, the latest first.

    They are the latest that had something to do, the latest good ones of each
    other target, and the one that took most.
    """
    worked = [record for record in reversed(records) if work(record) >= _WORK]
    chosen, told = worked[:1], set[str]()
    for record in worked:
        if record.outcome == "built" and not told.issuperset(record.targets):
            chosen.append(record)
            told.update(record.targets)
    chosen += [max(worked, key=work)] if worked else []
    return [record for record in worked if any(record is one for one in chosen)]


def all_rates(records: Iterable[Record]) -> list[Rate]:
    """Return each stage's latest hit rates and what they were before; most calls first."""
    series: dict[tuple[str, str], list[Point]] = {}
    latest: dict[tuple[str, str], Rate] = {}
    for record in records:
        for stage in record.stages if not record.namespace else ():
            for cache, (hits, calls) in stage.rates.items():
                when, points = read_time(record.started), series.setdefault((stage.name, cache), [])
                title = f"{moment(when)}: {hits} of {calls}, {percent(hits / calls)}"
                points.append(Point(when, hits / calls, title))
                latest[stage.name, cache] = Rate(stage.name, cache, hits, calls, when, points)
    return sorted(latest.values(), key=lambda rate: (rate.cache, rate.stage))


def hit_rate(record: Record) -> float | None:
    """Return the share of all calls in a build that some compiler cache answered."""
    counts = [count for stage in record.stages for count in stage.rates.values()]
    calls = sum(of for _, of in counts)
    return sum(hits for hits, _ in counts) / calls if calls else None


def sizes(records: Iterable[Record]) -> dict[str, list[Point]]:
    """Return how large each tag was, build by build."""
    found: dict[str, list[Point]] = {}
    for record in records:
        when = read_time(record.started)
        for tag, size in record.sizes.items():
            title = f"{moment(when)}: {decimal(size)}"
            found.setdefault(tag, []).append(Point(when, size, title))
    return found


def layers(history: str, steps: Iterable[str] = ()) -> list[Layer]:
    """Read what `docker history` prints of an image, a JSON object a line, the latest first.

    An instruction there does not say which stage it copied from; the steps of the
    image's own stage do, as the record of its build has them.
    """
    sources: dict[str, list[str]] = {}
    for step in sorted(steps, key=_place):
        _, _, text = step.partition(" ")
        words = text.split()
        source = next((word for word in words if word.startswith("--from=")), "")
        known = " ".join(word for word in words if word != source)
        sources.setdefault(known, []).append(source.removeprefix("--from="))
    found = []
    for line in reversed(history.splitlines()):
        told = json.loads(line)
        made_by = " ".join(told["CreatedBy"].removesuffix("# buildkit").split())
        size = int(told["Size"])
        source = (sources.get(made_by) or [""]).pop(0) if made_by in sources else ""
        if size:
            found.append(Layer(source or _layer_name(made_by), size, made_by))
    return found


def _place(step: str) -> int:
    number = step.partition("/")[0]
    return int(number) if number.isdigit() else 0


def _layer_name(made_by: str) -> str:
    if "rootfs.tar" in made_by or made_by.startswith("COPY / /"):
        return "base"
    if "apt.sh install" in made_by or "workbench.sh" in made_by:
        return "packages"
    words = made_by.split()
    if words[:1] == ["COPY"] and len(words) > 2:  # noqa: PLR2004
        return words[-2]
    return made_by.partition(" /bin/sh -c ")[2] or made_by


def built_layers(images: Iterable[catalogue.Image], records: Sequence[Record]) -> dict[str, Any]:
    """Ask the engine for the layers of each image that it has."""
    found = {}
    for image in images:
        words = ("--no-trunc", "--human=false", "--format={{json .}}")
        if history := process.output("docker", "history", *words, image.tag):
            ours = (stage for one in reversed(records) for stage in one.stages)
            steps = next((stage.steps for stage in ours if stage.name == image.stage), {})
            found[image.tag] = layers(history, steps)
    return found


@dataclass(frozen=True)
class Measured:
    """What the rebuild bench found for one scenario: the median seconds, by contender."""

    scenario: str
    target: str
    seconds: Mapping[str, float]

    def times_faster(self, contender: str) -> float | None:
        """Return how many times faster than without cache mounts."""
        before, this = self.seconds.get("before"), self.seconds.get(contender)
        return before / this if before and this else None


def rebuilds(run: Mapping[str, Any]) -> list[Measured]:
    """Read a run of the rebuild bench, in the order it was measured in."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for one in run["results"]:
        samples = [float(sample) for sample in one["seconds"]]
        if samples and all(isfinite(sample) and sample > 0 for sample in samples):
            key = str(one["scenario"]), str(one["target"])
            found.setdefault(key, {})[str(one["contender"])] = median(samples)
    return [Measured(*key, seconds) for key, seconds in found.items()]


def _bench_run() -> tuple[Mapping[str, Any], list[Measured]]:
    """Return the newest run of the rebuild bench and its medians; nothing where none is.

    It may be in the history, or not drawn yet: beside the figures of the other benches.
    """
    found: list[tuple[Mapping[str, Any], list[Measured]]] = []
    for path in (PERFORMANCE, *sorted((RECORDS / "bench").glob(f"*{RUN}"))):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            runs = [kept] if path != PERFORMANCE else kept
            run = max(runs, key=lambda one: read_time(one["when"]))
            found.append((run, rebuilds(run)))
        except FileNotFoundError:
            continue
        except (*records.NO_RECORD, AttributeError):
            say(f"{path.name} is no history of the rebuild bench and is left out")
    measured = [one for one in found if one[1]]
    return max(measured, key=lambda one: read_time(one[0]["when"]), default=({}, []))


def _figures() -> dict[str, list[dict[str, str]]]:
    """Return the newest figures of each other bench, by its name."""
    found: dict[str, list[dict[str, str]]] = {}
    for path in sorted((RECORDS / "bench").glob("*.json")):
        if path.name.endswith(_REBUILDS):
            continue
        try:
            figures = json.loads(path.read_text(encoding="utf-8"))
            rows = [
                {
                    "name": str(one["name"]),
                    "value": f"{float(one['value']):.4g} {one['unit']}",
                    "low": f"{min(one['samples']):.4g}" if one["samples"] else "",
                    "high": f"{max(one['samples']):.4g}" if one["samples"] else "",
                }
                for one in figures
            ]
        except records.NO_RECORD:
            say(f"bench/{path.name} holds no figures and is left out")
            continue
        found[path.stem.partition("-")[2] or path.stem] = rows
    return {name: rows for name, rows in found.items() if rows}


def gather(records: Sequence[Record]) -> dict[str, Any]:
    """Return all that the template shows; says what had to be left out."""
    notes = []
    try:
        images = list(catalogue.images().values())
    except UserError as error:
        notes.append(f"The matrix of images is left out: {error.why}.")
        images = []
    shown = built_layers(images, records)
    if not shown:
        notes.append("No engine answers, or it has none of the images: their layers are left out.")
    run, measured = _bench_run()
    return {
        "made": datetime.now(UTC),
        "revision": revision(),
        "notes": notes,
        "records": records[-_MOST_BUILDS:],
        "left_out": max(0, len(records) - _MOST_BUILDS),
        "timelines": [(record, timeline(record)) for record in telling(records)],
        "rates": all_rates(records),
        "images": images,
        "columns": catalogue.columns(images),
        "layers": shown,
        "sizes": sizes(records),
        "baseline": baselines(),
        "run": run,
        "measured": measured,
        "contenders": [
            name for name in _CONTENDERS if any(name in one.seconds for one in measured)
        ],
        "figures": _figures(),
    }


# How it is shown


def took(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // _MINUTE, _MINUTE)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole % _MINUTE:02} s" if minutes else f"{whole} s"


def mark(seconds: float) -> str:
    """Write a place on an axis of time: round numbers need no second unit."""
    if seconds < _MINUTE:
        return f"{seconds:g} s"
    return f"{seconds / _MINUTE:g} min" if seconds < _MINUTE**2 else f"{seconds / _MINUTE**2:g} h"


def percent(share: float) -> str:
    """Write a share; all is all, and nearly all is not."""
    whole = round(100 * share)
    return f"{whole if share in {0, 1} else min(max(whole, 1), 99)} %"


def moment(when: datetime | str) -> str:
    """Write a time of day, and the day."""
    return f"{read_time(when) if isinstance(when, str) else when:%Y-%m-%d %H:%M}"


def scale(low: float, high: float, *, log: bool = False) -> Callable[[float], float]:
    """Return what turns a value into its place between 0 and 100; none lies outside."""
    bend: Callable[[float], float] = (lambda value: log10(max(value, low))) if log else float
    start, end = bend(low), bend(high)
    width = (end - start) or 1
    return lambda value: round(100 * min(max((bend(value) - start) / width, 0), 1), 3)


def around(values: Iterable[float]) -> list[float]:
    """Return round times around values, for an axis that is logarithmic."""
    known = list(values) or [1.0]
    first = max((at for at in _ROUND if at <= min(known)), default=_ROUND[0])
    last = min((at for at in _ROUND if at >= max(known)), default=_ROUND[-1])
    return [at for at in _ROUND if first <= at <= last]


def hues(images: Sequence[catalogue.Image]) -> Callable[[str, Sequence[str]], int]:
    """Return what tells the colour of a stage: its image's number, or -1 where many share it."""
    numbers = {image.name: number for number, image in enumerate(images)}
    stages = {image.stage: image.name for image in images}

    def hue(stage: str, targets: Sequence[str]) -> int:
        ours = [name for name in targets if name in numbers]
        named = [name for name in numbers if f"-{stage}".endswith(f"-{name}")]
        whose = named[-1:] or (ours if len(ours) == 1 else [stages.get(stage, "")])
        return numbers.get(whose[0], -1)

    return hue


def render(shown: Mapping[str, Any]) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"bytes": decimal, "mark": mark, "moment": moment, "percent": percent, "took": took}
    environment.filters |= filters
    helpers = {
        "around": around,
        "hit_rate": hit_rate,
        "hue": hues(shown["images"]),
        "scale": scale,
        "ticks": ticks,
    }
    return environment.get_template("report.html").render(**helpers, **shown)
