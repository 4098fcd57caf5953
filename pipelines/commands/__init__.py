"""The commands of `tidemill`, a file per subject; `pipelines.cli` puts them together."""
