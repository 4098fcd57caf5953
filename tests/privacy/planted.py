"""A pipeline over people, files with planted values, and a search for these in everything.

    python -m tests.privacy.planted FOLDER PROTECT_AT PROFILE [whole]

runs the stages up to `normalize`, or all of them, in a process of its own, so that all it says
can be looked at.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import sqlite3
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

PIPELINE = """\
name: people
landing: {folder}/landing
lake: {folder}/lake
privacy:
  protect_at: {protect_at}
  keys: [k1]
  sources:
    customers:
      email: pseudonymize
      name: drop
      phone: {{action: mask, keep: 2}}
      born: {{action: generalize, to: year}}
      postcode: {{action: generalize, to: prefix, keep: 2}}
    letters: {{email: pseudonymize, text: drop}}
    cards: {{email: pseudonymize, iban: mask}}
ingest:
  sources:
    customers: {{path: customers, columns: [email, name, phone, born, postcode, day, amount]}}
    letters: {{path: letters, format: json, columns: [email, text, day]}}
    cards: {{path: cards, format: parquet, columns: [email, iban, day]}}
clean:
  entities:
    customers:
      source: customers
      key: [email, day]
      columns:
        email: {{missing: {{action: quarantine}}}}
        phone: {{}}
        birth_year: {{source: born, type: int}}
        postcode: {{}}
        day: {{type: date}}
        amount: {{type: double, outliers: {{min: 0, max: 1000}}}}
      rules:
        - {{name: amount_is_small, check: amount < 900, severity: warn}}
    letters:
      source: letters
      key: [email, day]
      columns: {{email: {{}}, day: {{type: date}}}}
    cards:
      source: cards
      key: [email, day]
      columns: {{email: {{}}, iban: {{}}, day: {{type: date}}}}
      table_rules:
        - {{name: day_is_known, check: references, columns: [email, day], table: silver.customers}}
featurize:
  table: customers
  sql: [features.sql]
  reads: {{silver.customers: day, silver.letters: day}}
  key: email
  date: day
  label: is_high
normalize:
  training_set: customers_training
  split: {{by: hash}}
  features:
    amount: {{kind: numeric}}
    phone: {{kind: category}}
    postcode: {{kind: category}}
train: {{epochs: 1, ranks: 1, batch_size: 8, options: {{hidden: [4]}}}}
promote: {{threshold: 0.0, beat_constant: false}}
score: {{model: people_high}}
"""
SQL = """\
SELECT email, day, CAST(day AS timestamp) AS prediction_at, amount, phone, postcode,
  CAST(amount > 30 AS int) AS is_high
FROM silver.customers WHERE day BETWEEN :since AND :until
"""
PLANTED = (
    *(f"planted.person{number}@mail.example" for number in range(60)),
    *("PlantedName", "0170-plantedphone", "1984-07-13", "98765-PLANTED", "dear PlantedLetter"),
    *("DE99PLANTEDIBAN", "planted-no-date", "planted.header@mail.example", "planted.bad@"),
)
"""Nothing of it may be anywhere in a lake with `protect_at: ingest`, nor in what was said."""


def write_project(folder: Path, protect_at: str) -> None:
    """Write settings, profile and landing files."""
    conf = folder / "conf" / "people"
    conf.mkdir(parents=True)
    (conf / "pipeline.yml").write_text(PIPELINE.format(folder=folder, protect_at=protect_at))
    (conf / "features.sql").write_text(SQL)
    land(folder)


def land(folder: Path) -> None:
    """Write files with good, bad, malformed and headerless records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    landing = folder / "landing"
    for name in ("customers", "letters", "cards"):
        (landing / name).mkdir(parents=True)
    header = "email,name,phone,born,postcode,day,amount"
    rows = [
        f"planted.person{n}@mail.example,PlantedName,0170-plantedphone{n:02},1984-07-13,"
        f"98765-PLANTED,2013-01-{1 + n % 5:02},{n}.5"
        for n in range(60)
    ]
    bad = [
        "planted.bad@mail.example,PlantedName,0170-plantedphone,planted-no-date,98765-PLANTED,"
        "2013-01-01,5",
        "planted.bad@mail.example,PlantedName,0170-plantedphone,1984-07-13,98765-PLANTED,"
        "2013-01-01,not a number",
        "planted.bad@mail.example,PlantedName,too,many,fields,1984-07-13,98765-PLANTED,x,y,z",
        'planted.bad@mail.example,"PlantedName',
    ]
    (landing / "customers" / "a.csv").write_text("\n".join([header, *rows, *bad]) + "\n")
    no_header = "planted.header@mail.example,PlantedName,0170-plantedphone,1984-07-13,98765-PLANTED"
    (landing / "customers" / "b.csv").write_text(f"{no_header},2013-01-01,5\n")
    letter = {"email": "planted.person1@mail.example", "text": "dear PlantedLetter"}
    lines = [json.dumps({**letter, "day": "2013-01-02"}), '{"email": "planted.bad@mail.example']
    (landing / "letters" / "a.json").write_text("\n".join(lines) + "\n")
    strange = {"planted.header@mail.example": "a value taken for a key", "day": "2013-01-01"}
    (landing / "letters" / "b.json").write_text(json.dumps(strange) + "\n")
    table = pa.table(
        {
            "email": ["planted.person1@mail.example"],
            "iban": ["DE99PLANTEDIBAN"],
            "day": ["2013-01-03"],
        }
    )
    pq.write_table(table, landing / "cards" / "a.parquet")


def contents(file: Path) -> list[bytes]:
    """Return a file's content as it is, and decoded by every format that it may have."""
    content = file.read_bytes()
    found = [content]
    if content[:4] == b"PAR1":
        import pyarrow.parquet as pq

        read = pq.ParquetFile(io.BytesIO(content))
        found += [str(read.read().to_pylist()).encode(), str(read.metadata.to_dict()).encode()]
    elif content[:2] == b"\x1f\x8b":
        found.append(gzip.decompress(content))
    elif content[:15] == b"SQLite format 3":
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            found.append("\n".join(database.iterdump()).encode())
    elif zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            found += [archive.read(name) for name in archive.namelist()]
    return found


def find(places: list[Path], wanted: tuple[str, ...]) -> dict[str, list[str]]:
    """Return where which of the wanted texts are, below all of the places."""
    files = [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
    found: dict[str, list[str]] = {}
    for file in files:
        texts = contents(file)
        hits = [word for word in wanted if any(word.encode() in text for text in texts)]
        if hits:
            found[str(file)] = hits
    return found


def main(folder: Path, protect_at: str, profile: str, is_whole: bool) -> None:
    """Run the stages; checkpoints of Delta's log are made too, which hold statistics."""
    from pipelines.config.load import load_pipeline
    from pipelines.lake.read import latest_version
    from pipelines.runner import open_run, run_stage
    from pipelines.terminal import set_up_logging

    set_up_logging(is_watched=False)
    write_project(folder, protect_at)
    (folder / "conf" / "spark").mkdir()
    events = folder / "events"
    events.mkdir()
    (folder / "conf" / "spark" / "local.conf").write_text(
        f"{Path(profile).read_text()}\nspark.master local[2]\nspark.driver.memory 1g\n"
        f"spark.eventLog.enabled true\nspark.eventLog.dir {events.as_uri()}\n"
        "spark.eventLog.compress false\nspark.sql.shuffle.partitions 2\n"
    )
    run = open_run(load_pipeline("people", root=folder), run_id="planted")
    for stage in ("ingest", "clean", "featurize", "normalize"):
        print(run_stage(stage, run).to_json())
    if is_whole:
        for stage in ("train", "promote"):
            print(run_stage(stage, run).to_json())
        dated = replace(run, date=dt.date(2013, 1, 5))
        for stage in ("score", "monitor"):
            print(run_stage(stage, dated).to_json())
    jvm = run.spark._jvm
    for table in ("bronze.customers", "silver.customers", "gold.customers"):
        assert latest_version(run.spark, run.lake, table) >= 0
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(
            run.spark._jsparkSession, run.lake.path(table)
        )
        log.checkpoint()
    run.spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:] == ["whole"])
