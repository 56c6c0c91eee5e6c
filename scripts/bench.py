"""Measure what the images promise of speed: `nox -s bench -- server`.

Each bench is a function that returns figures; this module chooses, prints and
keeps them. A ratio is of two measurements of one run, taken in turns, so that
whatever else the machine does meets both. Nothing here is asserted: the figures
are for docs/ and for people.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from rich.table import Table

from scripts import bench_server, engine, options
from scripts.console import UserError, console, say, start
from scripts.figures import Figure
from scripts.paths import RECORDS

BENCHES: Mapping[str, Callable[[], Sequence[Figure]]] = {"server": bench_server.figures}
"""What can be measured, by the name that it is asked for."""
