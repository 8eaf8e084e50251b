"""A run's state is read back whole or not at all: damaged files, full disks, kills, strangers' bytes, two trainers."""

import builtins
import errno
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune import state as module
from finetune.differences import differences
from finetune.lock import LOCK_FILE, exclusive
from finetune.state import DIGESTS, RECORD, TENSORS, State, forget_states, latest_state, save_state
from persona.errors import PersonaError

CHECKOUT = Path(__file__).parents[1]
DTYPES = (
    torch.float32,
    torch.bfloat16,
    torch.float16,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)


def state_at(step):
    tensors = {"adapter/a": torch.full((3,), float(step)), "optimizer/a/exp_avg": torch.full((2, 2), step / 7)}
    return State(step, tensors, {"history": [step, 0.5], "fingerprint": {"rows": "ab" * 32}})


def same(found, wanted):
    """Equal to the last bit, NaN included."""
    assert (found.step, found.record) == (wanted.step, wanted.record)
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, tensor in wanted.tensors.items():
        other = found.tensors[name]
        assert (other.dtype, other.shape) == (tensor.dtype, tensor.shape)
        assert bits(other) == bits(tensor)
    return True


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def silent(sentence):
    raise AssertionError(sentence)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = int(torch.tensor(shape).prod()) if shape else 1
    raw = draw(st.binary(min_size=8 * count, max_size=8 * count))
    dtype = draw(st.sampled_from(DTYPES))
    if dtype == torch.bool:
        return torch.tensor([byte % 2 == 1 for byte in raw[:count]], dtype=dtype).reshape(shape)
    if not count:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dtype)[:count].reshape(shape)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    step=st.integers(0, 10**12),
    held=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])).filter(lambda s: s != "__metadata__"), tensors(), max_size=4
    ),
    record=st.dictionaries(st.text(), json_values, max_size=4),
)
def test_whatever_is_saved_is_read_back_to_the_bit(tmp_path, step, held, record):
    folder = tmp_path / "state"
    shutil.rmtree(folder, ignore_errors=True)
    wanted = State(step, held, record)
    path = save_state(folder, wanted)
    assert path == folder / f"step-{step:06d}" and names(path) == [DIGESTS, RECORD, TENSORS]
    assert same(latest_state(folder, silent), wanted)


def test_the_same_state_has_the_same_bytes_however_it_was_put_together(tmp_path):
    weight = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    one = State(7, {"a": weight, "b": weight.t().contiguous(), "c": weight.clone()}, {"x": {"p": 1, "q": [2]}, "y": 3})
    # Another order, a tensor that is not contiguous, and one that has its memory in common with another.
    two = State(7, {"c": weight, "b": weight.t(), "a": weight}, {"y": 3, "x": {"q": [2], "p": 1}})
    paths = [save_state(tmp_path / str(i), each) for i, each in enumerate((one, two))]
    for name in names(paths[0]):
        assert (paths[0] / name).read_bytes() == (paths[1] / name).read_bytes()
    again = save_state(tmp_path / "again", latest_state(tmp_path / "0", silent))
    assert all((again / name).read_bytes() == (paths[0] / name).read_bytes() for name in names(again))


def test_what_is_read_is_no_view_of_the_file(tmp_path):
    path = save_state(tmp_path, state_at(1))
    found = latest_state(tmp_path, silent)
    found.tensors["adapter/a"].add_(1)
    (path / TENSORS).write_bytes(b"")
    assert found.tensors["adapter/a"].tolist() == [2.0, 2.0, 2.0]


def test_the_digests_are_those_of_sha256sum(tmp_path):
    path = save_state(tmp_path, state_at(1))
    lines = [f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in (RECORD, TENSORS)]
    assert (path / DIGESTS).read_text() == "".join(lines)


def test_the_newest_two_stay_and_later_steps_are_forgotten(tmp_path):
    for step in (10, 20, 30, 5):
        save_state(tmp_path, state_at(step))
        assert same(latest_state(tmp_path, silent), state_at(step))
    assert names(tmp_path) == ["step-000005"]
    for step in (1_000_000, 2_000_000, 999_999_999):
        save_state(tmp_path, state_at(step))
    assert names(tmp_path) == ["step-2000000", "step-999999999"]
    assert latest_state(tmp_path, silent).step == 999_999_999


def test_what_has_another_name_is_neither_a_state_nor_removed(tmp_path):
    others = (
        "notes",
        "step-12",
        "step-0000012",
        "step-000012.bak",
        ".step-notes",
        "step-٠٠٠٠١٢",
        "step-000012-older-older",
    )
    for name in others:
        (tmp_path / name).mkdir()
    assert latest_state(tmp_path, silent) is None
    for step in (1, 2, 3):
        save_state(tmp_path, state_at(step))
    assert set(names(tmp_path)) == {*others, "step-000002", "step-000003"}


def test_a_first_run_has_no_state_and_nothing_to_say(tmp_path):
    assert latest_state(tmp_path / "absent", silent) is None
    assert latest_state(tmp_path, silent) is None


def test_forgetting_removes_later_steps_damaged_or_not(tmp_path):
    save_state(tmp_path, state_at(10))
    damaged = save_state(tmp_path, state_at(20))
    (damaged / TENSORS).unlink()
    forget_states(tmp_path, after=10)
    assert names(tmp_path) == ["step-000010"]
    forget_states(tmp_path, after=-1)
    assert names(tmp_path) == []
    forget_states(tmp_path / "absent", after=-1)


# Damage


def damaged(content):
    """Every byte with one bit flipped, in turn each bit, and every shorter length."""
    for place in range(len(content)):
        yield content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
    for length in range(len(content)):
        yield content[:length]
    yield content + b"\n"


@pytest.mark.parametrize("name", [DIGESTS, RECORD, TENSORS])
def test_every_flipped_byte_and_every_length_is_noticed_and_the_state_before_is_used(tmp_path, name):
    older, newer = state_at(1), State(2, {"adapter/a": torch.tensor([1.5, -2.0])}, {"history": ["é", 2]})
    save_state(tmp_path, older)
    file = save_state(tmp_path, newer) / name
    content = file.read_bytes()
    tried = 0
    for bad in damaged(content):
        file.write_bytes(bad)
        said = []
        assert same(latest_state(tmp_path, said.append), older)
        assert len(said) == 1 and "step-000002" in said[0] and "\n" not in said[0]
        assert name in said[0] or name == DIGESTS  # A digest that is wrong blames the file that it is of.
        tried += 1
    assert tried == 2 * len(content) + 1
    file.write_bytes(content)
    assert same(latest_state(tmp_path, silent), newer)


@pytest.mark.parametrize("name", [DIGESTS, RECORD, TENSORS])
@pytest.mark.parametrize("instead", ["nothing", "folder", "other", "pipe", "lost link"])
def test_a_file_that_is_missing_or_something_else_is_named(tmp_path, name, instead):
    older = save_state(tmp_path, state_at(1))
    file = save_state(tmp_path, state_at(2)) / name
    file.unlink()
    if instead == "folder":
        file.mkdir()
    elif instead == "other":
        shutil.copy(older / name, file)
    elif instead == "pipe":
        os.mkfifo(file)
    elif instead == "lost link":
        file.symlink_to("nowhere")
    said = []
    assert same(latest_state(tmp_path, said.append), state_at(1))
    assert len(said) == 1 and "step-000002" in said[0] and (name in said[0] or instead == "other")


def test_a_state_under_another_step_is_not_taken_for_it(tmp_path):
    os.rename(save_state(tmp_path, state_at(1)), tmp_path / "step-000009")
    said = []
    assert latest_state(tmp_path, said.append) is None
    assert "step 9" in said[0] and "no whole state is left" in said[1] and len(said) == 2


def test_states_that_are_files_or_links_are_no_trouble(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    kept = save_state(elsewhere, state_at(8))
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "step-000009").write_text("a file")
    (folder / "step-000008").symlink_to(kept)
    (folder / "step-000007").symlink_to("nowhere")
    (folder / ".step-000006.tmp").symlink_to(elsewhere)
    said = []
    assert same(latest_state(folder, said.append), state_at(8)) and len(said) == 1
    for step in (7, 8, 9, 10):
        save_state(folder, state_at(step))
    assert names(folder) == ["step-000009", "step-000010"]
    assert same(latest_state(elsewhere, silent), state_at(8))


# Strangers' bytes, with digests that are right


def put(folder, record=None, tensors=None, step=2):
    path = save_state(folder, state_at(step))
    for name, content in ((RECORD, record), (TENSORS, tensors)):
        if content is not None:
            (path / name).write_bytes(content)
    digests = (f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in (RECORD, TENSORS))
    (path / DIGESTS).write_text("".join(digests))


def tensor_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(dtype, shape, ends, size):
    return tensor_file({"x": {"dtype": dtype, "shape": shape, "data_offsets": ends}}, bytes(size))


HOSTILE_RECORDS = {
    "empty": b"",
    "not JSON": b"state",
    "a list": b'["record"]\n',
    "a string": b'"record"\n',
    "deep": b'{"format":1,"record":{"a":' + b"[" * 65 + b"]" * 65 + b'},"step":2}\n',
    "very deep": b'{"format":1,"record":{"a":' + b"[" * 200_000 + b"]" * 200_000 + b'},"step":2}\n',
    "deeper than its brackets are even": b"[" * 400_000,
    "many lists": b'{"format":1,"record":{"a":[' + b"[]," * 600_000 + b'[]]},"step":2}\n',
    "large": b'{"format":1,"record":{"a":"' + b"a" * (16 * 1024**2) + b'"},"step":2}\n',
    "record of another kind": b'{"format":1,"record":[],"step":2}\n',
    "no record": b'{"format":1,"step":2}\n',
    "step of another kind": b'{"format":1,"record":{},"step":"2"}\n',
    "true step": b'{"format":1,"record":{},"step":true}\n',
    "fraction of a step": b'{"format":1,"record":{},"step":2.0}\n',
    "another step": b'{"format":1,"record":{},"step":3}\n',
    "another format": b'{"format":2,"record":{},"step":2}\n',
    "one key more": b'{"format":1,"more":0,"record":{},"step":2}\n',
    "the same key twice": b'{"format":1,"record":{"a":1,"a":1},"step":2}\n',
    "not a number": b'{"format":1,"record":{"a":NaN},"step":2}\n',
    "infinity": b'{"format":1,"record":{"a":1e400},"step":2}\n',
    "5,000 digits": b'{"format":1,"record":{"a":' + b"9" * 5000 + b'},"step":2}\n',
    "UTF-16": '{"format":1,"record":{},"step":2}\n'.encode("utf-16"),
    "a byte that is no text": b'{"format":1,"record":{"a":"\xff"},"step":2}\n',
    "a pickle": b"cos\nsystem\n(S'touch HACKED'\ntR.",
}
HOSTILE_TENSORS = {
    "empty": b"",
    "no header": b"\0" * 8,
    "header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "header of 99 MB": struct.pack("<Q", 99_000_000) + b"{" + b" " * 1000,
    "header that is too large": tensor_file(b"{" + b" " * (9 * 1024**2) + b"}"),
    "header that is no JSON": tensor_file(b"\xff\xfe\x00"),
    "header that is a list": tensor_file([]),
    "deep header": tensor_file(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "metadata that is deep": tensor_file(b'{"__metadata__":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"),
    "unknown type": one("X9", [1], [0, 4], 4),
    "type that torch has not": one("F6_E2M3", [4], [0, 3], 3),
    "half a byte a number": one("F4", [2], [0, 1], 1),
    "size that is not there": one("F32", [2**40], [0, 2**42], 4),
    "size beyond 64 bits": one("F32", [2**62, 2**62], [0, 4], 4),
    "negative size": one("F32", [-1], [0, 4], 4),
    "nothing, of enormous shape": one("F32", [0, 2**62, 2**62], [0, 0], 0),
    "nothing, of a shape beyond torch": one("F32", [2**63, 0], [0, 0], 0),
    "overlap": tensor_file({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in ("x", "y")}, bytes(4)),
    "hole": one("F32", [1], [4, 8], 8),
    "bytes that nothing owns": one("F32", [1], [0, 4], 8),
    "a pickle": b"\x80\x02cos\nsystem\nX\x06\x00\x00\x00touch x\x85R.",
}


@pytest.mark.parametrize("content", HOSTILE_RECORDS.values(), ids=HOSTILE_RECORDS)
def test_a_hostile_record_is_a_damaged_state(tmp_path, content):
    put(tmp_path, record=content)
    said = []
    assert latest_state(tmp_path, said.append) is None
    assert len(said) == 2 and RECORD in said[0] and max(map(len, said)) < 300


@pytest.mark.parametrize("content", HOSTILE_TENSORS.values(), ids=HOSTILE_TENSORS)
def test_hostile_tensors_are_a_damaged_state(tmp_path, content):
    put(tmp_path, tensors=content)
    said = []
    assert latest_state(tmp_path, said.append) is None
    assert len(said) == 2 and TENSORS in said[0] and max(map(len, said)) < 300


def test_files_of_a_terabyte_are_refused_by_their_size(tmp_path):
    for name in (RECORD, TENSORS, DIGESTS):
        path = save_state(tmp_path, state_at(2))
        with (path / name).open("r+b") as file:
            file.truncate(10**12)
        said = []
        assert latest_state(tmp_path, said.append) is None
        assert f"{name} has 1,000,000,000,000 bytes" in said[0]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from([RECORD, TENSORS]), digests_agree=st.booleans())
def test_any_bytes_give_a_state_or_a_sentence(tmp_path, data, name, digests_agree):
    whole = module._files_of(state_at(2))[name]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    content = whole[:start] + data.draw(st.binary(max_size=40)) + whole[end:]
    put(tmp_path, **{"record" if name == RECORD else "tensors": content})
    if not digests_agree:
        (tmp_path / "step-000002" / name).write_bytes(content + b" ")
    said = []
    found = latest_state(tmp_path, said.append)
    assert (found is None) == bool(said) and (digests_agree or found is None)


@pytest.mark.parametrize(
    "record", [{"a": "a" * 17 * 1024**2}, {"a": [[]] * 600_000}, {"a": json.loads("[" * 70 + "]" * 70)}]
)
def test_a_record_that_could_not_be_read_back_is_not_written(tmp_path, record):
    save_state(tmp_path, state_at(1))
    with pytest.raises(PersonaError):
        save_state(tmp_path, State(2, {}, record))
    assert names(tmp_path) == ["step-000001"]


# Full disks and sudden ends


class Died(BaseException):
    """The process is gone: no clean-up runs to its end."""


class System:
    """Counts the calls by which a save changes the disk, notes them, and lets them fail from one of them on."""

    def __init__(self, monkeypatch, tmp_path):
        self.calls, self.fails = [], lambda number: None
        for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self.counted(name, getattr(os, name)))
        really_open = io.open

        def open(file, mode="r", *rest, **options):
            if not set(mode) & set("wxa+") or not str(file).startswith(str(tmp_path)):
                return really_open(file, mode, *rest, **options)
            self.note("open", file)
            return io.BufferedWriter(Raw(self, file, mode.replace("b", "")))

        monkeypatch.setattr(io, "open", open)
        monkeypatch.setattr(builtins, "open", open)

    def note(self, name, *arguments):
        self.calls.append((name, *arguments))
        if error := self.fails(len(self.calls)):
            raise error

    def counted(self, name, function):
        def call(*arguments, **options):
            self.note(name, *arguments)
            return function(*arguments, **options)

        return call

    def reset(self, fails=lambda number: None):
        self.calls, self.fails = [], fails


class Raw(io.FileIO):
    """A file on a disk that takes half of what is written before it is full."""

    def __init__(self, system, file, mode):
        self.system = system
        super().__init__(file, mode)

    def write(self, data):
        data = bytes(data)
        half = super().write(data[: len(data) // 2])
        self.system.note("write", self.name)
        return half + super().write(data[half:])


@pytest.fixture
def system(monkeypatch, tmp_path):
    return System(monkeypatch, tmp_path)


def full(number):
    return OSError(errno.ENOSPC, "No space left on device")


WAYS = {
    "fails once": lambda k: lambda n: full(n) if n == k else None,
    "stays full": lambda k: lambda n: full(n) if n >= k else None,
    "killed": lambda k: lambda n: Died() if n >= k else None,
}
BEFORE = {
    "a first save": [],
    "a second save": [1],
    "a save after many": [1, 2],
    "the same step again": [3],
    "the same step again after another": [2, 3],
    "an earlier step": [8, 9],
}


def with_history(folder, steps, system):
    """Saved before: other bytes than those that step 3 has now."""
    system.reset()
    shutil.rmtree(folder, ignore_errors=True)
    for step in steps:
        save_state(folder, State(step, {"adapter/a": torch.full((4,), -float(step))}, {"old": True}))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("before", BEFORE)
def test_a_save_cut_off_at_any_call_leaves_one_whole_state_and_the_next_one_succeeds(tmp_path, system, before, way):
    folder, steps = tmp_path / "state", BEFORE[before]
    olds = {step: State(step, {"adapter/a": torch.full((4,), -float(step))}, {"old": True}) for step in steps}
    with_history(folder, steps, system)
    system.reset()
    save_state(folder, state_at(3))
    total = len(system.calls)
    assert total >= 11  # Two folders, three files of three calls each, their folder and its name, and removals.
    for k in range(1, total + 1):
        with_history(folder, steps, system)
        system.reset(WAYS[way](k))
        done = False
        try:
            save_state(folder, state_at(3))
            done = True
        except PersonaError as error:
            assert way != "killed" and str(folder) in str(error)
            assert "disk is full" in str(error) or "old state cannot be removed" in str(error)
        except Died:
            assert way == "killed"
        system.reset()
        found = latest_state(folder, silent)
        newest = max(steps, default=None)
        if done or (found and not found.record.get("old")):
            assert same(found, state_at(3))
        else:
            assert (found is None and newest is None) or same(found, olds[newest])
        for step in (3, 4):
            save_state(folder, state_at(step))
            assert same(latest_state(folder, silent), state_at(step))
        assert not [name for name in names(folder) if not re.fullmatch("step-[0-9]{6}", name)], k
        assert len(names(folder)) <= 2


def test_every_byte_is_flushed_before_its_name_counts_and_before_anything_older_goes(tmp_path, monkeypatch):
    log = []

    def logged(name):
        function = getattr(os, name)

        def call(first, *rest, **options):
            target = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            log.append((name, target.removeprefix(f"{tmp_path}/")))
            return function(first, *rest, **options)

        return call

    if not Path("/proc/self/fd").exists():
        pytest.skip("file names of descriptors are read from /proc")
    save_state(tmp_path, state_at(1))
    save_state(tmp_path, state_at(2))
    for name in ("fsync", "rename"):
        monkeypatch.setattr(os, name, logged(name))
    save_state(tmp_path, state_at(3))
    new = ".step-000003.tmp"
    assert log == [
        *(("fsync", f"{new}/{name}") for name in (RECORD, TENSORS, DIGESTS)),
        ("fsync", new),
        ("rename", new),
        ("fsync", str(tmp_path)),
        ("rename", "step-000001"),
    ]


def test_a_full_disk_says_how_much_is_missing_and_where(tmp_path, system, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_500_000))
    big = State(1, {"adapter/a": torch.zeros(1_000_000)}, {})
    system.reset(lambda n: full(n) if system.calls[-1][0] == "write" else None)
    with pytest.raises(PersonaError) as error:
        save_state(tmp_path / "state", big)
    assert "needs 4.0 MB, 2.5 MB more than is free" in error.value.what
    assert error.value.where == str(tmp_path / "state") and "goes on from the state saved before" in error.value.fix
    assert names(tmp_path / "state") == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_other_troubles_are_one_clear_error(tmp_path, system, code):
    system.reset(lambda n: OSError(code, os.strerror(code)) if system.calls[-1][0] == "open" else None)
    with pytest.raises(PersonaError, match="disk is full" if code == errno.EDQUOT else os.strerror(code)):
        save_state(tmp_path, state_at(1))


def test_a_drive_that_cannot_flush_folders_is_written_to(tmp_path, monkeypatch):
    flush = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save_state(tmp_path, state_at(1))
    assert same(latest_state(tmp_path, silent), state_at(1))


def test_a_folder_that_cannot_be_used_is_one_clear_error(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(PersonaError, match="cannot be saved"):
        save_state(tmp_path / "state", state_at(1))
    with pytest.raises(PersonaError, match="cannot be listed"):
        latest_state(tmp_path / "state", silent)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")
def test_ten_kills_inside_saves_lose_nothing(tmp_path):
    script = CHECKOUT / "tests" / "benchmarks" / "killed_saves.py"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, script, "--kills", "10"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "whole and at most one save behind: 10 of 10" in done.stdout


# Two trainers

HOLDER = """
import sys
from pathlib import Path
from finetune.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_trainer_is_refused_by_name_until_the_first_has_ended_killed_or_not(tmp_path):
    folder = tmp_path / "runs" / "ada"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, folder], cwd=CHECKOUT, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout.readline().strip() == b"held"
        for _ in range(2):
            with pytest.raises(PersonaError) as error, exclusive(folder):
                pass
            assert re.search(rf"process {holder.pid} on .+, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d", error.value.what)
            assert str(folder) in str(error.value) and len(str(error.value).splitlines()) <= 4
        holder.kill()
    with exclusive(folder), pytest.raises(PersonaError, match=f"folder: process {os.getpid()} on"), exclusive(folder):
        pass
    with exclusive(folder):
        pass


def test_runs_do_not_lock_each_other(tmp_path):
    with exclusive(tmp_path / "ada"), exclusive(tmp_path / "juno"):
        pass


def test_a_note_that_a_terminal_would_obey_is_shown_harmless(tmp_path):
    with exclusive(tmp_path):
        (tmp_path / LOCK_FILE).write_bytes(b"\x1b[2J\xff" + b"a" * 10_000)
        with pytest.raises(PersonaError) as error, exclusive(tmp_path):
            pass
        assert "\x1b" not in str(error.value) and len(error.value.what) < 300
        (tmp_path / LOCK_FILE).write_bytes(b"")
        with pytest.raises(PersonaError, match="it has just started"), exclusive(tmp_path):
            pass


def test_a_lock_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(PersonaError, match="lock cannot be written"), exclusive(tmp_path / "runs"):
        pass
    (tmp_path / LOCK_FILE).mkdir()
    with pytest.raises(PersonaError, match="lock cannot be written"), exclusive(tmp_path):
        pass


# What changed


def test_differences_are_said_in_words():
    old = {"settings": {"rank": 16, "dropout": 0.0, "learning_rate": None, "deterministic": False}, "rows": "0" * 64}
    new = {"settings": {"rank": 32, "dropout": 0.0, "learning_rate": 2e-4, "deterministic": True}, "rows": "1" * 64}
    assert differences(old, new) == [
        "rank: 16 -> 32",
        "learning rate: not set -> 0.0002",
        "deterministic: false -> true",
        "the dataset's rows changed",
    ]
    assert differences(old, old) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ({}, {"packing": True}, "packing: not set -> true"),
        ({"packing": True}, {}, "packing: true -> not set"),
        (
            {"base": {"name": "a", "digest": "a" * 64}},
            {"base": {"name": "a", "digest": "b" * 64}},
            "the base model changed",
        ),
        ({"template_digest": "a" * 64}, {"template_digest": "b" * 64}, "the template changed"),
        ({"settings": {"model": ["a" * 64, ""]}}, {"settings": {"model": ["b" * 64, ""]}}, "the base model changed"),
        ({"base": {"name": "a"}}, {"base": {"name": "b"}}, "base name: a -> b"),
        ({"base": "a" * 64}, {"base": {"name": "a"}}, "the base model changed"),
        ({"split": [4, 4]}, {"split": [8]}, "split: [4, 4] -> [8]"),
        ({"seed": 1}, {"seed": "1"}, "the seed changed"),
        ({"split": list(range(99))}, {"split": []}, "the split changed"),
        ({"name": "\x1b[2J"}, {"name": "b"}, r"name: \x1b[2J -> b"),
        ({"na\nme": 1}, {"na\nme": 2}, "na me: 1 -> 2"),
        ({"name": "one\ntwo"}, {"name": "two"}, "the name changed"),
    ],
)
def test_a_difference_of_every_kind(old, new, line):
    assert differences(old, new) == [line]


def test_what_was_saved_equals_itself_when_it_is_read(tmp_path):
    record = {"settings": {"rank": 16, "shape": (1, 2)}, "context": None}
    save_state(tmp_path, State(1, {}, record))
    assert differences(latest_state(tmp_path, silent).record, record) == []
    assert differences(record, {"settings": {"rank": 16, "shape": [1, 2]}}) == []


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=5), st.dictionaries(st.text(), json_values, max_size=5))
def test_every_difference_is_one_line_that_can_be_printed(old, new):
    assert differences(old, old) == [] == differences(json.loads(json.dumps(new)), new)
    for line in differences(old, new):
        line.encode()
        assert line.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f]", line)
        assert len(line) < 300
