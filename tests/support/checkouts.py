"""Run git in the checkouts that tests create."""

from pathlib import Path

from scripts.core import process

COMMIT_TIME = "1795000000"
"""The committer date of each commit, in seconds since 1970."""


def run_git(checkout: Path, *arguments: str) -> str:
    """Run git in a checkout and return its output; fail the test if git fails."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    env = {**process.environment(), "GIT_COMMITTER_DATE": f"{COMMIT_TIME} +0000"}
    done = process.run("git", *identity, *arguments, cwd=checkout, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
