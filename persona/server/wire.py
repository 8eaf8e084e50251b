"""What stands on the wire: a chat request read from JSON, and replies, errors and models written in OpenAI's shapes."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from persona.conversation import MESSAGE_CHARACTERS, NAME_CHARACTERS, Message
from persona.memory import Memory
from persona.prompt import PromptReport

MESSAGES_LIMIT = 500
"""The most messages that one request may carry."""

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


class Refusal(Exception):
    """A request that gets an error instead of a reply: an HTTP status, a sentence and a code for programs."""

    def __init__(self, status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        super().__init__(message)

    def to_dict(self) -> dict[str, Any]:
        """The error object that OpenAI's clients read."""
        kind = _ERROR_TYPES.get(self.status, "server_error")
        return {"error": {"message": self.message, "type": kind, "code": self.code}}


def _text_of_parts(content: Any) -> Any:
    """OpenAI's other form of a content, a list of parts, as long as all of them are text."""
    if not isinstance(content, list):
        return content
    if not all(isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in content):
        raise ValueError("only parts of the type 'text' can be read")
    return "\n".join(part["text"] for part in content)


class WireMessage(BaseModel):
    """One message of a request; `developer` is OpenAI's newer word for `system`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text_of_parts), Field(max_length=MESSAGE_CHARACTERS)]
    name: Annotated[str, Field(max_length=NAME_CHARACTERS)] | None = None

    def to_message(self) -> Message:
        """The same as the value that prompts are made of."""
        return Message("system" if self.role == "developer" else self.role, self.content, self.name or None)


class PersonaField(BaseModel):
    """The one field that is ours: facts about the other person, and the seed of the conversation's random macros."""

    model_config = ConfigDict(strict=True, extra="ignore")

    user_name: Annotated[str, Field(max_length=200)] | None = None
    memory: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=100)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class StreamOptions(BaseModel):
    """Whether a stream ends with its token counts."""

    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions`. Ranges of the settings are checked by `GenerationSettings`."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str | None = None
    messages: Annotated[list[WireMessage], Field(min_length=1, max_length=MESSAGES_LIMIT)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    persona: PersonaField | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    user: Any = None

    @classmethod
    def read(cls, body: bytes) -> "ChatRequest":
        """Parse and check a body. Raises `Refusal` (400) naming the first field that is wrong."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Refusal(400, f"{place}: {first['msg']}" if place else first["msg"], "invalid_request") from error

    @property
    def settings(self) -> dict[str, Any]:
        """What the request changes of the `GenerationSettings`, by their names."""
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": 0 if self.top_k == -1 else self.top_k,  # other servers' word for no limit
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "max_new_tokens": self.max_completion_tokens if self.max_tokens is None else self.max_tokens,
            "stop_strings": self.stop or None,
            "seed": self.seed,
        }

    @property
    def memory(self) -> Memory:
        """What the client knows about the person who talks."""
        given = self.persona or PersonaField()
        return Memory(given.user_name or "", tuple(given.memory or ()))

    @property
    def unused(self) -> tuple[str, ...]:
        """Fields that were sent and change nothing here, so that the answer can say so."""
        return tuple(sorted(name for name, value in (self.model_extra or {}).items() if value is not None))


def usage(prompt_tokens: int, reply_tokens: int) -> dict[str, int]:
    """OpenAI's token counts."""
    total = prompt_tokens + reply_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": reply_tokens, "total_tokens": total}


def report(prompt_report: PromptReport, unused: tuple[str, ...] = ()) -> dict[str, Any]:
    """The `persona` object of an answer: which lore the character was told, and what was left out."""
    warnings = [*prompt_report.warnings, *([f"not used here: {', '.join(unused)}"] if unused else [])]
    return {
        "lore": [decision.name for decision in prompt_report.lore if decision.included],
        "dropped": list(prompt_report.dropped),
        "truncated_turns": prompt_report.truncated_turns,
        "warnings": warnings,
    }


def event(payload: Mapping[str, Any] | str) -> bytes:
    """One server-sent event. ASCII only: many clients break lines at U+2028 too, inside of a JSON text."""
    data = payload if isinstance(payload, str) else json.dumps(payload, allow_nan=False)
    return f"data: {data}\n\n".encode("ascii")
