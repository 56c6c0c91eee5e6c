"""The user interface of vmaf-images: `nox -l` lists what it can do.

Options go after `--` and are the same for every session: `nox -s build-cpu -- --help`.
"""

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "unit"]

PYPROJECT = nox.project.load_toml("pyproject.toml")


def _run(session: nox.Session, group: str, module: str, *words: str) -> None:
    """Install a dependency group and run a module of scripts/ with the user's options."""
    session.install(*nox.project.dependency_groups(PYPROJECT, group))
    session.run("python", "-m", f"scripts.{module}", *words, *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    """Find a Docker Engine with BuildKit, or install and start one (--status, --stop)."""
    _run(session, "build", "engine")


@nox.session
def unit(session: nox.Session) -> None:
    """Test the helpers without Docker, in seconds."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check Python (ruff, mypy --strict), shell (shellcheck) and Dockerfiles (hadolint)."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
