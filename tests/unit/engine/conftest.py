"""The fixtures of the engine's tests."""

from tests.support.engine import apt_calls, docker, programs, sandbox

__all__ = ["apt_calls", "docker", "programs", "sandbox"]
