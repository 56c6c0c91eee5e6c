"""Tests of scripts/caches/usage.py."""

from dataclasses import replace

from scripts.buildkit.measurements import Apt, Ccache, Depcache, Measurements, Sccache
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.caches.usage import last_usage, rows
from tests.support.mounts import APT, CCACHE, DECLARED, compiled, record, stage


def test_usage_is_that_of_the_last_build() -> None:
    """A mount's usage is of the last build in its namespace that did not cache the stage."""
    idle = compiled("ffmpeg", 0, 0, 0)
    idle.steps = {text: StepRecord(0.0, cached=True) for text in idle.steps}
    records = [
        record(1, compiled("ffmpeg", 9, 0, 100)),
        record(2, compiled("libvmaf", 2, 90, 10), compiled("ffmpeg", 5, 60, 40)),
        record(3, idle),
        record(4, compiled("ffmpeg", 9, 0, 100), namespace="trial"),
        record(5, stage("other", 1, f"{CCACHE.id}-2", Measurements())),
    ]
    use = last_usage(CCACHE, records)
    assert use
    assert (use.build, list(use.stages)) == ("2026-11-22T02:00:00Z", ["libvmaf", "ffmpeg"])
    assert (use.savings.hits["ccache"], use.rates) == ((150, 200), "ccache 75 %")
    trial = last_usage(replace(CCACHE, namespace="trial"), records)
    assert trial
    assert (trial.build, trial.rates) == ("2026-11-22T04:00:00Z", "ccache 0 %")
    assert last_usage(APT, records) is None


def test_depcache_is_counted_separately() -> None:
    """The lookups of depcache are counted separately from ccache's, without bypassed calls."""
    ffmpeg = compiled("ffmpeg", 9, 100, 0)
    ffmpeg.measurements.depcache = Depcache(hit=150, miss=2, uncacheable=1, bypassed=9)
    hip = stage("hip", 1, CCACHE.id, Measurements(depcache=Depcache(hit=1)))
    use = last_usage(CCACHE, [record(1, ffmpeg, hip)])
    assert use
    assert use.savings.hits == {"ccache": (100, 100), "depcache": (151, 154)}
    assert use.rates == "ccache 100 %\ndepcache 98 %"


def test_lookups_are_those_of_the_mounts_own_caches() -> None:
    """In a stage with Rust and C, each mount has the hits of its caches; sccache saves the time."""
    sccache = replace(CCACHE, id="vmaf-sccache-amd64", directory="/sccache")
    mounts = f"{CCACHE.id},target=/ccache --mount=type=cache,id={sccache.id}"

    def build(seconds: int, hits: int) -> BuildRecord:
        counts = Measurements(ccache=Ccache(4), sccache=Sccache(hits, 100 - hits, 35))
        return record(seconds, stage("rust", seconds, mounts, counts))

    builds = [build(1, 0), build(2, 97)]
    builds[0].stages[0].seconds = 90
    rust, c = (last_usage(mount, builds) for mount in (sccache, CCACHE))
    assert rust
    assert c
    assert (rust.rates, rust.saved) == ("sccache 97 %", "88 s")
    assert (c.rates, c.saved) == ("ccache 100 %", "-")


def test_saved_time_is_relative_to_the_shortest_cold_run() -> None:
    """The saved time of a stage is its shortest cold run minus the last one, and never negative."""
    cold = [
        record(1, compiled("ffmpeg", 500, 5, 95), compiled("libvmaf", 20, 0, 100)),
        record(2, compiled("ffmpeg", 480, 0, 100), namespace="trial"),
        record(3, compiled("ffmpeg", 100, 0, 100), outcome="failed"),
        record(4, compiled("ffmpeg", 50, 0, 4)),  # too few lookups
    ]
    warm = (compiled("ffmpeg", 80, 100, 0), compiled("libvmaf", 25, 100, 0))
    use = last_usage(CCACHE, [*cold, record(5, *warm)])
    assert use
    assert (use.savings.seconds, use.saved) == (400, "400 s")


def test_saved_time_is_unknown_without_a_cold_run() -> None:
    """Without a cold run on record, no saved time of a cache mount is shown."""
    records = [record(1, compiled("ffmpeg", 99, 80, 20)), record(2, compiled("ffmpeg", 9, 100, 0))]
    use = last_usage(CCACHE, records)
    assert use
    assert (use.savings.seconds, use.saved) == (None, "-")


def test_saved_bytes_are_those_not_downloaded() -> None:
    """The saved bytes of apt are those that were needed and not downloaded."""
    stages = (
        stage("toolchain", 9, APT.id, Measurements(apt=Apt(196_000_000, 0))),
        stage("fetch", 9, APT.id, Measurements(apt=Apt(4_000_000, 4_000_000))),
        stage("headers", 9, APT.id, Measurements()),
    )
    use = last_usage(APT, [record(1, *stages)])
    assert use
    assert (use.rates, use.saved) == ("apt 98 %", "196.0 MB")
    untold = last_usage(APT, [record(1, stages[2])])
    assert untold
    assert (untold.rates, untold.saved) == ("-", "-")


def test_mount_is_found_at_any_position_of_its_id() -> None:
    """A step uses a mount if one of its caches has exactly the mount's id, in any position."""
    texts = {
        "RUN --mount=type=cache,target=/ccache,id=vmaf-ccache-amd64 make": True,
        "RUN --mount=target=/c,id=vmaf-ccache-amd64,type=cache make": True,
        "RUN --mount=type=secret,id=vmaf-ccache-amd64 make": False,
        "RUN --mount=type=cache,id=vmaf-ccache-amd64-2,target=/c make": False,
        "RUN --mount=type=cache,id=x,target=/c --mount=type=secret,id=vmaf-ccache-amd64 a": False,
    }
    for text, expected in texts.items():
        used = StageRecord("s", steps={text: StepRecord(1.0, cached=False)})
        assert bool(last_usage(CCACHE, [record(1, used)])) is expected, text


def test_rows_are_existing_and_missing_mounts() -> None:
    """`nox -s cache` lists existing and missing mounts, with namespaces and other projects."""
    other = replace(CCACHE, id="/root/.npm", directory="/root/.npm")
    existing = [CCACHE, replace(APT, namespace="trial"), other]
    table = rows(existing, DECLARED, [])
    assert [(row.name, row.purpose, bool(row.mount)) for row in table] == [
        ("vmaf-ccache-amd64", "compiled code", True),
        ("trial/vmaf-apt-cache-trixie-amd64", "Debian packages", True),
        ("/root/.npm", "another project", True),
        ("vmaf-apt-cache-trixie-${TARGETARCH}", "Debian packages", False),
        ("vmaf-pip-$TARGETARCH", "Python packages", False),
    ]
