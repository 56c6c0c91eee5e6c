"""The Docker Engine that builds: find one, or install and start one.

`nox -s engine` runs this; the other modules call `require`. Whatever engine the
docker client reaches (DOCKER_HOST, its contexts) is used as it is. Only where none
answers is one started here, and only that one is ever stopped. docs/engine.md is
the page for its users.
"""

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core import process
from scripts.core.console import UserError, console, say
from scripts.core.paths import ROOT

MINIMUM_ENGINE = (23, 0)
"""The first engine whose default builder is BuildKit with named contexts; tested: 26.1."""
MINIMUM_BUILDX = (0, 13)
"""The first buildx with `--progress=rawjson`, from which the timings are read."""
MINIMUM_COMPOSE = (2, 20)
"""Taken where the plugin is missing; tested: 2.26."""
NEEDS = "Docker Engine {}.{} and buildx {}.{} or newer".format(*MINIMUM_ENGINE, *MINIMUM_BUILDX)

STATE = Path("/var/lib/vmaf-images")
"""Where the daemon started here has its pid file, configuration and log."""
PID_FILE = STATE / "dockerd.pid"
CONFIG = STATE / "dockerd.json"
DAEMON_LOG = STATE / "dockerd.log"
APT_LOG = STATE / "apt.log"

POLICY = ROOT / "docker" / "daemon.json"
"""What an engine of one's own is given as well, with a limit to be chosen."""
HOST_CONFIG = Path("/etc/docker/daemon.json")
HOST_DATA_ROOT = Path("/var/lib/docker")
HOST_PID_FILE = Path("/run/docker.pid")
CONTAINERD_PID_FILE = Path("/run/docker/containerd/containerd.pid")
HOST_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
PROC = Path("/proc")

SUITE = "trixie"
"""The Debian suite whose docker.io is fetched where the host's own is too old."""
VERSIONED = {
    "docker.io": MINIMUM_ENGINE,
    "docker-cli": MINIMUM_ENGINE,
    "docker-buildx": MINIMUM_BUILDX,
    "docker-compose": MINIMUM_COMPOSE,
}
"""The packages that may come from `SUITE`; all others are the host's own."""
COMPANIONS = ("ca-certificates", "git", "mmdebstrap")
"""Installed with the engine: to pull, to fetch git contexts, to bootstrap base images."""

PATIENCE = 60
"""Seconds that a daemon may take to answer, or to end."""
GIB = 2**30


@dataclass(frozen=True)
class Engine:
    """The engine that answers the docker client."""

    version: str
    buildx: str
    """The version of the client's buildx plugin; empty where it has none."""
    data_root: str
    """A path on the engine's machine, which need not be this one."""
    driver: str
    """Its storage driver: `overlay2`."""
    local: bool
    """Whether it runs on this machine and in this container, so that `data_root` is ours."""

    def __str__(self) -> str:
        """Describe it in one line, with what matters in a bug report."""
        buildx = f"buildx {self.buildx}" if self.buildx else "no buildx"
        return f"Docker Engine {self.version}, {buildx}, {self.driver}, data in {self.data_root}"


class NoEngineError(UserError):
    """No engine answers the docker client."""


@dataclass(frozen=True)
class Host:
    """What decides whether an engine can be installed and started here."""

    system: str
    """As `platform.system()` has it: `Linux`."""
    root: bool
    release: Mapping[str, str]
    """The fields of os-release."""
    systemd: bool

    @property
    def debian(self) -> bool:
        """Whether apt is its package manager."""
        return "debian" in [self.release.get("ID"), *self.release.get("ID_LIKE", "").split()]


# What other modules use


def require() -> Engine:
    """Return the engine that answers.

    Raises:
        UserError: none answers, it is too old, or the client lacks buildx.
    """
    engine = ask()
    check(engine)
    return engine


def has_image(tag: str) -> bool:
    """Return whether the engine has an image of this tag."""
    return process.run("docker", "image", "inspect", tag).returncode == 0


def free_bytes(engine: Engine) -> int | None:
    """Return what is free where the engine keeps its data; None if that is another machine."""
    try:
        return shutil.disk_usage(engine.data_root).free if engine.local else None
    except OSError:
        return None


# Decisions: no Docker, no root, nothing but their arguments


def number(version: str) -> tuple[int, int]:
    """Return the first `major.minor` in a version, or (0, 0): `v0.13.1+ds1` is (0, 13)."""
    found = re.search(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def read_info(info: Mapping[str, Any], errors: str, node: str, kernel: str) -> Engine:
    """Turn `docker info` into an engine.

    Args:
        info: its JSON; empty if it printed none.
        errors: what it printed to stderr.
        node: this machine's name. With `kernel` it tells a local engine from one
            elsewhere; a socket alone does not, it may be that of a virtual machine
            or of the host of this container.
        kernel: this machine's kernel release.

    Raises:
        NoEngineError: nothing answered.
    """
    if not info.get("ServerVersion"):
        # Clients put the reason into the JSON up to version 27, on stderr from 28.
        why = "\n".join([*(info.get("ServerErrors") or []), errors]).strip()
        raise no_engine(why.splitlines()[0] if why else "the docker client found none")
    plugins: Iterable[Mapping[str, str]] = info.get("ClientInfo", {}).get("Plugins") or []
    return Engine(
        version=info["ServerVersion"],
        buildx=next((p.get("Version", "") for p in plugins if p["Name"] == "buildx"), ""),
        data_root=info["DockerRootDir"],
        driver=info["Driver"],
        local=(info["Name"], info["KernelVersion"]) == (node, kernel),
    )


def no_engine(why: str) -> NoEngineError:
    """Say that nothing answers, and what helps."""
    if "permission denied" in why:
        todo = "Run as root, or join the group `docker` and log in again."
    else:
        todo = f"Run `nox -s engine`, which starts one where it can. Needed: {NEEDS}."
    return NoEngineError("no Docker Engine answers", why, todo)


def check(engine: Engine) -> None:
    """See that the engine and the client's buildx are recent enough.

    Raises:
        UserError: they are not.
    """
    if number(engine.version) < MINIMUM_ENGINE:
        raise UserError(
            "the Docker Engine is too old",
            f"version {engine.version} answers, and its builder lacks named contexts",
            f"Upgrade it, or point DOCKER_HOST at another. Needed: {NEEDS}.",
        )
    if not engine.buildx:
        raise UserError(
            "cannot build",
            "the docker client has no buildx plugin",
            "Install it (docker-buildx on Debian and Ubuntu, docker-buildx-plugin from Docker's"
            f" own archive). Needed: {NEEDS}.",
        )
    if number(engine.buildx) < MINIMUM_BUILDX:
        raise UserError(
            "buildx is too old",
            f"the docker client uses version {engine.buildx}, which lacks --progress=rawjson",
            f"Upgrade it; one in ~/.docker/cli-plugins goes first. Needed: {NEEDS}.",
        )


def check_data_root(engine: Engine, wanted: Path | None, *, ours: bool) -> None:
    """See that the engine keeps its data where --data-root says, if it says so.

    Raises:
        UserError: the data is elsewhere, or on another machine.
    """
    if wanted is None or (engine.local and Path(engine.data_root).resolve() == wanted):
        return
    stop_it = "Run `nox -s engine -- --stop` first, or leave --data-root out."
    leave_it = "It was not started here: stop it the way it was started, or leave --data-root out."
    raise UserError(
        f"cannot use --data-root {wanted}",
        f"an engine already answers, with its data in {engine.data_root}"
        + ("" if engine.local else " on another machine"),
        stop_it if ours else leave_it,
    )


def check_startable(host: Host, endpoint: str, silence: NoEngineError) -> None:
    """See that a daemon can be started here, where the client would find it.

    Raises:
        UserError: it cannot; the message says what to install or change.
    """
    why = silence.why
    if "permission denied" in why:
        raise silence
    if endpoint not in HOST_SOCKETS:
        raise UserError(
            "no Docker Engine answers",
            f"{why} (the docker client looks at {endpoint})",
            "Start the engine there; or unset DOCKER_HOST and run `docker context use default`,"
            " and `nox -s engine` starts one here.",
        )
    if host.system == "Linux" and host.root:
        return
    if host.system != "Linux":
        todo = "Install and start Docker Desktop, or any Docker Engine in a virtual machine."
    elif host.debian:
        todo = "Run `nox -s engine` as root: it installs and starts docker.io with docker-buildx."
    else:
        todo = "Install your distribution's Docker Engine and buildx, and start the service."
    raise UserError("no Docker Engine answers", why, f"{todo} Needed: {NEEDS}.")


def missing(dockerd: str, client: str, buildx: str) -> list[str]:
    """Return the packages that an engine lacks, from the versions found (empty: absent).

    A newer docker.io has no client in it, so that its docker-cli always comes along. An old
    buildx is left for its owner: a second package with that file in it cannot be installed.
    """
    packages = []
    if number(dockerd) < MINIMUM_ENGINE:
        packages += ["docker.io", "docker-cli"]
    elif not client:
        packages += ["docker-cli"]
    if not buildx:
        packages += ["docker-buildx"]
    return packages


def read_candidates(policy: str) -> dict[str, str]:
    """Turn `apt-cache policy` into what apt would install, by package."""
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", policy, re.MULTILINE)
    return {name: version for name, version in found if version != "(none)"}


def suffices(packages: Iterable[str], candidates: Mapping[str, str]) -> bool:
    """Whether the host's own archive has these packages, new enough.

    Ubuntu has no docker-cli: the client is in its docker.io.
    """
    offered = {"docker-cli": candidates.get("docker.io", ""), **candidates}
    return all(number(offered.get(name, "")) >= VERSIONED[name] for name in packages)


INDEX_FORMAT = "$(REPO_URI)|$(CODENAME)|$(ORIGIN)|$(COMPONENT)|$(SOURCESENTRY)"
"""What `sources` reads of `apt-get indextargets`."""


def sources(targets: str, codename: str, texts: Mapping[str, str]) -> str:
    """Return the host's Debian archives at `SUITE`, as a .sources file.

    So a mirror and a key of the host's own stay in use, and no archive is named here.

    Args:
        targets: the lines of `apt-get indextargets` in `INDEX_FORMAT`.
        codename: the host's own suite.
        texts: the content of apt's source files, by path.
    """
    suites = {codename: SUITE, f"{codename}-security": f"{SUITE}-security"}
    stanzas: dict[str, None] = {}
    for line in targets.splitlines():
        uri, suite, origin, component, entry = line.split("|")
        if origin == "Debian" and component == "main" and suite in suites:
            key = signed_by(texts.get(entry.rpartition(":")[0], ""), uri)
            stanza = f"Types: deb\nURIs: {uri}\nSuites: {suites[suite]}\nComponents: main\n{key}"
            stanzas[stanza] = None
    return "\n".join(stanzas)


def signed_by(text: str, uri: str) -> str:
    """Return the Signed-By field of an archive in a source file of apt, or nothing.

    Reads both formats: a line of .list, and a stanza of .sources, where the field may
    hold a whole key.
    """
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", plain):
        for line in stanza.splitlines():
            option = re.search(r"\[.*?signed-by=([^\s\]]+).*?\]\s+(\S+)", line)
            if option and option[2].rstrip("/") == uri.rstrip("/"):
                return f"Signed-By: {option[1]}\n"
        uris = re.search(r"^URIs:(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        if uris and uri.rstrip("/") in [word.rstrip("/") for word in uris[1].split()]:
            field = re.search(r"^Signed-By:.*(?:\n[ \t].*)*", stanza, re.MULTILINE)
            return f"{field[0]}\n" if field else ""
    return ""


def changes_libc(simulated: str) -> bool:
    """Whether the output of `apt-get install --simulate` touches the C library."""
    return re.search(r"^(Inst|Remv) libc6[ :]", simulated, re.MULTILINE) is not None


def cache_limit(free: int, used: int) -> int:
    """Return how many GiB of build cache to keep on a disk with so many bytes free and used.

    Two thirds of what the engine can have, as collection only runs after a build, which
    may exceed the limit; and no more than 100, which is plenty for all images.
    """
    return max(1, min(100, (free + used) * 2 // 3 // GIB))


def collection(limit: int) -> dict[str, Any]:
    """Return the builder's collection policy for so many GiB: docker/daemon.json's rules.

    An engine's default drops every cache mount unused for two days once they exceed some
    512 MB, so that a Monday's build is a cold one. Here nothing goes before the limit is
    reached; then layers do, which warm cache mounts rebuild in little time, and only then
    all else.
    """
    rules: dict[str, Any] = config(POLICY)["builder"]["gc"]
    return {
        **rules,
        "policy": [{**rule, "keepStorage": f"{limit}GB"} for rule in rules["policy"]],
    }


def daemon_config(host: Mapping[str, Any], data_root: Path, limit: int) -> dict[str, Any]:
    """Return the host's daemon.json with our data root, and our policy unless it has one.

    A host's `pidfile` goes: ours is given as a flag, and dockerd refuses to have both.
    """
    builder = {"gc": collection(limit), **host.get("builder", {})}
    kept = {name: value for name, value in host.items() if name != "pidfile"}
    return {**kept, "data-root": str(data_root), "builder": builder}


# Probes: what is the case on this machine


def ask() -> Engine:
    """Return the engine that answers the docker client, whatever its version.

    Raises:
        NoEngineError: none does.
    """
    try:
        # Not `--format json`, which clients older than 23 take for the literal text.
        done = subprocess.run(
            ["docker", "info", "--format", "{{json .}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except FileNotFoundError:
        raise no_engine("the docker client is not installed") from None
    except subprocess.TimeoutExpired:
        raise no_engine("`docker info` took longer than 30 seconds") from None
    try:
        info = json.loads(done.stdout)
    except ValueError:
        info = {}
    return read_info(info, done.stderr, platform.node(), platform.release())


def probe_host() -> Host:
    """Look at the machine."""
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


def live(pid_file: Path, name: str, *words: str) -> int | None:
    """Return the pid in a file if it is a process so called, with these words to it.

    A pid file may outlive its process and a pid comes round again: on machines whose /run
    survives a reboot it soon names another program.
    """
    try:
        pid = int(pid_file.read_text())
        process = PROC / str(pid)
        command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        same = (process / "comm").read_text().strip() == name
    except (OSError, ValueError):
        return None
    return pid if same and all(word in command for word in words) else None


def our_pid() -> int | None:
    """Return the pid of the daemon started here, if it runs."""
    return live(PID_FILE, "dockerd", str(PID_FILE))


def is_ours(engine: Engine) -> bool:
    """Whether this engine is the daemon started here, and not a second one beside it."""
    if not engine.local or our_pid() is None:
        return False
    return Path(config(CONFIG).get("data-root", "")).resolve() == Path(engine.data_root).resolve()


def config(path: Path) -> dict[str, Any]:
    """Return a daemon's configuration file, empty if it is absent.

    Raises:
        UserError: it cannot be read.
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


def endpoint() -> str:
    """Return where the docker client looks for an engine."""
    shown = process.output(
        "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    ).strip()
    return shown or os.environ.get("DOCKER_HOST") or HOST_SOCKETS[0]


def disk(data_root: Path) -> tuple[int, int]:
    """Return the bytes free beside, and used in, a daemon's data folder, which need not exist."""
    there = next(path for path in [data_root, *data_root.parents] if path.exists())
    used = process.output(
        "du", "--summarize", "--one-file-system", "--block-size=1", str(data_root)
    )
    return shutil.disk_usage(there).free, int(used.split()[0]) if used else 0


# Actions


def apt(*words: str, options: Iterable[str] = (), cwd: Path | None = None) -> None:
    """Run apt-get, its output in a log.

    Raises:
        UserError: it failed; the message ends in the log's last lines.
    """
    options = ["DPkg::Lock::Timeout=300", "Dpkg::Use-Pty=0", *options]
    command = ["apt-get", "--quiet", "--assume-yes", *(f"--option={option}" for option in options)]
    with APT_LOG.open("ab") as log, console.status(f"apt-get {words[0]}"):
        log.write(f"\n$ apt-get {' '.join(words)}\n".encode())
        log.flush()
        done = subprocess.run(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            check=False,
            env={**process.environment(), "DEBIAN_FRONTEND": "noninteractive"},
        )
    if done.returncode:
        raise UserError(
            f"`apt-get {words[0]}` failed",
            f"it ended with code {done.returncode}",
            f"{process.last_lines(APT_LOG)}\nCorrect that, or install the engine yourself: {NEEDS}.",
        )


def install(packages: Sequence[str], host: Host) -> None:
    """Install packages of the engine, from the host's own archive or from `SUITE`.

    Raises:
        UserError: this is no Debian, or it is too old, or apt failed.
    """
    if not host.debian:
        raise UserError(
            "cannot install the engine",
            f"{', '.join(packages)} would be needed, and this is no Debian",
            f"Install your distribution's Docker Engine and buildx. Needed: {NEEDS}.",
        )
    STATE.mkdir(parents=True, exist_ok=True)
    names = [*packages, *(COMPANIONS if "docker.io" in packages else ())]
    say(f"installing {', '.join(names)}; apt's words are in {APT_LOG}")
    apt("update")
    candidates = read_candidates(process.output("apt-cache", "policy", *VERSIONED))
    flags = ("install", "--no-install-recommends", "--no-remove")
    if suffices(packages, candidates):
        apt(*flags, *(name for name in names if name in candidates or name not in VERSIONED))
        return
    if host.release.get("ID") != "debian":
        offered = ", ".join(f"{name} {version}" for name, version in candidates.items())
        raise UserError(
            "cannot install the engine",
            f"this distribution's own is too old ({offered or 'it has none'})",
            f"Install it from Docker's archive. Needed: {NEEDS}.",
        )
    with tempfile.TemporaryDirectory(prefix="vmaf-images-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt downloads as a user of its own
        fetch(packages, host, folder)
        files = [f"./{path.name}" for path in folder.glob("*.deb")]
        others = [name for name in names if name not in packages]
        simulated = subprocess.run(
            ["apt-get", "--simulate", *flags, *files, *others],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
            env=process.environment(),
        )
        if changes_libc(simulated.stdout):
            raise UserError(
                "cannot install the engine",
                f"{SUITE}'s packages would replace this system's C library",
                f"Upgrade the system, or install the engine yourself: {NEEDS}.",
            )
        apt(*flags, *files, *others, cwd=folder)


def fetch(packages: Sequence[str], host: Host, folder: Path) -> None:
    """Download packages of `SUITE`, by an apt whose sources and lists are its own.

    The host's apt never hears of the suite, so that nothing else is upgraded to it.

    Raises:
        UserError: the host has no source of Debian, or apt failed.
    """
    say(f"the host's own packages are too old or absent: taking {SUITE}'s")
    targets = process.output(
        "apt-get", "indextargets", "--format", INDEX_FORMAT, "Created-By: Packages"
    )
    entries = {line.split("|")[4].rpartition(":")[0] for line in targets.splitlines()}
    texts = {entry: Path(entry).read_text() for entry in entries}
    listing = sources(targets, host.release.get("VERSION_CODENAME", ""), texts)
    if not listing:
        raise UserError(
            "cannot install the engine",
            "apt has no source of Debian itself",
            f"Add the one of your release to apt's sources, or install the engine: {NEEDS}.",
        )
    (folder / "suite.sources").write_text(listing)
    for needed in ("lists", "cache/archives"):
        (folder / needed / "partial").mkdir(parents=True)
    own = [
        f"Dir::Etc::SourceList={folder}/suite.sources",
        "Dir::Etc::SourceParts=/dev/null",
        "Dir::Etc::Preferences=/dev/null",
        "Dir::Etc::PreferencesParts=/dev/null",
        "APT::Default-Release=",
        f"Dir::State::Lists={folder}/lists",
        f"Dir::Cache={folder}/cache",
    ]
    apt("update", options=own)
    apt("download", *packages, options=own, cwd=folder)


def provide(silence: NoEngineError, host: Host, data_root: Path | None) -> Engine:
    """Install what an engine lacks and start it.

    Raises:
        UserError: that cannot be done here, or failed.
    """
    check_startable(host, endpoint(), silence)
    packages = missing(
        process.output("dockerd", "--version"),
        process.output("docker", "--version"),
        process.output("docker", "buildx", "version"),
    )
    if packages:
        install(packages, host)
    if host.systemd and data_root is None and process.output("systemctl", "cat", "docker.service"):
        return start_service()
    return start_daemon(data_root)


def provide_compose(host: Host) -> None:
    """Install the client's compose plugin where it is missing, on Debian and for root.

    The workbench is run with it and nothing is built with it, so that where it cannot be
    had the engine is no worse.
    """
    if (
        not host.root
        or host.release.get("ID") != "debian"
        or process.output("docker", "compose", "version")
    ):
        return
    try:
        install(["docker-compose"], host)
    except UserError as error:
        say(f"hint: no compose plugin, which dev/compose.yaml takes: {error.why}")


def start_service() -> Engine:
    """Start the system's own docker service, configured as the system has it.

    Raises:
        UserError: it does not start.
    """
    say("starting the docker service by systemd")
    hint = "`journalctl -u docker` says why."
    done = subprocess.run(
        ["systemctl", "start", "docker"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError("the docker service does not start", done.stderr.strip(), hint)
    return wait(lambda: True, lambda: hint)


def start_daemon(data_root: Path | None) -> Engine:
    """Start dockerd by hand, detached from this program.

    Raises:
        UserError: it ended or does not answer; the message shows its log.
    """
    for pid in (our_pid(), live(HOST_PID_FILE, "dockerd")):
        if pid is not None:
            say(f"dockerd runs already (pid {pid}) and does not answer yet: waiting")
            return wait((PROC / str(pid)).exists, lambda: "See its log, or end that process.")
    STATE.mkdir(parents=True, exist_ok=True)
    if CONTAINERD_PID_FILE.exists() and live(CONTAINERD_PID_FILE, "containerd") is None:
        # dockerd would take whatever process has that pid now for its containerd, and wait.
        say(f"removing {CONTAINERD_PID_FILE}, left by a process that is gone")
        CONTAINERD_PID_FILE.unlink()
    PID_FILE.unlink(missing_ok=True)  # not our daemon's, as seen above; dockerd would give up
    host = config(HOST_CONFIG)
    root = data_root or Path(host.get("data-root", HOST_DATA_ROOT))
    settings = daemon_config(host, root, cache_limit(*disk(root)))
    CONFIG.write_text(json.dumps(settings, indent=2) + "\n")
    say(f"starting dockerd, data in {root}, log in {DAEMON_LOG}")
    with DAEMON_LOG.open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", "--config-file", str(CONFIG), "--pidfile", str(PID_FILE)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # BuildKit clips a step's output, which could lose the figures at its end.
            env=process.environment()
            | {"BUILDKIT_STEP_LOG_MAX_SIZE": "-1", "BUILDKIT_STEP_LOG_MAX_SPEED": "-1"},
        )
    return wait(
        lambda: daemon.poll() is None,
        lambda: process.last_lines(DAEMON_LOG, ignoring=["level=info"]),
    )


def wait(alive: Callable[[], bool], hint: Callable[[], str]) -> Engine:
    """Return the engine once it answers.

    Raises:
        UserError: it is not alive any more, or takes too long; the message ends in the hint.
    """
    begin = time.monotonic()
    with console.status("waiting for the engine"):
        while True:
            try:
                return ask()
            except NoEngineError as silence:
                waited = time.monotonic() - begin
                if not alive():
                    raise UserError("dockerd ended", "it could not start", hint()) from None
                if waited > PATIENCE:
                    raise UserError(
                        "dockerd does not answer",
                        f"{silence.why}, after {waited:.0f} seconds",
                        f"{hint()}\nIt is left to itself: run this again to wait on.",
                    ) from None
            time.sleep(0.5)


def stop() -> None:
    """End the daemon started here, and no other.

    Raises:
        UserError: it belongs to root, or does not end.
    """
    pid = our_pid()
    if pid is None:
        say("no daemon started here runs: nothing to stop")
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise UserError(
            "cannot stop dockerd", f"process {pid} is root's", "Run this as root."
        ) from error
    begin = time.monotonic()
    with console.status(f"dockerd (pid {pid}) stops its containers"):
        while our_pid() == pid:
            if time.monotonic() - begin > PATIENCE:
                raise UserError(
                    "dockerd does not end",
                    f"process {pid} still runs after {PATIENCE} seconds",
                    process.last_lines(DAEMON_LOG, ignoring=["level=info"]),
                )
            time.sleep(0.1)
    say(f"dockerd (pid {pid}) has stopped; its data stays")


def origin(engine: Engine) -> str:
    """Say who started an engine, as far as that can be told."""
    if is_ours(engine):
        return f"started by `nox -s engine` (pid {our_pid()})"
    if engine.local and process.output("systemctl", "is-active", "docker.service"):
        return "started by systemd"
    return "not started here"


def status() -> str:
    """Describe the engine that answers.

    Raises:
        NoEngineError: none does.
    """
    engine = ask()
    free = free_bytes(engine)
    room = "on another machine" if free is None else f"{free // GIB} GiB free"
    return f"{engine}\n{endpoint()}, {origin(engine)}, {room}"


def advise(engine: Engine) -> None:
    """Say it where a local daemon that is not ours collects cache mounts early."""
    if not engine.local or is_ours(engine):
        return
    try:
        builder = config(HOST_CONFIG).get("builder", {})
    except UserError:
        return
    if "gc" not in builder:
        say("hint: by default an engine drops cache mounts after two days: see docs/engine.md")
