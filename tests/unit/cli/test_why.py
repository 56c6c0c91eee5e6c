"""`nox -s why`."""

import json
from pathlib import Path

import pytest

from scripts.buildkit import records
from scripts.causes import database, store
from scripts.cli.__main__ import main
from scripts.core.console import UserError
from tests.support.history import LABELS, History, Sources


@pytest.fixture(name="history")
def _history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Return a history with a first build; its builds are the recorded ones."""
    monkeypatch.setattr(store, "RECORDS", tmp_path)
    history = History()
    monkeypatch.setattr(records, "records", lambda: history.builds)
    history.build(Sources(), *LABELS)
    return history


def test_each_cause_is_printed_once_with_what_follows(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cause is printed above its step, with the number and time of the steps that follow."""
    sources = Sources()
    sources.tree = dict.fromkeys([*sources.tree, "a.c", "b.c", "c.c"], "644 2")
    history.build(sources, "libvmaf 1/1", "final 1/2", "final 2/2")
    assert main(["why", "image"]) == 0
    heading, count, *lines = capsys.readouterr().out.splitlines()
    assert heading.startswith("image: built 2026-11-22 ")
    assert "in 5.0 s, compared with 2026-11-22 " in heading
    assert count == "3 steps ran in 3.0 s, 2 cached"
    assert lines == [
        "",
        "a.c in libvmaf-source (added)",
        "  also b.c in libvmaf-source (added)",
        "  also c.c in libvmaf-source (added)",
        "  also src/picture.c in libvmaf-source",
        "  and 1 more, which --format json lists",
        "     1.0 s  libvmaf 1/1  RUN sh /run/libvmaf.sh",
        "     2.0 s  2 steps after it: final (2)",
    ]


def test_common_cause_of_steps_is_printed_once(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps with the same cause are listed below it; a cached root is marked."""
    sources = Sources(base="sha256:2")
    history.build(sources, "toolchain 1/1")
    sources.dockerfile = sources.dockerfile.replace("nasm\n", "nasm\nENV A=1\n")
    history.build(sources, "libvmaf 1/1", "ffmpeg 1/1")
    main(["why"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:] == [
        "the setting A of the stage (not set before, now 1)",
        "     1.0 s  libvmaf 1/1  RUN sh /run/libvmaf.sh",
        '     1.0 s  ffmpeg 1/1  RUN echo "level $LEVEL" >/ffmpeg',
    ]
    history.builds.pop()
    main(["why"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[4] == "   not run  base 1/1  FROM vmaf-why-test:parent AS base"
    assert lines[5] == "     1.0 s  1 step after it: toolchain (1)"


def test_what_is_not_recorded_is_listed(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    """If nothing recorded differs, the output says so and lists what may differ."""
    history.build(Sources(), "libvmaf 1/1")
    main(["why"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "nothing that is recorded: the cache has no result any more"
    assert lines[-1].startswith("not recorded: the contents of secrets")


def test_first_build_has_nothing_to_compare_with(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first recorded build says so."""
    assert history.builds
    main(["why"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("no earlier build to compare with")
    assert lines[3] == "the first recorded build of image"


def test_json_has_all_causes(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    """`--format json` has every cause, and the step that each step follows."""
    sources = Sources(arguments={"LEVEL": "2"})
    history.build(sources, "ffmpeg 1/1", "final 2/2")
    main(["why", "image", "--format", "json"])
    explanation = json.loads(capsys.readouterr().out)
    first, second = explanation["steps"]
    assert first["causes"] == [{"kind": "argument", "name": "LEVEL", "detail": "1 to 2"}]
    assert (second["stage"], second["after"]) == ("final", "ffmpeg 1/1")
    assert explanation["cached"] == 3


def test_target_selects_the_build(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    """The last build of the named target is explained, not the last build of all."""
    history.build(Sources(), *LABELS, target="other")
    main(["why", "image"])
    assert capsys.readouterr().out.startswith("image: ")


def test_nothing_to_explain(history: History) -> None:
    """Without a build of the target, or with older records only, the message says so."""
    with pytest.raises(UserError, match="none is recorded"):
        main(["why", "other"])
    history.forget_inputs()
    with pytest.raises(UserError, match="there is nothing to compare for image"):
        main(["why", "image"])


def test_database_of_cache_keys_is_asked(
    history: History, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the address of BuildKit's database, a lost result is looked up in it."""
    monkeypatch.setenv(database.VARIABLE, "http://x.test/")
    monkeypatch.setattr(database, "fetch", lambda _: "")
    history.build(Sources(), "libvmaf 1/1")
    main(["why"])
    assert "(BuildKit's database does not have the step)" in capsys.readouterr().out
