"""Read the statistics that programs store in the cache mounts, in the stage `toolchain`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.caches import toolchain
from scripts.caches.mounts import DeclaredMount, declared
from scripts.core.console import console
from scripts.dockerfile import project

DEPCACHE = "docker/compiler-cache/src/depcache.py"
_MOUNTED = "/run/cache/depcache.py"
_COUNT = (
    "find /sccache -type f -printf '%s\\n' | "
    "awk '{ files++; bytes += $1 } END { printf \"%d files, %d bytes\\n\", files, bytes }'"
)  # a server of sccache forgets its statistics when it ends
_NUMBERS = 'capture("(?<files>[0-9]+) files, (?<bytes>[0-9]+) bytes") | map_values(tonumber)'


@dataclass(frozen=True)
class Command:
    """The commands that print the statistics of a program, as text and as JSON."""

    text: str
    json: str


COMMANDS: Mapping[str, Mapping[str, Command]] = {
    "/ccache": {
        "ccache": Command("ccache --show-stats -vv", "ccache --print-stats --format=json"),
        "depcache": Command(f"{_MOUNTED} --stats", f"{_MOUNTED} --stats | jq -R '{_NUMBERS}'"),
    },
    "/sccache": {"sccache": Command(_COUNT, f"{_COUNT} | jq -R '{_NUMBERS}'")},
}
"""The programs with statistics, by the directory of the mount and by name."""


def dockerfile(mounts: Iterable[DeclaredMount], *, as_json: bool) -> str:
    """Return a Dockerfile that writes the statistics of each mount to `/ID/PROGRAM`.

    The steps mount each cache with the options that the Dockerfiles declare, because BuildKit
    creates a new, empty cache for other options.
    """
    steps = []
    depcache = f"--mount=type=bind,source={DEPCACHE},target={_MOUNTED}"
    for declaration in mounts:
        mount = declaration.mount
        for program, command in COMMANDS.get(mount.target, {}).items():
            directory = f"/tmp/statistics/{declaration.id}"  # noqa: S108 - inside the step
            steps.append(
                f"USER {mount.get('uid') or 0}\n"
                f"RUN --mount={declaration.options} {depcache} mkdir -p {directory} "
                f"&& {command.json if as_json else command.text} > {directory}/{program}"
            )
    # STAMP differs in each build, so that no step is cached.
    head = ["FROM toolchain AS statistics", "ARG TARGETARCH STAMP"]
    copy = "COPY --from=statistics /tmp/statistics/ /\n"
    return "\n".join([*head, *steps, "FROM scratch", copy])


def read(namespace: str, *, as_json: bool) -> dict[str, dict[str, str]]:
    """Return the statistics by mount and program.

    Raises:
        UserError: no engine answers, or the stage `toolchain` cannot be built.
    """
    text = dockerfile(declared(project.of_repository()), as_json=as_json)
    with console.status("reading statistics"):
        return toolchain.run("read the statistics of the caches", text, namespace)
