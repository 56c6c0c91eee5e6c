"""Format durations, shares and times for the report, and scale its axes."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import log10

_MINUTE = 60
_ROUND = (0.1, 1, 10, 60, 600, 3600, 36000, 360000)


def duration(seconds: float) -> str:
    """Return a duration such as `9.9 s`, `6 min 40 s` or `2 h 01 min`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    hours, minutes = divmod(rounded // _MINUTE, _MINUTE)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rounded % _MINUTE:02} s" if minutes else f"{rounded} s"


def mark(seconds: float) -> str:
    """Return the label of a tick on a time axis, such as `10 s` or `5 min`."""
    if seconds < _MINUTE:
        return f"{seconds:g} s"
    return f"{seconds / _MINUTE:g} min" if seconds < _MINUTE**2 else f"{seconds / _MINUTE**2:g} h"


def percent(share: float) -> str:
    """Return a share in percent; only 0 is shown as 0 %, and only 1 as 100 %."""
    rounded = round(100 * share)
    return f"{rounded if share in {0, 1} else min(max(rounded, 1), 99)} %"


def moment(when: datetime) -> str:
    """Return a date and time in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def scale(low: float, high: float, *, log: bool = False) -> Callable[[float], float]:
    """Return a function that maps a value to its position on an axis, from 0 to 100 %."""
    transform: Callable[[float], float] = (lambda value: log10(max(value, low))) if log else float
    start, end = transform(low), transform(high)
    width = (end - start) or 1
    return lambda value: round(100 * min(max((transform(value) - start) / width, 0), 1), 3)


def marks_around(values: Iterable[float]) -> list[float]:
    """Return the ticks, in seconds, of a logarithmic time axis that contains all values."""
    shown = list(values) or [1.0]
    first = max((at for at in _ROUND if at <= min(shown)), default=_ROUND[0])
    last = min((at for at in _ROUND if at >= max(shown)), default=_ROUND[-1])
    return [at for at in _ROUND if first <= at <= last]
