"""Signatures and attestations of published images, made and verified by cosign.

With a key, nothing leaves for a public service: neither signing nor verifying uses Sigstore's
transparency log. Without a key, the identity of the CI is certified by Sigstore, and the signature
is in its log.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.core import process
from scripts.core.console import UserError
from scripts.publish.registry import Repository

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
"""The issuer of the identities of GitHub's workflows."""
TYPES = ("cyclonedx", "slsaprovenance1")
"""The types of the attestations of an image, as cosign names them."""
OF_INDEX = ("slsaprovenance1",)
"""The types of the attestations of an index; each of its images has an SBOM of its own."""
_OFFLINE = {
    "signing-config": {
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    },
    "trusted-root": {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"},
}
"""Files for the options of these names, so that cosign uses no service."""


@dataclass(frozen=True)
class Signer:
    """How images are signed, and how their signatures are verified."""

    cosign: Path
    key: str = ""
    """The private key: a file, or what cosign accepts for a key management system."""
    public_key: str = ""
    """The public key; empty for identities that Sigstore certified."""
    identity: str = ""
    issuer: str = ""

    def sign(self, repository: Repository, digest: str) -> None:
        """Sign an image.

        Raises:
            UserError: cosign failed.
        """
        self._make(repository, digest, "sign")

    def attest(self, repository: Repository, digest: str, kind: str, predicate: Path) -> None:
        """Sign a statement about an image, and attach it.

        Args:
            repository: the repository.
            digest: the digest of the image.
            kind: the type of the predicate, one of `TYPES`.
            predicate: the file with the predicate.

        Raises:
            UserError: cosign failed.
        """
        self._make(repository, digest, "attest", f"--type={kind}", f"--predicate={predicate}")

    def _make(self, repository: Repository, digest: str, verb: str, *options: str) -> None:
        reference = f"{repository.name}@{digest}"
        with _offline("signing-config", "trusted-root") as offline:
            key = [f"--key={self.key}", *offline] if self.key else []
            self._run(
                repository, f"cannot {verb} {reference}", verb, "--yes", *key, *options, reference
            )

    def has_signed(self, repository: Repository, digest: str, kinds: Sequence[str] = TYPES) -> bool:
        """Return whether an image has its signature and its attestations, as for `verify`."""
        try:
            self.verify(repository, digest, kinds)
        except UserError:
            return False
        return True

    def verify(self, repository: Repository, digest: str, kinds: Sequence[str] = TYPES) -> None:
        """Verify the signature of an image or an index, and its attestations.

        Args:
            repository: the repository.
            digest: the digest of the image or the index.
            kinds: the types of its attestations.

        Raises:
            UserError: one is missing, or is not by the key or the identity.
        """
        reference = f"{repository.name}@{digest}"
        what = f"cannot verify {reference}"
        with _offline("trusted-root") as offline:
            if self.public_key:
                by = [f"--key={self.public_key}", "--insecure-ignore-tlog=true", *offline]
            else:
                by = [
                    f"--certificate-identity={self.identity}",
                    f"--certificate-oidc-issuer={self.issuer}",
                ]
            self._run(repository, what, "verify", *by, reference)
            for kind in kinds:
                self._run(repository, what, "verify-attestation", f"--type={kind}", *by, reference)

    def _run(self, repository: Repository, what: str, *arguments: str) -> None:
        environment = {**process.environment(), "COSIGN_PASSWORD": _password()}
        done = process.run(str(self.cosign), *arguments, env=environment)
        if done.returncode:
            raise _error(repository, what, done.stderr)


@contextmanager
def _offline(*names: str) -> Iterator[list[str]]:
    """Yield options of cosign with which it uses no service."""
    with TemporaryDirectory(prefix="vmaf-images-") as directory:
        files = {name: Path(directory, f"{name}.json") for name in names}
        for name, file in files.items():
            file.write_text(json.dumps(_OFFLINE[name]))
        yield [f"--{name}={file}" for name, file in files.items()]


def _password() -> str:
    """Return the password of the private key; cosign would ask for it without the variable."""
    return os.environ.get("COSIGN_PASSWORD", "")


def _error(repository: Repository, what: str, printed: str) -> UserError:
    lines = [line for line in printed.strip().splitlines() if line] or ["no reason was printed"]
    if any(text in printed for text in ("no signatures found", "no matching attestations")):
        return UserError(
            what,
            "it has no signature by this key or identity",
            "Publish it with `--sign-key FILE` or, in a CI, with `--keyless`.",
        )
    if "decrypt" in printed or "password" in printed:
        return UserError(what, lines[-1], "Set COSIGN_PASSWORD to the password of the key.")
    return repository.error(what, printed)


def public_key(cosign: Path, key: str, directory: Path) -> Path:
    """Write the public key of a private one to a directory, and return its path.

    Raises:
        UserError: the key cannot be read.
    """
    file = directory / "cosign.pub"
    environment = {**process.environment(), "COSIGN_PASSWORD": _password()}
    done = process.run(
        str(cosign), "public-key", f"--key={key}", f"--outfile={file}", env=environment
    )
    if done.returncode:
        raise UserError(
            "cannot read the key",
            (done.stderr.strip().splitlines() or ["cosign printed no reason"])[-1],
            "Name a key of `cosign generate-key-pair`, and set COSIGN_PASSWORD to its password.",
        )
    return file


def of_workflow(cosign: Path, environment: Mapping[str, str]) -> Signer:
    """Return the signer that has the identity of the running workflow of GitHub.

    Args:
        cosign: the program.
        environment: the environment variables.

    Raises:
        UserError: no workflow runs, or it may not ask for an identity.
    """
    workflow = environment.get("GITHUB_WORKFLOW_REF", "")
    if not workflow or "ACTIONS_ID_TOKEN_REQUEST_URL" not in environment:
        raise UserError(
            "cannot sign without a key",
            "no workflow with the permission `id-token: write` runs",
            "Use --sign-key FILE, or --unsigned for images that nobody has to verify.",
        )
    server = environment.get("GITHUB_SERVER_URL", "")
    return Signer(cosign, identity=f"{server}/{workflow}", issuer=GITHUB_ISSUER)
