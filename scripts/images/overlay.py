"""Write the bake file that adds the options of a command and the host's settings to a build.

Secrets and proxies are not part of BuildKit's cache keys, so layers stay cached when they change.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.core import files
from scripts.images import features, remote_cache
from scripts.images.sources import SourceTree

CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""The CA bundles of Debian and Fedora."""

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


def overlay(
    directory: Path,
    *,
    environment: Mapping[str, str],
    base_source: str = "registry",
    overrides: Collection[SourceTree] = (),
    namespace: str = "",
) -> dict[str, Any]:
    """Return the content of the bake file, for callers that extend it.

    Args:
        directory: where the secrets that are settings on this machine are written as files; it
            must exist during the build.
        environment: the variables with the proxies, package indexes and CA bundle.
        base_source: a key of `bases.OVERLAYS`.
        overrides: the source trees that replace the ones in the Dockerfiles.
        namespace: the namespace of the cache mounts; empty for the default.

    Raises:
        UserError: the address of the remote cache is not usable.
    """
    machine: dict[str, Any] = {
        "secret": [f"id={name},src={path}" for name, path in _secrets(directory, environment)],
        "args": proxies(environment),
    }
    common = {
        "args": dict(machine["args"]),
        "secret": machine["secret"],
        "contexts": {tree.context: str(tree.directory) for tree in overrides},
    }
    if namespace:
        common["args"]["BUILDKIT_CACHE_MOUNT_NS"] = namespace
    offered = frozenset().union(*(tree.features for tree in overrides))
    forks = {
        image: {
            "contexts": {replacement.stage: f"target:{replacement.target}"},
            "labels": {"vmaf.backends": f"cpu {backend}"},
        }
        for image, replacement, backend in features.replaced(offered, base_source)
    }
    return {"target": {"_common": common, "_bootstrap": machine, **forks}}


def write_overlay(
    directory: Path,
    *,
    environment: Mapping[str, str],
    base_source: str = "registry",
    overrides: Collection[SourceTree] = (),
    namespace: str = "",
) -> Path:
    """Write the bake file and the secrets to a directory; return the path of the bake file.

    See `overlay` for the arguments and errors.
    """
    directory.mkdir(parents=True, exist_ok=True)
    document = overlay(
        directory,
        environment=environment,
        base_source=base_source,
        overrides=overrides,
        namespace=namespace,
    )
    path = directory / "machine.json"
    files.replace(path, json.dumps(document))
    return path


def proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables that are set, as build arguments for steps with network access."""
    return {
        name: environment[name]
        for proxy in _PROXIES
        for name in (proxy, proxy.upper())
        if name in environment
    }


def _secrets(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Yield the secrets that steps mount: CA bundle, package indexes, address of the remote cache.

    Raises:
        UserError: the address of the remote cache is not usable.
    """
    bundles = [Path(name) for name in (environment.get("SSL_CERT_FILE"), *CA_BUNDLES) if name]
    if bundle := next((path for path in bundles if path.is_file()), None):
        yield "ca", bundle
    cargo = Path(environment.get("CARGO_HOME") or Path.home() / ".cargo") / "config.toml"
    if cargo.is_file():
        yield "cargo", cargo
    if proxy := environment.get("GOPROXY"):
        yield "goproxy", _private_file(directory / "goproxy", proxy)
    if index := environment.get("PIP_INDEX_URL"):
        settings = f"[global]\nindex-url = {index}\n"
        yield "pip", _private_file(directory / "pip.conf", settings)
    if address := environment.get(remote_cache.VARIABLE):
        secret = remote_cache.secret(address, bundle)
        yield "remote-cache", _private_file(directory / "remote-cache", secret)


def _private_file(path: Path, text: str) -> Path:
    """Write a file that only its owner can read, as the URL of an index may contain a password."""
    files.replace(path, text)
    return path
