"""Fetching a crate of sources.lock, and what the recipe of ab-av1 prints about sccache."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from scripts.contents.sources import _CRATE
from scripts.core import process
from scripts.core.paths import ROOT

RECIPES = ROOT / "docker" / "recipes"
FILES = {
    "Cargo.toml": 'name = "x-sys"\nlicense = "MIT"\nrepository = "https://github.com/a/x"\n',
    ".cargo_vcs_info.json": '{\n  "git": {\n    "sha1": "abc"\n  }\n}',
    "src/main.rs": "fn main() {}",
}
CARGO = """\
#!/bin/sh
echo "cargo $*" >>HERE/log
mkdir -p "$CARGO_HOME/registry/cache/index"
cp HERE/offered "$CARGO_HOME/registry/cache/index/x-sys-1.0.crate"
"""


def crate() -> bytes:
    """Return a crate with `FILES`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"x-sys-1.0/{name}")
            member.size, member.mode = len(text), 0o600
            tar.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


class Build:
    """A build step with a lock, and a cargo that offers a crate."""

    def __init__(self, directory: Path) -> None:
        """Write the lock, the programs, and the recipe with their paths."""
        self.directory, self.content = directory, crate()
        self.source = directory / "source"
        digest = hashlib.sha256(self.content).hexdigest()
        (directory / "sources.lock").write_text(f"archive 1\nx  1.0  {digest}  crates.io  x-sys\n")
        (directory / "offered").write_bytes(self.content)
        text = (RECIPES / "fetch" / "crate.sh").read_text()
        for old, new in {
            "/run/recipes/https.sh": "/dev/null",
            "/run/recipes/apt.sh": f"{directory}/apt",
            "/run/recipes/locked": str(directory),
            "/var/cache/sources": f"{directory}/cache",
            "CARGO_HOME=/tmp/crate": f"CARGO_HOME={directory}/home",
        }.items():
            assert old in text
            text = text.replace(old, new)
        programs = {
            "crate.sh": text,
            "cargo": CARGO.replace("HERE", str(directory)),
            "apt": f'#!/bin/sh\necho "apt $*" >>{directory}/log\n',
        }
        for name, script in programs.items():
            (directory / name).write_text(script)
            (directory / name).chmod(0o755)

    def unpack(self) -> process.CompletedProcess[str]:
        """Run the recipe."""
        environment = {"PATH": f"{self.directory}:{os.environ['PATH']}"}
        command = (str(self.directory / "crate.sh"), "x", str(self.source))
        return process.run("sh", *command, env=environment)

    @property
    def log(self) -> list[str]:
        """The calls of apt and cargo."""
        log = self.directory / "log"
        return log.read_text().splitlines() if log.exists() else []


def test_crate_is_fetched_once(tmp_path: Path) -> None:
    """A crate is fetched by cargo and stored; cargo and its directory do not stay in the layer."""
    build = Build(tmp_path)
    for _ in range(2):
        done = build.unpack()
        assert not done.returncode, done.stderr
        assert (build.source / "src" / "main.rs").read_text() == FILES["src/main.rs"]
        shutil.rmtree(build.source / "src")
    assert build.log == [
        "apt install ca-certificates cargo",
        "cargo info --quiet x-sys@1.0",
        "apt purge ca-certificates cargo",
    ]
    assert not (tmp_path / "home").exists()


def test_damaged_crate_is_fetched_again(tmp_path: Path) -> None:
    """A stored crate of another content, as after a crash of the machine, is replaced."""
    build = Build(tmp_path)
    build.unpack()
    (stored,) = tmp_path.glob("cache/*/x-sys-1.0.crate")
    stored.write_bytes(build.content[:-9])
    shutil.rmtree(build.source)
    done = build.unpack()
    assert not done.returncode, done.stderr
    assert (build.source / "src" / "main.rs").read_text() == FILES["src/main.rs"]
    assert build.log.count("cargo info --quiet x-sys@1.0") == 2
    assert stored.read_bytes() == build.content


def test_crate_is_described(tmp_path: Path) -> None:
    """source.json has the fields of versions.json, in the form that `nox -s sources` reads."""
    build = Build(tmp_path)
    build.unpack()
    described = json.loads((build.source / "source.json").read_text())
    assert described == {
        "name": "x",
        "version": "1.0",
        "source": "crate x-sys 1.0 (a/x abc)",
        "digest": f"sha256:{hashlib.sha256(build.content).hexdigest()}",
        "licence": "MIT",
    }
    assert _CRATE.fullmatch(described["source"])
    assert (build.source / "Cargo.toml").stat().st_mode & 0o044 == 0o044


def test_another_crate_is_refused(tmp_path: Path) -> None:
    """A crate with another digest is not unpacked, nor stored for the next build."""
    build = Build(tmp_path)
    (tmp_path / "offered").write_bytes(b"another crate")
    done = build.unpack()
    assert done.returncode
    assert "Do not use it before you know why." in done.stderr
    assert not build.source.exists()
    assert not list(tmp_path.glob("cache/*/*"))


STATISTICS = {
    "stats": {
        "cache_hits": {"counts": {"Rust": 97, "C/C++": 1}},
        "cache_misses": {"counts": {}},
        "requests_not_cacheable": 35,
        "requests_not_compile": 2,
    }
}


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
@pytest.mark.parametrize(
    ("wrapper", "script", "printed"),
    [
        (
            "sccache",
            f"echo '{json.dumps(STATISTICS)}'",
            '#measure {"sccache":{"hit":98,"miss":0,"bypassed":37}}\n',
        ),
        ("sccache", "exit 1", "#warning sccache does not tell its results\n"),
        ("sccache", "echo no JSON", "#warning sccache does not tell its results\n"),
        ("", "exit 1", ""),
    ],
)
def test_step_prints_the_counts_of_sccache(
    tmp_path: Path, wrapper: str, script: str, printed: str
) -> None:
    """A step that used sccache prints its counts; one whose server has ended prints a warning."""
    (tmp_path / "sccache").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "sccache").chmod(0o755)
    text = (RECIPES / "compile" / "ab-av1.sh").read_text()
    function = text[text.index("report_sccache() {") : text.index("cp -r /src")]
    function = function.replace("/build/", f"{tmp_path}/")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "RUSTC_WRAPPER": wrapper}
    done = process.run("sh", "-euc", f"{function}\nreport_sccache", env=environment)
    assert (done.returncode, done.stdout) == (0, printed)
