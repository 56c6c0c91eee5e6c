"""Tests that the server's responses conform to openapi.yaml."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from tests.support.serving import Server

pytestmark = pytest.mark.needs("server")

DOCUMENT = ROOT / "server" / "api" / "openapi.yaml"


def test_openapi_document_is_served(server: Server) -> None:
    """The server serves openapi.yaml unchanged."""
    assert server.get("/openapi.yaml").text == DOCUMENT.read_text()


def test_responses_conform_to_the_openapi_document(server: Server, directory: Path) -> None:
    """openapi.yaml declares the status, type and body of the response to any generated request."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(DOCUMENT)),
            f"--url={server.url}",
            "--checks=all",
            # A request that is valid by its schema may still have an invalid video or path.
            "--exclude-checks=positive_data_acceptance",
            "--max-examples=25",
            "--seed=1",
            "--no-color",
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
