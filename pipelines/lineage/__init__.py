"""Where tables came from: a record of every run of a stage, and the way back from any table."""
