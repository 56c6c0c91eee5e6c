"""Where the base image and the syntax frontend come from: a registry, or Debian packages."""

import os
import re
import shutil
import time
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT, cache_dir

((BASE, SUITE),) = re.findall(
    r"^FROM (debian:([a-z]+)\S*) AS base$",
    (ROOT / "docker" / "Dockerfile.production-gpu").read_text(),
    re.MULTILINE,
)
"""The base of all images and its Debian release, which the engine's packages need not have."""
FRONTEND = "docker/dockerfile:1.7"
REGISTRY_SECONDS = 20
"""How long the engine may take to pull the base image, 30 MB, before it is bootstrapped."""
FRESH_SECONDS = 24 * 3600
"""The age at which a bootstrapped root file system is made again."""
OVERLAYS = {
    "registry": ("docker-bake.hcl",),
    "bootstrap": ("docker-bake.hcl", "docker-bake.bootstrap.hcl"),
    "vendor": ("docker-bake.hcl", "docker-bake.vendor.hcl"),
}
"""The bake files of each base source."""

# Debian's slim images leave these out as well. The copyright files are kept.
_SLIM = [
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
    "path-include=/usr/share/doc/*/copyright",
]


def choose() -> str:
    """Return the base source, a key of OVERLAYS, and print which and why.

    VMAF_BASES sets it. Otherwise BuildKit is made to load the base image exactly as a build
    does: through the engine's network, registry mirrors and proxy, with the client's
    credentials. `docker buildx imagetools inspect` and `docker manifest inspect` connect from
    the client instead and ignore the mirrors of the engine.

    Raises:
        UserError: VMAF_BASES has an unknown value.
    """
    forced = os.environ.get("VMAF_BASES")
    if forced:
        if forced not in OVERLAYS:
            raise UserError(
                "cannot choose the base images",
                f"VMAF_BASES is `{forced}`",
                f"Set it to one of: {', '.join(OVERLAYS)}; or unset it to choose automatically.",
            )
        say(f"bases: {forced}, set by VMAF_BASES")
        return forced
    loaded = process.run(
        *("docker", "buildx", "build", "--quiet", "--output=type=cacheonly", "-"),
        text=f"FROM {BASE}\n",
        timeout=REGISTRY_SECONDS,
    )
    if loaded.returncode:
        say("bases: bootstrapped from Debian packages, as no container registry is reachable")
        return "bootstrap"
    say(f"bases: {BASE} from the registry")
    return "registry"


def bootstrap() -> None:
    """Put the root file system where docker/bootstrap/Dockerfile reads it.

    mmdebstrap makes it with fixed file dates, so that the same packages give the same bytes and
    every later layer stays cached.

    Raises:
        UserError: mmdebstrap is missing or fails, and no earlier result exists.
    """
    cached = cache_dir("bases") / f"{SUITE}.tar"
    if not cached.exists() or time.time() - cached.stat().st_mtime > FRESH_SECONDS:
        _mmdebstrap(cached)
    rootfs = RECORDS / "bootstrap" / "rootfs.tar"
    if rootfs.exists() and rootfs.stat().st_mtime == cached.stat().st_mtime:
        return
    rootfs.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(cached, rootfs)


def _mmdebstrap(path: Path) -> None:
    """Make the tar archive; where this fails, an older archive stays as it is.

    Raises:
        UserError: it failed, and there is no older archive.
    """
    say("bases: making the root file system (about 20 s)")
    part = path.with_suffix(".part.tar")
    options = [f"--dpkgopt={line}" for line in _SLIM]
    made = process.run(
        *("mmdebstrap", "--quiet", "--variant=minbase", *options, SUITE, str(part)),
        env={**process.environment(), "SOURCE_DATE_EPOCH": "0"},
    )
    if not made.returncode:
        part.replace(path)
        return
    part.unlink(missing_ok=True)
    reason = made.stderr.strip()[-500:] or f"mmdebstrap exited with status {made.returncode}"
    if path.exists():
        say(f"bases: using the root file system made earlier, as a new one failed: {reason}")
        return
    raise UserError(
        "cannot bootstrap the base image",
        reason,
        "It needs root, mmdebstrap (`apt-get install mmdebstrap`) and a Debian mirror; "
        "or set VMAF_BASES=registry where a container registry is reachable.",
    )
