"""Start and stop a Docker daemon, and configure its garbage collection.

A daemon is started only if no engine answers. No other daemon is ever stopped.
`nox -s engine` uses this module; docs/engine.md documents it.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from scripts.core import process
from scripts.core.console import UserError, console, say
from scripts.core.paths import ROOT
from scripts.engine import client, debian
from scripts.engine.client import NEEDS, Engine, NoEngineError
from scripts.engine.host import STATE, Host

PID_FILE = STATE / "dockerd.pid"
CONFIG = STATE / "dockerd.json"
LOG = STATE / "dockerd.log"

COLLECTION_POLICY = ROOT / "docker" / "daemon.json"
"""The garbage collection policy, also for the user's own engine; the limit is a placeholder."""
HOST_CONFIG = Path("/etc/docker/daemon.json")
HOST_DATA_ROOT = Path("/var/lib/docker")
HOST_PID_FILE = Path("/run/docker.pid")
CONTAINERD_PID_FILE = Path("/run/docker/containerd/containerd.pid")
PROC = Path("/proc")

TIMEOUT_SECONDS = 60
"""The time limit for a daemon to answer after its start, and to end."""
GIB = 2**30


# Start


def provide(no_answer: NoEngineError, host: Host, data_root: Path | None) -> Engine:
    """Install the missing packages of an engine and start it.

    Args:
        no_answer: the error with which `client.query` failed.
        host: this machine.
        data_root: the directory for the data of the daemon; None for the host's setting.

    Raises:
        UserError: an engine cannot be installed or started here.
    """
    check_startable(host, client.endpoint(), no_answer)
    packages = debian.missing_packages(
        process.output("dockerd", "--version"),
        process.output("docker", "--version"),
        process.output("docker", "buildx", "version"),
    )
    if packages:
        debian.install(packages, host)
    if host.systemd and data_root is None and process.output("systemctl", "cat", "docker.service"):
        return start_service()
    return start(data_root)


def check_startable(host: Host, endpoint: str, no_answer: NoEngineError) -> None:
    """Check that a daemon can be started here, at the address that the client uses.

    Raises:
        UserError: no daemon can be started; the message contains what to install or change.
    """
    why = no_answer.why
    if "permission denied" in why:
        raise no_answer
    if endpoint not in client.DEFAULT_SOCKETS:
        raise UserError(
            "no Docker Engine answers",
            f"{why} (the docker client uses {endpoint})",
            "Start the engine there. Or unset DOCKER_HOST, run `docker context use default`,"
            " and then `nox -s engine`, which starts an engine here.",
        )
    if host.system == "Linux" and host.root:
        return
    if host.system != "Linux":
        todo = "Install and start Docker Desktop, or any Docker Engine in a virtual machine."
    elif host.uses_apt:
        todo = "Run `nox -s engine` as root: it installs and starts docker.io with docker-buildx."
    else:
        todo = "Install your distribution's Docker Engine and buildx, and start the service."
    raise UserError("no Docker Engine answers", why, f"{todo} Needed: {NEEDS}.")


def check_data_root(engine: Engine, requested: Path | None) -> None:
    """Check that the data of the engine is in the directory of --data-root.

    Raises:
        UserError: the data is in another directory, or on another machine.
    """
    if requested is None or (engine.local and Path(engine.data_root).resolve() == requested):
        return
    stop_it = "Run `nox -s engine -- --stop` first, or leave out --data-root."
    leave_it = "Stop it the way it was started, or leave out --data-root."
    raise UserError(
        f"cannot use --data-root {requested}",
        f"an engine already answers, with its data in {engine.data_root}"
        + ("" if engine.local else " on another machine"),
        stop_it if was_started_here(engine) else f"It was not started here. {leave_it}",
    )


def start_service() -> Engine:
    """Start the system's docker service with the system's configuration.

    Raises:
        UserError: the service does not start.
    """
    say("starting the docker service with systemd")
    hint = "`journalctl -u docker` shows the reason."
    done = process.run("systemctl", "start", "docker")
    if done.returncode:
        raise UserError("the docker service does not start", done.stderr.strip(), hint)
    return _wait_for_answer(lambda: True, lambda: hint)


def start(data_root: Path | None) -> Engine:
    """Start dockerd, detached from the terminal.

    Raises:
        UserError: the daemon ended or does not answer; the message contains the end of its log.
    """
    for pid in (daemon_pid(), read_pid(HOST_PID_FILE, "dockerd")):
        if pid is not None:
            say(f"waiting for dockerd (pid {pid}), which runs and does not answer yet")
            return _wait_for_answer(
                (PROC / str(pid)).exists, lambda: "See its log, or end that process."
            )
    STATE.mkdir(parents=True, exist_ok=True)
    if CONTAINERD_PID_FILE.exists() and read_pid(CONTAINERD_PID_FILE, "containerd") is None:
        # dockerd would wait for the process that has this pid now, as if it were containerd.
        say(f"removing {CONTAINERD_PID_FILE}: its process has ended")
        CONTAINERD_PID_FILE.unlink()
    PID_FILE.unlink(missing_ok=True)  # no daemon uses it, but dockerd would refuse to start
    host_config = read_config(HOST_CONFIG)
    root = data_root or Path(host_config.get("data-root", HOST_DATA_ROOT))
    config = daemon_config(host_config, root, cache_limit(*disk_usage(root)))
    CONFIG.write_text(json.dumps(config, indent=2) + "\n")
    say(f"starting dockerd, data in {root}, log in {LOG}")
    daemon = process.start_daemon(
        *("dockerd", "--config-file", str(CONFIG), "--pidfile", str(PID_FILE)),
        log=LOG,
        # By default BuildKit truncates the output of a step, which may remove its measurements.
        env=process.environment()
        | {"BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "-1"},
    )
    return _wait_for_answer(lambda: daemon.poll() is None, _end_of_log)


def _wait_for_answer(is_running: Callable[[], bool], hint: Callable[[], str]) -> Engine:
    """Return the engine as soon as it answers.

    Args:
        is_running: returns whether the process of the daemon still runs.
        hint: returns the end of the error message.

    Raises:
        UserError: the process ended, or the engine does not answer within `TIMEOUT_SECONDS`.
    """
    attempts = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, NoEngineError) and is_running()),
        wait=wait_fixed(0.5),
        stop=stop_after_delay(TIMEOUT_SECONDS),
        reraise=True,
    )
    try:
        with console.status("waiting for the engine"):
            return attempts(client.query)
    except NoEngineError as no_answer:
        if not is_running():
            raise UserError("dockerd ended", "it could not start", hint()) from None
        raise UserError(
            "dockerd does not answer",
            f"{no_answer.why}, after {TIMEOUT_SECONDS} seconds",
            f"{hint()}\nIt still runs: run this again to continue waiting.",
        ) from None


# Stop


def stop() -> None:
    """Stop the daemon that `nox -s engine` started; other engines are not affected.

    Raises:
        UserError: the daemon belongs to root, or does not end.
    """
    pid = daemon_pid()
    if pid is None:
        say("nothing to stop: no daemon that was started here runs")
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise UserError(
            "cannot stop dockerd", f"process {pid} belongs to root", "Run this as root."
        ) from error
    attempts = Retrying(
        retry=retry_if_result(lambda running: running == pid),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(TIMEOUT_SECONDS),
    )
    try:
        with console.status(f"dockerd (pid {pid}) stops its containers"):
            attempts(daemon_pid)
    except RetryError:
        raise UserError(
            "dockerd does not end",
            f"process {pid} still runs after {TIMEOUT_SECONDS} seconds",
            _end_of_log(),
        ) from None
    say(f"dockerd (pid {pid}) has stopped; its data remains")


# Which daemon runs


def read_pid(pid_file: Path, name: str, *arguments: str) -> int | None:
    """Return the pid in a file if that process has this name and these arguments.

    A pid file may remain after its process has ended, and another process may have the pid then.
    """
    try:
        pid = int(pid_file.read_text())
        running = PROC / str(pid)
        command = (running / "cmdline").read_bytes().decode(errors="replace").split("\0")
        has_name = (running / "comm").read_text().strip() == name
    except (OSError, ValueError):
        return None
    return pid if has_name and set(arguments) <= set(command) else None


def daemon_pid() -> int | None:
    """Return the pid of the daemon that `nox -s engine` started, if it runs."""
    return read_pid(PID_FILE, "dockerd", str(PID_FILE))


def was_started_here(engine: Engine) -> bool:
    """Return whether an engine is the daemon that `nox -s engine` started."""
    if not engine.local or daemon_pid() is None:
        return False
    data_root = read_config(CONFIG).get("data-root", "")
    return Path(data_root).resolve() == Path(engine.data_root).resolve()


def origin(engine: Engine) -> str:
    """Return a description of how an engine was started."""
    if was_started_here(engine):
        return f"started by `nox -s engine` (pid {daemon_pid()})"
    if engine.local and process.output("systemctl", "is-active", "docker.service"):
        return "started by systemd"
    return "not started here"


def status() -> str:
    """Describe the engine that answers.

    Raises:
        NoEngineError: no engine answers.
    """
    engine = client.query()
    free = client.free_bytes(engine)
    space = "on another machine" if free is None else f"{free // GIB} GiB free"
    return f"{engine}\n{client.endpoint()}, {origin(engine)}, {space}"


# Configuration


def read_config(path: Path) -> dict[str, Any]:
    """Return the configuration file of a daemon, empty if it is absent.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot read {path}", str(error), "Correct it, or move it away."
        ) from error
    return content


def daemon_config(host: Mapping[str, Any], data_root: Path, limit: int) -> dict[str, Any]:
    """Return the configuration of the daemon that `nox -s engine` starts.

    It is the host's daemon.json with another data root, and with the project's collection
    policy unless the host has a policy. The host's `pidfile` is left out, because dockerd does
    not accept it together with the flag.
    """
    settings = {name: value for name, value in host.items() if name != "pidfile"}
    builder = {"gc": collection_policy(limit), **host.get("builder", {})}
    return {**settings, "data-root": str(data_root), "builder": builder}


def collection_policy(limit: int) -> dict[str, Any]:
    """Return the rules of docker/daemon.json with a limit in GiB.

    By default an engine removes every cache mount that was not used for two days once all of
    them exceed about 512 MB, so that the first build after a weekend is cold. These rules
    remove nothing below the limit. Above it they first remove layers, which are rebuilt quickly
    from warm cache mounts, and then everything else.
    """
    collection: dict[str, Any] = read_config(COLLECTION_POLICY)["builder"]["gc"]
    limits = ("keepStorage", "maxUsedSpace")  # for older and for newer engines
    rules = [{**rule, **dict.fromkeys(limits, f"{limit}GB")} for rule in collection["policy"]]
    return {**collection, "policy": rules}


def cache_limit(free: int, used: int) -> int:
    """Return the limit of the build cache in GiB.

    It is two thirds of the space for the engine's data, because collection only runs after a
    build, which may exceed the limit. It is at most 100, which is enough for all images.

    Args:
        free: the free bytes on the disk.
        used: the bytes that the engine's data has on the disk already.
    """
    return max(1, min(100, (free + used) * 2 // 3 // GIB))


def disk_usage(data_root: Path) -> tuple[int, int]:
    """Return the free bytes on the disk of a directory, and the bytes that it uses."""
    existing = next(path for path in [data_root, *data_root.parents] if path.exists())
    used = process.output(
        "du", "--summarize", "--one-file-system", "--block-size=1", str(data_root)
    )
    return shutil.disk_usage(existing).free, int(used.split()[0]) if used else 0


def hint_at_collection(engine: Engine) -> None:
    """Print a hint if a local engine removes unused cache mounts by default."""
    if not engine.local or was_started_here(engine):
        return
    try:
        builder = read_config(HOST_CONFIG).get("builder", {})
    except UserError:
        return
    if "gc" not in builder:
        say(
            "hint: by default an engine removes cache mounts that were not used for two days:"
            " see docs/engine.md"
        )


def _end_of_log() -> str:
    return process.last_lines(LOG, ignoring=["level=info"])
