"""Downloads of locked files and Go modules, from a server on loopback."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.core.paths import cache_dir
from scripts.lock import crates, download
from scripts.lock.sources_lock import CRATES, File
from tests.support.sites import Sites

CONTENT = b"a tarball"
POOL = "pool/main/f/ffmpeg/ffmpeg_9.0.2+x.orig.tar.xz"
DAY = "20261127T000000Z"


@pytest.fixture(scope="module")
def server() -> Iterator[Sites]:
    """Return a server for all tests, as it takes half a second to end."""
    made = Sites()
    yield made
    made.close()


@pytest.fixture
def site(server: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sites:
    """Return a server that takes the place of Debian's archive; the user's cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(download, "ARCHIVE", server.url)
    server.files.clear()
    server.requests.clear()
    return server


def locked(address: str = "", content: bytes = CONTENT) -> File:
    """Return a line of the lock for a tarball."""
    sha256 = hashlib.sha256(content).hexdigest()
    return File("ffmpeg9.0", "9.0.2+x", sha256, "testing", POOL, address)


@pytest.mark.parametrize(
    ("place", "requests"),
    [
        ("/debian/" + POOL, 1),
        ("/upstream.tar.xz", 2),
        (f"/archive/debian/{DAY}/{POOL}", 3),
    ],
    ids=["mirror", "upstream", "archive"],
)
def test_file_is_taken_from_the_first_origin_that_has_it(
    site: Sites, place: str, requests: int
) -> None:
    """The origins are asked in the order of locked.sh; the cache then has the file."""
    site.files[place.replace("+", "%2B")] = CONTENT
    file = locked(f"{site.url}/upstream.tar.xz")
    for _ in range(2):
        path = download.fetch(file, DAY, [f"{site.url}/debian"], {})
        assert path.name == "ffmpeg_9.0.2+x.orig.tar.xz"
        assert path.read_bytes() == CONTENT
    assert len(site.requests) == requests
    assert [path.name for path in path.parent.iterdir()] == [path.name]


def test_damaged_file_in_the_cache_is_fetched_again(site: Sites) -> None:
    """A file of the cache is used only if it has the digest."""
    site.files["/debian/" + POOL.replace("+", "%2B")] = CONTENT
    path = download.fetch(locked(), DAY, [f"{site.url}/debian"], {})
    path.write_bytes(b"other")
    assert download.fetch(locked(), DAY, [f"{site.url}/debian"], {}).read_bytes() == CONTENT


def test_other_content_is_refused(site: Sites) -> None:
    """A file with another digest is refused and not kept, and no other origin is asked."""
    site.files["/debian/" + POOL.replace("+", "%2B")] = b"something else"
    with pytest.raises(UserError, match="Do not use the file") as caught:
        download.fetch(locked(), DAY, [f"{site.url}/debian"], {})
    assert hashlib.sha256(b"something else").hexdigest() in caught.value.why
    assert len(site.requests) == 1
    assert not [path for path in cache_dir("downloads").rglob("*") if path.is_file()]


def test_unreachable_origins_are_named(site: Sites) -> None:
    """If no origin has the file, the message has each with its answer, without passwords."""
    mirror = site.url.replace("//", "//user:secret@")
    mirrors = [mirror, "http://127.0.0.1:1/debian", "no URL"]
    with pytest.raises(UserError, match="cannot fetch ffmpeg") as caught:
        download.fetch(locked(), DAY, mirrors, {})
    assert caught.value.why.count("HTTP Error 404") == 2
    assert "Connection refused" in caught.value.why
    assert "unknown url type" in caught.value.why
    assert "secret" not in caught.value.why


def test_crate_is_taken_from_the_index(site: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crate is downloaded from the address that the settings of the index give."""
    monkeypatch.setattr(crates, "_fetch", lambda _: f'{{"dl": "{site.url}/crates"}}')
    site.files["/crates/vmaf-sys/0.2.0/download"] = CONTENT
    file = File("libvmaf", "0.2.0", locked().sha256, CRATES, "vmaf-sys")
    path = download.fetch(file, DAY, [], {"CARGO_HOME": "/nowhere"})
    assert (path.name, path.read_bytes()) == ("vmaf-sys-0.2.0.crate", CONTENT)


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("https://x/api", "https://x/api/vmaf-sys/0.2.0/download"),
        ("https://x/{lowerprefix}/{crate}-{version}.crate", "https://x/vm/af/vmaf-sys-0.2.0.crate"),
    ],
)
def test_address_of_a_crate_follows_the_template(
    monkeypatch: pytest.MonkeyPatch, template: str, address: str
) -> None:
    """The address of a crate follows the template in the index, as cargo documents it."""
    monkeypatch.setattr(crates, "_fetch", lambda _: f'{{"dl": "{template}"}}')
    file = File("libvmaf", "0.2.0", "a" * 64, CRATES, "vmaf-sys")
    assert crates.address(file, {"CARGO_HOME": "/nowhere"}) == address


@pytest.mark.parametrize("settings", ["<html>", '{"api": "x"}'])
def test_damaged_settings_of_the_index_are_named(
    monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    """Settings of the index that have no address end with a message."""
    monkeypatch.setattr(crates, "_fetch", lambda _: settings)
    file = File("libvmaf", "0.2.0", "a" * 64, CRATES, "vmaf-sys")
    with pytest.raises(UserError, match=r"cannot read .*config\.json"):
        crates.address(file, {"CARGO_HOME": "/nowhere"})


def module(text: bytes) -> tuple[bytes, str]:
    """Return the zip file of a Go module, and its digest computed from its two files."""
    files = {"m@v1/a.go": text, "m@v1/LICENSE": b"MIT"}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    digest = hashlib.sha256("".join(lines).encode()).digest()
    return stream.getvalue(), "h1:" + base64.b64encode(digest).decode()


@pytest.mark.parametrize("separator", [",", "|"])
def test_go_module_is_taken_from_the_users_proxy(site: Sites, separator: str) -> None:
    """A Go module is fetched from the proxies of GOPROXY, with its capitals escaped."""
    content, digest = module(b"package a")
    site.files["/go/example.org/%21big/m/@v/v1.0.0-%21r%21c1.zip"] = content
    proxies = separator.join(["off", f"{site.url}/none", f"{site.url}/go", "direct"])
    environment = {"GOPROXY": proxies}
    path = download.fetch_module("example.org/Big/m", "v1.0.0-RC1", digest, environment)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "why"),
    [(module(b"package b")[0], "h1:"), (b"<html>", "none, as it is no zip file")],
)
def test_other_go_module_is_refused(site: Sites, content: bytes, why: str) -> None:
    """A Go module with another digest than in go.sum, or that is no zip file, is refused."""
    site.files["/m/@v/v1.zip"] = content
    with pytest.raises(UserError, match="Do not use the file") as caught:
        download.fetch_module("m", "v1", module(b"package a")[1], {"GOPROXY": site.url})
    assert f"the digest {why}" in caught.value.why


def test_proxy_of_go_is_used_without_goproxy(
    site: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without GOPROXY, the proxies are those of an installed Go; without both, it is an error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="Go is not installed"):
        download.fetch_module("m", "v1", "h1:x", {})
    content, digest = module(b"package a")
    site.files["/m/@v/v1.zip"] = content
    go = tmp_path / "go"
    go.write_text(f'#!/bin/sh\ntest "$*" = "env GOPROXY" && echo "{site.url},direct"\n')
    go.chmod(0o755)
    assert download.fetch_module("m", "v1", digest, {}).read_bytes() == content


def test_modules_cannot_be_fetched_without_a_proxy(site: Sites) -> None:
    """With GOPROXY=off, the message says that no address is known."""
    with pytest.raises(UserError, match="no address is known"):
        download.fetch_module("m", "v1", "h1:x", {"GOPROXY": "off"})
    assert not site.requests
