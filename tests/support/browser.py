"""A browser without a screen, driven from here: what the server's page is tested with.

Playwright's own Chromium comes from a place that a machine may not reach;
Debian's comes from the mirror that all else is made of. It runs in a container,
on the host's network, where the server's loopback port is.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.support.derived import Derived
from tests.support.subject import Subject, docker

PATIENCE = 30
"""Seconds that it may take to start."""

WORDS = (
    "--no-sandbox",  # the container is one
    "--disable-dev-shm-usage",  # and its /dev/shm is small
    "--remote-debugging-port=0",
)


@contextmanager
def browsing(image: Subject) -> Iterator[Browser]:
    """Yield a browser; skips the test where no Debian mirror answers."""
    derived = Derived("chromium-headless-shell")
    started = ""
    try:
        tag = derived(image).tag
        options = ("--init", "--network=host", "--entrypoint=chromium-headless-shell")
        done = docker("run", "--detach", *options, tag, *WORDS)
        assert done.returncode == 0, done.stderr
        started = done.stdout.strip()
        with sync_playwright() as playwright:
            yield playwright.chromium.connect_over_cdp(_address(started))
    finally:
        docker("rm", "--force", started)
        derived.close()


def _address(container: str) -> str:
    """Return where it wants to be driven, once it says so."""
    end = time.monotonic() + PATIENCE
    log = ""
    while time.monotonic() < end:
        log = docker("logs", container).stderr
        if said := re.search(r"DevTools listening on ws://([\w.:]+)/", log):
            return f"http://{said[1]}"
        time.sleep(0.1)
    raise AssertionError(f"the browser did not start in {PATIENCE} s:\n{log}")
