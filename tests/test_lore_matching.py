"""Which words, phrases and patterns in the talk call a lorebook's entry, and what is said where none does."""

import time

import pytest

from persona.conversation import Message
from persona.lorebook import Lorebook
from tests.lore_talk import entry, reason, scan

CALLED = [
    ({"keys": "lamp"}, "Who lights the LAMP?"),
    ({"keys": "lamp"}, "the _lamp_, *lamp* and lamp's"),
    ({"keys": "gull rock"}, "Seagull  \n Rocks"),
    ({"keys": "café"}, "the cafe\u0301"),
    ({"keys": "ada's day"}, "Tell me about Ada\u2019s day"),
    ({"keys": "STRASSE"}, "die straße"),
    ({"keys": "灯台"}, "あの灯台は古い"),
    ({"keys": "등대"}, "등대는 어디에"),
    ({"keys": "c++"}, "I write C++, mostly"),
    ({"keys": "lamp", "extensions": {"match_whole_words": False}}, "lamps"),
    ({"keys": "lamp", "matchWholeWords": False}, "lamps"),
    ({"keys": "Lamp", "case_sensitive": True}, "the Lamp"),
    ({"keys": ["", "  ", "x", "lamp"]}, "a lamp"),
    ({"keys": "{{user}}"}, "I am Tom"),
    ({"keys": "<BOT>"}, "Hello Ada"),
    ({"keys": "/l[ae]mps?/i"}, "LEMPS"),
    ({"keys": "/\\x01Tom:[^\\x01]*lamp/"}, "is it a lamp"),
    ({"keys": "/a\\/b/"}, "a/b"),
    ({"keys": "^\\W*tom: what\\?", "use_regex": True}, "What?"),
    ({"keys": "what?", "use_regex": True, "extensions": {"selectiveLogic": 0}}, "so what?"),
    ({"keys": "lamp", "secondary_keys": ["oil"], "selective": False}, "lamp"),
    ({"keys": "lamp", "secondary_keys": ["", " "], "selective": True}, "lamp"),
    ({"keys": "lamp", "secondary_keys": ["oil", "wick"], "selective": True}, "lamp wick"),
    ({"keys": "la.p", "secondary_keys": ["oil"], "selective": True, "use_regex": True}, "lamp"),
]
NOT_CALLED = [
    ({"keys": "lamp"}, "lamps and lampshades", "no key matched"),
    ({"keys": "caf"}, "café", "no key matched"),
    ({"keys": "Lamp", "extensions": {"caseSensitive": True}}, "the lamp", "no key matched"),
    ({"keys": "what?", "use_regex": True, "extensions": {"display_index": 0}}, "wha", "no key matched"),
    ({"keys": "/lamp/"}, "LAMP", "no key matched"),
    ({"keys": "lamp", "enabled": False}, "lamp", "disabled"),
    ({"keys": "lamp", "enabled": False, "constant": True}, "lamp", "disabled"),
    ({"keys": "lamp", "enabled": False, "content": "@@activate\nx"}, "lamp", "disabled"),
    ({"keys": "lamp", "content": " \n"}, "lamp", "empty"),
    ({"keys": "lamp", "content": "@@depth 4\n"}, "lamp", "empty"),
    ({"keys": "lamp", "content": "{{// nothing}}"}, "lamp", "empty"),
    ({"keys": []}, "lamp", "it has no key"),
    ({"keys": ["", " "]}, "lamp", "it has no key"),
    ({"keys": "/(lamp/"}, "(lamp", "no key matched; invalid regex '/(lamp/': missing ) at position 5"),
    ({"keys": "(", "use_regex": True}, "(", "no key matched; invalid regex '(': missing ) at position 1"),
    ({"keys": "lamp", "secondary_keys": ["oil"], "selective": True}, "lamp", "secondary key missing: needs one of 'oil'"),
    ({"keys": "lamp", "extensions": {"scan_depth": 0}}, "lamp", "no message is searched: scan depth 0"),
    ({"keys": "lamp", "extensions": {"probability": 0}}, "lamp", "probability 0 %: not drawn this time"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "text"), CALLED)
def test_a_key_calls(fields, text):
    included, why = reason(Lorebook(entries=(entry(**fields),)), text)
    assert included
    assert why.endswith((" in message 1", " in the name on message 1"))


@pytest.mark.parametrize(("fields", "text", "why"), NOT_CALLED)
def test_a_key_does_not_call(fields, text, why):
    assert reason(Lorebook(entries=(entry(**fields),)), text) == (False, why)


@pytest.mark.parametrize(
    ("logic", "called"),
    [
        (0, {"oil", "wick", "oil wick"}),
        (1, {"", "oil", "wick"}),
        (2, {""}),
        (3, {"oil wick"}),
    ],
)
@pytest.mark.parametrize("spelling", ["selectiveLogic", "selective_logic"])
def test_secondary_keys(logic, called, spelling):
    book = Lorebook(entries=(entry(secondary_keys=["oil", "wick"], selective=True, extensions={spelling: logic}),))
    assert {said for said in ("", "oil", "wick", "oil wick") if scan(book, f"lamp {said}")[0].included} == called


def test_reasons_name_the_message_and_the_speaker():
    book = Lorebook(entries=(entry("lamp"), entry("juno")))
    lamp, juno = scan(book, "The lamp?", "Ada: Yes.", Message("user", "Hm.", "Juno"))
    assert lamp.reason == "key 'lamp' in message 1"
    assert juno.reason == "key 'juno' in the name on message 3"


def test_system_messages_are_not_searched():
    assert not scan(Lorebook(entries=(entry(),)), Message("system", "lamp"), "Hm.")[0].included


def test_scan_depth_of_book_entry_and_decorator():
    talked = ["lamp", "Ada: Yes.", "Hm.", "Ada: Yes.", "Hm."]
    assert not scan(Lorebook(entries=(entry(),)), *talked)[0].included
    assert scan(Lorebook(scan_depth=5, entries=(entry(),)), *talked)[0].included
    assert not scan(Lorebook(scan_depth=5, entries=(entry(extensions={"scan_depth": 4}),)), *talked)[0].included
    assert scan(Lorebook(scan_depth=1, entries=(entry(content="@@scan_depth 9\nx"),)), *talked)[0].included


def test_a_slow_pattern_is_cut_short():
    book = Lorebook(entries=tuple(entry(f"/(a+)+{'x' * n}$/") for n in range(40)))
    began = time.perf_counter()
    decisions = scan(book, "a" * 5000 + "b")
    assert time.perf_counter() - began < 2
    assert not any(d.included for d in decisions)
    assert all("timed out" in d.reason for d in decisions)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:(?:(?:x?){100}){100}){300}",
        "(?:(?:(?:x?){100,}){100,}){300,}",
        "(?:(?:(?:ab){100}?){100}+){300}",
        "(?:ab|cd){1000000}",
        "x{1000000}",
        "(?:ab){2000}",
        "(?:" * 100 + "xy" + ")+" * 100,
        "(?:" * 100 + "xy" + "){2}" * 100,
        "[](]" + "(?:(?:[^])]{100}){100}){300}",
        r"(?#[)\[(?:(?:(?#\))ab){1000}){1000}",
        "a{e<=1}(?:(?:ab){e<=1}){1000000}",
    ],
)
def test_a_pattern_that_would_fill_the_memory_is_never_compiled(pattern):
    book = Lorebook(entries=(entry([pattern], use_regex=True), entry("lamp")))
    began = time.perf_counter()
    refused, lamp = scan(book, "a lamp")
    assert time.perf_counter() - began < 0.2
    assert refused.reason.endswith("with its repeats written out it has more than 5,000 parts")
    assert lamp.included


def test_comments_that_hide_a_patterns_size_are_refused():
    book = Lorebook(entries=(entry("/(?ix) # [\n (?:(?:(?:x?){100}){100}){300} # ]/"),))
    assert "it sets the flag x" in reason(book, "x")[1]


@pytest.mark.parametrize(
    "pattern", ["(?:ab){1000}", r"\w{1,200}", ".{0,2000}", r"\(?x", "[ab]{1000}", "[{900}{900}]", "(a+)+b", "a{1000"]
)
def test_honest_repeats_are_compiled(pattern):
    assert reason(Lorebook(entries=(entry(f"/^{pattern}$/"),)), "nothing") == (False, "no key matched")


def test_all_patterns_of_a_scan_share_one_limit():
    book = Lorebook(entries=tuple(entry(f"/(?:ab){{1000}}{n}/") for n in range(100)))
    for _ in range(2):
        whys = [decision.reason for decision in scan(book, "ab")]
        refused = ["the patterns before it are all that one search can take" in why for why in whys]
        assert refused == sorted(refused) and refused.index(True) == 49


def test_a_pattern_of_a_thousand_characters_is_refused():
    assert "it has 1,001 characters" in reason(Lorebook(entries=(entry("/" + "a" * 1001 + "/"),)), "a")[1]
