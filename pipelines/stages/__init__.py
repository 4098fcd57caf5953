"""The stages. Each module has `run(run: Run) -> Done`; none imports another."""
