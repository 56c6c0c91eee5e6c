"""Where the base image and the syntax frontend come from: a registry, or Debian packages."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import docker
import requests

from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, cache_dir
from scripts.engine import client

BASE = "debian:trixie-slim"
FRONTEND = "docker/dockerfile:1.7"
SUITE = "trixie"
ASK_SECONDS = 5
"""How long the registry may take to answer."""
FRESH_SECONDS = 24 * 3600
"""How long a bootstrapped root file system serves before Debian is asked again."""
OVERLAYS = {
    "registry": ("docker-bake.hcl",),
    "bootstrap": ("docker-bake.hcl", "docker-bake.bootstrap.hcl"),
    "vendor": ("docker-bake.hcl", "docker-bake.vendor.hcl"),
}
"""The bake files of each choice."""

# What Debian leaves out of its slim images as well; copyright files stay.
_SLIM = [
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
    "path-include=/usr/share/doc/*/copyright",
]


def choose() -> str:
    """Return `registry` or `bootstrap`, and say which and why.

    VMAF_BASES decides where it is set, and may be `vendor` as well; otherwise the
    engine is asked whether it reaches the base image, so that its mirrors and
    credentials count.

    Raises:
        UserError: VMAF_BASES holds another word.
    """
    forced = os.environ.get("VMAF_BASES")
    if forced:
        if forced not in OVERLAYS:
            raise UserError(
                "cannot choose the base images",
                f"VMAF_BASES is `{forced}`",
                f"Set it to one of: {', '.join(OVERLAYS)}; or unset it to have it found out.",
            )
        say(f"bases: {forced}, as VMAF_BASES says")
        return forced
    try:
        engine = docker.DockerClient(base_url=client.endpoint(), timeout=ASK_SECONDS)
        engine.images.get_registry_data(BASE)
    except (docker.errors.DockerException, requests.RequestException):
        say("bases: bootstrapped from Debian packages, as no container registry answers")
        return "bootstrap"
    say(f"bases: {BASE} from the registry")
    return "registry"


def bootstrap() -> None:
    """Put the root file system where docker/bootstrap/Dockerfile reads it.

    It is made by mmdebstrap with fixed file dates, so that the same packages
    give the same bytes and leave every later layer cached.

    Raises:
        UserError: mmdebstrap is missing or fails, and none was made before.
    """
    made = cache_dir("bases") / f"{SUITE}.tar"
    if not made.exists() or time.time() - made.stat().st_mtime > FRESH_SECONDS:
        _mmdebstrap(made)
    here = RECORDS / "bootstrap" / "rootfs.tar"
    if here.exists() and here.stat().st_mtime == made.stat().st_mtime:
        return
    here.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(made, here)


def _mmdebstrap(made: Path) -> None:
    """Write the tar archive, whole or not at all."""
    say("bases: making the root file system (about 20 s)")
    part = made.with_suffix(".part.tar")
    options = [f"--dpkgopt={line}" for line in _SLIM]
    try:
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", *options, SUITE, str(part)],
            env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        failure = done.stderr.strip()[-500:] if done.returncode else None
    except FileNotFoundError:
        failure = "mmdebstrap is not installed"
    if failure is None:
        part.replace(made)
        return
    part.unlink(missing_ok=True)
    if made.exists():
        say(f"bases: keeping the root file system made earlier, as a new one failed: {failure}")
        return
    raise UserError(
        "cannot bootstrap the base image",
        failure,
        "It takes root, mmdebstrap (`apt-get install mmdebstrap`) and a Debian mirror; "
        "or set VMAF_BASES=registry where a container registry is within reach.",
    )
