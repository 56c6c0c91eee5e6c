"""The seconds of a build that an emulator took, for the closing table."""

from collections.abc import Mapping

from scripts.buildkit.records import BuildRecord
from scripts.dockerfile.project import Project


def stages(project: Project) -> frozenset[str]:
    """Return the names of the stages that run on the image's platform.

    A stage that a named context replaces counts where it is defined.
    """
    return frozenset(
        reference.name
        for reference, _ in project.stages()
        if reference.name not in project.contexts.get(reference.file, {})
        and not project.is_on_build_machine(reference)
    )


def seconds(build: BuildRecord, project: Project) -> Mapping[str, float]:
    """Return the seconds of the RUN instructions that were emulated, by stage.

    Stages whose instructions were all cached are left out.
    """
    names = stages(project) if build.platform else frozenset()
    found = {
        stage.name: sum(
            step.seconds for key, step in stage.steps.items() if " RUN " in key and not step.cached
        )
        for stage in build.stages
        if stage.name in names
    }
    return {name: total for name, total in found.items() if total}
