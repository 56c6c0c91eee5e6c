"""A repository in a container registry, spoken to through regctl.

The credentials are those of `docker login`. A registry on loopback may speak HTTP, as for Docker.
"""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.core import loopback, process
from scripts.core.console import UserError

_SECONDS = 5
"""The time in seconds in which a registry on loopback must answer."""
_HINTS = (
    (r"http 401|unauthorized", "Log in to the registry: `docker login {host}`."),
    (r"http 403|denied|forbidden", "Log in with an account that may write: `docker login {host}`."),
    (
        r"x509|certificate|tls:",
        "Add the CA of the registry to those of this machine, or set SSL_CERT_FILE.",
    ),
    (r"http 404|not found", "Check the name of the repository, and that the image is published."),
    (r"http 5\d\d", "The registry has a fault; its log says more. Publish again later."),
    (
        r"refused|no such host|timeout|reset|EOF|unreachable",
        "Check the address, and that the registry runs. What it has is not sent again.",
    ),
)
"""What to do next, by what regctl printed; the first that matches."""
INDEX = "application/vnd.oci.image.index.v1+json"
"""The media type of an index."""
_NAME = re.compile(r"[^/\s@]+(?::\d+)?(/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+")
"""The name of a repository with its host (OCI distribution specification)."""


class RegistryError(UserError):
    """The registry did not do what it was asked for."""


def speaks_http(host: str) -> bool:
    """Return whether a host speaks HTTP; a server that speaks TLS answers HTTP with an error."""
    connection = http.client.HTTPConnection(host, timeout=_SECONDS)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status != http.HTTPStatus.BAD_REQUEST
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(frozen=True)
class Repository:
    """A repository of images, such as HOST/NAME."""

    name: str
    regctl: Path

    def __post_init__(self) -> None:
        """Check the name.

        Raises:
            UserError: it is no name of a repository.
        """
        if not _NAME.fullmatch(self.name):
            raise UserError(
                "cannot publish",
                f"`{self.name}` is not HOST/NAME",
                "Name a repository in lower case, without a tag: --registry HOST/vmaf.",
            )

    @property
    def host(self) -> str:
        """The host of the registry, and its port."""
        return self.name.partition("/")[0]

    @cached_property
    def _options(self) -> list[str]:
        plain = loopback.is_loopback(self.host) and speaks_http(self.host)
        return ["--host", f"reg={self.host},tls=disabled"] if plain else []

    def run(self, *arguments: str, what: str, text: str | None = None) -> str:
        """Run regctl and return what it prints.

        Args:
            arguments: its arguments.
            what: what fails if it fails, for the message.
            text: its standard input.

        Raises:
            RegistryError: it failed.
        """
        # regctl's own file could have other credentials than Docker's.
        with TemporaryDirectory(prefix="vmaf-images-") as empty:
            environment = {**process.environment(), "REGCTL_CONFIG": f"{empty}/config.json"}
            done = process.run(
                str(self.regctl), *self._options, *arguments, env=environment, text=text
            )
        if done.returncode:
            raise self.error(what, done.stderr)
        return done.stdout.strip()

    def error(self, what: str, printed: str) -> RegistryError:
        """Return the error for what regctl or cosign printed."""
        lines = printed.strip().splitlines() or ["no reason was printed"]
        failed = [line for line in lines if re.search("error|fail", line, re.IGNORECASE)]
        why = (failed or lines)[-1]
        todo = "Check the name of the repository, and that the registry runs."
        for pattern, hint in _HINTS:
            if re.search(pattern, printed, re.IGNORECASE):
                todo = hint.format(host=self.host)
                break
        return RegistryError(what, why, todo)

    def tags(self) -> set[str]:
        """Return all tags; an empty set if the repository does not exist yet.

        Raises:
            RegistryError: the registry does not answer.
        """
        try:
            return set(self.run("tag", "ls", self.name, what=f"cannot read {self.name}").split())
        except RegistryError as error:
            if "http 404" in error.why:
                return set()
            raise

    def digest(self, tag: str) -> str:
        """Return the digest that a tag names.

        Raises:
            RegistryError: there is no such tag, or the registry does not answer.
        """
        reference = f"{self.name}:{tag}"
        return self.run("manifest", "head", reference, what=f"cannot read {reference}")

    def manifest(self, digest: str) -> dict[str, Any]:
        """Return a manifest, or an index.

        Raises:
            RegistryError: the registry does not have it.
        """
        reference = f"{self.name}@{digest}"
        printed = self.run(
            *("manifest", "get", "--format=raw-body", reference), what=f"cannot read {reference}"
        )
        document: dict[str, Any] = json.loads(printed)
        return document

    def put_index(self, content: str) -> None:
        """Push an index without a tag; the repository has its manifests.

        Args:
            content: the JSON of the index.

        Raises:
            RegistryError: the registry does not take it.
        """
        self.run(
            *("manifest", "put", "--by-digest", f"--content-type={INDEX}", self.name),
            what=f"cannot push an index to {self.name}",
            text=content,
        )

    def push(self, layout: str, digest: str) -> None:
        """Copy an image of a local layout to the repository, without a tag.

        Raises:
            RegistryError: the registry does not take it.
        """
        reference = f"{self.name}@{digest}"
        self.run("image", "copy", layout, reference, what=f"cannot push {reference}")

    def pull(self, digest: str, directory: Path) -> None:
        """Copy an image to an empty directory, as a layout; all digests are checked.

        Raises:
            RegistryError: the registry does not have it, or has something else.
        """
        reference = f"{self.name}@{digest}"
        layout = f"ocidir://{directory}@{digest}"
        self.run("image", "copy", reference, layout, what=f"cannot pull {reference}")

    def attach(self, subject: str, file: Path, kind: str) -> None:
        """Attach a file to an image or an index as an OCI referrer.

        Args:
            subject: the digest of the image or the index.
            file: the file.
            kind: its media type, which is also the type of the artifact.

        Raises:
            RegistryError: the registry does not take it.
        """
        self._put(file, kind, kind, f"--subject={self.name}@{subject}")

    def _put(self, file: Path, kind: str, media_type: str, *options: str) -> dict[str, Any]:
        printed = self.run(
            *("artifact", "put", "--by-digest", "--file-title", "--strip-dirs", *options),
            *(f"--artifact-type={kind}", f"--file={file}", f"--file-media-type={media_type}"),
            *("--format={{json .Manifest.GetDescriptor}}", self.name),
            what=f"cannot push {file.name} to {self.name}",
        )
        descriptor: dict[str, Any] = json.loads(printed)
        return descriptor

    def put(self, file: Path, kind: str, media_type: str) -> Mapping[str, Any]:
        """Push a file as an artifact without a tag, and return the descriptor of its manifest.

        Args:
            file: the file.
            kind: the type of the artifact.
            media_type: the media type of the file.

        Raises:
            RegistryError: the registry does not take it.
        """
        return self._put(file, kind, media_type)

    def tag(self, digest: str, tag: str) -> None:
        """Let a tag name an image or an index of the repository.

        Raises:
            RegistryError: the registry does not take it.
        """
        reference = f"{self.name}:{tag}"
        source = f"{self.name}@{digest}"
        self.run("image", "copy", source, reference, what=f"cannot move {reference}")
