"""Tell why the stages of a build ran, for the closing table and the report."""

from collections.abc import Mapping, Sequence

from scripts.buildkit.records import BuildRecord


def stage_causes(build: BuildRecord, builds: Sequence[BuildRecord]) -> Mapping[str, str]:
    """Return why each stage of a build ran, in a few words.

    It is empty if no step ran, if that is not recorded, or if the parser of Dockerfiles is not
    installed because there is no wheel of it for this platform.

    Args:
        build: the build.
        builds: the recorded builds.
    """
    steps = [step for stage in build.stages for step in stage.steps.items()]
    if all(step.cached for key, step in steps if key[:1].isdecimal()):
        return {}
    try:  # a build without work does not load the parsers
        from scripts.causes.explain import explain  # noqa: PLC0415
    except ImportError:
        return {}
    explanation = explain(build, builds)
    return explanation.stages() if explanation else {}
