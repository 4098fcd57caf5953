"""Files of a folder become tables, each with a path that finds its files and no others."""

import gzip

import pytest

from pipelines.errors import LandingError
from pipelines.profiling.files import look_into, path_of, sampled


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_csv", ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("paths", "others", "found"),
    [
        (["a.csv"], [], "*.csv"),
        (["sales_2024-01.csv", "sales_2024-02.csv"], ["people.csv"], "sales_*.csv"),
        (["2024/a.csv", "2024/b.csv"], [], "2024"),
        (["in/a.csv", "in/b.csv"], ["out/a.csv"], "in"),
        (["a.csv", "b.csv.gz"], [], "*.csv*"),
        (["x[1].csv"], ["x.csv"], "x?1?*.csv"),
    ],
)
def test_a_path_finds_the_files_of_a_table_and_no_others(paths, others, found):
    assert path_of(paths, [*paths, *others]) == found


def test_files_among_those_of_others_are_to_be_put_into_a_folder():
    with pytest.raises(LandingError, match="Put each table's files into a folder of its own"):
        path_of(["a1.csv", "b1.csv"], ["a1.csv", "b1.csv", "a2.csv", "b2.csv"])


def test_headers_that_are_alike_are_one_table_and_others_another(tmp_path):
    write(tmp_path, sales_1_csv="a,b,c\n1,2,3\n", sales_2_csv="a,b,c,d\n1,2,3,4\n" * 9)
    write(tmp_path, people_csv="name,age\nx,1\n")
    folder = look_into(tmp_path)
    assert [table.path for table in folder.tables] == ["sales_*.csv", "p*.csv"] or [
        table.path for table in folder.tables
    ] == ["sales_*.csv", "people*.csv"]
    assert folder.tables[0].drifts
    assert folder.tables[0].names == ("a", "b", "c", "d")


def test_packed_files_are_looked_into(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a;b\n1;2\n"))
    (table,) = look_into(tmp_path).tables
    assert (table.path, table.names) == ("*.csv.gz", ("a", "b"))


def test_what_can_not_be_read_is_told_with_what_to_do(tmp_path):
    write(tmp_path, a_csv="a,b\n1,2\n")
    (tmp_path / "book.xlsx").write_bytes(b"PK")
    (tmp_path / "notes.doc").write_bytes(b"x")
    aside = look_into(tmp_path).aside
    assert "save each sheet as CSV" in aside["book.xlsx"]
    assert "no data file by its ending" in aside["notes.doc"]


def test_a_folder_without_data_is_told_so(tmp_path):
    with pytest.raises(LandingError, match="holds no file that can be read; expected data"):
        look_into(tmp_path)
    with pytest.raises(LandingError, match="is not there; expected a folder"):
        look_into(tmp_path / "nowhere")


def test_of_a_large_table_files_are_looked_at_from_its_beginning_to_its_end(tmp_path):
    for number in range(10):
        (tmp_path / f"f{number}.csv").write_text("a,b\n" + "1,2\n" * 100)
    (table,) = look_into(tmp_path).tables
    some = sampled(table.files, 3 * 404)
    assert [file.path for file in some] == ["f0.csv", "f3.csv", "f6.csv"]
    assert sampled(table.files, 10**6) == table.files
