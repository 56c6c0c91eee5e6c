"""How the steps of a build are found in its record."""

import pytest

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.causes.graph import Node
from scripts.causes.matching import recorded
from scripts.dockerfile import parser
from tests.support.builds import STARTED

ADD = "ADD rootfs-$TARGETARCH.tar /"


def build(*shown: str) -> BuildRecord:
    """Return a build whose stage `base` had only one step, shown so by several targets."""
    steps = {
        f"1/1 {text}": StepRecord(float(number), cached=True) for number, text in enumerate(shown)
    }
    return BuildRecord(
        [], {}, "", STARTED, 1.0, "built", [StageRecord("base", steps=steps)], {}, []
    )


def node(text: str) -> Node:
    """Return the only step of the stage `base`."""
    (stage,) = parser.read(f"FROM scratch AS base\n{text}\n", "Dockerfile").stages
    return Node("target", "base", stage.instructions[0], (), text, ())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ADD, "ADD rootfs-arm64.tar /"),
        ("ADD rootfs-${TARGETARCH}.tar /", "ADD rootfs-arm64.tar /"),
        ("RUN a", "RUN a"),
    ],
)
def test_step_is_the_one_with_its_text(text: str, shown: str) -> None:
    """A step is found by its text, in which BuildKit has replaced variables of its own."""
    _, step = recorded(build("FROM vmaf:parent", shown, "RUN another"), node(text))
    assert step is not None
    assert step.seconds == 1.0


def test_other_text_is_another_step() -> None:
    """A text that differs outside of a variable is only taken if no other is there."""
    _, step = recorded(build("ADD rootfs-arm64.zip /", "ADD rootfs-arm64.tar /"), node(ADD))
    assert step is not None
    assert step.seconds == 1.0
