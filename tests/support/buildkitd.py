"""Run BuildKit daemons as builders of buildx."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.core import loopback, process

needs_root_and_go = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("go"),
    reason="starts a BuildKit daemon, which needs root, and compiles it with Go",
)

PROGRAM = """
package main

import (
	"os"
	"time"
)

func main() {
	seconds, err := time.ParseDuration(os.Args[1])
	if err != nil {
		println("this step fails")
		os.Exit(3)
	}
	time.Sleep(seconds)
	os.WriteFile("/result", []byte(time.Now().String()), 0o644)
}
"""
"""The program of a step: it sleeps for a time, or fails if its argument is no time.

It then writes the time to a file, so that a step that runs again makes another layer.
"""


def compile_step(directory: Path) -> Path:
    """Compile `PROGRAM` without libraries, for images without a base; return its path."""
    source = directory / "step.go"
    source.write_text(PROGRAM)
    command = ("go", "build", "-trimpath", "-o", str(directory / "step"), str(source))
    built = process.run(*command, env={**process.environment(), "CGO_ENABLED": "0"})
    assert not built.returncode, built.stderr
    return directory / "step"


@contextmanager
def buildkitd(program: Path, name: str, root: Path, config: Path) -> Iterator[process.Popen[bytes]]:
    """Run a BuildKit daemon as the builder `name` of buildx.

    Args:
        program: the daemon.
        name: the name of the builder.
        root: the directory of its data.
        config: its configuration.
    """
    port, log = loopback.free_port(), root.with_suffix(".log")
    command = (str(program), "--addr", f"tcp://127.0.0.1:{port}", "--root", str(root))
    options = ("--config", str(config), "--oci-worker-net=host")
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    child = process.start_daemon(*command, *options, log=log, env=environment)
    try:
        loopback.wait(port, log)
        driver = ("--driver=remote", f"tcp://127.0.0.1:{port}")
        created = process.run("docker", "buildx", "create", "--name", name, *driver)
        assert not created.returncode, created.stderr
        yield child
    finally:
        process.run("docker", "buildx", "rm", name)
        child.terminate()
        child.wait()


def remove(root: Path) -> None:
    """Remove the data of a daemon, also if it was killed during a step."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    for mount in reversed([line.split()[1] for line in mounts]):
        if Path(mount).is_relative_to(root):
            process.run("umount", "--lazy", mount)
    shutil.rmtree(root, ignore_errors=True)
