"""Run programs in the background that listen on a TCP port of this machine's loopback."""

import ipaddress
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from scripts.core import process
from scripts.core.console import UserError

TIMEOUT_SECONDS = 60
"""The timeout in seconds for the start and the end of a program."""


def free_port() -> int:
    """Return a TCP port on loopback that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, is this machine."""
    name = re.sub(r":\d+$", "", host).strip("[]")
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def start(command: Sequence[str], log: Path, **variables: str) -> process.Popen[bytes]:
    """Start a program in the background, with its output in a log; Ctrl-C does not stop it.

    Args:
        command: the program and its arguments.
        log: the file that gets its output.
        variables: additional environment variables.
    """
    environment = {**process.environment(), "OTEL_TRACES_EXPORTER": "none", **variables}
    return process.start_daemon(*command, log=log, env=environment)


@contextmanager
def daemon(command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program in the background, with its output in a log; Ctrl-C does not stop it."""
    child = start(command, log)
    try:
        yield
    finally:
        process.end(child, TIMEOUT_SECONDS)


def listens(port: int) -> bool:
    """Return whether a program listens on a TCP port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait(port: int, log: Path) -> None:
    """Wait until a program listens on a port.

    Raises:
        UserError: no program listens within `TIMEOUT_SECONDS` seconds.
    """
    until_it_listens = Retrying(
        retry=retry_if_result(lambda answer: not answer),
        stop=stop_after_delay(TIMEOUT_SECONDS),
        wait=wait_fixed(0.2),
    )
    try:
        until_it_listens(listens, port)
    except RetryError:
        raise UserError(
            "a program in the background does not answer",
            f"nothing answers on port {port}\n{process.last_lines(log)}",
            f"The full log is {log}.",
        ) from None
