"""The programs that pages and workflows install with cargo."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.lock import crates as index
from scripts.lock.offers import Offer, Offers
from scripts.lock.sources_lock import File
from scripts.pins.crates import Crates

PAGE, WORKFLOW = Path("README.md"), Path("nightly.yml")
COMMAND = "cargo install --locked --version=0.14.1 --features=binary s3s-fs"
TEXTS = {
    PAGE: f"`s3s-fs` (`{COMMAND}`) and others\n`cargo install nothing`\n",
    WORKFLOW: f"      - run: {COMMAND}\n      - run: cargo install --version=1.0.0 other\n",
}


@pytest.fixture
def crates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crates:
    """Return the crates of a checkout; the index has a newer s3s-fs."""
    for path, text in TEXTS.items():
        (tmp_path / path).write_text(text)

    def ask(files: Sequence[File], _: Mapping[str, str]) -> Offers:
        (file,) = files
        if file.name == "silent":
            raise UserError("cannot read the index", "no route", "")
        version = "0.14.3" if file.name == "s3s-fs" else file.version
        return Offers("crates.io", {file.name: Offer(version, "", file.path)})

    monkeypatch.setattr(index, "ask", ask)
    return Crates(tmp_path, list(TEXTS), {})


def test_planted_old_version_is_edited_in_all_files(crates: Crates) -> None:
    """The page and the workflow change in one commit, whose message says from and to."""
    assert crates.parts() == {"s3s-fs": (PAGE, WORKFLOW), "other": (WORKFLOW,)}
    proposal = crates.ask(["s3s-fs", "other"])
    assert [one.newest for one in proposal.findings] == ["0.14.3", ""]
    (step,) = proposal.steps
    assert step.message == "pins: s3s-fs 0.14.1 to 0.14.3"
    assert step.files == {path: text.replace("0.14.1", "0.14.3") for path, text in TEXTS.items()}


def test_held_crate_stays(crates: Crates, tmp_path: Path) -> None:
    """A comment with a reason behind the command holds its version."""
    text = TEXTS[WORKFLOW].replace("s3s-fs\n", "s3s-fs # hold: 0.14.2 has a fault\n")
    (tmp_path / WORKFLOW).write_text(text)
    proposal = crates.ask(["s3s-fs"])
    assert (proposal.findings[0].held, proposal.steps) == ("0.14.2 has a fault", ())


def test_silent_index_concerns_its_crate_only(crates: Crates, tmp_path: Path) -> None:
    """A crate whose index does not answer has the reason; the others go on."""
    (tmp_path / PAGE).write_text(TEXTS[PAGE] + "cargo install --version=1.0.0 silent\n")
    proposal = crates.ask(["silent", "s3s-fs"])
    assert [one.asked for one in proposal.findings] == [False, True]
    assert proposal.findings[0].problem == "cannot read the index: no route"
    assert len(proposal.steps) == 1


def test_two_versions_are_refused(crates: Crates, tmp_path: Path) -> None:
    """A crate that two files install in different versions is an error that names both."""
    (tmp_path / WORKFLOW).write_text(TEXTS[WORKFLOW].replace("0.14.1", "0.14.2"))
    with pytest.raises(UserError, match=r"README\.md installs 0\.14\.1, and nightly\.yml 0\.14\.2"):
        crates.parts()
