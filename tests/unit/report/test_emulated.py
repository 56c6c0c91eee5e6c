"""The seconds of a build that an emulator took."""

import pytest
from msgspec.structs import replace

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.dockerfile import project
from scripts.report import emulated
from scripts.report.summary import comparable, summary
from tests.support.builds import record


def stage(name: str, *, cached: bool = False) -> StageRecord:
    """Return a stage with an instruction that ran for 30 s, and one that copied for 1 s."""
    steps = {"1/2 RUN apt": StepRecord(30.0, cached), "2/2 COPY /out": StepRecord(1.0, cached)}
    return StageRecord(name, ["cpu"], 31.0, cached, steps=steps)


def build(platform: str, *stages: StageRecord) -> BuildRecord:
    """Return the record of a build for a platform; for the machine's own if it is empty."""
    options = {"platform": platform} if platform else {}
    return replace(record(), options=options, stages=list(stages))


def test_stages_on_the_images_platform_are_emulated() -> None:
    """The last stages and their base are on the image's platform, and those that compile are not.

    A stage that another Dockerfile gets as a named context is where it is defined.
    """
    stages = emulated.stages(project.of_repository())
    assert {"base", "runtime", "final-cpu", "final-go-server", "final-ffmpeg"} <= stages
    others = {"tools", "toolchain", "ffmpeg-cpu", "libvmaf-cpu", "assembly-cpu", "server"}
    assert not others & stages


def test_seconds_are_of_emulated_programs() -> None:
    """Only programs count that ran in a stage on a foreign platform."""
    found = project.of_repository()
    stages = [stage("final-cpu"), stage("ffmpeg-cpu"), stage("runtime", cached=True)]
    assert emulated.seconds(build("linux/arm64", *stages), found) == {"final-cpu": 30.0}
    assert emulated.seconds(build("", *stages), found) == {}


def test_table_shows_the_emulated_seconds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """The closing table has a line with the emulated seconds, if there are any."""
    summary(record(), emulated={"final-cpu": 30.0, "runtime": 2.5})
    assert "emulated: 32.5 s (final-cpu 30.0 s, runtime 2.5 s)" in capsys.readouterr().err
    summary(record())
    assert "emulated" not in capsys.readouterr().err


def test_hit_rates_are_compared_with_builds_for_the_same_platform() -> None:
    """The compiler cache of a foreign platform is another one."""
    native, foreign = build(""), build("linux/arm64")
    assert comparable(foreign, foreign)
    assert not comparable(foreign, native)
