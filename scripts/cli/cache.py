"""`nox -s cache`: show, look into, prune, measure, save or load the cache mounts."""

import json
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import msgspec
from rich.filesize import decimal
from rich.table import Table

from scripts.buildkit import records
from scripts.caches import mounts, statistics, stream
from scripts.caches.archive import Entry
from scripts.caches.usage import Row, rows
from scripts.core.console import UserError, console, say
from scripts.dockerfile import project


def show(table: Sequence[Row]) -> None:
    """Print the table on stdout."""
    out = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("id", "directory", "for", "size", "last use", "hits", "saved"):
        right = heading in {"size", "hits", "saved"}
        out.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in table:
        rates, saved = (row.usage.rates, row.usage.saved) if row.usage else ("-", "-")
        size, last_used = "-", "not created yet"
        if row.mount:
            size = ("" if row.mount.measured else "~") + decimal(row.mount.size)
            last_used = row.mount.last_used
        out.add_row(row.name, row.directory, row.purpose, size, last_used, rates, saved)
    stdout = type(console)(highlight=False, width=console.width)
    stdout.print(out)
    sizes = [row.mount.size for row in table if row.mount]
    say(f"{len(sizes)} cache mounts, {decimal(sum(sizes))}")
    if any(row.mount and not row.mount.measured for row in table):
        say("~: BuildKit's last count; run this as root on the engine's host to measure the size")


def _show(options: Namespace) -> None:
    declared = mounts.declared(project.of_repository())
    table = rows(mounts.existing(), declared, records.records())
    if options.format == "json":
        print(json.dumps([asdict(row) for row in table], indent=2))
    else:
        show(table)


def _prune(options: Namespace) -> None:
    if options.id:
        name = f"{options.namespace}/{options.id}" if options.namespace else options.id
        removed = mounts.prune_id(name)
        if options.format == "json":
            print(json.dumps([asdict(mount) for mount in removed], indent=2))
        say(f"{name} pruned, {decimal(sum(mount.size for mount in removed))} freed")
        return
    removed, remaining = mounts.prune(mounts.read_age(options.older_than))
    if options.format == "json":
        print(json.dumps([asdict(mount) for mount in removed], indent=2))
    for mount in removed:
        say(f"{mount.name}: {decimal(mount.size)}, last used {mount.last_used}")
    freed = decimal(sum(mount.size for mount in removed))
    say(f"{len(removed)} of {len(removed) + len(remaining)} cache mounts pruned, {freed} freed")


def _stats(options: Namespace) -> None:
    as_json = options.format == "json"
    printed = statistics.read(options.namespace or "", as_json=as_json)
    if as_json:
        document = {
            mount: {program: json.loads(text) for program, text in programs.items()}
            for mount, programs in printed.items()
        }
        print(json.dumps(document, indent=2))
        return
    for mount, programs in printed.items():
        for program, text in programs.items():
            print(f"{mount}: {program}\n{text}")


def _operands(options: Namespace, *names: str, optional: str = "") -> list[str]:
    """Return the operands of an action; an optional one is empty if it is missing.

    Raises:
        UserError: there are more or fewer.
    """
    operands: list[str] = options.operands
    usage = " ".join([options.action, *names, *([f"[{optional}]"] if optional else [])])
    if not len(names) <= len(operands) <= len(names) + bool(optional):
        raise UserError(
            f"cannot {options.action}",
            f"{len(operands)} operands are given",
            f"Run `nox -s cache -- {usage}`.",
        )
    return [*operands, *([""] if optional and len(operands) == len(names) else [])]


def _print_entries(entries: Sequence[Entry], options: Namespace) -> None:
    if options.format == "json":
        print(json.dumps([msgspec.to_builtins(entry) for entry in entries], indent=2))
    for entry in entries:
        rates = "".join(f", {name} {rate:.0%}" for name, rate in entry.hit_rates.items())
        say(
            f"{entry.id}: {entry.files} files, {decimal(entry.bytes)}, "
            f"{decimal(entry.archive_bytes)} in the archive{rates.replace('%', ' %')}"
        )


def _save(options: Namespace) -> None:
    (place,) = _operands(options, "DIR|REF")
    entries = stream.save(
        place,
        also=stream.with_values(options.also),
        unused=mounts.read_age(options.unused, "save DIR", "--unused"),
        force=options.force,
        namespace=options.namespace or "",
    )
    _print_entries(entries, options)
    say(f"saved {len(entries)} cache mounts to {place}")


def _load(options: Namespace) -> None:
    (place,) = _operands(options, "DIR|REF")
    entries = stream.load(
        place,
        ids=[name for name in (options.id or "").split(",") if name],
        replace=options.replace,
        namespace=options.namespace or "",
    )
    _print_entries(entries, options)
    say(f"loaded {len(entries)} cache mounts from {place}")


def _ls(options: Namespace) -> None:
    name, path = _operands(options, "ID", optional="PATH")
    found = stream.look("ls", name, path, options.namespace or "")
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    for file in found:
        owner = f"{file['uid']}:{file['gid']}"
        link = f" -> {file['link']}" if "link" in file else ""
        time = f"{file['time'][:19]}Z"
        print(f"{file['mode']} {owner:>9} {file['bytes']:>12} {time} {file['name']}{link}")


def _du(options: Namespace) -> None:
    name, path = _operands(options, "ID", optional="PATH")
    found = stream.look("du", name, path, options.namespace or "")
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    total = {key: sum(line[key] for line in found) for key in ("files", "bytes")}
    for line in [*sorted(found, key=lambda line: -line["bytes"]), {**total, "name": "total"}]:
        print(f"{line['bytes']:>14} {line['files']:>8} {line['name']}")


def _cat(options: Namespace) -> None:
    name, path = _operands(options, "ID", "PATH")
    stream.cat(name, path, options.namespace or "")


ACTIONS: Mapping[str, Callable[[Namespace], None]] = {
    "": _show,
    "prune": _prune,
    "stats": _stats,
    "save": _save,
    "load": _load,
    "ls": _ls,
    "du": _du,
    "cat": _cat,
}


def run(options: Namespace) -> int:
    """Run the action; print the table of the mounts by default.

    Raises:
        UserError: no engine answers, or the action failed.
    """
    if options.operands and options.action in {None, "prune", "stats"}:
        _operands(options)
    ACTIONS[options.action or ""](options)
    return 0
