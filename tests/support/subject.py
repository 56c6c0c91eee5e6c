"""The images under test, and everything that a test may query about one."""

import json
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
from scripts.core.paths import ROOT
from scripts.images import catalogue
from scripts.images.catalogue import Image

PREFIX = "/usr/local/"
"""Where everything that the project builds is installed."""
VERSIONS = PREFIX + "share/vmaf/versions.json"
CUDA = PREFIX + "cuda/"
"""NVIDIA's tools, which are below PREFIX and are not built by the project."""
COMPOSE = ROOT / "dev" / "compose.yaml"
LOCKED_DOWN = (
    "--read-only",
    "--network=none",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)
"""Options of `docker run` for a container that may write nowhere and reach nothing."""
VIDEO = ("-f", "lavfi", "-i", "testsrc2=d=0.4:s=320x192:r=25")
"""FFmpeg's input options for ten generated frames."""
LIBVMAF_PATCH = "libvmaf.patch"
"""The project's patch of libvmaf. versions.json names it where libvmaf was built with it."""


@dataclass(frozen=True)
class ProgramResult:
    """The exit status and the output of a program that ran in a container."""

    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def signal(self) -> int:
        """The signal that ended the program, or 0.

        A shell and docker report such a program with 128 and the signal's number.
        """
        return self.code - 128 if 128 < self.code < 128 + 32 else 0

    def __str__(self) -> str:
        """Show the command, its exit status and the output that explains it."""
        return f"`{self.command}` ended with {self.code}:\n{self.stderr or self.stdout}"

    def assert_refused(self, message: str) -> None:
        """Check that the program ended by itself, with an error and a message on stderr."""
        assert self.code, f"a success, although it cannot work here: {self}"
        assert not self.signal, f"killed by signal {self.signal}: {self}"
        assert message in self.stderr, f"no {message!r} in the message: {self}"


def docker(
    *arguments: str,
    timeout: float = 120,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the docker client, on the engine that its user has chosen."""
    return process.run("docker", *arguments, timeout=timeout, cwd=cwd, env=env)


def image_tags(config: pytest.Config) -> Mapping[str, str]:
    """Return the tag under which each image is tested, `--as` considered."""
    tags = {image.name: image.tag for image in catalogue.images().values()}
    return tags | dict(pair.split("=", 1) for pair in config.getoption("as_images"))


def has_project_patch(manifest: Mapping[str, Any]) -> bool:
    """Return whether versions.json says that libvmaf was built with the project's patch.

    The crate that carries libvmaf is patched. A tree given with `--libvmaf` is built as it is,
    and its source is `directory NAME` or `git URL COMMIT`.
    """
    source: str = manifest["libvmaf"]["source"]
    return source.startswith("crate ") and LIBVMAF_PATCH in source.split()


class Store:
    """The images under test. They are saved together, as they share most of their layers."""

    def __init__(self, images: Mapping[str, Image], directory: Path) -> None:
        """Take the images by the tag that each is tested under.

        Args:
            images: the images of the bake file, by tag.
            directory: where the archive is written.
        """
        self.subjects = {tag: Subject(image, tag, self) for tag, image in images.items()}
        self._directory = directory

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the containers and the archive."""
        for subject in self.subjects.values():
            subject.close()
        if "archive" in self.__dict__:
            self.archive.close()
            (self._directory / "images.tar").unlink()

    @cached_property
    def archive(self) -> Archive:
        """The images as `docker save` writes them."""
        path = self._directory / "images.tar"
        saved = docker("save", f"--output={path}", *self.subjects, timeout=600)
        assert saved.returncode == 0, saved.stderr
        return Archive(path)


class Subject:
    """One image under test. Everything that takes time is computed once, on first use."""

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
        """Return the image tagged `tag`, which was built on top of this one."""
        return type(self)(self.image, tag, self.store)

    # Its configuration

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its configuration: User, Env, Labels, Entrypoint..."""
        shown = docker("image", "inspect", "--format", "{{json .Config}}", self.tag)
        config: Mapping[str, Any] = json.loads(shown.stdout)
        return config

    @cached_property
    def size(self) -> int:
        """Bytes on the engine's disk."""
        return int(docker("image", "inspect", "--format", "{{.Size}}", self.tag).stdout)

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.config.get("Labels") or {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that it sets."""
        return dict(pair.split("=", 1) for pair in self.config.get("Env") or ())

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Its versions.json: the components that it was built from."""
        manifest: Mapping[str, Any] = json.loads(self.read(VERSIONS))
        return manifest

    # Its files, read without running it

    @cached_property
    def saved(self) -> SavedImage:
        """Its layers and its merged file system."""
        return self.store.archive.image(self.tag)

    @property
    def layers(self) -> Sequence[Layer]:
        """Its layers, the base first."""
        return self.saved.layers

    def exists(self, path: str) -> bool:
        """Return whether `path` is in the image, symbolic links followed."""
        return self.saved.resolve(path) in self.saved.merged

    def read(self, path: str) -> bytes:
        """Return a file's content, symbolic links followed."""
        return self.saved.read(path)

    @cached_property
    def elves(self) -> Sequence[elf.Elf]:
        """Every program and shared library in it."""
        return list(self._elves("/"))

    @cached_property
    def project_elves(self) -> Sequence[elf.Elf]:
        """The programs and libraries that the project built.

        An image without any fails, so that no property holds for lack of a file.
        """
        built = [file for file in self._elves(PREFIX) if not file.path.startswith(CUDA)]
        assert built, f"{self.tag} has no program and no library under {PREFIX}"
        return built

    def _elves(self, directory: str) -> Iterator[elf.Elf]:
        for path, (_, entry) in self.saved.merged.items():
            if path.startswith(directory) and entry.is_file:
                content = self.read(path)
                file = elf.read(path, content) if content.startswith(elf.MAGIC) else None
                if file:
                    yield file

    @cached_property
    def sbom(self) -> str:
        """Its SBOM, not yet checked against the schema."""
        return sbom.document(self.tag, inventory.read(self.saved))

    @property
    def components(self) -> Sequence[Mapping[str, Any]]:
        """The components of its SBOM."""
        components: Sequence[Mapping[str, Any]] = json.loads(self.sbom)["components"]
        return components

    @property
    def nonfree(self) -> set[str]:
        """The names of its nonfree components."""
        return {
            component["name"]
            for component in self.components
            if any(said["name"] == sbom.NONFREE for said in component["properties"])
        }

    # Its programs

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
            arguments: its arguments.
            program: the program to run instead of the entry point.
            options: for `docker run`, such as `--read-only`.
            directory: mounted as the image's working directory.
            succeeds: fail the test if the program fails.
            timeout: seconds after which the test fails.
        """
        name = f"vmaf-verify-{uuid.uuid4().hex}"
        command = ["run", "--rm", f"--name={name}", *options]
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

    def ffmpeg(
        self,
        *arguments: str,
        options: Iterable[str] = (),
        directory: Path | None = None,
        succeeds: bool = True,
    ) -> ProgramResult:
        """Run its ffmpeg, which prints only errors."""
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
        """Return the VMAF score of every frame, by its vmaf program and its default model."""
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
        started = docker("run", "--detach", "--entrypoint=sleep", self.tag, "infinity")
        assert started.returncode == 0, started.stderr
        self._container = started.stdout.strip()
        return testinfra.get_host(f"docker://{self._container}")
