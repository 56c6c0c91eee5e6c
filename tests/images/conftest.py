"""Print the list of `nox -s verify-images -- --list`: the properties of the images."""

import pytest

from scripts.images import catalogue
from tests.support import properties


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--list`."""
    parser.getgroup("images").addoption("--list", action="store_true", help="list the properties")


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the properties of the chosen images instead of testing them."""
    if not config.getoption("--list"):
        return None
    print(properties.listing(catalogue.choose(config.getoption("image"))))
    return 0
