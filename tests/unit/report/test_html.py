"""The report: complete, safe against the content of a record, and made with parts missing."""

import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from rich.console import Console

from scripts.buildkit import records
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.cli.__main__ import main
from scripts.core import console as consoles
from scripts.core.console import UserError
from scripts.images import catalogue
from scripts.report import benchmarks, formatting, html, layers, series
from tests.support.builds import STARTED, ccache, measured, record

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert('1')</script>\"'><b onclick=x>&amp;{{ 7*7 }}"


class Page(HTMLParser):
    """A parsed page; fails if its tags do not match."""

    def __init__(self, text: str) -> None:
        """Parse the page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add the element."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add the element, which has no content."""
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Check the tag against the last one that was opened."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.text += data

    def labels(self, tag: str) -> list[str]:
        """Return the labels of elements for screen readers."""
        return [attrs["aria-label"] for name, attrs in self.tags if name == tag and "role" in attrs]


def image(name: str) -> catalogue.Image:
    """Return an image with a capability of its own."""
    labels = {"org.opencontainers.image.description": f"the {name} one", "vmaf.backends": "cpu"}
    provides = frozenset({"vmaf", f"only-{name}"})
    return catalogue.Image(name, f"vmaf:{name}", "Dockerfile", f"final-{name}", labels, provides)


@pytest.fixture(autouse=True)
def messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Use the test's own directory of records and page, without an engine; return the messages.

    The images are cpu and cuda12, neither of which is built.
    """
    text = io.StringIO()
    monkeypatch.setattr(consoles, "console", Console(file=text, width=80, highlight=False))
    for module in (records, benchmarks):
        monkeypatch.setattr(module, "RECORDS", tmp_path)
    monkeypatch.setattr(html, "PAGE", tmp_path / "report.html")
    monkeypatch.setattr(benchmarks, "PERFORMANCE", tmp_path / "performance.json")
    monkeypatch.setattr(html, "revision", lambda: "0123456789abcdef")
    monkeypatch.setattr(catalogue, "images", lambda: {n: image(n) for n in ("cpu", "cuda12")})
    monkeypatch.setattr("scripts.core.process.output", lambda *_: "")
    return text


def made(*builds: BuildRecord) -> Page:
    """Return the page of these builds."""
    for build in builds:
        build.write()
    main(["report"])
    return Page(html.PAGE.read_text(encoding="utf-8"))


def bench(*results: dict[str, Any]) -> None:
    """Write a history with one run of the rebuild bench."""
    run = {"when": "2026-11-23T01:00:00Z", "revision": "abc", "machine": {"cores": 2}}
    (html.PAGE.parent / "performance.json").write_text(json.dumps([{**run, "results": results}]))


def result(contender: str, *seconds: float, scenario: str = "cold") -> dict[str, Any]:
    """Return the seconds of a contender."""
    return {"scenario": scenario, "contender": contender, "target": "cpu", "seconds": seconds}


def test_every_stage_that_took_time_has_a_bar() -> None:
    """Each bar has a label with the seconds of the stage."""
    built = record()
    found = made(built)
    stages = [stage.name for stage in built.stages if stage.seconds >= 0.1]
    assert stages == ["shared", "c", "a"]
    for name in stages:
        assert any(label.startswith(f"{name}: worked ") for label in found.labels("svg"))
    assert "stages came from the layer cache" in found.text


def test_charts_have_labels() -> None:
    """Each chart has a label for screen readers, or is hidden from them."""
    bench(result("before", 100), result("project", 2))
    for tag, attrs in made(record(), measured(90, 10, 1)).tags:
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden")


def test_nothing_is_loaded_from_anywhere() -> None:
    """The page refers to nothing but itself, and has no script."""
    found = made(record())
    for tag, attrs in found.tags:
        assert tag not in {"script", "iframe", "object", "img"}
        for name in ("href", "src", "srcset", "action", "data", "xlink:href"):
            assert attrs.get(name, "#").startswith(("#", "data:,"))
    text = html.PAGE.read_text()
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#hatch"}
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"\bhttps?:", text)


def test_text_of_a_record_is_only_text() -> None:
    """The names of stages, targets, options and tags are escaped."""
    steps = {f"1/1 RUN {HOSTILE}": StepRecord(2.0, cached=False)}
    hostile = replace(
        record(),
        targets=[HOSTILE],
        options={"libvmaf": HOSTILE, "bases": HOSTILE},
        namespace="",
        stages=[
            StageRecord(
                HOSTILE,
                [HOSTILE],
                2.0,
                cached=False,
                measurements=ccache(1, 99),
                steps=steps,
            )
        ],
        sizes={HOSTILE: 1},
        warnings=[HOSTILE],
    )
    bench(result("project", 1.0, scenario=HOSTILE))
    # The name of a file cannot have all the characters of a target.
    directory = html.PAGE.parent / "records"
    replace(hostile, targets=["x"]).write()
    (path,) = directory.iterdir()
    path.write_text(path.read_text().replace('"x"', json.dumps(HOSTILE)))
    found = made()
    assert "script" not in {tag for tag, _ in found.tags}
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert found.text.count("<script>alert('1')</script>") >= 4
    assert "{{ 7*7 }}" in found.text


def test_a_report_without_builds_is_an_error() -> None:
    """Without any record no page is written, and the message says how to build."""
    with pytest.raises(UserError, match="nox -s build-cpu"):
        main(["report"])
    assert not html.PAGE.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(seconds=float("nan")),
        lambda data: data.update(seconds=10**400),
        lambda data: data.update(seconds="9"),
        lambda data: data.update(started="yesterday"),
        lambda data: data.update(targets=[3]),
        lambda data: data.update(sizes={"vmaf:cpu": None}),
        lambda data: data.update(outcome="odd"),
        lambda data: data.update(targets=["half\ud800"]),
        lambda data: data.update(stages=[{"name": "x", "measures": []}]),
        lambda data: data.update(stages=[{"name": "x", "steps": []}]),
        lambda data: data.update(stages=[{"name": "x", "steps": {"RUN": {"seconds": 1}}}]),
        lambda data: data["stages"][-1]["steps"].update(x={"seconds": -1, "cached": True}),
        lambda data: data["stages"][-1]["steps"].update(
            x={"seconds": 1, "cached": False, "spans": [["2026", 5]]}
        ),
    ],
)
def test_an_invalid_record_is_ignored_with_a_message(
    messages: io.StringIO, change: Callable[[dict[str, Any]], None]
) -> None:
    """The page is made from the other records."""
    record().write()
    (good,) = (html.PAGE.parent / "records").iterdir()
    data = json.loads(good.read_text())
    change(data)
    good.with_name("00-foreign.json").write_text(json.dumps(data))
    assert "1 build, the last on" in made().text
    assert (
        "ignoring records/00-foreign.json, which is not the record of a build"
        in messages.getvalue()
    )


def test_extreme_numbers_are_drawn_within_the_chart() -> None:
    """Zero and very large values have positions from 0 to 100 %."""
    empty = replace(record(), seconds=0.0, stages=[], sizes={"vmaf:cpu": 0})
    long = replace(measured(0, 30, 1), seconds=1e9, sizes={"vmaf:cpu": 10**15})
    for stage in long.stages:
        stage.seconds = 1e9
    for tag, attrs in made(empty, long).tags:
        for name in ("x", "y", "width", "height", "x1", "x2", "cx", "cy"):
            if tag in {"rect", "circle", "line"} and name in attrs:
                assert 0 <= float(attrs[name].removesuffix("%")) <= 100


def test_the_page_is_made_without_client_and_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says which parts are missing."""

    def missing() -> dict[str, catalogue.Image]:
        raise UserError("cannot list the images", "no docker client", "Install it.")

    monkeypatch.setattr(catalogue, "images", missing)
    text = made(record()).text
    assert "no docker client" in text
    assert "No layers are shown" in text


def test_the_page_has_the_images_and_their_sizes() -> None:
    """Each image has its capabilities, its latest size and the accepted one."""
    found = made(record())
    assert "vmaf:cuda12" in found.text
    assert "only-cuda12" in found.text
    assert "312.4 MB" in found.text
    assert "169.8 MB" in found.text  # docs/sizes.json


def test_layers_are_named_by_where_they_came_from() -> None:
    """Two equal COPY instructions in the history get the names of the stages in the record."""
    made_by = [
        "COPY --chown=0:0 /out/runtime/ / # buildkit",
        "ENV A=b",
        "COPY --chown=0:0 /out/runtime/ / # buildkit",
        "RUN |1 TARGETARCH=amd64 /bin/sh -c ldconfig # buildkit",
        "RUN /bin/sh -c xargs /run/recipes/apt.sh install </run/packages # buildkit",
        "COPY --from=x /a /b",
        "ADD build/bootstrap/rootfs.tar / # buildkit",
    ]
    history = "\n".join(
        json.dumps({"Size": "0" if "ENV" in how else "5", "CreatedBy": how}) for how in made_by
    )
    copy = "COPY --from={} --chown=0:0 /out/runtime/ /"
    steps = [f"10/10 {copy.format('libvmaf-cpu')}", f"2/10 {copy.format('ffmpeg-cpu')}", "9/10 RUN"]
    names = [layer.name for layer in layers.read_history(history, steps)]
    assert names == ["base", "/a", "packages", "ldconfig", "ffmpeg-cpu", "libvmaf-cpu"]
    assert [layer.name for layer in layers.read_history(history)][-1] == "/out/runtime/"


def test_the_layers_of_built_images_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the images that the engine has get layers."""
    line = json.dumps({"Size": "2000000", "CreatedBy": "ADD rootfs.tar /"})
    history: Callable[..., str] = lambda *command: line if command[-1] == "vmaf:cpu" else ""  # noqa: E731
    monkeypatch.setattr("scripts.core.process.output", history)
    found = made(record())
    assert "2.0 MB" in found.text
    assert found.labels("div").count("1 layers, listed below") == 1


def test_the_builds_with_a_timeline() -> None:
    """They are the latest with work, those of other targets, and the one with the most work."""

    def build(
        second: int, *targets: str, work: float, outcome: Literal["built", "failed"] = "built"
    ) -> BuildRecord:
        started = STARTED + timedelta(seconds=second)
        stages = [StageRecord("x", [], work)]
        return replace(
            record(), started=started, targets=list(targets), stages=stages, outcome=outcome
        )

    cold = build(0, "cpu", work=900)
    other = build(1, "dev", work=50)
    all_good = build(2, "cpu", "cuda12", work=60)
    failed = build(3, "cpu", "cuda12", work=5, outcome="failed")
    noop = build(4, "cpu", work=0.1)
    assert series.worth_a_timeline([cold, other, all_good, failed, noop]) == [
        failed,
        all_good,
        other,
        cold,
    ]
    assert series.worth_a_timeline([noop]) == []


def test_a_fallen_hit_rate_is_marked() -> None:
    """A rate is compared with the best one of builds with the same cache."""
    good, bad = (replace(measured(*it), namespace="") for it in ((96, 4, 1), (40, 60, 2)))
    (rate,) = series.hit_rates([good, bad])
    assert rate.fell
    assert (rate.share, rate.best) == (0.4, 0.96)
    assert "40 % ▼" in made(good, bad).text
    assert series.hit_rates([measured(96, 4, 1)]) == []  # it has a namespace of its own


def test_a_rate_of_another_cache_is_not_marked() -> None:
    """A new builder is not compared with an old one, and an empty cache not with a full one."""
    good, bad = (replace(measured(*counts), namespace="") for counts in ((96, 4, 1), (40, 60, 2)))
    moved = replace(bad, builder=replace(bad.builder, state="engine-2"))
    (rate,) = series.hit_rates([good, moved])
    assert not rate.fell
    assert len(rate.builds) == 2
    new = replace(good.builder, cache_created=STARTED + timedelta(seconds=3))
    (rate,) = series.hit_rates([replace(build, builder=new) for build in (good, bad)])
    assert not rate.fell


def test_the_bench_is_medians_and_ratios() -> None:
    """The table has the medians of the newest run, and the ratios to `before`."""
    bench(result("before", 500, 400, 300), result("project", 5, 4, 90), result("adr"))
    text = made(record()).text
    assert "6 min 40 s" in text
    assert "(80x)" in text
    assert "cores 2" in text


def test_a_run_that_is_not_in_the_history_is_shown() -> None:
    """The newest run in build/bench/ is shown; one without results is skipped."""
    bench(result("project", 50))
    run = {"revision": "abc", "machine": {"cores": 2}}
    (html.PAGE.parent / "bench").mkdir()
    for hour, results in ((2, [result("project", 70)]), (3, [result("project")])):
        text = json.dumps({**run, "when": f"2026-11-23T0{hour}:00:00Z", "results": results})
        (html.PAGE.parent / "bench" / f"{hour}-run.json").write_text(text)
    figures = [{"name": "cold, cpu, project", "value": 70, "unit": "s", "samples": []}]
    (html.PAGE.parent / "bench" / "2-rebuild.json").write_text(json.dumps(figures))
    text = made(record()).text
    assert "1 min 10 s" in text
    assert "cold, cpu, project" not in text


@pytest.mark.parametrize("text", ["", "{}", "3", '[{"when": 3}]', '[{"results": [1]}]'])
def test_an_invalid_bench_is_ignored_with_a_message(messages: io.StringIO, text: str) -> None:
    """The page is made without the section."""
    (html.PAGE.parent / "performance.json").write_text(text)
    (html.PAGE.parent / "bench").mkdir()
    (html.PAGE.parent / "bench" / "x-server.json").write_text(text)
    assert "Bench" not in made(record()).text
    assert (
        "ignoring performance.json, which is not a history of the rebuild bench"
        in messages.getvalue()
    )


def test_other_benches_show_their_newest_figures() -> None:
    """The newest median is shown with the range of its samples."""
    (html.PAGE.parent / "bench").mkdir()
    for stamp, value in (("20261122T1", 1.0), ("20261122T2", 20.04)):
        figure = {"name": "speed", "value": value, "unit": "frames/s", "samples": [18.5, 22.0]}
        (html.PAGE.parent / "bench" / f"{stamp}-server.json").write_text(json.dumps([figure]))
    text = made(record()).text
    assert "20.04 frames/s" in text
    assert "18.5" in text
    assert "1 frames/s" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (7260, "2 h 01 min")],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    """Seconds are rounded before minutes are split off."""
    assert formatting.duration(seconds) == words


def test_nearly_all_is_not_all() -> None:
    """Only none is 0 %, and only all is 100 %."""
    assert [formatting.percent(share) for share in (0, 0.001, 0.5, 0.999, 1)] == [
        "0 %",
        "1 %",
        "50 %",
        "99 %",
        "100 %",
    ]


def test_a_stage_has_the_colour_of_its_image() -> None:
    """A stage belongs to the image in its name, or to its only target; else it is shared."""
    hue = html.hues([image("cpu"), image("cuda12")])
    assert hue("ffmpeg-cuda12", ["cpu", "cuda12"]) == 1
    assert hue("parts", ["cpu", "parts"]) == 0
    assert hue("toolchain", ["cpu", "cuda12"]) == -1
    assert hue("toolchain", []) == -1
