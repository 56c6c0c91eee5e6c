"""Tests of scripts/bench/scenarios.py."""

import pytest

from scripts.bench import scenarios
from scripts.bench.scenarios import SCENARIOS
from scripts.core.console import UserError
from scripts.core.paths import ROOT


def test_each_scenario_follows_an_earlier_one() -> None:
    """Every scenario of the bench but the first follows one that is measured before it."""
    for number, scenario in enumerate(SCENARIOS.values()):
        earlier = list(SCENARIOS)[:number]
        assert scenario.after in earlier or (number, scenario.after) == (0, "")


def test_each_edit_is_compiled_and_found() -> None:
    """A scenario that edits a project compiles it and names the libraries with the edit."""
    for scenario in SCENARIOS.values():
        assert scenario.project in {"", *scenario.compiles}
        assert bool(scenario.project) == bool(scenario.file) == bool(scenario.edited_libraries)


def test_every_target_is_in_the_bake_file() -> None:
    """The image of each bench scenario is a target of docker-bake.hcl."""
    text = (ROOT / "docker-bake.hcl").read_text()
    assert all(f'target "{scenario.target}"' in text for scenario in SCENARIOS.values())


def test_choose_adds_the_scenarios_that_are_followed() -> None:
    """A scenario of the bench is chosen together with the scenarios that it follows."""
    chosen = scenarios.choose(["libvmaf-cu"], quick=False)
    assert [scenario.name for scenario in chosen] == ["cold", "second", "libvmaf-cu"]


def test_choose_returns_all_scenarios_without_names() -> None:
    """The bench runs all scenarios by default, and in a quick run only those of the cpu image."""
    assert scenarios.choose([], quick=False) == list(SCENARIOS.values())
    assert {scenario.target for scenario in scenarios.choose([], quick=True)} == {"cpu"}


def test_choose_rejects_an_unknown_name() -> None:
    """The error for an unknown scenario of the bench lists the scenarios."""
    with pytest.raises(UserError, match="`warm`") as caught:
        scenarios.choose(["warm"], quick=False)
    assert "libvmaf-header" in caught.value.todo
