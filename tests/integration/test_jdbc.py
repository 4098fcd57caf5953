"""A table of a real PostgreSQL becomes bronze rows, each once, those with equal values too."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from pipelines.config.ingest import Ingest, Source
from pipelines.erasure.erase import erase
from pipelines.errors import LandingError, SchemaError, SettingsError
from pipelines.ingest.jdbc import ingest_tables
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.write import append_once
from pipelines.runner import run_stage
from tests.servers import postgres

pytestmark = pytest.mark.spark

TABLE = "bronze.orders"
COLUMNS = ("id", "amount", "note", "changed_at")


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture
def orders(database, monkeypatch):
    """The source `orders`, its table new and empty."""
    monkeypatch.setenv("ORDERS_USER", database.user)
    monkeypatch.setenv("ORDERS_PASSWORD", database.password)
    database.run("DROP TABLE IF EXISTS orders")
    database.run(
        "CREATE TABLE orders (id bigint, amount numeric(10, 2), note text, internal text, "
        "changed_at timestamp)"
    )
    return source(database.url)


def source(url: str, **more: object) -> Source:
    jdbc = {
        "url": url,
        "table": "public.orders",
        "incremental": "changed_at",
        "user_env": "ORDERS_USER",
        "password_env": "ORDERS_PASSWORD",
        **more,
    }
    return Source.model_validate({"jdbc": jdbc, "columns": COLUMNS, "delivery": "upsert"})


def insert(database, *rows: tuple[int, str, str, str]) -> None:
    values = ", ".join(f"({i}, {a}, '{n}', 'x', '{at}')" for i, a, n, at in rows)
    database.run(f"INSERT INTO orders VALUES {values}")


def ids(spark, lake) -> list[int]:
    rows = read_at(spark, lake, TABLE, latest_version(spark, lake, TABLE))
    return [row["id"] for row in rows.orderBy("_batch", "_row", "id").collect()]


def test_rows_come_once_and_those_with_an_equal_value_are_not_lost(
    spark, lake, database, orders, open_test_run
):
    insert(database, (1, "1.50", "a", "2024-01-01 10:00"), (2, "2", "b", "2024-01-02 10:00:00.5"))
    run = open_test_run(landing="nowhere")
    pipeline = run.pipeline.model_copy(update={"ingest": Ingest(sources={"orders": orders})})
    run = replace(run, pipeline=pipeline)
    first = run_stage("ingest", run)
    assert first.counts["orders.rows"] == 2
    assert first.written == {TABLE: latest_version(spark, lake, TABLE)}

    again = run_stage("ingest", run)
    assert (again.counts["rows_in"], again.written) == (0, first.written)

    # Rows with the largest value so far, one of them equal in all columns; and a later one.
    insert(
        database,
        (2, "2", "b", "2024-01-02 10:00:00.5"),
        (3, "3", "c", "2024-01-02 10:00:00.5"),
        (4, "4", "d", "2024-01-03"),
    )
    sources = {"orders": orders}
    assert ingest_tables(spark, lake, "flights", sources)["orders"].rows == 3
    assert ingest_tables(spark, lake, "flights", sources)["orders"].rows == 0
    assert sorted(ids(spark, lake)) == [1, 2, 2, 3, 4]

    # A changed row comes again, with its new value.
    database.run("UPDATE orders SET amount = 9, changed_at = '2024-01-04' WHERE id = 1")
    assert ingest_tables(spark, lake, "flights", sources)["orders"].rows == 1
    rows = read_at(spark, lake, TABLE, latest_version(spark, lake, TABLE))
    assert rows.columns[:4] == list(COLUMNS)
    newest = rows.orderBy("_batch", "_row").collect()[-1]
    assert (newest["id"], str(newest["amount"])) == (1, "9.00")
    assert newest["changed_at"] == dt.datetime(2024, 1, 4)
    assert newest["_source_file"] == "jdbc:public.orders"


def test_a_run_that_was_killed_before_its_commit_is_repeated_whole(
    spark, lake, database, orders, monkeypatch
):
    from pipelines.ingest import jdbc

    insert(database, (1, "1", "a", "2024-01-01"), (2, "2", "b", "2024-01-02"))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(jdbc, "append_once", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest_tables(spark, lake, "shop", {"orders": orders})
    ingest_tables(spark, lake, "shop", {"orders": orders})

    # Killed behind its commit, and repeated: bronze says that all is there.
    def commit_and_die(*given):
        append_once(*given)
        raise KeyboardInterrupt

    insert(database, (3, "3", "c", "2024-01-03"))
    with monkeypatch.context() as patched:
        patched.setattr(jdbc, "append_once", commit_and_die)
        with pytest.raises(KeyboardInterrupt):
            ingest_tables(spark, lake, "shop", {"orders": orders})
    ingest_tables(spark, lake, "shop", {"orders": orders})
    assert ids(spark, lake) == [1, 2, 3]


def test_a_released_row_hides_no_row_of_the_database(spark, lake, database, orders):
    insert(database, (1, "1", "a", "2024-01-01"), (2, "2", "b", "2024-01-02"))
    ingest_tables(spark, lake, "shop", {"orders": orders})
    released = read_at(spark, lake, TABLE, latest_version(spark, lake, TABLE)).where("id = 2")
    changes = {
        "changed_at": F.lit("2030-01-02").cast("timestamp_ntz"),
        "_batch": F.lit(-2).cast("bigint"),
    }
    append_once(released.withColumns(changes), lake, TABLE, "release", 1)

    insert(database, (3, "3", "c", "2024-01-03"))
    assert ingest_tables(spark, lake, "shop", {"orders": orders})["orders"].rows == 1
    assert ingest_tables(spark, lake, "shop", {"orders": orders})["orders"].rows == 0
    assert sorted(ids(spark, lake)) == [1, 2, 2, 3]


def test_an_erasure_names_the_table_where_rows_have_to_go_too(
    spark, lake, database, orders, open_test_run
):
    insert(database, (1, "1", "a", "2024-01-01"), (2, "2", "b", "2024-01-02"))
    run = open_test_run(landing="nowhere")
    pipeline = run.pipeline.model_copy(update={"ingest": Ingest(sources={"orders": orders})})
    run = replace(run, pipeline=pipeline)
    ingest_tables(spark, lake, "flights", {"orders": orders})

    record = erase(run, ["id=2"])
    assert record.landing_files == ["database table public.orders"]
    said = "\n".join(record.lines())
    assert "database table public.orders held it: delete it there before the next ingest" in said
    assert "Landing files" not in said

    database.run("DELETE FROM orders WHERE id = 2")
    insert(database, (3, "3", "c", "2024-01-01"))
    assert ingest_tables(spark, lake, "flights", {"orders": orders})["orders"].rows == 1
    assert ids(spark, lake) == [1, 3]


def test_what_cannot_be_read_is_said_without_the_password(
    spark, lake, database, orders, monkeypatch
):
    database.run("INSERT INTO orders (id) VALUES (7)")
    with pytest.raises(LandingError, match=r"1 rows of public\.orders have no `changed_at`"):
        ingest_tables(spark, lake, "shop", {"orders": orders})
    other = orders.model_copy(update={"columns": (*COLUMNS, "amout")})
    with pytest.raises(SchemaError, match=r"no column 'amout'.*Did you mean 'amount'"):
        ingest_tables(spark, lake, "shop", {"orders": other})
    missing = source(database.url, table="public.order")
    with pytest.raises(LandingError, match=r"public\.order at .* can't be read"):
        ingest_tables(spark, lake, "shop", {"orders": missing})
    monkeypatch.setenv("ORDERS_PASSWORD", "wrong-and-secret")
    with pytest.raises(LandingError, match="authentication failed") as caught:
        ingest_tables(spark, lake, "shop", {"orders": orders})
    assert "wrong-and-secret" not in str(caught.value)
    monkeypatch.delenv("ORDERS_PASSWORD")
    with pytest.raises(SettingsError, match="ORDERS_PASSWORD` names a variable that is not set"):
        ingest_tables(spark, lake, "shop", {"orders": orders})


def test_a_type_that_changed_in_the_database_is_refused(spark, lake, database, orders):
    insert(database, (1, "1", "a", "2024-01-01"))
    ingest_tables(spark, lake, "shop", {"orders": orders})
    database.run("ALTER TABLE orders ALTER COLUMN amount TYPE double precision")
    with pytest.raises(SchemaError, match=r"'amount' is double in the database, decimal\(10,2\)"):
        ingest_tables(spark, lake, "shop", {"orders": orders})
