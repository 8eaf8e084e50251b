"""What happens besides training: memory is noted at each step, and given back now and then."""

import platform
from types import SimpleNamespace

import psutil
import pytest
import torch

from finetune.callbacks import callbacks, note_memory, release_memory
from finetune.report import History
from finetune.settings import FinetuneSettings


def held():
    return psutil.Process().memory_info().rss


def test_each_step_notes_what_the_process_holds():
    device = SimpleNamespace(device=torch.device("cpu"))
    training = SimpleNamespace(accelerator=device, history=History())
    note_memory(training)
    filled = torch.ones(20_000_000)
    note_memory(training)
    first, second = training.history.memory
    assert first + 70e6 < second and abs(second - held()) < 20e6 and len(filled)
    assert note_memory in callbacks(FinetuneSettings())["step"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_between_pieces_in_use_goes_back_at_checkpoints_and_evaluations():
    before = held()
    pieces = [bytearray(b"x" * 100_000) for _ in range(2_000)]
    kept = pieces[::20]
    del pieces
    assert held() > before + 100e6, "glibc gives nothing back by itself"
    release_memory(SimpleNamespace())
    assert held() < before + 60e6 and len(kept) == 100
    moments = callbacks(FinetuneSettings())
    assert release_memory in moments["checkpoint"] and release_memory in moments["evaluation"]
