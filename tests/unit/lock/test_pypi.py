"""Reading pip's reports."""

from typing import Any

import pytest

from scripts.core import process
from scripts.core.console import UserError
from scripts.lock import pypi
from scripts.lock.sources_lock import File
from tests.unit.lock.samples import NEW, A, B

FILES = [
    File("oneapi/dpcpp-cpp-rt", "2026.2.0", A, "pypi", "dpcpp-cpp-rt"),
    File("oneapi/intel-opencl-rt", "2026.2.0", A, "pypi", "intel-opencl-rt"),
    File("oneapi/tbb", "2023.2.0", B, "pypi", "tbb"),
]


def report(*wheels: tuple[str, str, str], platform: str = "manylinux_2_28_x86_64") -> Any:  # noqa: ANN401
    """Return pip's report of wheels: name, version, digest."""
    return {
        "version": "1",
        "install": [
            {
                "download_info": {
                    "url": f"https://files.example.org/{name}-{version}-py3-none-{platform}.whl",
                    "archive_info": {"hashes": {"sha256": sha256} if sha256 else {}},
                },
                "metadata": {"name": name, "version": version},
            }
            for name, version, sha256 in wheels
        ],
    }


CURRENT = [
    ("dpcpp-cpp-rt", "2026.2.0", A),
    ("intel_opencl.rt", "2026.3.0", NEW),
    ("tbb", "2023.2.0", B),
    ("intel-openmp", "2026.2.0", NEW),
]


def test_wheels_are_read_with_their_digests() -> None:
    """The wheels of the lock are offered, by any spelling of their names; others are left out."""
    offered = pypi.read(FILES, report(*CURRENT), report(*CURRENT[:2]))
    versions = {name: (offer.version, offer.sha256) for name, offer in offered.files.items()}
    assert versions == {
        "oneapi/dpcpp-cpp-rt": ("2026.2.0", A),
        "oneapi/intel-opencl-rt": ("2026.3.0", NEW),
        "oneapi/tbb": ("2023.2.0", B),
    }
    assert (offered.gone, offered.notes) == ("", ())


def test_new_dependency_and_new_release_are_told() -> None:
    """A dependency that the lock lacks is named, and a newer major version."""
    wheels = [*CURRENT, ("intel-new", "1.0", NEW)]
    offered = pypi.read(FILES, report(*wheels), report(("dpcpp-cpp-rt", "2027.0.0", NEW)))
    assert offered.notes == (
        "intel-new 1.0 is a new dependency, which the lock does not have",
        "dpcpp-cpp-rt 2027.0.0 is a new release, which needs a part of its own",
    )
    assert len(offered.files) == 3


def test_dependency_that_is_no_longer_needed_is_told() -> None:
    """A locked wheel that no package needs any more is a problem of the part."""
    offered = pypi.read(FILES, report(*CURRENT[:2]), report())
    assert offered.gone == "no package of oneapi needs tbb any more"


def test_wheel_for_another_machine_is_refused() -> None:
    """On another machine, pip offers other wheels, which must not get into the lock."""
    with pytest.raises(UserError, match=r"offers tbb-2023.2.0-py3-none-macosx_11_arm64.whl"):
        pypi.read(FILES, report(CURRENT[2], platform="macosx_11_arm64"), report())
    assert pypi.read(FILES, report(CURRENT[2], platform="any"), report()).files


def test_wheel_without_a_digest_is_refused() -> None:
    """An index without digests cannot be used."""
    with pytest.raises(UserError, match=r"the package index has no SHA-256 of tbb-2023.2.0"):
        pypi.read(FILES, report(("tbb", "2023.2.0", "")), report())


def test_pip_is_asked_for_the_requested_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requested packages keep their major version; the other versions are their choice."""
    commands: list[tuple[str, ...]] = []

    def run(*command: str) -> process.CompletedProcess[str]:
        commands.append(command)
        return process.CompletedProcess(command, 0, '{"install": []}', "")

    monkeypatch.setattr(process, "run", run)
    pypi.ask(FILES)
    pypi.ask([File("cuda13/nvidia-nvvm", "13.5.37", A, "pypi", "nvidia-nvvm")])
    asked = [[part for part in command if part[0] not in "-/"] for command in commands]
    assert [words[-2:] for words in asked] == [
        ["dpcpp-cpp-rt==2026.*", "intel-opencl-rt==2026.*"],
        ["dpcpp-cpp-rt", "intel-opencl-rt"],
        ["install", "nvidia-nvvm==13.*"],
        ["install", "nvidia-nvvm"],
    ]
    assert ["--no-deps" in command for command in commands] == [False, True, False, True]


def test_failure_of_pip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """If pip fails, no wheel is offered, and the last line that it prints is the reason."""
    failed = process.CompletedProcess((), 1, "", "WARNING: x\nERROR: No matching distribution\n")
    monkeypatch.setattr(process, "run", lambda *_: failed)
    offered = pypi.ask(FILES)
    assert not offered.files
    assert offered.gone == "pip finds no wheels of oneapi: ERROR: No matching distribution"
