"""Asking the origins of the files in the lock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from scripts.core.console import UserError
from scripts.lock import crates, debian, pypi, update
from scripts.lock.debian import Debian, Found
from scripts.lock.offers import Offers
from scripts.lock.sources_lock import File
from tests.unit.lock.samples import LOCK, NEW, offer, offers


@pytest.fixture
def origins(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the origins; FFmpeg 9.0.3 is in testing with a bad signature. Return who is asked."""
    asked: list[str] = []
    ffmpeg = offer(LOCK.files["ffmpeg9.0"], "9.0.3")
    locked = [
        Found(file.path.rpartition("/")[2].partition("_")[0], offer(file))
        for file in LOCK.files.values()
        if file.is_debian and file.name != "ffmpeg9.0"
    ]

    def of_index(files: Sequence[File], *_: object) -> Offers:
        asked.append(files[0].part)
        return offers(files[0].part)

    def of_debian() -> Debian:
        asked.append("Debian")
        found = [*locked, Found("ffmpeg", ffmpeg)]
        dates = dict.fromkeys(("testing", "experimental"), datetime(2026, 12, 5, tzinfo=UTC))
        return Debian(dict.fromkeys(dates, found), dates, {NEW: "the signature is not valid"})

    monkeypatch.setattr(pypi, "ask", of_index)
    monkeypatch.setattr(crates, "ask", of_index)
    monkeypatch.setattr(debian, "ask", of_debian)
    return asked


def test_only_the_origins_of_the_parts_are_asked(origins: list[str]) -> None:
    """An index is asked for its parts, and Debian only if a part is from there."""
    assert len(update.ask(LOCK, ["cuda13", "libvmaf"], {})[0].findings) == 2
    assert origins == ["cuda13", "libvmaf"]
    planned, unasked = update.ask(LOCK, ["hip6"], {})
    assert not any(found.is_behind for found in planned.findings)
    assert not unasked
    assert origins == ["cuda13", "libvmaf", "Debian"]


def test_bad_signature_ends_the_update(origins: list[str]) -> None:
    """A new tarball whose signature is not valid is an error before anything is written."""
    with pytest.raises(UserError, match=r"cannot lock ffmpeg_9.0.3.orig.tar.xz: the signature"):
        update.ask(LOCK, ["ffmpeg9.0"], {})
    assert origins == ["Debian"]


def test_archive_waits_for_parts_that_were_not_named(origins: list[str]) -> None:
    """FFmpeg is newer in testing, so the archive stays when only another part is updated."""
    old = replace(LOCK.files["exp"], version="0.9-1", path="pool/main/e/exp/exp_0.9-1_all.deb")
    made, _ = update.ask(LOCK.replace({"exp": old}), ["exp"], {})
    ((lock, _),) = made.steps()
    assert (made.holding, lock.archive) == (("ffmpeg9.0",), LOCK.archive)
    assert origins == ["Debian"]


@pytest.mark.parametrize("silent", ["index", "Debian"])
def test_origin_that_does_not_answer_concerns_its_parts_only(
    monkeypatch: pytest.MonkeyPatch, origins: list[str], silent: str
) -> None:
    """The parts of an origin that does not answer are listed with the reason; the others go on."""

    def fail(*_: object) -> NoReturn:
        raise UserError("cannot ask", f"{silent} is down", "Start it.")

    monkeypatch.setattr(crates if silent == "index" else debian, "ask", fail)
    planned, unasked = update.ask(LOCK, ["cuda13", "hip6", "libvmaf"], {})
    others = {"index": ["cuda13", "hip6"], "Debian": ["cuda13", "libvmaf"]}[silent]
    assert [found.part for found in planned.findings] == others
    assert list(unasked.values()) == [f"cannot ask: {silent} is down"]
    assert "cuda13" in origins
