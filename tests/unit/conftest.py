"""The fixtures of tests that start an engine."""

from tests.support.engine import apt_calls, docker, programs, sandbox

__all__ = ["apt_calls", "docker", "programs", "sandbox"]
