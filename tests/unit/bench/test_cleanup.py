"""Tests of scripts/bench/cleanup.py."""

from scripts.bench import cleanup


def record(number: int, description: str, parent: str = "") -> str:
    """Return a record as `docker buildx du --verbose` prints it."""
    above = f"Parent:\t\t{parent}\n" if parent else ""
    return f"ID:\t\tid{number}\n{above}Mutable:\ttrue\nDescription:\t{description}\nType:\tx"


def test_only_records_of_the_run_are_removed() -> None:
    """The bench removes the cache mounts of its run and the layers on its base images."""
    mount, step = "cached mount /ccache from exec /bin/sh -c x with id ", "mount / from exec x"
    listing = "\n\n".join(
        [
            record(1, f'{mount}"/vmaf-ccache-amd64"'),
            record(2, f'{mount}"bench-r-project/vmaf-ccache-amd64"'),
            record(3, f'{mount}"/bench-r-adr/vmaf-ccache-amd64"'),
            record(4, f'{mount}"bench-other-project/vmaf-ccache-amd64"'),
            record(5, step, "id6"),
            record(6, "mount / from exec /bin/sh -c echo bench-r-project", "id7"),
            record(7, "[base 1/2] ADD build/bootstrap/rootfs.tar /"),
            record(10, step, "id9"),
            record(9, step, "id8"),
            record(8, "[base 2/2] COPY --from=bench-r-project . /", "id7"),
        ]
    )
    records = cleanup.builder_records(listing, "bench-r-")
    assert records == ["id10", "id2", "id3", "id8", "id9"]
