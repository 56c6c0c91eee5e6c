"""Choose the source of the base image and the syntax frontend: a registry or Debian packages."""

import os
import re
import shutil
import time
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT, cache_dir
from scripts.images import platforms

((BASE, SUITE),) = re.findall(
    r"^FROM (debian:([a-z]+)\S*) AS base$",
    (ROOT / "docker" / "Dockerfile.production-gpu").read_text(),
    re.MULTILINE,
)
"""The base of all images and its Debian release; the host may have another release."""
FRONTEND = "docker/dockerfile:1.7"
REGISTRY_SECONDS = 20
"""The timeout for pulling the base image, which is 30 MB; after it, the image is bootstrapped."""
FRESH_SECONDS = 24 * 3600
"""The age in seconds at which a bootstrapped root file system is replaced."""
OVERLAYS = {
    "registry": ("docker-bake.hcl",),
    "bootstrap": ("docker-bake.hcl", "docker-bake.bootstrap.hcl"),
    "vendor": ("docker-bake.hcl", "docker-bake.vendor.hcl"),
}
"""The bake files of each base source."""

# Debian's slim images exclude the same files, and include the copyright files.
_SLIM = [
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
    "path-include=/usr/share/doc/*/copyright",
]


def choose(builder: str = "") -> str:
    """Return the base source, a key of OVERLAYS, and print it with the reason.

    VMAF_BASES sets it. Otherwise a test build loads the base image in the same way as a later
    build: through the engine's network, registry mirrors and proxy, with the client's
    credentials. `docker buildx imagetools inspect` and `docker manifest inspect` connect from
    the client instead and ignore the engine's mirrors.

    Args:
        builder: the builder that loads the image; empty for the one that buildx uses.

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
    selected = [f"--builder={builder}"] if builder else []
    loaded = process.run(
        *("docker", "buildx", "build", *selected, "--quiet", "--output=type=cacheonly", "-"),
        text=f"FROM {BASE}\n",
        timeout=REGISTRY_SECONDS,
    )
    if loaded.returncode:
        say("bases: bootstrapped from Debian packages, as no container registry is reachable")
        return "bootstrap"
    say(f"bases: {BASE} from the registry")
    return "registry"


def bootstrap() -> None:
    """Write the root file systems that docker/bootstrap/Dockerfile adds to the base image.

    There is one for each architecture of the build's stages.

    mmdebstrap sets fixed file dates, so that the same packages give the same bytes and all later
    layers stay cached.

    Raises:
        UserError: mmdebstrap is missing or fails, and no earlier result exists.
    """
    for architecture in map(platforms.architecture, platforms.of_stages(os.environ)):
        cached = cache_dir("bases") / f"{SUITE}-{architecture}.tar"
        if not cached.exists() or time.time() - cached.stat().st_mtime > FRESH_SECONDS:
            _mmdebstrap(cached, architecture)
        rootfs = RECORDS / "bootstrap" / f"rootfs-{architecture}.tar"
        if rootfs.exists() and rootfs.stat().st_mtime == cached.stat().st_mtime:
            continue
        rootfs.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(cached, rootfs)


def _mmdebstrap(path: Path, architecture: str) -> None:
    """Run mmdebstrap and write its archive; if it fails, an older archive remains in use.

    Raises:
        UserError: mmdebstrap failed, and there is no older archive.
    """
    say(f"bases: making the root file system for {architecture} (20 s, or minutes by emulation)")
    part = path.with_suffix(".part.tar")
    options = [f"--architectures={architecture}", *(f"--dpkgopt={line}" for line in _SLIM)]
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
        say(f"bases: using the existing root file system, as mmdebstrap failed: {reason}")
        return
    raise UserError(
        "cannot bootstrap the base image",
        reason,
        "It needs root, mmdebstrap (`apt-get install mmdebstrap`) and a Debian mirror; "
        "or set VMAF_BASES=registry where a container registry is reachable.",
    )
