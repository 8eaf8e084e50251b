"""Trained rows that stay improbable, and plain rules that say what may be wrong with one."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from persona.conversation import Conversation

if TYPE_CHECKING:
    from finetune.validation import Worst

WORST = 10
"""So many rows are shown."""

FEWEST_REPLIES, REPLIES_READ = 20, 5_000
"""How many replies it takes to show what is usual, and how many are looked at."""

USUAL_WORDS, FEWEST_WORDS = 100, 12
"""How many words are called the commonest, and how many different ones a reply needs to be compared with them."""

_INTRODUCING = frozenset("am m is s be me name named called bin heiße suis appelle soy llamo sono chiamo".split())
_ENDS = frozenset(".!?…。！？")
_CLOSING = " \t\n\"'”’»」』)]*_~"


class WorstRow(NamedTuple):
    """A trained reply that stays improbable, the worst of its row: its loss in nats a token, what was said before, and it.

    `is_real` says whether the character's author wrote it; the builder's review shows only such rows.
    """

    id: str
    loss: float
    before: str
    reply: str
    is_real: bool = True


def worst_rows(scored: "Mapping[str, Worst]", rows: Sequence[Conversation]) -> list[WorstRow]:
    """The rows of the `WORST` highest losses, without copies of rows; `scored` is by the ids of sequences."""
    known = {row.id: row for row in rows if "parent" not in row.notes and row.replies}
    found: dict[str, WorstRow] = {}
    for id, (loss, reply) in sorted(scored.items(), key=lambda pair: (-pair[1].loss, pair[0])):
        row = known.get(id) or known.get(row_of(id))
        if row and row.id not in found and len(found) < WORST:
            place = row.place_of(reply)
            said = row.messages[place - 1] if place else None
            before = f"{said.name or '?'}: {said.content}" if said else ""
            found[row.id] = WorstRow(row.id, loss, before, row.messages[place].content, row.is_real)
    return list(found.values())


def row_of(id: str) -> str:
    """The row that a sequence is of: one that is not its first has "+1", "+2" ... behind the row's id."""
    return re.sub(r"\+\d+$", "", id)


@dataclass(frozen=True, slots=True)
class Usual:
    """What the trained replies are mostly like, so that one can be told that is not."""

    longest: float
    """Characters: three times the median, or what 98 of 100 replies have, whichever is more."""
    begins: bool
    """Whether nine of ten begin with anything but a small letter."""
    ends: bool
    """Whether nine of ten end with a sign that ends a sentence."""
    names_itself: bool
    """Whether one of twenty speaks of the character, or to it: then that is its way, or its name is a common word."""
    scripts: frozenset[str]
    """Those that make up at least a hundredth of the letters."""
    words: frozenset[str]
    """The commonest ones."""
    share: float
    """Of the different words of a reply that has `FEWEST_WORDS`, how many are among the commonest, in the median."""

    @classmethod
    def of(cls, replies: Sequence[str], character: str) -> "Usual | None":
        """What is usual in the replies, of very many in a part of them; None for fewer than `FEWEST_REPLIES`."""
        said = [text.strip() for text in replies[:: len(replies) // REPLIES_READ + 1] if text.strip()]
        if len(said) < FEWEST_REPLIES:
            return None
        lengths = sorted(map(len, said))
        letters = Counter(script for text in said for script in _scripts(text))
        words = [_words_of(text) for text in said]
        counts = Counter(word for each in words for word in each)
        common = frozenset(sorted(counts, key=lambda word: (-counts[word], word))[:USUAL_WORDS])
        shares = sorted(len(each & common) / len(each) for each in words if len(each) >= FEWEST_WORDS)
        return cls(
            longest=max(3 * lengths[len(said) // 2], lengths[int(0.98 * (len(said) - 1))]),
            begins=sum(text[0].islower() for text in said) <= 0.1 * len(said),
            ends=sum(text.rstrip(_CLOSING)[-1:] in _ENDS for text in said) >= 0.9 * len(said),
            names_itself=sum(bool(_speaks(text, character)) for text in said) >= 0.05 * len(said),
            scripts=frozenset(script for script, count in letters.items() if count >= 0.01 * letters.total()),
            words=common,
            share=shares[len(shares) // 2] if shares else 0.0,
        )


def hints(reply: str, character: str, usual: Usual | None) -> list[str]:
    """Why a line may be wrong, as plain text, by plain rules; none is sure.

    - Cut off: it begins or ends with a comma or semicolon, or ends with an opening bracket; or it ends with a letter, or
      begins with a small one, where nine of ten replies do not.
    - Another script: a quarter of its letters, and three of them, are of scripts that the replies hardly hold.
    - Another language: of `FEWEST_WORDS` different words or more, less than four tenths as many are among the commonest
      `USUAL_WORDS` as in the median reply, where that is a third or more.
    - Much longer: than three times the median, and than 98 of 100.
    - Wrong speaker: it speaks of the character by name (before or after a word in small letters: "Ada went", "asked Ada",
      "Ada's", but not "I am Ada"), or calls it (set apart by commas: "Ada, come here"), where not one in twenty does.
    """
    text = reply.strip()
    found = []
    is_open = usual and ((usual.ends and text[-1:].isalnum()) or (usual.begins and text[:1].islower()))
    if is_open or re.match(r"[,;]", text) or re.search(r"[,;(\[{]$", text):
        found.append("cut off?")
    if usual and _strange_letters(text, usual):
        found.append("another script?")
    elif usual and usual.share >= 1 / 3 and len(words := _words_of(text)) >= FEWEST_WORDS:
        found += ["another language?"] if len(words & usual.words) < 0.4 * usual.share * len(words) else []
    if usual and len(text) > usual.longest:
        found.append("much longer than usual")
    if (speaks := _speaks(text, character)) and not (usual and usual.names_itself):
        found.append(f"wrong speaker? it speaks {speaks} {character}")
    return found


def _strange_letters(text: str, usual: Usual) -> bool:
    scripts = _scripts(text)
    strange = sum(script not in usual.scripts for script in scripts)
    return strange >= max(3, len(scripts) / 4)


def _scripts(text: str) -> list[str]:
    """The script of each of the first letters, by the first word of its Unicode name: LATIN, CYRILLIC, CJK."""
    return [unicodedata.name(letter, "?").partition(" ")[0] for letter in text[:500] if letter.isalpha()]


def _words_of(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text[:2_000].lower()))


def _speaks(text: str, character: str) -> str:
    """Whether a line speaks "of" or "to" the character, else ""; actions between asterisks are told in any person."""
    names = sorted({character.strip(), *character.split()[:1]} - {"", "The", "the"}, key=len, reverse=True)
    said = re.sub(r"\*[^*\n]{1,500}\*", " ", text[:4_000])
    found = rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)(['’]s\b|,| \w+(?: my\b)?)?"
    for match in re.finditer(found, said) if names else ():
        start, after = match.start(), match[1] or ""
        before = re.findall(r"\w+ $|, $|$", said[max(0, start - 30) : start])[0].strip()
        if before in _INTRODUCING or after in (" is my", " here"):
            continue
        if after.startswith(("'", "’")) or after[1:2].islower() or before[:1].islower():
            return "of"
        if after in ("", ",") and (before == "," or (after and not before)):
            return "to"
    return ""
