"""Records of files with one JSON object a line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from pipelines.config.ingest import Source
from pipelines.errors import LakeError
from pipelines.ingest.drift import BadFile, judge_names
from pipelines.ingest.files import LandingFile
from pipelines.ingest.frames import AS_NAMED, Observed, columns_of, paths_of, row_position
from pipelines.ingest.json_lines import OVER_LINES, UTF_16, BadLine, records_in
from pipelines.ingest.sorting import Sorted

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

# What stands in a line that holds no record: blanks, a byte order mark, empty arrays.
_HOLDS_NOTHING = r"\A\x{FEFF}?[ \t\r]*(\[[ \t\r]*\][ \t\r]*)*\z"
# Lines that only a value over many lines has.
_BRACKETS = {"opens": (b"[", b"{"), "closes": (b"]", b"}", b"},", b"];")}
_CENSUS = (
    "link string, keys array<string>, lines bigint, records bigint, hints array<string>, "
    "all_lines bigint"
)


def _is_open(text: bytes) -> bool:
    """Tell whether more brackets open than close: a value goes on in the next line."""
    return sum(map(text.count, (b"{", b"["))) > sum(map(text.count, (b"}", b"]")))


@dataclass
class Census:
    """What the lines of a file hold: `records` counts those that are put aside, too."""

    keys: set[str] = field(default_factory=set)
    """Keys that are not declared."""
    lines: int = 0
    """Lines that hold a record, or should."""
    records: int = 0
    hints: set[str] = field(default_factory=set)
    """Reasons that may be those of the whole file, and `good` where there is a good record."""
    all_lines: int = 0
    """Lines, those that hold nothing among them."""

    def add(self, line: bytes, columns: Sequence[str]) -> None:
        """Count a line."""
        self.all_lines += 1
        try:
            records = records_in(line, columns)
        except BadLine as finding:
            self.lines += 1
            self.records += 1
            if str(finding) == UTF_16:
                self.hints.add(UTF_16)
            bare = line.strip()
            self.hints.update(name for name, ones in _BRACKETS.items() if bare in ones)
            if bare[:1] in (b"{", b"[") and _is_open(bare):
                self.hints.add(OVER_LINES)
            return
        self.lines += bool(records)
        self.records += len(records)
        for record in records:
            self.hints.add("good")
            self.keys.update(record.keys() - set(columns))

    def join(
        self, keys: Sequence[str], lines: int, records: int, hints: Sequence[str], all_lines: int
    ) -> None:
        """Add what another task counted."""
        self.all_lines += all_lines
        self.keys.update(keys)
        self.lines += lines
        self.records += records
        self.hints.update(hints)

    @property
    def reason(self) -> str | None:
        """Why the whole file is put aside, if it is: its lines are pieces of a value."""
        if UTF_16 in self.hints:
            return UTF_16
        has_no_good = OVER_LINES in self.hints and "good" not in self.hints and self.lines > 1
        return OVER_LINES if has_no_good or _BRACKETS.keys() <= self.hints else None


def count_lines(spark: SparkSession, files: Sequence[LandingFile], source: Source) -> list[Census]:
    """Return, file by file, what its lines hold.

    Raises LakeError where the parser left a line out: lines are counted by another than it.
    """
    from pyspark.sql import Observation

    by_link = {link: place for place, file in enumerate(files) for link in file.links}
    found = [Census() for _ in files]
    seen = Observation()
    holds = ~F.col("value").rlike(_HOLDS_NOTHING)
    lines = _lines(spark, files).observe(seen, F.count_if(holds).alias("lines"))
    keys = [source.header_of(name) for name in source.columns]
    counted = _as_bytes(lines).mapInArrow(partial(_count, columns=keys), _CENSUS)
    for link, *figures in counted.collect():
        found[by_link[link]].join(*figures)
    num_lines, answered = int(seen.get["lines"]), sum(one.lines for one in found)
    if num_lines != answered:
        raise LakeError(
            f"{num_lines:,} lines of JSON were read from {files[0].path} and {len(files) - 1} more "
            f"files, but {answered:,} were taken apart. Nothing was written. The files may have "
            "changed while they were read; run ingest again when deliveries are complete."
        )
    return found


def judge_keys(census: Census, source: Source) -> tuple[str, ...] | str:
    """Return the columns to read from a file, or why it is put aside.

    A record may lack a key: it is null then.
    """
    if census.reason:
        return census.reason
    extra = sorted(census.keys)
    try:
        judge_names([*source.columns, *extra], source)
    except BadFile as finding:
        return str(finding)
    return (*source.columns, *extra)


def read_json(
    spark: SparkSession,
    header: tuple[str, ...],
    found: Sorted,
    source: Source,
    observed: Observed,
) -> DataFrame:
    """Read the files of one set of keys."""
    files = found.groups[header]
    names = [name for name in found.columns if name in header]
    # By number: a column of the file may be called as one of these.
    schema = ", ".join(f"`{place}` string" for place in range(len(names)))
    schema += ", _link string, _row bigint, _reason string, _raw string"
    keys = [source.header_of(name) for name in names]
    rows = _as_bytes(_lines(spark, files)).mapInArrow(partial(_take_apart, names=keys), schema)
    values: list[Column] = [F.col(f"`{place}`").alias(name) for place, name in enumerate(names)]
    own = ("_link", "_row", "_reason", "_raw")
    return observed(rows.select(*values, *own)).select(*columns_of(names, found), *own)


def _lines(spark: SparkSession, files: Sequence[LandingFile]) -> DataFrame:
    # A line ends at the line feed alone: a return is a blank to JSON.
    reader = spark.read.options(**AS_NAMED, lineSep="\n")
    return reader.text(paths_of(files))


def _as_bytes(lines: DataFrame) -> DataFrame:
    link = F.input_file_name().alias("link")
    return lines.select(F.col("value").cast("binary"), link, row_position().alias("row"))


def _count(batches: Iterator[pa.RecordBatch], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    found: defaultdict[str, Census] = defaultdict(Census)
    for batch in batches:
        values, links, _ = (one.to_pylist() for one in batch.columns)
        for line, link in zip(values, links, strict=True):
            found[link].add(line, columns)
    texts = pa.list_(pa.string())
    yield pa.record_batch(
        [
            pa.array(list(found), pa.string()),
            pa.array([sorted(one.keys) for one in found.values()], texts),
            pa.array([one.lines for one in found.values()], pa.int64()),
            pa.array([one.records for one in found.values()], pa.int64()),
            pa.array([sorted(one.hints) for one in found.values()], texts),
            pa.array([one.all_lines for one in found.values()], pa.int64()),
        ],
        ["link", "keys", "lines", "records", "hints", "all_lines"],
    )


def _take_apart(
    batches: Iterator[pa.RecordBatch], names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Make records of lines.

    Records of a line have a `_row` each: those behind them move on. A record has two bytes at
    least, so the numbers of a block still lie below those of the file's next.
    """
    import pyarrow as pa

    behind = 0
    kinds = [*(pa.string() for _ in names), pa.string(), pa.int64(), pa.string(), pa.string()]
    labels = [*map(str, range(len(names))), "_link", "_row", "_reason", "_raw"]
    for batch in batches:
        columns: list[list[Any]] = [[] for _ in kinds]
        put = [column.append for column in columns]
        for line, link, row in zip(*(one.to_pylist() for one in batch.columns), strict=True):
            reason, raw = None, None
            try:
                records = records_in(line, names)
            except BadLine as finding:
                reason, raw = str(finding), _shown(line)
                records = [{}]
            for number, record in enumerate(records):
                values = [record.get(name) for name in names]
                for add, value in zip(
                    put, (*values, link, row + behind + number, reason, raw), strict=True
                ):
                    add(value)
            behind += max(0, len(records) - 1)
        yield pa.record_batch(
            [pa.array(one, kind) for one, kind in zip(columns, kinds, strict=True)], labels
        )


def _shown(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
