"""Settings of `tidemill maintain`: how a pipeline's tables are kept."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipelines.settings import Settings


class Maintenance(Settings):
    """What `maintain` brings a pipeline's tables to; new tables begin with the defaults."""

    deleted_files_days: float = Field(400, ge=0)
    """Days that a file stays which the newest version has no more: how far back versions can be
    read (`delta.deletedFileRetentionDuration`). `vacuum` goes by it."""
    log_days: float = Field(400, ge=0)
    """Days that Delta's log reaches back (`delta.logRetentionDuration`)."""
    compact: bool = True
    """Put small files together. Training sets are left as they lie: their files are laid out."""
    file_mb: int = Field(128, ge=1)
    """Size that compacted files have, in MB."""

    @model_validator(mode="after")
    def _log_outlasts_files(self) -> Maintenance:
        if self.log_days < self.deleted_files_days:
            raise ValueError(
                f"`log_days: {self.log_days:g}` is less than `deleted_files_days: "
                f"{self.deleted_files_days:g}`: files would be kept that no log leads to"
            )
        return self
