"""The figures that the benchmarks print."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """A measured number; with samples, it is their median."""

    name: str
    value: float
    unit: str = ""
    samples: Sequence[float] = field(default_factory=tuple)

    def __str__(self) -> str:
        """Return the figure on one line, with the range of the samples."""
        spread = f" ({min(self.samples):.4g} to {max(self.samples):.4g})" if self.samples else ""
        return f"{self.name}: {self.value:.4g} {self.unit}".rstrip() + spread


def median_figure(name: str, samples: Sequence[float], unit: str = "") -> Figure:
    """Return the median of samples as a figure."""
    return Figure(name, median(samples), unit, tuple(samples))


def ratio(name: str, numerators: Sequence[float], denominators: Sequence[float]) -> Figure:
    """Return the median of the ratios of samples that were measured in pairs."""
    return median_figure(name, [a / b for a, b in zip(numerators, denominators, strict=True)])
