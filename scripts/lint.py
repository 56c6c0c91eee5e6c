"""Check what is not Python: shell scripts with shellcheck, Dockerfiles with hadolint."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.console import UserError, say, start
from scripts.paths import ROOT


def tracked(*patterns: str) -> list[Path]:
    """Return the files git knows, or would add, that match; paths relative to the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def dockerfiles() -> list[Path]:
    """Return every Dockerfile of the tree, whether the bake file names it or not."""
    return tracked("*Dockerfile*", "*Containerfile*")


def main(_words: Sequence[str]) -> int:
    """Run both tools over all their files; 1 where either has something to say.

    Raises:
        UserError: a tool finds no file, so that an empty list cannot pass.
    """
    code = 0
    checks = {
        "shellcheck": (
            ["--external-sources", "--source-path=SCRIPTDIR"],
            tracked("*.sh", ".ci/run"),
        ),
        "hadolint": ([], dockerfiles()),
    }
    for tool, (options, files) in checks.items():
        if not files:
            raise UserError(
                f"{tool} has nothing to check", "git lists no such file", "Run it here."
            )
        say(f"{tool}: {len(files)} files")
        done = subprocess.run([tool, *options, *map(str, files)], cwd=ROOT, check=False)
        code |= done.returncode
    return min(code, 1)


if __name__ == "__main__":
    start(main)
