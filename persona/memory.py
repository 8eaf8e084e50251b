"""What a character knows about the person it talks with: facts of one request, kept by the caller, never here."""

from dataclasses import dataclass

DEFAULT_USER_NAME = "friend"


@dataclass(frozen=True, slots=True)
class Memory:
    """`user_name` stands for `{{user}}` where no message names its speaker; `notes` are short sentences about them."""

    user_name: str = ""
    notes: tuple[str, ...] = ()


NOBODY = Memory()
"""What a character knows about somebody it has not met."""
