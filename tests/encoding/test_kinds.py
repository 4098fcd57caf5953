"""A feature kind is one file: what is put into the room is known to settings, SQL and specs."""

import subprocess
import sys
import textwrap

import pytest

KIND = '''
"""`kind: parity`: whether a whole number is odd."""

from typing import Any, ClassVar, Literal

from pipelines.encoding import sql
from pipelines.encoding.kind import FeatureSettings, Fitted, Found, ModelInput, RawTensors
from pipelines.encoding.raw import NUMBER, Expected


class Parity(FeatureSettings):
    """1.0 where a whole number is odd."""

    expected: ClassVar[Expected] = NUMBER
    kind: Literal["parity"]

    def fitted(self, found: Found) -> "FittedParity":
        return FittedParity(**found.base)


class FittedParity(Fitted):
    """1.0 where a whole number is odd."""

    kind: Literal["parity"] = "parity"

    def inputs(self) -> list[ModelInput]:
        return [ModelInput(name=self.name, dtype="float32", kind="numeric")]

    def sql(self) -> list[str]:
        return [sql.flag(f"coalesce({sql.quoted(self.column)} % 2 != 0, false)", then=1)]

    def keras(self, raw):
        return {self.name: raw.columns[self.column] % 2 != 0}
'''
WITH_IT = """
import importlib.util, sys
spec = importlib.util.find_spec("pipelines.encoding.kinds")
spec.submodule_search_locations.append(sys.argv[1])
sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""


def run(code: str, *arguments: str) -> str:
    """Run code in a process of its own; return what it printed, or its last error line."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def test_a_kind_is_one_file(tmp_path):
    (tmp_path / "parity.py").write_text(KIND)
    code = """
    from pydantic import TypeAdapter
    from pipelines.config.normalize import Normalize
    from pipelines.encoding.kind import Found
    from pipelines.encoding.spec import FeatureSpec
    from pipelines.encoding.to_sql import to_sql

    settings = Normalize.model_validate({
        "training_set": "t", "split": {"by": "hash"}, "features": {"odd": {"kind": "parity"}}
    })
    fitted = settings.features["odd"].fitted(Found("odd", "n", "int"))
    spec = FeatureSpec(key=("id",), date="day", features=(fitted,))
    assert FeatureSpec.from_json(spec.to_json()) == spec
    assert settings.model_dump()["features"]["odd"]["kind"] == "parity"
    print(to_sql(spec)[0])
    """
    said = run(WITH_IT + textwrap.dedent(code), str(tmp_path))
    assert said == (
        "CAST(CASE WHEN coalesce(`n` % 2 != 0, false) THEN 1 ELSE 0 END AS FLOAT) AS `odd`"
    )


def test_a_file_that_is_no_kind_is_told_by_name(tmp_path):
    (tmp_path / "broken.py").write_text("x = 1\n")
    assert run(WITH_IT, str(tmp_path)) == (
        "TypeError: pipelines.encoding.kinds.broken has 0 subclasses of FeatureSettings; a feature "
        "kind is a module with one"
    )


@pytest.mark.parametrize("hook", ["fitted", "inputs", "sql", "keras"])
def test_a_kind_that_lacks_a_part_is_told_when_it_is_found(tmp_path, hook):
    (tmp_path / "parity.py").write_text(KIND.replace(f"def {hook}(", "def other("))
    owner = "Parity" if hook == "fitted" else "FittedParity"
    said = f"TypeError: pipelines.encoding.kinds.parity: {owner} has no {hook}"
    assert run(WITH_IT, str(tmp_path)) == said


@pytest.mark.parametrize("module", ["pipelines.config", "pipelines.encoding.spec"])
def test_settings_and_specs_import_no_library_that_computes(module):
    code = f"""
    import sys
    import {module}
    heavy = ("pyspark", "tensorflow", "keras", "numpy", "pandas", "pyarrow")
    print([name for name in heavy if name in sys.modules])
    """
    assert run(code) == "[]"
