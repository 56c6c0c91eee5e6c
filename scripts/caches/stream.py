"""Save the cache mounts to an archive, load them on another machine, and look into them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal
from rich.status import Status

from scripts.buildkit import cold, records
from scripts.caches import mounts, program, toolchain
from scripts.caches.archive import (
    LAYER,
    PROGRAM,
    Descriptor,
    Entry,
    Layout,
    digest_of,
    is_reference,
)
from scripts.caches.mounts import CacheMount, DeclaredMount
from scripts.caches.program import Message, Mount, Stream, StreamError
from scripts.caches.statistics import DEPCACHE
from scripts.caches.usage import last_usage
from scripts.core import git
from scripts.core.console import UserError, console, say
from scripts.core.paths import RECORDS
from scripts.dockerfile import parser, project
from scripts.images import platforms

if TYPE_CHECKING:
    from scripts.caches.transport import Remote

ON_REQUEST: Mapping[str, Collection[str]] = {
    "apt": ("/var/cache/apt", "/var/lib/apt"),
    "pip": ("/root/.cache/pip",),
}
"""The directories of the mounts that are only saved on request, by the name of the request."""
COMPILED = "/ccache"
"""The directory of the mount whose contents depend on the compiler."""
LEAVE_OUT: Mapping[str, Sequence[str]] = {
    "/cargo/registry": ("src",),
    "/go/pkg/mod": ("golang.org/toolchain@*", "cache/download/golang.org/toolchain"),
}
"""The paths that are not saved, by the directory of the mount: releases of Go, which are large and
only needed by a program whose go.mod names a newer one than Debian's, and unpacked crates."""
SHRUNK = 0.5
"""The share of the bytes of the previous archive below which a save is refused."""
_PROGRAM = "cache-stream"
IDENTITY = "docker/recipes/lib/identity.sh"
_SAVE, _LOAD = "cannot save the caches", "cannot load the caches"


def with_values(text: str) -> frozenset[str]:
    """Return the directories of `--with apt,pip`.

    Raises:
        UserError: a name is unknown.
    """
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in ON_REQUEST:
            raise UserError(_SAVE, f"--with has no `{name}`", f"Choose: {', '.join(ON_REQUEST)}.")
    return frozenset(directory for name in names for directory in ON_REQUEST[name])


def contract(
    declared: Iterable[DeclaredMount], architecture: str, namespace: str = ""
) -> list[Mount]:
    """Return the mounts that the Dockerfiles declare, for the architecture of a builder.

    Those for images of other architectures are the last.
    """
    declared = list(declared)
    found: dict[str, Mount] = {}
    targets = [architecture, *map(platforms.architecture, platforms.KNOWN)]
    for target in dict.fromkeys(targets):
        values = {"BUILDARCH": architecture, "TARGETARCH": target}
        for declaration in declared:
            name = parser.expanded(declaration.id, values)
            found.setdefault(name, Mount(declaration, name, namespace, target != architecture))
    return list(found.values())


@contextmanager
def _layout(place: str) -> Iterator[tuple[Layout, "Remote | None"]]:
    """Yield the layout of a place; for one in a registry a temporary layout, and the registry."""
    if not is_reference(place):
        yield Layout(Path(place).expanduser()), None
        return
    from scripts.caches.transport import Remote  # noqa: PLC0415 # oras-py takes a second to load

    RECORDS.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="caches-", dir=RECORDS) as directory:
        yield Layout(Path(directory, "layout"), place), Remote(place)


@contextmanager
def _progress(stream: Stream, verb: str, mount: Mount) -> Iterator[None]:
    """Show the progress of the program while it works on a mount."""
    with console.status(f"{verb} {mount.name}") as status:
        stream.progress = _shower(status, f"{verb} {mount.name}")
        yield


def _shower(status: Status, text: str) -> Any:  # noqa: ANN401 (a function)
    def show(message: Message) -> None:
        if message.event == "waiting":
            status.update(f"{text}: waiting for a step that uses it")
        elif message.files:
            status.update(f"{text}: {message.files} files, {decimal(message.bytes)}")

    return show


# --- save -----------------------------------------------------------------------


def save(
    place: str, *, also: Collection[str], unused: timedelta, force: bool, namespace: str
) -> list[Entry]:
    """Save the cache mounts of the contract, and return what the archive has.

    Args:
        place: a directory, or a reference in a registry.
        also: the directories of the mounts that are saved on request.
        unused: the age at which unused results of the compiler caches are evicted before.
        force: whether an empty or much smaller archive is saved nevertheless.
        namespace: the namespace of the mounts.

    Raises:
        UserError: the save is refused or failed; the previous archive is unchanged.
    """
    builder = program.builder()
    optional = {directory for group in ON_REQUEST.values() for directory in group} - set(also)
    present = [mount for mount in mounts.existing() if mount.namespace == namespace]
    builds = records.records()
    chosen: list[tuple[Mount, CacheMount]] = []
    for mount in contract(
        mounts.declared(project.of_repository()), builder.architecture, namespace
    ):
        if mount.declaration.mount.target in optional:
            continue
        found = next((other for other in present if other.id == mount.id), None)
        if found:
            chosen.append((mount, found))
        elif not mount.is_foreign:
            say(f"{mount.name}: no build has created it")
    refuse_failed([existing for _, existing in chosen], builds)
    with _layout(place) as (layout, remote):
        before = layout.entries() if not remote else _previous(remote, layout)
        refuse_missing(before, [mount.id for mount, _ in chosen], force=force)
        compiler: dict[str, str] = {}
        if any(mount.declaration.mount.target == COMPILED for mount, _ in chosen):
            compiler = evict([mount for mount, _ in chosen], unused, namespace)
        stream = Stream(program.find(builder.architecture, layout), builder)
        entries, layers = [], []
        for mount, existing in chosen:
            part = layout.part()
            request = {
                "verb": "save",
                "leave_out": list(LEAVE_OUT.get(mount.declaration.mount.target, ())),
            }
            try:
                with _progress(stream, "saving", mount):
                    message = stream.run(mount, request, part)
                usage = last_usage(existing, builds)
                hits = usage.savings.hits if usage else {}
                depends = mount.declaration.mount.target == COMPILED
                entry = Entry(
                    id=mount.id,
                    namespace=namespace,
                    architecture=builder.architecture,
                    files=message.files,
                    bytes=message.bytes,
                    archive_bytes=message.archive,
                    digest=f"sha256:{message.digest}",
                    compiler=compiler if depends else {},
                    hit_rates={
                        name: round(count.hits / count.total, 4)
                        for name, count in hits.items()
                        if count.total
                    },
                    commit=git.revision(),
                )
                refuse_shrunk(entry, before, force=force)
                descriptor = layout.add(part, LAYER, entry.digest).titled(_title(mount.id))
            except StreamError as error:
                raise UserError(
                    f"cannot save {mount.name}", str(error), "The previous archive is unchanged."
                ) from error
            finally:
                part.unlink(missing_ok=True)
            entries.append(entry)
            layers.append(descriptor)
        if digest_of(stream.program) == program.pinned(builder.architecture):
            layers.append(_program_blob(layout, stream.program))
        layout.commit(entries, layers)
        if remote:
            with console.status(f"pushing {place}"):
                remote.push(layout)
    return entries


def _program_blob(layout: Layout, path: Path) -> Descriptor:
    return layout.add_bytes(path.read_bytes(), PROGRAM).titled(_PROGRAM)


def _title(identifier: str) -> str:
    return f"{identifier}.tar.zst"


def _previous(remote: "Remote", layout: Layout) -> list[Entry]:
    """Return what the archive in a registry has, without copying its layers."""
    with TemporaryDirectory(prefix="caches-", dir=RECORDS) as directory:
        known = Layout(Path(directory, "layout"), layout.name)
        return known.entries() if remote.pull(known, only=()) else []


def refuse_failed(chosen: Iterable[CacheMount], builds: Sequence[records.BuildRecord]) -> None:
    """Check that the last build which used each mount succeeded.

    Raises:
        UserError: it failed, so that the mount may have results of broken code.
    """
    for mount in chosen:
        usage = last_usage(mount, builds)
        if usage and usage.outcome == "failed":
            raise UserError(
                f"cannot save {mount.name}",
                f"the last build that used it, at {usage.build}, failed",
                "Build again, and save the caches after a build that succeeds.",
            )


def refuse_missing(before: Iterable[Entry], chosen: Collection[str], *, force: bool) -> None:
    """Check that there is something to save, and that no mount of the previous archive is missing.

    Raises:
        UserError: a mount is missing, and `force` is not set.
    """
    if not chosen:
        raise UserError(_SAVE, "the builder has none of them", "Build an image first.")
    for entry in before:
        if entry.id not in chosen and not force:
            raise UserError(
                _SAVE,
                f"the previous archive has {entry.id}, which would be lost",
                "Build the images that use it, add --with, or pass --force.",
            )


def refuse_shrunk(entry: Entry, before: Iterable[Entry], *, force: bool) -> None:
    """Check that a mount is neither empty nor much smaller than in the previous archive.

    Raises:
        UserError: it is, and `force` is not set.
    """
    if force:
        return
    if not entry.files:
        raise UserError(
            f"cannot save {entry.id}", "the mount has no files", "Build first, or pass --force."
        )
    last = next((other for other in before if other.id == entry.id), None)
    if last and entry.bytes < SHRUNK * last.bytes:
        raise UserError(
            f"cannot save {entry.id}",
            f"it has {decimal(entry.bytes)}, and the previous archive {decimal(last.bytes)}",
            "Check that the builds used this builder and namespace, or pass --force.",
        )


def eviction(chosen: Iterable[Mount], unused: timedelta) -> str:
    """Return a Dockerfile that evicts unused results and exports the identity of the compiler."""
    age = f"{int(unused.total_seconds())}s"
    steps = []
    for mount in chosen:
        options = mount.declaration.options.replace(mount.declaration.id, mount.id)
        if mount.declaration.mount.target == COMPILED:
            steps.append(
                f"USER {mount.declaration.mount.get('uid') or 0}\n"
                f"RUN --mount={options} "
                f"--mount=type=bind,source={DEPCACHE},target=/run/cache/depcache.py "
                f"ccache --evict-older-than {age} "
                f"&& /run/cache/depcache.py --evict-older-than {age} && echo $STAMP"
            )
    return identity(steps)


def identity(steps: Iterable[str] = ()) -> str:
    """Return a Dockerfile that exports what decides whether results of a cache are hits."""
    mount = f"--mount=type=bind,source={IDENTITY},target=/run/recipes/identity.sh"
    out = "/tmp/identity"  # noqa: S108 - inside the step
    lines = [
        "FROM toolchain AS identity",
        f"RUN {mount} mkdir -p {out} && /run/recipes/identity.sh >{out}/compiler",
        "ARG TARGETARCH STAMP",
        *steps,
        "FROM scratch",
        f"COPY --from=identity {out}/ /identity/\n",
    ]
    return "\n".join(lines)


def evict(chosen: Iterable[Mount], unused: timedelta, namespace: str) -> dict[str, str]:
    """Evict unused results from the compiler caches, and return the identity of the compiler.

    Raises:
        UserError: the stage `toolchain` cannot be built, or a cache cannot be read.
    """
    with console.status("evicting unused results"):
        return read_identity(
            toolchain.run("evict unused results", eviction(chosen, unused), namespace)
        )


def read_identity(exported: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return the digests by name in the output of docker/recipes/lib/identity.sh."""
    lines = exported.get("identity", {}).get("compiler", "").splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


# --- load -----------------------------------------------------------------------


def load(place: str, *, ids: Collection[str] = (), replace: bool, namespace: str) -> list[Entry]:
    """Load the cache mounts of an archive, and return what was loaded.

    If the archive is refused, the next build says in its closing table why it began cold.

    Args:
        place: a directory, or a reference in a registry.
        ids: the ids of the mounts to load; all if it is empty.
        replace: whether mounts that are not empty are replaced.
        namespace: the namespace of the mounts, whatever namespace they were saved from.

    Raises:
        UserError: the archive is refused, or a load failed. If it is refused because of the
            compiler, the other mounts are loaded; otherwise, no mount has changed.
    """
    try:
        entries = _load(place, ids, replace=replace, namespace=namespace)
    except UserError as error:
        cold.write(namespace, f"{error.what}: {error.why}")
        raise
    cold.take(namespace)
    return entries


def _load(place: str, ids: Collection[str], *, replace: bool, namespace: str) -> list[Entry]:
    builder = program.builder()
    declared = {
        mount.id: mount
        for mount in contract(
            mounts.declared(project.of_repository()), builder.architecture, namespace
        )
    }
    with _layout(place) as (layout, remote):
        if remote:
            with console.status(f"pulling {place}"):
                remote.pull(layout, only=[*map(_title, ids), _PROGRAM] if ids else None)
        entries = layout.entries()
        if not entries:
            raise UserError(
                _LOAD, f"{place} has no archive", f"Save one: `nox -s cache -- save {place}`."
            )
        entries = choose(entries, ids)
        refuse_others(entries, declared, builder.architecture)
        check_layers(layout, entries)
        stream = Stream(program.find(builder.architecture, layout), builder)
        if not replace:
            for entry in entries:
                refuse_full(stream, declared[entry.id])
        # The stage `toolchain` is built after the mounts that its steps fill are loaded: on a new
        # machine, these compile the syntax frontend and download packages.
        dependent = [entry for entry in entries if entry.compiler]
        for entry in entries:
            if entry not in dependent:
                _load_one(stream, declared[entry.id], entry, layout, replace=replace)
        if dependent:
            refuse_other_compiler(dependent, current_identity())
        for entry in dependent:
            _load_one(stream, declared[entry.id], entry, layout, replace=replace)
    return entries


def choose(entries: Sequence[Entry], ids: Collection[str]) -> list[Entry]:
    """Return the entries with these ids, or all of them if there are none.

    Raises:
        UserError: the archive does not have one of them.
    """
    present = [entry.id for entry in entries]
    for name in ids:
        if name not in present:
            raise UserError(_LOAD, f"the archive has no `{name}`", f"Choose: {', '.join(present)}.")
    return [entry for entry in entries if not ids or entry.id in ids]


def current_identity() -> dict[str, str]:
    """Return the identity of the compiler in the stage `toolchain`.

    Raises:
        UserError: the stage cannot be built.
    """
    with console.status("reading the compiler's identity"):
        return read_identity(toolchain.run("read the compiler's identity", identity(), ""))


def refuse_others(
    entries: Iterable[Entry], declared: Mapping[str, Mount], architecture: str
) -> None:
    """Check that all mounts of an archive are in the contract, for the architecture.

    Raises:
        UserError: one is not.
    """
    for entry in entries:
        if entry.architecture != architecture:
            raise UserError(
                _LOAD,
                f"{entry.id} was saved for {entry.architecture}, and the builder's is "
                f"{architecture}",
                "Use an archive for this architecture.",
            )
        if entry.id not in declared:
            raise UserError(
                _LOAD,
                f"no Dockerfile declares a cache mount with the id `{entry.id}`",
                "Save the caches again with this commit.",
            )


def check_layers(layout: Layout, entries: Iterable[Entry]) -> None:
    """Check that all archives are complete and have their digests.

    Raises:
        UserError: one is missing, truncated or damaged.
    """
    for entry in entries:
        layout.check(Descriptor(LAYER, entry.digest, entry.archive_bytes))


def refuse_other_compiler(entries: Iterable[Entry], current: Mapping[str, str]) -> None:
    """Check that the results of the compiler caches are of this project's compiler.

    Raises:
        UserError: they are not, so that none would be a hit.
    """
    for entry in entries:
        if entry.compiler and entry.compiler != current:
            names = sorted(
                name
                for name in {*entry.compiler, *current}
                if entry.compiler.get(name) != current.get(name)
            )
            raise UserError(
                _LOAD,
                f"{entry.id} has the results of another compiler: {', '.join(names)}",
                "Build without it, and save the caches again.",
            )


def refuse_full(stream: Stream, mount: Mount) -> None:
    """Check that a mount is empty.

    Raises:
        UserError: it has files, or cannot be read.
    """
    try:
        with _progress(stream, "checking", mount):
            files = stream.run(mount, {"verb": "probe"}).files
    except StreamError as error:
        raise _failed(mount, error) from error
    if files:
        raise _full(mount)


def _full(mount: Mount) -> UserError:
    return UserError(
        f"cannot load {mount.name}",
        "the mount is not empty, and two histories are never merged",
        "Pass --replace to empty it first, or `nox -s cache -- prune --id` it.",
    )


def _failed(mount: Mount, error: StreamError) -> UserError:
    return UserError(
        f"cannot load {mount.name}", str(error), "Nothing of the archive is in the mount."
    )


def _load_one(stream: Stream, mount: Mount, entry: Entry, layout: Layout, *, replace: bool) -> None:
    request = {
        "verb": "load",
        "replace": replace,
        "expected": {
            "files": entry.files,
            "bytes": entry.bytes,
            "digest": entry.digest.removeprefix("sha256:"),
        },
    }
    try:
        with _progress(stream, "loading", mount):
            stream.run(mount, request, layout.path(entry.digest))
    except StreamError as error:
        raise (_full(mount) if error.reason == "not-empty" else _failed(mount, error)) from error


# --- look inside ------------------------------------------------------------------


def opened(name: str, namespace: str) -> tuple[Stream, Mount]:
    """Return a mount that exists, and the program to look into it.

    Args:
        name: the id, which may be after its namespace.
        namespace: the namespace if the name has none.

    Raises:
        UserError: the builder has no such mount of this project.
    """
    builder = program.builder()
    before, slash, identifier = name.rpartition("/")
    namespace = before if slash else namespace
    known = contract(mounts.declared(project.of_repository()), builder.architecture, namespace)
    present = [mount for mount in mounts.existing() if mount.belongs_to_project]
    found = next((mount for mount in known if mount.id == identifier), None)
    # A mount that does not exist would be created.
    if not found or not any((m.namespace, m.id) == (namespace, identifier) for m in present):
        raise UserError(
            f"cannot look into {name}",
            "the builder has no such cache mount of this project",
            f"Choose: {', '.join(mount.name for mount in present) or 'it has none'}.",
        )
    return Stream(program.find(builder.architecture), builder), found


def look(verb: str, name: str, path: str, namespace: str) -> list[dict[str, Any]]:
    """Return the files in a directory of a mount for `ls`, or their sizes for `du`.

    Raises:
        UserError: the builder has no such mount, or the mount no such path.
    """
    stream, mount = opened(name, namespace)
    try:
        return stream.lines(mount, {"verb": verb, "path": path})
    except StreamError as error:
        raise _unreadable(mount, error) from error


def cat(name: str, path: str, namespace: str) -> None:
    """Write a file of a mount to standard output.

    Raises:
        UserError: the builder has no such mount, or the mount no such file.
    """
    stream, mount = opened(name, namespace)
    try:
        stream.copy(mount, {"verb": "cat", "path": path})
    except StreamError as error:
        raise _unreadable(mount, error) from error


def _unreadable(mount: Mount, error: StreamError) -> UserError:
    return UserError(
        f"cannot look into {mount.name}",
        str(error),
        f"`nox -s cache -- ls {mount.name}` lists its files.",
    )
