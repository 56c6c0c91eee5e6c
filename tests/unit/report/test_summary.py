"""The table at the end of a build, and the warning about lower hit rates."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from scripts.buildkit.builder import Builder
from scripts.buildkit.measurements import Ccache, Depcache, Measurements, Remote, Sccache
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.core.console import console
from scripts.report.summary import HitRateDrop, cache_was_empty, hit_rate_drops, summary
from tests.support.builds import BUILDER, STARTED, ccache, measured, record

NEW_ENGINE = replace(BUILDER, state="engine-2")
PRUNED = replace(BUILDER, cache_created=STARTED + timedelta(seconds=2))
UNKNOWN = replace(BUILDER, cache_created=None)


def on(builder: Builder, build: BuildRecord) -> BuildRecord:
    """Return a build as if another builder had made it."""
    return replace(build, builder=builder)


def test_table_leaves_out_stages_without_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The closing table leaves out stages without work, and fits into 80 columns."""
    monkeypatch.setattr(console, "width", 80)
    summary(record())
    lines = capsys.readouterr().err.splitlines()
    firsts = [line.split()[0] for line in lines]
    assert firsts == ["stage", "shared", "c", "a", "built", "vmaf:cpu"]
    assert "2 of 7, 29 %" in lines[1]
    assert any("3 more stages cached or instant" in line for line in lines)
    assert "312.4 MB" in lines[-1]
    assert max(map(len, lines)) <= 80


def test_table_names_the_requested_targets(capsys: pytest.CaptureFixture[str]) -> None:
    """The closing table lists a stage under the requested target that needed it."""
    linked = StageRecord("parts", ["parts", "image"], 3.0)
    alone = StageRecord("other", ["other"], 3.0)
    summary(replace(record(), targets=["image"], stages=[linked, alone]))
    rows = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert ["parts", "image", "3.0"] in [row[:3] for row in rows]
    assert ["other", "other", "3.0"] in [row[:3] for row in rows]


def test_table_names_the_causes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The closing table has the cause of each stage that ran, and fits into 80 columns."""
    monkeypatch.setattr(console, "width", 80)
    summary(record(), causes={"shared": "docker/recipes/compile/ffmpeg/ffmpeg.sh +2 files"})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].split()[-1] == "cause"
    words = "".join(line[60:].strip() for line in lines[1:6])
    assert "docker/recipes/compile/ffmpeg/ffmpeg.sh" in words.replace(" ", "")
    assert max(map(len, lines)) <= 80


def test_table_has_sccache_where_a_stage_used_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The closing table has a column of sccache only if a stage has its hits."""
    counts = Measurements(ccache=Ccache(4), sccache=Sccache(97, 4, 35))
    rust = StageRecord("ab-av1", ["tools"], 49.0, measurements=counts)
    summary(replace(record(), stages=[rust]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" sccache hits")
    assert lines[1].endswith("97 of 101, 96 %")
    summary(record())
    assert "sccache" not in capsys.readouterr().err


def test_cached_build_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A build whose stages were all cached prints its outcome only."""
    summary(record("cached.jsonl"))
    assert capsys.readouterr().err.startswith("built in 5.5 s")


def test_warnings_of_a_build_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The warnings of a build are printed at its end."""
    summary(replace(record(), warnings=["unknown measurement nasm"]))
    assert "warning: unknown measurement nasm" in capsys.readouterr().err.splitlines()


def with_remote(*counts: Remote | None) -> BuildRecord:
    """Return a record with a stage for each of these counts of the remote cache."""
    stages = [
        StageRecord(f"stage{number}", seconds=1.0, measurements=Measurements(remote=remote))
        for number, remote in enumerate(counts)
    ]
    return replace(record(), stages=stages)


def test_remote_cache_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The closing table has the hits of the remote cache; a line below it, bytes and faults."""
    summary(with_remote(Remote(30, 10, 1, 2, 3, 4_000_000, 5_000), None, Remote(10, 0)))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("remote hits")
    assert [lines[row].split()[-4:] for row in (1, 3)] == [
        ["of", "40,", "75", "%"],
        ["of", "10,", "100", "%"],
    ]
    assert (
        "remote cache: 40 of 50, 80 %; 4.0 MB received, 5.0 kB sent, 1 errors, "
        "2 entries refused, 3 not written in time"
    ) in lines
    assert "had none of" not in "\n".join(lines)


def test_build_without_a_remote_cache_does_not_mention_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a remote cache, the closing table is as before."""
    summary(with_remote(None))
    assert "remote" not in capsys.readouterr().err


def test_remote_cache_without_hits_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """A remote cache that had none of many entries is reported; of a few, it is not."""
    summary(with_remote(Remote(0, 40)))
    assert "the remote cache had none of 40 entries" in capsys.readouterr().err
    summary(with_remote(Remote(0, 4)))
    assert "had none of" not in capsys.readouterr().err


def test_refused_archive_is_the_reason_of_a_cold_build(capsys: pytest.CaptureFixture[str]) -> None:
    """The closing table says why the caches were not loaded, if they were not."""
    summary(record())
    assert "not loaded" not in capsys.readouterr().err
    summary(replace(record(), not_loaded="another compiler: gcc"))
    line = "the caches were not loaded before this build: another compiler: gcc\n"
    assert line in capsys.readouterr().err


def test_drop_is_relative_to_the_best_build() -> None:
    """A drop of the hit rate is relative to the best earlier build, not to the last one."""
    earlier = [measured(96, 4, 1), measured(50, 50, 2)]
    (drop,) = hit_rate_drops(measured(5, 95, 3), earlier)
    assert (drop.stage, drop.before, drop.now) == ("ffmpeg", 0.96, 0.05)


def test_drop_in_a_stage_with_rust_is_that_of_sccache() -> None:
    """In a stage with Rust, the hits of sccache are compared, and the warning names it."""
    builds = [measured(40, 0, second) for second in (1, 2)]
    for build, counts in zip(builds, (Sccache(97, 4), Sccache(50, 51)), strict=True):
        build.stages[0].measurements.sccache = counts
    (drop,) = hit_rate_drops(builds[1], builds[:1])
    assert str(drop).startswith("sccache: the hit rate of ffmpeg fell from 96 % to 50 %")


def test_drop_to_zero_is_reported() -> None:
    """A build without any hit in a cache that existed before it is a drop of the hit rate."""
    assert hit_rate_drops(measured(0, 100, 3), [measured(96, 4, 1)])


@pytest.mark.parametrize(
    ("latest", "earlier"),
    [
        (measured(0, 100, 3), []),
        (measured(87, 13, 3), [measured(96, 4, 1)]),
        (measured(0, 19, 3), [measured(96, 4, 1)]),
        (measured(0, 100, 3), [measured(19, 0, 1)]),
        (measured(0, 100, 3), [measured(96, 4, 1, outcome="failed")]),
        (measured(0, 100, 3), [measured(96, 4, 1, namespace="cold")]),
        (measured(0, 100, 3), [measured(96, 4, 4)]),
        (measured(0, 100, 3), [replace(measured(96, 4, 1), stages=[StageRecord("other")])]),
        (measured(5, 95, 3), [on(NEW_ENGINE, measured(96, 4, 1))]),
        (measured(5, 95, 3), [on(Builder(), measured(96, 4, 1))]),
        (on(PRUNED, measured(5, 95, 3)), [measured(96, 4, 1)]),
        (on(PRUNED, measured(0, 100, 1)), [on(PRUNED, measured(96, 4, 0))]),
        (on(UNKNOWN, measured(1, 99, 3)), [on(UNKNOWN, measured(96, 4, 1))]),
    ],
    ids=[
        "first",
        "small",
        "few",
        "few-before",
        "failed",
        "namespace",
        "later",
        "other-stage",
        "other-builder",
        "unknown-builder",
        "pruned-since",
        "created-meanwhile",
        "no-hits",
    ],
)
def test_other_differences_are_not_a_drop(latest: BuildRecord, earlier: list[BuildRecord]) -> None:
    """A first, failed, pruned or otherwise incomparable build is not a drop of the hit rate."""
    assert hit_rate_drops(latest, earlier) == []


def test_drop_in_one_stage_is_reported_without_the_age_of_the_cache() -> None:
    """A drop of one stage is reported if others have hits, also with a cache of unknown age."""
    latest = on(UNKNOWN, measured(1, 99, 3))
    latest.stages.append(StageRecord("libvmaf", measurements=ccache(90, 10)))
    assert hit_rate_drops(latest, [on(UNKNOWN, measured(96, 4, 1))])


def test_cache_was_empty_if_it_is_younger_than_the_first_step() -> None:
    """The cache was empty if it was created after the first step began, by BuildKit's clock."""
    build = on(PRUNED, measured(90, 10, 0))
    assert cache_was_empty(build)
    step = StepRecord(9.0, cached=False, spans=[])
    build.stages[0].steps["1/1 RUN make"] = step
    step.spans = [(STARTED + timedelta(seconds=3), STARTED + timedelta(seconds=9))]
    assert not cache_was_empty(build)
    step.spans = [(STARTED + timedelta(seconds=1), STARTED + timedelta(seconds=9))]
    assert cache_was_empty(build)


def test_build_without_lookups_has_no_empty_cache() -> None:
    """A build without lookups is not reported to have an empty compiler cache."""
    assert not cache_was_empty(on(PRUNED, measured(0, 0, 0)))
    assert not cache_was_empty(on(UNKNOWN, measured(0, 0, 0)))


def test_hits_of_depcache_show_that_the_cache_was_not_empty() -> None:
    """The hits of any compiler cache show that the cache was not empty."""
    build = on(UNKNOWN, measured(0, 100, 3))
    assert cache_was_empty(build)
    build.stages[0].measurements.depcache = Depcache(hit=5, miss=95)
    assert not cache_was_empty(build)


def test_drop_is_printed_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A drop of the hit rate is one line with the stage, both rates, the cause and the page."""
    summary(record(), [HitRateDrop("ffmpeg-vulkan", 0.96, 0.05)])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("ccache: the hit rate of ffmpeg-vulkan fell from 96 % to 5 %: ")
    assert line.endswith("(docs/caching.md)")


def test_empty_cache_is_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    """A build with an empty compiler cache prints its hits instead of a warning."""
    summary(on(PRUNED, measured(3, 2452, 1)))
    assert "the compiler cache was empty: 3 of 2455 lookups were hits" in capsys.readouterr().err
