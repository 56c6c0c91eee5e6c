"""Tests of scripts/cli/cache.py."""

import json
from dataclasses import replace

import pytest

from scripts.buildkit import records
from scripts.caches import mounts, statistics, stream
from scripts.caches.archive import Entry
from scripts.caches.mounts import CacheMount
from scripts.cli.__main__ import main
from scripts.core.console import UserError
from scripts.dockerfile import project
from tests.support.mounts import APT, CCACHE, DECLARED, compiled, record
from tests.unit.caches.test_archive import ENTRY


@pytest.fixture
def existing(monkeypatch: pytest.MonkeyPatch) -> list[CacheMount]:
    """Return the mounts of the builder, which are none at first."""
    present: list[CacheMount] = []
    monkeypatch.setattr(mounts, "existing", lambda: list(present))
    monkeypatch.setattr(mounts, "declared", lambda _: DECLARED)
    monkeypatch.setattr(project, "of_repository", lambda: None)
    monkeypatch.setattr(records, "records", lambda: [record(1, compiled("f", 1, 30, 0))])
    return present


def test_table_shows_sizes_and_hits(
    existing: list[CacheMount], capsys: pytest.CaptureFixture[str]
) -> None:
    """`nox -s cache` marks a size that was not measured with `~`, and lists a missing mount."""
    existing += [CCACHE, replace(APT, measured=False)]
    assert main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1.0 kB 2 hours ago" in next(line for line in lines if "vmaf-ccache" in line)
    assert "ccache 100 %" in next(line for line in lines if "vmaf-ccache" in line)
    assert "~1.0 kB" in next(line for line in lines if "apt" in line)
    assert "not created yet" in next(line for line in lines if "pip" in line)


def test_json_has_the_counts(
    existing: list[CacheMount], capsys: pytest.CaptureFixture[str]
) -> None:
    """`nox -s cache` prints sizes in bytes and the lookups behind the hit rates as JSON."""
    existing.append(CCACHE)
    main(["cache", "--format", "json"])
    first, *_ = json.loads(capsys.readouterr().out)
    assert first["mount"]["size"] == 1000
    assert first["usage"]["savings"]["hits"]["ccache"] == [30, 30]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune"], "prune --older-than 7d"),
        (["prune", "--older-than", "all"], "prune --older-than 7d"),
        (["purge"], "choose from .*prune.*stats"),
        (["save"], "cache -- save DIR|REF"),
        (["save", "a", "b"], "2 operands are given"),
        (["load"], "cache -- load DIR|REF"),
        (["save", "a", "--unused", "old"], "save DIR --unused 7d"),
        (["save", "a", "--with", "npm"], "Choose: apt, pip"),
        (["ls"], "ls ID .PATH."),
        (["cat", "vmaf-gomod"], "cat ID PATH"),
        (["stats", "vmaf-gomod"], "1 operands are given"),
    ],
)
def test_invalid_arguments_change_nothing(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invalid arguments of `nox -s cache` start no buildx, and the error shows valid ones."""
    monkeypatch.setattr(mounts, "buildx", lambda *_: pytest.fail("buildx was run"))
    with pytest.raises(UserError, match=message):
        main(["cache", *arguments])


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["stats"], "m: ccache\n{}\n"),
        (["stats", "--format=json"], '{\n  "m": {\n    "ccache": {}\n  }\n}\n'),
    ],
)
def test_statistics_are_printed(
    arguments: list[str],
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`cache stats` prints a mount's statistics with its id and the name of the program."""
    monkeypatch.setattr(statistics, "read", lambda *_, **__: {"m": {"ccache": "{}"}})
    assert main(["cache", *arguments]) == 0
    assert capsys.readouterr().out == printed


def test_archives_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cache save` and `cache load` print what the archive has, also as JSON."""
    calls: list[dict[str, object]] = []

    def save(_place: str, **options: object) -> list[Entry]:
        calls.append(options)
        return [ENTRY]

    monkeypatch.setattr(stream, "save", save)
    monkeypatch.setattr(stream, "load", save)
    assert main(["cache", "save", "dir", "--with=apt", "--unused=1d", "--force"]) == 0
    also, unused = calls[0]["also"], calls[0]["unused"]
    assert (also, unused) == ({"/var/cache/apt", "/var/lib/apt"}, mounts.read_age("1d"))
    assert calls[0]["force"] is True
    line = "vmaf-ccache-amd64: 1 files, 100 bytes, 3 bytes in the archive, ccache 50 %"
    assert line in capsys.readouterr().err
    assert (
        main(["cache", "load", "dir", "--replace", "--id=a,b", "--namespace=n", "--format=json"])
        == 0
    )
    assert calls[1] == {"ids": ["a", "b"], "replace": True, "namespace": "n"}
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["hit_rates"] == {"ccache": 0.5}


@pytest.mark.parametrize(
    ("verb", "found", "printed"),
    [
        (
            "ls",
            {"mode": "Lrwxrwxrwx", "uid": 1, "gid": 2, "bytes": 3, "time": "2026-11-27T18:27:16.1Z",
             "name": "a", "link": "b"},
            "Lrwxrwxrwx       1:2            3 2026-11-27T18:27:16Z a -> b\n",
        ),
        (
            "du",
            {"name": "a", "files": 2, "bytes": 30},
            "            30        2 a\n            30        2 total\n",
        ),
    ],
)  # fmt: skip
def test_contents_are_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    found: dict[str, object],
    printed: str,
) -> None:
    """`cache ls` and `cache du` print a line for each file, or JSON."""
    monkeypatch.setattr(stream, "look", lambda *_: [found])
    assert main(["cache", verb, "vmaf-gomod"]) == 0
    assert capsys.readouterr().out == printed
    assert main(["cache", verb, "vmaf-gomod", "/", "--format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == [found]
