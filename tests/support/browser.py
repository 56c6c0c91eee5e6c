"""A headless browser for tests of HTML pages.

Chromium comes from the Debian mirror, because some machines cannot download Playwright's browsers.
It runs in a container with the host's network, to connect to the server's port on loopback.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tenacity
from playwright.sync_api import Browser, sync_playwright

from tests.support.derived import Derived
from tests.support.subject import Subject, docker

START_SECONDS = 30

ARGUMENTS = (
    "--no-sandbox",  # the container is the sandbox
    "--disable-dev-shm-usage",  # a container's /dev/shm is small
    "--remote-debugging-port=0",
)


@contextmanager
def browsing(image: Subject) -> Iterator[Browser]:
    """Yield a browser; skip the test if no Debian mirror is reachable."""
    derived = Derived("chromium-headless-shell")
    container = ""
    try:
        tag = derived(image).tag
        options = ("--init", "--network=host", "--entrypoint=chromium-headless-shell")
        started = docker("run", "--detach", *options, tag, *ARGUMENTS)
        assert started.returncode == 0, started.stderr
        container = started.stdout.strip()
        with sync_playwright() as playwright:
            yield playwright.chromium.connect_over_cdp(_address(container))
    finally:
        docker("rm", "--force", container)
        derived.close()


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(AssertionError),
    stop=tenacity.stop_after_delay(START_SECONDS),
    wait=tenacity.wait_fixed(0.1),
    reraise=True,
)
def _address(container: str) -> str:
    """Wait until the browser listens; return the address for Playwright."""
    log = docker("logs", container).stderr
    listening = re.search(r"DevTools listening on ws://([\w.:]+)/", log)
    assert listening, f"the browser did not start in {START_SECONDS} s:\n{log}"
    return f"http://{listening[1]}"
