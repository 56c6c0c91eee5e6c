"""Tests that the server's responses conform to openapi.yaml."""

import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from scripts.core.paths import ROOT
from tests.support.serving import TIMEOUT_SECONDS, Server
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")

DOCUMENT = ROOT / "server" / "api" / "openapi.yaml"


def test_openapi_document_is_served(server: Server) -> None:
    """The server serves openapi.yaml unchanged."""
    assert server.get("/openapi.yaml").text == DOCUMENT.read_text()


def test_responses_conform_to_the_openapi_document(
    image: Subject, server: Server, directory: Path
) -> None:
    """openapi.yaml declares the status, type and body of the response to any generated request."""
    left_out = []
    if "node" not in image.image.provides:
        # The image has no FFmpeg. Schemathesis takes each 5xx for a fault of the server.
        refused = requests.post(f"{server.url}/v1/jobs", timeout=TIMEOUT_SECONDS)
        assert refused.status_code == HTTPStatus.NOT_IMPLEMENTED, refused.text
        assert refused.json()["type"] == "urn:vmaf:problem:no-decoder"
        left_out = ["--exclude-path=/v1/jobs"]
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
            *left_out,
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
