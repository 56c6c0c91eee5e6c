"""The reader of buildx's progress, with output of buildx 0.13.1.

The fixtures were recorded and reduced to the steps that matter. The .rawjson files are laid out
as buildx 0.13 prints them, and the .jsonl files as later versions do.
"""

import base64
import json

import pytest

from scripts.buildkit.measurements import Apt, Ccache, Measurements, Progress, Tests
from scripts.buildkit.rawjson import CONTEXT, EXPORT, Build, Step, read_size
from tests.support.builds import read_fixture


def vertex(name: str = "[cpu ffmpeg 3/4] RUN make", **more: object) -> str:
    """Return a status update of a step as one line."""
    return json.dumps({"vertexes": [{"digest": "d", "name": name, **more}]})


def output(data: bytes, stream: int = 1, digest: str = "d") -> str:
    """Return a chunk of output of a step as one line."""
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


def test_step_shared_by_two_targets_counts_once() -> None:
    """The time of a step counts once if two targets report it with starts of their own."""
    build = read_fixture("shared.jsonl")
    shared = [step for step in build.steps.values() if step.stage == "shared" and not step.cached]
    (step,) = [step for step in shared if step.done]
    assert step.targets == ["a", "c"]
    assert (step.number, step.of) == (1, 1)
    assert step.seconds == pytest.approx(2.304710, abs=1e-3)
    assert list(step.tail) == ["shared 1", "shared 2", "shared 3"]
    assert step.measurements.ccache
    assert step.measurements.ccache.cache_miss == 5


def test_cached_build_has_only_cached_and_never_started_steps() -> None:
    """The duplicate of a merged step, which never starts, is neither done nor running."""
    steps = [step for step in read_fixture("cached.jsonl").steps.values() if step.number]
    assert len(steps) > 5
    assert all(step.cached for step in steps if step.done)
    assert not any(step.running for step in steps)
    assert sum(step.seconds for step in steps) == 0


def test_failed_step_is_not_the_cancelled_one() -> None:
    """A cancelled step is not the failed one, although it comes first and has an error too."""
    build = read_fixture("failed.rawjson")
    cancelled, failed = build.steps.values()
    assert cancelled.cancelled
    assert build.failed is failed
    assert failed.prefix == "[b b 1/1]"
    assert failed.error.endswith("exit code: 137")
    assert list(failed.tail) == ["fail"]


def test_step_cancelled_by_one_target_is_completed_by_another() -> None:
    """A step that one target cancels and another one completes is done."""
    build = Build()
    build.feed(vertex(started=at(1)))
    build.feed(vertex(started=at(1), completed=at(2), error="context canceled: context canceled"))
    (step,) = build.steps.values()
    assert step.cancelled
    build.feed(vertex(started=at(1), completed=at(9)))
    assert not step.cancelled
    assert step.result == "done in 8.0 s"


def test_source_is_the_place_of_the_error() -> None:
    """The place of a build's error is read from the message that buildx prints after the JSON."""
    source = read_fixture("failed.rawjson").source
    assert source
    assert (source.file, source.line) == ("Dockerfile.y", 9)
    assert source.instruction == "RUN sleep 1.2; echo fail; exit 137"


def test_source_is_none_for_other_messages() -> None:
    """An error of bake itself has no place in a Dockerfile."""
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
def test_names_of_steps_are_read(
    name: str, targets: list[str], stage: str, number: int, text: str
) -> None:
    """Target, stage, number and text of a step are read from all names that buildx gives it."""
    build = Build()
    build.feed(vertex(name))
    step = only(build)
    assert (step.targets, step.stage, step.number, step.text) == (targets, stage, number, text)


def test_label_has_no_mounts() -> None:
    """The label of a step is one short line without mounts, however long its instruction is."""
    build = Build()
    build.feed(
        vertex("[a 1/1] RUN --mount=type=cache,id=x,target=/c     recipes/x.sh\n " + "y " * 99)
    )
    assert only(build).label.startswith("[a 1/1] RUN recipes/x.sh y y")
    assert len(only(build).label) < 120


def test_output_is_joined_to_lines_per_stream(build: Build) -> None:
    """A step's chunks of output become lines per stream, also if a character is split in two."""
    assert build.feed(output(b"part")) == []
    assert build.feed(output(b"error\n", stream=2)) == ["[cpu ffmpeg 3/4] error"]
    assert build.feed(output("ial ü".encode()[:-1])) == []
    assert build.feed(output("ü\nrest".encode()[1:])) == ["[cpu ffmpeg 3/4] partial ü"]
    ended = build.feed(vertex(started=at(0), completed=at(3)))
    assert ended == ["[cpu ffmpeg 3/4] rest", "[cpu ffmpeg 3/4] done in 3.0 s"]
    assert list(only(build).tail) == ["error", "partial ü", "rest"]


def test_escape_sequences_are_removed(build: Build) -> None:
    """A step's output loses its colours, and an overwritten line has only its last state."""
    build.feed(output(b"\x1b[31mred\x1b[0m\r\n 1%\r 50%\r100%\n"))
    assert list(only(build).tail) == ["red", "100%"]


def test_tail_has_the_last_lines(build: Build) -> None:
    """A step stores its last 200 lines of output, and the log gets all of them."""
    assert len(build.feed(output(b"line\n" * 1000))) == 1000
    assert len(only(build).tail) == 200


def test_last_measurement_of_a_key_counts(build: Build) -> None:
    """A step's last `#measure` line counts, also in two chunks, and is not in its output."""
    build.feed(output(b'#measure {"tests": {"run": 1}, "ccache": {"cache_miss": 1}}\n#meas'))
    build.feed(output(b'ure {"tests": {"run": 2}}\nshown\n'))
    assert only(build).measurements == Measurements(ccache=Ccache(0, 0, 1), tests=Tests(2, 0))
    assert list(only(build).tail) == ["shown"]
    assert build.warnings == []


def test_downloads_of_apt_are_measured(build: Build) -> None:
    """The downloads that several apt runs of a step announce add up."""
    build.feed(output(b"Need to get 0 B/196 MB of archives.\n"))
    build.feed(output(b"Need to get 1,474 kB/2,000 kB of archives.\n"))
    build.feed(output(b"Need to get 11.1 MB of source archives.\n"))
    assert only(build).measurements == Measurements(apt=Apt(209_100_000, 12_574_000))
    assert len(only(build).tail) == 3


def test_counter_of_ninja_is_progress(build: Build) -> None:
    """Ninja's last counter is the progress of a step; lines that only look similar are not."""
    build.feed(output(b"[9/96] Compiling a.c\n[12/96] Linking b\n[x/96] c\nsee [13/96] d\n"))
    assert only(build).progress == Progress(12, 96)
    assert len(only(build).tail) == 4


def test_progress_lines_are_read_and_not_shown(build: Build) -> None:
    """A step's last valid `#progress` line counts, and only malformed ones are shown."""
    build.feed(output(b'#progress {"objects": 9}\n#progress {"objects": 812}\n#progress {oops\n'))
    assert only(build).progress == Progress(812)
    assert list(only(build).tail) == ["#progress {oops"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("26.56MB", 26_560_000), ("1,474 kB", 1_474_000), ("4 KB", 0), ("many", 0)],
)
def test_read_size_accepts_the_sizes_of_docker_and_apt(text: str, size: int) -> None:
    """The units of docker's and apt's sizes are powers of 1000; any other text is 0."""
    assert read_size(text) == size


def test_warning_of_a_step_is_a_warning_of_the_build(build: Build) -> None:
    """A `#warning` line is a warning with the name of the step, and no output of the step."""
    build.feed(output(b"#warning all 2 calls of nvcc bypassed depcache\n"))
    (warning,) = build.warnings
    assert warning.endswith("] all 2 calls of nvcc bypassed depcache")
    assert warning.startswith("[cpu ")
    assert list(only(build).tail) == []


def test_invalid_measurement_is_a_warning(build: Build) -> None:
    """An invalid `#measure` line is a warning of the build, and stays in the step's output."""
    build.feed(output(b"#measure {oops\n"))
    assert only(build).measurements == Measurements()
    assert list(only(build).tail) == ["#measure {oops"]
    (warning,) = build.warnings
    assert warning.startswith("[cpu ffmpeg 3/4] malformed measurement")
    assert warning.endswith("#measure {oops")


def test_similar_line_is_not_a_measurement(build: Build) -> None:
    """Only lines that begin with `#measure` and a space are measurements."""
    build.feed(output(b"#measured\n"))
    assert list(only(build).tail) == ["#measured"]
    assert build.warnings == []


def test_step_that_is_started_again_adds_its_times(build: Build) -> None:
    """The times of a step that runs again add up; a cached run adds nothing."""
    build.feed(vertex(started=at(0), completed=at(2)))
    build.feed(vertex(started=at(10)))
    assert only(build).running
    build.feed(vertex(started=at(20), completed=at(25)))
    build.feed(vertex(started=at(30), completed=at(40), cached=True))
    assert only(build).done
    assert not only(build).cached
    assert only(build).seconds == pytest.approx(2 + 15)


def test_late_update_does_not_start_a_step_again(build: Build) -> None:
    """A late status update of another target does not restart a step that is done or cached."""
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
def test_malformed_lines_are_returned(build: Build, line: str) -> None:
    """A malformed line of buildx is returned unchanged, and the following lines are read."""
    assert build.feed(line) == [line]
    build.feed(output(b"next\n"))
    assert list(only(build).tail) == ["next"]


def test_unknown_keys_are_ignored(build: Build) -> None:
    """Unknown keys and nulls in BuildKit's status updates are ignored."""
    assert build.feed('{"statuses": [{"id": "x"}], "novelty": {}}') == []
    assert build.feed('{"vertexes": null, "logs": null}') == []
    build.feed(vertex(started=at(0), novelty=1))
    assert only(build).running


def test_incomplete_object_is_dropped() -> None:
    """Messages of buildx are read after a JSON object that was never finished."""
    build = Build()
    for line in ("{", '  "vertexes": [', "    {", "ERROR: killed"):
        build.feed(line)
    assert build.text == ["ERROR: killed"]
    for line in ("{", *json.dumps(json.loads(vertex()), indent=2).splitlines()):
        build.feed(line)
    assert only(build).stage == "ffmpeg"


def test_warnings_are_those_of_buildkit_and_clipped_output() -> None:
    """BuildKit's warnings, and clipped output that may contain measurements, are warnings."""
    build = Build()
    build.feed(vertex(started=at(0)))
    text = base64.b64encode(b"FromAsCasing").decode()
    build.feed(json.dumps({"warnings": [{"vertex": "d", "short": text}]}))
    build.feed(output(b"[output clipped, log limit 200KiB/s reached]\n"))
    assert build.warnings[0] == "FromAsCasing"
    assert build.warnings[1].startswith("[cpu ffmpeg 3/4] [output clipped")


def test_close_ends_all_steps(build: Build) -> None:
    """A step that runs when buildx ends takes no more time, and its last line is logged."""
    build.feed(output(b"no newline"))
    assert build.close()[0] == "[cpu ffmpeg 3/4] no newline"
    assert only(build).done
    assert only(build).seconds == only(build).seconds
