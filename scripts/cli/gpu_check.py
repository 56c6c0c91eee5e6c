"""`nox -s gpu-check`: compare an image's libvmaf and FFmpeg on an NVIDIA GPU with the CPU."""

import tarfile
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final, cast
from uuid import uuid4

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT
from scripts.engine import client
from scripts.images import catalogue

SCRIPT = ROOT / "docker" / "smoke" / "gpu-check-pack.sh"
REPORT = RECORDS / "gpu-check.json"
_NO_RUNTIME = "could not select device driver"
"""What the engine reports without NVIDIA's container toolkit."""
_PRESET: Final = 3
"""The level of xz. Higher levels take longer and make the archive only a little smaller."""


def run(options: Namespace) -> int:
    """Run gpu-check in an image, by default vmaf:cuda12, or pack it for another machine.

    Raises:
        UserError: several images are named, the image lacks gpu-check, or the engine has no GPU.
    """
    tags = catalogue.tags(options.images or ["cuda12"])
    if len(tags) > 1:
        raise UserError(
            "cannot check several images", f"{' '.join(tags)} are named", "Name one image."
        )
    client.require()
    if options.pack:
        _pack(tags[0], Path(options.pack))
        return 0
    return _check(tags[0])


def _check(tag: str) -> int:
    """Run gpu-check, print its progress, store its report, and return its exit status.

    Raises:
        UserError: the engine cannot pass a GPU on, or the image has no gpu-check.
    """
    say(f"comparing the GPU with the CPU in {tag}; it takes some minutes")
    command = ("docker", "run", "--rm", "--gpus=all", "--entrypoint=gpu-check", tag)
    others = []
    with process.start_reading(*command) as docker:
        for line in cast("IO[bytes]", docker.stderr):
            text = line.decode(errors="replace").rstrip()
            if text.startswith("gpu-check: "):
                say(text)
            else:
                others.append(text)
        report = cast("IO[bytes]", docker.stdout).read().decode(errors="replace")
    if not report.startswith("{"):
        wrong = "\n".join(others).strip()
        hint = "Name an image with CUDA: cuda12, cuda13, all-backends or dev."
        if _NO_RUNTIME in wrong:
            hint = (
                "Install NVIDIA's container toolkit, or take the check to a machine with a GPU: "
                "`nox -s gpu-check -- --pack FILE`."
            )
        raise UserError(f"cannot run gpu-check in {tag}", wrong, hint)
    print(report, end="")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(report)
    say(f"report: {REPORT}")
    return docker.returncode


def _pack(tag: str, path: Path) -> None:
    """Write an archive that runs gpu-check on a machine without Docker.

    Raises:
        UserError: the image does not exist, or lacks a program.
    """
    say(f"packing the programs of {tag} and their libraries")
    name = f"vmaf-gpu-check-{uuid4().hex[:8]}"
    script = SCRIPT.read_text()
    command = ("docker", "run", f"--name={name}", "--interactive", "--entrypoint=sh", tag, "-s")
    with TemporaryDirectory(prefix="vmaf-gpu-check-") as directory:
        packed = Path(directory) / "gpu-check"
        try:
            done = process.run(*command, text=script)
            if not done.returncode:
                done = process.run("docker", "cp", f"{name}:/tmp/gpu-check", str(packed))
        finally:
            process.run("docker", "rm", "--force", name)
        if done.returncode:
            raise UserError(
                f"cannot pack {tag}",
                done.stderr.strip(),
                "Name an image that is built and has CUDA: cuda12, cuda13, all-backends or dev.",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        with tarfile.open(part, "w:xz", preset=_PRESET) as archive:
            archive.add(packed, "gpu-check", filter=_owned_by_root)
        part.replace(path)
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    say(f"there: tar -xJf {path.name} && gpu-check/gpu-check >report.json")


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member of the archive that names no user of this machine."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
