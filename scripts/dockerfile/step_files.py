"""Find the scripts that a step runs, by following COPY, bind mounts and WORKDIR."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scripts.dockerfile import shell
from scripts.dockerfile.parser import Instruction, Mount

MAX_SCRIPT_BYTES = 10**6
"""The size from which files are not read, because they cannot be scripts."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INTERPRETERS = {".", "ash", "bash", "dash", "python", "python3", "sh", "source"}


@dataclass(frozen=True)
class BuildContext:
    """The files of a build context, by path."""

    texts: Mapping[str, str] = field(default_factory=dict)
    directories: Sequence[Path] = ()
    """The directories that are searched, in this order, for files not in `texts`."""

    def read(self, path: str) -> str | None:
        """Return the contents of a file; None if it is absent or too large for a script."""
        if path in self.texts:
            return self.texts[path]
        for directory in self.directories:
            file = directory / path
            if path and file.is_file() and file.stat().st_size < MAX_SCRIPT_BYTES:
                return file.read_text(errors="replace")
        return None


@dataclass(frozen=True)
class _Placement:
    """A file or directory of the build context, and its path in the step."""

    target: PurePosixPath
    source: PurePosixPath


class StepFiles:
    """The files of the build context that a step can read, by their paths in the step.

    Pass the instructions before the step to `apply` in their order, then the mounts of the step
    to `mount`. Files of other stages and of images are ignored.
    """

    def __init__(self, context: BuildContext, search_path: str = DEFAULT_PATH) -> None:
        """Start with an empty file system.

        Args:
            context: the build context.
            search_path: the PATH of the step; the default PATH is searched after it.
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
        """Apply a WORKDIR, COPY or ADD; other instructions have no effect."""
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
            copy = self._working_directory / target
            if is_file and into_directory:
                copy /= path.name
            self._placements.append(_Placement(copy, path))

    def mount(self, mount: Mount) -> None:
        """Apply a bind mount from the build context; other mounts have no effect."""
        if mount.type == "bind" and not mount.get("from"):
            target = self._working_directory / mount.target
            self._placements.append(_Placement(target, _in_context(mount.source)))

    def source_of(self, path: str) -> str | None:
        """Return the path in the build context of the file that is at `path` in the step."""
        absolute = self._working_directory / path
        for placement in reversed(self._placements):  # later placements hide earlier ones
            if absolute.is_relative_to(placement.target):
                source = str(placement.source / absolute.relative_to(placement.target))
                if self._context.read(source) is not None:
                    return source
        return None

    def _program(self, name: str) -> str | None:
        """Return the path in the build context of a program that a script calls by `name`."""
        if "/" in name:
            return self.source_of(name)
        paths = (self.source_of(str(directory / name)) for directory in self._search_path)
        return next((path for path in paths if path), None)

    def scripts(self, first: shell.Script) -> Iterator[shell.Script]:
        """Yield a script and, recursively, the scripts that it runs or sources."""
        queue, known = [first], set()
        while queue:
            script = queue.pop(0)
            yield script
            for command in script.commands:
                path = self._script_of(command)
                if path and path not in known:
                    known.add(path)
                    queue.append(_read_script(self._context.read(path) or "", path))

    def _script_of(self, command: shell.Command) -> str | None:
        """Return the file of the build context that a command runs or sources, if any."""
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
    """Return a script; scripts of other interpreters have no commands."""
    first_line = text.partition("\n")[0]
    if not first_line.startswith("#") or "python" in first_line:
        return shell.Script(text, path, (), {})
    return shell.read(text, path)
