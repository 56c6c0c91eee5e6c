"""This machine: whether an engine can be installed and started on it."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATE = Path("/var/lib/vmaf-images")
"""The directory of the logs of apt and of the daemon, and of the daemon's configuration."""


@dataclass(frozen=True)
class Host:
    """The properties of a machine that `nox -s engine` checks before it installs an engine."""

    system: str
    """The result of `platform.system()`: `Linux`."""
    root: bool
    """Whether this program runs as root."""
    release: Mapping[str, str]
    """The fields of os-release."""
    systemd: bool
    """Whether systemd runs the services."""

    @property
    def uses_apt(self) -> bool:
        """Whether the system is Debian or derived from it."""
        return "debian" in [self.release.get("ID"), *self.release.get("ID_LIKE", "").split()]


def probe() -> Host:
    """Return the properties of this machine."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    system = platform.system()
    return Host(
        system=system,
        root=system == "Linux" and os.geteuid() == 0,
        release=release,
        systemd=Path("/run/systemd/system").is_dir(),
    )
