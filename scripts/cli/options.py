"""The options of every verb, as `python -m scripts.cli VERB --help` prints them.

`nox -s engine build-cpu verify-images -- --data-root DIR cpu` passes the same arguments to
each of its sessions. A session therefore accepts the options of all sessions on the command
line, and ignores the options of the others. An unknown option is an error that lists the options.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from scripts.core.console import UserError

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "images": {
        "nargs": "*",
        "metavar": "IMAGE",
        "help": "an image of docker-bake.hcl; inspect, sbom, sources and compare also accept a tag",
    },
    "benches": {
        "nargs": "*",
        "metavar": "BENCH",
        "help": "rebuild, server, flood, fresh or overlap; the first two by default",
    },
    "faults": {"nargs": "*", "metavar": "FAULT", "help": "a fault to plant; all by default"},
    "action": {
        "nargs": "?",
        "choices": ["prune", "stats", "save", "load", "ls", "cat", "du"],
        "help": "prune: remove cache mounts; stats: print the statistics of the caches; save or "
        "load: an archive of the mounts; ls, cat or du: look into a mount",
    },
    "operands": {
        "nargs": "*",
        "metavar": "OPERAND",
        "help": "save and load: DIR or REF, a reference in a registry; ls, cat and du: ID [PATH]",
    },
    "--with": {
        "dest": "also",
        "default": "",
        "metavar": "apt,pip",
        "help": "save: the packages of apt or pip as well",
    },
    "--unused": {
        "default": "7d",
        "metavar": "AGE",
        "help": "save: first evict compiled results that were unused for this long; 7d by default",
    },
    "--force": {
        "action": "store_true",
        "help": "save: replace an archive also by an empty or much smaller one",
    },
    "--replace": {"action": "store_true", "help": "load: replace what the mounts contain"},
    "--id": {
        "metavar": "ID",
        "help": "prune: the mount with this id, as `nox -s cache` shows it; load: ID,ID... only",
    },
    "parts": {
        "nargs": "*",
        "metavar": "PART",
        "help": "a part, as --check lists them; all by default",
    },
    "--check": {
        "action": "store_true",
        "help": "change nothing; the status is 1 if a part is not what its origin has now",
    },
    "--status": {"action": "store_true", "help": "describe the engine that answers, and exit"},
    "--stop": {"action": "store_true", "help": "stop the daemon that `nox -s engine` started"},
    "--remove-emulation": {
        "action": "store_true",
        "help": "remove the emulators that builds for another --platform installed",
    },
    "--data-root": {"metavar": "DIR", "help": "the data directory of a daemon that is started"},
    "--libvmaf": {"metavar": "PATH|GIT_URL", "help": "build this libvmaf source tree"},
    "--ffmpeg": {"metavar": "PATH|GIT_URL", "help": "build this FFmpeg source tree"},
    "--ffmpeg-release": {
        "metavar": "RELEASE",
        "help": "9.0, the default, or 7.1; the tags of images with 7.1 end with -ffmpeg7.1",
    },
    "--platform": {
        "metavar": "PLATFORM",
        "help": "linux/amd64 or linux/arm64; the tags of another machine's images end with its "
        "architecture, such as -arm64: docs/platforms.md; publish: both, with a comma, for one "
        "index of them",
    },
    "--builder": {"metavar": "NAME", "help": "use this builder of buildx: docs/scale.md"},
    "--workers": {
        "metavar": "NAME,NAME",
        "help": "build the images on several builders at the same time: docs/scale.md",
    },
    "--namespace": {
        "metavar": "NAME",
        "help": "use a separate set of cache mounts, empty for a new name",
    },
    "--pack": {
        "metavar": "FILE",
        "help": "write the check to an archive that runs on a machine without Docker",
    },
    "--older-than": {"metavar": "AGE", "help": "prune: mounts not used for this long: 7d, 12h"},
    "--format": {"default": "text", "help": "text by default; report: html"},
    "--output": {
        "metavar": "PATH",
        "help": "matrix, report: append to this file; policy: write the findings to it; sources: "
        "the directory, build/sources/IMAGE by default",
    },
    "--redistributable": {
        "action": "store_true",
        "help": "matrix: leave out images that must not be passed on",
    },
    "--accept-size": {
        "action": "store_true",
        "help": "make the sizes of the images their new baselines in docs/sizes.json",
    },
    "--dockerfile": {
        "metavar": "PATH",
        "action": "append",
        "default": [],
        "help": "check this file instead of the project's; may be repeated",
    },
    "--quick": {"action": "store_true", "help": "rebuild: only this project, cpu, 15 minutes"},
    "--resume": {"action": "store_true", "help": "rebuild, fresh: continue the latest run"},
    "--update-docs": {
        "action": "store_true",
        "help": "rebuild, fresh, flood: measure nothing; write the latest run into docs/",
    },
    "--keep-state": {
        "action": "store_true",
        "help": "rebuild: keep the images and cache mounts of the run, for --resume",
    },
    "--cold-runs": {
        "type": int,
        "choices": range(1, 10),
        "default": 1,
        "metavar": "N",
        "help": "rebuild: measure the first build N times, alternating between contenders",
    },
    "--contender": {
        "metavar": "NAME",
        "action": "append",
        "default": [],
        "help": "rebuild, fresh: measure only this contender; may be repeated",
    },
    "--scenario": {
        "metavar": "NAME",
        "action": "append",
        "default": [],
        "help": "rebuild: measure only this scenario; may be repeated",
    },
    "--require": {"choices": ["all"], "help": "fail if an image is missing, instead of skipping"},
    "--as": {
        "dest": "as_images",
        "metavar": "NAME=TAG",
        "action": "append",
        "default": [],
        "help": "verify the image TAG with the tests of the image NAME; may be repeated",
    },
    "--list": {
        "dest": "list_properties",
        "action": "store_true",
        "help": "list the properties of images, or the faults, that are tested, and exit",
    },
    "-k": {"metavar": "EXPRESSION", "help": "pytest: run only the tests that match"},
    "-m": {"metavar": "MARKERS", "help": "pytest: run only the tests with these markers (gpu)"},
    "-x": {"action": "store_true", "help": "pytest: stop at the first failure"},
    "--image": {
        "default": "cpu",
        "metavar": "IMAGE",
        "help": "faults, fresh, overlap: the image to build, cpu by default; go-server is smaller",
    },
    "--registry": {"metavar": "HOST/NAME", "help": "the repository to which images are published"},
    "--sign-key": {
        "metavar": "KEY",
        "help": "sign with a private key of cosign: a file, or a URI of a key management system",
    },
    "--keyless": {
        "action": "store_true",
        "help": "sign with the identity of the workflow that runs, which Sigstore certifies",
    },
    "--unsigned": {"action": "store_true", "help": "publish or accept images without a signature"},
    "--verify-only": {
        "action": "store_true",
        "help": "publish nothing; verify what is published, with one of the next two options",
    },
    "--verify-key": {"metavar": "KEY", "help": "the public key that published images must be by"},
    "--identity": {"metavar": "URL", "help": "the workflow that published images must be by"},
    "--issuer": {"metavar": "URL", "help": "the issuer of the identity; by default, GitHub's"},
    "--compression": {
        "choices": ["zstd", "gzip"],
        "default": "zstd",
        "help": "of the layers; Docker before 23 cannot read zstd",
    },
    "--move": {
        "action": "store_true",
        "help": "let the tag of a release name another image with the same releases",
    },
    "--dry-run": {"action": "store_true", "help": "print what would be published, and exit"},
    "--suite": {
        "choices": ["images", "mutants", "all"],
        "default": "images",
        "help": argparse.SUPPRESS,  # set by the sessions mutants and tests
    },
    "--only": {"metavar": "IMAGE", "help": argparse.SUPPRESS},  # set by the build-* sessions
}
"""Every option, with the arguments of `argparse.ArgumentParser.add_argument`."""


@dataclass(frozen=True)
class Verb:
    """A command of the command line; `scripts/cli/NAME.py` implements it."""

    summary: str
    options: Sequence[str] = ()
    formats: Sequence[str] = ("text", "json")
    """The values of --format, if the verb has that option."""


_SOURCES = ("--libvmaf", "--ffmpeg", "--ffmpeg-release", "--platform", "--namespace", "--builder")
VERBS: Mapping[str, Verb] = {
    "engine": Verb(
        "Find a Docker Engine, or install and start one.",
        ("--status", "--stop", "--data-root", "--remove-emulation"),
    ),
    "build": Verb("Build images.", ("images", *_SOURCES, "--workers", "--only")),
    "check": Verb("Run a group of checks that are build targets.", ("images", *_SOURCES)),
    "verify": Verb(
        "Test built images.",
        (
            *("images", "--ffmpeg-release", "--platform", "--list", "--require", "--as"),
            *("-k", "-m", "-x", "--suite"),
        ),
    ),
    "inspect": Verb(
        "Show the layers of images.", ("images", "--platform", "--format", "--accept-size")
    ),
    "sbom": Verb("Write the SBOM of images.", ("images", "--format")),
    "sources": Verb(
        "Write the corresponding source of images.",
        ("images", "--output", "--libvmaf", "--ffmpeg"),
    ),
    "gpu_check": Verb("Compare an NVIDIA GPU with the CPU.", ("images", "--pack")),
    "compare": Verb("Compare two images file by file.", ("images", "--format")),
    "policy": Verb(
        "Check Dockerfiles and recipes.",
        ("--format", "--output", "--dockerfile"),
        ("text", "json", "sarif"),
    ),
    "cache": Verb(
        "Show, look into, prune, save or load the cache mounts.",
        (
            *("action", "operands", "--older-than", "--id", "--with", "--unused", "--force"),
            *("--replace", "--format", "--namespace", "--builder"),
        ),
    ),
    "bench": Verb(
        "Measure rebuilds, fresh machines and the server.",
        (
            *("benches", "--quick", "--resume", "--update-docs", "--keep-state", "--cold-runs"),
            *("--contender", "--scenario", "--image"),
        ),
    ),
    "faults": Verb("Plant faults on real builds.", ("faults", "--image", "--list")),
    "publish": Verb(
        "Verify images, push and sign them.",
        (
            *("images", "--registry", "--sign-key", "--keyless", "--unsigned", "--verify-only"),
            *("--verify-key", "--identity", "--issuer", "--compression", "--move", "--dry-run"),
            *("--ffmpeg-release", "--libvmaf", "--ffmpeg", "--platform"),
        ),
    ),
    "report": Verb(
        "Write build/report.html, or the tables of the builds.",
        ("--format", "--output"),
        ("html", "markdown"),
    ),
    "matrix": Verb(
        "Print the jobs of a workflow that builds images.",
        ("images", "--redistributable", "--output"),
    ),
    "why": Verb("Explain why the steps of the last build ran.", ("images", "--format")),
    "update": Verb("Update everything that is pinned.", ("parts", "--check")),
    "lint": Verb("Check shell scripts, Dockerfiles and documents."),
}

_SESSIONS = {
    "verify-images": "verify",
    "mutants": "verify",
    "tests": "verify",
    "gpu-check": "gpu_check",
    "upstream-tests": "check",
    "server-tests": "check",
}
"""The verb of each session that has another name than its verb."""


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError` with the usage instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise UserError("cannot read the options", message, self.format_help().rstrip())


def verb_of(session: str) -> str:
    """Return the verb that a nox session runs; the session's name if it runs none."""
    verb = "build" if session.startswith("build-") else session
    return _SESSIONS.get(session, verb)


def parse(arguments: Sequence[str], sessions: Sequence[str] = ()) -> argparse.Namespace:
    """Parse `VERB [options]`; the result has the verb as `verb`.

    Args:
        arguments: the verb, and the arguments after `--`.
        sessions: all sessions on nox's command line, whose options are accepted as well;
            the result has them as `sessions`.

    Raises:
        UserError: an option is unknown; the message lists the options.
    """
    others = [verb_of(session) for session in sessions]
    usage = f"nox -s {' '.join(sessions)} -- [options]" if sessions else None
    parser = _Parser(prog="python -m scripts.cli", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        subparser = verbs.add_parser(
            name, help=verb.summary, description=verb.summary, usage=usage, allow_abbrev=False
        )
        for option in _accepted(name, others):
            details = dict(OPTIONS[option])
            if option == "--format":
                details["choices"] = verb.formats
            subparser.add_argument(option, **details)
    namespace = argparse.Namespace(sessions=tuple(sessions))
    chosen, unknown = parser.parse_known_args(arguments, namespace)
    if unknown:  # argparse would print the usage without the options of the verb
        verbs.choices[chosen.verb].error(f"unknown arguments: {' '.join(unknown)}")
    return chosen


def _accepted(name: str, others: Sequence[str]) -> list[str]:
    """Return the options of a verb, followed by further options of the other verbs."""
    options = [
        option for verb in (name, *others) if verb in VERBS for option in VERBS[verb].options
    ]
    return list(dict.fromkeys(options))
