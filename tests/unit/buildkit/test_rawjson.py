"""The reader of buildx's progress, on what buildx 0.13.1 printed.

The fixtures are real, with the steps that do not matter taken out;
failed.rawjson is laid out as that buildx prints, the others as later ones do.
"""

import base64
import json
from pathlib import Path

import pytest

from scripts.buildkit.rawjson import CONTEXT, EXPORT, Build, Step, read_size

FIXTURES = Path(__file__).parent / "fixtures"


def read(name: str) -> Build:
    """Read a fixture to its end."""
    build = Build()
    for line in (FIXTURES / name).read_text().splitlines():
        build.feed(line)
    build.close()
    return build


def vertex(name: str = "[cpu ffmpeg 3/4] RUN make", **more: object) -> str:
    """Return news of a step as one line."""
    return json.dumps({"vertexes": [{"digest": "d", "name": name, **more}]})


def output(data: bytes, stream: int = 1, digest: str = "d") -> str:
    """Return output of a step as one line."""
    text = base64.b64encode(data).decode()
    return json.dumps({"logs": [{"vertex": digest, "stream": stream, "data": text}]})


def at(second: int) -> str:
    """Return a time as BuildKit writes it."""
    return f"2026-11-22T17:09:{second:02}.123456789Z"


@pytest.fixture
def build() -> Build:
    """Return a build with one running step."""
    build = Build()
    build.feed(vertex(started=at(0)))
    return build


def only(build: Build) -> Step:
    """Return the only step."""
    (step,) = build.steps.values()
    return step


def test_a_step_shared_by_two_targets_counts_once() -> None:
    """Both targets report it, each with a start of its own, while it really runs."""
    build = read("shared.jsonl")
    shared = [step for step in build.steps.values() if step.stage == "shared" and not step.cached]
    (step,) = [step for step in shared if step.done]
    assert step.targets == ["a", "c"]
    assert (step.number, step.of) == (1, 1)
    assert step.seconds == pytest.approx(2.304710, abs=1e-3)
    assert list(step.tail) == ["shared 1", "shared 2", "shared 3"]
    assert step.measures["ccache"]["cache_miss"] == 5


def test_a_cached_build_has_only_cached_and_never_started_instructions() -> None:
    """The twin of a merged step is named but never started: neither done nor running."""
    steps = [step for step in read("cached.jsonl").steps.values() if step.number]
    assert len(steps) > 5
    assert all(step.cached for step in steps if step.done)
    assert not any(step.running for step in steps)
    assert sum(step.seconds for step in steps) == 0


def test_the_failed_step_is_told_from_the_cancelled_one() -> None:
    """The cancelled step comes first in the output and has an error as well."""
    build = read("failed.rawjson")
    cancelled, failed = build.steps.values()
    assert cancelled.cancelled
    assert build.failed is failed
    assert failed.prefix == "[b b 1/1]"
    assert failed.error.endswith("exit code: 137")
    assert list(failed.tail) == ["fail"]


def test_a_step_that_one_target_lets_go_of_is_done_by_another() -> None:
    """Targets that share a stage are told of it each in their own stream."""
    build = Build()
    build.feed(vertex(started=at(1)))
    build.feed(vertex(started=at(1), completed=at(2), error="context canceled: context canceled"))
    (step,) = build.steps.values()
    assert step.cancelled
    build.feed(vertex(started=at(1), completed=at(9)))
    assert not step.cancelled
    assert step.ending == "done in 8.0 s"


def test_the_source_line_of_an_error() -> None:
    """Buildx tells it in words behind the JSON."""
    source = read("failed.rawjson").source
    assert source
    assert (source.file, source.line) == ("Dockerfile.y", 9)
    assert source.instruction == "RUN sleep 1.2; echo fail; exit 137"


def test_words_alone_are_no_source_line() -> None:
    """Bake's own errors have none."""
    build = Build()
    for line in ("note:12", "ERROR: failed to find target nope"):
        assert build.feed(line) == [line]
    assert build.source is None
    assert build.failed is None
    assert build.text[-1] == "ERROR: failed to find target nope"


@pytest.mark.parametrize(
    ("name", "targets", "stage", "number", "text"),
    [
        ("[cpu ffmpeg-cpu 3/14] RUN a", ["cpu"], "ffmpeg-cpu", 3, "RUN a"),
        ("[cpu ffmpeg-cpu  3/14] RUN [b]", ["cpu"], "ffmpeg-cpu", 3, "RUN [b]"),
        ("[ffmpeg-cpu 3/14] RUN a", [], "ffmpeg-cpu", 3, "RUN a"),
        ("[cpu linux/arm64 base 1/2] ADD x /", ["cpu"], "base", 1, "ADD x /"),
        ("[linux/amd64 base 1/2] ADD x /", [], "base", 1, "ADD x /"),
        ("[internal] load .dockerignore", [], CONTEXT, 0, "load .dockerignore"),
        ("[cpu internal] load .dockerignore", ["cpu"], CONTEXT, 0, "load .dockerignore"),
        ("[cpu context vmaf] load from client", ["cpu"], CONTEXT, 0, "vmaf load from client"),
        ("[context vmaf] load from client", [], CONTEXT, 0, "vmaf load from client"),
        ("exporting to image", [], EXPORT, 0, "exporting to image"),
        ("[cpu] exporting to image", ["cpu"], EXPORT, 0, "exporting to image"),
        ("resolve image config for x", [], CONTEXT, 0, "resolve image config for x"),
    ],
)
def test_names(name: str, targets: list[str], stage: str, number: int, text: str) -> None:
    """The forms of names that buildx uses for one target and for several."""
    build = Build()
    build.feed(vertex(name))
    step = only(build)
    assert (step.targets, step.stage, step.number, step.text) == (targets, stage, number, text)


def test_label_leaves_out_mounts() -> None:
    """And is one line, however long the instruction."""
    build = Build()
    build.feed(
        vertex("[a 1/1] RUN --mount=type=cache,id=x,target=/c     recipes/x.sh\n " + "y " * 99)
    )
    assert only(build).label.startswith("[a 1/1] RUN recipes/x.sh y y")
    assert len(only(build).label) < 120


def test_interleaved_streams_and_split_lines(build: Build) -> None:
    """Lines are whole per stream; a character cut in two is mended."""
    assert build.feed(output(b"part")) == []
    assert build.feed(output(b"error\n", stream=2)) == ["[cpu ffmpeg 3/4] error"]
    assert build.feed(output("ial ü".encode()[:-1])) == []
    assert build.feed(output("ü\nrest".encode()[1:])) == ["[cpu ffmpeg 3/4] partial ü"]
    ended = build.feed(vertex(started=at(0), completed=at(3)))
    assert ended == ["[cpu ffmpeg 3/4] rest", "[cpu ffmpeg 3/4] done in 3.0 s"]
    assert list(only(build).tail) == ["error", "partial ü", "rest"]


def test_terminal_tricks_are_taken_out(build: Build) -> None:
    """Colours go, and of a line rewritten in place the last state stays."""
    build.feed(output(b"\x1b[31mred\x1b[0m\r\n 1%\r 50%\r100%\n"))
    assert list(only(build).tail) == ["red", "100%"]


def test_the_tail_is_bounded(build: Build) -> None:
    """The log gets everything."""
    assert len(build.feed(output(b"line\n" * 1000))) == 1000
    assert len(only(build).tail) == 200


def test_measures_merge_and_are_not_shown(build: Build) -> None:
    """The later of two words on a key counts; a measure may come in two chunks."""
    build.feed(output(b'#measure {"apt_bytes": 1, "ccache": {"cache_miss": 1}}\n#meas'))
    build.feed(output(b'ure {"apt_bytes": 2}\nshown\n'))
    assert only(build).measures == {"apt_bytes": 2, "ccache": {"cache_miss": 1}}
    assert list(only(build).tail) == ["shown"]


def test_what_apt_needed_and_fetched_is_measured(build: Build) -> None:
    """In apt's own words, which stay shown; a step may run it several times."""
    build.feed(output(b"Need to get 0 B/196 MB of archives.\n"))
    build.feed(output(b"Need to get 1,474 kB/2,000 kB of archives.\n"))
    build.feed(output(b"Need to get 11.1 MB of source archives.\n"))
    assert only(build).measures == {"apt": {"needed": 209_100_000, "fetched": 12_574_000}}
    assert len(only(build).tail) == 3


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("26.56MB", 26_560_000), ("1,474 kB", 1_474_000), ("4 KB", 0), ("many", 0)],
)
def test_sizes(text: str, size: int) -> None:
    """As docker and apt write them: in thousands."""
    assert read_size(text) == size


@pytest.mark.parametrize("line", ["#measure {oops", "#measure 3", "#measured"])
def test_a_damaged_measure_is_an_ordinary_line(build: Build, line: str) -> None:
    """So that people see it."""
    build.feed(output(f"{line}\n".encode()))
    assert only(build).measures == {}
    assert list(only(build).tail) == [line]


def test_started_again(build: Build) -> None:
    """Both times count, the cached time does not, and a lost end is mended."""
    build.feed(vertex(started=at(0), completed=at(2)))
    build.feed(vertex(started=at(10)))
    assert only(build).running
    build.feed(vertex(started=at(20), completed=at(25)))
    build.feed(vertex(started=at(30), completed=at(40), cached=True))
    assert only(build).done
    assert not only(build).cached
    assert only(build).seconds == pytest.approx(2 + 15)


def test_stale_news_does_not_start_a_step_again(build: Build) -> None:
    """The stream of another target may lag behind."""
    build.feed(vertex(started=at(0), completed=at(2)))
    assert build.feed(vertex(started=at(0))) == []
    assert only(build).done
    build.feed(vertex(started=at(0), cached=True))
    build.feed(vertex(started=at(0)))
    assert only(build).cached


@pytest.mark.parametrize(
    "line",
    [
        '{"vertexes": [{"digest": "d", "na',
        '{"vertexes": [{"digest": "d"}]}',
        '{"vertexes": 7}',
        '{"vertexes": [{"digest": "d", "name": "x", "started": "yesterday"}]}',
        '{"logs": [{"vertex": "d", "data": "x"}]}',
        '{"logs": ["d"]}',
    ],
)
def test_damaged_lines_are_passed_on(build: Build, line: str) -> None:
    """And what follows is read as ever."""
    assert build.feed(line) == [line]
    build.feed(output(b"next\n"))
    assert list(only(build).tail) == ["next"]


def test_unknown_keys_are_ignored(build: Build) -> None:
    """BuildKit may add some."""
    assert build.feed('{"statuses": [{"id": "x"}], "novelty": {}}') == []
    assert build.feed('{"vertexes": null, "logs": null}') == []
    build.feed(vertex(started=at(0), novelty=1))
    assert only(build).running


def test_an_object_that_breaks_off() -> None:
    """Buildx killed amid an object of many lines: the words behind it are still read."""
    build = Build()
    for line in ("{", '  "vertexes": [', "    {", "ERROR: killed"):
        build.feed(line)
    assert build.text == ["ERROR: killed"]
    for line in ("{", *json.dumps(json.loads(vertex()), indent=2).splitlines()):
        build.feed(line)
    assert only(build).stage == "ffmpeg"


def test_warnings() -> None:
    """Those of BuildKit, and that it dropped output and maybe measures with it."""
    build = Build()
    build.feed(vertex(started=at(0)))
    text = base64.b64encode(b"FromAsCasing").decode()
    build.feed(json.dumps({"warnings": [{"vertex": "d", "short": text}]}))
    build.feed(output(b"[output clipped, log limit 200KiB/s reached]\n"))
    assert build.warnings[0] == "FromAsCasing"
    assert build.warnings[1].startswith("[cpu ffmpeg 3/4] [output clipped")


def test_close_ends_what_runs(build: Build) -> None:
    """A step that runs when buildx dies takes no more time."""
    build.feed(output(b"no newline"))
    assert build.close()[0] == "[cpu ffmpeg 3/4] no newline"
    assert only(build).done
    assert only(build).seconds == only(build).seconds
