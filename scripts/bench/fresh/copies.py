"""Dockerfiles that copy cache mounts into a layer and back, as others do.

Each mount has a step of its own: steps with several locked mounts could wait for each other.
"""

from collections.abc import Sequence

from scripts.caches.program import Mount
from scripts.images import bases

_OUT = "/caches"


def _step(mount: Mount, command: str, *mounts: str) -> str:
    # STAMP differs in each build, so that no step is cached.
    options = " ".join(f"--mount={text}" for text in (_options(mount), *mounts))
    return f"RUN {options} : $STAMP && {command}"


def _options(mount: Mount) -> str:
    """Return the options of the mount, with the id of this architecture."""
    return mount.declaration.options.replace(mount.declaration.id, mount.id)


def out(mounts: Sequence[Mount]) -> str:
    """Return a Dockerfile whose image has the mounts, each in a directory with its id."""
    steps = [
        _step(mount, f"mkdir -p {_OUT}/{mount.id} && cp -a {target}/. {_OUT}/{mount.id}/")
        for mount, target in _targets(mounts)
    ]
    head = [f"FROM {bases.BASE} AS copied", "ARG STAMP"]
    return "\n".join([*head, *steps, "FROM scratch", f"COPY --from=copied {_OUT}/ /\n"])


def back(mounts: Sequence[Mount], source: str) -> str:
    """Return a Dockerfile that copies the directories into the mounts.

    Args:
        mounts: the mounts.
        source: an image with the directories; empty if they are in the context, whose files
            belong to root in the build, so that their owner is restored.
    """
    steps = []
    for mount, target in _targets(mounts):
        command = f"cp -a {_OUT}/. {target}/"
        if not source:
            owner = f"{mount.key['uid']}:{mount.key['gid']}"
            command += f" && chown -R {owner} {target}"
        bind = f"type=bind,{f'from={source},' if source else ''}source=/{mount.id},target={_OUT}"
        steps.append(_step(mount, command, bind))
    return "\n".join([f"FROM {bases.BASE}", "ARG STAMP", *steps, ""])


def _targets(mounts: Sequence[Mount]) -> list[tuple[Mount, str]]:
    return [(mount, mount.declaration.mount.target) for mount in mounts]
