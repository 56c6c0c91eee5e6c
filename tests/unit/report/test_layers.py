"""Tests of scripts/report/layers.py."""

import json

from scripts.report import layers

MADE_BY = [
    "COPY --chown=0:0 /out/runtime/ / # buildkit",
    "ENV A=b",
    "COPY --chown=0:0 /out/runtime/ / # buildkit",
    "RUN |1 TARGETARCH=amd64 /bin/sh -c ldconfig # buildkit",
    "RUN /bin/sh -c xargs /run/recipes/apt.sh install </run/packages # buildkit",
    "COPY --from=x /a /b",
    "ADD build/bootstrap/rootfs-amd64.tar / # buildkit",
]
HISTORY = "\n".join(
    json.dumps({"Size": "0" if "ENV" in how else "5", "CreatedBy": how}) for how in MADE_BY
)


def test_layers_are_named_by_their_source_stage() -> None:
    """The build's steps give names to layers whose COPY instructions are equal in the history."""
    copy = "COPY --from={} --chown=0:0 /out/runtime/ /"
    steps = [f"10/10 {copy.format('libvmaf-cpu')}", f"2/10 {copy.format('ffmpeg-cpu')}", "9/10 RUN"]
    names = [layer.name for layer in layers.read_history(HISTORY, steps)]
    assert names == ["base", "/a", "packages", "ldconfig", "ffmpeg-cpu", "libvmaf-cpu"]


def test_layers_without_a_build_are_named_by_their_path() -> None:
    """A copied layer without the steps of its build has the name of the copied path."""
    assert layers.read_history(HISTORY)[-1].name == "/out/runtime/"
