from pathlib import Path

import pytest

from pipelines.errors import SettingsError, TenantError
from pipelines.lake.confined_sql import check_expression, check_places, check_query
from pipelines.lake.tenant import ROOT_VARIABLE

READABLE = ("silver__flights", "history")


@pytest.fixture
def session(spark):
    return spark.newSession()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM silver__flights f JOIN History h USING (id) WHERE f.x IN (SELECT 1)",
        "WITH late AS (SELECT * FROM silver__flights) SELECT (SELECT max(x) FROM late) FROM late",
        "SELECT t.c FROM silver__flights LATERAL VIEW explode(array(1)) t AS c",
        "SELECT * FROM VALUES (1), (2) AS t(a), range(3)",
        "FROM silver__flights SELECT x UNION ALL SELECT :since",
        "SELECT 'parquet.`/x`' AS a -- FROM csv.`/x`\nFROM silver__flights",
    ],
)
def test_queries_over_declared_tables_pass(session, text: str) -> None:
    check_query(session, text, READABLE, "a.sql")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT * FROM delta.`/other/silver/flights`", "reads `delta./other"),
        ("SELECT * FROM parquet/* */.`s3a://b/x`", "reads `parquet.s3a"),
        ("SELECT * FROM `CSV`.`file:/x`", "reads `CSV."),
        ("SELECT * FROM json.`../x`", "reads `json."),
        ("SELECT (SELECT max(a) FROM orc.`/x`) FROM silver__flights", "reads `orc."),
        ("SELECT * FROM silver__flights WHERE x IN (SELECT a FROM text.`/x`)", "reads `text."),
        ("SELECT * FROM silver__flights, LATERAL (SELECT * FROM avro.`/x`)", "reads `avro."),
        ("WITH a AS (SELECT * FROM binaryFile.`/x`) SELECT * FROM a", "reads `binaryFile."),
        ("SELECT * FROM IDENTIFIER('parquet.`/x`')", "IDENTIFIER"),
        ("SELECT * FROM default.flights", "reads `default.flights`"),
        ("SELECT * FROM flights", "reads `flights`"),
        ("SELECT * FROM table_changes_by_path('/x', 0)", "table function"),
        ("SELECT * FROM read_files('/x')", "table function"),
        ("SELECT * FROM parquet.`/x` VERSION AS OF 3", "no plain query: it has RelationTimeTravel"),
        ("TABLE parquet.`/x`", "reads `parquet."),
        ("INSERT OVERWRITE DIRECTORY '/x' USING parquet SELECT 1", "no plain query"),
        ("CREATE TEMPORARY VIEW v USING parquet OPTIONS (path '/x')", "no plain query"),
        ("CREATE TABLE t USING delta LOCATION '/x' AS SELECT 1", "no plain query"),
        ("DROP TABLE delta.`/x`", "no plain query"),
        ("DELETE FROM delta.`/x`", "no plain query"),
        ("ADD JAR '/x.jar'", "no plain query"),
        ("SELECT TRANSFORM (x) USING 'cat /x' FROM silver__flights", "ScriptTransformation"),
        ("SET spark.x=1", "no plain query"),
    ],
)
def test_whatever_else_is_refused_before_it_runs(session, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        check_query(session, text, READABLE, "a.sql")
    assert str(raised.value).startswith("a.sql ")
    assert "SQL in settings reads the tables" in str(raised.value)


def test_an_expression_has_no_subquery_over_files(session) -> None:
    check_expression(session, "x BETWEEN 1 AND 2 AND extract(year FROM day) > 2000", "rule 'a'")
    with pytest.raises(SettingsError, match=r"rule 'a' reads `csv\./x`"):
        check_expression(session, "x IN (SELECT _c0 FROM csv.`/x`)", "rule 'a'")


@pytest.mark.parametrize("name", ["reflect", "java_method", "system.builtin.reflect", "`reflect`"])
def test_sql_calls_no_method_of_java(session, name: str) -> None:
    expression = f"{name}('java.lang.System', 'getenv', 'HOME')"
    check_expression(session, expression, "rule 'a'")

    with pytest.raises(Exception, match=r"UNRESOLVED_ROUTINE|REQUIRES_SINGLE_PART_NAMESPACE"):
        session.sql(f"SELECT {expression}")


def test_rows_of_a_users_function_come_from_the_tenants_place(
    spark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "acme"))
    for name in ("acme", "other"):
        spark.range(1).write.format("delta").save(str(tmp_path / name / "t"))
    own = spark.read.format("delta").load(str(tmp_path / "acme" / "t"))
    others = spark.read.format("delta").load(str(tmp_path / "other" / "t"))

    check_places(own, "`featurize.function: a:b`")
    with pytest.raises(TenantError, match=r"`featurize.function: a:b` reads file:.*other/t"):
        check_places(own.join(others, "id"), "`featurize.function: a:b`")
