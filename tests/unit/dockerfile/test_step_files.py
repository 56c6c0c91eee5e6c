"""The scripts that a step runs are found where COPY and bind mounts put them."""

from pathlib import Path

import pytest

from scripts.dockerfile import parser, shell
from scripts.dockerfile.step_files import BuildContext, StepFiles

TEXTS = {
    "ci/build.sh": "#!/bin/sh\nmake\n",
    "ci/lib.sh": "#!/bin/sh\ncc -c a.c\n",
    "ci/generate.py": "#!/usr/bin/env python3\nprint()\n",
    "tools/build.sh": "#!/bin/sh\nninja\n",
    "ci/all.sh": "#!/bin/sh\n. /run/lib.sh\n/run/all.sh\n",
}


def files_after(instructions: str, search_path: str = "") -> StepFiles:
    """Return the files of a step after the instructions; the mounts of the last RUN apply."""
    files = StepFiles(BuildContext(TEXTS), search_path)
    for instruction in parser.read(f"FROM scratch\n{instructions}\n", "D").stages[0].instructions:
        files.apply(instruction)
        for mount in instruction.mounts:
            files.mount(mount)
    return files


@pytest.mark.parametrize(
    ("instructions", "path", "source"),
    [
        ("COPY ci/build.sh /opt/b.sh", "/opt/b.sh", "ci/build.sh"),
        ("COPY ci/build.sh /opt/", "/opt/build.sh", "ci/build.sh"),
        ("COPY /ci/build.sh /opt/", "/opt/build.sh", "ci/build.sh"),
        ("COPY ./ci/build.sh ./", "/build.sh", "ci/build.sh"),
        ("COPY ci/build.sh ci/lib.sh /opt", "/opt/lib.sh", "ci/lib.sh"),
        ('COPY ["ci/build.sh", "/a b/"]', "/a b/build.sh", "ci/build.sh"),
        ("COPY . /src", "/src/ci/build.sh", "ci/build.sh"),
        ("WORKDIR /src\nCOPY ci .", "./build.sh", "ci/build.sh"),
        ("WORKDIR /src\nWORKDIR sub\nCOPY ci .", "/src/sub/build.sh", "ci/build.sh"),
        ("COPY ci /opt\nCOPY tools /opt", "/opt/build.sh", "tools/build.sh"),
        ("RUN --mount=source=ci,target=/run/ci true", "/run/ci/lib.sh", "ci/lib.sh"),
        ("RUN --mount=target=/src true", "/src/ci/lib.sh", "ci/lib.sh"),
        ("RUN --mount=source=ci/lib.sh,target=/run/l.sh true", "/run/l.sh", "ci/lib.sh"),
    ],
)
def test_source_of_a_file_is_found(instructions: str, path: str, source: str) -> None:
    """A step's file is traced to the build context through COPY, WORKDIR and bind mounts."""
    assert files_after(instructions).source_of(path) == source


@pytest.mark.parametrize(
    ("instructions", "path"),
    [
        ("COPY gone.sh /usr/local/bin/gone", "/usr/local/bin/gone"),
        ("COPY gone/ /usr/local/bin/", "/usr/local/bin/build.sh"),
        ("COPY <<end /usr/bin/run\nmake\nend", "/usr/bin/run"),
        ("ADD https://example.org/run.sh /usr/bin/run", "/usr/bin/run"),
        ("COPY --from=other ci /opt", "/opt/build.sh"),
        ("RUN --mount=from=other,source=ci,target=/ci true", "/ci/build.sh"),
        ("RUN --mount=type=cache,target=/ci true", "/ci/build.sh"),
        ("COPY ci /opt", "/optional/build.sh"),
        ("COPY ci/build.sh /opt/", "/opt"),
    ],
)
def test_source_of_any_other_file_is_unknown(instructions: str, path: str) -> None:
    """A file that is missing, or that is not copied from the build context, has no source."""
    assert files_after(instructions).source_of(path) is None


@pytest.mark.parametrize(
    ("instructions", "search_path", "command", "source"),
    [
        ("COPY ci/build.sh /usr/local/bin/build-all", "", "build-all", "ci/build.sh"),
        ("COPY ci/build.sh /opt/bin/", "/opt/bin:$PATH", "build.sh", "ci/build.sh"),
        ("COPY ci/build.sh /opt/bin/", "", "/opt/bin/build.sh now", "ci/build.sh"),
        ("COPY ci /ci", "", "sh -eux /ci/build.sh", "ci/build.sh"),
        ("COPY ci /ci", "", ". /ci/lib.sh", "ci/lib.sh"),
        ("COPY ci /ci", "", "python3 -u /ci/generate.py", "ci/generate.py"),
        ("COPY ci /ci", "", "env CC=gcc /ci/build.sh", "ci/build.sh"),
    ],
)
def test_scripts_follow_a_command(
    instructions: str, search_path: str, command: str, source: str
) -> None:
    """A script is followed if a command names, sources or interprets it, or finds it on PATH."""
    scripts = files_after(instructions, search_path).scripts(shell.read(command, "D"))
    assert [script.file for script in scripts] == ["D", source]


def test_bare_name_is_searched_on_path_only() -> None:
    """As in the shell, a command without a slash is searched for on PATH only."""
    scripts = files_after("WORKDIR /src\nCOPY ci .").scripts(shell.read("build.sh", "D"))
    assert [script.file for script in scripts] == ["D"]


def test_scripts_follow_scripts_and_end_at_a_cycle() -> None:
    """The scripts that a script calls are followed; one that calls itself is followed once."""
    scripts = list(files_after("COPY ci /run").scripts(shell.read("/run/all.sh", "D")))
    assert [script.file for script in scripts] == ["D", "ci/all.sh", "ci/lib.sh"]
    assert [command.program for command in scripts[2].commands] == ["cc"]


def test_python_script_has_text_but_no_commands() -> None:
    """A script that is not for a shell is read for the variables in it, not for commands."""
    first = shell.read("/ci/generate.py", "D")
    *_, script = files_after("COPY ci /ci").scripts(first)
    assert (script.text, script.commands) == (TEXTS["ci/generate.py"], ())


def test_build_context_reads_its_directories_in_order(tmp_path: Path) -> None:
    """A build context reads a file from its first directory that has it, and no directory."""
    for name in ("first", "second"):
        (tmp_path / name / "sub").mkdir(parents=True)
    (tmp_path / "second" / "a").write_text("second")
    context = BuildContext(directories=(tmp_path / "first", tmp_path / "second"))
    assert context.read("a") == "second"
    (tmp_path / "first" / "a").write_text("first")
    assert context.read("a") == "first"
    assert context.read("sub") is None
    assert context.read("missing") is None
