"""The workbench's lock file, its scripts and the files that start it."""

import json
import os
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from scripts.core import process
from scripts.core.paths import ROOT

DEV = ROOT / "dev"
RECIPES = ROOT / "docker" / "recipes" / "workbench"


def requirements(text: str) -> dict[str, str]:
    """Return the options of each package in a lock file, by name and version."""
    plain = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    return dict(line.split(" ", 1) for line in plain.replace("\\\n", "").splitlines())


def test_every_requirement_is_locked_with_hashes() -> None:
    """Every Python requirement of the workbench is locked to one version, with SHA-256 digests."""
    locked = requirements((DEV / "requirements.txt").read_text())
    for name, options in locked.items():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", name), name
        digests = options.split()
        assert digests, name
        assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for one in digests), name
    requested = re.findall(r"^[a-z]\S*", (DEV / "requirements.in").read_text(), re.MULTILINE)
    assert set(requested) <= {name.partition("==")[0] for name in locked}


def run(script: Path, *arguments: str, path: Path, **variables: str) -> CompletedProcess[str]:
    """Run a script of the image here, with `path` first on PATH."""
    environment = {"PATH": f"{path}:{os.environ['PATH']}", **variables}
    return process.run("sh", str(script), *arguments, env=environment)


@pytest.mark.parametrize(
    ("vendor", "files", "message"),
    [
        ("nvidia", {"module/nvidia/version": "550"}, ""),
        ("amd", {"class/kfd/dev": "", "class/drm/renderD128/device/vendor": "0x1002"}, ""),
        ("intel", {"class/drm/renderD129/device/vendor": "0x8086"}, ""),
        ("amd", {"class/drm/renderD128/device/vendor": "0x1002"}, "use the service dev"),
        ("nvidia", {"class/drm/renderD128/device/vendor": "0x8086"}, "use the service intel"),
        ("intel", {}, "no intel GPU with its driver on this machine; use the service dev"),
    ],
)
def test_require_gpu_finds_a_vendors_gpu(
    tmp_path: Path, vendor: str, files: dict[str, str], message: str
) -> None:
    """Require-gpu exits with 3 without a GPU of the vendor, and names a service that fits."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    ran = run(DEV / "require-gpu.sh", vendor, path=tmp_path, SYS=str(tmp_path))
    assert (ran.returncode, message in ran.stderr) == (3 if message else 0, True), ran


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    """Provide programs that log their arguments; uid 1000 is ubuntu's, and gid 20 exists."""
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
    ids=["removes the user", "reuses the group"],
)
def test_user_is_created_with_the_given_ids(
    accounts: Path, uid: str, gid: str, called: list[str]
) -> None:
    """The workbench's user gets the given ids, also if the base already uses them."""
    ran = run(RECIPES / "workbench-user.sh", uid, gid, path=accounts)
    assert ran.returncode == 0, ran
    *before, _ = (accounts / "calls").read_text().splitlines()
    assert all(line.startswith(start) for line, start in zip(before, called, strict=True))
    assert f"--uid {uid} --gid {gid}" in before[-1]


@pytest.mark.parametrize("numbers", [("0", "0"), ("me", "1000"), ("1000", "")])
def test_invalid_ids_are_refused(accounts: Path, numbers: tuple[str, str]) -> None:
    """A user id of the workbench that is not a number above 0 is an error."""
    ran = run(RECIPES / "workbench-user.sh", *numbers, path=accounts)
    assert ran.returncode == 1
    assert "VMAF_UID and VMAF_GID are" in ran.stderr
    assert not (accounts / "calls").exists()


def test_devcontainer_uses_a_service_of_compose() -> None:
    """devcontainer.json names a service of dev/compose.yaml and the directory that it mounts."""
    directory = ROOT / ".devcontainer"
    settings = json.loads((directory / "devcontainer.json").read_text())
    compose = (directory / settings["dockerComposeFile"]).read_text()
    assert f"\n  {settings['service']}:\n" in compose
    assert f":{settings['workspaceFolder']}\n" in compose
