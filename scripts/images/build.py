"""Build images of docker-bake.hcl, with what only this machine knows put in by an overlay."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.buildkit import builder, failure, progress, records
from scripts.core import git, process
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS, ROOT
from scripts.engine import client
from scripts.images import bases, catalogue, sources

GIB = 2**30
NEEDED_BYTES = 15 * GIB
"""What a cold build of cpu and cuda12 leaves on the disk, with room to spare."""


_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where Debian and Fedora, and their kin, keep the certificates that the host trusts."""
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")

FORKS_BACKENDS = {"rocm6": "hip", "oneapi2026": "sycl"}
"""What an image's libvmaf computes on as well where a given tree offers it: Netflix's has none."""
VENDORS_COMPILER = frozenset({"sycl"})
"""Those that take a compiler which only the vendor's image has."""


def overlay(
    given: Collection[sources.Source],
    *,
    kind: str = "registry",
    namespace: str = "",
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return the bake file that carries what the command and this machine add.

    Secrets are no part of BuildKit's cache keys, nor are proxies, so a build
    elsewhere with the same sources still finds every layer.
    """
    machine: dict[str, Any] = {
        "secret": [f"id={name},src={path}" for name, path in _secrets(environment)],
        "args": proxies(environment),
    }
    common = {
        "args": dict(machine["args"]),
        "secret": machine["secret"],
        "contexts": {source.context: str(source.folder) for source in given},
    }
    if namespace:
        common["args"]["BUILDKIT_CACHE_MOUNT_NS"] = namespace
    offered = frozenset().union(*(source.backends for source in given))
    forks = {
        image: {
            "args": {f"LIBVMAF_{image.upper()}": backend},
            "labels": {"vmaf.backends": f"cpu {backend}"},
        }
        for image, backend in FORKS_BACKENDS.items()
        if backend in offered and (kind == "vendor" or backend not in VENDORS_COMPILER)
    }
    return {"target": {"_common": common, "_bootstrap": machine, **forks}}


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies that steps which fetch must go through."""
    return {
        name: environment[name]
        for proxy in _PROXIES
        for name in (proxy, proxy.upper())
        if name in environment
    }


def _secrets(environment: Mapping[str, str]) -> Iterable[tuple[str, Path]]:
    """Yield the files that steps which fetch may read: CA bundle, registry settings."""
    bundles = [Path(name) for name in (environment.get("SSL_CERT_FILE"), *_BUNDLES) if name]
    if bundle := next((path for path in bundles if path.is_file()), None):
        yield "ca", bundle
    cargo = Path(environment.get("CARGO_HOME") or Path.home() / ".cargo") / "config.toml"
    if cargo.is_file():
        yield "cargo", cargo
    if environment.get("GOPROXY"):
        proxy = RECORDS / "goproxy"
        proxy.write_text(environment["GOPROXY"])
        yield "goproxy", proxy
    if environment.get("PIP_INDEX_URL"):
        settings = RECORDS / "pip.conf"
        settings.write_text(f"[global]\nindex-url = {environment['PIP_INDEX_URL']}\n")
        yield "pip", settings


def check_backends(images: Iterable[catalogue.Image], libvmaf: sources.Source | None) -> None:
    """Refuse a libvmaf tree that lacks a backend which an image promises.

    Raises:
        UserError: the first image whose promise the tree cannot keep.
    """
    if libvmaf is None:
        return
    for image in images:
        if lacking := image.backends - libvmaf.backends:
            raise UserError(
                f"cannot build {image.tag} from this libvmaf",
                f"its meson_options.txt has no {', '.join(f'enable_{b}' for b in sorted(lacking))}",
                f"Give a tree with that backend, or build another image: "
                f"this tree offers {', '.join(sorted(libvmaf.backends))}.",
            )


def check_disk(free: int | None) -> None:
    """Refuse to start what the disk cannot hold; `free` is in bytes, None where unknown.

    Raises:
        UserError: less than NEEDED_BYTES are free.
    """
    if free is not None and free < NEEDED_BYTES:
        raise UserError(
            "not enough disk space to build",
            f"{free / GIB:.1f} GB are free where the engine keeps its data, "
            f"{NEEDED_BYTES / GIB:.0f} GB are needed",
            "See `docker system df`; `docker image prune` removes untagged images, and "
            "`nox -s engine -- --data-root DIR` puts a new engine's data elsewhere.",
        )


def build(
    targets: Sequence[str],
    *,
    libvmaf: str | None = None,
    ffmpeg: str | None = None,
    namespace: str = "",
    expected: Mapping[str, int] | None = None,
) -> records.BuildRecord:
    """Build bake targets, show the progress, and return the record written of the build.

    Args:
        targets: names of bake targets.
        libvmaf: a path or git URL of a libvmaf source tree that replaces the default.
        ffmpeg: the same for FFmpeg.
        namespace: the set of cache mounts to use; empty for the usual one.
        expected: the number of objects that stages are expected to compile.

    Raises:
        UserError: an option is wrong, the engine does not fit, or a stage failed; images
            built earlier keep their tags, and finished steps stay cached.
    """
    if os.environ.get("DOCKER_BUILDKIT") == "0":
        raise UserError(
            "cannot build with the classic builder",
            "DOCKER_BUILDKIT=0 requests it, and only BuildKit can mount caches",
            "Unset DOCKER_BUILDKIT; docs/rebase-notes.md has the details.",
        )
    epoch = git.epoch(os.environ)
    images = [catalogue.images()[name] for name in targets if name in catalogue.images()]
    engine = client.require()
    check_disk(client.free_bytes(engine))
    requested = {"libvmaf": libvmaf, "ffmpeg": ffmpeg}
    given = {
        project: sources.prepare(project, where) for project, where in requested.items() if where
    }
    check_backends(images, given.get("libvmaf"))
    kind = bases.choose()
    if kind == "bootstrap":
        bases.bootstrap()

    RECORDS.mkdir(exist_ok=True)
    machine = RECORDS / "machine.json"
    machine.write_text(
        json.dumps(overlay(given.values(), kind=kind, namespace=namespace, environment=os.environ))
    )
    command = ["docker", "buildx", "bake", "--progress=rawjson"]
    for file in (*bases.OVERLAYS[kind], machine):
        command += ["--file", str(file)]
    # --load would export the stages that are named contexts as well, and so would buildx
    # where no output is set.
    command += [f"--set={image.name}.output=type=docker" for image in images]
    environment = {
        **os.environ,
        "BUILDX_NO_DEFAULT_LOAD": "1",
        "REVISION": git.revision(),
        "SOURCE_DATE_EPOCH": epoch,
    }
    if "libvmaf" in given:
        environment["LIBVMAF_VERSION"] = given["libvmaf"].version

    log = RECORDS / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{'-'.join(targets)}.log"
    outcome = _follow([*command, *targets], environment, log, expected)
    sizes = {} if outcome.returncode else {image.tag: _size(image.tag) for image in images}
    latest = records.record(
        outcome,
        targets=targets,
        options={"bases": kind, **{name: where for name, where in requested.items() if where}},
        namespace=namespace,
        sizes=sizes,
        builder=builder.identify(namespace),
    )
    latest.write()
    if outcome.returncode:
        raise failure.failure(outcome)
    return latest


_RACES = ("failed to get state for index", "inconsistent graph state", "no such job")
"""What BuildKit says when it has lost a step that two targets share (moby/buildkit issues 3635
and 2303), or the end of a build that was over at once. What was built stays cached."""


def is_race(said: str) -> bool:
    """Whether buildx's last line tells of a race inside BuildKit, and not of a step that failed."""
    return any(race in said for race in _RACES)


def _follow(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    expected: Mapping[str, int] | None = None,
) -> progress.Outcome:
    """Run the build, and once more where a race inside BuildKit ended it."""
    outcome = progress.follow(command, cwd=ROOT, env=environment, log=log, expected=expected)
    said = (outcome.build.text or [""])[-1] if outcome.returncode else ""
    if not is_race(said):
        return outcome
    say(f"BuildKit lost its own state, a known fault of it; building once more. It said: {said}")
    log = log.with_suffix(".again.log")
    return progress.follow(command, cwd=ROOT, env=environment, log=log, expected=expected)


def _size(tag: str) -> int:
    """Return the bytes an image takes on the engine's disk."""
    shown = process.output("docker", "image", "inspect", "--format", "{{.Size}}", tag)
    return int(shown or 0)
