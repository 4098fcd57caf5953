"""Feature queries: SQL files and functions over tables at resolved versions."""

import datetime as dt
from contextlib import ExitStack

import pytest
from chispa import assert_df_equality

from pipelines.config.featurize import Featurize
from pipelines.errors import FeatureError, SchemaError, SettingsError
from pipelines.features.query import Span, SqlFile, Tables, load_function, run_function, run_sql
from pipelines.features.references import bind_tables, count_words
from pipelines.features.rows import RowCounts, check_columns, check_rows, check_same_columns

DAY = dt.date(2013, 1, 1)
SPAN = Span(DAY, dt.date(2013, 1, 2), "America/New_York")
READABLE = ["silver.flights", "silver.weather"]


# --- names of tables, without Spark ---


@pytest.mark.parametrize(
    ("sql", "bound"),
    [
        ("SELECT * FROM silver.flights", "SELECT * FROM silver__flights"),
        ("FROM SILVER.Flights AS f", "FROM silver__flights AS f"),
        ("FROM `silver`.`flights`", "FROM silver__flights"),
        ("FROM silver . flights", "FROM silver__flights"),
        ("SELECT silver.flights.day", "SELECT silver__flights.day"),
        # Strings and comments are left as they are.
        ("SELECT 'silver.flights'", "SELECT 'silver.flights'"),
        ('SELECT "it\'s silver.x"', 'SELECT "it\'s silver.x"'),
        ("SELECT 'it\\'s silver.x'", "SELECT 'it\\'s silver.x'"),
        ("-- of gold.x\nFROM silver.flights", "-- of gold.x\nFROM silver__flights"),
        ("/* gold.x\n silver.y */ SELECT 1", "/* gold.x\n silver.y */ SELECT 1"),
        # A longer name is no layer.
        (
            "SELECT a.silver.flights, my_silver.flights",
            "SELECT a.silver.flights, my_silver.flights",
        ),
        ("SELECT quicksilver.x FROM quicksilver", "SELECT quicksilver.x FROM quicksilver"),
    ],
)
def test_tables_are_read_through_views(sql, bound):
    assert bind_tables(sql, READABLE, "a.sql") == bound


def test_a_table_that_is_not_declared_is_refused_with_the_nearest_name():
    with pytest.raises(FeatureError) as error:
        bind_tables("SELECT * FROM silver.wether", READABLE, "a.sql")
    assert str(error.value) == (
        "a.sql reads silver.wether, which is not in `featurize.reads`; readable are "
        "['silver.flights', 'silver.weather']. Did you mean 'silver.weather'? Add it there with "
        "the time its rows are available, or take it out of the query."
    )


@pytest.mark.parametrize("table", ["bronze.outcomes", "gold.flights", "predictions.flights_late"])
def test_other_layers_are_refused_too(table):
    with pytest.raises(FeatureError, match=f"a.sql reads {table}"):
        bind_tables(f"SELECT 1 FROM {table}", READABLE, "a.sql")


@pytest.mark.parametrize("file", ["delta.`/lake/silver/flights`", "PARQUET . `/x.parquet`"])
def test_files_read_by_path_are_refused(file):
    with pytest.raises(FeatureError, match="tables by name only"):
        bind_tables(f"SELECT 1 FROM {file}", READABLE, "a.sql")


def test_words_are_counted_outside_of_strings_and_comments():
    sql = "FROM a JOIN `a` ON 'a' = a.a -- a\n, abc, A"
    assert count_words(sql, ["a", "b"]) == {"a": 4, "b": 0}


# --- running queries ---


@pytest.fixture
def session(spark):
    session = spark.newSession()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


@pytest.fixture
def tables(session):
    flights = session.sql(
        "SELECT * FROM VALUES (DATE'2013-01-01', 1), (DATE'2013-01-02', 2), (DATE'2013-01-03', 3)"
        " AS t(flight_date, flight)"
    )
    return Tables({"silver.flights": flights})


@pytest.mark.spark
def test_files_are_views_for_those_that_follow_and_know_the_days_asked_for(session, tables):
    files = [
        SqlFile(
            "of_days", "SELECT * FROM silver.flights WHERE flight_date BETWEEN :since AND :until"
        ),
        SqlFile(
            "features",
            "SELECT a.flight, :timezone AS zone FROM of_days a JOIN of_days b USING (flight)",
        ),
    ]
    with ExitStack() as keep:
        rows = run_sql(files, tables, SPAN, keep)
        assert session.table("of_days").storageLevel.useMemory
        expected = session.createDataFrame(
            [(1, "America/New_York"), (2, "America/New_York")], "flight int, zone string"
        )
        assert_df_equality(rows, expected, ignore_row_order=True, ignore_nullable=True)
    assert not session.table("of_days").storageLevel.useMemory


@pytest.mark.spark
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT fligth FROM silver.flights", r"a\.sql can't be run: .*UNRESOLVED_COLUMN.*fligth"),
        ("SELEC 1", r"a\.sql can't be run: .*PARSE_SYNTAX_ERROR"),
        ("SELECT :untill", r"a\.sql can't be run: .*untill"),
        ("SELECT * FROM nothing", r"a\.sql can't be run: .*nothing"),
    ],
)
def test_a_query_that_fails_is_named_with_what_spark_says(tables, text, message):
    with pytest.raises(FeatureError, match=message) as error, ExitStack() as keep:
        run_sql([SqlFile("a", text)], tables, SPAN, keep)
    assert "JVM stacktrace" not in str(error.value)
    assert "== SQL" not in str(error.value)


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path):
    (tmp_path / "features.sql").write_text("SELECT 1;\n")
    assert SqlFile.read(tmp_path, "features.sql") == SqlFile("features", "SELECT 1")
    with pytest.raises(SettingsError, match=r"names 'feature.sql'.* Did you mean 'features.sql'\?"):
        SqlFile.read(tmp_path, "feature.sql")


def of_days(tables, since, until):
    return tables["silver.flights"].where(f"flight_date BETWEEN '{since}' AND '{until}'")


def undeclared(tables, since, until):
    return tables["silver.fligths"]


@pytest.mark.spark
def test_a_function_gets_the_tables_and_the_days(session, tables):
    rows = run_function(f"{__name__}:of_days", tables, SPAN)
    assert sorted(row["flight"] for row in rows.collect()) == [1, 2]
    with pytest.raises(FeatureError, match=r"reads silver.fligths.* Did you mean 'silver.flights'"):
        run_function(f"{__name__}:undeclared", tables, SPAN)


def test_a_function_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match=r"no module 'nowhere.at_all' on Python's path"):
        load_function("nowhere.at_all:function")
    with pytest.raises(SettingsError, match=r"no function 'of_day'.* Did you mean 'of_days'\?"):
        load_function(f"{__name__}:of_day")


# --- what must hold for the rows ---

SETTINGS = Featurize(
    table="flights",
    sql=("features.sql",),
    reads={},
    key=("flight_date", "flight"),
    date="flight_date",
    label="is_late",
)
COLUMNS = "flight_date date, flight int, prediction_at timestamp, is_late int"
AT = dt.datetime(2013, 1, 1, 12)


@pytest.mark.spark
def test_rows_days_and_missing_labels_are_counted(session):
    rows = [(DAY, 1, AT, 1), (DAY, 2, AT, None), (dt.date(2013, 1, 2), 1, AT, 0)]
    df = session.createDataFrame(rows, COLUMNS)
    assert check_rows(df, SETTINGS, SPAN) == RowCounts(rows=3, days=2, without_label=1)
    assert check_rows(df.limit(0), SETTINGS, SPAN) == RowCounts(0, 0, 0)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((DAY, None, AT, 1), "1 feature rows have no value in the key, .*flight=None"),
        ((None, 1, AT, 1), "1 feature rows have no value in the key, .*flight_date=None"),
        ((DAY, 2, None, 1), "or in 'prediction_at': .*prediction_at=None"),
        ((dt.date(2013, 1, 3), 2, AT, 1), "days outside 2013-01-01 to 2013-01-02: .*2013-01-03"),
        ((DAY, 1, AT, 0), "2 feature rows have only 1 different keys, .*flight=1, times=2"),
    ],
)
def test_rows_that_break_the_contract_are_refused_with_an_example(session, row, message):
    df = session.createDataFrame([(DAY, 1, AT, 1), row], COLUMNS)
    with pytest.raises(FeatureError, match=message):
        check_rows(df, SETTINGS, SPAN)


@pytest.mark.spark
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("flight_date date, flight int, prediction_at timestamp, late int", "Did you mean 'late'"),
        ("flight_date string, flight int, prediction_at timestamp, is_late int", "string; expec"),
        ("flight_date date, flight int, prediction_at date, is_late int", "type date; expected"),
        (f"{COLUMNS}, gust void", r"\['gust'\] of the feature rows are NULL without a type"),
    ],
)
def test_columns_must_be_as_declared(session, columns, message):
    with pytest.raises(FeatureError, match=message):
        check_columns(session.createDataFrame([], columns).schema, SETTINGS)


@pytest.mark.spark
def test_a_change_of_columns_is_said_in_full(session):
    old = session.createDataFrame([], "flight int, temp double, gust double").schema
    new = session.createDataFrame([], "flight int, temp int, visib double").schema
    check_same_columns(old, old, "gold.flights", "tidemill featurize flights")
    with pytest.raises(SchemaError) as error:
        check_same_columns(new, old, "gold.flights", "tidemill featurize flights")
    assert str(error.value) == (
        "the feature rows don't have the columns of gold.flights: 'visib' is new; 'gust' is gone; "
        "'temp' is now int, was double. A range of days can't change a table's columns: put the "
        "query back, or make the whole table anew with `tidemill featurize flights` (no --date)."
    )
