"""The stages. Each module has `run(run: Run) -> StageResult`; none imports another."""
