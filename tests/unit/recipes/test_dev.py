"""The workbench's lock, its scripts and the files that start it; no Docker."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.core.paths import ROOT

DEV = ROOT / "dev"
RECIPES = ROOT / "docker" / "recipes"


def requirements(text: str) -> dict[str, str]:
    """Split a lock file into what is said of each package, by name and version."""
    plain = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    return dict(line.split(" ", 1) for line in plain.replace("\\\n", "").splitlines())


def test_every_requirement_is_locked_with_hashes() -> None:
    """A name, one version, and nothing but SHA-256 digests."""
    locked = requirements((DEV / "requirements.txt").read_text())
    for name, said in locked.items():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", name), name
        digests = said.split()
        assert digests, name
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for one in digests), name
    wanted = re.findall(r"^[a-z]\S*", (DEV / "requirements.in").read_text(), re.MULTILINE)
    assert set(wanted) <= {name.partition("==")[0] for name in locked}


def run(
    script: Path, *words: str, path: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of the image here, with `path` first on PATH."""
    return subprocess.run(
        ["sh", script, *words],
        env={"PATH": f"{path}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("asked", "files", "says"),
    [
        ("nvidia", {"module/nvidia/version": "550"}, ""),
        ("amd", {"class/kfd/dev": "", "class/drm/renderD128/device/vendor": "0x1002"}, ""),
        ("intel", {"class/drm/renderD129/device/vendor": "0x8086"}, ""),
        ("amd", {"class/drm/renderD128/device/vendor": "0x1002"}, "use the service dev"),
        ("nvidia", {"class/drm/renderD128/device/vendor": "0x8086"}, "use the service intel"),
        ("intel", {}, "no intel GPU with its driver on this machine; use the service dev"),
    ],
)
def test_gpu_check(tmp_path: Path, asked: str, files: dict[str, str], says: str) -> None:
    """Ends with 3 where the kernel has no such GPU, and names the service that fits."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    ran = run(DEV / "gpu-check.sh", asked, path=tmp_path, SYS=str(tmp_path))
    assert (ran.returncode, says in ran.stderr) == (3 if says else 0, True), ran


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    """Provide programs that note how they are called; 1000 is ubuntu's, group 20 dialout's."""
    getent = 'case "$*" in "passwd 1000") echo ubuntu:x:1000: ;; "group 20") ;; *) exit 2 ;; esac'
    noted = f'echo "$(basename "$0")" "$@" >>{tmp_path}/calls'
    programs = dict.fromkeys(("userdel", "useradd", "groupadd", "install"), noted)
    for name, script in {**programs, "getent": getent}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("uid", "gid", "called"),
    [
        ("1000", "1000", ["userdel --remove ubuntu", "groupadd --gid 1000 vmaf", "useradd"]),
        ("501", "20", ["useradd"]),
    ],
    ids=["frees the number", "takes the group that is there"],
)
def test_user_is_made(accounts: Path, uid: str, gid: str, called: list[str]) -> None:
    """With the numbers asked for, whoever had them in the base."""
    ran = run(RECIPES / "workbench-user.sh", uid, gid, path=accounts)
    assert ran.returncode == 0, ran
    *before, _ = (accounts / "calls").read_text().splitlines()
    assert all(line.startswith(start) for line, start in zip(before, called, strict=True))
    assert f"--uid {uid} --gid {gid}" in before[-1]


@pytest.mark.parametrize("numbers", [("0", "0"), ("me", "1000"), ("1000", "")])
def test_numbers_that_no_user_has_are_refused(accounts: Path, numbers: tuple[str, str]) -> None:
    """Before an account is touched, with the names of the build arguments."""
    ran = run(RECIPES / "workbench-user.sh", *numbers, path=accounts)
    assert ran.returncode == 1
    assert "VMAF_UID and VMAF_GID are" in ran.stderr
    assert not (accounts / "calls").exists()


def test_devcontainer_names_what_exists() -> None:
    """VS Code starts a service of dev/compose.yaml, in the folder that it mounts."""
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    compose = (folder / settings["dockerComposeFile"]).read_text()
    assert f"\n  {settings['service']}:\n" in compose
    assert f":{settings['workspaceFolder']}\n" in compose
