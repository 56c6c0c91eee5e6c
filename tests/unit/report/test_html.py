"""The report page: whole, safe against what is in a record, and made where things are missing."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scripts.buildkit import records
from scripts.buildkit.records import Record, Stage
from scripts.cli.__main__ import main
from scripts.core import console as consoles
from scripts.core.console import UserError
from scripts.images import catalogue
from scripts.report import html
from tests.support.builds import measured, record

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert('1')</script>\"'><b onclick=x>&amp;{{ 7*7 }}"


class Page(HTMLParser):
    """A page taken apart; fails where its tags do not match."""

    def __init__(self, text: str) -> None:
        """Read it all."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it; it has no content."""
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Hold it to the last that was opened."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect what people read."""
        self.text += data

    def labels(self, tag: str) -> list[str]:
        """Return what elements say of themselves to who cannot see them."""
        return [attrs["aria-label"] for name, attrs in self.tags if name == tag and "role" in attrs]


def image(name: str) -> catalogue.Image:
    """Return an image that provides something."""
    labels = {"org.opencontainers.image.description": f"the {name} one", "vmaf.backends": "cpu"}
    provides = frozenset({"vmaf", f"only-{name}"})
    return catalogue.Image(name, f"vmaf:{name}", "Dockerfile", f"final-{name}", labels, provides)


@pytest.fixture(autouse=True)
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Keep records and page in a folder of the test's own, without an engine; return what is said.

    The images are cpu and cuda12, of which none is built.
    """
    text = io.StringIO()
    monkeypatch.setattr(consoles, "console", Console(file=text, width=80, highlight=False))
    for module in (records, html):
        monkeypatch.setattr(module, "RECORDS", tmp_path)
    monkeypatch.setattr(html, "PAGE", tmp_path / "report.html")
    monkeypatch.setattr(html, "PERFORMANCE", tmp_path / "performance.json")
    monkeypatch.setattr(html, "revision", lambda: "0123456789abcdef")
    monkeypatch.setattr(catalogue, "images", lambda: {n: image(n) for n in ("cpu", "cuda12")})
    monkeypatch.setattr("scripts.core.process.output", lambda *_: "")
    return text


def made(*records: Record) -> Page:
    """Return the page of these builds."""
    for one in records:
        one.write()
    main(["report"])
    return Page(html.PAGE.read_text(encoding="utf-8"))


def bench(*results: dict[str, Any]) -> None:
    """Leave a run of the rebuild bench."""
    run = {"when": "2026-11-23T01:00:00Z", "revision": "abc", "machine": {"cores": 2}}
    (html.PAGE.parent / "performance.json").write_text(json.dumps([{**run, "results": results}]))


def result(contender: str, *seconds: float, scenario: str = "cold") -> dict[str, Any]:
    """Return what a contender took."""
    return {"scenario": scenario, "contender": contender, "target": "cpu", "seconds": seconds}


def test_every_stage_that_took_time_has_a_bar() -> None:
    """And says in words what the bar says, beside the table's numbers."""
    built = record()
    found = made(built)
    stages = [stage.name for stage in built.stages if stage.seconds >= 0.1]
    assert stages == ["shared", "c", "a"]
    for name in stages:
        assert any(label.startswith(f"{name}: worked ") for label in found.labels("svg"))
    assert "stages came from the layer cache" in found.text


def test_drawings_are_told_in_words() -> None:
    """Each drawing has a label, or is of no matter to who cannot see it."""
    bench(result("before", 100), result("ours", 2))
    for tag, attrs in made(record(), measured(90, 10, 1)).tags:
        if tag == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden")


def test_nothing_is_loaded_from_anywhere() -> None:
    """No address but places on the page itself, and no script."""
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
    """Whoever names a stage, a target or a source does not write the page."""
    steps = {f"1/1 RUN {HOSTILE}": {"seconds": 2.0, "cached": False, "spans": []}}
    ccache = {HOSTILE: {"hits": 1, "misses": 99}}
    hostile = replace(
        record(),
        targets=[HOSTILE],
        options={"libvmaf": HOSTILE, "bases": HOSTILE},
        namespace="",
        outcome=HOSTILE,
        stages=[Stage(HOSTILE, [HOSTILE], 2.0, cached=False, measures=ccache, steps=steps)],
        sizes={HOSTILE: 1},
        warnings=[HOSTILE],
    )
    bench(result("ours", 1.0, scenario=HOSTILE))
    # A file's name cannot hold all that a target's name may.
    folder = html.PAGE.parent / "records"
    replace(hostile, targets=["x"]).write()
    (path,) = folder.iterdir()
    path.write_text(path.read_text().replace('"x"', json.dumps(HOSTILE)))
    found = made()
    assert "script" not in {tag for tag, _ in found.tags}
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert found.text.count("<script>alert('1')</script>") >= 4
    assert "{{ 7*7 }}" in found.text


def test_text_that_is_no_text_does_not_stop_the_page() -> None:
    """JSON can hold half a character."""
    record().write()
    (path,) = (html.PAGE.parent / "records").iterdir()
    path.write_text(path.read_text().replace('"shared"', '"\\ud800"'))
    assert "1 build," in made().text


def test_no_build_is_an_error_that_says_so() -> None:
    """A page about nothing helps nobody."""
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
        lambda data: data.update(stages=[{"name": "x", "measures": []}]),
        lambda data: data.update(stages=[{"name": "x", "steps": []}]),
        lambda data: data.update(stages=[{"name": "x", "steps": {"RUN": {"seconds": 1}}}]),
        lambda data: data["stages"][-1]["steps"].update(x={"seconds": -1, "cached": True}),
        lambda data: data["stages"][-1]["steps"].update(
            x={"seconds": 1, "cached": False, "spans": [["2026", 5]]}
        ),
    ],
)
def test_a_foreign_record_is_left_out_aloud(
    said: io.StringIO, change: Callable[[dict[str, Any]], None]
) -> None:
    """The page is made of the others."""
    record().write()
    (good,) = (html.PAGE.parent / "records").iterdir()
    data = json.loads(good.read_text())
    change(data)
    good.with_name("00-foreign.json").write_text(json.dumps(data))
    assert "1 build, the last on" in made().text
    assert "records/00-foreign.json is no record of a build and is left out" in said.getvalue()


def test_numbers_at_their_limits_can_be_drawn() -> None:
    """Nothing, next to nothing, and years."""
    empty = replace(record(), seconds=0.0, stages=[], sizes={"vmaf:cpu": 0})
    long = replace(measured(0, 30, 1), seconds=1e9, sizes={"vmaf:cpu": 10**15})
    for stage in long.stages:
        stage.seconds = 1e9
    for tag, attrs in made(empty, long).tags:
        for name in ("x", "y", "width", "height", "x1", "x2", "cx", "cy"):
            if tag in {"rect", "circle", "line"} and name in attrs:
                assert 0 <= float(attrs[name].removesuffix("%")) <= 100


def test_the_page_is_made_without_client_and_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is missing."""

    def missing() -> dict[str, catalogue.Image]:
        raise UserError("cannot list the images", "no docker client", "Install it.")

    monkeypatch.setattr(catalogue, "images", missing)
    text = made(record()).text
    assert "no docker client" in text
    assert "their layers are left out" in text


def test_images_and_their_sizes_are_there() -> None:
    """What each provides, how large its last build was, what was agreed to."""
    found = made(record())
    assert "vmaf:cuda12" in found.text
    assert "only-cuda12" in found.text
    assert "312.4 MB" in found.text
    assert "169.8 MB" in found.text  # docs/sizes.json


def test_layers_are_named_by_where_they_came_from() -> None:
    """The engine's history does not tell two COPY instructions apart, the build's record does."""
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
    names = [layer.name for layer in html.layers(history, steps)]
    assert names == ["base", "/a", "packages", "ldconfig", "ffmpeg-cpu", "libvmaf-cpu"]
    assert [layer.name for layer in html.layers(history)][-1] == "/out/runtime/"


def test_layers_are_asked_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """And shown for the images that it has."""
    line = json.dumps({"Size": "2000000", "CreatedBy": "ADD rootfs.tar /"})
    asked: Callable[..., str] = lambda *words: line if words[-1] == "vmaf:cpu" else ""  # noqa: E731
    monkeypatch.setattr("scripts.core.process.output", asked)
    found = made(record())
    assert "2.0 MB" in found.text
    assert found.labels("div").count("1 layers, listed below") == 1


def test_the_builds_worth_a_look() -> None:
    """The latest with work, good ones of other targets, and the one that took most."""

    def build(second: int, *targets: str, work: float, outcome: str = "built") -> Record:
        started = f"2026-11-22T17:09:{second:02}.000Z"
        stages = [Stage("x", [], work)]
        return replace(
            record(), started=started, targets=list(targets), stages=stages, outcome=outcome
        )

    cold = build(0, "cpu", work=900)
    other = build(1, "dev", work=50)
    all_good = build(2, "cpu", "cuda12", work=60)
    failed = build(3, "cpu", "cuda12", work=5, outcome="failed")
    noop = build(4, "cpu", work=0.1)
    assert html.telling([cold, other, all_good, failed, noop]) == [failed, all_good, other, cold]
    assert html.telling([noop]) == []


def test_a_fallen_hit_rate_is_marked() -> None:
    """Against the best that the stage ever had."""
    good, bad = (replace(measured(*it), namespace="") for it in ((96, 4, 1), (40, 60, 2)))
    (rate,) = html.all_rates([good, bad])
    assert rate.fell
    assert (rate.share, rate.best) == (0.4, 0.96)
    assert "40 % ▼" in made(good, bad).text
    assert html.all_rates([measured(96, 4, 1)]) == []  # its cache mounts are its own


def test_any_cache_that_counts_is_shown() -> None:
    """What a recipe measures by another name, as long as it counts hits and misses."""
    stage = Stage("x", measures={"nasm": {"hits": 3, "misses": 1}, "tests": {"run": 5}, "n": 2})
    assert stage.rates == {"nasm": (3, 4)}


def test_the_bench_is_medians_and_ratios() -> None:
    """Of one run, the newest."""
    bench(result("before", 500, 400, 300), result("ours", 5, 4, 90), result("adr"))
    text = made(record()).text
    assert "6 min 40 s" in text
    assert "(80x)" in text
    assert "cores 2" in text


def test_a_run_that_is_not_drawn_yet_is_shown() -> None:
    """It lies beside other benches' figures, and is the newest; one without figures is not."""
    bench(result("ours", 50))
    run = {"revision": "abc", "machine": {"cores": 2}}
    (html.PAGE.parent / "bench").mkdir()
    for hour, results in ((2, [result("ours", 70)]), (3, [result("ours")])):
        text = json.dumps({**run, "when": f"2026-11-23T0{hour}:00:00Z", "results": results})
        (html.PAGE.parent / "bench" / f"{hour}-run.json").write_text(text)
    figures = [{"name": "cold, cpu, ours", "value": 70, "unit": "s", "samples": []}]
    (html.PAGE.parent / "bench" / "2-rebuild.json").write_text(json.dumps(figures))
    text = made(record()).text
    assert "1 min 10 s" in text
    assert "cold, cpu, ours" not in text


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '[{"when": 3}]', '[{"results": [1]}]'])
def test_a_foreign_bench_is_left_out_aloud(said: io.StringIO, text: str) -> None:
    """The rest of the page is there."""
    (html.PAGE.parent / "performance.json").write_text(text)
    (html.PAGE.parent / "bench").mkdir()
    (html.PAGE.parent / "bench" / "x-server.json").write_text(text)
    assert "Bench" not in made(record()).text
    assert "performance.json is no history of the rebuild bench" in said.getvalue()


def test_other_benches_show_their_newest_figures() -> None:
    """The median, and between what its samples lay."""
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
    """No second is lost at a minute's end."""
    assert html.took(seconds) == words


def test_nearly_all_is_not_all() -> None:
    """Nor is next to nothing nothing."""
    assert [html.percent(share) for share in (0, 0.001, 0.5, 0.999, 1)] == [
        "0 %",
        "1 %",
        "50 %",
        "99 %",
        "100 %",
    ]


def test_a_stage_has_the_colour_of_its_image() -> None:
    """By its name, or as the only one of its images; else it is shared."""
    hue = html.hues([image("cpu"), image("cuda12")])
    assert hue("ffmpeg-cuda12", ["cpu", "cuda12"]) == 1
    assert hue("parts", ["cpu", "parts"]) == 0
    assert hue("toolchain", ["cpu", "cuda12"]) == -1
    assert hue("toolchain", []) == -1
