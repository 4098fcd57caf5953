"""Credentials are hidden wherever text leaves: addresses, names that tell, the environment."""

from __future__ import annotations

import io
import logging
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import LakeError, TidemillError
from pipelines.secrecy import HIDDEN, hide, hide_in, hide_in_logs

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"http://alice:{SECRET}@host:5000/api", "http://***@host:5000/api"),
        ("http://alice:PW@host", "http://***@host"),
        (f"https://{SECRET}@host/simple x@y", "https://***@host/simple x@y"),
        (f"(http://a:{SECRET}@c, https://d:e@f)", "(http://***@c, https://***@f)"),
        (f"s3a://AKIAABCDEFGHIJKLMNOP:{SECRET}/x+y@bucket/lake", "s3a://***@bucket/lake"),
        (f"postgresql+psycopg2://u:{SECRET}@h:5432/db", "postgresql+psycopg2://***@h:5432/db"),
        (f"jdbc:postgresql://u:{SECRET}@h/db", "jdbc:postgresql://***@h/db"),
        (f"jdbc:postgresql://h/db?user=u&password={SECRET}&x=1", None),
        (f"jdbc:sqlserver://h;user=u;password={SECRET};x=1", None),
        (f"jdbc:oracle:thin:scott/{SECRET}@db", "jdbc:oracle:thin:***@db"),
        (f"(description=(password={SECRET}))", "(description=(password=***))"),
        (f"https://x.blob/c?sv=1&sig={SECRET}&se=2", "https://x.blob/c?sv=1&sig=***&se=2"),
        (f"https://b.s3/k?X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}", None),
        (f"https://host/?access_token={SECRET}", "https://host/?access_token=***"),
        (f"proxy http://me:{SECRET}@proxy:3128 refused", "proxy http://***@proxy:3128 refused"),
        (f"AWS_SECRET_ACCESS_KEY={SECRET} tidemill", "AWS_SECRET_ACCESS_KEY=*** tidemill"),
        (f"-Djavax.net.ssl.keyStorePassword={SECRET}", "-Djavax.net.ssl.keyStorePassword=***"),
        (f"{{'Authorization': 'Basic {SECRET}'}}", "{'Authorization': '***'}"),
        ("Bearer abcdefgh1234", "Bearer ***"),
        (f'{{"password": "{SECRET}", "x": 1}}', '{"password": "***", "x": 1}'),
        (f"{{'x': 1, 'api_key': '{SECRET}'}}", "{'x': 1, 'api_key': '***'}"),
        (f"connect(host=h, password='{SECRET} and more')", "connect(host=h, password='***')"),
        (f"password: {SECRET}", "password: ***"),
        (f"client.secret = {SECRET}, x = 1", "client.secret = ***, x = 1"),
        (f"X-Api-Key: {SECRET}", "X-Api-Key: ***"),
        (f"next=http%3A%2F%2Fa%3A{SECRET}%40host%2F&x", "next=http%3A%2F%2F***%40host%2F&x"),
        (f"sent eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{SECRET}", "sent ***"),
        (f"ghp_{SECRET.replace('-', '')}{SECRET.replace('-', '')}", "***"),
        ("key AKIAABCDEFGHIJKLMNOP", "key ***"),
    ],
)
def test_what_is_secret_in_a_text_is_hidden_and_the_rest_stays(said: str, shown: str | None):
    found = hide(said)
    assert SECRET not in found
    assert HIDDEN in found
    assert shown in (None, found)


@pytest.mark.parametrize(
    "said",
    [
        "gold.flights@3 is at s3a://bucket/lake/gold/flights, run_id=flights-20130101",
        "abfss://container@account.dfs.core.windows.net/lake",
        "http://tracking.example:5000/path@v1",
        "hdfs://namenode:8020/lake and file:///home/a@b/lake",
        "`ingest.sources.orders.jdbc.password_env: ORDERS_PASSWORD` names a variable",
        "train.options.max_tokens=512 rows=3 key=(day, flight)",
        "Basic authentication of the bearer failed",
        "ingest.sources.orders.jdbc.password: unknown key. Did you mean 'password_env'?",
        "`password`: expected a text; the secret = what nobody knows",
        "{'rows': '12', 'path': '/tmp/x1', 'password_env': 'ORDERS_PASSWORD_2'}",
        "select a from t where b = 'x' and token_id=7",
    ],
)
def test_what_is_not_secret_stays_as_it_is(said: str):
    assert hide(said) == said


_ALLOWED = string.ascii_letters + string.digits + "-._~!$*,@%+#?/"


@given(
    st.sampled_from(["http", "https", "s3a", "jdbc:postgresql", "mysql+pymysql", "ftp"]),
    st.text(string.ascii_letters, min_size=1),
    st.text(_ALLOWED, min_size=6).filter(lambda text: not text[0].isdigit()),
    st.sampled_from(["", "/x", ":80", ":80/path?q=1#part"]),
)
def test_no_password_of_an_address_is_shown(scheme: str, user: str, password: str, rest: str):
    found = hide(f"failed: {scheme}://{user}:{password}@host{rest} (again)")
    assert found.startswith(f"failed: {scheme}://***@")
    assert found.endswith(f"host{rest} (again)")


def test_a_long_text_is_no_trouble():
    for piece in ("a=", "a=b,", "http://a:", "password=x,", "jdbc:a:", "(" * 9, "@"):
        assert hide(piece * 20_000)


@given(st.text() | st.text(_ALLOWED + "/:=&;'\" \n"))
def test_any_text_can_be_hidden_in_and_a_second_time_changes_nothing(text: str):
    assert hide(hide(text)) == hide(text)


def test_secrets_of_the_environment_are_hidden_however_they_are_spelled(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret/word")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:prox%2Fword@proxy:3128")
    monkeypatch.setenv("PWD", "/srv/folder")
    monkeypatch.setenv("SOME_TOKEN", "x" * 5000)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", __file__)
    assert hide(f"/srv/folder/x and {__file__}") == f"/srv/folder/x and {__file__}"
    assert hide("tried s3cret/word and s3cret%2Fword, prox/word") == "tried *** and ***, ***"


def test_nested_values_are_hidden_in_every_text():
    given = {"a": [f"http://u:{SECRET}@h", 3, None], "b": {"c": (f"token={SECRET}",)}}
    assert hide_in(given) == {"a": ["http://***@h", 3, None], "b": {"c": ["token=***"]}}


def test_no_error_of_ours_shows_a_secret_wherever_it_is_printed():
    error = LakeError(f"http://u:{SECRET}@host does not answer")
    assert SECRET not in f"{error} {error!r} {error.args}"
    assert isinstance(error, TidemillError)


def test_log_records_of_every_library_hide_secrets_in_messages_and_traces():
    before = logging.getLogRecordFactory()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("some.library")
    logger.addHandler(handler)
    try:
        hide_in_logs()
        hide_in_logs()
        try:
            raise ValueError(f"http://u:{SECRET}@host")
        except ValueError:
            logger.warning("retrying %s", f"http://u:{SECRET}@host", exc_info=True)
        logger.warning("%d of %s", 3, "rows")
    finally:
        logger.removeHandler(handler)
        logging.setLogRecordFactory(before)
    said = stream.getvalue()
    assert SECRET not in said
    assert "retrying http://***@host" in said
    assert "ValueError: http://***@host" in said
    assert "3 of rows" in said
