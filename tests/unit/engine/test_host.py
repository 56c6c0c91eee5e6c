"""The machine on which an engine is installed."""

import pytest

from tests.support.engine import host


@pytest.mark.parametrize(
    ("ident", "like", "expected"),
    [
        ("debian", "", True),
        ("ubuntu", "debian", True),
        ("mint", "ubuntu debian", True),
        ("fedora", "", False),
        ("", "", False),
    ],
)
def test_debian_and_its_derivatives_use_apt(ident: str, like: str, *, expected: bool) -> None:
    """A system uses apt if os-release names Debian as itself or as an ancestor."""
    assert host(ident=ident, like=like).uses_apt is expected
