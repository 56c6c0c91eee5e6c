"""Reading the index of crates.io."""

import json
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.lock import crates
from scripts.lock.sources_lock import File
from tests.unit.lock.samples import LOCK, NEW, F

FILES = LOCK.parts["libvmaf"]


def index(*releases: tuple[str, str] | tuple[str, str, bool]) -> dict[str, str]:
    """Return the index entry of the crate: version, digest, and whether it is yanked."""
    rows = [
        {"name": "vmaf-sys", "vers": vers, "cksum": cksum, "yanked": bool(rest and rest[0])}
        for vers, cksum, *rest in releases
    ]
    return {"vmaf-sys": "".join(f"{json.dumps(row)}\n" for row in rows)}


def test_newest_compatible_release_is_offered() -> None:
    """Of the releases that cargo takes for 0.2.0, the newest is offered, wherever it is listed."""
    offered = crates.read(FILES, index(("0.1.9", F), ("0.2.10", NEW), ("0.2.9", F)))
    assert offered.files["libvmaf"].version == "0.2.10"
    assert offered.files["libvmaf"].sha256 == NEW
    assert (offered.gone, offered.notes) == ("", ())


@pytest.mark.parametrize("release", [("0.2.1", NEW, True), ("0.2.1-rc.1", NEW)])
def test_yanked_and_pre_releases_are_passed_over(
    release: tuple[str, str] | tuple[str, str, bool],
) -> None:
    """A yanked release and a pre-release are not offered."""
    offered = crates.read(FILES, index(("0.2.0", F), release))
    assert offered.files["libvmaf"].version == "0.2.0"
    assert not offered.notes


@pytest.mark.parametrize("newest", ["0.3.0", "1.0.0"])
def test_incompatible_release_is_told(newest: str) -> None:
    """A release that is not compatible is named, and the part keeps the compatible one."""
    offered = crates.read(FILES, index(("0.2.0", F), (newest, NEW)))
    assert offered.files["libvmaf"].version == "0.2.0"
    assert offered.notes[0].startswith(f"{newest} is a new release")


def test_crate_without_a_compatible_release_is_gone() -> None:
    """If all compatible releases were yanked, the report says so."""
    offered = crates.read(FILES, index(("0.2.0", F, True), ("0.3.0", NEW)))
    assert not offered.files
    assert offered.gone.startswith("crates.io no longer has vmaf-sys 0.2.0")


def test_compatibility_is_that_of_cargo() -> None:
    """The first component that is not 0 must be the same."""
    file = File("x", "1.4.0", F, "crates.io", "vmaf-sys")
    assert crates.read([file], index(("1.5.0", F), ("2.0.0", F))).files["x"].version == "1.5.0"
    file = File("x", "0.0.3", F, "crates.io", "vmaf-sys")
    assert crates.read([file], index(("0.0.3", F), ("0.0.4", F))).files["x"].version == "0.0.3"


@pytest.mark.parametrize("text", ["<html>", '{"vers": "0.2.0"}', "[]"])
def test_damaged_index_is_an_error(text: str) -> None:
    """A server that answers with something else is an error that names the crate."""
    with pytest.raises(UserError, match="cannot read the index entry of vmaf-sys"):
        crates.read(FILES, {"vmaf-sys": text})


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", "1/a"), ("ab", "2/ab"), ("abc", "3/a/abc"), ("Vmaf-sys", "vm/af/vmaf-sys")],
)
def test_path_in_the_index(name: str, path: str) -> None:
    """The path depends on the length of the name, as the format of sparse indexes demands."""
    assert crates.path_of(name) == path


def test_settings_of_cargo_replace_the_index() -> None:
    """The source that replaces crates-io is used, through several steps, and only that one."""
    assert crates.index_of("[build]\njobs = 1\n") == crates.INDEX
    settings = """
        [source.crates-io]
        replace-with = "a"
        [source.a]
        replace-with = "b"
        [source.b]
        registry = "sparse+https://crates.example.org/index"
        [source.c]
        registry = "sparse+https://other.example.org/"
    """
    assert crates.index_of(settings) == "https://crates.example.org/index/"


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        ("https://example.org/git-index", "only a sparse index over HTTPS"),
        ("sparse+http://example.org/", "only a sparse index over HTTPS"),
        ("sparse+file:///etc/", "only a sparse index over HTTPS"),
        ('x"\n"', "cannot read cargo's settings"),
    ],
)
def test_index_that_is_not_supported_is_an_error(registry: str, message: str) -> None:
    """A git index, one without TLS, and damaged settings are errors."""
    settings = '[source.crates-io]\nreplace-with = "a"\n[source.a]\nregistry = '
    with pytest.raises(UserError, match=message):
        crates.index_of(f'{settings}"{registry}"\n')


def test_settings_are_in_cargo_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the entry is fetched from the index that config.toml in CARGO_HOME names."""
    fetched: list[str] = []

    def fetch(url: str) -> str:
        fetched.append(url)
        return index(("0.2.0", F))["vmaf-sys"]

    monkeypatch.setattr(crates, "_fetch", fetch)
    environment = {"CARGO_HOME": str(tmp_path)}
    assert crates.ask(FILES, environment).files["libvmaf"].version == "0.2.0"
    (tmp_path / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://m.org/"\n'
    )
    crates.ask(FILES, environment)
    assert fetched == [f"{crates.INDEX}vm/af/vmaf-sys", "https://m.org/vm/af/vmaf-sys"]
