"""The versions in go.mod, with a Go that reads them from a table, and with Go itself."""

import json
import re
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.pins import modules
from scripts.pins.modules import (
    FOLLOWERS,
    IMAGES,
    GoError,
    Modules,
    Requirement,
    fitting,
    newer,
    requirements,
)
from tests.support.checkouts import run_git
from tests.unit.pins.conftest import Commit

HOME = Path("stream/go.mod")
MOD = """\
module vmaf-images/stream

go 1.26.8

tool example.org/tool/cmd/check

require (
	github.com/moby/buildkit v0.34.2
	example.org/a v1.2.0
	example.org/held v1.0.0 // hold: 1.1 has a fault
	example.org/tool v0.6.1 // indirect
	example.org/commit v0.0.0-20260120221211-b8f7ae30c516
	example.org/other v1.0.0 // indirect
)
"""
SUM = "example.org/a v1.2.0 h1:old=\n"
IMAGE = "image: moby/buildkit:v0.34.2\n"


@dataclass
class FakeGo:
    """Go with a table of versions in place of a proxy."""

    versions: dict[str, list[str]]
    refused: dict[str, str] = field(default_factory=dict)
    """Why `go get` refuses a MODULE@VERSION."""

    def __call__(self, directory: Path, *arguments: str) -> str:
        """Run a command of Go in a module.

        Raises:
            GoError: the table has a reason to refuse it.
        """
        path = directory / "go.mod"
        text = path.read_text()
        match arguments:
            case ("mod", "edit", "-json"):
                return json.dumps(self._module(text))
            case ("list", "-m", "-versions", "-json", *paths):
                listed = [{"Path": p, "Versions": self.versions.get(p)} for p in paths]
                return "\n".join(map(json.dumps, listed))
            case ("list", "-m", "-json", *pairs):
                return "\n".join(json.dumps(self._release(pair)) for pair in pairs)
            case ("get", wanted, *_):
                if wanted in self.refused:
                    raise GoError(self.refused[wanted])
                name, _, version = wanted.partition("@")
                path.write_text(re.sub(rf"(?m)^(\s*{name}) \S+", rf"\1 {version}", text))
            case ("mod", "tidy"):
                (directory / "go.sum").write_text("new digests\n")
        return ""

    @staticmethod
    def _module(text: str) -> dict[str, object]:
        return {
            "Go": re.findall(r"^go (\S+)", text, re.MULTILINE)[0],
            "Tool": [{"Path": path} for path in re.findall(r"^tool (\S+)", text, re.MULTILINE)],
            "Require": [
                {"Path": path, "Version": version, "Indirect": "// indirect" in rest}
                for path, version, rest in re.findall(r"^\t(\S+) (\S+)(.*)$", text, re.MULTILINE)
            ],
        }

    def _release(self, pair: str) -> dict[str, str]:
        path, _, version = pair.partition("@")
        return {"Path": path, "Version": version}


CURRENT = {
    "go": ["1.26.7", "1.26.8"],
    "github.com/moby/buildkit": ["v0.34.1", "v0.34.2"],
    "example.org/a": ["v1.1.0", "v1.2.0"],
    "example.org/held": ["v1.0.0", "v1.1.0"],
    "example.org/tool": ["v0.6.0", "v0.6.1"],
}


@pytest.fixture
def checkout(commit: Commit) -> Path:
    """Return a checkout with a module, and with a file that names BuildKit's image."""
    return commit({str(HOME): MOD, "stream/go.sum": SUM, **{str(f): IMAGE for f in FOLLOWERS}})


def stream(monkeypatch: pytest.MonkeyPatch, root: Path, go: FakeGo) -> Modules:
    """Return the module of the checkout with a Go that has a table."""
    monkeypatch.setattr(modules, "_go", go)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/bin/go")
    return Modules(root, [HOME])


def test_pins_are_what_the_module_requires_itself() -> None:
    """The go directive, direct modules and the modules of tools are pins; others follow."""
    found = requirements(FakeGo._module(MOD), MOD)  # noqa: SLF001 (the fake's own)
    assert [(one.path, one.version) for one in found] == [
        ("go", "1.26.8"),
        ("github.com/moby/buildkit", "v0.34.2"),
        ("example.org/a", "v1.2.0"),
        ("example.org/held", "v1.0.0"),
        ("example.org/tool", "v0.6.1"),
        ("example.org/commit", "v0.0.0-20260120221211-b8f7ae30c516"),
    ]
    assert [one.hold for one in found if one.hold] == ["1.1 has a fault"]


@pytest.mark.parametrize(
    ("version", "listed", "expected"),
    [
        ("v1.2.0", ["v1.1.0", "v1.2.0", "v1.3.0-rc.1", "v1.3.0", "v1.10.0"], ["v1.10.0", "v1.3.0"]),
        ("v1.2.0", ["v1.2.0", "v1.3.0-beta", "v2.0.0+incompatible"], []),
        ("v0.0.0-20260120221211-b8f7ae30c516", ["v0.1.0"], []),
        ("v1.2.4-0.20260120221211-b8f7ae30c516", ["v1.3.0"], []),
        ("v1.2.0", ["v1.1.0", "v1.3.0"], ["v1.3.0"]),  # v1.2.0 is retracted
        ("v1.2.0-rc.1", ["v1.1.0", "v1.2.0-rc.1", "v1.2.0"], ["v1.2.0"]),
        ("1.26.8", ["1.26.8", "1.26.9", "1.27rc1", "1.27.0"], ["1.27.0", "1.26.9"]),
    ],
)
def test_newer_releases_are_final(version: str, listed: Sequence[str], expected: list[str]) -> None:
    """Candidates, other major versions and commits are no newer releases."""
    assert newer(Requirement("x", version), listed) == expected


def test_releases_need_no_newer_go() -> None:
    """A release that needs a newer Go than go.mod names is a note, as are new releases of Go."""
    one = Requirement("example.org/a", "v1.2.0")
    found = fitting(one, ["v1.4.0", "v1.3.0"], {"v1.4.0": "1.27", "v1.3.0": "1.26"}, "1.26.0")
    assert found.fitting == ("v1.3.0",)
    assert found.note == "example.org/a v1.4.0 is out, which needs Go 1.27; go.mod names 1.26.0"
    found = fitting(Requirement("go", "1.26.8"), ["1.27.1", "1.26.9"], {}, "1.26.8")
    assert found.fitting == ("1.26.9",)
    assert found.note == "go 1.27.1 is a new release, which needs a person's decision"


def test_planted_old_pin_is_found_and_edited(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer module changes go.mod with go.sum; the message says from and to."""
    go = FakeGo({**CURRENT, "example.org/a": ["v1.2.0", "v1.3.0"]})
    proposal = stream(monkeypatch, checkout, go).ask([str(HOME)])
    (finding,), (step,) = proposal.findings, proposal.steps
    assert (finding.is_behind, finding.details) == (True, ("example.org/a v1.2.0 to v1.3.0",))
    assert finding.notes == ("example.org/held stays v1.0.0: 1.1 has a fault",)
    assert step.message == "stream/go.mod: example.org/a v1.2.0 to v1.3.0"
    assert step.files == {
        HOME: MOD.replace("example.org/a v1.2.0", "example.org/a v1.3.0"),
        HOME.with_name("go.sum"): "new digests\n",
    }
    assert run_git(checkout, "status", "--porcelain") == ""


def test_current_module_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the proxy has nothing newer, nothing is behind; a held module is not asked for."""
    proposal = stream(monkeypatch, checkout, FakeGo(CURRENT)).ask([str(HOME)])
    assert not proposal.steps
    assert not proposal.findings[0].is_behind


def test_image_of_buildkit_follows_the_module(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that name BuildKit's image change in the commit of the module."""
    go = FakeGo({**CURRENT, "go": ["1.26.8", "1.26.9"]})
    go.versions["github.com/moby/buildkit"] = ["v0.34.2", "v0.35.0"]
    monkeypatch.setitem(modules.REMARKS, str(HOME), "Build it again.")
    (step,) = stream(monkeypatch, checkout, go).ask([str(HOME)]).steps
    assert step.message.splitlines() == [
        "stream/go.mod: 2 modules",
        "",
        "go 1.26.8 to 1.26.9",
        "github.com/moby/buildkit v0.34.2 to v0.35.0",
        "",
        "Build it again.",
    ]
    for path in FOLLOWERS:
        assert step.files[path] == "image: moby/buildkit:v0.35.0\n"


def test_release_that_go_refuses_is_skipped(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest release that Go accepts is taken; if there is none, Go's reason is told."""
    go = FakeGo({**CURRENT, "example.org/a": ["v1.2.0", "v1.3.0", "v1.4.0"]})
    go.refused["example.org/a@v1.4.0"] = "go: requires go >= 1.27"
    (step,) = stream(monkeypatch, checkout, go).ask([str(HOME)]).steps
    assert step.message.endswith("example.org/a v1.2.0 to v1.3.0")
    (finding,) = stream(monkeypatch, checkout, go).ask([str(HOME)]).findings
    assert "example.org/a v1.4.0 is refused: go: requires go >= 1.27" in finding.notes
    go.refused["example.org/a@v1.3.0"] = "go: requires go >= 1.27"
    proposal = stream(monkeypatch, checkout, go).ask([str(HOME)])
    assert not proposal.steps
    assert proposal.findings[0].problem == (
        "example.org/a v1.4.0 is refused: go: requires go >= 1.27"
    )


@pytest.mark.parametrize("missing", [False, True])
def test_go_that_does_not_answer_is_a_problem(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, *, missing: bool
) -> None:
    """Without Go or its proxy, the part has the reason, and nothing is edited."""
    go = FakeGo(CURRENT)

    def fail(directory: Path, *arguments: str) -> str:
        if arguments[0] == "list":
            raise GoError("dial tcp: no route to host")
        return go(directory, *arguments)

    module = stream(monkeypatch, checkout, go)
    monkeypatch.setattr(modules, "_go", fail)
    if missing:
        monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    proposal = module.ask([str(HOME)])
    (finding,) = proposal.findings
    assert (finding.asked, proposal.steps) == (False, ())
    reason = "Go is not installed" if missing else "dial tcp: no route to host"
    assert finding.problem == reason


def test_damaged_module_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A go.mod that Go cannot read is an error with Go's reason."""

    def fail(_: Path, *__: str) -> str:
        raise GoError("go.mod:3: unknown directive: gO")

    module = stream(monkeypatch, checkout, FakeGo(CURRENT))
    monkeypatch.setattr(modules, "_go", fail)
    with pytest.raises(UserError, match=r"cannot read stream/go.mod: go.mod:3: unknown directive"):
        module.ask([str(HOME)])


def test_files_that_name_the_image_agree_with_the_module() -> None:
    """Each file that names BuildKit's image names the version in cache-stream's go.mod."""
    text = (ROOT / "docker" / "cache-stream" / "go.mod").read_text()
    for module, image in IMAGES.items():
        (version,) = re.findall(rf"\t{module} (v\S+)", text)
        for path in FOLLOWERS:
            named = set(re.findall(rf"{image}:(v\d+\.\d+\.\d+)", (ROOT / path).read_text()))
            assert named == {version}, path


def add_to_proxy(proxy: Path, path: str, version: str, go: str, required: str = "") -> None:
    """Add a module with one package, and what it requires, to the directory of a proxy."""
    directory = proxy / path / "@v"
    directory.mkdir(parents=True, exist_ok=True)
    mod = f"module {path}\n\ngo {go}\n" + (f"\nrequire {required}\n" if required else "")
    (directory / f"{version}.mod").write_text(mod)
    (directory / f"{version}.info").write_text(json.dumps({"Version": version}))
    with zipfile.ZipFile(directory / f"{version}.zip", "w") as archive:
        archive.writestr(f"{path}@{version}/go.mod", mod)
        archive.writestr(f"{path}@{version}/a.go", "package a\n")
    listed = sorted(file.stem for file in directory.glob("*.mod"))
    (directory / "list").write_text("".join(f"{name}\n" for name in listed))


@pytest.mark.skipif(not shutil.which("go"), reason="Go is not installed")
def test_go_itself_edits_version_and_digest(
    commit: Commit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Go and the directory of a proxy, a newer release that needs no newer Go is taken."""
    proxy = tmp_path / "proxy"
    old, new = "v0.0.0-20200101000000-aaaaaaaaaaaa", "v0.0.0-20210101000000-bbbbbbbbbbbb"
    for version in (old, new):
        add_to_proxy(proxy, "example.org/commit", version, "1.20")
    add_to_proxy(proxy, "example.org/a", "v1.0.0", "1.20")
    add_to_proxy(proxy, "example.org/a", "v1.1.0", "1.20", f"example.org/commit {new}")
    add_to_proxy(proxy, "example.org/a", "v1.2.0", "1.99")
    for name, value in {
        "GOPROXY": f"file://{proxy}",
        "GOSUMDB": "off",
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOCACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    add_to_proxy(proxy, "example.org/a", "v1.1.9", "1.20", "example.org/held v1.1.0")
    for version in ("v1.0.0", "v1.1.0"):
        add_to_proxy(proxy, "example.org/held", version, "1.20")
    text = (
        "module x\n\ngo 1.20 // hold: a test\n\nrequire (\n\texample.org/a v1.0.0\n"
        f"\texample.org/commit {old}\n\texample.org/held v1.0.0 // hold: a fault\n)\n"
    )
    imports = "".join(f'import _ "example.org/{name}"\n' for name in ("a", "commit", "held"))
    source = f"package x\n\n{imports}"
    checkout = commit({"x/go.mod": text, "x/go.sum": "", "x/x.go": source})
    proposal = Modules(checkout, [Path("x/go.mod")]).ask(["x/go.mod"])
    (finding,), (step,) = proposal.findings, proposal.steps
    assert finding.notes[0].startswith("example.org/a v1.2.0 is out, which needs Go 1.99")
    assert step.message.splitlines() == [
        "x/go.mod: 2 modules",
        "",
        "example.org/a v1.0.0 to v1.1.0",
        f"example.org/commit {old} to {new}",  # the new a requires it
    ]
    assert "v1.1.9 is refused" in " ".join(finding.notes)  # it requires a newer held module
    assert step.files[Path("x/go.mod")] == text.replace("a v1.0.0", "a v1.1.0").replace(old, new)
    assert "example.org/a v1.1.0 h1:" in step.files[Path("x/go.sum")]
    assert run_git(checkout, "status", "--porcelain") == ""
