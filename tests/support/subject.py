"""The images under test, with their configuration, files and programs."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pytest
import testinfra

from scripts.contents import elf, inventory, sbom
from scripts.contents.archive import Archive, Layer, SavedImage
from scripts.core import process
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.engine import client
from scripts.images import catalogue, platforms
from scripts.images.catalogue import Image

PREFIX = "/usr/local/"
"""The prefix of all installations that the project builds."""
VERSIONS = PREFIX + "share/vmaf/versions.json"
CUDA = PREFIX + "cuda/"
"""The directory of NVIDIA's tools; it is below PREFIX, but the project does not build them."""
CUDA_13 = "nvidia-cuda-nvcc"
"""The name of CUDA 13's compiler in versions.json."""
COMPOSE = ROOT / "dev" / "compose.yaml"
LOCKED_DOWN = (
    "--read-only",
    "--network=none",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)
"""Options of `docker run` for a read-only container without network or capabilities."""
VIDEO = ("-f", "lavfi", "-i", "testsrc2=d=0.4:s=320x192:r=25")
"""The input options of FFmpeg for ten generated frames."""
LIBVMAF_PATCH = "libvmaf.patch"
"""The project's patch of libvmaf. versions.json names it if libvmaf was built with it."""


@dataclass(frozen=True)
class ProgramResult:
    """The exit status and output of a program that ran in a container."""

    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def signal(self) -> int:
        """The signal that ended the program, or 0.

        The exit status of docker and of a shell is 128 plus the number of the signal.
        """
        return self.code - 128 if 128 < self.code < 128 + 32 else 0

    def __str__(self) -> str:
        """Return the command, its exit status, and stderr or, if that is empty, stdout."""
        return f"`{self.command}` ended with {self.code}:\n{self.stderr or self.stdout}"

    def assert_refused(self, message: str) -> None:
        """Check that the program failed without a signal, with a message on stderr."""
        assert self.code, f"a success, although it cannot work here: {self}"
        assert not self.signal, f"killed by signal {self.signal}: {self}"
        assert message in self.stderr, f"no {message!r} in the message: {self}"


def docker(
    *arguments: str,
    timeout: float = 120,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the docker client with the engine of its current context."""
    return process.run("docker", *arguments, timeout=timeout, cwd=cwd, env=env)


def image_tags(config: pytest.Config) -> Mapping[str, str]:
    """Return the tag to test of each image; the option `--as` replaces the default tags."""
    tags = {image.name: image.tag for image in catalogue.images().values()}
    return tags | dict(pair.split("=", 1) for pair in config.getoption("as_images"))


def has_project_patch(manifest: Mapping[str, Any]) -> bool:
    """Return whether libvmaf was built with the project's patch, according to versions.json.

    The default source, a crate, is patched. A source tree override (`--libvmaf`) is not; its source
    is `directory NAME` or `git URL COMMIT`.
    """
    source: str = manifest["libvmaf"]["source"]
    return source.startswith("crate ") and LIBVMAF_PATCH in source.split()


class Store:
    """The images under test, in an archive that stores the layers that they share once."""

    def __init__(self, images: Mapping[str, Image], archive: Archive) -> None:
        """Create a subject for each image.

        Args:
            images: the images of the bake file, by the tag to test.
            archive: the archive to save the images to; it may contain other images.
        """
        self.subjects = {tag: Subject(image, tag, self) for tag, image in images.items()}
        self.archive = archive
        self._saved: set[str] = set()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the containers."""
        for subject in self.subjects.values():
            subject.close()

    def saved(self, subject: "Subject") -> SavedImage:
        """Return the saved image of a subject.

        The first call saves the images of the store that are tested as the same image of the bake
        file: one image, or all its mutants. `docker save` needs disk space for all layers of the
        images that it saves at once. The tests end if there is not enough, because each further
        test would fail for the same reason, after minutes of copying.
        """
        name = subject.image.name
        if name not in self._saved:
            same = [tag for tag, other in self.subjects.items() if other.image.name == name]
            try:
                self.archive.save(*same)
            except UserError as error:
                pytest.exit(str(error), returncode=1)
            self._saved.add(name)
        return self.archive.image(subject.tag)


class Subject:
    """An image under test. Expensive properties are computed once, on first use."""

    def __init__(self, image: Image, tag: str, store: Store) -> None:
        """Test the image tagged `tag` as the image `image` of the bake file."""
        self.image, self.tag = image, tag
        self.store = store
        self._container = ""

    def close(self) -> None:
        """Remove the container of `host`."""
        if self._container:
            docker("rm", "--force", self._container)

    def derived(self, tag: str) -> Self:
        """Return the subject of the image tagged `tag`, which is based on this image."""
        return type(self)(self.image, tag, self.store)

    # Configuration

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The configuration of the image: User, Env, Labels, Entrypoint..."""
        shown = docker("image", "inspect", "--format", "{{json .Config}}", self.tag)
        config: Mapping[str, Any] = json.loads(shown.stdout)
        return config

    @cached_property
    def size(self) -> int:
        """The size on the engine's disk in bytes."""
        return int(docker("image", "inspect", "--format", "{{.Size}}", self.tag).stdout)

    @cached_property
    def architecture(self) -> str:
        """The architecture in the image's configuration, such as `arm64`."""
        return client.architecture(self.tag)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the image."""
        return self.config.get("Labels") or {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that the image sets."""
        return dict(pair.split("=", 1) for pair in self.config.get("Env") or ())

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The content of versions.json, which lists the components of the image."""
        manifest: Mapping[str, Any] = json.loads(self.read(VERSIONS))
        return manifest

    # Files, which are read without running the image

    @property
    def libraries(self) -> str:
        """The directory of the libraries of Debian's packages."""
        processor = {"amd64": "x86_64", "arm64": "aarch64"}[self.architecture]
        return f"/usr/lib/{processor}-linux-gnu/"

    @cached_property
    def saved(self) -> SavedImage:
        """The saved image, with its layers and its merged file system."""
        return self.store.saved(self)

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the image, the base first."""
        return self.saved.layers

    def exists(self, path: str) -> bool:
        """Return whether a path exists in the image, with symbolic links resolved."""
        return self.saved.resolve(path) in self.saved.merged

    def read(self, path: str) -> bytes:
        """Return the content of a file, with symbolic links resolved."""
        return self.saved.read(path)

    @cached_property
    def elves(self) -> Sequence[elf.Elf]:
        """All programs and shared libraries of the image."""
        return list(self._elves("/"))

    @cached_property
    def project_elves(self) -> Sequence[elf.Elf]:
        """The programs and libraries that the project built.

        Fail the test if there is none, so that no property passes without a file to check.
        """
        built = [file for file in self._elves(PREFIX) if not file.path.startswith(CUDA)]
        assert built, f"{self.tag} has no program and no library under {PREFIX}"
        return built

    @cached_property
    def libvmaf(self) -> Sequence[elf.Elf]:
        """The libraries of libvmaf; a fork may have its code in a second one."""
        prefix = PREFIX + "lib/libvmaf"
        return [file for file in self.project_elves if file.path.startswith(prefix)]

    def _elves(self, directory: str) -> Iterator[elf.Elf]:
        for path, (_, entry) in self.saved.merged.items():
            if path.startswith(directory) and entry.is_file:
                content = self.read(path)
                file = elf.read(path, content) if content.startswith(elf.MAGIC) else None
                if file:
                    yield file

    @cached_property
    def sbom(self) -> str:
        """The SBOM of the image, which is not validated."""
        return sbom.document(self.tag, inventory.read(self.saved))

    @property
    def components(self) -> Sequence[Mapping[str, Any]]:
        """The components in the SBOM of the image."""
        components: Sequence[Mapping[str, Any]] = json.loads(self.sbom)["components"]
        return components

    @property
    def nonfree(self) -> set[str]:
        """The names of the nonfree components of the image."""
        return {
            component["name"]
            for component in self.components
            if any(entry["name"] == sbom.NONFREE for entry in component["properties"])
        }

    # Programs

    @cached_property
    def platform(self) -> Sequence[str]:
        """The option without which docker warns about an image for another processor."""
        return [f"--platform={name}" for name in platforms.foreign(os.environ)]

    def run(
        self,
        *arguments: str,
        program: str = "",
        options: Iterable[str] = (),
        directory: Path | None = None,
        succeeds: bool = True,
        timeout: float = 120,
    ) -> ProgramResult:
        """Run the image's entry point, or `program`, in a new container.

        Args:
            arguments: the arguments of the program.
            program: the program to run instead of the entry point.
            options: options for `docker run`, such as `--read-only`.
            directory: a directory to mount as the working directory of the image.
            succeeds: fail the test if the program fails.
            timeout: seconds after which the test fails.
        """
        name = f"vmaf-verify-{uuid.uuid4().hex}"
        command = ["run", "--rm", f"--name={name}", *self.platform, *options]
        command += [f"--entrypoint={program}"] if program else []
        if directory:
            command += [f"--mount=type=bind,source={directory},target={self.config['WorkingDir']}"]
        shown = " ".join((program or self.image.entry, *arguments))
        done = docker(*command, self.tag, *arguments, timeout=timeout)
        if done.returncode == process.TIMED_OUT:
            docker("rm", "--force", name)
            raise AssertionError(f"`{shown}` did not end: {done.stderr}")
        result = ProgramResult(shown, done.returncode, done.stdout, done.stderr)
        assert result.code == 0 or not succeeds, str(result)
        return result

    def assert_loads(self, library: str) -> None:
        """Check that the loader can load a library that programs open at run time.

        ldd does not cover such libraries.
        """
        result = self.run(f"LD_PRELOAD={library}", "true", program="env")
        assert not result.stderr, f"{library} does not load: {result.stderr}"

    def ffmpeg(
        self,
        *arguments: str,
        options: Iterable[str] = (),
        directory: Path | None = None,
        succeeds: bool = True,
    ) -> ProgramResult:
        """Run ffmpeg in the image; it prints only errors."""
        quiet = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y")
        return self.run(
            *(*quiet, *arguments),
            program="ffmpeg",
            options=options,
            directory=directory,
            succeeds=succeeds,
        )

    def score(
        self,
        directory: Path,
        reference: str,
        distorted: str,
        *arguments: str,
        options: Iterable[str] = (),
    ) -> Sequence[float]:
        """Return the VMAF score of each frame, from the vmaf program with the default model."""
        pair = (f"--reference={reference}", f"--distorted={distorted}")
        self.run(
            *(*pair, "--json", "--output=score.json", *arguments),
            program="vmaf",
            options=options,
            directory=directory,
        )
        frames = json.loads((directory / "score.json").read_text())["frames"]
        return [frame["metrics"]["vmaf"] for frame in frames]

    @cached_property
    def host(self) -> Any:  # noqa: ANN401 (testinfra has no types)
        """A testinfra host: a container of the image that runs until the tests end."""
        command = ("run", "--detach", *self.platform, "--entrypoint=sleep", self.tag, "infinity")
        started = docker(*command)
        assert started.returncode == 0, started.stderr
        self._container = started.stdout.strip()
        return testinfra.get_host(f"docker://{self._container}")
