"""The closing tables of the recorded builds as Markdown, for the page of a workflow's run."""

import re
from collections.abc import Iterator, Sequence

from rich.filesize import decimal

from scripts.buildkit.records import BuildRecord
from scripts.report.causes import stage_causes
from scripts.report.formatting import duration, percent
from scripts.report.series import build_hit_rate
from scripts.report.summary import NOT_LOADED, TEXT_COLUMNS, stage_rows


def render(builds: Sequence[BuildRecord], *, not_loaded: str = "") -> str:
    """Return the outcome, hit rate, sizes, warnings and stages of each build.

    Args:
        builds: the builds, oldest first.
        not_loaded: why an archive of the caches was refused, if no build succeeded since then.
    """
    lines = [line for build in builds for line in _build(build, builds)]
    if not builds:
        lines += ["No image was built.", ""]
    if not_loaded:
        lines += [*_warning(f"the caches were not loaded: {not_loaded}"), ""]
    return "\n".join(lines) + "\n"


def _build(build: BuildRecord, builds: Sequence[BuildRecord]) -> Iterator[str]:
    yield f"### {' '.join(build.targets)}: {build.outcome} in {duration(build.seconds)}"
    yield ""
    hits, total = build.lookups
    if (rate := build_hit_rate(build)) is not None:
        yield f"- compiler caches: {hits} of {total} lookups were hits, {percent(rate)}"
    for tag, size in build.sizes.items():
        yield f"- `{tag}`: {decimal(size)}"
    yield ""
    warnings = [f"{NOT_LOADED}: {build.not_loaded}"] if build.not_loaded else []
    for warning in (*warnings, *build.warnings):
        yield from _warning(warning)
        yield ""
    headings, *rows = stage_rows(build, stage_causes(build, builds))
    if rows:
        yield _row(headings)
        yield _row(["---" if heading in TEXT_COLUMNS else "--:" for heading in headings])
        yield from (_row([_text(cell) for cell in row]) for row in rows)
        yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _warning(text: str) -> Iterator[str]:
    """Yield the lines of an alert of GitHub's Markdown."""
    yield "> [!WARNING]"
    yield from (f"> {_text(line)}" for line in text.splitlines())


def _text(text: str) -> str:
    """Escape what would be markup in a cell: the text may quote a log or a file's name."""
    escaped = re.sub(r"([\\`*_\[\]|#@])", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
