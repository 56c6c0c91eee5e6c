"""Plant one fault after the other on builds of an image."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.core import process
from scripts.core.console import UserError, say
from scripts.core.paths import ROOT
from scripts.faults import artefacts, building
from scripts.faults.building import Built
from scripts.faults.faults import FAULTS, Fault
from scripts.faults.verdict import Disturbed, Row
from scripts.faults.victim import DIRECTORY, WARM, Victim


def choose(names: Sequence[str]) -> list[type[Fault]]:
    """Return the faults with these names, or all of them.

    Raises:
        UserError: there is no fault of that name.
    """
    by_name = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in names if name not in by_name]:
        raise UserError("no such fault", f"`{unknown[0]}`", f"Choose: {', '.join(by_name)}.")
    return [by_name[name] for name in names] or list(FAULTS)


@dataclass
class _Watch:
    """Strikes once enough compilers ran."""

    fault: Fault
    victim: Victim
    planted: str = ""

    def __call__(self) -> None:
        """Look at the processes of the build, and strike if it is time."""
        after = self.fault.strikes_after
        if after is not None and not self.planted and self.victim.look() >= after:
            self.planted = self.fault.strike(self.victim)


def plant(fault: Fault, victim: Victim) -> Row:
    """Plant a fault, build, repair what the fault broke, and build again.

    Raises:
        UserError: a cold build for the comparison failed.
    """
    say(f"faults: {fault.name}: {fault.what}")
    row = Row(fault.name, fault.what, tuple(fault.errors))
    namespace = fault.name if fault.cold else WARM
    row.planted = fault.plant(victim)
    if fault.every_step:
        victim.forget_layers()
    victim.compiled.clear()
    watch = _Watch(fault, victim, row.planted)
    requests = [
        victim.request(f"{fault.name}-{edit or 'disturbed'}", namespace, edit)
        for edit in fault.edits
    ]
    try:
        builds = building.together(requests, watch)
        row.planted = watch.planted
        row.without_effect = fault.without_effect()
    finally:  # also on Ctrl-C, as some faults plant files in the checkout
        fault.repair(victim)
    row.restarted = victim.revive()
    for built in builds:
        say(f"faults: {fault.name}: {built.error.splitlines()[0] if built.error else 'built'}")
    following = victim.build(f"{fault.name}-next", namespace)
    row.next_seconds, row.next_error = following.seconds, following.error
    if following.succeeded:
        row.differences = _differences(victim, following)
        row.verified = verify(following)
    # Only now, as a cold build uses the builder.
    for built, edit in zip(builds, fault.edits, strict=True):
        differences = _differences(victim, built, edit) if built.succeeded else []
        row.disturbed.append(Disturbed(built.seconds, built.error, built.in_words, differences))
    say(f"faults: {fault.name}: {'survived' if row.survived else '; '.join(row.problems)}")
    return row


def _differences(victim: Victim, built: Built, edit: str = "") -> list[str]:
    return artefacts.differences(victim.cold(edit), artefacts.of_image(built.request.tag))


def verify(built: Built) -> bool:
    """Return whether an image has the properties that `nox -s verify-images` tests."""
    request = built.request
    command = [sys.executable, "-m", "scripts.cli", "verify", request.image]
    command.append(f"--as={request.image}={request.tag}")
    environment = {name: value for name, value in os.environ.items() if name != "BUILDX_BUILDER"}
    log = DIRECTORY / "logs" / "verify.log"
    return not process.run_logged(*command, log=log, cwd=ROOT, env=environment)
