"""Remove the images, cache mounts and files that a run of the rebuild bench created."""

import re
import shutil

from scripts.bench.builds import TAGS
from scripts.bench.session import DIRECTORY, Session
from scripts.core import process
from scripts.core.console import say


def clean_up(session: Session) -> None:
    """Remove the images, layers, cache mounts and files of a run."""
    tags = process.output("docker", "images", "--format={{.Repository}}:{{.Tag}}", f"{TAGS}/*")
    if tags.split():
        process.run("docker", "image", "rm", *tags.split())
    listing = process.output("docker", "buildx", "du", "--verbose")
    if records := builder_records(listing, f"bench-{session.run.name}-"):
        id_filter = f'--filter=id="{"|".join(records)}"'
        say(f"rebuild: removing {len(records)} records of this run from the builder")
        process.run("docker", "buildx", "prune", "--force", id_filter)
    for name in ("trees", "sources", "registry"):
        shutil.rmtree(DIRECTORY / name, ignore_errors=True)


def builder_records(listing: str, namespace: str) -> list[str]:
    """Return the ids of a run's records in the output of `docker buildx du --verbose`.

    The cache mounts have the namespace of the run. The layers are descendants of a base image that
    has the marker of the run.
    """
    parents: dict[str, set[str]] = {}
    records = set()
    for record in listing.split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w ]*):\s*(.*)$", record, re.MULTILINE))
        if "ID" not in fields:
            continue
        name, description = fields["ID"].rstrip("*"), fields.get("Description", "")
        parents[name] = set(re.findall(r"\w+", fields.get("Parent", "")))
        patterns = (
            rf'^cached mount .* with id "/?{namespace}[^"]*"$',
            rf"COPY --from={namespace}\S* \. /$",
        )
        if any(re.search(pattern, description) for pattern in patterns):
            records.add(name)
    while children := {name for name, ids in parents.items() if ids & records} - records:
        records |= children
    return sorted(records)
