"""The commands of `tidemill`, a file per subject; `app` puts them together."""
