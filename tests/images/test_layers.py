"""What the layers contain."""

import re

import pytest

from scripts.contents.unwanted import BUILDS, CACHES, DEVELOPMENT, SECRETS, TOOLS, leftovers
from scripts.images import sizes
from tests.support.subject import CUDA_13, PREFIX, Subject, has_project_patch

WASTE_LIMIT = 2 * 2**20
"""Bytes. An apt step rewrites the databases of dpkg and debconf and the loader's cache."""
DPKG_STATUS = "/var/lib/dpkg/status"

SECRET_ARGUMENT = re.compile(r"\w*(token|secret|passw|api_?key|proxy)\w*=\S", re.IGNORECASE)
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def test_layers_contain_no_cache(image: Subject) -> None:
    """No layer contains a cache of a package manager or a compiler.

    Caches belong in cache mounts. A cache in a layer is downloaded by every user, even
    if a later layer deletes it.
    """
    present = leftovers(image.layers, CACHES)
    assert not present, "\n".join(present)


def test_layers_contain_no_build_tree(image: Subject) -> None:
    """No layer contains a build tree."""
    present = leftovers(image.layers, BUILDS)
    assert not present, "\n".join(present)


@pytest.mark.needs("runtime")
def test_layers_contain_no_build_tool(image: Subject) -> None:
    """No layer of a runtime image contains a compiler or a build tool.

    An attacker in a container cannot use it, and no user downloads it.
    """
    present = leftovers(image.layers, TOOLS)
    assert not present, "\n".join(present)


@pytest.mark.needs("runtime")
def test_layers_contain_no_development_file(image: Subject) -> None:
    """No layer of a runtime image contains headers, static libraries or sources."""
    present = leftovers(image.layers, DEVELOPMENT)
    assert not present, "\n".join(present)


def test_size_is_within_the_accepted_growth(image: Subject) -> None:
    """The image is at most 5 % larger than docs/sizes.json records.

    Images grow a little at a time, so each larger step needs a decision.
    """
    if not has_project_patch(image.manifest):
        pytest.skip(
            f"{image.tag} has another libvmaf; docs/sizes.json has the size with the default"
        )
    if "nvcc" in image.image.provides and CUDA_13 in image.manifest:
        pytest.skip(
            f"{image.tag} was built with CUDA=13; docs/sizes.json has its size with CUDA 12"
        )
    accepted = sizes.baselines().get(sizes.key(image.image.name, image.architecture), 0)
    grown = f"{image.size:,} bytes, accepted were {accepted:,}"
    command = f"nox -s inspect -- {image.image.name}"
    assert image.size <= accepted * sizes.GROWTH, f"{grown}: `{command}` shows what grew"


def test_layers_contain_no_secret(image: Subject) -> None:
    """No layer contains a token, a certificate or settings of a package manager from the build."""
    present = leftovers(image.layers, SECRETS)
    assert not present, "\n".join(present)


def test_history_contains_no_secret(image: Subject) -> None:
    """No build argument in `docker history` contains a secret or a proxy's address."""
    history = [step.get("created_by", "") for step in image.saved.config["history"]]
    present = [step for step in history if SECRET_ARGUMENT.search(step)]
    assert not present, "\n".join(present)


def test_certificates_come_from_debian(image: Subject) -> None:
    """Only the images with FFmpeg, which reads HTTPS, have a certificate bundle, Debian's.

    A build machine's proxy may have a certificate of its own, which must stay there.
    """
    has_ffmpeg = "ffmpeg" in image.image.provides
    expected = "only images with FFmpeg have one"
    assert image.exists(BUNDLE) == has_ffmpeg, f"bundle: {image.exists(BUNDLE)}, but {expected}"
    if not has_ffmpeg:
        return
    debian = {
        certificate
        for path, (_, entry) in image.saved.merged.items()
        if path.startswith("/usr/share/ca-certificates/") and entry.is_file
        for certificate in CERTIFICATE.findall(image.read(path))
    }
    trusted = set(CERTIFICATE.findall(image.read(BUNDLE)))
    assert trusted, f"{BUNDLE} is empty"
    layer, _ = image.saved.merged[BUNDLE]
    others = len(trusted - debian)
    assert not others, f"{layer} has a {BUNDLE} with {others} certificates not from Debian"


def test_layers_add_no_setuid_program(image: Subject) -> None:
    """No layer above the base adds a setuid or setgid program.

    Such a program can undo the restriction of `--user`.
    """
    base, *others = image.layers
    in_base = {(entry.path, entry.mode) for entry in base.entries}
    added = [
        f"{layer} carries {entry.path} with mode {entry.mode & 0o7777:o}"
        for layer in others
        for entry in layer.entries
        if entry.is_file and entry.mode & 0o6000 and (entry.path, entry.mode) not in in_base
    ]
    assert not added, "\n".join(added)


def test_project_files_are_writable_only_by_root(image: Subject) -> None:
    """Files in /usr/local belong to root, and only root can write to them."""
    writable = [
        f"{layer} carries {path} of {entry.uid}:{entry.gid}, mode {entry.mode & 0o7777:o}"
        for path, (layer, entry) in image.saved.merged.items()
        if path.startswith(PREFIX)
        and not entry.link
        and ((entry.uid, entry.gid) != (0, 0) or entry.mode & 0o022)
    ]
    assert not writable, "\n".join(writable)


def test_layers_hide_few_files(image: Subject) -> None:
    """Files that later layers replace or delete take at most 2 MiB a layer that adds packages.

    Each such layer has new databases of dpkg and debconf.
    """
    hidden = sum(entry.size for _, entry, _ in image.saved.hidden)
    packages = sum(
        any(entry.path == DPKG_STATUS for entry in layer.entries) for layer in image.layers[1:]
    )
    limit = WASTE_LIMIT * max(1, packages)
    largest = sorted(image.saved.hidden, key=lambda file: -file[1].size)[:5]
    assert hidden <= limit, f"{hidden} bytes are hidden:\n" + "\n".join(
        f"{above} hides {entry.path}, {entry.size} bytes of {below}"
        for below, entry, above in largest
    )
