"""Recorded builds of a small project, with the inputs that each was made from."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from scripts.buildkit.builder import Builder
from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.causes import store
from scripts.causes.graph import Graph, Node
from scripts.causes.inputs import Inputs, Target, normalized
from tests.support.builds import BUILDER, STARTED

DOCKERFILE = (
    Path(__file__).parents[1] / "unit" / "causes" / "fixtures" / "project.txt"
).read_text()
TREE = "/cache/libvmaf-1"
LABELS = (
    "toolchain 1/1",
    "libvmaf 1/1",
    "ffmpeg 1/1",
    "final 1/2",
    "final 2/2",
)
"""The steps of the target `image`, in their order."""


@dataclass
class Sources:
    """What a build is made from; a test edits it between builds."""

    dockerfile: str = DOCKERFILE
    files: dict[str, str] = field(
        default_factory=lambda: {"docker/libvmaf.sh": "644 1", "docker/other.sh": "644 1"}
    )
    """The manifest of the checkout."""
    tree: dict[str, str] = field(
        default_factory=lambda: {"src/picture.c": "644 1", "src/score.c": "644 1"}
    )
    """The manifest of the libvmaf tree."""
    arguments: dict[str, str | None] = field(default_factory=lambda: {"LEVEL": "1"})
    contexts: dict[str, str] = field(default_factory=lambda: {"libvmaf-source": TREE})
    base: str = "sha256:1"

    def inputs(self) -> Inputs:
        """Return the inputs of a build of the target `image`; store what they refer to."""
        target = Target(target="final", args=self.arguments, contexts=self.contexts)
        return Inputs(
            targets={"image": target},
            dockerfiles={"Dockerfile": store.put(self.dockerfile.encode())},
            contexts={
                directory: store.put(msgspec.json.encode(files, order="sorted"))
                for directory, files in ((".", self.files), (TREE, self.tree))
            },
            images={normalized("vmaf-why-test:parent"): self.base},
        )


@dataclass
class History:
    """Builds, the oldest first."""

    builds: list[BuildRecord] = field(default_factory=list)

    def build(
        self,
        sources: Sources,
        *ran: str,
        failed: str = "",
        skipped: tuple[str, ...] = (),
        builder: Builder = BUILDER,
        target: str = "image",
    ) -> BuildRecord:
        """Record a build a minute after the last one.

        Args:
            sources: what it is made from.
            ran: the labels of the steps that ran; the others were cached.
            failed: the label of the step that failed.
            skipped: the labels of the steps that were not started.
            builder: the builder.
            target: the name of the target.
        """
        inputs = sources.inputs()
        inputs.targets = {target: inputs.targets["image"]}
        stages: dict[str, StageRecord] = {}
        for node in Graph(inputs).nodes(target):
            label = _label(node)
            if label in skipped or node.index < 0:
                continue
            stage = stages.setdefault(node.stage, StageRecord(node.stage))
            key = f"{label.rpartition(' ')[2]} {node.expanded}"
            cached = label not in {*ran, failed}
            stage.steps[key] = StepRecord(1.0, cached=cached, failed=label == failed)
        build = BuildRecord(
            targets=[target],
            options={},
            namespace="",
            started=STARTED + timedelta(minutes=len(self.builds)),
            seconds=5.0,
            outcome="failed" if failed else "built",
            stages=list(stages.values()),
            sizes={},
            warnings=[],
            builder=builder,
            inputs=store.put(msgspec.json.encode(inputs, order="sorted")),
        )
        self.builds.append(build)
        return build

    def forget_inputs(self) -> None:
        """Make the builds those of a version that did not record the inputs."""
        self.builds = [replace(build, inputs="") for build in self.builds]


def _label(node: Node) -> str:
    return f"{node.stage} {node.index + 1}/{node.count}"
