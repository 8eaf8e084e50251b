"""How one base writes a conversation down: its chat template and tokenizer, without its weights and without torch.

Only `persona.prompt` turns conversations into ids with it; everybody else counts and decodes.
"""

import datetime
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from tokenizers import Tokenizer

from persona.conversation import Message
from persona.errors import PersonaError

THINKING_OFF = {"enable_thinking": False, "thinking": False, "reasoning_effort": "low"}
"""Template variables of the families that think: a character answers at once."""

_DATE_CALL = re.compile(r"""strftime_now\(\s*(['"])(.*?)\1\s*\)""")
_SYSTEM, _USER, _REPLY, _LATER, _AGAIN = (
    "SentinelAlpha",
    "SentinelBravo",
    "SentinelCharlie",
    "SentinelDelta",
    "SentinelEcho",
)


class TemplateRefusal(PersonaError):
    """The chat template does not render these messages."""


@dataclass(frozen=True, eq=False)
class ChatTemplate:
    """A tokenizer and a Jinja chat template (sandboxed by transformers), with the date it believes in.

    `context` is the longest sequence in tokens, prompt and reply together; `generation_stop_ids` come from the base's
    generation_config.json; `variables` are its named special tokens, such as `bos_token`.
    """

    tokenizer: Tokenizer
    source: str
    variables: Mapping[str, str]
    context: int
    date: str
    generation_stop_ids: tuple[int, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=lambda: THINKING_OFF)

    @property
    def reply_tokens(self) -> int:
        """Tokens of the context kept free for the reply, the same in training and serving."""
        return min(self.context // 4, 512)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the template as written, before the date is filled in."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @cached_property
    def _dated_source(self) -> str:
        # transformers offers `strftime_now` as a global that no argument overrides: the call itself is replaced.
        day = datetime.date.fromisoformat(self.date)
        return _DATE_CALL.sub(lambda call: repr(day.strftime(call.group(2))), self.source)

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """The text that the base reads. Raises `TemplateRefusal` when the template does."""
        import jinja2
        from transformers.utils.chat_template_utils import render_jinja_template

        turns = [{"role": m.role, "content": m.content} for m in messages]
        variables: dict[str, Any] = {**self.variables, **self.switches}
        try:
            rendered: Any = render_jinja_template(
                conversations=[turns],
                chat_template=self._dated_source,
                add_generation_prompt=add_generation_prompt,
                **variables,
            )
        except (jinja2.TemplateError, TypeError, ValueError, IndexError, KeyError) as error:
            raise TemplateRefusal(f"The chat template refuses this conversation: {error}") from error
        return str(rendered[0][0])

    def ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to the place where the reply begins; the template owns BOS and every other special token."""
        text = self.render(messages, add_generation_prompt=True)
        return self.text_ids(text + self._reply_header)

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text, special tokens recognised, none added."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    @cached_property
    def count_tokens(self) -> Callable[[str], int]:
        """How many tokens a text has; remembered, because budgets ask for the same texts at every turn."""
        return lru_cache(maxsize=20_000)(lambda text: len(self.text_ids(text)))

    def cut(self, text: str, tokens: int) -> str:
        """The beginning of a text that has at most so many tokens."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return text if len(encoding.ids) <= tokens else text[: encoding.offsets[max(tokens, 0)][0]]

    # Special tokens ------------------------------------------------------------------------------------------------

    @cached_property
    def special_tokens(self) -> dict[str, int]:
        """Texts that change roles or end turns, longest first: special tokens, and added ones the template writes.

        Other added tokens (runs of spaces, HTML tags) are ordinary text.
        """
        added = self.tokenizer.get_added_tokens_decoder()
        marks = {
            t.content: i for i, t in added.items() if t.content.strip() and (t.special or t.content in self.source)
        }
        return dict(sorted(marks.items(), key=lambda mark: (-len(mark[0]), mark[0])))

    @cached_property
    def defuse(self) -> Callable[[str], tuple[str, tuple[str, ...]]]:
        """Break up special tokens written in a text, so that it cannot end a turn or switch roles.

        A space goes behind the first character of each; the second value lists what was broken. Remembered, because
        the card's texts come again at every turn.
        """
        return lru_cache(maxsize=20_000)(self._defused)

    def _defused(self, text: str) -> tuple[str, tuple[str, ...]]:
        found: dict[str, None] = {}
        while marks := [mark for mark in self._mark_texts if mark in text] or self._normalised_marks(text):
            for mark in marks:
                # One that a space does not break (a tokenizer may drop spaces) is taken out.
                broken = f"{mark[0]} {mark[1:]}" if len(mark) > 1 and mark not in found else ""
                text = text.replace(mark, broken)
            found |= dict.fromkeys(marks)
        return text, tuple(found)

    def _normalised_marks(self, text: str) -> list[str]:
        """What a normaliser turns into a special token, such as one written in full-width characters."""
        if self.tokenizer.normalizer is None:
            return []
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        marks = set(self.special_tokens.values())
        spans = (text[a:b].strip() for i, (a, b) in zip(encoding.ids, encoding.offsets, strict=True) if i in marks)
        return list(dict.fromkeys(span for span in spans if span))

    @cached_property
    def _mark_texts(self) -> tuple[str, ...]:
        return tuple(self.special_tokens)

    # What the template allows, found out by asking it --------------------------------------------------------------

    @cached_property
    def accepts_system(self) -> bool:
        """Whether a system message is rendered, before the user's."""
        return self._renders_in_order(Message("system", _SYSTEM), Message("user", _USER))

    @cached_property
    def accepts_later_system(self) -> bool:
        """Whether a system message in the middle of a conversation is rendered where it stands."""
        turns = (
            Message("user", _USER),
            Message("assistant", _REPLY),
            Message("system", _LATER),
            Message("user", _AGAIN),
        )
        return self.accepts_system and self._renders_in_order(Message("system", _SYSTEM), *turns)

    @cached_property
    def accepts_greeting(self) -> bool:
        """Whether the assistant may speak first, both as history and as the reply to come."""
        opening = (Message("system", _SYSTEM),) if self.accepts_system else ()
        turns = (*opening, Message("assistant", _REPLY), Message("user", _USER))
        return self._renders_in_order(*turns) and bool(opening) and self._renders_in_order(*opening)

    def _renders_in_order(self, *messages: Message) -> bool:
        try:
            text = self.render(messages, add_generation_prompt=True)
        except TemplateRefusal:
            return False
        places = [text.find(m.content) for m in messages]
        return -1 not in places and places == sorted(places)

    @cached_property
    def _reply_header(self) -> str:
        """What a finished turn shows between the generation prompt and the reply, up to its last special token.

        gpt-oss writes a channel there; without it the reply would begin in a place where no reply ever stood.
        """
        question = [Message("user", _USER)]
        prompt = self.render(question, add_generation_prompt=True)
        finished = self.render([*question, Message("assistant", _REPLY)], add_generation_prompt=False)
        if not finished.startswith(prompt):
            return ""
        between = finished[len(prompt) :].partition(_REPLY)[0]
        ends = [between.rfind(mark) + len(mark) for mark in self._mark_texts if mark in between]
        return between[: max(ends, default=0)]

    @cached_property
    def end_of_turn(self) -> tuple[int, ...]:
        """Ids that close a reply: what the template writes after one, up to its first special token."""
        marks = set(self.special_tokens.values())
        question, reply = Message("user", _USER), Message("assistant", _REPLY)
        for follow in ([], [Message("user", _AGAIN)]):
            text = self.render([question, reply, *follow], add_generation_prompt=False)
            ids = self.text_ids(text.rpartition(_REPLY)[2])
            closing = next((tuple(ids[: place + 1]) for place, i in enumerate(ids) if i in marks), ())
            if closing and not self.decode(closing).strip():
                return closing
        if self.eos_id is None:
            raise PersonaError("The base never ends a turn: neither its chat template nor its tokenizer says how.")
        return (self.eos_id,)

    @property
    def eos_id(self) -> int | None:
        """The tokenizer's own end of sequence."""
        text = self.variables.get("eos_token")
        found: int | None = self.tokenizer.token_to_id(text) if text else None
        return found

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids at which a reply is over."""
        ids = {self.end_of_turn[-1], *self.generation_stop_ids}
        return tuple(sorted(ids | {self.eos_id} if self.eos_id is not None else ids))

    @cached_property
    def turn_overhead(self) -> int:
        """Tokens that the template spends on a turn besides its text, rounded up."""
        question, reply, again = Message("user", "a"), Message("assistant", "b"), Message("user", "c")
        short = len(self.ids([question]))
        return max(4, -(-(len(self.ids([question, reply, again])) - short - 2) // 2))
