from pathlib import Path

import pytest

from pipelines.config.ingest import Source
from pipelines.errors import TenantError, UsageError
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.tenant import ROOT_VARIABLE, confine, confine_links
from pipelines.run import resolve_place


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the tenant `acme`, whose neighbour is `acme2`."""
    for name in ("acme", "acme2"):
        (tmp_path / name / "lake").mkdir(parents=True)
    monkeypatch.setenv(ROOT_VARIABLE, f"{tmp_path}/acme,s3a://lakes/acme")
    return tmp_path / "acme"


def test_a_tenants_own_places_pass(acme: Path) -> None:
    for place in (f"{acme}/lake", f"file://{acme}/lake", f"file:{acme}/x/../lake", str(acme)):
        assert confine(place) == place
    for place in ("s3a://lakes/acme", "s3://lakes/acme/lake", "s3a://lakes/acme//lake/."):
        assert confine(place) == place


@pytest.mark.parametrize(
    "place",
    [
        "{acme}2/lake",
        "{acme}/../acme2/lake",
        "{acme}/lake/../../acme2",
        "file:{acme}2/lake",
        "file://{acme}/../acme2/lake",
        "FILE:{acme}2",
        "/",
        "s3a://lakes/acme2/lake",
        "s3a://lakes/acme/../acme2",
        "s3a://lakes/acme/%2e%2e/acme2",
        "s3a://lakes",
        "s3a://other/acme",
        "gs://lakes/acme",
        "hdfs://lakes/acme",
        "~",
    ],
)
def test_another_place_is_refused_however_it_is_spelt(acme: Path, place: str) -> None:
    with pytest.raises(TenantError, match=r"outside of this tenant's place|`\.\.` and escapes"):
        confine(place.format(acme=acme))


def test_settings_and_options_go_through_it(acme: Path) -> None:
    with pytest.raises(TenantError, match=ROOT_VARIABLE):
        resolve_place(acme, "../acme2/lake")
    with pytest.raises(TenantError, match="acme2"):
        resolve_place(acme, f"file:{acme}2/lake")
    assert resolve_place(acme, "lake") == f"{acme}/lake"


def test_links_that_lead_out_are_found_at_any_depth(acme: Path) -> None:
    table = acme / "lake" / "silver" / "flights"
    table.mkdir(parents=True)
    (acme / "lake" / "inside").symlink_to(table)
    confine_links(str(acme / "lake"))

    (table / "part.parquet").symlink_to(acme.parent / "acme2" / "lake" / "part.parquet")

    with pytest.raises(TenantError, match=r"part\.parquet is a symbolic link to .*acme2"):
        confine_links(f"file://{acme}/lake")


def test_a_lake_that_is_itself_a_link_is_refused(acme: Path) -> None:
    (acme / "mine").symlink_to(acme.parent / "acme2" / "lake")

    with pytest.raises(TenantError, match="outside of this tenant's place"):
        resolve_place(acme, "mine")


def test_without_the_variable_no_run_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)

    assert confine("s3a://anyone/lake/../x") == "s3a://anyone/lake/../x"


def test_no_name_becomes_a_path() -> None:
    lake = Lake("/lakes/acme")
    for make in (
        lambda: lake.runs("../../acme2/_runs/x"),
        lambda: lake.training("flights", ".."),
        lambda: lake.path(Table("gold", "../../acme2/gold/flights")),
        lambda: lake.path("silver.x/../../y"),
    ):
        with pytest.raises(UsageError, match="name"):
            make()


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "a/../../x", "{a,../../x}", r"\.\./x", "[.][.]/x", "/x", "s3a://b/x", "f:/x"),
        *("x{/.,q}.{/.,q}./beta", r"x{/\.,q}./beta", "{.,q}./beta"),
    ],
)
def test_a_source_stays_in_its_landing_folder(path: str) -> None:
    with pytest.raises(ValueError, match="leads out of the landing folder"):
        Source(path=path, columns=("a",))


def test_dots_in_names_are_no_way_out() -> None:
    for path in ("./days", "2013.{csv,json}", "{a.b,c}/d.*"):
        assert Source(path=path, columns=("a",)).path == path
