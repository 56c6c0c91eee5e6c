"""`nox -s build` and `nox -s build-IMAGE`: build images and print the closing table.

`--workers` builds on several builders at the same time.
"""

import time
from argparse import Namespace
from collections.abc import Mapping

from scripts.buildkit import cold, records
from scripts.core.console import UserError, say
from scripts.images import build, catalogue
from scripts.report import summary, workers
from scripts.report.causes import stage_causes
from scripts.workers import matrix

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
    if options.workers is not None:
        built = _on_workers(images, options)
    else:
        built = build_and_report([image.name for image in images], options).targets
    for image in images:
        if image.name in built and (arguments := EXAMPLES.get(image.entry)):
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


def _on_workers(images: list[catalogue.Image], options: Namespace) -> list[str]:
    """Build images on the workers, print the closing table, and return the names of the images.

    Raises:
        UserError: an option is invalid, or an image was not built.
    """
    if options.builder:
        raise UserError(
            "cannot build on several workers",
            "--builder names one builder",
            f"Add it to the others instead: --workers {options.workers},{options.builder}",
        )
    requested = {"libvmaf": options.libvmaf, "ffmpeg": options.ffmpeg}
    begin = time.monotonic()
    results = matrix.build_all(
        images,
        matrix.workers(options.workers),
        trees={project: location for project, location in requested.items() if location},
        arguments=[f"--namespace={options.namespace}"] if options.namespace else [],
    )
    workers.summary(results, time.monotonic() - begin)
    if failed := [result for result in results if result.error]:
        raise UserError(
            f"{len(failed)} of {len(results)} images were not built",
            "\n".join(f"{result.image}: {result.error}" for result in failed),
            "The other images are built. The logs: "
            + ", ".join(str(result.log) for result in failed if result.log),
        )
    return [result.image for result in results]


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
    if reason := cold.take(latest.namespace):
        latest.not_loaded = reason
        latest.write()
    drops = summary.hit_rate_drops(latest, earlier)
    emulated = _emulated(latest) if latest.platform else {}
    summary.summary(latest, drops, stage_causes(latest, earlier), emulated)
    return latest


def _emulated(latest: records.BuildRecord) -> Mapping[str, float]:
    """Return the seconds that were emulated; none where the parser of Dockerfiles is missing."""
    try:
        from scripts.dockerfile import project  # noqa: PLC0415 # has no wheel for some platforms
        from scripts.report import emulated  # noqa: PLC0415
    except ImportError:
        return {}
    return emulated.seconds(latest, project.of_repository())
