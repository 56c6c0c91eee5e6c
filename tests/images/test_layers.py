"""Every layer carries what the image needs and nothing else."""

import re

import pytest

from scripts.contents.archive import BUILDS, CACHES, DEVELOPMENT, SECRETS, TOOLS, leftovers
from scripts.images import sizes
from tests.support.subject import OURS, Subject

WASTE_LIMIT = 2 * 2**20
"""Bytes. An apt step rewrites dpkg's and debconf's databases and the loader's cache."""

SECRET_ARGUMENT = re.compile(r"\w*(token|secret|passw|api_?key|proxy)\w*=\S", re.IGNORECASE)


def test_no_cache_in_any_layer(image: Subject) -> None:
    """Caches live in cache mounts; a cache in a layer is pulled by everyone, deleted or not."""
    found = leftovers(image.layers, CACHES)
    assert not found, "\n".join(found)


def test_no_build_tree_in_any_layer(image: Subject) -> None:
    """What was compiled is in the image; where it was compiled is many times as large."""
    found = leftovers(image.layers, BUILDS)
    assert not found, "\n".join(found)


@pytest.mark.needs("runtime")
def test_no_build_tool_in_any_layer(image: Subject) -> None:
    """Who breaks into a container must not find a compiler, nor who pulls it pay for one."""
    found = leftovers(image.layers, TOOLS)
    assert not found, "\n".join(found)


@pytest.mark.needs("runtime")
def test_no_development_file_in_any_layer(image: Subject) -> None:
    """A runtime image runs; headers, static libraries and sources are for the workbench."""
    found = leftovers(image.layers, DEVELOPMENT)
    assert not found, "\n".join(found)


def test_size_is_agreed(image: Subject) -> None:
    """An image grows a little at a time until nobody remembers by what: more takes a decision."""
    agreed = sizes.baselines().get(image.image.name, 0)
    grown = f"{image.size:,} bytes, {agreed:,} are agreed: nox -s inspect -- {image.image.name}"
    assert image.size <= agreed * sizes.GROWTH, f"{grown} shows why, --accept-size accepts it"


def test_no_secret_in_any_layer(image: Subject) -> None:
    """What a build was lent (tokens, pip settings, certificates) belongs to nobody else."""
    found = leftovers(image.layers, SECRETS)
    assert not found, "\n".join(found)


def test_history_tells_no_secret(image: Subject) -> None:
    """A build argument stays readable in `docker history`; secrets go by secret mounts."""
    history = [step.get("created_by", "") for step in image.saved.config["history"]]
    found = [step for step in history if SECRET_ARGUMENT.search(step)]
    assert not found, "\n".join(found)


def test_trusts_only_debians_certificates(image: Subject) -> None:
    """The bundle holds what the ca-certificates package brings, not a build machine's proxy."""
    certificate = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    trusted = set(certificate.findall(image.read(bundle))) if image.exists(bundle) else set()
    debians = {
        one
        for path, (_, entry) in image.saved.merged.items()
        if path.startswith("/usr/share/ca-certificates/") and entry.is_file
        for one in certificate.findall(image.read(path))
    }
    layer, _ = image.saved.merged.get(bundle, (None, None))
    strangers = len(trusted - debians)
    assert not strangers, f"{layer} has a {bundle} with {strangers} certificates not from Debian"


def test_no_setuid_program_beyond_the_base(image: Subject) -> None:
    """A program that raises rights is a way out of `--user`; the base's own are Debian's choice."""
    base, *ours = image.layers
    known = {(entry.path, entry.mode) for entry in base.entries}
    found = [
        f"{layer} carries {entry.path} with mode {entry.mode & 0o7777:o}"
        for layer in ours
        for entry in layer.entries
        if entry.is_file and entry.mode & 0o6000 and (entry.path, entry.mode) not in known
    ]
    assert not found, "\n".join(found)


def test_our_files_are_roots_and_read_only(image: Subject) -> None:
    """No user of a container can change the programs that the next one runs."""
    found = [
        f"{layer} carries {path} of {entry.uid}:{entry.gid}, mode {entry.mode & 0o7777:o}"
        for path, (layer, entry) in image.saved.merged.items()
        if path.startswith(OURS)
        and not entry.link
        and ((entry.uid, entry.gid) != (0, 0) or entry.mode & 0o022)
    ]
    assert not found, "\n".join(found)


def test_later_layers_hide_little(image: Subject) -> None:
    """A file that a later layer replaces or deletes is shipped for nothing."""
    wasted = sum(entry.size for _, entry, _ in image.saved.hidden)
    largest = sorted(image.saved.hidden, key=lambda hidden: -hidden[1].size)[:5]
    assert wasted <= WASTE_LIMIT, f"{wasted} bytes are hidden:\n" + "\n".join(
        f"{above} hides {entry.path}, {entry.size} bytes of {below}"
        for below, entry, above in largest
    )
