"""Emulate the processors of other architectures, so that steps of their images run on this machine.

The kernel starts qemu for programs of another architecture, also in containers, if it is registered
in binfmt_misc with the flag F. Debian's packages do that. `nox -s engine -- --remove-emulation`
undoes what `install` did.
"""

import json
from pathlib import Path

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.engine import debian
from scripts.engine.host import STATE, Host

PACKAGES = ("qemu-user-static", "binfmt-support", "arch-test")
"""qemu, its registration, and the program by which mmdebstrap checks it."""
REGISTER = Path("/proc/sys/fs/binfmt_misc")
STATE_FILE = STATE / "emulation.json"
"""What `install` changed: the packages that it installed, and whether it mounted binfmt_misc."""
_QEMU = {"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}


def is_registered(architecture: str) -> bool:
    """Return whether the kernel starts an emulator for an architecture, such as `arm64`."""
    name = _QEMU.get(architecture, "")
    return bool(name) and (REGISTER / name).exists()


def install(architecture: str, host: Host) -> None:
    """Install and register the emulator for an architecture, such as `arm64`.

    Raises:
        UserError: this is not a Debian machine or not root, or a step failed.
    """
    if not (host.root and host.uses_apt):
        raise UserError(
            f"cannot run programs for {architecture} here",
            "the kernel has no emulator for them, and to install one needs root on Debian",
            f"Run `docker run --privileged --rm tonistiigi/binfmt --install {architecture}`, "
            "or choose a builder with such a node by `--builder`.",
        )
    say(f"emulation: programs for {architecture} will run by qemu on this machine")
    missing = [name for name in PACKAGES if not _is_installed(name)]
    mounted = not (REGISTER / "register").exists()
    _remember(missing, mounted=mounted)
    if missing:
        debian.install(missing, host)
    if mounted:
        _run("mount", "-t", "binfmt_misc", "binfmt_misc", str(REGISTER))
    if not is_registered(architecture):
        _run("update-binfmts", "--enable", _QEMU[architecture])
    if not is_registered(architecture):
        raise UserError(
            f"cannot run programs for {architecture} here",
            f"`update-binfmts --enable {_QEMU[architecture]}` registered nothing",
            "`update-binfmts --display` shows what is registered.",
        )
    say("emulation: `nox -s engine -- --remove-emulation` removes it")


def remove() -> None:
    """Remove what `install` installed and registered.

    Raises:
        UserError: a step failed.
    """
    if not STATE_FILE.exists():
        say("nothing to remove: no emulator was installed here")
        return
    state = json.loads(STATE_FILE.read_text())
    for name in _QEMU.values():
        if (REGISTER / name).exists():
            _run("update-binfmts", "--disable", name)
    if state["packages"]:
        debian.purge(state["packages"])
    if state["mounted"]:
        _run("umount", str(REGISTER))
    STATE_FILE.unlink()
    say("emulation: removed")


def _remember(packages: list[str], *, mounted: bool) -> None:
    """Add to the record of what `install` changes, before it changes it."""
    before = json.loads(STATE_FILE.read_text()) if STATE_FILE.exists() else {}
    STATE.mkdir(parents=True, exist_ok=True)
    changed = {
        "packages": sorted({*before.get("packages", []), *packages}),
        "mounted": before.get("mounted", False) or mounted,
    }
    STATE_FILE.write_text(json.dumps(changed) + "\n")


def _is_installed(package: str) -> bool:
    status = process.output("dpkg-query", "--show", "--showformat=${db:Status-Status}", package)
    return status == "installed"


def _run(*command: str) -> None:
    """Run a program.

    Raises:
        UserError: it failed.
    """
    done = process.run(*command)
    if done.returncode:
        raise UserError(
            "cannot change the emulation of other architectures",
            f"`{' '.join(command)}`: {done.stderr.strip()[-500:]}",
            "docs/platforms.md describes what is needed.",
        )
