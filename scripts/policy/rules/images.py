"""Rules on images and files from elsewhere."""

import re
from collections.abc import Iterator

from scripts.dockerfile.parser import Instruction, Stage
from scripts.dockerfile.project import ExternalImage, Project
from scripts.policy.rule import Fault, Scope, rule

_REMOTE = re.compile(r"(https?|git|ssh)(://|@)")
_COMMIT = re.compile(r".*#[0-9a-f]{40}(:.*)?")


def _on_external_images(project: Project) -> Iterator[tuple[Stage, str]]:
    """Yield each stage that builds on an external image, with the image."""
    for reference, stage in project.stages():
        origin = project.resolve(stage.base, reference.file, stage.start.line)
        if isinstance(origin, ExternalImage) and origin.reference != "scratch":
            yield stage, origin.reference


def _is_pinned(image: str) -> bool:
    """Whether a reference has a digest, or a tag that contains an exact version."""
    if re.search(r"@sha256:[0-9a-f]{64}$", image):
        return True
    tag = image.rpartition("/")[2].partition(":")[2]
    return bool(re.search(r"\d+\.\d+\.\d+|\d{8}", tag))


@rule("A tag that moves changes the images without a commit.", Scope.PROJECT)
def image_pinned(project: Project) -> Iterator[Fault]:
    """External images have a digest or an exact version, in Dockerfiles and bake files."""
    for stage, image in _on_external_images(project):
        if "$" not in image and not _is_pinned(image):
            yield stage.start, f"{image} is neither a stage, nor a context, nor an exact version"
    for image, overlay in project.replacement_images.items():
        if not _is_pinned(image):
            lines = project.texts[overlay].splitlines()
            line = next((n for n, text in enumerate(lines, 1) if image in text), 1)
            yield (overlay, line), f"{image} is not an exact version"


@rule("An update could overlook a second FROM.", Scope.PROJECT)
def image_alias_once(project: Project) -> Iterator[Fault]:
    """An external image is in one FROM, which gives it an alias."""
    first_uses: dict[tuple[str, str], Instruction] = {}
    for stage, image in _on_external_images(project):
        first = first_uses.setdefault((stage.start.file, image), stage.start)
        if first is not stage.start:
            message = f"{image} is named here and on line {first.line}: use the alias of that line"
            yield stage.start, message
        elif not stage.is_named:
            yield stage.start, f"{image} has no alias"


@rule("Updates of base images overlook an image in `--from`.", Scope.ANY)
def copy_from_alias(project: Project) -> Iterator[Fault]:
    """`--from` names a stage or a named context, not an image."""
    for reference, stage in project.stages():
        for instruction in stage.instructions:
            is_copy = instruction.name in {"COPY", "ADD"}
            names = [instruction.flag("from")] if is_copy else []
            names += [mount.get("from") for mount in instruction.mounts]
            for name in filter(None, names):
                origin = project.resolve(name, reference.file, instruction.line)
                if isinstance(origin, ExternalImage):
                    message = f"it takes files from {name}, which is not a stage of this file"
                    yield instruction, message


@rule("The file behind a URL may change.", Scope.ANY)
def add_checksum(project: Project) -> Iterator[Fault]:
    """ADD of a URL has a checksum, or a commit in the URL."""
    for _, stage in project.stages():
        for instruction in stage.instructions:
            for source in instruction.arguments[:-1] if instruction.name == "ADD" else ():
                is_pinned = instruction.flag("checksum") or _COMMIT.fullmatch(source)
                if _REMOTE.match(source) and not is_pinned:
                    yield instruction, f"{source} is added without --checksum"
