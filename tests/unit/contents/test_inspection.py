"""The inspector, on archives made here."""

from pathlib import Path

import pytest

from scripts.cli.inspect import show
from scripts.contents import inspection
from scripts.core import process
from scripts.core.console import UserError
from scripts.images import catalogue
from tests.support.archives import TAG, layer, open_image


def inspected(directory: Path, *layers: bytes) -> inspection.Report:
    """Return the report on an image of these layers."""
    return inspection.report(TAG, 1000, open_image(directory, *layers))


def test_file_hidden_by_a_later_layer_is_waste(tmp_path: Path) -> None:
    """The waste of a layer is the bytes that later layers overwrite or delete."""
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


def test_wide_permissions_are_reported(tmp_path: Path) -> None:
    """Setuid programs and world-writable paths are reported, except for sticky directories."""
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
def test_secrets_are_found_by_content(tmp_path: Path, content: bytes, what: str) -> None:
    """A secret is found anywhere in a file, and its text is not repeated in the report."""
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
def test_similar_text_is_no_secret(tmp_path: Path, content: bytes) -> None:
    """A truncated key, a template, or the end of a longer word is no secret."""
    found = inspected(tmp_path, layer({"opt/f": content}))
    assert not found.findings["secrets by content"]


def test_paths_of_the_build_are_reported_in_files_of_the_project(tmp_path: Path) -> None:
    """A /build path is reported in files of the project, and not in those of packages."""
    text = b"/build/ffmpeg/libavutil/x.c"
    files = {"usr/local/bin/f": text, "usr/bin/g": text, "usr/local/bin/other": b"their" + text}
    found = inspected(tmp_path, layer(files))
    (line,) = found.findings["paths of the build"]
    assert "/usr/local/bin/f" in line


def test_text_report_has_every_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text of an image's report has its findings, and `none` for a section without any."""
    show(inspected(tmp_path, layer({"bin/a": KEY})))
    shown = capsys.readouterr().out
    assert "a private key" in shown
    assert "caches: none" in shown


def test_inspect_rejects_a_missing_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inspection of an image that the engine lacks is an error with the image's name."""
    monkeypatch.setattr(process, "output", lambda *_: "")
    monkeypatch.setattr(catalogue, "images", dict)
    with pytest.raises(UserError, match="the engine has no `nobody:1`"):
        inspection.inspect("nobody:1")
