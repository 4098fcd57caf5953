"""From a folder of files to a pipeline: what the files hold, and the settings that fit it."""
