"""What a vacuum says."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.maintenance.vacuum import Vacuumed


def vacuum_lines(found: Sequence[Vacuumed], dry_run: bool) -> list[str]:
    """Return the report: by table what was removed, what was kept and for which run."""
    did = "would remove" if dry_run else "removed"
    lines = [
        f"{one.table}: {did} {_amount(one.removed_files, one.removed_bytes)}"
        for one in found
        if one.removed_files
    ]
    for one in found:
        if one.kept_files:
            runs = ", ".join(f"{run} ({count})" for run, count in one.kept_for.items())
            lines.append(
                f"{one.table}: kept {_amount(one.kept_files, one.kept_bytes)} no longer in the "
                f"table, for the bundles of {runs}"
            )
        lines += [
            f"{one.table}: {count} files that run {run} was trained on are gone; it can't be "
            "reproduced"
            for run, count in one.missing_for.items()
        ]
    files, num_bytes = sum(f.removed_files for f in found), sum(f.removed_bytes for f in found)
    return [*lines, f"{len(found)} tables: {did} {_amount(files, num_bytes)}"]


def _amount(files: int, num_bytes: int) -> str:
    size, unit = float(num_bytes), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, bigger
    return f"{files:,} files ({size:.3g} {unit})"
