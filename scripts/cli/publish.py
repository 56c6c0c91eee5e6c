"""`nox -s publish -- [IMAGE] --registry HOST/NAME`: verify images, push and sign them."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.filesize import decimal
from rich.table import Table

from scripts.core import process
from scripts.core.console import UserError, console, say
from scripts.core.paths import ROOT
from scripts.engine import client
from scripts.images import build, catalogue, platforms
from scripts.images.catalogue import Image
from scripts.publish import index, publish, signing, tools
from scripts.publish.publish import Prepared, Publisher
from scripts.publish.registry import Repository
from scripts.publish.signing import Signer

_SCORES = "test_score or test_server"
"""The tests that an image must pass after it was pulled back."""


def choose(names: Sequence[str]) -> list[Image]:
    """Return the named images; by default all whose label does not forbid it.

    With several platforms, these are the images that have one of them.
    """
    several = len(platforms.requested(os.environ)) > 1
    images = catalogue.choose(names or (catalogue.images() if several else ()))
    if names:
        return images
    for image in images:
        if not image.redistributable:
            say(f"publish: without {image.name}, which must not be passed on")
    return [image for image in images if image.redistributable]


def variants(images: Sequence[Image], requested: Sequence[str]) -> list[list[Image]]:
    """Return each image as it is built for each requested platform that it has.

    Raises:
        UserError: an image has none of the platforms.
    """
    found = []
    for image in images:
        of = {name: catalogue.of_platform(name).get(image.name) for name in requested}
        if not any(of.values()):
            raise UserError(
                f"cannot publish {image.name}",
                f"it is not for {' and '.join(requested)}",
                f"Name its platform as well: --platform {','.join(platforms.KNOWN)}.",
            )
        if missing := [name for name, variant in of.items() if not variant]:
            say(f"publish: {image.name} is not for {' and '.join(missing)}, and gets no index")
        found.append([variant for variant in of.values() if variant])
    return found


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


def _score(image: Image, tag: str) -> bool:
    """Score video with a tag of the engine, which is an image for one platform."""
    return not _verify([image], f"--as={image.name}={tag}", "-k", _SCORES)


def _verify(images: Sequence[Image], *arguments: str) -> int:
    """Run the tests of images that are for the same platform; return the exit status.

    The tests are a program of their own, as they read the platform from the environment.
    """
    return process.run_shown(
        *(sys.executable, "-m", "scripts.cli", "verify", *(image.name for image in images)),
        *(f"--platform={images[0].platforms[0]}", "--require=all", *arguments),
        cwd=ROOT,
    )


def verify_all(images: Sequence[Sequence[Image]], requested: Sequence[str]) -> int:
    """Run all tests of all images, one platform after the other.

    Returns:
        0, or the exit status of the first tests that failed.

    Raises:
        UserError: this machine runs no programs for a platform.
    """
    for name in requested:
        of = [each for variants in images for each in variants if name in each.platforms]
        if of and not platforms.runs(name):
            platforms.provide(os.environ)
        if of and (status := _verify(of)):
            return status
    return 0


def show(prepared: Sequence[Prepared]) -> None:
    """Print what each tag names now, and will name, on stdout."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("image", "size", "layers", "digest", "tag", ""):
        table.add_column(heading, overflow="fold")
    for item in prepared:
        for each in item.variants:
            name = f"{item.name} {each.built.platform}" if item.index else item.name
            cells = [name, decimal(each.package.bytes), str(each.package.layers)]
            cells += [each.package.digest[:19]]
            if item.index:
                table.add_row(*cells, "", "")
        if item.index:
            cells = [f"{item.name} index", "", "", item.digest[:19]]
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
        size = sum(each.package.bytes for each in item.variants)
        say(f"publish: {item.name}: {decimal(size)}; {parts}")


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
    requested = platforms.to_publish(os.environ)
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
            return verify_only(publisher, options)
        with TemporaryDirectory(prefix="vmaf-publish-") as directory:
            images = variants(choose(options.images), requested)
            return _publish(publisher, images, Path(directory), options)


def _publish(
    publisher: Publisher, images: Sequence[Sequence[Image]], directory: Path, options: Namespace
) -> int:
    present = publisher.repository.tags()
    prepared = []
    for number, of in enumerate(images, 1):
        name = of[0].name
        say(f"publish: packing {name}, {number} of {len(images)}")
        (directory / name).mkdir()
        item = publisher.prepare(of, present, directory / name)
        if lost := publisher.lost(item):
            say(
                f"publish: warning: the tags of {name} are for {' and '.join(lost)} now, too, and "
                "will not be; --platform names all platforms"
            )
        prepared.append(item)
    show(prepared)
    if options.dry_run:
        _seconds(prepared)
        return 0
    if status := verify_all(images, platforms.to_publish(os.environ)):
        return status
    for number, item in enumerate(prepared, 1):
        publish.check_unchanged(item)
        say(f"publish: pushing {item.name}, {number} of {len(prepared)}")
        publisher.push(item)
        publisher.check_published(item, _score)
    publisher.move_tags(prepared)
    _seconds(prepared)
    return 0


def verify_only(publisher: Publisher, options: Namespace) -> int:
    """Verify, pull and run what the tags of the images name, of an index all platforms."""
    repository = publisher.repository
    for image in choose(options.images):
        digest = repository.digest(image.tag.partition(":")[2])
        listed = index.platforms(repository.manifest(digest))
        if listed and publisher.signer:
            publisher.signer.verify(repository, digest, signing.OF_INDEX)
        for name, manifest in (listed or {platforms.native(): digest}).items():
            variant = replace(image, platforms=(name,))
            tag = publish.pulled_tag(f"{image.tag}-{platforms.architecture(name)}")
            with publisher.pulled(manifest, tag):
                if not platforms.runs(name):
                    say(f"publish: {image.name} for {name} is not run: no emulator is registered")
                elif not _score(variant, tag):
                    return 1
        say(f"{repository.name}@{digest} is valid")
    return 0
