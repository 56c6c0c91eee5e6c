"""The table of cache mounts: what BuildKit prints, what builds left, and their joining."""

import json
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from scripts.buildkit import records
from scripts.buildkit.measurements import Apt, Ccache, Depcache, Measurements
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.caches import mounts
from scripts.caches.mounts import Kept, Named
from scripts.cli import cache
from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.dockerfile import project
from scripts.dockerfile.parser import Mount
from scripts.engine import client
from tests.support.buildx import needs_buildx

LISTED = """\
ID:		vjoo142hzsu205vlpla9ucb4p
Created at:	2026-11-22 17:15:26.681373282 +0000 UTC
Mutable:	true
Reclaimable:	true
Shared:		false
Size:		1.474GB
Description:	cached mount /var/cache/apt from exec apt.sh with id "/vmaf-apt-cache-trixie-amd64"
Usage count:	105
Last used:	13 minutes ago
Type:		exec.cachemount

ID:		tzaono15zzb9xkmepkt40sskp*
Parent:		px55wmzlplkf8muzwdq48qfz5
Created at:	2026-11-22 17:22:11.295318204 +0000 UTC
Mutable:	true
Reclaimable:	true
Shared:		false
Size:		26.56MB
Description:	cached mount /ccache from exec /bin/sh -c <<end cat
ID of what is not a record

Kind:	nothing
end with id "trial/vmaf-ccache-amd64"
Usage count:	90
Last used:	About an hour ago
Type:		exec.cachemount

ID:		l636z600eyzia8dx42d4vi0ao
Created at:	2026-11-22 17:15:37.199186007 +0000 UTC
Mutable:	false
Size:		8MB
Description:	mount / from exec /bin/sh -c echo 'cached mount /x from exec with id "/y"'
Usage count:	1
Last used:	2 days ago
Type:		regular

ID:		d4l8bka6kr0ge6j8s985b473p
Created at:	2026-11-22 17:08:59.066208788 +0000 UTC
Mutable:	true
Size:		0B
Description:	cached mount /root/.npm from exec npm ci with id "//root/.npm"
Type:		exec.cachemount

Reclaimable:	1.5GB
Total:		1.5GB
"""
"""What buildx 0.13.1 prints, with a command of several lines put in."""

LATER = """\
ID:           vjoo142hzsu205vlpla9ucb4p
Parents:
 - px55wmzlplkf8muzwdq48qfz5
Created at:   2026-11-22 17:15:26.681373282 +0000 UTC
Mutable:      true
Reclaimable:  true
Shared:       false
Size:         26.56MB
Description:  cached mount /ccache from exec /bin/sh -c make with id "/vmaf-ccache-arm64"
Usage count:  1
Last used:    3 weeks ago
Type:         exec.cachemount
"""
"""As later ones lay it out."""

CCACHE = Kept(
    record="r1",
    namespace="",
    id="vmaf-ccache-amd64",
    folder="/ccache",
    size=1000,
    measured=True,
    last_used="2 hours ago",
    uses=3,
)
APT = replace(CCACHE, id="vmaf-apt-cache-trixie-amd64", folder="/var/cache/apt")


def stage(name: str, seconds: float, identifier: str, measurements: Measurements) -> StageRecord:
    """Return a stage whose one step mounts a cache, and ran."""
    text = f"RUN --mount=type=cache,id={identifier},target=/x,sharing=locked make"
    steps = {f"1/1 {text}": StepRecord(seconds, cached=False)}
    return StageRecord(name, [], seconds, cached=False, measurements=measurements, steps=steps)


def compiled(name: str, seconds: float, hits: int, misses: int) -> StageRecord:
    """Return a stage that ccache counted for."""
    counts = Ccache(direct_cache_hit=hits, cache_miss=misses)
    return stage(name, seconds, CCACHE.id, Measurements(ccache=counts))


def record(
    hour: int,
    *stages: StageRecord,
    namespace: str = "",
    outcome: Literal["built", "failed"] = "built",
) -> BuildRecord:
    """Return the record of a build that began then."""
    started = datetime(2026, 11, 22, hour, tzinfo=UTC)
    return BuildRecord(["cpu"], {}, namespace, started, 1.0, outcome, list(stages), {}, [])


# What the engine has


def test_du_is_read_mount_by_mount() -> None:
    """Records of other types are left out, and so are the totals at the end."""
    apt, ccache, npm = mounts.read_du(LISTED)
    assert apt == Kept(
        record="vjoo142hzsu205vlpla9ucb4p",
        namespace="",
        id="vmaf-apt-cache-trixie-amd64",
        folder="/var/cache/apt",
        size=1_474_000_000,
        measured=False,
        last_used="13 minutes ago",
        uses=105,
    )
    assert (ccache.record, ccache.name) == ("tzaono15zzb9xkmepkt40sskp", "trial/vmaf-ccache-amd64")
    assert (ccache.size, ccache.last_used) == (26_560_000, "About an hour ago")
    assert (npm.namespace, npm.id, npm.size) == ("", "/root/.npm", 0)
    assert (npm.last_used, npm.uses) == ("never", 0)
    assert [one.ours for one in (apt, ccache, npm)] == [True, True, False]


def test_du_of_a_later_buildx() -> None:
    """Spaces for tabs, parents on lines of their own."""
    (only,) = mounts.read_du(LATER)
    assert (only.id, only.last_used) == ("vmaf-ccache-arm64", "3 weeks ago")


@pytest.mark.parametrize("text", ["", "Reclaimable:\t0B\nTotal:\t0B\n", "ID:\tx\nType:\tregular\n"])
def test_du_without_mounts(text: str) -> None:
    """An empty builder has none."""
    assert mounts.read_du(text) == []


def test_a_mount_is_measured_where_the_engine_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BuildKit's figure stays, and says so, where that folder is out of reach."""
    here = client.Engine("26.1", "0.13", str(tmp_path), "overlay2", local=True)
    monkeypatch.setattr(client, "require", lambda: here)
    monkeypatch.setattr(mounts, "_buildx", lambda *_: LISTED)
    folder = tmp_path / "overlay2" / "vjoo142hzsu205vlpla9ucb4p" / "diff"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"x" * 100_000)
    by_id = {one.id: one for one in mounts.kept()}
    assert list(by_id) == ["vmaf-apt-cache-trixie-amd64", "vmaf-ccache-amd64", "/root/.npm"]
    apt, ccache, _ = by_id.values()
    assert apt.measured
    assert 100_000 <= apt.size < 200_000
    assert (ccache.size, ccache.measured) == (26_560_000, False)
    monkeypatch.setattr(client, "require", lambda: replace(here, local=False))
    assert not any(one.measured for one in mounts.kept())


# Ages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", timedelta(days=7)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(hours=1, minutes=30)),
        ("2w", timedelta(days=14)),
        ("1s", timedelta(seconds=1)),
    ],
)
def test_age(text: str, expected: timedelta) -> None:
    """A number and a unit."""
    assert mounts.read_age(text) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Less than a second ago", timedelta()),
        ("1 second ago", timedelta(seconds=1)),
        ("29 seconds ago", timedelta(seconds=29)),
        ("About a minute ago", timedelta(minutes=1)),
        ("13 minutes ago", timedelta(minutes=13)),
        ("About an hour ago", timedelta(hours=1)),
        ("46 hours ago", timedelta(hours=46)),
        ("13 days ago", timedelta(days=13)),
        ("3 weeks ago", timedelta(days=21)),
        ("2 months ago", timedelta(days=60)),
        ("3 years ago", timedelta(days=1095)),
        ("never", timedelta()),
        ("", timedelta()),
    ],
)
def test_how_long_a_mount_is_unused(words: str, expected: timedelta) -> None:
    """In BuildKit's words; what it does not tell counts as used just now."""
    assert replace(CCACHE, last_used=words).unused == expected


@pytest.mark.parametrize("text", [None, "", "7", "d", "7 d", "-7d", "1.5h", "7days", "0d", "7D"])
def test_no_age(text: str | None) -> None:
    """Nothing is pruned on a guess, and zero would take what was used just now."""
    with pytest.raises(UserError, match="cannot prune") as caught:
        mounts.read_age(text)
    assert "--older-than 7d" in caught.value.todo


# What it gave


def test_hits_are_those_of_the_last_build_that_used_the_mount() -> None:
    """Not of one that found its stages cached, nor of one in another namespace."""
    idle = compiled("ffmpeg", 0, 0, 0)
    idle.steps = {text: StepRecord(0.0, cached=True) for text in idle.steps}
    records = [
        record(1, compiled("ffmpeg", 9, 0, 100)),
        record(2, compiled("libvmaf", 2, 90, 10), compiled("ffmpeg", 5, 60, 40)),
        record(3, idle),
        record(4, compiled("ffmpeg", 9, 0, 100), namespace="trial"),
        record(5, stage("other", 1, f"{CCACHE.id}-2", Measurements())),
    ]
    use = mounts.last_use(CCACHE, records)
    assert use
    assert (use.build, list(use.stages)) == ("2026-11-22T02:00:00Z", ["libvmaf", "ffmpeg"])
    assert (use.hits["ccache"], use.rates) == ((150, 200), "ccache 75 %")
    trial = mounts.last_use(replace(CCACHE, namespace="trial"), records)
    assert trial
    assert (trial.build, trial.rates) == ("2026-11-22T04:00:00Z", "ccache 0 %")
    assert mounts.last_use(APT, records) is None


def test_what_ccache_does_not_know_is_told_apart() -> None:
    """What the launcher passes on was never to be cached; a stage may have no other hits."""
    ffmpeg = compiled("ffmpeg", 9, 100, 0)
    ffmpeg.measurements.depcache = Depcache(hit=150, miss=2, uncacheable=1, bypassed=9)
    hip = stage("hip", 1, CCACHE.id, Measurements(depcache=Depcache(hit=1)))
    use = mounts.last_use(CCACHE, [record(1, ffmpeg, hip)])
    assert use
    assert use.hits == {"ccache": (100, 100), "depcache": (151, 154)}
    assert use.rates == "ccache 100 %\ndepcache 98 %"


def test_time_saved_is_that_of_the_shortest_cold_run_less_the_last() -> None:
    """Of each stage that has been cold; a slower warm run saved nothing."""
    cold = [
        record(1, compiled("ffmpeg", 500, 5, 95), compiled("libvmaf", 20, 0, 100)),
        record(2, compiled("ffmpeg", 480, 0, 100), namespace="trial"),
        record(3, compiled("ffmpeg", 100, 0, 100), outcome="failed"),
        record(4, compiled("ffmpeg", 50, 0, 4)),  # too few calls to tell
    ]
    warm = (compiled("ffmpeg", 80, 100, 0), compiled("libvmaf", 25, 100, 0))
    use = mounts.last_use(CCACHE, [*cold, record(5, *warm)])
    assert use
    assert (use.saved_seconds, use.saved) == (400, "400 s")


def test_time_saved_is_unknown_where_no_stage_was_ever_cold() -> None:
    """No figure is better than a guess."""
    records = [record(1, compiled("ffmpeg", 99, 80, 20)), record(2, compiled("ffmpeg", 9, 100, 0))]
    use = mounts.last_use(CCACHE, records)
    assert use
    assert (use.saved_seconds, use.saved) == (None, "-")


def test_packages_saved_are_bytes_not_downloaded() -> None:
    """Of the stages that apt told of."""
    stages = (
        stage("toolchain", 9, APT.id, Measurements(apt=Apt(196_000_000, 0))),
        stage("fetch", 9, APT.id, Measurements(apt=Apt(4_000_000, 4_000_000))),
        stage("headers", 9, APT.id, Measurements()),
    )
    use = mounts.last_use(APT, [record(1, *stages)])
    assert use
    assert (use.rates, use.saved) == ("apt 98 %", "196.0 MB")
    untold = mounts.last_use(APT, [record(1, stages[2])])
    assert untold
    assert (untold.rates, untold.saved) == ("-", "-")


def test_a_mount_is_found_wherever_its_id_stands_among_the_options() -> None:
    """And neither in a secret's id nor in a longer one."""
    texts = {
        "RUN --mount=type=cache,target=/ccache,id=vmaf-ccache-amd64 make": True,
        "RUN --mount=target=/c,id=vmaf-ccache-amd64,type=cache make": True,
        "RUN --mount=type=secret,id=vmaf-ccache-amd64 make": False,
        "RUN --mount=type=cache,id=vmaf-ccache-amd64-2,target=/c make": False,
        "RUN --mount=type=cache,id=x,target=/c --mount=type=secret,id=vmaf-ccache-amd64 a": False,
    }
    for text, expected in texts.items():
        used = StageRecord("s", steps={text: StepRecord(1.0, cached=False)})
        assert bool(mounts.last_use(CCACHE, [record(1, used)])) is expected, text


# The table

WANTED = (
    Named("vmaf-ccache-$TARGETARCH", Mount({"target": "/ccache"})),
    Named("vmaf-apt-cache-trixie-${TARGETARCH}", Mount({"target": "/var/cache/apt"})),
    Named("vmaf-pip-$TARGETARCH", Mount({"target": "/root/.cache/pip"})),
)


def test_rows_are_what_is_there_and_what_is_not_yet() -> None:
    """A mount of a namespace does not stand for the usual one; strangers are named as such."""
    stranger = replace(CCACHE, id="/root/.npm", folder="/root/.npm")
    have = [CCACHE, replace(APT, namespace="trial"), stranger]
    rows = mounts.rows(have, WANTED, [])
    assert [(row.name, row.purpose, bool(row.kept)) for row in rows] == [
        ("vmaf-ccache-amd64", "compiled code", True),
        ("trial/vmaf-apt-cache-trixie-amd64", "Debian packages", True),
        ("/root/.npm", "not ours", True),
        ("vmaf-apt-cache-trixie-${TARGETARCH}", "Debian packages", False),
        ("vmaf-pip-$TARGETARCH", "Python packages", False),
    ]


@pytest.fixture
def engine_has(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """Return what the engine has, to be filled; there is none."""
    have: list[Kept] = []
    monkeypatch.setattr(cache, "kept", lambda: list(have))
    monkeypatch.setattr(cache, "named", lambda _: WANTED)
    monkeypatch.setattr(project, "of_repository", lambda: None)
    monkeypatch.setattr(records, "records", lambda: [record(1, compiled("f", 1, 30, 0))])
    return have


def test_the_table_reads_at_a_glance(
    engine_has: list[Kept], capsys: pytest.CaptureFixture[str]
) -> None:
    """A size that was not measured is marked, and the mark is explained."""
    engine_has += [CCACHE, replace(APT, measured=False)]
    assert main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1.0 kB 2 hours ago  ccache 100 %" in next(line for line in lines if "ccache" in line)
    assert "~1.0 kB" in next(line for line in lines if "apt" in line)
    assert "not made yet" in next(line for line in lines if "pip" in line)


def test_json_has_all_of_it(engine_has: list[Kept], capsys: pytest.CaptureFixture[str]) -> None:
    """For programs, with the counts behind the shares."""
    engine_has.append(CCACHE)
    main(["cache", "--format", "json"])
    first, *_ = json.loads(capsys.readouterr().out)
    assert first["kept"]["size"] == 1000
    assert first["use"]["hits"]["ccache"] == [30, 30]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "prune --older-than 7d"),
        (["prune", "--older-than", "all"], "prune --older-than 7d"),
        (["purge"], "choose from .*prune.*stats"),
    ],
)
def test_invalid_arguments_change_nothing(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invalid arguments run no buildx command, and the message shows valid ones."""
    monkeypatch.setattr(mounts, "_buildx", lambda *_: pytest.fail("buildx was run"))
    with pytest.raises(UserError, match=message):
        main(["cache", *arguments])


def test_prune_asks_for_ours_alone_and_tells_what_went(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One record at a time, by type, name and age; what BuildKit keeps is no loss."""
    old = replace(CCACHE, last_used="8 days ago")
    have = [
        old,
        replace(old, record="r2"),
        replace(old, record="r3", id="/root/.npm"),
        replace(old, record="r4", last_used="6 days ago"),
    ]
    asked: list[tuple[str, ...]] = []

    def buildx(_what: str, *words: str) -> str:
        asked.append(words)
        have[:] = [one for one in have if f"id={one.record}" not in words or one.record == "r2"]
        return ""

    monkeypatch.setattr(mounts, "kept", lambda: list(have))
    monkeypatch.setattr(mounts, "_buildx", buildx)
    assert main(["cache", "prune", "--older-than", "7d"]) == 0
    assert [words[5] for words in asked] == ["id=r1", "id=r2"]
    for words in asked:
        assert words[:4] == ("prune", "--force", "--filter", "type=exec.cachemount")
        assert re.fullmatch(r"until=0\.\d+s", words[-1])
    said = capsys.readouterr().err
    assert "vmaf-ccache-amd64: 1.0 kB, last used 8 days ago" in said
    assert "1 of 3 cache mounts pruned, 1.0 kB freed" in said


def test_a_builder_that_fails_is_no_empty_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of buildx is the reason."""
    failed = subprocess.CompletedProcess([], 1, "", "\nERROR: no builder found\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match="cannot list the mounts: ERROR: no builder found"):
        mounts._buildx("list the mounts", "du")  # noqa: SLF001


# Statistics


def test_statistics_are_read_with_the_mount_as_the_steps_have_it() -> None:
    """Another sharing mode or owner would be answered with another, empty mount."""
    options = {
        "type": "cache",
        "id": "vmaf-ccache-$TARGETARCH",
        "target": "/ccache",
        "sharing": "locked",
        "uid": "1000",
    }
    lines = mounts.look([Named(options["id"], Mount(options)), WANTED[1]], as_json=False)
    assert "ARG TARGETARCH STAMP\nUSER 1000\n" in lines
    mount = "type=cache,id=vmaf-ccache-$TARGETARCH,target=/ccache,sharing=locked,uid=1000"
    assert f"RUN --mount={mount} --mount=type=bind" in lines
    assert "ccache --show-stats -vv > /tmp/look/vmaf-ccache-$TARGETARCH/ccache\n" in lines
    assert "depcache.py --stats > /tmp/look/vmaf-ccache-$TARGETARCH/depcache\n" in lines
    assert lines.count("RUN") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stats"], "m: ccache\n{}\n"),
        (["stats", "--format=json"], '{\n  "m": {\n    "ccache": {}\n  }\n}\n'),
    ],
)
def test_statistics_are_shown(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under the mount's id and the program's name."""
    monkeypatch.setattr(cache, "statistics", lambda *_, **__: {"m": {"ccache": "{}"}})
    assert main(["cache", *words]) == 0
    assert capsys.readouterr().out == said


# This repository


@needs_buildx
def test_every_mount_of_ours_is_known_by_its_id_and_purpose() -> None:
    """`prune` goes by how the ids begin, and the table says what each folder is for."""
    wanted = mounts.named(project.of_repository())
    assert len(wanted) > 5
    for one in wanted:
        assert one.id.startswith(mounts.OURS)
        assert one.mount.target in mounts.KINDS
