"""Two images compared file by file, on archives made here with one thing changed."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.cli import compare
from scripts.cli.__main__ import main
from scripts.contents import elf, listing
from scripts.contents.archive import SavedImage
from scripts.contents.listing import Difference, Entry, differences
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import catalogue
from tests.support.archives import Files, layer, open_image

List = Callable[..., dict[str, Entry]]

IMAGE: Files = {
    "lib": "usr/lib",
    "usr/lib/libc.so.6": b"Debian's",
    "usr/local/bin/vmaf": b"program",
    "usr/local/lib/libvmaf.so": "libvmaf.so.3",
    "usr/local/share/README": b"of a package, in a directory of the project",
    "var/lib/dpkg/info/libc6.list": b"/.\n/lib\n/lib/libc.so.6\n/usr/local/share/README\n",
    "etc/ld.so.cache": b"made when packages are installed",
    "etc/ld.so.conf.d/oneapi.conf": b"/opt/intel/oneapi/lib",
    "data/": b"",
}


@pytest.fixture
def listed(tmp_path: Path) -> List:
    """Return a function that lists an image of these layers."""

    def make(*layers: bytes) -> dict[str, Entry]:
        return listing.read(open_image(tmp_path, *layers))

    return make


def test_path_belongs_to_a_package_or_the_project(listed: List) -> None:
    """A package owns the files that dpkg lists; the project owns the others in its directories."""
    owners = {path: entry.owner for path, entry in listed(layer(IMAGE)).items()}
    assert owners == {
        "/data": "project",
        "/etc/ld.so.cache": "installation",
        "/etc/ld.so.conf.d/oneapi.conf": "project",
        "/lib": "package",
        "/usr/lib/libc.so.6": "package",
        "/usr/local/bin/vmaf": "project",
        "/usr/local/lib/libvmaf.so": "project",
        "/usr/local/share/README": "package",
        "/var/lib/dpkg/info/libc6.list": "installation",
    }


def test_comparison_ignores_layers(listed: List) -> None:
    """Two images with the same merged files are equal, whatever their layers are."""
    vmaf = {"usr/local/bin/vmaf": IMAGE["usr/local/bin/vmaf"]}
    rest = {path: content for path, content in IMAGE.items() if path not in vmaf}
    below = layer({"usr/local/bin/vmaf": b"older", "opt/gone": b"", **rest})
    one, other = listed(layer(IMAGE)), listed(below, layer({**vmaf, "opt/.wh.gone": b""}))
    assert differences(one, other) == []


@pytest.mark.parametrize(
    ("files", "modes", "path", "what"),
    [
        ({"usr/local/bin/vmaf": b"Program"}, {}, "/usr/local/bin/vmaf", "content, 7 bytes"),
        ({"usr/local/bin/vmaf": b"pro"}, {}, "/usr/local/bin/vmaf", "7 bytes, 3"),
        ({}, {"usr/local/bin/vmaf": 0o4755}, "/usr/local/bin/vmaf", "mode 0644, 4755"),
        ({}, {"data/": 0o777}, "/data", "mode 0755, 0777"),
        ({"usr/local/lib/libvmaf.so": "x"}, {}, "/usr/local/lib/libvmaf.so", "to libvmaf.so.3, x"),
        ({"usr/local/lib/libvmaf.so": b""}, {}, "/usr/local/lib/libvmaf.so", "link, file"),
        ({"opt/more": b""}, {}, "/opt/more", "absent, file"),
    ],
)
def test_difference_is_named(
    listed: List, files: Files, modes: dict[str, int], path: str, what: str
) -> None:
    """A difference of content, size, mode, link or presence is named, and no other."""
    one, other = listed(layer(IMAGE)), listed(layer({**IMAGE, **files}, modes))
    (found,) = differences(one, other)
    assert (found.path, found.owner, found.why) == (path, "project", "")
    assert found.what.startswith(what)


def test_difference_of_the_owner_is_named() -> None:
    """A difference between the owners of a file in two images is named."""
    one, other = Entry("file", 0o644, 0, 0), Entry("file", 0o644, 0, 1000)
    assert differences({"/opt/a": one}, {"/opt/a": other})[0].what == "of 0:0, 0:1000"


def test_file_in_only_one_image_is_named(listed: List) -> None:
    """A file that only one of two images has is named; the project's files come first."""
    one = listed(layer({**IMAGE, "etc/only-in-a": b""}))
    other = listed(layer({**IMAGE, "opt/only-in-b": b""}))
    assert differences(one, other) == [
        Difference("/opt/only-in-b", "project", "absent, file"),
        Difference("/etc/only-in-a", "installation", "file, absent"),
    ]


def changed(content: bytes, section: str) -> bytes:
    """Return an ELF file with one byte of a section turned."""
    at = content.index(bytes(dict(elf.sections(content))[section]))
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.fixture(scope="module")
def program() -> bytes:
    """Any ELF file: the one that runs these tests."""
    return Path(sys.executable).resolve().read_bytes()


def parsed(*names: str) -> bytes:
    """Return a versions.json."""
    return json.dumps({name: {"version": name} for name in names}).encode()


def compiled(time: bytes, code: bytes) -> bytes:
    """Return what a .pyc file looks like."""
    return b"\xa7\r\r\n" + bytes(4) + time + b"size" + code


@pytest.mark.parametrize(
    ("path", "one", "other", "why"),
    [
        ("usr/local/share/vmaf/versions.json", parsed("a", "b"), parsed("a", "c"), "b, c"),
        ("opt/x.json", b"not JSON", b"nor this", ""),
        ("opt/x.json", b"[1]", b"[2]", ""),
        ("opt/x.pyc", compiled(b"1970", b"x"), compiled(b"1971", b"x"), "the time of its source"),
        ("opt/x.pyc", compiled(b"1970", b"x"), compiled(b"1970", b"y"), "its code"),
        ("opt/x", elf.MAGIC + b"only begins like one", elf.MAGIC, ""),
        ("usr/lib/libc.so.6", b"x", b"y", ""),
    ],
)
def test_difference_inside_a_file_is_named(
    listed: List, path: str, one: bytes, other: bytes, why: str
) -> None:
    """The difference inside a JSON or .pyc file of the project is named."""
    a, b = (listed(layer({**IMAGE, path: content})) for content in (one, other))
    (found,) = differences(a, b)
    assert found.why == why


def test_different_sections_are_named(listed: List, program: bytes) -> None:
    """The sections that differ between two ELF files are named in their order."""
    dynstr = changed(program, ".dynstr")
    both = changed(dynstr, ".text")
    paths = ["dynstr", "both"]
    a = listed(layer({f"opt/{path}": program for path in paths}))
    b = listed(layer({"opt/dynstr": dynstr, "opt/both": both}))
    assert [one.why for one in differences(a, b)] == [".dynstr, .text", ".dynstr"]


def test_build_id_is_named_only_on_its_own() -> None:
    """A different build id is named only if nothing else differs; many sections are counted."""
    identity, text = ".note.gnu.build-id", ".text"

    def entry(**parts: str) -> dict[str, Entry]:
        return {"/opt/a": Entry("file", 0, 0, 0, 1, str(parts), parts=parts)}

    def why(a: dict[str, str], b: dict[str, str]) -> str:
        return differences(entry(**a), entry(**b))[0].why

    assert why({identity: "1", text: "1"}, {identity: "2", text: "1"}) == identity
    assert why({identity: "1", text: "1"}, {identity: "2", text: "2"}) == text
    many = {f"s{number}": "1" for number in range(6)}
    assert why(many, {}) == "s0, s1, s2, s3 and 2 more"


def test_hard_link_has_the_content_of_its_file(listed: List) -> None:
    """A hard link and a copy of its file are equal in a comparison of images."""
    files: Files = {"opt/a": b"content", "opt/b": b"content"}
    one, other = listed(layer(files, hard={"opt/b": "opt/a"})), listed(layer(files))
    assert one["/opt/b"].size == len(b"content")
    assert differences(one, other) == []


@pytest.fixture
def engine_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an engine with three images: `b:1` has another libvmaf, `a:2` another host name."""
    images = {
        "a:1": layer({**IMAGE, "usr/local/lib/libvmaf.so.3": b"one"}),
        "a:2": layer({**IMAGE, "usr/local/lib/libvmaf.so.3": b"one", "etc/hostname": b"x"}),
        "b:1": layer({**IMAGE, "usr/local/lib/libvmaf.so.3": b"two"}),
    }

    @contextmanager
    def saved_image(tag: str) -> Iterator[tuple[int, SavedImage]]:
        yield 1, open_image(tmp_path, images[tag])

    monkeypatch.setattr(listing, "saved_image", saved_image)
    monkeypatch.setattr(catalogue, "images", dict)
    monkeypatch.setattr(client, "require", lambda: None)


@pytest.mark.usefixtures("engine_images")
def test_compare_fails_on_files_of_the_project_only(capsys: pytest.CaptureFixture[str]) -> None:
    """`compare` exits with 1 only if files of the project differ, and lists all differences."""
    assert main(["compare", "a:1", "a:1"]) == 0
    assert main(["compare", "a:1", "a:2"]) == 0
    shown = capsys.readouterr().out
    assert "files of the project: none of 5 differ" in shown
    assert "files made by their installation: 1 of 3 differ" in shown
    assert "/etc/hostname" in shown
    assert main(["compare", "a:1", "b:1"]) == 1
    shown = capsys.readouterr().out
    assert "files of the project: 1 of 5 differ" in shown
    assert "/usr/local/lib/libvmaf.so.3" in shown


def test_compare_shortens_equal_differences(capsys: pytest.CaptureFixture[str]) -> None:
    """`compare` shows a part of many files with the same difference, and each other one."""

    def entries(digest: str) -> dict[str, Entry]:
        def entry(why: str) -> Entry:
            return Entry("file", 0o644, 0, 0, 1, digest, parts={why: digest})

        return {f"/opt/{n:02}": entry("time") for n in range(30)} | {"/opt/vmaf": entry(".text")}

    compare.show(["a", "b"], [entries("1"), entries("2")])
    shown = capsys.readouterr().out
    assert "files of the project: 31 of 31 differ" in shown
    assert "and 10 more (time);" in shown
    assert ("/opt/19" in shown, "/opt/20" in shown, "/opt/vmaf" in shown) == (True, False, True)


@pytest.mark.usefixtures("engine_images")
def test_compare_accepts_a_listing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`compare` accepts the JSON listing of an image, such as one of another machine."""
    assert main(["compare", "a:1", "--format", "json"]) == 0
    written = tmp_path / "a.json"
    written.write_text(capsys.readouterr().out)
    assert main(["compare", str(written), "a:1"]) == 0
    assert main(["compare", str(written), "b:1"]) == 1
    capsys.readouterr()
    assert main(["compare", str(written), "b:1", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["path"] == "/usr/local/lib/libvmaf.so.3"


@pytest.mark.usefixtures("engine_images")
@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", [], "0 images are named"),
        ("", ["a:1"], "1 images are named"),
        ("", ["a:1", "a:1", "a:1"], "3 images are named"),
        ("", ["a:1", "absent.json"], "absent.json"),
        ("{", ["a:1", "x.json"], "x.json"),
        ("[]", ["a:1", "x.json"], "x.json"),
        ('{"files": {"/a": {"kind": "file"}}}', ["a:1", "x.json"], "x.json"),
    ],
)
def test_compare_rejects_invalid_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, arguments: list[str], message: str
) -> None:
    """`compare` rejects too few or too many images, and a listing that it cannot read."""
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_text(text)
    with pytest.raises(UserError, match=message):
        main(["compare", *arguments])
