"""Tests of `nox -s gpu-check`, with a substitute of the docker client."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from scripts.cli import gpu_check
from scripts.cli.__main__ import main
from scripts.core import process
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import catalogue
from tests.support.bakefile import PRINTED

REPORT = '{"failures": []}\n'


class Docker:
    """A docker client that runs nothing."""

    def __init__(self, code: int = 0, stdout: str = "", stderr: str = "") -> None:
        """Take the result of `docker run`."""
        self.result = (code, stdout, stderr)
        self.commands: list[tuple[str, ...]] = []

    def __call__(self, *command: str, **_: object) -> process.CompletedProcess[str]:
        """Note a command; `docker cp` copies a program."""
        self.commands.append(command)
        if command[1] == "cp":
            (Path(command[3]) / "bin").mkdir(parents=True)
            (Path(command[3]) / "bin" / "vmaf").write_text("program")
        return process.CompletedProcess(command, *(self.result if command[1] == "run" else (0, "")))

    def start(self, *command: str) -> process.Popen[bytes]:
        """Note a command, and start a program that prints the result."""
        self.commands.append(command)
        code, *printed = self.result
        script = 'printf %s "$1"; printf %s "$2" >&2; exit "$3"'
        return subprocess.Popen(
            ["sh", "-c", script, "sh", *printed, str(code)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide an engine, the images of a bake file, and a place for the report."""
    monkeypatch.setattr(catalogue, "images", lambda: catalogue.read(PRINTED))
    monkeypatch.setattr(client, "require", lambda: None)
    monkeypatch.setattr(gpu_check, "REPORT", tmp_path / "build" / "report.json")
    return tmp_path


def test_report_is_stored_and_printed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is on stdout and in a file, and a difference gives the exit status 1."""
    docker = Docker(1, REPORT, "warning of docker\ngpu-check: FAILED: x\n")
    monkeypatch.setattr(process, "start_reading", docker.start)
    assert main(["gpu_check", "cpu"]) == 1
    printed = capsys.readouterr()
    assert printed.out == REPORT
    assert "\ngpu-check: FAILED: x\n" in printed.err
    assert gpu_check.REPORT.read_text() == REPORT
    assert gpu_check.REPORT.is_relative_to(checkout)
    assert docker.commands == [
        ("docker", "run", "--rm", "--gpus=all", "--entrypoint=gpu-check", "vmaf:cpu")
    ]


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(
    ("stderr", "advice"),
    [
        ("docker: could not select device driver", "nox -s gpu-check -- --pack FILE"),
        ('exec: "gpu-check": executable file not found', "Name an image with CUDA"),
    ],
    ids=["no toolkit", "no gpu-check"],
)
def test_engine_that_cannot_run_the_check_is_an_error(
    monkeypatch: pytest.MonkeyPatch, stderr: str, advice: str
) -> None:
    """Without NVIDIA's container toolkit, or without gpu-check, the error gives the next step."""
    monkeypatch.setattr(process, "start_reading", Docker(125, "", stderr).start)
    with pytest.raises(UserError, match=advice) as error:
        main(["gpu_check", "cpu"])
    assert error.value.why == stderr


def test_archive_names_no_user(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--pack writes the image's programs to an archive of root's, and removes the container."""
    docker = Docker()
    monkeypatch.setattr(process, "run", docker)
    archive = checkout / "new" / "check.tar.xz"
    assert main(["gpu_check", "cpu", "--pack", str(archive)]) == 0
    with tarfile.open(archive) as files:
        member = files.getmember("gpu-check/bin/vmaf")
    assert (member.uid, member.uname) == (0, "root")
    assert docker.commands[-1][:3] == ("docker", "rm", "--force")
    assert list(archive.parent.iterdir()) == [archive]


def test_image_that_cannot_be_packed_is_an_error(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image without CUDA is refused, its container is removed, and no archive is written."""
    docker = Docker(1, "", "cp: cannot stat ''")
    monkeypatch.setattr(process, "run", docker)
    with pytest.raises(UserError, match=r"cannot pack vmaf:cpu(.|\n)*cannot stat(.|\n)*cuda12"):
        main(["gpu_check", "cpu", "--pack", str(checkout / "check.tar.xz")])
    assert docker.commands[-1][1] == "rm"
    assert not list(checkout.glob("*.xz*"))


@pytest.mark.usefixtures("checkout")
def test_several_images_are_refused() -> None:
    """Two images at once are refused."""
    with pytest.raises(UserError, match="Name one image"):
        main(["gpu_check", "cpu", "other:1"])
