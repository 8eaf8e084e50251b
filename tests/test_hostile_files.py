"""Files made to harm: `persona import` refuses each with status 2, four lines at most, and writes nothing."""

import base64
import json
import os
import stat
import struct
import subprocess
import sys
import time
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona.card import CharacterCard
from persona.commands import main
from persona.errors import PersonaError

MEGABYTE = 1024 * 1024
CARD = json.dumps(
    {"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Mira", "description": "Mends clocks."}}
)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def zeros(count, wbits=zlib.MAX_WBITS):
    """`count` equal bytes, compressed. After a full flush equal blocks compress to equal bytes, so one is repeated.

    The checksum at the end of a zlib stream is wrong: whoever comes that far has inflated everything.
    """
    stream = zlib.compressobj(1, zlib.DEFLATED, wbits)
    first, block = (stream.compress(b"0" * MEGABYTE) + stream.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + block * (count // MEGABYTE - 1) + stream.flush()


def png_bomb(path):
    path.write_bytes(png(chunk(b"zTXt", b"chara\0\0" + zeros(300 * MEGABYTE))))


def itxt_bomb(path):
    path.write_bytes(png(chunk(b"iTXt", b"ccv3\0\1\0\0\0" + zeros(300 * MEGABYTE))))


def many_chunks(path):
    path.write_bytes(png(chunk(b"tEXt", b"x\0") * 200_000))


def many_cards(path):
    path.write_bytes(png(*(chunk(b"zTXt", b"chara\0\0" + zlib.compress(b"%d" % i * 5 * MEGABYTE)) for i in range(10))))


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


def zip_slip(path):
    zipped(path, ("card.json", CARD), ("../../evil.txt", "x"))


def zip_absolute(path):
    zipped(path, ("card.json", CARD), ("/tmp/evil.txt", "x"))


def zip_link(path):
    link = zipfile.ZipInfo("card.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    zipped(path, (link, "/etc/passwd"))


def raw_zip(path, *members, claimed=None, zip64=False):
    """An archive of (name, compressed data, size, checksum) whose tables say what they like."""
    files, table, place = [], [], 0
    for name, data, size, checksum in members:
        about = struct.pack("<5H3I2H", 20, 0, 8 if data else 0, 0, 33, checksum, len(data), size, len(name), 0)
        files.append(b"PK\3\4" + about + name + data)
        table.append(b"PK\1\2" + struct.pack("<H", 20) + about + bytes(10) + struct.pack("<I", place) + name)
        place += len(files[-1])
    size, count, end = sum(map(len, table)), len(table), b""
    if zip64:
        end = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, count, count, size, place)
        end += b"PK\6\7" + struct.pack("<IQI", 0, place + size, 1)
        size, count = len(table[0]), 1
    claimed = count if claimed is None else claimed
    end += b"PK\5\6" + struct.pack("<4H2IH", 0, 0, claimed, claimed, size, place, 0)
    path.write_bytes(b"".join([*files, *table, end]))


def card_and_empty(count):
    deflated = zlib.compress(CARD.encode(), wbits=-zlib.MAX_WBITS)
    yield b"card.json", deflated, len(CARD), zlib.crc32(CARD.encode())
    yield from ((b"%d" % number, b"", 0, 0) for number in range(count))


def zip_many(path):
    raw_zip(path, *card_and_empty(100_000), claimed=0xFFFF)


def zip_many_hidden(path):
    raw_zip(path, *card_and_empty(100_000), claimed=1)


def zip_many_in_a_small_table(path):
    """Short names: 45,000 members in a table of the size that 5,000 may have."""
    raw_zip(path, *card_and_empty(45_000), claimed=1)


def zip_64(path):
    raw_zip(path, *card_and_empty(100_001), zip64=True)


def bomb_member(name, size=400 * MEGABYTE):
    return name, zeros(400 * MEGABYTE, -zlib.MAX_WBITS), size, zlib.crc32(b"0" * 500)


def zip_bomb(path):
    raw_zip(path, bomb_member(b"card.json"))


def zip_bomb_beside(path):
    raw_zip(path, *card_and_empty(1), bomb_member(b"assets/icon/images/main.png"))


def zip_lying_bomb(path):
    """A member of 400 MB whose headers claim 500 bytes."""
    raw_zip(path, bomb_member(b"card.json", size=500))


def zip_twice(path):
    with pytest.warns(UserWarning, match="Duplicate"):
        zipped(path, ("card.json", CARD), ("card.json", CARD.replace("Mira", "Evil")))


def zip_in_zip(path):
    zipped(path, ("inner.charx", b"PK\x03\x04" * 100))


def zip_cut(path):
    zip_slip(path)
    path.write_bytes(path.read_bytes()[:-30])


def zip_encrypted(path):
    zipped(path, ("card.json", CARD))
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def zip_broken_data(path):
    zipped(path, ("card.json", CARD * 50))
    data = bytearray(path.read_bytes())
    data[60:70] = b"\xff" * 10
    path.write_bytes(data)


def content(data):
    def write(path):
        path.write_bytes(data)

    return write


def with_name(text):
    return content(f'{{"name": {text}, "description": "x"}}'.encode())


HOSTILE = {
    "png inflating to 300 MB": png_bomb,
    "png international text inflating to 300 MB": itxt_bomb,
    "png with 200,000 chunks": many_chunks,
    "png with ten large cards": many_cards,
    "png cut in its header": content(b"\x89PNG\r\n\x1a\n\0\0"),
    "png with a chunk of 4 GB": content(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xfftEXtchara\0"),
    "zip with ../ names": zip_slip,
    "zip with absolute names": zip_absolute,
    "zip with a symlink": zip_link,
    "zip with 10^5 entries": zip_many,
    "zip with 10^5 entries, claiming one": zip_many_hidden,
    "zip with 45,000 entries in a small table": zip_many_in_a_small_table,
    "zip64 with 10^5 entries, claiming one": zip_64,
    "zip with a card of 400 MB": zip_bomb,
    "zip with a picture of 400 MB": zip_bomb_beside,
    "zip with a card of 400 MB, claiming 500 bytes": zip_lying_bomb,
    "zip with two cards": zip_twice,
    "zip in zip": zip_in_zip,
    "zip cut off": zip_cut,
    "zip encrypted": zip_encrypted,
    "zip with broken data": zip_broken_data,
    "json nested 10,000 deep": content(b"[" * 10_000 + b"]" * 10_000),
    "json nested in objects": content(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "json of a million lists": content(b"[" + b"[]," * 1_000_000 + b"[]]"),
    "json NaN": with_name('NaN, "x": NaN'),
    "json 1e400": with_name("1e400"),
    "json duplicate keys": content(b'{"name": "Mira", "name": "Evil", "description": "x"}'),
    "json 5,000-digit number": with_name("9" * 5_000),
    "json NUL": with_name('"Mi\\u0000ra"'),
    "json lone surrogate": with_name('"Mi\\ud800ra"'),
    "json long name": with_name('"' + "x" * 10_000 + '"'),
    "json 200,000 tags": content(json.dumps({"name": "Mira", "description": "x", "tags": ["x"] * 200_000}).encode()),
    "json 10,000 bad tags": content(json.dumps({"name": "Mira", "description": "x", "tags": [[]] * 10_000}).encode()),
    "lorebook of 100,000 entries": content(json.dumps({"entries": {str(n): {} for n in range(100_000)}}).encode()),
    "json list": content(b"[1, 2]"),
    "json text": content(b'"a card"'),
    "json other": content(b'{"model": "gpt-2"}'),
    "json cut off": content(CARD.encode()[:-2]),
    "truncated utf-16": content(CARD.encode("utf-16")[:-1]),
    "truncated utf-16 without a mark": content(CARD.encode("utf-16-le")[:-3]),
    "encoded surrogate": content(b'{"name": "\xed\xa0\x80", "description": "x"}'),
    "binary": content(bytes(range(256)) * 100),
    "braces, then binary": content(b"{" + bytes(range(256)) * 100),
    "jpeg": content(b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 100),
    "empty": content(b""),
    "blank": content(b" \n" * 100),
    "a directory": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "missing": lambda path: None,
    "a link to itself": lambda path: path.symlink_to(path),
}


def test_the_archives_here_would_be_read_if_they_were_smaller(tmp_path):
    raw_zip(tmp_path / "card", *card_and_empty(2))
    assert CharacterCard.load(tmp_path / "card").name == "Mira"
    raw_zip(tmp_path / "card", *card_and_empty(2), zip64=True)
    with zipfile.ZipFile(tmp_path / "card") as archive:
        assert len(archive.infolist()) == 3 and archive.read("card.json") == CARD.encode()


def test_a_zip64_is_refused_before_its_table_is_read(tmp_path, monkeypatch):
    zip_64(tmp_path / "card")
    monkeypatch.delattr(zipfile, "ZipFile")
    with pytest.raises(PersonaError, match="ZIP64"):
        CharacterCard.load(tmp_path / "card")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_unpacked_in_part_is_refused(method, tmp_path):
    """Of 600 bytes of bzip2 that claim to hold 500, `zipfile` makes 600 MB before it counts them."""
    with zipfile.ZipFile(tmp_path / "card", "w", method) as archive:
        archive.writestr("card.json", CARD)
    with pytest.raises(PersonaError, match="packed in an unusual way"):
        CharacterCard.load(tmp_path / "card")


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_in_a_few_lines_and_nothing_is_written(make, tmp_path, monkeypatch, capsys):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    make(tmp_path / "card")
    before = sorted(tmp_path.iterdir())
    start = time.process_time()
    assert main(["import", str(tmp_path / "card"), "--to", "characters/x"]) == 2
    assert time.process_time() - start < 3
    said = capsys.readouterr()
    assert said.out == ""
    assert 1 <= len(said.err.splitlines()) <= 4
    assert said.err.startswith("persona: ") and "where:" in said.err
    assert "Traceback" not in said.err
    assert sorted(tmp_path.iterdir()) == before and list(work.iterdir()) == []


# The parent's own memory would count as the child's when it is started from here, so a small process stands between.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
print(done.stderr)
"""


def measured(work, *arguments):
    """(exit status, processor seconds, peak bytes, stderr) of one `persona` command, Python's start included."""
    command = [sys.executable, "-S", "-c", MEASURE, sys.executable, "-m", "persona", *arguments]
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=work, env={**os.environ, "PYTHONPATH": root}
    )
    figures, _, error = done.stdout.partition("\n")
    status, seconds, peak = figures.split()
    return int(status), float(seconds), int(peak), error.strip()


@pytest.mark.parametrize(
    "name",
    ["png inflating to 300 MB", "zip with a card of 400 MB", "json of a million lists", "json nested 10,000 deep"],
)
def test_a_whole_process_refuses_in_3_seconds_and_300_megabytes(name, tmp_path):
    HOSTILE[name](tmp_path / "card")
    status, seconds, peak, error = measured(tmp_path, "import", "card", "--to", "x")
    assert status == 2 and len(error.splitlines()) <= 4 and "Traceback" not in error
    assert seconds < 3
    assert peak < 300 * MEGABYTE
    assert [path.name for path in tmp_path.iterdir()] == ["card"]


def test_the_largest_card_that_is_read_stays_within_the_same_bounds(tmp_path):
    """Wide characters quadruple in memory, and every value costs an object: both at the limits that are let through."""
    data = {"name": "Mira", "description": "🌙" + "x" * 4_000_000, "x": [[1.5] * 9_000] * 40}
    (tmp_path / "card").write_text(json.dumps({"data": data}, ensure_ascii=False), encoding="utf-8")
    status, _, peak, error = measured(tmp_path, "import", "card", "--to", "x")
    assert (status, error) == (0, "")
    assert peak < 300 * MEGABYTE


def test_a_small_import_is_fast(tmp_path):
    (tmp_path / "card").write_text(CARD, encoding="utf-8")
    for number in range(3):  # of three, one that nothing else on the machine disturbed
        status, seconds, *_ = measured(tmp_path, "import", "card", "--to", f"x{number}")
        assert status == 0
        if seconds < 0.5:
            return
    pytest.fail(f"{seconds} seconds")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_valid_utf_16_or_marked_file_is_read_and_said(encoding, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "card.json").write_bytes(CARD.replace("Mira", "Zoë").encode(encoding))
    assert main(["import", "card.json"]) == 0
    said = capsys.readouterr().out
    assert "UTF-16" in said or "byte-order mark" in said
    assert CharacterCard.load("characters/zoe").name == "Zoë"


def test_a_name_cannot_lead_out_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["../../evil", "/etc/evil", "con", "-rf", "☃"]):
        (tmp_path / f"{number}.json").write_text(json.dumps({"name": name, "description": "x"}), encoding="utf-8")
        assert main(["import", f"{number}.json"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"characters", *(f"{n}.json" for n in range(5))}
    made = {path.name for path in (tmp_path / "characters").iterdir()}
    assert len(made) == 5 and {"evil", "etc-evil", "rf"} < made


def test_a_failed_import_leaves_an_existing_character_as_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["new", "mira"])
    before = {path.name: path.read_bytes() for path in (tmp_path / "characters/mira").iterdir()}
    (tmp_path / "bad.json").write_text('{"entries": [{"keys": 5}]}', encoding="utf-8")
    assert main(["import", "bad.json", "--to", "characters/mira"]) == 2
    (tmp_path / "bad.json").write_text('{"name": "x", "description": 5e999}', encoding="utf-8")
    assert main(["import", "bad.json", "--to", "characters/mira", "--force"]) == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "characters/mira").iterdir()} == before


GOOD = [CARD.encode(), png(chunk(b"tEXt", b"chara\0" + base64.b64encode(CARD.encode())))]


@given(
    base=st.sampled_from(GOOD),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    end=st.integers(0, 400),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_a_card_or_our_error(tmp_path, base, changes, end):
    data = bytearray(base[: len(base) - end % len(base)])
    for place, byte in changes:
        if place < len(data):
            data[place] = byte
    (tmp_path / "card").write_bytes(data)
    try:
        CharacterCard.load(tmp_path / "card")
    except PersonaError as error:
        assert len(str(error).splitlines()) <= 3
