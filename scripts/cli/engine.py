"""`nox -s engine`: find a Docker Engine, or install and start one."""

from argparse import Namespace
from pathlib import Path

from scripts.core.console import say
from scripts.engine import client


def run(options: Namespace) -> int:
    """Describe, stop or provide the engine, as the options request.

    Raises:
        UserError: no engine answers and none can be started, or it is too old.
    """
    if options.stop:
        client.stop()
        return 0
    if options.status:
        print(client.status())
        return 0
    data_root = Path(options.data_root).resolve() if options.data_root else None
    host = client.probe_host()
    try:
        engine = client.ask()
    except client.NoEngineError as silence:
        engine = client.provide(silence, host, data_root)
    if not engine.buildx and host.root and host.debian:
        client.install(["docker-buildx"], host)
        engine = client.ask()
    client.check(engine)
    client.check_data_root(engine, data_root, ours=client.is_ours(engine))
    client.provide_compose(host)
    say(f"{engine}: answers, {client.origin(engine)}")
    client.advise(engine)
    return 0
