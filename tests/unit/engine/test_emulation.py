"""How an emulator is installed, registered and removed."""

import json
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.console import UserError
from scripts.engine import debian, emulation
from scripts.engine.host import Host

DEBIAN = Host("Linux", root=True, release={"ID": "debian"}, systemd=False)


class Machine:
    """A machine whose commands are recorded, and whose kernel's register is a directory."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the programs and files that the module uses."""
        self.commands: list[str] = []
        self.register = directory / "binfmt_misc"
        self.installed: set[str] = set()
        self.works = True
        monkeypatch.setattr(emulation, "REGISTER", self.register)
        monkeypatch.setattr(emulation, "STATE", directory)
        monkeypatch.setattr(emulation, "STATE_FILE", directory / "emulation.json")
        monkeypatch.setattr(debian, "install", lambda names, _host: self.installed.update(names))
        monkeypatch.setattr(debian, "purge", self.installed.difference_update)
        monkeypatch.setattr(process, "run", self.run)
        monkeypatch.setattr(process, "output", self.output)

    def run(self, *command: str) -> process.CompletedProcess[str]:
        """Mount the register, or change it."""
        self.commands.append(" ".join(command))
        match command:
            case ("mount", *_):
                self.register.mkdir()
                (self.register / "register").touch()
            case ("update-binfmts", "--enable", name) if self.works:
                (self.register / name).touch()
            case ("update-binfmts", "--disable", name):
                (self.register / name).unlink()
        return process.CompletedProcess(command, 0, "", "")

    def output(self, *command: str) -> str:
        """Return the state of a package."""
        return "installed" if command[-1] in self.installed else ""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine without an emulator."""
    return Machine(tmp_path, monkeypatch)


def test_emulator_is_installed_and_removed(machine: Machine) -> None:
    """What `install` installed, mounted and registered, `remove` takes back."""
    emulation.install("arm64", DEBIAN)
    assert emulation.is_registered("arm64")
    assert machine.installed == set(emulation.PACKAGES)
    emulation.remove()
    assert not emulation.is_registered("arm64")
    assert machine.installed == set()
    assert machine.commands[-1] == f"umount {machine.register}"
    machine.commands.clear()
    emulation.remove()
    assert machine.commands == []


def test_what_was_there_before_stays(machine: Machine) -> None:
    """Packages and a mount that the machine had before are not removed, also after two runs."""
    machine.installed.add("qemu-user-static")
    machine.run("mount")
    emulation.install("arm64", DEBIAN)
    emulation.install("arm64", DEBIAN)
    recorded = json.loads(emulation.STATE_FILE.read_text())
    assert recorded == {"mounted": False, "packages": ["arch-test", "binfmt-support"]}
    emulation.remove()
    assert machine.installed == {"qemu-user-static"}
    assert not any(command.startswith("umount") for command in machine.commands)


def test_emulator_that_is_not_registered_is_an_error(machine: Machine) -> None:
    """If the kernel has no emulator after the installation, the build ends."""
    machine.works = False
    with pytest.raises(UserError, match="registered nothing"):
        emulation.install("arm64", DEBIAN)


@pytest.mark.parametrize(
    "host",
    [
        Host("Linux", root=False, release={"ID": "debian"}, systemd=False),
        Host("Linux", root=True, release={"ID": "fedora"}, systemd=False),
        Host("Darwin", root=False, release={}, systemd=False),
    ],
)
def test_other_machines_are_told_what_to_do(machine: Machine, host: Host) -> None:
    """Without root or apt nothing is changed, and the message has a command that helps."""
    with pytest.raises(UserError) as caught:
        emulation.install("arm64", host)
    assert "binfmt --install arm64" in caught.value.todo
    assert machine.commands == []
