"""Rules on images and files from elsewhere."""

import re
from collections.abc import Iterator

from scripts.dockerfile.parser import Instruction
from scripts.dockerfile.project import Project
from scripts.policy.rule import Fault, rule


def _external(project: Project) -> Iterator[tuple[Instruction, str, bool]]:
    """Yield each FROM of an external image, the image, and whether it has an alias."""
    for (path, _), stage in project.places():
        origin = project.origin(path, stage.base, stage.start.line)
        if isinstance(origin, str) and origin != "scratch":
            yield stage.start, origin, len(stage.start.words) == 3  # noqa: PLR2004


def _is_pinned(image: str) -> bool:
    """Whether a reference has a digest, or a tag with an exact version in it."""
    if re.search(r"@sha256:[0-9a-f]{64}$", image):
        return True
    tag = image.rpartition("/")[2].partition(":")[2]
    return bool(re.search(r"\d+\.\d+\.\d+|\d{8}", tag))


@rule("a tag that moves builds another image tomorrow")
def image_pinned(project: Project) -> Iterator[Fault]:
    """External images are named by digest or by an exact version."""
    for start, image, _ in _external(project):
        if "$" not in image and not _is_pinned(image):
            yield start, f"{image} is no stage or context, and no exact version of an image"
    for image, overlay in project.substitutes.items():
        if not _is_pinned(image):
            lines = project.texts[overlay].splitlines()
            line = next((n for n, text in enumerate(lines, 1) if image in text), 1)
            yield (overlay, line), f"{image} is no exact version"


@rule("a version written twice is a version that parts")
def image_alias_once(project: Project) -> Iterator[Fault]:
    """An external image is named in one FROM, which gives it an alias."""
    seen: dict[tuple[str, str], Instruction] = {}
    for start, image, aliased in _external(project):
        first = seen.setdefault((start.file, image), start)
        if first is not start:
            yield (
                start,
                f"{image} is named here and on line {first.line}: use the first one's alias",
            )
        elif not aliased:
            yield start, f"{image} has no alias"


@rule("an image named in passing is one that nobody updates")
def copy_from_alias(project: Project) -> Iterator[Fault]:
    """--from names a stage or a named context, never an image."""
    for (path, _), stage in project.places():
        names = {str(n): s.name for n, s in enumerate(project.files[path].stages)}
        for one in stage.instructions:
            origins = [one.flag("from")] if one.name in {"COPY", "ADD"} else []
            origins += [mount.get("from") for mount in one.mounts]
            for origin in filter(None, origins):
                name = names.get(origin, origin)
                if isinstance(project.origin(path, name, one.line), str):
                    yield one, f"it takes files from {origin}, which is no stage of this file"


@rule("a file that changes at its source changes the image unseen")
def add_checksum(project: Project) -> Iterator[Fault]:
    """ADD of a URL carries a checksum."""
    for _, stage in project.places():
        for one in stage.instructions:
            remote = one.name == "ADD" and re.match(r"(https?|git|ssh)(://|@)", one.words[0])
            if remote and not one.flag("checksum"):
                yield one, f"{one.words[0]} is added without --checksum"
