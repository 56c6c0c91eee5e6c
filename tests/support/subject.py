"""The images under test, and everything a property may ask about one."""

import json
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import testinfra

from scripts.contents import elf, inventory, sbom
from scripts.contents.archive import Archive, Layer, Saved
from scripts.core.paths import ROOT
from scripts.images.catalogue import Image

OURS = "/usr/local/"
"""Where everything that we build is installed."""
COMPOSE = ROOT / "dev" / "compose.yaml"
"""How the workbench is run."""
CUDA = OURS + "cuda/"
"""Where NVIDIA's tools are, which are not ours."""


@dataclass(frozen=True)
class Ran:
    """A program that ended in a container."""

    command: str
    code: int
    stdout: str
    stderr: str

    @property
    def killed(self) -> bool:
        """Whether a signal ended it: a shell and docker report 128 and the signal's number."""
        return 128 < self.code < 128 + 32

    def __str__(self) -> str:
        """Tell what a person needs to see of it."""
        return f"`{self.command}` ended with {self.code}:\n{self.stderr or self.stdout}"


def docker(
    *words: str, timeout: float = 120, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the docker client: whatever engine its user has chosen is the one asked."""
    return subprocess.run(
        ["docker", *words],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        cwd=cwd,
        check=False,
    )


class Store:
    """The images under test: saved once and together, as they share most of their layers."""

    def __init__(self, images: Mapping[str, Image], folder: Path) -> None:
        """Take the images, by the tag that each is tested under, and a folder for the archive."""
        self.subjects = {tag: Subject(image, tag, self) for tag, image in images.items()}
        self._folder = folder

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the containers and the archive."""
        for subject in self.subjects.values():
            subject.close()
        if "archive" in self.__dict__:
            self.archive.close()
            (self._folder / "images.tar").unlink()

    @cached_property
    def archive(self) -> Archive:
        """All of them, as `docker save` writes them."""
        path = self._folder / "images.tar"
        saved = docker("save", f"--output={path}", *self.subjects, timeout=600)
        assert saved.returncode == 0, saved.stderr
        return Archive(path)


class Subject:
    """One image under test. What costs time is got when first asked for, and kept."""

    def __init__(self, image: Image, tag: str, store: Store) -> None:
        """Test what is called `tag` as the image of the bake file that it claims to be."""
        self.image, self.tag = image, tag
        self._store = store
        self._container = ""

    def close(self) -> None:
        """Remove the container of `host`."""
        if self._container:
            docker("rm", "--force", self._container)

    def derived(self, tag: str) -> Self:
        """Return what is called `tag`, made from this one, to be run as this one is."""
        return type(self)(self.image, tag, self._store)

    # What it says of itself

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
        """The environment it gives a program."""
        return dict(pair.split("=", 1) for pair in self.config.get("Env") or ())

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Its versions.json: what went into it."""
        manifest: Mapping[str, Any] = json.loads(self.read(OURS + "share/vmaf/versions.json"))
        return manifest

    # What is in it, without running it

    @cached_property
    def saved(self) -> Saved:
        """Its layers and its merged file system."""
        return self._store.archive.image(self.tag)

    @property
    def layers(self) -> Sequence[Layer]:
        """Its layers, the base first."""
        return self.saved.layers

    def exists(self, path: str) -> bool:
        """Whether `path` leads to something, links followed."""
        return self.saved.resolve(path) in self.saved.merged

    def read(self, path: str) -> bytes:
        """Return a file's content, links followed."""
        return self.saved.read(path)

    @cached_property
    def elves(self) -> Sequence[elf.Elf]:
        """Every program and shared library in it."""
        return list(self._elves("/"))

    @cached_property
    def our_elves(self) -> Sequence[elf.Elf]:
        """Those that we built; never empty, so that no property holds for want of a file."""
        ours = [one for one in self._elves(OURS) if not one.path.startswith(CUDA)]
        assert ours, f"{self.tag} has no program and no library under {OURS}"
        return ours

    def _elves(self, folder: str) -> Iterator[elf.Elf]:
        for path, (_, entry) in self.saved.merged.items():
            if path.startswith(folder) and entry.is_file:
                content = self.read(path)
                one = elf.read(path, content) if content.startswith(elf.MAGIC) else None
                if one:
                    yield one

    @cached_property
    def sbom(self) -> str:
        """Its SBOM, not yet held against the schema."""
        return sbom.document(self.tag, inventory.read(self.saved))

    @property
    def components(self) -> Sequence[Mapping[str, Any]]:
        """What its SBOM names."""
        components: Sequence[Mapping[str, Any]] = json.loads(self.sbom)["components"]
        return components

    # What it does

    def run(
        self,
        *words: str,
        program: str = "",
        options: Iterable[str] = (),
        folder: Path | None = None,
        succeeds: bool = True,
    ) -> Ran:
        """Run the image's entry point, or `program`, in a container of its own.

        Args:
            words: the arguments.
            program: what to run instead of the entry point.
            options: for `docker run`: `--read-only`.
            folder: mounted as the folder that the program works in.
            succeeds: fail the test where the program does not.
        """
        name = f"vmaf-verify-{uuid.uuid4().hex}"
        command = ["run", "--rm", f"--name={name}", *options]
        command += [f"--entrypoint={program}"] if program else []
        if folder:
            command += [f"--mount=type=bind,source={folder},target={self.config['WorkingDir']}"]
        try:
            done = docker(*command, self.tag, *words)
        except subprocess.TimeoutExpired as late:
            docker("rm", "--force", name)
            raise AssertionError(f"{program} {words} did not end: {late}") from late
        shown = " ".join((program or "vmaf", *words))
        ran = Ran(shown, done.returncode, done.stdout, done.stderr)
        assert ran.code == 0 or not succeeds, str(ran)
        return ran

    def ffmpeg(
        self,
        *words: str,
        options: Iterable[str] = (),
        folder: Path | None = None,
        succeeds: bool = True,
    ) -> Ran:
        """Run its ffmpeg; what it prints is errors alone, and nothing on success."""
        quiet = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y")
        command = (*quiet, *words)
        return self.run(
            *command, program="ffmpeg", options=options, folder=folder, succeeds=succeeds
        )

    def score(
        self,
        folder: Path,
        reference: str,
        distorted: str,
        *words: str,
        options: Iterable[str] = (),
    ) -> Sequence[float]:
        """Return the VMAF score of every frame, by its vmaf program and its default model."""
        pair = (f"--reference={reference}", f"--distorted={distorted}")
        self.run(
            *(*pair, "--json", "--output=score.json", *words),
            program="vmaf",
            options=options,
            folder=folder,
        )
        frames = json.loads((folder / "score.json").read_text())["frames"]
        return [frame["metrics"]["vmaf"] for frame in frames]

    @cached_property
    def host(self) -> Any:  # noqa: ANN401 (testinfra has no types)
        """A testinfra host: a container of the image that stays until the tests end."""
        started = docker("run", "--detach", "--entrypoint=sleep", self.tag, "infinity")
        assert started.returncode == 0, started.stderr
        self._container = started.stdout.strip()
        return testinfra.get_host(f"docker://{self._container}")
