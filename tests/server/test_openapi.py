"""The server keeps to its own openapi.yaml, whatever schemathesis thinks of to send it."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from tests.support.serving import Server

pytestmark = pytest.mark.needs("server")

DOCUMENT = ROOT / "server" / "api" / "openapi.yaml"


def test_the_document_is_the_committed_one(server: Server) -> None:
    """Who reads it from the server reads the contract."""
    assert server.get("/openapi.yaml").text == DOCUMENT.read_text()


def test_answers_are_as_documented(server: Server, directory: Path) -> None:
    """Generated requests, right and wrong: each answer's status, type and body are declared."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(DOCUMENT)),
            f"--url={server.url}",
            "--checks=all",
            # what is right by its schema may still be no video, or name no file
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
