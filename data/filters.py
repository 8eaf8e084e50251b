"""What is not trained on: plain functions from a conversation to the reason why it is left out, or None."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from data.language import FEWEST_WORDS, language_of, script_of
from persona.conversation import Conversation, Message

Filter = Callable[[Conversation], str | None]

REPLY_CHARACTERS = 4_000
CONVERSATION_CHARACTERS = 20_000
IDENTICAL_REPLIES = 5
"""A character who is trained to say one thing more often answers everything with it."""

CUT_REPLY_CHARACTERS, CUT_LINE_CHARACTERS = 400, 80
"""A reply shorter than this, or with a last line shorter than that (verse, a signature), may end without a full stop."""

LOOP_WORDS = 20
"""Fewer words may repeat themselves: never, never, never."""

_PLACEHOLDER = re.compile(r"\{\{|\}\}|<(?:bot|user|char)>|\[(?:insert|your|user|name)\b[^\]]*\]", re.IGNORECASE)
_TEMPLATE_TOKEN = re.compile(r"<\|[^|>\n]{1,40}\|>|\[/?INST\]|</?s>|<</?SYS>>|<(?:start|end)_of_turn>|</?think>")

_VENDORS = r"(?:OpenAI|Anthropic|Google|Meta AI|Microsoft|Mistral AI|DeepSeek|Alibaba|xAI)"
_ASSISTANT = re.compile(
    r"\b(?:how|what) (?:else )?(?:can|may|could) I (?:\w+ )?assist\b|\bI(?:'m| am|'d be) (?:here|happy|glad) to assist you\b"
    r"|\banything else I can assist\b|\bI (?:cannot|can't|can not) (?:assist|help) (?:you )?with that\b"
    r"|\bI(?:'m| am) (?:sorry|afraid),? (?:but )?I(?:'m unable to| am unable to| cannot| can't| can not) (?:assist|comply"
    r"|fulfill?|provide|generate|create|engage|continue (?:with )?this (?:conversation|role-?play)|help (?:you )?with th(?:at|is))\b"
    r"|\bI (?:cannot|can't|can not|am unable to|'m unable to) (?:fulfill?|comply with|process) (?:your|this|that|the|such) (?:\w+ )?request"
    r"|\b(?:violates?|goes? against) (?:\w+ ){0,2}(?:guidelines|policy|policies)\b",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language|virtual)(?: language)? (?:model|assistant)\b"
    r"|\bas an (?:AI|artificial intelligence),"
    r"|\bI(?:'m| am) (?:just |only )?an? (?:ai|large|virtual)(?: language)? (?:model|assistant)\b"
    r"|\bmy (?:training data|knowledge cut-?off)\b|\b(?:against|by|in|of) my programming\b"
    r"|\bmy programming (?:does|doesn't|prevents|prohibits|forbids|won't)\b"
    r"|\bI (?:don't|do not) have (?:personal|real) (?:opinions|feelings|experiences|beliefs|preferences|emotions)\b"
    rf"|\bI(?:'m| am| was)\b[^.!?\n]{{0,60}}\b(?:trained|made|built|created|developed|designed) by {_VENDORS}\b"
    r"|\bI(?:'m| am) (?:ChatGPT|GPT-?\d)",
    re.IGNORECASE,
)

_ASIDE = re.compile(
    r"\(\((?=[^()]*[^\W\d_])[^()]*\)\)"  # ((be right back))
    r"|[(\[] ?OOC\b[^()\[\]\n]*[)\]]?"  # (OOC: one moment), [OOC one moment]
    r"|(?:^|(?<=\s))OOC ?:.*|^[ \t]*//.*",
    re.IGNORECASE | re.MULTILINE,
)
_URL = re.compile(r"(?:https?://|www\.)\S+|\[link\]", re.IGNORECASE)
_COMMAND = re.compile(r"[!/](?!me\b)[a-z]{2,20}(?:[ _-][^\n]*)?|\?[a-z]{2,20}(?: [\w-]+){0,2}")
_ATTACHMENT = re.compile(
    r"[<(\[{]?\s*(?:attach(?:ed|ment)s?|image|photo|picture|video|audio|voice message|gif|sticker|file|media)"
    r"(?: omitted|\s*:[^\n]{0,200})?\s*[>)\]}]|\u200e?(?:image|video|audio|gif|sticker|document|media) omitted"
    r"|[\w .()-]{1,100}\.(?:jpe?g|png|gif|webp|mp[34]|mov|webm|wav|ogg|pdf|zip)(?: \(file attached\))?",
    re.IGNORECASE,
)
_NARRATED = re.compile(r"\s*\*\s*(?!(?:She|He|They|It)\b)([A-Z][a-z]+)(?:['’]s|\s+[a-z]+s)\b")
_CUT = re.compile(r"[,;]$|\w-$|\s[(\[{]$|[“‘«„]$|(?:^|\s)[\"']$")
_OPEN_WORD = re.compile(r"\s(?:the|an?|my|your|their|our|every|and|or|because)$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…。！？](?=\s)")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_ONE_CHARACTER = re.compile(r"([^\s])\1{79}")


def normalised(text: str) -> str:
    """Letters and digits alone, in one case: two texts that differ in nothing else are the same."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def no_reply(row: Conversation) -> str | None:
    """The character says nothing here."""
    return None if any(normalised(r) for r in row.replies) else "the character says nothing"


def empty(row: Conversation) -> str | None:
    """A turn without text."""
    return None if all(m.content.strip() for m in row.messages) else "empty message"


def too_long(row: Conversation) -> str | None:
    """Longer than anyone reads in a chat: an accident of the source."""
    longest = max((len(r) for r in row.replies), default=0)
    whole = sum(len(m.content) for m in row.messages)
    return "too long" if longest > REPLY_CHARACTERS or whole > CONVERSATION_CHARACTERS else None


def placeholder(row: Conversation) -> str | None:
    """A macro or a blank that nobody filled in."""
    return "placeholder left over" if any(_PLACEHOLDER.search(m.content) for m in row.messages) else None


def template_token(row: Conversation) -> str | None:
    """The marks of a chat template, copied along with the text."""
    return "chat template mark" if any(_TEMPLATE_TOKEN.search(m.content) for m in row.messages) else None


def assistant_speak(row: Conversation) -> str | None:
    """The phrases of a helpful assistant, which are nobody's voice; that it is an AI a row about identity may say."""
    families = (_ASSISTANT,) if row.origin == "identity" else (_ASSISTANT, _MACHINE)
    replies = [r.replace("’", "'") for r in row.replies]
    return "talks like an assistant" if any(f.search(r) for r in replies for f in families) else None


def out_of_character(row: Conversation) -> str | None:
    """A reply in which the player speaks: ((brb)), (OOC: brb), // brb."""
    return "out of character" if any(_ASIDE.search(r) for r in row.replies) else None


def without_asides(row: Conversation) -> Conversation:
    """The row without what is marked as out of character in the turns of others; such a turn may be empty then."""
    messages = tuple(
        m
        if m.role == "assistant" or not _ASIDE.search(m.content)
        else replace(m, content=_ASIDE.sub("", m.content).strip())
        for m in row.messages
    )
    return row if messages == row.messages else replace(row, messages=messages)


def is_aside(text: str) -> bool:
    """Whether a turn holds nothing but what is out of character."""
    return bool(_ASIDE.search(text)) and not _ASIDE.sub("", text).strip()


def cut_off(row: Conversation) -> str | None:
    """A reply that stops in the middle of a sentence. A dash at the end is an interruption, and stays."""
    return "reply is cut off" if any(map(_is_cut, row.replies)) else None


def _is_cut(reply: str) -> bool:
    text = reply.rstrip()
    last_line = text[text.rfind("\n") + 1 :]
    if len(last_line) < CUT_LINE_CHARACTERS and last_line != text:
        return False
    if _CUT.search(text, max(0, len(text) - 2)):
        return True
    if len(text) >= CUT_LINE_CHARACTERS and _OPEN_WORD.search(text, len(text) - 10):
        return True
    return len(text) >= CUT_REPLY_CHARACTERS and text[-1].isalnum() and bool(_SENTENCE_END.search(text))


def wordless(row: Conversation) -> str | None:
    """A reply of signs, emoji or links alone. Points of silence and of wonder are an answer: "...", "?!"."""
    for reply in row.replies:
        said = _URL.sub("", reply) if ":" in reply or "." in reply or "[" in reply else reply
        if not any(map(str.isalnum, said)) and (said != reply or said.strip(' \n.…?!*-—–"“”')):
            return "no words in a reply"
    return None


def not_dialogue(row: Conversation) -> str | None:
    """A message to a program ("!roll 2d6"), or one that was only a file."""
    for message in row.messages:
        text = message.content.strip()
        if text[:1] in "!/?" and _COMMAND.fullmatch(text):
            return "command to a bot"
        if len(text) < 250 and _ATTACHMENT.fullmatch(text):
            return "attachment without text"
    return None


def looping(row: Conversation) -> str | None:
    """A reply that says the same words again and again: most of its runs of four words have stood there before."""
    return "reply goes in circles" if any(map(_loops, row.replies)) else None


def _loops(reply: str) -> bool:
    if len(reply) >= 80 and _ONE_CHARACTER.search(reply):
        return True
    if len(reply) < 2 * LOOP_WORDS - 1:
        return False
    words = _WORD.findall(reply.casefold())
    runs = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return len(words) >= LOOP_WORDS and len(set(runs)) < len(runs) / 2


def speaks_for_the_user(row: Conversation) -> str | None:
    """A reply that goes on with the other's lines."""
    if not any(":" in reply for reply in row.replies):
        return None
    own = {row.character.casefold(), row.character.partition(" ")[0].casefold()}
    named = {m.name for m in row.messages if m.name and m.role != "assistant"}
    others = {name for full in named for name in (full, full.partition(" ")[0]) if name.casefold() not in own}
    line = re.compile(
        rf"^\W*(?:{'|'.join(re.escape(o) for o in sorted(others | {'User', 'You'}))})\W{{0,2}}:",
        re.MULTILINE | re.IGNORECASE,
    )
    return "speaks for the user" if any(line.search(r) for r in row.replies) else None


def tells_of_another(row: Conversation) -> str | None:
    """A reply out of a lorebook that was made for somebody else: *Seraphina turns*, in Liora's mouth."""
    if row.source != "lorebook":
        return None
    own = set(normalised(row.character).split())
    names = (found[1] for reply in row.replies if (found := _NARRATED.match(reply)))
    return "narrates somebody else" if any(name.casefold() not in own for name in names) else None


def foreign(rows: Sequence[Conversation]) -> Filter:
    """A filter for replies in another script or language than most replies of `rows`; short ones are judged by script."""
    replies = [reply for row in rows for reply in row.replies]
    scripts = Counter(script for reply in replies if (script := script_of(reply)))
    usual = scripts.most_common(1)[0][0] if scripts else ""
    language = language_of(replies)

    def foreign_reply(row: Conversation) -> str | None:
        for reply in row.replies:
            if script_of(reply) not in ("", usual):
                return "another script"
            if len(reply) >= 4 * FEWEST_WORDS and language and language_of([reply]) not in ("", language):
                return "another language"
        return None

    return foreign_reply


def blocked_words(words: frozenset[str]) -> Filter:
    """A filter for messages that hold one of the words or phrases, whole and in any case."""
    blocked = {normalised(word) for word in words} - {""}
    single = {word for word in blocked if " " not in word}
    phrases = [f" {phrase} " for phrase in sorted(blocked - single)]

    def blocked_word(row: Conversation) -> str | None:
        for message in row.messages if blocked else ():
            text = normalised(message.content)
            if not single.isdisjoint(text.split()) or any(phrase in f" {text} " for phrase in phrases):
                return "blocked word"
        return None

    return blocked_word


def duplicates() -> Filter:
    """A filter that remembers: the second time, a conversation is left out."""
    seen: set[tuple[bool, tuple[tuple[str, str], ...]]] = set()

    def duplicate(row: Conversation) -> str | None:
        key = (row.lore, tuple((m.role, normalised(m.content)) for m in row.messages))
        if key in seen:
            return "duplicate"
        seen.add(key)
        return None

    return duplicate


def repeated_replies(limit: int = IDENTICAL_REPLIES) -> Filter:
    """A filter that counts: a row of one reply is left out when that reply has been seen `limit` times."""
    seen: Counter[str] = Counter()

    def repeated(row: Conversation) -> str | None:
        if len(row.replies) == 1 and seen[normalised(row.replies[0])] >= limit:
            return f"reply seen {limit} times"
        seen.update(normalised(r) for r in row.replies)
        return None

    return repeated


def all_filters(rows: Sequence[Conversation] = (), blocked: frozenset[str] = frozenset()) -> list[Filter]:
    """The filters in the order in which they are asked. `rows` show what is usual, `blocked` is the user's own list."""
    return [
        no_reply,
        empty,
        too_long,
        placeholder,
        template_token,
        assistant_speak,
        out_of_character,
        speaks_for_the_user,
        tells_of_another,
        not_dialogue,
        wordless,
        looping,
        cut_off,
        foreign(rows),
        blocked_words(blocked),
        duplicates(),
        repeated_replies(),
    ]


def reply_fault(reply: str, character: str, others: Iterable[str]) -> str | None:
    """What one reply alone would have its whole row left out for; `others` are those who speak in its scene."""
    turns = (*(Message("user", "", name) for name in others), Message("assistant", reply))
    return _objection(Conversation(turns, character), _OF_A_REPLY)


def turn_fault(text: str) -> str | None:
    """Why nobody should learn to answer a turn of somebody else's: a program's words, or words to one."""
    return _objection(Conversation((Message("assistant", text),), ""), _OF_A_TURN)


_OF_A_TURN: tuple[Filter, ...] = (too_long, template_token, assistant_speak, not_dialogue)
_OF_A_REPLY: tuple[Filter, ...] = (
    too_long,
    template_token,
    assistant_speak,
    out_of_character,
    speaks_for_the_user,
    not_dialogue,
    wordless,
    looping,
    cut_off,
)


def _objection(row: Conversation, filters: Iterable[Filter]) -> str | None:
    return next((reason for each in filters if (reason := each(row))), None)


def sift(
    rows: Sequence[Conversation], blocked: frozenset[str] = frozenset()
) -> tuple[list[Conversation], list[tuple[Conversation, str]]]:
    """(kept, (dropped, reason)), in order; the first filter that objects gives the reason."""
    filters = all_filters(rows, blocked)
    kept: list[Conversation] = []
    dropped: list[tuple[Conversation, str]] = []
    for row in rows:
        reason = _objection(row, filters)
        if reason:
            dropped.append((row, reason))
        else:
            kept.append(row)
    return kept, dropped
