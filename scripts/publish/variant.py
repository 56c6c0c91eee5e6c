"""An image for one platform, packed: its layers, SBOM, provenance and corresponding source."""

import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.contents import sbom, sources
from scripts.contents.archive import Archive, SavedImage
from scripts.core.console import UserError
from scripts.engine import client
from scripts.images import platforms
from scripts.images.catalogue import Image
from scripts.publish import package, provenance, tags
from scripts.publish.package import Package
from scripts.publish.tags import Built


@dataclass
class Variant:
    """An image for one platform, which can be pushed."""

    image: Image
    id: str
    """The identifier of the image in the engine."""
    built: Built
    package: Package
    directory: Path
    """Has the package, the SBOM, the provenance and the corresponding source."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """The descriptor of the artifact with the corresponding source, when it is pushed."""


@dataclass(frozen=True)
class Packer:
    """How images are packed."""

    regctl: Path
    compression: str
    """One of `package.COMPRESSIONS`."""
    repository: str
    """The name of the repository to which the images will be pushed."""
    trees: Mapping[str, str] = field(default_factory=dict)
    """The source trees that images were built from, as for `sources.write`."""

    def pack(self, image: Image, directory: Path) -> Variant:
        """Read and pack an image.

        Args:
            image: the image, which the engine has.
            directory: an empty directory, which the result uses.

        Raises:
            UserError: the image is not built, is for another platform, or must not be published.
        """
        identity = client.image_id(image.tag)
        if not identity:
            raise UserError(
                f"cannot publish {image.name}",
                f"{image.tag} is not built",
                f"Run `{build_command(image)}`.",
            )
        with TemporaryDirectory(prefix="vmaf-image-") as name:
            saved = Path(name)
            archive = Archive(saved)
            archive.save(identity)
            contents = archive.image()
            built = Built.read(image.name, contents)
            check(image, built)
            components, _ = sbom.generate(image.tag, contents)
            result = directory / "image"
            packed = package.pack(self.regctl, saved, contents, self.compression, result)
            _write_source(image, contents, directory, self.trees)
        (directory / "sbom.json").write_text(components)
        write_provenance([built], self.repository, packed.digest, directory)
        return Variant(image, identity, built, packed, directory)


def build_command(image: Image) -> str:
    """Return the command that builds an image for its platform."""
    foreign = [name for name in image.platforms if name != platforms.native()]
    option = f" -- --platform {foreign[0]}" if len(image.platforms) == 1 and foreign else ""
    return f"nox -s {image.session}{option}"


def check(image: Image, built: Built) -> None:
    """Check that an image may be published.

    Raises:
        UserError: it may not, or it is not for the platform that its tag says.
    """
    what = f"cannot publish {image.name}"
    if image.platforms and built.platform not in image.platforms:
        raise UserError(
            what,
            f"{image.tag} is for {built.platform}, not for {image.platforms[0]}",
            f"Run `{build_command(image)}`.",
        )
    if reasons := tags.refusals(built):
        raise UserError(
            what, "\n".join(reasons), "docs/publish.md says which images may be published."
        )


def write_provenance(images: list[Built], repository: str, digest: str, directory: Path) -> None:
    """Write the provenance of a manifest or an index to predicate.json and provenance.json.

    Args:
        images: the image of the manifest, or those of the index.
        repository: the name of the repository.
        digest: the digest of the manifest or the index.
        directory: the directory for the files.
    """
    predicate = provenance.predicate(images, os.environ)
    statement = provenance.statement(repository, digest, predicate)
    for name, document in (("predicate", predicate), ("provenance", statement)):
        text = json.dumps(document, indent=1, sort_keys=True)
        (directory / f"{name}.json").write_text(text)


def _write_source(
    image: Image, contents: SavedImage, directory: Path, trees: Mapping[str, str]
) -> None:
    """Write the corresponding source of an image to source.tar, the same bytes each time."""
    written = directory / "source"
    sources.write(image.tag, contents, written, trees=trees, environment=os.environ)
    with tarfile.open(directory / "source.tar", "w") as tar:
        for path in sorted(written.rglob("*")):
            member = tar.gettarinfo(path, str(path.relative_to(directory)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            if path.is_file():
                with path.open("rb") as file:
                    tar.addfile(member, file)
