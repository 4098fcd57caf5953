"""The notebooks run from top to bottom and draw their plots."""

import os
import sys

import pytest

pytestmark = [pytest.mark.spark, pytest.mark.tensorflow, pytest.mark.end_to_end]


@pytest.mark.parametrize(
    ("name", "plots"), [("01_explore_the_lake", 2), ("02_read_the_predictions", 3)]
)
def test_a_notebook_runs_and_draws_its_plots(
    project, whole, first_results, monkeypatch, name, plots
):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("TIDEMILL_ENV", "test")
    monkeypatch.setenv("TIDEMILL_LAKE", whole.lake.root)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    for variable in [name for name in os.environ if name.startswith("PYSPARK_GATEWAY")]:
        monkeypatch.delenv(variable)
    notebook = nbformat.read(project / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(
        cwd=str(project / "notebooks")
    )
    drawn = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(drawn) == plots


def test_notebooks_are_kept_without_outputs_and_define_nothing(project):
    import nbformat

    for path in sorted((project / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                assert not cell.outputs, path.name
                assert "def " not in cell.source, path.name
