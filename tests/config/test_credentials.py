from pathlib import Path

import pytest

from pipelines.config.credentials import refuse_in_override, refuse_in_profile
from pipelines.config.load import load_pipeline
from pipelines.errors import SettingsError
from tests.config.conftest import SHOP

SECRET = "hunter2-hunter2"


def _with_option(key: str, value: str) -> str:
    return SHOP.replace("path: orders,", f"path: orders, options: {{{key}: '{value}'}},")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("password", SECRET),
        ("fs.s3a.secret.key", SECRET),
        ("fs.s3a.access.key", SECRET),
        ("sessionToken", SECRET),
        ("fs.azure.account.key.lake.blob.core.windows.net", SECRET),
        ("url", f"jdbc:postgresql://reader:{SECRET}@db/shop"),
        ("url", f"jdbc:postgresql://db/shop?user=reader&password={SECRET}"),
        ("url", f"jdbc:postgresql://db/shop?sslpassword={SECRET}"),
        ("url", f"jdbc:oracle:thin:scott/{SECRET}@db"),
        ("url", f"(description=(password={SECRET}))"),
        ("javaOptions", f"-Djavax.net.ssl.keyStorePassword={SECRET}"),
        ("anything", "AKIAABCDEFGHIJKLMNOP"),
    ],
)
def test_a_credential_in_settings_is_refused_with_its_place_and_without_its_value(
    shop, key: str, value: str
) -> None:
    root = shop(_with_option(key, value))

    with pytest.raises(SettingsError) as raised:
        load_pipeline("shop", root=root)

    said = str(raised.value)
    assert "conf/shop/pipeline.yml:5" in said
    assert "environment" in said
    assert value not in said
    assert SECRET not in said


def test_a_credential_in_an_overlay_an_override_or_the_lake_is_refused(shop) -> None:
    root = shop(prod=f"ingest: {{sources: {{orders: {{options: {{password: {SECRET}}}}}}}}}")
    tries = [
        {"env": "prod"},
        {"overrides": [f"ingest.sources.orders.options.password={SECRET}"]},
        {"overrides": [f"ingest.sources.orders.options={{password: {SECRET}}}"]},
        {"overrides": [f"no.such.password={SECRET}"]},
        {"overrides": [f"landing=s3a://me:{SECRET}@bucket/x"]},
        {"lake": f"s3a://me:{SECRET}@bucket/lake"},
    ]
    for given in tries:
        with pytest.raises(SettingsError, match="Credentials never stand") as raised:
            load_pipeline("shop", root=root, **given)
        assert SECRET not in str(raised.value)


def test_the_message_names_the_environment_variables_of_the_store() -> None:
    with pytest.raises(SettingsError, match="AWS_SECRET_ACCESS_KEY"):
        refuse_in_profile({"spark.hadoop.fs.s3a.secret.key": SECRET}, "conf/spark/s3.conf")
    with pytest.raises(SettingsError, match=r"conf/spark/s3\.conf: .*Password"):
        refuse_in_profile({"spark.ssl.keyPassword": SECRET}, "conf/spark/s3.conf")


def test_what_only_tells_where_a_credential_is_passes(shop, project: Path) -> None:
    refuse_in_profile(
        {
            "spark.hadoop.fs.s3a.aws.credentials.provider": "com.amazonaws.auth.Environment",
            "spark.authenticate.secret.file": "/etc/secret",
            "spark.kubernetes.executor.secretKeyRef.TIDEMILL_SECRET_K1": "tidemill:k1",
            "spark.network.crypto.keyLength": "256",
        },
        "conf/spark/s3.conf",
    )
    refuse_in_override("clean.entities.orders.derive={token: upper(token)}")
    refuse_in_override("ingest.sources.orders.options={password_env: SHOP_PASSWORD}")
    named = SHOP.replace("day, amount]", "day, amount, token]").replace(
        "        amount: {type: double}", "        amount: {type: double}\n        token: {}"
    )
    root = shop(named.replace("  reads:", "  label: token\n  reads:"))

    assert load_pipeline("shop", root=root).featurize.label == "token"
    for name in ("flights", "weather", "digits"):
        load_pipeline(name, root=project)


@pytest.mark.parametrize(
    "key", ["spark.executorEnv.TIDEMILL_SECRET_K1", "spark.yarn.appMasterEnv.TIDEMILL_SECRET_K1"]
)
def test_a_key_of_privacy_in_a_profile_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="would be in Spark's settings"):
        refuse_in_profile({key: SECRET}, "conf/spark/yarn.conf")
    from_store = {"spark.kubernetes.executor.secretKeyRef.TIDEMILL_SECRET_K1": "keys:k1"}
    refuse_in_profile(from_store, "conf/spark/kubernetes.conf")
