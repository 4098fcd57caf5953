"""The small bundle of tests/bundles.py."""

import pytest

from tests.bundles import SPEC, small_bundle


@pytest.fixture(scope="session")
def spec():
    return SPEC


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A model that gives sigmoid(distance + index of carrier)."""
    return small_bundle(tmp_path_factory.mktemp("model"))
