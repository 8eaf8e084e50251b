"""World Info and V3 lorebook files: every flag is read and kept."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona.conversation import Message
from persona.errors import PersonaError
from persona.formats.world_info import is_lorebook, lorebook_of, read_lorebook

ELDORIA = Path(__file__).parents[1].parent / "shared/fixtures/lorebooks/Eldoria.json"

FULL_ENTRY = {
    "uid": 3, "key": ["lamp", "/wicks?/i"], "keysecondary": ["oil"], "comment": "The lamp", "content": "It is lit at dusk.",
    "constant": False, "vectorized": False, "selective": True, "selectiveLogic": 2, "addMemo": True, "order": 40, "position": 0,
    "disable": False, "excludeRecursion": True, "preventRecursion": True, "delayUntilRecursion": 0, "probability": 80,
    "useProbability": True, "depth": 4, "group": "light", "groupOverride": True, "groupWeight": 30, "scanDepth": 7,
    "caseSensitive": True, "matchWholeWords": False, "useGroupScoring": None, "automationId": "", "role": 0, "sticky": 1,
    "cooldown": None, "delay": 2, "ignoreBudget": False, "outletName": "", "matchCharacterDescription": False,
    "characterFilter": {"isExclude": False, "names": [], "tags": []}, "triggers": [], "displayIndex": 5, "madeUpByAnEditor": [1],
}  # fmt: skip


def world(*entries, **more):
    return {"entries": {str(e["uid"]): e for e in entries}, **more}


def scan(book, text, times=1):
    messages = [Message("user", text)] * times
    return book.scan(
        messages, standing=frozenset(), turn=0, char="Ada", user="Tom", expand=str, count_tokens=len, token_budget=10**6, seed=0,
    )  # fmt: skip


FIELDS = {
    "uid": "id", "key": "keys", "keysecondary": "secondary_keys", "comment": "comment", "content": "content",
    "constant": "constant", "selective": "selective", "order": "insertion_order",
}  # fmt: skip


def assert_kept(given, book):
    for row, entry in zip(given["entries"].values(), book.entries, strict=True):
        fields = entry.model_dump(mode="json", exclude_unset=True)
        assert fields["enabled"] is not row.get("disable", False)
        for name in row.keys() - {"disable"}:
            snake = re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name)
            assert (fields[FIELDS[name]] if name in FIELDS else entry.flag(snake)) == row[name]


def test_every_flag_is_read():
    (entry,) = lorebook_of(world(FULL_ENTRY), "here").entries
    assert entry.keys == ("lamp", "/wicks?/i") and entry.secondary_keys == ("oil",) and entry.selective
    assert (entry.insertion_order, entry.enabled, entry.constant, entry.position, entry.id) == (
        40,
        True,
        False,
        "before_char",
        3,
    )
    assert entry.title == "The lamp"
    flags = {
        "exclude_recursion": True, "prevent_recursion": True, "delay_until_recursion": 0, "probability": 80, "use_probability": True,
        "group": "light", "group_override": True, "group_weight": 30, "scan_depth": 7, "case_sensitive": True,
        "match_whole_words": False, "selective_logic": 2, "sticky": 1, "delay": 2, "depth": 4, "role": 0, "position": 0,
    }  # fmt: skip
    assert {name: entry.flag(name) for name in flags} == flags
    assert entry.extensions["exclude_recursion"] is True and entry.extensions["madeUpByAnEditor"] == [1]


def test_flags_act():
    book = lorebook_of(world(FULL_ENTRY | {"probability": 100}), "here")
    assert scan(book, "the lamps", times=2)[0].included
    assert not scan(book, "the lamps", times=1)[0].included
    assert not scan(book, "the Lamps", times=2)[0].included
    assert not scan(book, "the lamps and oil", times=2)[0].included
    assert scan(book, "Wick", times=2)[0].included


def test_what_belongs_to_no_entry_is_kept():
    book = lorebook_of(world(FULL_ENTRY, name="Gull Rock", originalData={"a": [1]}), "here")
    assert book.name == "Gull Rock" and book.extensions == {"originalData": {"a": [1]}}


@given(
    st.lists(
        st.fixed_dictionaries({n: st.just(v) for n, v in FULL_ENTRY.items() if n in ("key", "content")}, optional={
            "disable": st.booleans(), "order": st.integers(-5, 500), "position": st.integers(0, 7), "constant": st.booleans(),
            "comment": st.sampled_from(["", "é"]), "selective": st.booleans(), "probability": st.none() | st.integers(0, 100),
            "excludeRecursion": st.booleans(), "caseSensitive": st.none() | st.booleans(), "xTool": st.integers(),
        }), max_size=3,
    )
)  # fmt: skip
def test_nothing_that_was_given_is_lost(entries):
    given = world(*({**e, "uid": n} for n, e in enumerate(entries)))
    assert_kept(given, lorebook_of(given, "here"))


def test_both_shapes_are_recognised():
    assert (
        is_lorebook(world(FULL_ENTRY))
        and is_lorebook({"entries": []})
        and is_lorebook({"spec": "lorebook_v3", "data": {}})
    )
    assert not is_lorebook({"spec": "chara_card_v3", "data": {"name": "Ada"}})
    assert (
        not is_lorebook({"data": {"name": "Ada"}, "entries": {}})
        and not is_lorebook([FULL_ENTRY])
        and not is_lorebook("x")
    )


def test_entries_in_a_list_are_read_too():
    assert lorebook_of({"entries": [FULL_ENTRY]}, "here").entries[0].keys == ("lamp", "/wicks?/i")
    assert lorebook_of({"entries": [{"keys": ["a"], "content": "x"}]}, "here").entries[0].keys == ("a",)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"name": "Ada"}, "no lorebook"),
        ([], "no lorebook"),
        ({"spec": "lorebook_v3", "data": 3}, "not an object"),
        ({"entries": {"0": "text"}}, "Entry 1 is str"),
        ({"entries": {"0": {"key": 7}}}, "entries.0.keys"),
        ({"entries": [{"keys": ["a"], "insertion_order": "first"}]}, "entries.0.insertion_order"),
    ],
)
def test_bad_files_give_one_clear_error(value, said):
    with pytest.raises(PersonaError) as caught:
        lorebook_of(value, "book.json")
    assert said in str(caught.value) and "book.json" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_read_lorebook_reads_files(tmp_path):
    file = tmp_path / "book.json"
    file.write_text(json.dumps(world(FULL_ENTRY)), encoding="utf-8")
    assert read_lorebook(file) == lorebook_of(world(FULL_ENTRY), "x")
    file.write_text("{", encoding="utf-8")
    with pytest.raises(PersonaError):
        read_lorebook(file)


@pytest.mark.skipif(not ELDORIA.exists(), reason="the fixture is not part of the repository")
def test_eldoria_imports_with_all_entries_and_flags():
    given = json.loads(ELDORIA.read_text(encoding="utf-8"))
    book = read_lorebook(ELDORIA)
    assert_kept(given, book)
    assert len(book.entries) == 4 and all(e.position == "before_char" for e in book.entries)
    assert [d.included for d in scan(book, "Are there beasts in the forest?")] == [True, True, False, False]
