"""`nox -s sources -- IMAGE`: write the corresponding source of an image."""

import os
import re
from argparse import Namespace
from pathlib import Path

from scripts.contents import sources
from scripts.contents.archive import saved_image
from scripts.core.console import UserError, say
from scripts.core.paths import RECORDS
from scripts.engine import client
from scripts.images import catalogue


def run(options: Namespace) -> int:
    """Write the source of each image to build/sources/IMAGE, or of one image to --output.

    Raises:
        UserError: no image is named, an image does not exist, its source cannot be written, or
            --output would get the sources of several images.
    """
    tags = catalogue.tags(options.images)
    if options.output and len(tags) > 1:
        raise UserError(
            "cannot write the sources of several images",
            "--output names one directory",
            "Name one image, or leave out --output to write a directory for each image.",
        )
    client.require()
    trees = {
        project: location
        for project in ("libvmaf", "ffmpeg")
        if (location := getattr(options, project))
    }
    for tag in tags:
        name = re.sub(r"[^\w.-]+", "_", tag.removeprefix("vmaf:"))
        directory = Path(options.output or RECORDS / "sources" / name).absolute()
        with saved_image(tag) as (_, saved):
            written = sources.write(tag, saved, directory, trees=trees, environment=os.environ)
        size = sum(path.stat().st_size for path in written)
        say(f"the source of {tag}, {len(written)} files, {size / 10**6:,.1f} MB: {directory}")
    return 0
