from collections.abc import Callable
from pathlib import Path

import pytest

SHOP = """\
name: shop
landing: data/landing/shop
ingest:
  sources:
    orders: {path: orders, columns: [order_id, day, amount]}
clean:
  entities:
    orders:
      source: orders
      key: order_id
      columns:
        order_id: {type: bigint}
        day: {type: date}
        amount: {type: double}
featurize:
  table: orders
  sql: [features.sql]
  reads: {silver.orders: day}
  key: order_id
  date: day
normalize:
  training_set: orders_training
  split: {by: hash}
  features:
    amount: {kind: numeric}
train:
  epochs: 3
  options: {hidden: [8, 4]}
promote: {threshold: 0.5}
score: {model: shop}
"""


@pytest.fixture
def shop_yml() -> str:
    """The text of the pipeline `shop`."""
    return SHOP


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    """A project with the pipeline `shop`; `shop(small="train: ...")` adds an overlay."""

    def write(pipeline: str = SHOP, **overlays: str) -> Path:
        folder = tmp_path / "conf" / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yml").write_text(pipeline)
        (folder / "features.sql").write_text("SELECT * FROM silver.orders")
        for name, text in overlays.items():
            (folder / f"{name}.yml").write_text(text)
        return tmp_path

    return write
