import pytest

from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError
from tests.config.conftest import SHOP


def _marked(privacy: str, settings: str = SHOP) -> str:
    return settings.replace("ingest:\n", f"privacy: {privacy}\ningest:\n", 1)


def test_a_word_is_a_mark(shop) -> None:
    text = _marked("{keys: [k1], sources: {orders: {order_id: pseudonymize}}}").replace(
        "{type: bigint}", "{}"
    )
    privacy = load_pipeline("shop", root=shop(text)).privacy

    assert privacy.sources["orders"]["order_id"].action == "pseudonymize"
    assert not privacy.protects_at_ingest("orders")


@pytest.mark.parametrize(
    ("privacy", "said"),
    [
        ("{sources: {order: {day: drop}}}", "is no source. Did you mean 'orders'"),
        ("{sources: {orders: {dey: drop}}}", "marks 'dey'.*Did you mean 'day'"),
        ("{sources: {orders: {day: drop}}}", "columns.day` reads a column that `privacy` drops"),
        ("{sources: {orders: {day: mask}}}", "is of type date, but .* is string"),
        ("{sources: {orders: {day: hide}}}", "received 'hide'"),
        ("{sources: {orders: {order_id: pseudonymize}}}", "`privacy.keys` is empty"),
        ("{protect_at: ingest, sources: {orders: {day: mask}}}", "`privacy.keys` is empty"),
        ("{keys: [K-1]}", "is no key id"),
        ("{keys: [k1, k1]}", "stands twice"),
        ("{sources: {orders: {day: generalize}}}", "`to: year` or `to: prefix`"),
        ("{sources: {orders: {day: {action: generalize, to: prefix}}}}", "needs `keep`"),
        ("{sources: {orders: {day: {action: drop, keep: 1}}}}", "`keep` is for"),
    ],
)
def test_marks_that_do_not_fit_are_refused(shop, privacy: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_pipeline("shop", root=shop(_marked(privacy)))


def test_a_reader_that_quotes_values_does_not_go_with_protection_at_ingest(shop) -> None:
    settings = SHOP.replace("path: orders,", "path: orders, options: {maxColumns: '3'},")
    privacy = "{protect_at: ingest, keys: [k1], sources: {orders: {order_id: pseudonymize}}}"
    with pytest.raises(SettingsError, match=r"`options\.maxColumns` can't be set"):
        load_pipeline("shop", root=shop(_marked(privacy, settings.replace("{type: bigint}", "{}"))))
