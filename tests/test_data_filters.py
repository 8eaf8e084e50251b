"""What is left out, and the reason that is given."""

import pytest

from data.filters import IDENTICAL_REPLIES, sift
from persona.conversation import Conversation, Message


def row(reply, asked="Hello?", name="Tom"):
    return Conversation((Message("user", asked, name), Message("assistant", reply)), "Ada")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the character says nothing"),
        ("...", "the character says nothing"),
        ("word " * 1000, "too long"),
        ("My name is {{name}}.", "placeholder left over"),
        ("Hello, <USER>.", "placeholder left over"),
        ("Hello, [Your name].", "placeholder left over"),
        ("Yes.<|im_end|>", "chat template mark"),
        ("[INST] Yes", "chat template mark"),
        ("Yes.</s>", "chat template mark"),
        ("As an AI language model, I cannot row.", "talks like an assistant"),
        ("How can I assist you today?", "talks like an assistant"),
        ("It is late.\nTom: Is it?", "speaks for the user"),
        ("It is late.\n**You:** Is it?", "speaks for the user"),
    ],
)
def test_each_fault_has_its_reason(reply, reason):
    kept, dropped = sift([row(reply)])
    assert not kept and [r for _, r in dropped] == [reason]


@pytest.mark.parametrize(
    "reply",
    [
        "I am an AI. Ada is made up, and a computer program speaks her lines.",
        "Tom: that was the name on the form.".replace("Tom", "Nell"),
        "There are 97.",
        "<3",
        "I [counted] them.",
    ],
)
def test_honest_lines_stay(reply):
    assert len(sift([row(reply)])[0]) == 1


def test_an_empty_question_and_no_reply_at_all():
    silent = Conversation((Message("user", "Hello?"),), "Ada")
    assert [r for _, r in sift([row("Yes.", asked=" "), silent])[1]] == ["empty message", "the character says nothing"]


def test_the_second_of_two_equal_rows_is_dropped():
    kept, dropped = sift([row("There are 97."), row("there are 97!"), row("There are 98.")])
    assert len(kept) == 2 and [r for _, r in dropped] == ["duplicate"]


def test_a_reply_may_be_given_a_few_times_only():
    rows = [row("I am Ada.", asked=f"Question {n}?") for n in range(IDENTICAL_REPLIES + 3)]
    kept, dropped = sift(rows)
    assert len(kept) == IDENTICAL_REPLIES and {r for _, r in dropped} == {f"reply seen {IDENTICAL_REPLIES} times"}
