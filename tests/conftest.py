"""Property tests draw the same examples at every run; `pytest --hypothesis-profile=default` draws new ones."""

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def one_thread(monkeypatch):
    """Compute on the CPU with one thread, where more are slower for what is tiny, and add up in another order."""
    import torch

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
