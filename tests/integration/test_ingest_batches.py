"""What a run of ingest costs: one commit a table, and no Spark job more for more files."""

from __future__ import annotations

import pytest

from pipelines.config.ingest import Source
from pipelines.lake.read import latest_version
from tests.integration.test_ingest import DAY, T0, Place

pytestmark = pytest.mark.spark


def num_jobs(spark) -> int:
    return int(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs())


def corrected(place: Place, count: int) -> tuple[int, list[int]]:
    """Deliver files, then all of them corrected and one anew; return the jobs and commits of it."""
    name = f"of_{count}"
    source = Source(path=name, columns=("a", "b"), on_change="correction")
    place.sources = {name: source}
    for number in range(count):
        place.put(f"{name}/{number}.csv", f"a,b\n{number},1\n")
    place.ingest()
    tables = [f"bronze.{name}{end}" for end in ("", "_files", "_rejected")]
    before = [latest_version(place.spark, place.lake, table) for table in tables]
    for number in range(count):
        place.put(f"{name}/{number}.csv", f"a,b\n{number},22\n", T0 + DAY)
    place.put(f"{name}/new.csv", "a,b\nnew,3\n", T0 + DAY)
    jobs = num_jobs(place.spark)
    outcome = place.ingest()[name]
    jobs = num_jobs(place.spark) - jobs
    assert (outcome.files, outcome.corrected, outcome.rows) == (1, count, count + 1)
    after = [latest_version(place.spark, place.lake, table) for table in tables]
    rows = place.rows(name, "a", "b")
    assert rows.count(("new", "3")) == 1
    assert sorted(b for _, b in rows if b != "3") == ["1"] * count + ["22"] * count
    return jobs, [new - old for old, new in zip(before, after, strict=True)]


def test_corrected_files_come_in_one_commit_a_table_however_many_they_are(spark, tmp_path):
    place = Place(spark, tmp_path, {})
    one, commits = corrected(place, 1)
    ten, commits_of_ten = corrected(place, 10)
    assert commits == commits_of_ten == [1, 1, 0]
    assert ten == one


def test_a_run_that_finds_nothing_new_starts_no_job_for_its_files(spark, tmp_path):
    place = Place(spark, tmp_path, {})
    jobs = []
    for count in (1, 10):
        corrected(place, count)
        before = num_jobs(spark)
        place.ingest()
        jobs.append(num_jobs(spark) - before)
    assert jobs[0] == jobs[1]
