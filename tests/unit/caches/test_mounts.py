"""Tests of scripts/caches/mounts.py."""

import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scripts.caches import mounts, usage
from scripts.caches.mounts import CacheMount, DeclaredMount
from scripts.cli.__main__ import main
from scripts.core import process
from scripts.core.console import UserError
from scripts.dockerfile import project
from scripts.dockerfile.parser import Mount
from scripts.engine import client
from tests.support.buildx import needs_buildx
from tests.support.mounts import CCACHE

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
"""The output of buildx 0.13.1, with a command of several lines."""

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
"""The layout of later releases of buildx."""


def test_du_is_read_mount_by_mount() -> None:
    """The cache mounts in `docker buildx du` are read, without other records and the totals."""
    apt, ccache, npm = mounts.read_du(LISTED)
    assert apt == CacheMount(
        record="vjoo142hzsu205vlpla9ucb4p",
        namespace="",
        id="vmaf-apt-cache-trixie-amd64",
        directory="/var/cache/apt",
        size=1_474_000_000,
        measured=False,
        last_used="13 minutes ago",
        uses=105,
    )
    assert (ccache.record, ccache.name) == ("tzaono15zzb9xkmepkt40sskp", "trial/vmaf-ccache-amd64")
    assert (ccache.size, ccache.last_used) == (26_560_000, "About an hour ago")
    assert (npm.namespace, npm.id, npm.size) == ("", "/root/.npm", 0)
    assert (npm.last_used, npm.uses) == ("never", 0)
    assert [mount.belongs_to_project for mount in (apt, ccache, npm)] == [True, True, False]


def test_du_of_a_later_buildx_is_read() -> None:
    """`docker buildx du` is read with spaces between fields, and parents on their own lines."""
    (mount,) = mounts.read_du(LATER)
    assert (mount.id, mount.last_used) == ("vmaf-ccache-arm64", "3 weeks ago")


@pytest.mark.parametrize("text", ["", "Reclaimable:\t0B\nTotal:\t0B\n", "ID:\tx\nType:\tregular\n"])
def test_du_without_mounts_is_empty(text: str) -> None:
    """A builder without cache mounts has an empty list of mounts."""
    assert mounts.read_du(text) == []


def test_size_is_measured_where_the_directory_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount's size on disk replaces BuildKit's count, except on another machine's engine."""
    engine = client.Engine("26.1", "0.13", str(tmp_path), "overlay2", local=True)
    monkeypatch.setattr(client, "require", lambda: engine)
    monkeypatch.setattr(mounts, "buildx", lambda *_: LISTED)
    directory = tmp_path / "overlay2" / "vjoo142hzsu205vlpla9ucb4p" / "diff"
    directory.mkdir(parents=True)
    (directory / "file").write_bytes(b"x" * 100_000)
    by_id = {mount.id: mount for mount in mounts.existing()}
    assert list(by_id) == ["vmaf-apt-cache-trixie-amd64", "vmaf-ccache-amd64", "/root/.npm"]
    apt, ccache, _ = by_id.values()
    assert apt.measured
    assert 100_000 <= apt.size < 200_000
    assert (ccache.size, ccache.measured) == (26_560_000, False)
    monkeypatch.setattr(client, "require", lambda: replace(engine, local=False))
    assert not any(mount.measured for mount in mounts.existing())


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
def test_age_is_a_number_and_a_unit(text: str, expected: timedelta) -> None:
    """An age such as `7d` of `cache prune` is read as a duration."""
    assert mounts.read_age(text) == expected


@pytest.mark.parametrize("text", [None, "", "7", "d", "7 d", "-7d", "1.5h", "7days", "0d", "7D"])
def test_invalid_age_is_an_error(text: str | None) -> None:
    """An age without a unit, of zero, or in another form is an error of `cache prune`."""
    with pytest.raises(UserError, match="cannot prune") as caught:
        mounts.read_age(text)
    assert "--older-than 7d" in caught.value.todo


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_time_since_the_last_use_is_read(text: str, expected: timedelta) -> None:
    """The time since a mount's last use is read; a mount without one counts as just used."""
    assert replace(CCACHE, last_used=text).unused == expected


def test_prune_requests_single_records_of_the_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cache prune` removes each old mount of the project by its record, and checks the result."""
    old = replace(CCACHE, last_used="8 days ago")
    present = [
        old,
        replace(old, record="r2"),
        replace(old, record="r3", id="/root/.npm"),
        replace(old, record="r4", last_used="6 days ago"),
    ]
    commands: list[tuple[str, ...]] = []

    def buildx(_action: str, *arguments: str) -> str:
        commands.append(arguments)
        present[:] = [m for m in present if f"id={m.record}" not in arguments or m.record == "r2"]
        return ""

    monkeypatch.setattr(mounts, "existing", lambda: list(present))
    monkeypatch.setattr(mounts, "buildx", buildx)
    assert main(["cache", "prune", "--older-than", "7d"]) == 0
    assert [command[5] for command in commands] == ["id=r1", "id=r2"]
    for command in commands:
        assert command[:4] == ("prune", "--force", "--filter", "type=exec.cachemount")
        assert re.fullmatch(r"until=0\.\d+s", command[-1])
    printed = capsys.readouterr().err
    assert "vmaf-ccache-amd64: 1.0 kB, last used 8 days ago" in printed
    assert "1 of 3 cache mounts pruned, 1.0 kB freed" in printed


@pytest.mark.parametrize("used", [False, True])
def test_prune_by_id_removes_one_mount(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    used: bool,  # noqa: FBT001
) -> None:
    """`cache prune --id` removes the mount with that id and namespace; one in use is an error."""
    present = [CCACHE, replace(CCACHE, record="r2", namespace="trial")]
    commands: list[tuple[str, ...]] = []

    def buildx(_action: str, *arguments: str) -> str:
        commands.append(arguments)
        present[:] = [m for m in present if used or f"id={m.record}" not in arguments]
        return ""

    monkeypatch.setattr(mounts, "existing", lambda: list(present))
    monkeypatch.setattr(mounts, "buildx", buildx)
    arguments = ["cache", "prune", "--id", CCACHE.id, "--namespace", "trial"]
    if used:
        with pytest.raises(UserError, match="a build uses trial/vmaf-ccache-amd64"):
            main(arguments)
    else:
        assert main(arguments) == 0
        assert present == [CCACHE]
        assert "trial/vmaf-ccache-amd64 pruned, 1.0 kB freed" in capsys.readouterr().err
    assert [command[-1] for command in commands] == ["id=r2"]


def test_prune_by_id_refuses_other_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cache prune --id` refuses an id that does not exist, or that is of another project."""
    monkeypatch.setattr(mounts, "existing", lambda: [CCACHE, replace(CCACHE, id="npm")])
    monkeypatch.setattr(mounts, "buildx", lambda *_: pytest.fail("buildx was run"))
    for name in ("npm", "vmaf-pip-amd64"):
        with pytest.raises(UserError, match="Choose: vmaf-ccache-amd64"):
            main(["cache", "prune", "--id", name])


def test_failure_of_buildx_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A builder that fails does not look like one without mounts: its last line is the reason."""
    failed = subprocess.CompletedProcess([], 1, "", "\nERROR: no builder found\n")
    monkeypatch.setattr(process, "run", lambda *_, **__: failed)
    with pytest.raises(UserError, match="cannot list the mounts: ERROR: no builder found"):
        mounts.buildx("list the mounts", "du")


def test_declared_mount_matches_any_value_of_its_variables() -> None:
    """A mount id with variables in a Dockerfile matches an existing id with their values."""
    mount = DeclaredMount("vmaf-ccache-${TARGETARCH}", Mount({"target": "/ccache"}))
    assert mount.matches(CCACHE)
    assert not mount.matches(replace(CCACHE, id="vmaf-ccache-amd64-2"))


@needs_buildx
def test_declared_mounts_have_the_prefix_and_a_purpose() -> None:
    """Every mount of the Dockerfiles has the prefix that `prune` requires, and a known purpose."""
    declared = mounts.declared(project.of_repository())
    assert len(declared) > 5
    for declaration in declared:
        assert declaration.id.startswith(mounts.PREFIX)
        assert declaration.mount.target in usage.PURPOSES
