"""Whatever a file holds: it is read, or refused in one sentence, soon, and nothing is written anywhere."""

import time

from data.detect import is_card, read_sources
from persona.errors import PersonaError
from tests.mutations import inputs, seeds

MUTATED = 2_000
SECONDS = 5.0
"""For the slowest of them on a busy machine; what is not linear takes minutes."""


def test_the_files_themselves_are_read(tmp_path):
    file = tmp_path / "thing"
    for kind, data in seeds():
        file.write_bytes(data)
        if kind != "card":
            (source,) = read_sources(file, [])
            assert source.scenes or source.lore, kind


def test_mutated_files_are_read_or_refused(tmp_path):
    file = tmp_path / "thing"
    slowest = 0.0
    for kind, data in inputs(MUTATED, seed=0):
        file.write_bytes(data)
        began = time.perf_counter()
        try:
            is_card(file)
            for source in read_sources(file, []):
                assert all(u.text.strip() for scene in source.scenes for u in scene.utterances), kind
        except PersonaError as error:
            assert str(error) and len(error.what) < 2_000, kind
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < SECONDS
    assert [f.name for f in tmp_path.iterdir()] == ["thing"]
