"""What a bench finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One number, and the samples that it is the median of."""

    name: str
    value: float
    unit: str = ""
    samples: Sequence[float] = field(default_factory=tuple)

    def __str__(self) -> str:
        """One line for people."""
        spread = f" ({min(self.samples):.4g} to {max(self.samples):.4g})" if self.samples else ""
        return f"{self.name}: {self.value:.4g} {self.unit}".rstrip() + spread


def middle(name: str, samples: Sequence[float], unit: str = "") -> Figure:
    """Return the median of samples."""
    return Figure(name, median(samples), unit, tuple(samples))


def ratio(name: str, these: Sequence[float], those: Sequence[float]) -> Figure:
    """Return how many times larger these are than those, measured in turns: pair by pair."""
    return middle(name, [one / other for one, other in zip(these, those, strict=True)])
