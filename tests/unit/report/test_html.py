"""Tests of scripts/report/html.py and of the page that it renders."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.causes import store
from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.images import catalogue
from scripts.report import html
from tests.support.bakefile import small_image
from tests.support.bench import result, write_run
from tests.support.builds import ccache, measured, record
from tests.support.history import LABELS, History, Sources

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert('1')</script>\"'><b onclick=x>&amp;{{ 7*7 }}"


class Page(HTMLParser):
    """A parsed page; parsing fails where the tags do not match."""

    def __init__(self, text: str) -> None:
        """Parse the whole page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store the tag and remember that it is open."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Store a tag without content."""
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Check the end tag against the last open tag."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect the text."""
        self.text += data

    def labels(self, tag: str) -> list[str]:
        """Return the labels that screen readers read for the elements of a kind."""
        return [attrs["aria-label"] for name, attrs in self.tags if name == tag and "role" in attrs]


def made(*builds: BuildRecord) -> Page:
    """Return the page of these builds."""
    for build in builds:
        build.write()
    main(["report"])
    return Page(html.PAGE.read_text(encoding="utf-8"))


def test_every_stage_that_took_time_has_a_bar() -> None:
    """Each stage that took time has a bar in the report, with a label of its duration."""
    build = record()
    page = made(build)
    stages = [stage.name for stage in build.stages if stage.seconds >= 0.1]
    assert stages == ["shared", "c", "a"]
    for name in stages:
        assert any(label.startswith(f"{name}: worked ") for label in page.labels("svg"))


def test_stage_has_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeline names what made a stage run, and nothing for a record that lacks it."""
    monkeypatch.setattr(store, "RECORDS", tmp_path)
    history, edited = History(), Sources()
    edited.files["docker/libvmaf.sh"] = "644 2"
    history.build(Sources(), *LABELS)
    history.build(edited, "libvmaf 1/1")
    for build in history.builds:
        for stage in build.stages:
            stage.seconds, stage.cached = 5.0, all(s.cached for s in stage.steps.values())
    assert "libvmaf docker/libvmaf.sh" in made(*history.builds).text
    history.forget_inputs()
    assert "docker/libvmaf.sh" not in made(*history.builds).text


def test_charts_have_labels() -> None:
    """Each chart of the report has a label for screen readers, or is hidden from them."""
    write_run(html.PAGE.parent, result("before", 100), result("project", 2))
    for tag, attributes in made(record(), measured(90, 10, 1)).tags:
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden")


def test_page_loads_nothing() -> None:
    """The report has no script, and no address outside itself."""
    page = made(record())
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "img"}
        for name in ("href", "src", "srcset", "action", "data", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:,"))
    text = html.PAGE.read_text()
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#hatch"}
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"\bhttps?:", text)


def test_text_of_a_record_is_escaped() -> None:
    """The names of stages, targets and sources cannot add elements to the report."""
    steps = {f"1/1 RUN {HOSTILE}": StepRecord(2.0, cached=False)}
    stage = StageRecord(
        HOSTILE, [HOSTILE], 2.0, cached=False, measurements=ccache(1, 99), steps=steps
    )
    hostile = replace(
        record(),
        targets=["x"],
        options={"libvmaf": HOSTILE, "bases": HOSTILE},
        namespace="",
        stages=[stage],
        sizes={HOSTILE: 1},
        warnings=[HOSTILE],
    )
    write_run(html.PAGE.parent, result("project", 1.0, scenario=HOSTILE))
    hostile.write()
    # A target's name may have characters that the name of a file cannot have.
    (path,) = (html.PAGE.parent / "records").iterdir()
    path.write_text(path.read_text().replace('"x"', json.dumps(HOSTILE)))
    page = made()
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    assert page.text.count("<script>alert('1')</script>") >= 4
    assert "{{ 7*7 }}" in page.text


def test_report_without_builds_is_an_error() -> None:
    """Without a build record, the error of `report` names a command that makes one."""
    with pytest.raises(UserError, match="nox -s build-cpu"):
        main(["report"])
    assert not html.PAGE.exists()


def test_extreme_numbers_stay_inside_their_charts() -> None:
    """Builds of no time and of years are drawn inside the charts of the report."""
    empty = replace(record(), seconds=0.0, stages=[], sizes={"vmaf:cpu": 0})
    long = replace(measured(0, 30, 1), seconds=1e9, sizes={"vmaf:cpu": 10**15})
    for stage in long.stages:
        stage.seconds = 1e9
    for tag, attributes in made(empty, long).tags:
        for name in ("x", "y", "width", "height", "x1", "x2", "cx", "cy"):
            if tag in {"rect", "circle", "line"} and name in attributes:
                assert 0 <= float(attributes[name].removesuffix("%")) <= 100


def test_page_without_docker_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a docker client, the report is written with notes about the missing parts."""

    def missing() -> dict[str, catalogue.Image]:
        raise UserError("cannot list the images", "no docker client", "Install it.")

    monkeypatch.setattr(catalogue, "images", missing)
    text = made(record()).text
    assert "no docker client" in text
    assert "No layers are shown" in text


def test_images_and_sizes_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report lists the capabilities of each image, its last size and its baseline."""
    monkeypatch.setattr(html, "baselines", lambda: {"cpu": 123_400_000})
    page = made(record())
    assert "vmaf:cuda12" in page.text
    assert "only-cuda12" in page.text
    assert "312.4 MB" in page.text
    assert "123.4 MB" in page.text


def test_layers_of_built_images_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report shows the layers of the images that the engine has."""
    line = json.dumps({"Size": "2000000", "CreatedBy": "ADD build/bootstrap/rootfs-amd64.tar /"})

    def output(*command: str, **_: object) -> str:
        return line if command[-1] == "vmaf:cpu" else ""

    monkeypatch.setattr("scripts.core.process.output", output)
    assert "2.0 MB" in made(record()).text


def test_lower_hit_rate_is_marked() -> None:
    """The report marks a hit rate well below the best one."""
    good, bad = (replace(measured(*it), namespace="") for it in ((96, 4, 1), (40, 60, 2)))
    assert "40 % ▼" in made(good, bad).text


def test_bench_is_shown_as_medians_and_ratios() -> None:
    """The report shows the median of each contender, and how many times faster it is."""
    write_run(
        html.PAGE.parent,
        result("before", 500, 400, 300),
        result("project", 5, 4, 90),
        result("adr"),
    )
    text = made(record()).text
    assert "6 min 40 s" in text
    assert "(80x)" in text


def test_stage_has_the_colour_of_its_image() -> None:
    """A stage in the report has the colour of the image in its name, or of its only image."""
    hue = html.hues([small_image("cpu"), small_image("cuda12")])
    assert hue("ffmpeg-cuda12", ["cpu", "cuda12"]) == 1
    assert hue("bundle", ["cpu", "bundle"]) == 0
    assert hue("toolchain", ["cpu", "cuda12"]) == -1
    assert hue("toolchain", []) == -1
