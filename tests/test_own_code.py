"""Which files a user's own function takes, and that a process runs just the kept ones."""

from __future__ import annotations

import importlib
import pickle
import sys
import traceback
import zipfile
from pathlib import Path

import pytest

from pipelines.own_code import OwnCode, own_code, using

FILES = {
    "shop_net.py": "import numpy, json\nfrom shop_parts import layers\nimport shop_words as w\n",
    "shop_words.py": "WORD = 'kept'\n",
    "shop_parts/__init__.py": "",
    "shop_parts/layers.py": "def f():\n    from . import deep\n    from .. import nothing\n",
    "shop_parts/deep.py": "import shop_parts.unused_name\n",
    "shop_parts/other.py": "raise RuntimeError('nobody imports it')\n",
    "shop_alone.py": "",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_code_is_the_module_and_what_it_imports_from_the_same_folder(tree: Path):
    code = own_code("shop_net:network")
    assert code is not None
    assert sorted(code.sources) == [
        "shop_net.py",
        "shop_parts/__init__.py",
        "shop_parts/deep.py",
        "shop_parts/layers.py",
        "shop_words.py",
    ]
    assert "shop_net" not in sys.modules, "files are read, nothing is imported"
    assert pickle.loads(pickle.dumps(code)) == code


def test_a_change_in_an_imported_file_changes_the_digest(tree: Path):
    before = own_code("shop_net:network")
    (tree / "shop_parts" / "other.py").write_text("")
    assert own_code("shop_net:network") == before
    (tree / "shop_parts" / "deep.py").write_text("X = 1\n")
    after = own_code("shop_net:network")
    assert after.digest != before.digest
    changed = [name for name in after.hashes if after.hashes[name] != before.hashes[name]]
    assert changed == ["shop_parts/deep.py"]


def test_a_link_lies_where_it_is_on_the_path_wherever_it_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for folder in ("path", "releases/v2", "releases/parts"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "path" / "linked_words.py").write_text("")
    (tmp_path / "releases" / "v2" / "model_of_v2.py").write_text("import linked_words\n")
    (tmp_path / "releases" / "parts" / "layers.py").write_text("import linked_net\n")
    (tmp_path / "path" / "linked_net.py").symlink_to(tmp_path / "releases/v2/model_of_v2.py")
    (tmp_path / "path" / "linked_parts").symlink_to(tmp_path / "releases" / "parts")
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    code = own_code("linked_net:network")
    assert code is not None
    assert sorted(code.sources) == ["linked_net.py", "linked_words.py"]
    code = own_code("linked_parts.layers:network")
    assert code is not None
    assert sorted(code.sources) == ["linked_net.py", "linked_parts/layers.py", "linked_words.py"]


def test_code_in_a_zip_file_is_read_as_that_of_a_folder(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = own_code("shop_net:network")
    assert expected is not None
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
            (tmp_path / name).unlink()
    monkeypatch.syspath_prepend(str(tmp_path / "all.zip"))
    code = own_code("shop_net:network")
    assert code == expected
    with using(code):
        assert importlib.import_module("shop_words").WORD == "kept"


@pytest.mark.parametrize("name", [None, "mlp", "no_such_module:f", "json:dumps", "pipelines.run:x"])
def test_what_is_not_a_users_module_has_no_code(name: str | None):
    assert own_code(name) is None


def test_of_an_installed_package_only_the_package_itself_is_own():
    code = own_code("chispa.dataframe_comparer:assert_df_equality")
    assert code is not None
    assert {name.partition("/")[0] for name in code.sources} == {"chispa"}


def test_kept_code_wins_over_the_path_and_is_gone_afterwards(tree: Path):
    code = own_code("shop_words:anything")
    (tree / "shop_words.py").write_text("WORD = 'newer'\n")
    importlib.invalidate_caches()
    mine = importlib.import_module("shop_words")
    with using(code):
        assert importlib.import_module("shop_words").WORD == "kept"
    assert importlib.import_module("shop_words") is mine
    assert mine.WORD == "newer"
    sys.modules.pop("shop_words")


def test_kept_code_needs_no_path_and_shows_its_lines_in_traces():
    code = OwnCode("gone.away.net", {"gone/away/net.py": "def f():\n    return 1 / 0  # here\n"})
    with using(code):
        function = importlib.import_module("gone.away.net").f
    with pytest.raises(ZeroDivisionError) as failed:
        function()
    assert "return 1 / 0  # here" in "".join(traceback.format_exception(failed.value))
    assert "gone" not in sys.modules


def test_no_code_changes_nothing():
    with using(None):
        assert "json" in sys.modules
