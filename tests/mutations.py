"""Small files of every format that the builder reads, and what chance and malice do to them."""

import io
import json
import random
import zipfile

HOSTILE = (
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae", b"{{user}}", b"<|im_start|>system\n", b"[" * 200, b"{" * 200,
    b'{"a":' * 100, b"9" * 5000, b"1e400", b"NaN", b'"\\ud800"', b"<!DOCTYPE x [<!ENTITY a \"b\">]>", b"&a;" * 50, b"../../x",
    b"<sp who='#a'>" * 50, "“".encode() * 50, b"'" * 50, b"\r\n", b"\t", b"NAME:\n", b"---\n", b"=" * 500, b"_" * 500,
    b"PK\x03\x04", b"PAR1", b'"' * 30, b",", b"\\", b"((" * 50, b"[[" * 50, b"INT. ROOM - DAY\n", b"# " * 50, b"| " * 100,
)  # fmt: skip


def seeds():
    """(kind, bytes) of every format."""
    talk = [{"role": "user", "content": "Is it lit?"}, {"role": "assistant", "content": "It is always lit."}]
    tavern = [
        {"user_name": "Tom", "character_name": "Ada", "create_date": "2024-6-12@10h22m33s123ms"},
        {"name": "Tom", "is_user": True, "mes": "Is it lit?", "send_date": "June 12, 2024 10:22am"},
        {"name": "Ada", "mes": "It is.", "swipes": ["It is.", "No."], "swipe_id": 0},
    ]
    play = "ACT I.\n\nSCENE I. A room.\n\nTOM.\nIs it lit?\n\nADA.\n[Rising.] It is always lit.\n\n" * 6
    novel = (
        "“Is it lit?” asked Tom, and looked up.\n\n“It is,” said Ada. “It always\nis.”\n\nShe smiled. ‘No,’ he said.\n\n"
        * 12
    )
    tei = (
        "<TEI><text><body><div type='scene'>"
        + "<sp who='#t'><speaker>TOM.</speaker><l>Is it lit?</l></sp>" * 4
        + "</div></body></text></TEI>"
    )
    fountain = "Title: Lamp\n\nINT. TOWER - NIGHT\n\nIt is dark.\n\nTOM\n(softly)\nIs it lit?\n\nADA\nIt is.\n\n" * 4
    page = "# The tower\n\nAda keeps a [[lamp|light]].\n\n## Steps\n\n| a | b |\n|---|---|\n| 97 | 98 |\n\n> Tom: Hm?\n"
    world = {"entries": {"0": {"key": ["lamp"], "content": "Ada keeps a lamp.", "comment": "lamp"}}}
    card = {"spec": "chara_card_v2", "spec_version": "2.0", "data": {"name": "Ada", "description": "She keeps a lamp."}}
    yield "tavern", _lines(tavern)
    yield "messages", _lines([{"messages": talk}] * 3)
    yield (
        "sharegpt",
        json.dumps([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yes."}]}]).encode(),
    )
    yield "alpaca", _lines([{"instruction": "Speak.", "input": "", "output": "I do."}])
    yield "oobabooga", json.dumps({"internal": [["Hi", "Yes."]], "visible": [["Hi", "Yes."]]}).encode()
    yield (
        "telegram",
        json.dumps(
            {"messages": [{"type": "message", "from": "Ada", "date": "2024-01-01T10:00:00", "text": "Hm."}]}
        ).encode(),
    )
    yield "chatml", b"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n" * 2
    yield "csv", b"question,answer\nIs it lit?,It is.\nWhy?,Because.\n"
    yield "play", play.encode()
    yield "script", b"Tom: Is it lit?\nAda: It is.\n---\nTom: Why?\nAda: Because.\n" * 3
    yield "whatsapp", b"12/06/2023, 10:22 - Tom: Is it lit?\n12/06/2023, 10:23 - Ada: It is.\n" * 4
    yield "novel", novel.encode()
    yield "tei", tei.encode()
    yield "fountain", fountain.encode()
    yield "page", page.encode()
    yield "html", b"<!DOCTYPE html><html><body><h1>Lamp</h1><p>Ada keeps a lamp.</p><ul><li>One</ul></body></html>"
    yield "world info", json.dumps(world).encode()
    yield "card", json.dumps(card).encode()
    yield "epub", _epub()


def mutated(data, rng):
    """The bytes after one to six accidents."""
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 60)))
        change = rng.randrange(6)
        if change == 0:
            data = data[:at] + data[end:]
        elif change == 1:
            data = data[:at] + data[at:end] * rng.choice((2, 3, 40)) + data[end:]
        elif change == 2:
            data = data[:at] + rng.choice(HOSTILE) + data[at:]
        elif change == 3:
            data = data[:at] + bytes(rng.randrange(256) for _ in range(end - at)) + data[end:]
        elif change == 4:
            other = rng.randrange(len(data) + 1)
            data = data[:at] + data[other : other + 80] + data[at:]
        elif data:
            data = data[:at] if rng.random() < 0.3 else data[:at] + data[at:end].swapcase() + data[end:]
    return data


def inputs(count, seed):
    """(kind, bytes) of so many mutated files, all kinds in turn; the same for the same seed."""
    rng = random.Random(seed)
    known = list(seeds())
    for number in range(count):
        kind, data = known[number % len(known)]
        yield kind, mutated(data, rng)


def _lines(values):
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def _epub():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml", "<container><rootfiles><rootfile full-path='b.opf'/></rootfiles></container>"
        )
        book.writestr(
            "b.opf",
            "<package><manifest><item id='a' href='a.xhtml' media-type='application/xhtml+xml'/></manifest><spine><itemref idref='a'/></spine></package>",
        )
        book.writestr("a.xhtml", "<html><body><p>“Is it lit?” asked Tom.</p><p>“It is,” said Ada.</p></body></html>")
    return out.getvalue()
