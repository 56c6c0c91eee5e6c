"""`nox -s build` and `nox -s build-IMAGE`: build images and print the closing table."""

from argparse import Namespace

from scripts.buildkit import cold, records
from scripts.core.console import UserError, say
from scripts.images import build, catalogue
from scripts.report import summary

EXAMPLES = {
    "vmaf": '-v "$PWD:/data" {} -r ref.y4m -d dist.y4m',
    "ffmpeg": '-v "$PWD:/data" {} -i dist.mp4 -i ref.mp4 -lavfi libvmaf -f null -',
    "vmaf-server": "-p 8080:8080 -p 9090:9090 {}",
}
"""Example arguments of `docker run` for an image, by its entry point."""


def run(options: Namespace) -> int:
    """Build the requested images, or all of them.

    Raises:
        UserError: a name is unknown, or the build failed.
    """
    images = catalogue.choose([options.only] if options.only else options.images)
    if options.only and options.images and len(options.sessions) == 1:
        _reject_others(options.only, options.images)
    latest = build_and_report([image.name for image in images], options)
    for image in images:
        if image.name in latest.targets and (arguments := EXAMPLES.get(image.entry)):
            say(f"try it: docker run --rm {arguments.format(image.tag)}")
    return 0


def _reject_others(only: str, named: list[str]) -> None:
    """Reject the names of other images after `nox -s build-cpu --`.

    Raises:
        UserError: another image is named.
    """
    if others := [name for name in named if name != only]:
        raise UserError(
            f"build-{only} builds {only} only",
            f"{', '.join(others)} is requested as well",
            f"Run `nox -s build -- {' '.join(dict.fromkeys([only, *named]))}`.",
        )


def build_and_report(targets: list[str], options: Namespace) -> records.BuildRecord:
    """Build bake targets, print the closing table and return the record of the build.

    Raises:
        UserError: an option is invalid, the engine is unsuitable, or a stage failed.
    """
    earlier = records.records()
    latest = build.build(
        targets,
        libvmaf=options.libvmaf,
        ffmpeg=options.ffmpeg,
        namespace=options.namespace or "",
        expected=records.lookups_by_stage(earlier),
    )
    drops = summary.hit_rate_drops(latest, earlier)
    summary.summary(latest, drops, cold.take(latest.namespace))
    return latest
