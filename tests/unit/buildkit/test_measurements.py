"""The `#measure` and `#progress` lines of recipes."""

import json

import pytest

from scripts.buildkit.measurements import (
    Apt,
    Ccache,
    Depcache,
    Limit,
    Measurements,
    Progress,
    Remote,
    Sccache,
    Tests,
    read_measurements,
    read_progress,
)
from scripts.core.paths import ROOT

LINES = [
    (
        '{"ccache": {"direct_cache_hit": 3, "preprocessed_cache_hit": 1, "cache_miss": 2}}',
        Measurements(ccache=Ccache(3, 1, 2)),
    ),
    (
        '{"depcache": {"hit": 1, "miss": 2, "uncacheable": 3, "bypassed": 4}}',
        Measurements(depcache=Depcache(1, 2, 3, 4)),
    ),
    (
        '{"depcache": {"hit": 1, "miss": 2, "unsafe": 3, "passed": 4}}',
        Measurements(depcache=Depcache(1, 2, 3, 4)),
    ),
    ('{"sccache": {"hit": 1, "miss": 2, "bypassed": 3}}', Measurements(sccache=Sccache(1, 2, 3))),
    (
        '{"remote": {"hit": 1, "miss": 2, "error": 3, "refused": 4, "received": 5, "sent": 6}}',
        Measurements(remote=Remote(1, 2, 3, 4, 0, 5, 6)),
    ),
    ('{"tests": {"run": 5, "failed": 1}}', Measurements(tests=Tests(5, 1))),
    (
        '{"limit": {"configure": 1.25, "link": 2.50, "until": 9.00}}',
        Measurements(limit=Limit(1.25, 2.5, 9.0)),
    ),
]


@pytest.mark.parametrize(("text", "measurements"), LINES)
def test_read_measurements_accepts_the_lines_of_the_recipes(
    text: str, measurements: Measurements
) -> None:
    """Each `#measure` line of a recipe is read, also with the former names of depcache."""
    assert read_measurements(f"#measure {text}") == (measurements, "")


def test_every_measurement_of_a_recipe_is_in_the_schema() -> None:
    """No recipe prints a measurement that the schema lacks."""
    printed = set()
    for directory in ("docker", "dev", "scripts/bench"):
        for path in (ROOT / directory).rglob("*.sh"):
            for line in path.read_text().splitlines():
                _, found, text = line.partition("#measure {")
                if found and "printf" in line:
                    printed.add(text.replace("\\", "").split('"')[1])
    assert printed >= {"ccache", "depcache", "tests"}
    assert printed <= set(Measurements.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{oops", "malformed measurement"),
        ("3", "malformed measurement"),
        ("[1]", "malformed measurement"),
        ('{"ccache": 3}', "malformed measurement"),
        ('{"ccache": {"cache_miss": "many"}}', "malformed measurement"),
        ('{"ccache": {"cache_miss": -1}}', "malformed measurement"),
        (f'{{"ccache": {{"cache_miss": {10**30}}}}}', "malformed measurement"),
        (f'{{"limit": {{"until": {"9" * 400}}}}}', "malformed measurement"),
        ("[" * 100_000, "malformed measurement"),
    ],
)
def test_malformed_line_is_a_problem(text: str, problem: str) -> None:
    """A `#measure` line that does not fit the schema gives no measurements, and the reason."""
    measurements, why = read_measurements(f"#measure {text}")
    assert measurements == Measurements()
    assert why.startswith(problem)


def test_unknown_name_does_not_hide_the_known_ones() -> None:
    """Unknown names in a `#measure` line are a problem, and the known ones are read."""
    line = '#measure {"nasm": {"hits": 1}, "ccache": {"cache_miss": 2, "ignored": 1}}'
    measurements, why = read_measurements(line)
    assert measurements == Measurements(ccache=Ccache(cache_miss=2))
    assert why == "unknown measurement nasm, ccache.ignored"


def test_lookups_are_hits_and_misses() -> None:
    """The lookups of a cache include uncacheable calls and no bypassed ones."""
    both = Measurements(ccache=Ccache(3, 1, 2), depcache=Depcache(1, 2, 3, 4))
    assert both.lookups == {"ccache": (4, 6), "depcache": (1, 6)}
    assert Measurements(sccache=Sccache(1, 2, 3)).lookups == {"sccache": (1, 3)}
    assert Measurements(ccache=Ccache(), tests=Tests(3, 0)).lookups == {}


def test_measurements_add_up_field_by_field() -> None:
    """The sum of two measurements has the fields of both, added up where both have them."""
    one = Measurements(ccache=Ccache(1, 2, 3), apt=Apt(10, 5))
    other = Measurements(ccache=Ccache(10, 20, 30), limit=Limit(0.5, 1.5, 2.5))
    assert one + other == Measurements(
        ccache=Ccache(11, 22, 33), apt=Apt(10, 5), limit=Limit(0.5, 1.5, 2.5)
    )


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ('{"objects": 812}', Progress(812, 0)),
        ('{"objects": 812, "total": 2355}', Progress(812, 2355)),
        ('{"objects": "many"}', None),
        ("812", None),
    ],
)
def test_read_progress_returns_the_counts(text: str, progress: Progress | None) -> None:
    """A `#progress` line without a total has the total 0, and a malformed one gives None."""
    assert read_progress(f"#progress {text}") == progress


def test_documented_example_is_valid() -> None:
    """The `#measure` example in the module's docstring can be read."""
    from scripts.buildkit import measurements  # noqa: PLC0415 (only its docstring is used)

    text = measurements.__doc__ or ""
    (example,) = [line.strip() for line in text.splitlines() if line.startswith("    #measure")]
    json.loads(example.removeprefix("#measure "))
    assert read_measurements(example)[1] == ""
