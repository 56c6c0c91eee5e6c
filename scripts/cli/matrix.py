"""`nox -s matrix`: print the jobs of a workflow that builds images, for GitHub Actions."""

from argparse import Namespace

import msgspec

from scripts.core.files import append
from scripts.images import jobs


def run(options: Namespace) -> int:
    """Print the jobs as JSON; with --output, add them to the file of a step's outputs.

    An argument may name several images, as an input of a workflow does.

    Raises:
        UserError: a name is not in the bake file, or the file cannot be written.
    """
    names = " ".join(options.images).split()
    found = jobs.jobs(names, redistributable=options.redistributable)
    if options.output:
        fields = msgspec.structs.asdict(found).items()
        append(options.output, "".join(f"{name}={_json(value)}\n" for name, value in fields))
    else:
        print(msgspec.json.format(_json(found), indent=2))
    return 0


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
