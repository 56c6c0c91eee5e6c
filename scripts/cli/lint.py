"""Check what is not Python: shell scripts with shellcheck, Dockerfiles with hadolint."""

import subprocess
from argparse import Namespace

from scripts.core import git
from scripts.core.console import UserError, say
from scripts.core.paths import ROOT


def run(_options: Namespace) -> int:
    """Run both tools over all their files; 1 where either has something to say.

    Raises:
        UserError: a tool finds no file, so that an empty list cannot pass.
    """
    code = 0
    checks = {
        "shellcheck": (
            ["--external-sources", "--source-path=SCRIPTDIR"],
            git.tracked("*.sh", ".ci/run"),
        ),
        "hadolint": ([], git.dockerfiles()),
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
