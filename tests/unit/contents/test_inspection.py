"""The inspector, on archives made here."""

from pathlib import Path

import pytest

from scripts.cli.inspect import show
from scripts.contents import inspection
from scripts.contents.archive import Archive
from scripts.core import process
from scripts.core.console import UserError
from scripts.images import catalogue
from tests.support.archives import TAG, layer, save


def inspected(directory: Path, *layers: bytes) -> inspection.Report:
    """Return the report on an image of these layers."""
    with Archive(save(directory, layers)) as archive:
        return inspection.report(TAG, 1000, archive.image(TAG))


def test_each_layer_says_what_it_adds_and_wastes(tmp_path: Path) -> None:
    """A file that a later layer overwrites or deletes is shipped for nothing."""
    found = inspected(
        tmp_path,
        layer({"usr/bin/a": b"x" * 100, "usr/lib/b": b"y" * 50, "etc/c": b"z"}),
        layer({"usr/bin/a": b"w", "usr/lib/.wh.b": b""}),
    )
    first, second = found.layers
    assert (first.size, first.files, first.waste) == (151, 3, 150)
    assert (second.size, second.files, second.waste) == (1, 1, 0)
    assert first.largest[0] == ("/usr/bin", 100)
    assert (
        "carries /usr/bin/a, 100 bytes, hidden by layer 2"
        in found.findings["hidden by a later layer"][0]
    )


def test_rights_that_are_too_wide_are_noticed(tmp_path: Path) -> None:
    """A setuid program, a file and a directory that anybody may change; a sticky one is meant."""
    found = inspected(
        tmp_path,
        layer(
            {"bin/su": b"x", "etc/open": b"x", "srv/": b"", "tmp/": b"", "bin/link": "su"},
            {"bin/su": 0o4755, "etc/open": 0o666, "srv/": 0o777, "tmp/": 0o1777},
        ),
    )
    assert [line.split(" carries ")[1] for line in found.findings["setuid or setgid"]] == [
        "/bin/su, mode 4755, of 0:0"
    ]
    assert [line.split(" carries ")[1] for line in found.findings["world-writable"]] == [
        "/etc/open, mode 0666, of 0:0",
        "/srv, mode 0777, of 0:0",
    ]


KEY = b"-----BEGIN EC PRIVATE KEY-----\n" + b"A" * 64


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (KEY, "a private key"),
        (b"id=AKIA" + b"Z" * 16, "an AWS key"),
        (b"token ghp_" + b"a1" * 18, "a GitHub token"),
        (b"xoxb-" + b"1" * 24, "a Slack token"),
        (b"index=https://me:hunter22@example.org/simple", "credentials in a URL"),
    ],
)
def test_secrets_are_known_by_their_look(tmp_path: Path, content: bytes, what: str) -> None:
    """Wherever in a file; the message does not repeat them."""
    before = b"\0" * (4 * 2**20 - 20)  # so that the secret lies across two pieces
    found = inspected(tmp_path, layer({"opt/f": before + content}))
    (line,) = found.findings["secrets by content"]
    assert what in line
    assert content.decode() not in line


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN EC PRIVATE KEY-----\n...",
        b"https://user:password@example.org/",
        b"https://{user}:{password}@example.org/",
        b"AKIA",
        b"xAKIA" + b"Z" * 16,
        b"_ghp_" + b"a1" * 18,
        b"xgithub_pat_" + b"a1" * 30,
        b"9xoxb-" + b"1" * 24,
        b"xhttps://me:hunter22@example.org/simple",
    ],
)
def test_what_only_speaks_of_secrets_is_none(tmp_path: Path, content: bytes) -> None:
    """Documentation, templates, and what is the end of a longer word."""
    found = inspected(tmp_path, layer({"opt/f": content}))
    assert not found.findings["secrets by content"]


def test_paths_of_the_build_are_noticed_in_what_is_ours(tmp_path: Path) -> None:
    """A Debian package may mention a /build that is not a directory of the project."""
    text = b"/build/ffmpeg/libavutil/x.c"
    files = {"usr/local/bin/f": text, "usr/bin/g": text, "usr/local/bin/other": b"their" + text}
    found = inspected(tmp_path, layer(files))
    (line,) = found.findings["paths of the build"]
    assert "/usr/local/bin/f" in line


def test_a_report_is_json_and_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text for people leaves nothing out that is one of few."""
    show(inspected(tmp_path, layer({"bin/a": KEY})))
    shown = capsys.readouterr().out
    assert "a private key" in shown
    assert "caches: none" in shown


def test_a_missing_image_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, with those there could be."""
    monkeypatch.setattr(process, "output", lambda *_: "")
    monkeypatch.setattr(catalogue, "images", dict)
    with pytest.raises(UserError, match="the engine has no `nobody:1`"):
        inspection.inspect("nobody:1")
