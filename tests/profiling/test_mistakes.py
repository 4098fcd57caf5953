"""The first mistakes of a newcomer: each ends in one line that says what to do.

The page's table is made of these: `python -m tests.profiling.test_mistakes` writes it.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import TidemillError, UsageError
from pipelines.profiling.asked import Asked
from pipelines.profiling.casts import Cast
from pipelines.profiling.choose import choose_day, choose_label, choose_split
from pipelines.profiling.draft import find_table
from pipelines.profiling.plan import Day
from pipelines.profiling.types import Typed
from pipelines.profiling.write import check_name
from tests.profiling.facts import column

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-data.md"
BEGIN, END = (
    "<!-- begin mistakes: made by `python -m tests.profiling.test_mistakes` -->",
    ("<!-- end mistakes -->"),
)
DAYS = [f"2025-01-{1 + n % 28:02d}" for n in range(60)]
UNCLEAR = "d/M/yyyy and M/d/yyyy fit all 60 values"
COLUMNS = {
    "customer": Typed(column("customer", [f"c{n:03d}" for n in range(60)])),
    "day": Typed(column("day", DAYS), Cast("date")),
    "paid": Typed(
        column("paid", ["1/2/2025"] * 60), unclear="d/M/yyyy and M/d/yyyy fit all 60 values"
    ),
    "amount": Typed(column("amount", [str(n) for n in range(60)]), Cast("int")),
    "country": Typed(column("country", ["DE"] * 60)),
    "bought": Typed(column("bought", ["ja", "nein"] * 30)),
    "status": Typed(column("status", ["new", "old", "gone"] * 20)),
}
TEXTS = {"bought": "id,bought\n1,ja\n", "bad": "1,2.5\n2,3.5\n"}


@dataclass(frozen=True)
class Mistake:
    """What somebody does, and how it is done here."""

    what: str
    typed: str
    files: tuple[tuple[str, str], ...] = ()
    step: str = "find"

    def said(self, folder: Path) -> str:
        """Make the mistake in an empty folder; return what is said, without the folder's path."""
        data = folder / "data"
        if self.files or self.step != "nowhere":
            data.mkdir()
        for name, text in self.files:
            (data / name).write_text(text)
        try:
            self._make(folder, data)
        except TidemillError as error:
            return str(error).replace(str(folder.resolve()), "").replace(str(folder), "").strip()
        raise AssertionError(f"nothing was said of {self.typed}")

    def _make(self, folder: Path, data: Path) -> None:
        options = dict(re.findall(r"--(\S+) (\S+)", self.typed))
        asked = Asked(
            name="shop",
            folder=data,
            root=folder,
            label=options.get("label"),
            date=options.get("date"),
            positive=options.get("positive"),
            task=options.get("task"),
            test_from=options.get("test-from"),
        )
        if self.step in ("find", "nowhere"):
            find_table(asked)
        elif self.step == "name":
            (folder / "conf" / "shop").mkdir(parents=True)
            check_name(folder, self.typed.split()[2])
        elif self.step == "label":
            choose_label(COLUMNS, asked)
        elif self.step == "day":
            choose_day(COLUMNS, "bought", asked)
        else:
            _, label = choose_label(COLUMNS, Asked("shop", data, folder, label="bought"))
            choose_split(None, COLUMNS, Day("", False, ""), label, asked)


INIT = "tidemill init shop --from data"
MISTAKES = [
    Mistake("a folder that is not there", INIT, step="nowhere"),
    Mistake("an empty folder", INIT),
    Mistake("only a workbook of Excel", INIT, (("sales.xlsx", "PK"),)),
    Mistake("only an archive", INIT, (("sales.zip", "PK"),)),
    Mistake("files of other kinds", INIT, (("notes.docx", "x"),)),
    Mistake("no line with names", INIT, (("sales.csv", TEXTS["bad"]),)),
    Mistake("an empty file alone", INIT, (("sales.csv", "\n"),)),
    Mistake("a label that no file has", f"{INIT} --label bougth", (("a.csv", TEXTS["bought"]),)),
    Mistake("tables mixed in one folder", INIT, tuple(
        (f"{n}{name}.csv", f"{name},{name}{name}\nx,y\n") for name in "ab" for n in "xy"
    )),
    Mistake("a name with capitals", "tidemill init Shop --from data", step="name"),
    Mistake("a name with blanks", "tidemill init my-shop --from data", step="name"),
    Mistake("a second init", INIT, step="name"),
    Mistake("a label of one value", f"{INIT} --label country", step="label"),
    Mistake("a day as label", f"{INIT} --label day", step="label"),
    Mistake("a positive value that is none", f"{INIT} --label bought --positive yes", step="label"),
    Mistake("the positive of many classes", f"{INIT} --label status --positive new", step="label"),
    Mistake("numbers where words are", f"{INIT} --label bought --task number", step="label"),
    Mistake("a date column that is not there", f"{INIT} --date dai", step="day"),
    Mistake("a date column without days", f"{INIT} --date amount", step="day"),
    Mistake("days of unclear order", f"{INIT} --date paid", step="day"),
    Mistake("a test by day, without days", f"{INIT} --test-from 2025-02-01", step="split"),
]  # fmt: skip


def table() -> str:
    """Return the page's table."""
    rows = []
    for one in MISTAKES:
        with tempfile.TemporaryDirectory() as folder:
            said = " ".join(one.said(Path(folder)).split()).replace("|", "\\|")
        rows.append(f"| {one.what}: `{one.typed}` | {said} |")
    return "\n".join(["| done | said |", "|---|---|", *rows])


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.what)
def test_a_mistake_ends_in_a_line_that_says_what_to_do(mistake, tmp_path):
    said = mistake.said(tmp_path)
    assert len(said) < 420, said
    assert str(tmp_path) not in said
    expected = (
        r"expected|[Nn]ame |[Pp]ut |Say |[Tt]ake |unpack|save |need|Days are|[Kk]nown|leave it out"
    )
    assert re.search(expected, said), said


def test_the_page_tells_each_mistake_as_it_is_told():
    text = PAGE.read_text()
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table().strip()


def test_the_command_ends_with_one_line_and_without_spark(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMILL_ROOT", str(tmp_path))
    done = CliRunner().invoke(app, ["init", "shop", "--from", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert done.output.startswith("tidemill: ")
    assert len(done.output.splitlines()) == 1


def test_a_name_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMILL_ROOT", str(tmp_path))
    with pytest.raises(UsageError):
        check_name(tmp_path, "No Name")
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}")
