"""Where dialogue comes from: scenes, greetings, examples, dialogue in prose, windows of a script."""

from hypothesis import given
from hypothesis import strategies as st

from data.authored import real_rows, split_dialogue
from data.rows import RowMaker, tidy
from data.source import Scene, Source, Utterance
from data.sources import Voice, certain_pieces, display_name, source_rows
from data.split import SPLITS, split
from data.windows import APART_TURNS, CONTEXT_TURNS, WINDOW_TURNS, blocks_of, touches, windows
from persona.card import CharacterCard
from persona.formats.folder import parse_scenes

CARD = CharacterCard(
    name="Mira",
    description="Mira tends a garden.",
    first_mes="Come in, {{user}}.",
    alternate_greetings=("Good morning. I am {{char}}.",),
    mes_example="<START>\n{{user}}: Hi.\n{{char}}: Hello there.\n<START>\n{{user}}: Bye.\n{{char}}: Farewell, {{user}}.",
    character_book={
        "entries": [
            {"keys": ["glade"], "content": '{{user}}: "What is it?"\r\n{{char}}: *smiles* "A glade."\r\n[note]'}
        ]
    },
)


def rows_of(card, scenes=()):
    return list(real_rows(card, scenes, RowMaker(card, 0)))


def test_a_scene_is_one_row_with_all_its_replies():
    scenes = parse_scenes("## Tea\nTom: Hello?\nMira: Up here.\nTom: Why?\nMira: Because.\nTom: Oh.", "t")
    row = rows_of(CARD, scenes)[0]
    assert [(m.role, m.name, m.content) for m in row.messages] == [
        ("user", "Tom", "Hello?"),
        ("assistant", None, "Up here."),
        ("user", "Tom", "Why?"),
        ("assistant", None, "Because."),
    ]
    assert (row.origin, row.source, row.scene, row.lore) == ("real", "lines", "1 Tea", True)


def test_in_a_group_the_others_are_named_users():
    scenes = parse_scenes("Tom: One.\nNell: Two.\nMira: Three.", "t")
    assert [(m.role, m.name) for m in rows_of(CARD, scenes)[0].messages] == [
        ("user", "Tom"),
        ("user", "Nell"),
        ("assistant", None),
    ]


def test_the_user_of_a_greeting_has_the_name_that_it_says():
    first, second = [r for r in rows_of(CARD) if r.origin == "greeting"]
    assert first.replies == (f"Come in, {first.messages[0].name}.",)
    assert [m.role for m in second.messages] == ["assistant"] and second.replies == ("Good morning. I am Mira.",)


def test_examples_and_dialogue_in_lore_are_rows():
    rows = rows_of(CARD)
    examples = [r for r in rows if r.origin == "example"]
    assert [r.replies[0].split(",")[0] for r in examples] == ["Hello there.", "Farewell"]
    lore = next(r for r in rows if r.source == "lorebook")
    assert lore.replies == ('*smiles* "A glade."',) and lore.messages[0].content == "What is it?"
    assert lore.lore is False, "the entry would hold the answer word for word"


def test_prose_around_dialogue_stays_prose():
    prose, runs = split_dialogue("She is kind.\n{{user}}: Hi\n{{char}}: Yes.\nAnd more.\n\nShe is tall.\n<BOT>: Alone.")
    assert [line for line in prose.splitlines() if line] == ["She is kind.", "She is tall."]
    assert runs == [[("{{user}}", "Hi"), ("{{char}}", "Yes.\nAnd more.")], [("<BOT>", "Alone.")]]


def test_rows_have_ids_of_their_own():
    scenes = parse_scenes("Tom: A?\nMira: B.\n---\nTom: A?\nMira: C.", "t")
    rows = rows_of(CARD, scenes)
    assert len({r.id for r in rows}) == len(rows)


def test_text_is_tidied():
    assert tidy("a  \r\n\r\n\r\n\r\nb\r\n") == "a\n\nb"


@given(st.lists(st.booleans(), max_size=80))
def test_windows_hold_every_line_of_the_character_once(speaks):
    turns = [Utterance("MIRA" if mine else "TOM", f"line {i}") for i, mine in enumerate(speaks)]
    bounds = list(windows(turns, speaks))
    covered = [i for start, end in bounds for i in range(start, end)]
    assert len(covered) == len(set(covered)), "windows overlap"
    assert {i for i, mine in enumerate(speaks) if mine} <= set(covered)
    for start, end in bounds:
        assert end - start <= WINDOW_TURNS
        assert speaks[end - 1] and any(speaks[start : start + CONTEXT_TURNS + 1])


def test_a_long_speech_ends_a_window():
    turns = [Utterance(*turn) for turn in (("TOM", "x" * 2900), ("MIRA", "Yes."), ("TOM", "x" * 2900), ("MIRA", "No."))]
    assert list(windows(turns, [False, True, False, True])) == [(0, 2), (2, 4)]


def test_those_who_were_there_before_and_are_gone_are_no_context():
    names = ["NURSE", "PRINCE", "TOM", "MIRA", "TOM", "MIRA"]
    turns = [Utterance(name, "Hark.") for name in names]
    assert list(windows(turns, [name == "MIRA" for name in names])) == [(2, 6)]
    asked = [Utterance(name, "Hark.") for name in ("NURSE", "PRINCE", "NURSE", "MIRA")]
    assert list(windows(asked, [False, False, False, True])) == [(0, 4)]


def source_of(text):
    scenes = (Scene(tuple(Utterance(*turn) for turn in scene.turns)) for scene in parse_scenes(text, "p"))
    return Source("script", "play.txt", tuple(scenes))


def test_a_printed_play_is_read():
    play = "KING RICHARD III:\nAy, what's o'clock?\n\nBUCKINGHAM:\nUpon the stroke of ten.\n\nKing Richard III:\nWell, let it strike.\n"
    card = CharacterCard(name=display_name("KING RICHARD III"))
    (row,), dropped = source_rows(source_of(play), Voice(frozenset({"king richard iii"})), RowMaker(card, 0))
    assert not dropped
    assert card.name == "King Richard III"
    assert row.replies == ("Ay, what's o'clock?", "Well, let it strike.") and row.messages[1].name == "Buckingham"


def script(text):
    card = CharacterCard(name="Queen Margaret")
    voice = Voice(frozenset({"queen margaret"}))
    return source_rows(source_of(text), voice, RowMaker(card, 0, whole_names=True))


def test_a_script_knows_the_character_by_the_whole_label_only():
    rows, _ = script("QUEEN:\nMine.\n\nQUEEN MARGARET:\nHers.\n\nMARGARET:\nOurs.\n")
    assert [r.replies for r in rows] == [("Hers.",)] and rows[0].messages[0].name == "Queen"


def test_all_windows_of_a_scene_of_a_script_are_one_scene():
    talk = "\n".join(f"Tom: Line {n}.\nQueen Margaret: Line {n}." for n in range(20))
    rows, dropped = script("\n---\n".join([talk] * 4))
    assert not dropped and {r.scene for r in rows} == {"1", "2", "3", "4"} and len(rows) > 8
    assert len({r.id for r in rows}) == len(rows)


def test_a_script_without_scenes_is_cut_to_blocks_that_do_not_touch():
    rows, dropped = script("\n".join(f"Tom: Line {n}.\nQueen Margaret: Line {n}." for n in range(600)))
    assert 10 <= len({r.scene for r in rows}) <= 20 and not dropped
    done = split(rows, 0)
    assert {reason for _, reason in done.dropped} == {"next to what is held out"}
    assert 1 <= len(done.dropped) <= 4, "only where a held-out part begins or ends"
    lines = {name: {int(r.split()[1][:-1]) for row in done.rows[name] for r in row.replies} for name in SPLITS}
    assert all(lines.values())
    assert not {n + step for n in lines["train"] for step in (-2, -1, 1, 2)} & (lines["validation"] | lines["test"])
    assert not any("touches" in row.notes for name in SPLITS for row in done.rows[name])


@given(st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, APART_TURNS]), st.integers(1, WINDOW_TURNS)), max_size=80))
def test_blocks_are_neighbours_in_order_and_end_where_the_character_is_away(given_windows):
    spans, end = [], 0
    for gap, length in given_windows:
        spans.append((0, end + gap, end + gap + length))
        end += gap + length
    blocks = blocks_of(spans)
    assert len(blocks) == len(spans)
    assert sorted(set(blocks)) == list(range(len(set(blocks)))) and blocks == sorted(blocks)
    for place in range(1, len(spans)):
        if not touches(spans[place - 1], spans[place]):
            assert blocks[place - 1] != blocks[place]


MINE = Voice(frozenset({"mira"}))


def said(*lines):
    return [Utterance(speaker, f"line {n}", confidence=sure) for n, (speaker, sure) in enumerate(lines)]


def test_a_doubtful_line_of_the_character_ends_a_window():
    lines = said(("Tom", 1), ("Mira", 0.95), ("Mira", 0.4), ("Tom", 0.8), ("Mira", 0.95))
    assert list(certain_pieces(lines, MINE, {})) == [[0, 1], [3, 4]]


def test_what_another_may_not_have_said_is_no_context():
    lines = said(("Tom", 1), ("Mira", 0.95), ("Tom", 0.5), ("Tom", 0.5), ("Mira", 0.95))
    assert list(certain_pieces(lines, MINE, {})) == [[0, 1], [3, 4]]
    rows, _ = source_rows(Source("novel", "n.txt", (Scene(tuple(lines)),)), MINE, RowMaker(CARD, 0))
    assert [m.name for m in rows[1].messages] == [None, None], "who it was is not said"


def test_a_line_of_nobody_stands_only_directly_before_an_answer():
    lines = said(("Tom", 1), ("", 0), ("Tom", 1), ("Mira", 1), ("", 0), ("Mira", 1))
    assert list(certain_pieces(lines, MINE, {})) == [[0], [2, 3], [4, 5]]


@given(st.lists(st.tuples(st.sampled_from(["Tom", "Mira", ""]), st.sampled_from([0.3, 0.95])), max_size=40))
def test_every_sure_line_of_the_character_is_in_one_piece_and_no_doubtful_one(lines):
    lines = said(*lines)
    covered = [place for piece in certain_pieces(lines, MINE, {}) for place in piece]
    assert len(covered) == len(set(covered))
    for place, line in enumerate(lines):
        if MINE.has(line):
            assert (place in covered) == MINE.trains(line)


def test_a_line_before_which_nothing_was_said_is_left_out():
    given_source = Source(
        "novel", "n.txt", (Scene(tuple(said(("Mira", 1)))), Scene(tuple(said(("Tom", 1), ("Mira", 1)))))
    )
    rows, dropped = source_rows(given_source, MINE, RowMaker(CARD, 0))
    assert [r.id for r in rows] == ["n.txt/2/1"] and [reason for _, reason in dropped] == [
        "what was said before it is not known"
    ]


def test_one_bad_line_does_not_take_its_whole_window_along():
    talk = [("Tom", "Who are you?"), ("Mira", "Mira."), ("Tom", "((brb, dinner))"), ("Tom", "And here?")]
    talk += [
        ("Mira", "I live here."),
        ("Tom", "Alone?"),
        ("Mira", "As an AI language model, I cannot assist with that."),
    ]
    talk += [("Tom", "What?"), ("Mira", "Never mind me.")]
    scene = Scene(tuple(Utterance(*turn) for turn in talk))
    rows, dropped = source_rows(Source("chat", "c.txt", (scene,)), MINE, RowMaker(CARD, 0))
    assert [row.replies for row in rows] == [("Mira.", "I live here."), ("Never mind me.",)]
    assert [m.content for m in rows[0].messages] == ["Who are you?", "Mira.", "And here?", "I live here."]
    assert [(row.id, reason) for row, reason in dropped] == [("c.txt/1/7", "talks like an assistant")]


def test_what_a_machine_said_for_another_is_no_context():
    talk = [
        ("Tom", "I'm sorry, but I cannot continue this roleplay."),
        ("Mira", "Then go."),
        ("Tom", "No."),
        ("Mira", "Yes."),
    ]
    scene = Scene(tuple(Utterance(*turn) for turn in talk))
    rows, dropped = source_rows(Source("chat", "c.txt", (scene,)), MINE, RowMaker(CARD, 0))
    assert [[m.content for m in row.messages] for row in rows] == [["Then go.", "No.", "Yes."]] and not dropped
