"""Print the table of `nox -s mutants`: each property or rule, its mutant, and the message."""

import pytest
from rich.table import Table
from rich.text import Text

from scripts.core.console import console


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--table`."""
    parser.getgroup("images").addoption("--table", action="store_true", help="show each mutant")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print a row for each mutant that was tested."""
    if not config.getoption("--table"):
        return
    table = Table("property or rule", "mutant", "message")
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            if caught := dict(report.user_properties).get("caught"):
                table.add_row(*map(str, caught))
            elif outcome == "failed" and "mutant" in report.nodeid:
                table.add_row(report.nodeid.partition("::")[2], "", Text("not caught", "red"))
    # Messages contain brackets, which rich would parse as markup.
    out = type(console)(highlight=False, markup=False, width=console.width)
    out.print(table)
