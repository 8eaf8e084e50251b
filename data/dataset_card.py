"""The card of a dataset for the Hugging Face Hub: what it is, how it was made, from what, and its limits."""

import json
import re
from collections.abc import Sequence
from itertools import chain

from data.look import KINDS, Look, counted, headline, leak_words
from data.split import SPLITS
from persona.formats.text import printable

LICENCES = frozenset(
    "mit apache-2.0 bsd-3-clause cc0-1.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 "
    "cc-by-nc-nd-4.0 cc-by-nd-4.0 odc-by odbl pddl unlicense wtfpl gpl-3.0 lgpl-3.0 agpl-3.0".split()
)
"""Licences that the Hub knows by name, of those that texts come under."""

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
ROWS_LISTED = 100
CELL_CHARACTERS = 200

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?")


def dataset_card(look: Look) -> str:
    """README.md: YAML for the Hub, then Markdown for people. Texts of strangers can end neither."""
    return f"{_front_matter(look)}\n{_body(look)}"


def quoted(text: str) -> str:
    """A text as a YAML value: JSON is YAML, but for the few characters that YAML wants escaped."""
    value = json.dumps(printable(text), ensure_ascii=False)
    return re.sub("[\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", value)


def _front_matter(look: Look) -> str:
    rows = len(look.kept)
    size = next((name for limit, name in SIZES if rows < limit), "n>1M")
    files = [f"  - split: {split}\n    path: {split}.jsonl" for split in SPLITS if look.rows.get(split)]
    languages = [f"- {language}" for language in _languages(look)]
    lines = [
        "---",
        *(["language:", *languages] if languages else []),
        *_licence(look),
        f"pretty_name: {quoted('Dialogues of ' + look.character.name)}",
        "task_categories:\n- text-generation",
        "tags:\n- persona\n- role-play\n- dialogue\n- fictional-character",
        f"size_categories:\n- {size}",
        *(["configs:\n- config_name: default\n  data_files:", *files] if files else []),
        "---",
    ]
    return "\n".join(lines) + "\n"


def _languages(look: Look) -> list[str]:
    """What the sources say; rows that the builder wrote itself are English."""
    said = {source.get("language", "").strip() for source in look.sources}
    if any(not row.is_real for row in look.kept):
        said.add("en")
    return sorted(language for language in said if _LANGUAGE.fullmatch(language))


def _licence(look: Look) -> list[str]:
    """The one licence of all sources as the Hub calls it; else the sources are to be read one by one."""
    said = {source.get("licence", "").strip().lower() for source in look.sources} or {""}
    if "" in said:
        return ["license: unknown"]
    (licence, *others) = sorted(said)
    if not others and licence in LICENCES:
        return [f"license: {licence}"]
    return ["license: other", "license_name: see-the-sources"]


def _body(look: Look) -> str:
    name = _plain(look.character.name)
    return (
        "\n\n".join(
            [
                f"# Dialogues of {name}",
                f"Lines of a fictional character. {_plain(headline(look), 600)}",
                "## What it is\n\n"
                "Each row is a conversation: `messages` with the roles `user` and `assistant`, and with `name` where more "
                f"than one other person speaks. Every assistant turn is a line of {name}. A row holds dialogue alone; the character's card and lore are added when a model is "
                "trained or served. `origin` says how a row came to be, `source`, `scene` and `notes` where it comes from, "
                "`lore` whether the lore stands in its prompt.",
                "## How it was made\n\n"
                "By the dataset builder of `persona`. Real lines are taken from the sources as they stand, with macros "
                "filled and personal data replaced, each with what was said before it. The other kinds are written by "
                "rules from the card and the lore, or by a teacher model where `origin` says so. Held out are whole scenes, "
                "never single rows of one, and wordings of questions.",
                _table(["step", "dialogues left"], [[_plain(what), f"{left:,}"] for what, left in look.whole_road]),
                "## Sources\n\n" + _source_table(look),
                "## Counts\n\n" + _count_table(look) + _held_out(look),
                "## Filters\n\n" + _filters(look),
                "## Personal data\n\n" + _personal(look),
                _LIMITS.format(name=name),
            ]
        ).rstrip()
        + "\n"
    )


_LIMITS = """## Limits

- {name} is a fictional character. What it says is part of a story: not a fact, not advice, and not the view of whoever \
made this dataset.
- Rows that rules wrote are plainer than real lines, and a filter that knows patterns misses what has none.
- A model that is trained on this imitates a voice. Tell the people who talk to it that it is a machine.

## Consent

It should hold only words whose authors agreed to this use, or whose licence allows it. If you find words of yours that \
should not be here, ask whoever publishes it: one source can be taken out and everything built again without it.

Messages from Discord are never in it: the builder refuses them, as Discord's Developer Policy (21) asks."""


def _source_table(look: Look) -> str:
    head = ["source", "kind", "lines", "licence", "SHA-256"]
    cells = [
        [
            _code(source.get("name", "")),
            _plain(source.get("kind", "")),
            _plain(look.lines_of(source)),
            _plain(source.get("licence") or "not stated"),
            _code(source.get("sha256", "")),
        ]
        for source in look.sources
    ]
    return _table(head, cells)


def _count_table(look: Look) -> str:
    kinds = [(_plain(KINDS.get(kind, kind)), counts) for kind, counts in look.kinds.items()]
    head = chain.from_iterable((f"{split}: dialogues", f"{split}: replies") for split in SPLITS)
    rows = [
        [what, *(f"{n:,}" for n in chain.from_iterable(counts))] for what, counts in [*kinds, ("**all**", look.totals)]
    ]
    return _table(["kind", *head], rows)


def _held_out(look: Look) -> str:
    held_out, leaks = look.real_lines.held_out, ", ".join(_plain(words) for words, _ in leak_words(look))
    return f"\n\n{counted(held_out, 'real reply', 'real replies')} held out: {leaks}." if held_out and leaks else ""


def _filters(look: Look) -> str:
    if not look.dropped:
        return "Nothing was left out."
    return "Left out, by reason:\n\n" + _table(
        ["reason", "dialogues"], [[_plain(reason), f"{count:,}"] for reason, count in look.reasons]
    )


def _personal(look: Look) -> str:
    found = ", ".join(f"{_plain(kind)}: {count:,}" for kind, count in look.personal.items() if count)
    replaced = f"Replaced, by type: {found}." if found else "No pattern of personal data was found."
    return f"{replaced} Patterns find addresses, numbers and keys; they do not find names."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of finished cells; "" without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows[:ROWS_LISTED]]
    more = f"\n\nand {counted(len(rows) - ROWS_LISTED, 'more row')}" if len(rows) > ROWS_LISTED else ""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + more


def _plain(text: str, limit: int = CELL_CHARACTERS) -> str:
    """A stranger's text on one line of Markdown, with everything that Markdown or HTML would obey made literal."""
    line = " ".join(printable(text).split())
    cut = line if len(line) <= limit else line[:limit] + " …"
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!])", r"\\\1", cut)


def _code(text: str) -> str:
    """A stranger's text as code in a table."""
    line = " ".join(printable(text).split())[:CELL_CHARACTERS].replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""
