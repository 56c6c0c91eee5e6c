"""The tables of docs/gpu.md, from the report of a run of gpu-check."""

import json
from collections.abc import Iterator
from typing import Any

from scripts.core.paths import ROOT

REPORT = ROOT / "docs" / "gpu-check.json"


def markdown() -> str:
    """Return what the stored report says, as Markdown."""
    report: dict[str, Any] = json.loads(REPORT.read_text())
    return "\n".join(_lines(report))


def _lines(report: dict[str, Any]) -> Iterator[str]:
    gpu = report["gpu"]
    machine = f"{gpu['name']}, driver {gpu['driver']}, {report['cpus']} CPUs"
    release = report["ffmpeg"].split()[2]  # of `ffmpeg version 9.0.2 Copyright ...`
    yield f"{machine}, FFmpeg {release}, {report['date']}."
    yield "The last column is the largest difference of any frame."
    yield ""
    yield "| clip | `vmaf` on the CPU, on the GPU | mean score | difference |"
    yield "|---|---|---|---|"
    for clip in report["scores"]:
        run = clip["gpu"][0]
        vmaf = _vmaf(run)
        yield (
            f"| {clip['clip']}, {clip['frames']} frames | {clip['cpu_seconds']:.1f} s, "
            f"{run['seconds']:.1f} s | {vmaf['cpu']:.3f} | {vmaf['largest_difference']:.4f} |"
        )
    yield ""
    for rate in report["rates"]:
        frames = rate["frames_per_second"]["image"]
        yield f"- `libvmaf_cuda`, {rate['clip']}, frames on the GPU already: {frames} a second."
    yield ""
    yield "| scored | on the GPU | on the CPU |"
    yield "|---|---|---|"
    for pipeline in report["pipelines"]:
        what = f"{pipeline['codec']} decoded and scored as `{pipeline['pixel_format']}`"
        yield f"| {what} | {pipeline['gpu']:.3f} | {pipeline['cpu']:.3f} |"
    for model in report["models"]:
        on_cpu = model["features_on_cpu"]
        where = f", {on_cpu} features on the CPU" if on_cpu else ""
        vmaf = _vmaf(model)
        yield f"| `{model['name']}`{where} | {vmaf['gpu']:.3f} | {vmaf['cpu']:.3f} |"
    yield ""
    yield "- Filters compared with the CPU's, PSNR in dB:"
    for row in report["filters"]:
        yield f"  - `{row['name']}`: {row.get('psnr_db') or row['error']}"
    failed = [f"`{row['name']}`" for row in report["encoders"] if "error" in row]
    if failed:
        yield f"- Encoders that failed: {', '.join(failed)}."


def _vmaf(run: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison of the VMAF scores of a run."""
    (vmaf,) = [feature for feature in run["features"] if feature["name"] == "vmaf"]
    comparison: dict[str, Any] = vmaf
    return comparison
