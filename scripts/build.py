"""Build images of docker-bake.hcl, with what only this machine knows put in by an overlay."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts import bases, engine, matrix, progress, report, sources
from scripts.console import UserError, say, start
from scripts.options import parse
from scripts.paths import RECORDS, ROOT

GIB = 2**30
TRY = {
    "vmaf": '-v "$PWD:/data" {} -r ref.y4m -d dist.y4m',
    "ffmpeg": '-v "$PWD:/data" {} -i dist.mp4 -i ref.mp4 -lavfi libvmaf -f null -',
    "vmaf-server": "-p 8080:8080 -p 9090:9090 {}",
}
"""A command that shows what an image does, by its entry point."""
NEEDED_BYTES = 15 * GIB
"""What a cold build of cpu and cuda12 leaves on the disk, with room to spare."""

CHECKS = {
    "upstream-tests": "upstream's own tests pass on a build made from the caches",
    "server-tests": "the server's own tests pass, as do the race detector and the fuzzers",
}
"""The groups of the bake file that are built to see whether they can be, and what that says."""

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where Debian and Fedora, and their kin, keep the certificates that the host trusts."""
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")

FORKS_BACKENDS = {"rocm6": "hip", "oneapi2026": "sycl"}
"""An image's GPU backend, which a --libvmaf tree may offer; Netflix's tree has neither of them."""
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
            "contexts": {f"libvmaf-{image}": f"target:libvmaf-{backend}"},
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


def check_backends(images: Iterable[matrix.Image], libvmaf: sources.Source | None) -> None:
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


def revision() -> str:
    """Return this checkout's commit, `-dirty` where it has been edited since."""
    words = ("--always", "--dirty", "--abbrev=40", "--exclude=*")
    return engine.output("git", "-C", str(ROOT), "describe", *words).strip() or "unknown"


def epoch(environment: Mapping[str, str]) -> str:
    """Return the time that images say they were made at, in seconds; empty means now.

    It is SOURCE_DATE_EPOCH, else this checkout's commit's where nothing was edited since. buildx
    hands it to every target; no layer is keyed by it, as no Dockerfile declares it.

    Raises:
        UserError: SOURCE_DATE_EPOCH is no number of seconds.
    """
    given = environment.get("SOURCE_DATE_EPOCH")
    if given is None:
        clean = not revision().endswith(("-dirty", "unknown"))
        shown = engine.output("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
        return shown.strip() if clean else ""
    if given and not given.isdecimal():
        raise UserError(
            "cannot build",
            f"SOURCE_DATE_EPOCH is {given!r}, not a number of seconds since 1970",
            "Unset it, or take a commit's: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct).",
        )
    return given


def build(targets: Sequence[str], options: Mapping[str, Any]) -> report.Record:
    """Build bake targets, show how it goes, and return the record that was kept of it.

    Raises:
        UserError: an option is wrong, the engine is not fit, or a stage failed;
            what was built before keeps its tag, and the caches what was done.
    """
    if os.environ.get("DOCKER_BUILDKIT") == "0":
        raise UserError(
            "cannot build with the classic builder",
            "DOCKER_BUILDKIT=0 asks for it, and only BuildKit can mount caches",
            "Unset DOCKER_BUILDKIT; docs/rebase-notes.md says more.",
        )
    os.environ["SOURCE_DATE_EPOCH"] = epoch(os.environ)
    images = [matrix.images()[name] for name in targets if name in matrix.images()]
    answering = engine.require()
    check_disk(engine.free_bytes(answering))
    given = {
        project: sources.prepare(project, options[project])
        for project in ("libvmaf", "ffmpeg")
        if options.get(project)
    }
    check_backends(images, given.get("libvmaf"))
    kind = bases.choose()
    if kind == "bootstrap":
        bases.bootstrap()

    RECORDS.mkdir(exist_ok=True)
    namespace = options.get("namespace") or ""
    machine = RECORDS / "machine.json"
    machine.write_text(
        json.dumps(overlay(given.values(), kind=kind, namespace=namespace, environment=os.environ))
    )
    command = ["docker", "buildx", "bake", "--progress=rawjson"]
    for file in (*bases.OVERLAYS[kind], machine):
        command += ["--file", str(file)]
    # The same as --load, which would export the stages given to others as well;
    # and so would buildx where nothing is said of an output.
    command += [f"--set={image.name}.output=type=docker" for image in images]
    os.environ["BUILDX_NO_DEFAULT_LOAD"] = "1"
    os.environ["REVISION"] = revision()
    if "libvmaf" in given:
        os.environ["LIBVMAF_VERSION"] = given["libvmaf"].version

    log = RECORDS / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{'-'.join(targets)}.log"
    outcome = _follow([*command, *targets], log)
    sizes = {} if outcome.returncode else {image.tag: _size(image.tag) for image in images}
    earlier = report.records()
    latest = report.record(
        outcome,
        targets=targets,
        options={"bases": kind, **{name: str(value) for name, value in options.items() if value}},
        namespace=namespace,
        sizes=sizes,
    )
    latest.write()
    if outcome.returncode:
        raise report.failure(outcome)
    report.summary(latest, report.hit_rate_drops(latest, earlier))
    for image in images:
        if words := TRY.get(image.entry):
            say(f"try it: docker run --rm {words.format(image.tag)}")
    return latest


_RACES = ("failed to get state for index", "inconsistent graph state", "no such job")
"""What BuildKit says when it has lost a step that two targets share (moby/buildkit issues 3635
and 2303), or the end of a build that was over at once. What was built stays cached."""


def is_race(said: str) -> bool:
    """Whether buildx's last line tells of a race inside BuildKit, and not of a step that failed."""
    return any(race in said for race in _RACES)


def _follow(command: Sequence[str], log: Path) -> progress.Outcome:
    """Build, and once more where BuildKit tripped over itself."""
    outcome = progress.follow(command, cwd=ROOT, log=log)
    said = (outcome.build.text or [""])[-1] if outcome.returncode else ""
    if not is_race(said):
        return outcome
    say(f"BuildKit lost its own state, a known fault of it; building once more. It said: {said}")
    return progress.follow(command, cwd=ROOT, log=log.with_suffix(".again.log"))


def _size(tag: str) -> int:
    """Return the bytes an image takes on the engine's disk."""
    shown = engine.output("docker", "image", "inspect", "--format", "{{.Size}}", tag)
    return int(shown or 0)


def main(words: Sequence[str]) -> int:
    """`scripts.build [IMAGE...|CHECKS] [options]`; all images where none is named."""
    options = parse(words)
    if options.targets in ([checks] for checks in CHECKS):
        (checks,) = options.targets
        targets = matrix.bake_print(checks)["group"][checks]["targets"]
        for stage in build(targets, vars(options)).stages:
            if tests := stage.measures.get("tests"):
                say(f"{stage.name}: {tests['run']} tests, {tests['failed']} failed")
        say(CHECKS[checks])
        return 0
    build([image.name for image in matrix.choose(options.targets)], vars(options))
    return 0


if __name__ == "__main__":
    start(main)
