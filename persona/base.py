"""Which base model a name means: where its files are, what they are called in a contract, and its chat template."""

import datetime
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from persona.errors import PersonaError
from persona.files import sha256_of
from persona.paths import NANO_FOLDER
from persona.template import ChatTemplate

NANO = "persona-nano"
"""The built-in base: no slash, so that nobody else can own the name."""

DEFAULT_CONTEXT = 4096
"""Tokens of context used where the base allows more: enough for a long evening, and it fits a gaming GPU."""

_TOKENIZER_FILES = ["*.json", "*.jinja", "tokenizer.model"]


@dataclass(frozen=True)
class Base:
    """A causal language model: `name` as the user wrote it, `folder` with its configuration and tokenizer files.

    `location` is what `from_pretrained` takes (a folder or a Hub id), with `revision` a commit of the Hub.
    """

    name: str
    location: str
    folder: Path
    revision: str | None = None

    @classmethod
    def resolve(cls, name: str = NANO, revision: str | None = None) -> "Base":
        """The built-in base, a local folder, or a Hub id at a commit. Raises `PersonaError` saying what to type."""
        if name == NANO:
            return cls(NANO, str(NANO_FOLDER), NANO_FOLDER)
        if folder := _local_folder(name):
            base = cls(str(folder), str(folder), folder)
            base._refuse_unsafe_weights()
            return base
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise _no_base(name)
        files = _download(name, revision)
        return cls(name, name, files, files.name)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The base's config.json."""
        return self._json("config.json", required=True)

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 over the weight files of a local base; a Hub base is known by its revision."""
        if self.revision:
            return None
        digests = [sha256_of(file) for file in sorted(self.folder.glob("*.safetensors"))]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    @property
    def max_context(self) -> int:
        """Longest sequence in tokens that the base was made for."""
        config = self.config.get("text_config") or self.config
        return int(config.get("max_position_embeddings") or DEFAULT_CONTEXT)

    @cached_property
    def generation_config(self) -> dict[str, Any]:
        """The base's own advice on sampling; empty where it gives none."""
        return self._json("generation_config.json")

    def template(self, *, date: str | None = None, context: int | None = None) -> ChatTemplate:
        """Its chat template, at `date` (ISO, default today) and with a context of at most `context` tokens."""
        if context is not None and not 256 <= context <= self.max_context:
            raise PersonaError(
                f"A context of {context} tokens does not suit {self.name}.", fix=f"256 to {self.max_context}"
            )
        settings = self._json("tokenizer_config.json")
        stop = self.generation_config.get("eos_token_id")
        return ChatTemplate(
            tokenizer=self._tokenizer(),
            source=self._template_source(settings),
            variables=self._named_tokens(settings),
            context=context or min(self.max_context, DEFAULT_CONTEXT),
            date=date or datetime.date.today().isoformat(),
            generation_stop_ids=tuple(stop) if isinstance(stop, list) else (stop,) if isinstance(stop, int) else (),
        )

    def _tokenizer(self) -> Tokenizer:
        file = self.folder / "tokenizer.json"
        if file.is_file():
            return Tokenizer.from_file(str(file))
        # Older bases have a sentencepiece file alone, which transformers converts.
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(str(self.folder)).backend_tokenizer
        except (OSError, ValueError, AttributeError, ImportError) as error:
            raise PersonaError(f"{self.name} has no usable tokenizer: {error}", where=str(self.folder)) from error

    def _template_source(self, settings: dict[str, Any]) -> str:
        file = self.folder / "chat_template.jinja"
        source = file.read_text(encoding="utf-8") if file.is_file() else settings.get("chat_template")
        if isinstance(source, list):
            source = next((t.get("template") for t in source if t.get("name") == "default"), None)
        if not isinstance(source, str) or not source:
            raise PersonaError(
                f"{self.name} has no chat template, so it was not made for conversation.",
                where=str(self.folder),
                fix="choose its instruct or chat version",
            )
        return source

    def _named_tokens(self, settings: dict[str, Any]) -> dict[str, str]:
        """`bos_token`, `eos_token` and so on, as templates call them."""
        tokens = self._json("special_tokens_map.json") | settings
        texts = {k: v.get("content") if isinstance(v, dict) else v for k, v in tokens.items() if k.endswith("_token")}
        return {k: v for k, v in texts.items() if isinstance(v, str)}

    def _json(self, file_name: str, *, required: bool = False) -> dict[str, Any]:
        file = self.folder / file_name
        if not file.is_file() and not required:
            return {}
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PersonaError(f"{self.name} cannot be read: {error}", where=str(file)) from error
        return value if isinstance(value, dict) else {}

    def _refuse_unsafe_weights(self) -> None:
        if not any(self.folder.glob("*.safetensors")):
            raise PersonaError(
                f"{self.name} has no safetensors weights; pickled ones can run any program and are not read.",
                where=str(self.folder),
                fix="choose a base that has model.safetensors",
            )


def _local_folder(name: str) -> Path | None:
    try:
        folder = Path(name).expanduser()
        return folder.resolve() if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long for a path, or "~somebody" without a home
        return None


def _no_base(name: str) -> PersonaError:
    fix = f"{NANO}, a folder with a model, or a Hub id such as Qwen/Qwen3-4B-Instruct-2507"
    return PersonaError(f"There is no base model {name[:100]!r}.", fix=fix)


def _download(name: str, revision: str | None) -> Path:
    """The small files of a Hub base: its snapshot's folder is named after the commit."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_TOKENIZER_FILES))
    except errors.HFValidationError as error:
        raise _no_base(name) from error
    except errors.GatedRepoError as error:
        fix = f"accept its licence on https://huggingface.co/{name}, then: hf auth login"
        raise PersonaError(f"{name} asks you to accept a licence first.", fix=fix) from error
    except errors.RepositoryNotFoundError as error:
        raise PersonaError(f"The Hub has no model {name!r} that you may read.", fix="check the name") from error
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError) as error:
        fix = f"connect to the network once, give a local folder, or use --model {NANO}"
        raise PersonaError(
            f"{name} could not be fetched from the Hub.", where=str(error).split("\n")[0][:200], fix=fix
        ) from error
