"""Find the scripts that a step runs, by following COPY, bind mounts and WORKDIR."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scripts.dockerfile import shell
from scripts.dockerfile.parser import Instruction, Mount

MOST_BYTES = 10**6
"""The size from which a file is no script; such files are not read."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INTERPRETERS = {".", "ash", "bash", "dash", "python", "python3", "sh", "source"}


@dataclass(frozen=True)
class BuildContext:
    """The files that COPY, ADD and bind mounts take from, by their paths in the context."""

    texts: Mapping[str, str] = field(default_factory=dict)
    directories: Sequence[Path] = ()
    """Directories to read from where `texts` does not have the file, the first one first."""

    def read(self, path: str) -> str | None:
        """Return the contents of a file, or None where the context has no such small file."""
        if path in self.texts:
            return self.texts[path]
        for directory in self.directories:
            file = directory / path
            if path and file.is_file() and file.stat().st_size < MOST_BYTES:
                return file.read_text(errors="replace")
        return None


@dataclass(frozen=True)
class _Placement:
    """A file or directory of the build context, and its path in the step."""

    target: PurePosixPath
    source: PurePosixPath


class StepFiles:
    """The files of the build context that a step sees, by their paths in the step.

    Pass the instructions before the step to `apply` in their order, then the mounts of the step
    to `mount`. Files of other stages and of images are not followed.
    """

    def __init__(self, context: BuildContext, search_path: str = DEFAULT_PATH) -> None:
        """Start with an empty file system.

        Args:
            context: the build context.
            search_path: the PATH of the step; the default one is searched after it.
        """
        self._context = context
        self._search_path = [
            PurePosixPath(directory)
            for directory in f"{search_path}:{DEFAULT_PATH}".split(":")
            if directory.startswith("/")
        ]
        self._working_directory = PurePosixPath("/")
        self._placements: list[_Placement] = []

    def apply(self, instruction: Instruction) -> None:
        """Follow a WORKDIR, COPY or ADD; other instructions change nothing here."""
        if instruction.name == "WORKDIR":
            self._working_directory /= instruction.arguments[0]
        elif instruction.name in {"COPY", "ADD"} and not instruction.flag("from"):
            self._copy(instruction.arguments)

    def _copy(self, arguments: Sequence[str]) -> None:
        *sources, target = arguments
        for source in sources:
            path = _in_context(source)
            is_file = self._context.read(str(path)) is not None
            into_directory = target.endswith(("/", ".")) or len(sources) > 1
            place = self._working_directory / target
            if is_file and into_directory:
                place /= path.name
            self._placements.append(_Placement(place, path))

    def mount(self, mount: Mount) -> None:
        """Follow a bind mount from the build context; other mounts change nothing here."""
        if mount.type == "bind" and not mount.get("from"):
            target = self._working_directory / mount.target
            self._placements.append(_Placement(target, _in_context(mount.source)))

    def source_of(self, path: str) -> str | None:
        """Return the path in the build context of a file that the step sees at `path`."""
        seen_at = self._working_directory / path
        for placement in reversed(self._placements):  # a later one hides an earlier one
            if seen_at.is_relative_to(placement.target):
                source = str(placement.source / seen_at.relative_to(placement.target))
                if self._context.read(source) is not None:
                    return source
        return None

    def _program(self, name: str) -> str | None:
        """Return the path in the build context of a program that is called by `name`."""
        if "/" in name:
            return self.source_of(name)
        found = (self.source_of(str(directory / name)) for directory in self._search_path)
        return next((path for path in found if path), None)

    def scripts(self, first: shell.Script) -> Iterator[shell.Script]:
        """Yield a script, the scripts that it runs or sources, those that these run, and so on."""
        waiting, known = [first], set()
        while waiting:
            script = waiting.pop(0)
            yield script
            for command in script.commands:
                path = self._script_of(command)
                if path and path not in known:
                    known.add(path)
                    waiting.append(_read_script(self._context.read(path) or "", path))

    def _script_of(self, command: shell.Command) -> str | None:
        """Return the file that a command runs or sources, where it is of the build context."""
        if not command.argv:
            return None
        if command.program not in _INTERPRETERS:
            return self._program(command.argv[0])
        script = next((arg for arg in command.argv[1:] if not arg.startswith("-")), "")
        return self.source_of(script) if script else None


def _in_context(source: str) -> PurePosixPath:
    """Return a source of COPY or a mount as a path below the root of the build context."""
    return PurePosixPath(source.lstrip("/") or ".")


def _read_script(text: str, path: str) -> shell.Script:
    """Return a script; one that is not for a shell has a text, but no commands."""
    first_line = text.partition("\n")[0]
    if not first_line.startswith("#") or "python" in first_line:
        return shell.Script(text, path, (), {})
    return shell.read(text, path)
