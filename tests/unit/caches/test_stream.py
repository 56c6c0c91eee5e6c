"""Tests of scripts/caches/stream.py."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.buildkit import cold, records
from scripts.caches import mounts, program, stream, toolchain
from scripts.caches.archive import Entry, Layout, digest_of
from scripts.caches.mounts import DeclaredMount
from scripts.caches.program import Message, Mount, Stream, StreamError
from scripts.core.console import UserError
from scripts.dockerfile import parser, project
from tests.support.mounts import APT, CCACHE, compiled, record

OPTIONS = {"type": "cache", "target": "/ccache", "sharing": "locked", "uid": "1000"}
DECLARED = (
    DeclaredMount("vmaf-ccache-$TARGETARCH", parser.Mount(OPTIONS)),
    DeclaredMount("vmaf-gomod", parser.Mount({"target": "/go/pkg/mod"})),
    DeclaredMount(
        "vmaf-apt-cache-trixie-${TARGETARCH}", parser.Mount({"target": "/var/cache/apt"})
    ),
)
GOMOD = replace(CCACHE, record="r2", id="vmaf-gomod", directory="/go/pkg/mod")
WEEK = mounts.read_age("7d")


class Fake(Stream):
    """Mounts in memory, in the place of the program and the builder."""

    contents: Mapping[str, str] = {}
    """The text of each mount, which stands for its files."""

    def run(self, mount: Mount, agent: Mapping[str, Any], file: Path | None = None) -> Message:
        """Copy the text of a mount to a file, or a file to a mount."""
        contents: dict[str, str] = Fake.contents  # type: ignore[assignment]
        text = contents.get(mount.id, "")
        if agent["verb"] == "probe":
            return Message("done", files=int(bool(text)))
        assert file
        if agent["verb"] == "save":
            if text == "broken":
                raise StreamError(Message("failed", error="it broke"))
            file.write_text(text)
            digest = digest_of(file).removeprefix("sha256:")
            size = len(text)
            return Message("done", files=int(bool(text)), bytes=size, archive=size, digest=digest)
        contents[mount.id] = file.read_text()
        return Message("done")


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Return the texts of the mounts of a builder."""
    texts = {CCACHE.id: "objects" * 10, GOMOD.id: "modules", APT.id: "packages"}
    by_id = {mount.id: mount for mount in (CCACHE, GOMOD, APT)}
    monkeypatch.setattr(Fake, "contents", texts)
    monkeypatch.setattr(stream, "Stream", Fake)
    monkeypatch.setattr(program, "builder", lambda: program.Builder("unix:///x", "amd64"))
    monkeypatch.setattr(program, "find", lambda *_: Path("/bin/true"))
    monkeypatch.setattr(mounts, "existing", lambda: [by_id[name] for name in texts])
    monkeypatch.setattr(mounts, "declared", lambda _: DECLARED)
    monkeypatch.setattr(project, "of_repository", lambda: None)
    monkeypatch.setattr(records, "records", lambda: [record(1, compiled("f", 1, 30, 10))])
    monkeypatch.setattr(toolchain, "run", lambda *_: {"identity": {"compiler": "gcc 1\nnasm 2\n"}})
    monkeypatch.setattr(cold, "FILE", tmp_path / "cold.json")
    return texts


def save(place: Path, *, also: tuple[str, ...] = (), force: bool = False) -> list[Entry]:
    """Save the mounts."""
    return stream.save(str(place), also=also, unused=WEEK, force=force, namespace="")


def load(place: Path, *, replace: bool = False) -> list[Entry]:
    """Load the mounts."""
    return stream.load(str(place), replace=replace, namespace="")


def test_contract_is_saved_and_loaded(contents: dict[str, str], tmp_path: Path) -> None:
    """Compiled code and modules travel, with what is known of them; packages do not."""
    ccache, gomod = save(tmp_path / "a")
    assert (ccache.id, ccache.compiler) == (CCACHE.id, {"gcc": "1", "nasm": "2"})
    assert (ccache.hit_rates, ccache.architecture) == ({"ccache": 0.75}, "amd64")
    assert (gomod.id, gomod.compiler) == (GOMOD.id, {})
    before = dict(contents)
    contents.clear()
    assert [entry.id for entry in load(tmp_path / "a")] == [CCACHE.id, GOMOD.id]
    assert contents == {name: before[name] for name in (CCACHE.id, GOMOD.id)}


def test_chosen_mounts_are_loaded(contents: dict[str, str], tmp_path: Path) -> None:
    """`--id` loads one mount of several; an id that the archive lacks is an error."""
    save(tmp_path / "a")
    contents.clear()
    with pytest.raises(UserError, match=f"Choose: {CCACHE.id}, {GOMOD.id}"):
        stream.load(str(tmp_path / "a"), ids=[APT.id], replace=False, namespace="")
    stream.load(str(tmp_path / "a"), ids=[GOMOD.id], replace=False, namespace="")
    assert list(contents) == [GOMOD.id]


def test_packages_are_saved_on_request(contents: dict[str, str], tmp_path: Path) -> None:
    """`--with apt` saves the packages as well."""
    assert APT.id in contents
    entries = save(tmp_path / "a", also=tuple(stream.with_values("apt")))
    assert APT.id in [entry.id for entry in entries]
    with pytest.raises(UserError, match="Choose: apt, pip"):
        stream.with_values("npm")


def test_unused_results_are_evicted_before() -> None:
    """The step that evicts has the declared options, the age, and the identity of the compiler."""
    native = [mount for mount in stream.contract(DECLARED, "amd64") if not mount.is_foreign]
    text = stream.eviction(native, WEEK)
    assert "RUN --mount=type=cache,target=/ccache,sharing=locked,uid=1000 " in text
    assert "ccache --evict-older-than 604800s && /run/cache/depcache.py --evict-older-than" in text
    assert text.count("--evict-older-than 604800s") == 2
    assert text.index("USER 1000") > text.index("identity.sh >")
    assert stream.identity().count("RUN") == 1


def test_mounts_of_foreign_images_are_in_the_contract() -> None:
    """The compiler cache of images for another architecture travels and is evicted by its id."""
    options = parser.Mount({**OPTIONS, "id": "vmaf-ccache-$TARGETARCH"})
    apt = "vmaf-apt-cache-trixie-$BUILDARCH"
    declared = [DeclaredMount(options.get("id"), options), DeclaredMount(apt, parser.Mount({}))]
    contract = stream.contract(declared, "amd64")
    assert [(mount.id, mount.is_foreign) for mount in contract] == [
        ("vmaf-ccache-amd64", False),
        ("vmaf-apt-cache-trixie-amd64", False),
        ("vmaf-ccache-arm64", True),
    ]
    assert "id=vmaf-ccache-arm64 " in stream.eviction(contract, WEEK)


def empty(contents: dict[str, str]) -> None:
    """Empty a mount."""
    contents[GOMOD.id] = ""


def shrink(contents: dict[str, str]) -> None:
    """Leave less than half of a mount."""
    contents[CCACHE.id] = contents[CCACHE.id][: len(contents[CCACHE.id]) // 2 - 1]


def lose(contents: dict[str, str]) -> None:
    """Remove a mount."""
    del contents[GOMOD.id]


def lose_all(contents: dict[str, str]) -> None:
    """Remove all mounts."""
    contents.clear()


def damage(contents: dict[str, str]) -> None:
    """Have the program fail."""
    contents[GOMOD.id] = "broken"


@pytest.mark.parametrize(
    ("change", "message", "forced"),
    [
        (empty, "no files", True),
        (shrink, "and the previous archive", True),
        (lose, "would be lost", True),
        (lose_all, "none of them", False),
        (damage, "it broke", False),
    ],
)
def test_save_is_refused(
    contents: dict[str, str],
    tmp_path: Path,
    change: Callable[[dict[str, str]], None],
    message: str,
    forced: bool,  # noqa: FBT001
) -> None:
    """A refused save leaves the previous archive; --force saves what is only smaller."""
    save(tmp_path / "a")
    before = Layout(tmp_path / "a").entries()
    change(contents)
    with pytest.raises(UserError, match=message):
        save(tmp_path / "a")
    assert Layout(tmp_path / "a").entries() == before
    if forced:
        save(tmp_path / "a", force=True)
        assert Layout(tmp_path / "a").entries() != before


def test_half_of_a_mount_is_saved(contents: dict[str, str], tmp_path: Path) -> None:
    """A mount of half the size is saved without --force."""
    save(tmp_path / "a")
    contents[CCACHE.id] = contents[CCACHE.id][: len(contents[CCACHE.id]) // 2]
    assert save(tmp_path / "a")[0].bytes == 35


@pytest.mark.usefixtures("contents")
def test_failed_build_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount whose last recorded build failed is not saved, even with --force."""
    good, bad = compiled("f", 1, 30, 10), compiled("f", 1, 30, 10)
    builds = [record(1, good), record(2, bad, outcome="failed")]
    monkeypatch.setattr(records, "records", lambda: builds)
    with pytest.raises(UserError, match="2026-11-22T02:00:00Z, failed"):
        save(tmp_path / "a", force=True)
    builds.append(record(3, good))
    assert save(tmp_path / "a")


def changed(place: Path, **fields: object) -> None:
    """Change what an archive says of its first mount."""
    layout = Layout(place)
    first, *others = layout.entries()
    manifest = layout.manifest()
    assert manifest
    layout.commit([msgspec.structs.replace(first, **fields), *others], manifest.layers)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "arm64"}, "saved for arm64"),
        ({"id": "vmaf-unknown"}, "no Dockerfile declares .*vmaf-unknown"),
        ({"archive_bytes": 3}, "has 70 bytes, not 3"),
    ],
)
def test_load_is_refused(
    contents: dict[str, str], tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    """A refused load changes no mount, and the next build says why it began cold, once."""
    save(tmp_path / "a")
    changed(tmp_path / "a", **fields)
    contents.clear()
    with pytest.raises(UserError, match=message) as raised:
        load(tmp_path / "a", replace=True)
    assert not contents
    assert raised.value.why in cold.take("")
    assert not cold.take("")


@pytest.mark.parametrize(
    ("compiler", "differing"),
    [({"gcc": "0", "nasm": "2"}, "gcc"), ({"gcc": "1"}, "nasm")],
)
def test_results_of_another_compiler_are_refused(
    contents: dict[str, str], tmp_path: Path, compiler: dict[str, str], differing: str
) -> None:
    """The other mounts are loaded, and the next build says why it compiles everything."""
    save(tmp_path / "a")
    changed(tmp_path / "a", compiler=compiler)
    contents.clear()
    with pytest.raises(UserError, match=f"another compiler: {differing}\n"):
        load(tmp_path / "a")
    assert contents == {GOMOD.id: "modules"}
    assert f"another compiler: {differing}" in cold.take("")


def test_mounts_are_loaded_before_the_toolchain_is_built(
    contents: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a new machine, the steps below the toolchain fill other mounts of the archive."""
    save(tmp_path / "a")
    contents.clear()

    def build(*_: object) -> dict[str, dict[str, str]]:
        contents[GOMOD.id] = contents.get(GOMOD.id, "") + " and the frontend's"
        return {"identity": {"compiler": "gcc 1\nnasm 2\n"}}

    monkeypatch.setattr(toolchain, "run", build)
    load(tmp_path / "a")
    assert contents == {GOMOD.id: "modules and the frontend's", CCACHE.id: "objects" * 10}


def test_damaged_archive_is_refused(contents: dict[str, str], tmp_path: Path) -> None:
    """No mount is loaded if the archive of any of them is damaged."""
    entries = save(tmp_path / "a")
    path = Layout(tmp_path / "a").path(entries[1].digest)
    path.write_text("moduleZ")
    contents.clear()
    with pytest.raises(UserError, match="another digest"):
        load(tmp_path / "a")
    assert not contents


def test_full_mount_is_refused(contents: dict[str, str], tmp_path: Path) -> None:
    """No mount is loaded if any of them has files; --replace empties them."""
    save(tmp_path / "a")
    del contents[CCACHE.id]
    contents[GOMOD.id] = "other"
    with pytest.raises(UserError, match="never merged"):
        load(tmp_path / "a")
    assert (contents[GOMOD.id], contents.get(CCACHE.id)) == ("other", None)
    load(tmp_path / "a", replace=True)
    assert contents[GOMOD.id] == "modules"


@pytest.mark.usefixtures("contents")
def test_missing_archive_is_refused(tmp_path: Path) -> None:
    """An empty directory is no archive."""
    with pytest.raises(UserError, match="has no archive"):
        load(tmp_path / "none")


def test_later_load_forgets_the_refusal(contents: dict[str, str], tmp_path: Path) -> None:
    """After a load that succeeds, the next build does not call itself cold."""
    save(tmp_path / "a")
    with pytest.raises(UserError):
        load(tmp_path / "none")
    contents.clear()
    load(tmp_path / "a")
    assert not cold.take("")


@pytest.mark.usefixtures("contents")
def test_refusal_is_for_its_namespace() -> None:
    """A build in another namespace does not report the refusal."""
    cold.write("trial", "why")
    assert (cold.take(""), cold.take("trial"), cold.take("trial")) == ("", "why", "")


@pytest.mark.parametrize("name", ["vmaf-pip-amd64", "other/vmaf-gomod", "buildkit"])
@pytest.mark.usefixtures("contents")
def test_only_existing_mounts_are_opened(name: str) -> None:
    """A mount that does not exist is refused, because BuildKit would create it."""
    assert stream.opened("vmaf-gomod", "")[1].namespace == ""
    with pytest.raises(UserError, match="no such cache mount"):
        stream.opened(name, "")
