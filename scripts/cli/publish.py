"""`nox -s publish -- [IMAGE] --registry HOST/NAME`: verify images, push and sign them."""

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.filesize import decimal
from rich.table import Table

from scripts.cli import verify
from scripts.core.console import UserError, console, say
from scripts.engine import client
from scripts.images import build, catalogue
from scripts.images.catalogue import Image
from scripts.publish import publish, signing, tools
from scripts.publish.publish import Prepared, Publisher
from scripts.publish.registry import Repository
from scripts.publish.signing import Signer

_SCORES = "test_score or test_server"
"""The tests that an image must pass after it was pulled back."""


def choose(names: Sequence[str]) -> list[Image]:
    """Return the named images; by default all whose label does not forbid it."""
    images = catalogue.choose(names)
    if names:
        return images
    for image in images:
        if not image.redistributable:
            say(f"publish: without {image.name}, which must not be passed on")
    return [image for image in images if image.redistributable]


@contextmanager
def signer(options: Namespace, environment: os._Environ[str]) -> Iterator[Signer | None]:
    """Yield how images are signed and verified.

    Raises:
        UserError: the options do not say it, or contradict each other.
    """
    ways = {
        "--sign-key": options.sign_key,
        "--verify-key": options.verify_key,
        "--keyless": options.keyless,
        "--identity": options.identity,
        "--unsigned": options.unsigned,
    }
    given = [name for name, value in ways.items() if value]
    by = ("--verify-key", "--identity") if options.verify_only else ("--sign-key", "--keyless")
    allowed = (*by, "--unsigned")
    if options.dry_run and not given:
        yield None
        return
    if len(given) != 1 or given[0] not in allowed:
        raise UserError(
            "cannot verify signatures" if options.verify_only else "cannot sign images",
            f"{' and '.join(given) or 'nothing'} is given",
            f"Give one of {', '.join(allowed)}; docs/publish.md describes them.",
        )
    if options.unsigned:
        yield None
        return
    cosign = tools.find("cosign")
    if options.keyless:
        yield signing.of_workflow(cosign, environment)
    elif options.sign_key:
        with TemporaryDirectory(prefix="vmaf-images-") as directory:
            public = signing.public_key(cosign, options.sign_key, Path(directory))
            yield Signer(cosign, key=options.sign_key, public_key=str(public))
    else:
        issuer = options.issuer or signing.GITHUB_ISSUER
        yield Signer(
            cosign,
            public_key=options.verify_key or "",
            identity=options.identity or "",
            issuer=issuer,
        )


def _score(name: str, tag: str) -> bool:
    return not _verify([name], options=[f"{name}={tag}"], k=_SCORES)


def _verify(images: Sequence[str], options: Sequence[str] = (), k: str = "") -> int:
    return verify.run(
        Namespace(
            images=list(images),
            as_images=list(options),
            list_properties=False,
            suite="images",
            require="all",
            k=k,
            m="",
            x=False,
        )
    )


def show(prepared: Sequence[Prepared]) -> None:
    """Print what each tag names now, and will name, on stdout."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("image", "size", "layers", "digest", "tag", ""):
        table.add_column(heading, overflow="fold")
    for item in prepared:
        cells = [item.image.name, decimal(item.package.bytes), str(item.package.layers)]
        cells += [item.package.digest[:19]]
        for tag in item.tags.all:
            now = item.now.get(tag)
            state = "new" if not now else "stays" if tag not in item.moving else f"names {now[:19]}"
            table.add_row(*cells, tag, state)
            cells = [""] * len(cells)
    type(console)(highlight=False, width=console.width).print(table)


def _seconds(prepared: Sequence[Prepared]) -> None:
    """Print how long each part took."""
    for item in prepared:
        parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in item.seconds.items())
        say(f"publish: {item.image.name}: {decimal(item.package.bytes)}; {parts}")


def run(options: Namespace) -> int:
    """Publish images, or verify those that are published.

    Returns:
        0, or the exit code of pytest if an image is not valid.

    Raises:
        UserError: an option is missing, or an image cannot be published.
    """
    if not options.registry:
        raise UserError(
            "cannot publish",
            "no repository is named",
            "Name one: --registry HOST/NAME, with --sign-key FILE, --keyless or --unsigned.",
        )
    client.require()
    with signer(options, os.environ) as how:
        regctl = tools.find("regctl")
        _, releases = build.VARIABLES["FFMPEG"]
        publisher = Publisher(
            Repository(options.registry, regctl),
            regctl,
            how,
            options.compression,
            releases[0],
            datetime.now(UTC),
            options.move,
            {name: tree for name in ("libvmaf", "ffmpeg") if (tree := getattr(options, name))},
        )
        if options.verify_only:
            return _verify_only(publisher, options)
        with TemporaryDirectory(prefix="vmaf-publish-") as directory:
            return _publish(publisher, choose(options.images), Path(directory), options)


def _publish(
    publisher: Publisher, images: Sequence[Image], directory: Path, options: Namespace
) -> int:
    present = publisher.repository.tags()
    prepared = []
    for number, image in enumerate(images, 1):
        say(f"publish: packing {image.name}, {number} of {len(images)}")
        (directory / image.name).mkdir()
        prepared.append(publisher.prepare(image, present, directory / image.name))
    show(prepared)
    if options.dry_run:
        _seconds(prepared)
        return 0
    if status := _verify([image.name for image in images]):
        return status
    for number, item in enumerate(prepared, 1):
        publish.check_unchanged(item)
        say(f"publish: pushing {item.image.name}, {number} of {len(prepared)}")
        publisher.push(item)
        publisher.check_published(item, _score)
    publisher.move_tags(prepared)
    _seconds(prepared)
    return 0


def _verify_only(publisher: Publisher, options: Namespace) -> int:
    """Verify, pull and run what the tags of the images name."""
    for image in choose(options.images):
        digest = publisher.repository.digest(image.tag.partition(":")[2])
        tag = f"{publish.PULLED}:{image.name}"
        with publisher.pulled(digest, tag):
            if not _score(image.name, tag):
                return 1
        say(f"{publisher.repository.name}@{digest} is valid")
    return 0
