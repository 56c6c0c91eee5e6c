"""`nox -s engine`: find a Docker Engine, or install and start one."""

from argparse import Namespace
from pathlib import Path

from scripts.core.console import say
from scripts.engine import client, daemon, debian, emulation, host


def run(options: Namespace) -> int:
    """Describe, stop or provide the engine, or remove emulators, as the options request.

    Raises:
        UserError: no engine answers and none can be started, or it is too old.
    """
    if options.stop:
        daemon.stop()
        return 0
    if options.remove_emulation:
        emulation.remove()
        return 0
    if options.status:
        print(daemon.status())
        return 0
    data_root = Path(options.data_root).resolve() if options.data_root else None
    here = host.probe()
    try:
        engine = client.query()
    except client.NoEngineError as no_answer:
        engine = daemon.provide(no_answer, here, data_root)
    if not engine.buildx and here.root and here.uses_apt:
        debian.install(["docker-buildx"], here)
        engine = client.query()
    client.check(engine)
    daemon.check_data_root(engine, data_root)
    debian.install_compose(here)
    say(f"{engine}: answers, {daemon.origin(engine)}")
    daemon.hint_at_collection(engine)
    return 0
