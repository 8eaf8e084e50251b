"""What is left out, and the reason that is given; and what is like it and stays."""

import time
from dataclasses import replace

import pytest

from data.filters import IDENTICAL_REPLIES, all_filters, out_of_character, sift, tells_of_another, without_asides
from data.language import language_of, script_of
from persona.conversation import Conversation, Message


def row(reply, asked="Hello?", name="Tom"):
    return Conversation((Message("user", asked, name), Message("assistant", reply)), "Ada")


ENGLISH = [
    row("There are as many ships in the harbour as there were in the autumn, and one of them is ours.", asked="Ships?"),
    row(
        "I do not know what you want of me, but I will go up to the lamp with you if it must be.",
        asked="Will you come?",
    ),
    row("It was a night like this when my brother went out, and he did not come home to us.", asked="Your brother?"),
]


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
        ("As an AI, I cannot row.", "talks like an assistant"),
        ("As a large language model I see no sea.", "talks like an assistant"),
        ("I'm sorry, but I can't assist with that request.", "talks like an assistant"),
        ("I’m sorry, but I can’t continue this role-play.", "talks like an assistant"),
        ("I cannot fulfill your request.", "talks like an assistant"),
        ("That goes against my programming.", "talks like an assistant"),
        ("It violates our content policy.", "talks like an assistant"),
        ("I am a model that was trained by OpenAI.", "talks like an assistant"),
        ("I'm ChatGPT.", "talks like an assistant"),
        ("I do not have personal feelings.", "talks like an assistant"),
        ("Yes. ((be right back))", "out of character"),
        ("(OOC: one moment) Yes.", "out of character"),
        ("Yes. [ooc I like this]", "out of character"),
        ("Yes.\n// I like this", "out of character"),
        ("Yes. OOC: I like this", "out of character"),
        ("It is late.\nTom: Is it?", "speaks for the user"),
        ("It is late.\n**You:** Is it?", "speaks for the user"),
        ("It is late.\n{{user}}: Is it?", "placeholder left over"),
        ("!roll 2d6", "command to a bot"),
        ("/imagine a lamp at night", "command to a bot"),
        ("?help", "command to a bot"),
        ("[image]", "attachment without text"),
        ("<attached: storm.jpg>", "attachment without text"),
        ("IMG_0042.jpg (file attached)", "attachment without text"),
        ("<Media omitted>", "attachment without text"),
        ("https://lamp.example/storm?page=2", "no words in a reply"),
        ("[link]", "no words in a reply"),
        ("The lamp burns, the lamp burns. " * 6, "reply goes in circles"),
        ("I will not go out there with you tonight. " * 3, "reply goes in circles"),
        ("No" + "o" * 100, "reply goes in circles"),
        ("I went up to the lamp,", "reply is cut off"),
        ("I went up to the la-", "reply is cut off"),
        ("He looked at me and said: “", "reply is cut off"),
        ('He looked at me and said "', "reply is cut off"),
        ("I went up to the lamp (", "reply is cut off"),
        ("I went up to the lamp. " * 4 + "It was so late that nobody but me saw the", "reply is cut off"),
        ("".join(f"I counted {n} ships. " for n in range(20)) + "And then one of them went", "reply is cut off"),
        ("Мы ждали тебя.", "another script"),
    ],
)
def test_each_fault_has_its_reason(reply, reason):
    kept, dropped = sift([*ENGLISH, row(reply)])
    assert len(kept) == len(ENGLISH) and [r for _, r in dropped] == [reason]


@pytest.mark.parametrize(
    "reply",
    [
        "I am an AI. Ada is made up, and a computer program speaks her lines.",
        "Tom: that was the name on the form.".replace("Tom", "Nell"),
        "There are 97.",
        "<3",
        "I [counted] them.",
        "I'm sorry, but I can't come tonight.",
        "I am sorry, I cannot help it. You read about OpenAI in the paper?",
        "I'm Claude, and my sister is Gemini. As an aid to sailors we keep the lamp.",
        "I was made by the sea, and he is here to assist me.",
        "nobody saw it, and i wont tell",
        "But I—",
        "But I --",
        "That is sad :(",
        "*waves*",
        "/me waves",
        "?",
        "!",
        "...",
        "The lamp (the old one) is lit [nearly]",
        "See https://lamp.example // or not",
        "Look at storm.jpg, it is mine.",
        "Never, never, never, never, never!",
        "Ha ha ha ha ha ha ha ha ha ha.",
        "Row, row, row your boat,\ngently down the stream,\nmerrily, merrily, merrily, merrily,\nlife is but a dream,",
        "".join(f"I counted {n} ships. " for n in range(20)) + "That is all.\nYours truly,\nAda",
        "i counted the ships and then i counted them again and then " * 2 + "nobody came so i went to bed at last lol",
        "Mon Dieu! C'est la vie.",
        "Time: that is what we lack. Stranger: more of it helps nobody.",
        "She said it in Greek, θάλασσα, and I knew.",
    ],
)
def test_honest_lines_stay(reply):
    dropped = sift([*ENGLISH, row(reply, asked="Tell me.")])[1]
    if reply in ("...", "?", "!"):
        assert [r for _, r in dropped] == ["the character says nothing"]
        turns = (*row(reply).messages, *row("Yes, it is.").messages)
        assert len(sift([Conversation(turns, "Ada")])[0]) == 1
    else:
        assert not dropped


def test_what_the_card_says_of_an_ai_stays_and_offers_do_not():
    texts = (
        "I am an AI. Ada is a made-up character.",
        "As an AI, I play her.",
        "I am a language model, made by Google.",
    )
    rows = [replace(row(text, asked="Are you an AI?"), origin="identity") for text in texts]
    assert len(sift(rows)[0]) == 3
    offer = replace(row("I am an AI. How can I assist you?"), origin="identity")
    assert [r for _, r in sift([offer])[1]] == ["talks like an assistant"]


def test_asides_of_others_are_removed_and_the_character_s_lines_stay():
    turns = (
        Message("user", "((brb)) Is it late? (OOC: nice scene)\n// back", "Tom"),
        Message("assistant", "It is."),
        Message("user", "[OOC: wait]", "Tom"),
        Message("assistant", "I wait. ((ok))"),
    )
    tidied = without_asides(Conversation(turns, "Ada"))
    assert [m.content for m in tidied.messages] == ["Is it late?", "It is.", "", "I wait. ((ok))"]
    assert out_of_character(tidied) and out_of_character(row("Yes :(( and 2*(3+(4))")) is None
    plain = row("Yes.", asked="http://a.example//b (1) [2]")
    assert without_asides(plain) is plain


def test_a_participant_is_known_by_the_first_name_too_and_the_character_is_not_a_stranger():
    assert [r for _, r in sift([row("It is late.\nTom: Is it?", name="Tom Brown")])[1]] == ["speaks for the user"]
    assert not sift([row("Ada: It is late.", name="Ada Brown")])[1]


def test_a_reply_in_another_language_is_dropped_when_it_is_long_enough_to_tell():
    german = "Ich habe die ganze Nacht auf dich gewartet, und du bist nicht zu mir auf den Turm gekommen."
    kept, dropped = sift([*ENGLISH, row(german, asked="Well?"), row("Ich weiß es nicht.", asked="Well?")])
    assert [r for _, r in dropped] == ["another language"] and kept[-1].replies == ("Ich weiß es nicht.",)
    assert not sift([row(german), row("Und du bist nicht zu mir gekommen, weil es dunkel und kalt war?")])[1]


def test_the_blocked_words_are_the_user_s():
    rows = [
        row("What the HECK is that?"),
        row("Check that deck."),
        row("Damn  your, eyes!"),
        row("Your eyes.", asked="heck"),
    ]
    assert not sift(rows)[1]
    kept, dropped = sift(rows, blocked=frozenset({"heck", "damn your eyes", "!"}))
    assert kept == [rows[1]] and {r for _, r in dropped} == {"blocked word"}


def test_a_long_line_takes_no_longer_than_its_length():
    for piece in (
        "a",
        "((",
        "[OOC",
        "// ",
        "I am ",
        "as an ",
        "a, ",
        "<|",
        "[your ",
        "OOC",
        "(OOC:",
        "\n\n",
        "'",
        "!a-",
    ):
        began = time.process_time()
        for one in all_filters()[3:]:
            one(row((piece * 50_000)[:50_000]))
        assert time.process_time() - began < 3, piece


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


SAID = {
    "en": "I do not know what you want of me, but I will go up to the lamp with you if it must be.",
    "de": "Ich habe die ganze Nacht auf dich gewartet, und du bist nicht zu mir auf den Turm gekommen.",
    "fr": "Je ne sais pas ce que vous voulez de moi, mais je monte avec vous à la lampe si c'est la nuit.",
    "es": "No sé lo que quieres de mí, pero yo subo a la torre con mi lámpara cuando es de noche y no hay nadie.",
    "it": "Non so che cosa vuoi da me, ma questa notte vado alla lampada con mio fratello perché è molto tardi.",
    "pt": "Não sei o que você quer de mim, mas eu vou com o meu irmão até a torre quando já é muito tarde.",
    "nl": "Ik weet niet wat je van mij wilt, maar ik ga met je mee naar het licht als het zo laat is.",
    "sv": "Jag vet inte vad du vill mig, men jag går upp till lampan med dig när det är så sent som nu.",
    "da": "Jeg ved ikke hvad du vil med mig, men jeg går op til lampen med dig når det er så sent nu.",
    "no": "Jeg vet ikke hva du vil med meg, men jeg går opp til lampen med deg når det er så sent nå.",
    "pl": "Nie wiem, co ty ode mnie chcesz, ale ja nie idę tam z tobą, bo jest już bardzo późno i tak.",
    "fi": "En tiedä mitä sinä minusta haluat, mutta nyt minä menen lampun luo, kun se on niin myöhä ja hän on siellä.",
    "ru": "Я не знаю, чего ты хочешь от меня.",
    "uk": "Я не знаю, чого ти хочеш від мене, і її теж.",
    "el": "Δεν ξέρω τι θέλεις από μένα.",
    "he": "אני לא יודעת מה אתה רוצה ממני.",
    "ar": "لا أعرف ماذا تريد مني.",
    "fa": "نمی‌دانم از من چه می‌خواهی، پس می‌روم.",
    "hi": "मुझे नहीं पता तुम क्या चाहते हो।",
    "th": "ฉันไม่รู้ว่าคุณต้องการอะไร",
    "zh": "我不知道你想要什么。",
    "ja": "あなたが何を望んでいるのか、私は知りません。",
    "ko": "나는 네가 무엇을 원하는지 모른다.",
}


@pytest.mark.parametrize(("code", "text"), SAID.items())
def test_a_language_is_known_by_its_letters_or_its_short_words(code, text):
    assert language_of([text]) == code == language_of([text] * 3)


def test_what_is_too_little_to_tell_is_not_told():
    assert language_of([]) == language_of([""]) == language_of(["Ada!"]) == language_of(["1850", "..."]) == ""
    assert language_of(["Zorple quastor wuffin brimblewick tandrel " * 5]) == ""
    assert [script_of(t) for t in ("", "1!", "é", "яa?я", "ｆｕｌｌ", "カナ漢", "বাংলা")] == [
        "", "", "Latin", "Cyrillic", "Latin", "Han", "Bengali",
    ]  # fmt: skip


def test_a_lorebook_made_for_somebody_else_is_not_in_the_character_s_voice():
    def told(reply, source="lorebook"):
        turns = (Message("user", "What is it?"), Message("assistant", reply))
        return tells_of_another(Conversation(turns, "Liora Vane", source=source))

    assert (
        told("*Seraphina turns to you.* A glade.")
        == told("*Seraphina's eyes darken.* Wolves.")
        == "narrates somebody else"
    )
    for own in (
        "*Liora turns to you.* A glade.",
        "*She turns.* A glade.",
        "*Laughs softly.* A glade.",
        "A glade. *Wren looks up.*",
    ):
        assert told(own) is None
    assert told("*Seraphina turns to you.* A glade.", "lines") is None
