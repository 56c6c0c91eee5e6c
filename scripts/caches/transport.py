"""Copy archives of cache mounts to a container registry and back.

The registry is spoken to through oras-py, with the credentials of `docker login`. Blobs are
checked against their digests here, which oras-py does not do.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import oras.auth
import oras.provider
import requests
from requests.adapters import HTTPAdapter

from scripts.caches.archive import (
    MANIFEST,
    TITLE,
    Descriptor,
    Layout,
    Manifest,
    check_manifest,
    damaged,
    decode,
)
from scripts.core import loopback
from scripts.core.console import UserError

SECONDS = 60
"""The time in seconds in which a registry must begin to answer."""
_CHUNK = 1 << 20
_MANIFEST_BYTES = 4 << 20
"""The size in bytes that a manifest may have; the specification suggests 4 MiB."""


class _Adapter(HTTPAdapter):
    """An adapter with a timeout, which oras-py does not set."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        options["timeout"] = SECONDS
        return super().send(*arguments, **options)


class _Credentials(oras.auth.TokenAuth):  # type: ignore[misc]  # it has no type annotations
    """The credentials of `docker login`, for registries that want a token or a password.

    oras-py has a class for each of the two, and reads ~/.docker/config.json also if DOCKER_CONFIG
    names another directory.
    """

    def __init__(self) -> None:
        super().__init__()
        settings = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker", "config.json")
        config = json.loads(settings.read_text()) if settings.exists() else {}
        names = ("auths", "credsStore", "credHelpers")
        self._auth_config = {"auths": {}, **{n: config[n] for n in names if n in config}}

    def authenticate_request(
        self,
        original: requests.Response,
        headers: dict[str, str],
        **options: Any,  # noqa: ANN401
    ) -> tuple[dict[str, str], bool]:
        """Answer a request for credentials; the second result says whether there are any."""
        if not original.headers.get("Www-Authenticate", "").lower().startswith("basic"):
            answered: tuple[dict[str, str], bool] = super().authenticate_request(
                original, headers, **options
            )
            return answered
        password = getattr(self, "_basic_auth", None)
        if not password or "Authorization" in headers:
            return headers, False
        return {**headers, "Authorization": f"Basic {password}"}, True


class _Registry(oras.provider.Registry):  # type: ignore[misc]  # it has no type annotations
    """A registry. oras-py tries each request five times, for two minutes."""

    def do_request(self, *arguments: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        request = oras.provider.Registry.do_request.__wrapped__
        response: requests.Response = request(self, *arguments, **options)
        return response


class Remote:
    """An archive in a registry."""

    def __init__(self, reference: str) -> None:
        """Use a reference, `HOST/REPOSITORY:TAG`. A registry on loopback is reached by HTTP."""
        self.reference = reference
        host = reference.partition("/")[0]
        is_local = loopback.is_loopback(host)
        oras.auth.auth_backends["docker"] = _Credentials
        self._registry = _Registry(hostname=host, insecure=is_local, auth_backend="docker")
        self._registry.session.mount("http://", _Adapter())
        self._registry.session.mount("https://", _Adapter())
        # A proxy cannot connect to the loopback of this machine.
        self._registry.session.trust_env = not is_local
        with self._errors("read"):
            self._container = self._registry.get_container(reference)
            self._registry.auth.load_configs(self._container)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (requests.RequestException, ValueError, OSError) as error:
            raise UserError(
                f"cannot {verb} {self.reference}",
                str(error) or type(error).__name__,
                "Check the reference, and the credentials with `docker login`.",
            ) from error

    def _request(self, url: str, method: str = "GET", **options: Any) -> requests.Response:  # noqa: ANN401
        answer = self._registry.do_request(f"{self._registry.prefix}://{url}", method, **options)
        if answer.status_code == requests.codes.not_found and method == "GET":
            raise FileNotFoundError(f"the registry has no {self.reference}")
        if not answer.ok:
            raise ValueError(f"the registry answered {answer.status_code} {answer.reason}")
        return answer

    def push(self, layout: Layout) -> None:
        """Copy the archive of a layout to the registry, the manifest last.

        Raises:
            UserError: the registry does not answer, or refuses it.
        """
        manifest = layout.manifest()
        if manifest is None:
            return
        with self._errors("write"):
            for blob in manifest.blobs:
                layer = {"digest": blob.digest, "size": blob.size}
                path = str(layout.path(blob.digest))
                answer = self._registry.upload_blob(path, self._container, layer)
                if not answer.ok:
                    raise ValueError(f"the registry answered {answer.status_code} {answer.reason}")
            self._request(
                self._container.manifest_url(),
                "PUT",
                data=layout.manifest_bytes(),
                headers={"Content-Type": MANIFEST},
            )

    def pull(self, layout: Layout, *, only: Collection[str] | None = None) -> bool:
        """Copy the archive to an empty layout; return False if the registry has none.

        Args:
            layout: the layout.
            only: the titles of the layers to copy; None for all.

        Raises:
            UserError: the registry does not answer, or the archive is damaged.
        """
        with self._errors("read"):
            try:
                answer = self._request(
                    self._container.manifest_url(), headers={"Accept": MANIFEST}, stream=True
                )
            except FileNotFoundError:
                return False
            content = answer.raw.read(_MANIFEST_BYTES, decode_content=True)
        manifest = decode(content, Manifest, self.reference)
        check_manifest(manifest, self.reference)
        expected = self._container.digest
        if expected and expected != f"sha256:{hashlib.sha256(content).hexdigest()}":
            raise damaged(self.reference, "the manifest has another digest")
        layers = [
            blob for blob in manifest.layers if only is None or blob.annotations.get(TITLE) in only
        ]
        for blob in (manifest.config, *layers):
            with self._errors("read"):
                self._fetch(layout, blob)
            layout.check(blob)
        layout.put_index(layout.add_bytes(content, MANIFEST))
        return True

    def _fetch(self, layout: Layout, blob: Descriptor) -> None:
        """Copy a blob; `Layout.check` says whether it is complete."""
        part, left = layout.part(), blob.size
        url = self._container.get_blob_url(blob.digest)
        with self._request(url, stream=True) as answer, part.open("wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                left -= len(chunk)
                if left < 0:
                    raise ValueError(f"{blob.digest} has more than {blob.size} bytes")
        part.replace(layout.path(blob.digest))
