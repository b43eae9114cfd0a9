"""What the tests of extraction share: the model source beside them, servers, a lake."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from model_source import ModelSource, Traits
from night_world import World


@pytest.fixture
def world(tmp_path):
    """Make worlds of a model source; they are closed in the end."""
    made = []

    def make(seed=1, traits=None, **options):
        folder = tmp_path / f"world{len(made)}"
        folder.mkdir()
        source = ModelSource(seed, traits or Traits(rows=80))
        made.append(World(folder, source, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
