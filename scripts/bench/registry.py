"""Run a container registry on loopback, and a builder that stores its layers only there.

The engine's builder cannot export all layers of a build to a registry, so a separate BuildKit is
used. Its cache is emptied before each build, as on a fresh CI machine. The bench stops both
programs when it ends.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from scripts.core import loopback, process
from scripts.core.console import UserError, say
from scripts.core.paths import cache_dir
from scripts.engine import buildkitd

BUILDER = "vmaf-bench"
BASES, LAYERS = "vmaf-bench-base", "vmaf-bench"
"""The repositories of base images and of cached layers."""
BRANCH = "-branch"
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class Registry:
    """A running registry and its builder."""

    address: str
    log: Path = Path(os.devnull)
    """The file with a line for each of its answers."""

    @property
    def settings(self) -> str:
        """The lines of buildkitd.toml for a BuildKit that uses it."""
        return f'[registry."{self.address}"]\n  http = true\n'

    @property
    def builder(self) -> str:
        """The option that selects the builder for a bake command."""
        return f"--builder={BUILDER}"

    def base(self, name: str) -> str:
        """Return the reference of a base image in this registry."""
        return f"{self.address}/{BASES}:{name}"

    def tags(self, repository: str) -> set[str]:
        """Return the tags of a repository; an empty set if the repository does not exist."""
        answer = self._get(f"{repository}/tags/list")
        return set(answer.json()["tags"] or ()) if answer.ok else set()

    def stored(self, repository: str) -> int:
        """Return the bytes of all blobs that the manifests of a repository refer to."""
        blobs: dict[str, int] = {}
        for tag in self.tags(repository):
            manifest = self._get(f"{repository}/manifests/{tag}").json()
            # BuildKit stores a cache as an index whose entries are layers.
            listed = [*manifest.get("manifests", ()), *manifest.get("layers", ())]
            listed += [manifest["config"]] if "config" in manifest else []
            blobs |= {blob["digest"]: blob["size"] for blob in listed}
        return sum(blobs.values())

    def sent(self, repository: str) -> int:
        """Return the bytes of a repository that clients have fetched since the start."""
        pattern = rf'"GET /v2/{re.escape(repository)}/\S+ HTTP/[\d.]+" 200 (\d+)'
        return sum(map(int, re.findall(pattern, self.log.read_text(errors="replace"))))

    def _get(self, path: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False  # a proxy cannot connect to the loopback of this machine
            return session.get(
                f"http://{self.address}/v2/{path}",
                headers={"Accept": ", ".join(_MANIFESTS)},
                timeout=loopback.TIMEOUT_SECONDS,
            )

    def arguments(self, target: str) -> list[str]:
        """Return the bake arguments that import and export the layers of a target.

        They follow common CI practice: the first build represents the main branch, and later
        builds represent a branch, which reads both caches and writes its own. The builds cannot
        share one reference: BuildKit does not export a layer that is in a registry and was not
        pulled, so each build would remove layers from the reference, and after an edit the
        toolchain would be missing.
        """
        stored, branch = self.tags(LAYERS), f"{target}{BRANCH}"
        # The layers of other images on the main branch also contain the toolchain.
        others = sorted(tag for tag in stored - {target} if not tag.endswith(BRANCH))
        cache = f"type=registry,ref={self.address}/{LAYERS}"
        return [
            self.builder,
            *(
                f"--set={target}.cache-from={cache}:{tag}"
                for tag in (branch, target, *others)
                if tag in stored
            ),
            f"--set={target}.cache-to={cache}:{branch if target in stored else target},mode=max",
        ]

    def empty(self) -> None:
        """Remove everything from the builder's cache, as on a fresh machine.

        Raises:
            UserError: buildx failed.
        """
        _run("docker", "buildx", "prune", f"--builder={BUILDER}", "--all", "--force")


def programs() -> tuple[Path, Path]:
    """Return the programs of the registry and of BuildKit; download any that is not installed.

    Raises:
        UserError: a program cannot be downloaded or compiled.
    """
    if os.geteuid():
        raise _error("it requires root")
    return registry_program(), buildkitd.program()


def registry_program() -> Path:
    """Return the program of the registry; download it if it is not installed.

    Raises:
        UserError: it cannot be downloaded.
    """
    return Path(shutil.which("docker-registry") or _unpacked("docker-registry"))


def _unpacked(package: str) -> Path:
    """Return a program from a Debian package, which is unpacked but not installed."""
    directory = cache_dir(package)
    program = directory / "usr" / "bin" / package
    if not program.exists():
        say(f"registry: fetching Debian's {package}")
        _run("apt-get", "download", package, cwd=directory)
        (file,) = directory.glob("*.deb")
        _run("dpkg-deb", "-x", str(file), str(directory))
        file.unlink()
    return program


def _run(*command: str, cwd: Path | None = None) -> None:
    """Run a program.

    Raises:
        UserError: the program is not installed, or failed.
    """
    done = process.run(*command, cwd=cwd)
    if done.returncode:
        raise _error(f"`{' '.join(command[:3])}`: {done.stderr.strip()[-500:]}")


def _error(why: str) -> UserError:
    return UserError(
        "cannot measure the contender `registry`",
        why,
        "It requires root, Debian's docker-registry, and Go or a buildkitd on PATH; "
        "`--contender` names the contenders to measure instead.",
    )


@contextmanager
def run(directory: Path) -> Iterator[Registry]:
    """Run a registry with its data and its log in `directory`.

    Raises:
        UserError: the program cannot be downloaded, or does not start.
    """
    port = loopback.free_port()
    address = f"127.0.0.1:{port}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "registry.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{directory}/registry'}}}}\n"
    )
    command = [str(registry_program()), "serve", f"{directory}/registry.yml"]
    log = directory / "registry.log"
    with loopback.daemon(command, log):
        loopback.wait(port, log)
        yield Registry(address, log)


@contextmanager
def serve(directory: Path) -> Iterator[Registry]:
    """Run a registry and its builder, with their data in `directory`.

    Raises:
        UserError: a program cannot be downloaded, or does not start.
    """
    programs()
    with (
        run(directory) as registry,
        buildkitd.worker(BUILDER, directory / "buildkit", registry.settings),
    ):
        yield registry
