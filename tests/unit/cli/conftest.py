"""The fixtures of the tests of `nox -s engine`."""

from tests.support.engine import apt_calls, docker, programs, sandbox

__all__ = ["apt_calls", "docker", "programs", "sandbox"]
