"""Nothing of a stop string is shown, and nothing else is lost, however the text is cut into pieces."""

from hypothesis import given
from hypothesis import strategies as st

from persona.engines.stops import StopStrings

short = st.text(alphabet="ab\n:", max_size=12)


@given(st.lists(short), st.lists(short.filter(bool), max_size=3))
def test_any_cut_gives_the_text_before_the_first_stop_string(pieces, strings):
    stops = StopStrings(tuple(strings))
    shown = ""
    for piece in pieces:
        shown += stops.push(piece)
        if stops.met:
            break
    shown += stops.rest()
    text = "".join(pieces)
    first = min((text.find(s) for s in strings if s in text), default=None)
    if first is None:
        assert shown == text and not stops.met
    else:
        # A longer string that begins earlier may be completed only after a shorter one was met.
        assert stops.met and text.startswith(shown) and not any(s in shown for s in strings)


def test_what_cannot_become_a_stop_string_is_shown_at_once():
    stops = StopStrings(("\nTom:",))
    assert [stops.push(p) for p in ("Hello", "\n", "To", "day", "\nTom", ": no")] == [
        "Hello",
        "",
        "",
        "\nToday",
        "",
        "",
    ]
    assert stops.met and stops.rest() == ""
