"""Results of the rebuild bench for tests."""

from scripts.bench.results import Result, Run

TITLES = {"cold": "first build", "libvmaf-c": "a .c file edited"}
WHEN = "2026-11-22T00:00:00Z"


def small_run() -> Run:
    """Return a small run whose results are not in the order of the scenarios."""
    return Run(
        WHEN,
        "0123456789abcdef",
        {"cpus": 2, "memory_gb": 8},
        results=[
            Result("libvmaf-c", "before", "cpu", [500.0]),
            Result("libvmaf-c", "project", "cpu", [4.0, 6.0, 5.0], hits=0.97, digests_equal=True),
            Result("libvmaf-c", "limit", "cpu", [2.5], stages={"link": [2.0], "export": [0.5]}),
            Result("cold", "project", "cpu", [540.0], downloaded_bytes=212_000_000),
            Result("cold", "adr", "cpu"),
        ],
    )
