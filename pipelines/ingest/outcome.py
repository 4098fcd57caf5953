"""What became of a source's files in a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What became of a source's files in this run. `records` is what was read, good or not.

    `drifted` are files that were read though their columns are not those declared, and how.
    """

    files: int = 0
    corrected: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    drifted: dict[str, str] = field(default_factory=dict)
    records: int = 0
    rows: int = 0
    malformed: int = 0
    written: dict[str, int] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Add what another batch did."""
        self.files += other.files
        self.corrected += other.corrected
        self.rejected.update(other.rejected)
        self.drifted.update(other.drifted)
        self.records += other.records
        self.rows += other.rows
        self.malformed += other.malformed
        self.written.update(other.written)
