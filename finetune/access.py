"""Whether a base can be had: a folder that is whole, or a model of the Hub that this machine may fetch."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persona.errors import PersonaError

if TYPE_CHECKING:
    from persona.base import Base

HUB_SECONDS = 5
"""How long the Hub may take for one answer."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")


@dataclass(frozen=True, slots=True)
class Access:
    """A base that can be had: in words, its configuration, and the bytes of weights that are still to be fetched."""

    found: str
    config: Mapping[str, Any]
    missing_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OnHub:
    """What the Hub says of a model that may be read: commit, gate, bytes of its weights, config.json."""

    commit: str
    gated: bool
    weight_bytes: int
    config: Mapping[str, Any]


def read_base(name: str) -> Access:
    """The base called `name`; only its config.json is fetched. Raises `PersonaError` saying why it cannot be had."""
    from persona.base import NANO, Base

    if name == NANO or Path(name).expanduser().is_dir():
        base = Base.resolve(name)
        try:
            size = whole(base)
        except PersonaError as error:
            raise PersonaError(error.what, where=error.where, fix=error.fix or _AGAIN) from None
        return Access(f"{base.name}: whole, {size / 1e9:.2f} GB of weights in {base.folder}", base.config)
    if not _HUB_ID.fullmatch(name):
        fix = f"{NANO}, a folder with a model, or a Hub id such as Qwen/Qwen3-4B-Instruct-2507"
        raise PersonaError(f"There is no base model {name!r}.", fix=fix)
    cached = _cached(name)
    try:
        there = ask_hub(name)
    except Exception as error:
        refusal, silent = explain(name, error)
        if cached is None or not silent:
            raise refusal from None
        return Access(f"{name}: whole in the Hub's cache. {refusal.what}", cached.config)
    if not there.weight_bytes:
        raise PersonaError(
            f"{name} has no safetensors weights; pickled ones can run any program and are not read.",
            fix="choose a base that has model.safetensors",
        )
    gate = "its licence is accepted" if there.gated else "no licence to accept"
    if cached is not None and cached.revision == there.commit:
        return Access(f"{name}: whole in the Hub's cache, {gate}", there.config)
    words = f"{name}: on the Hub, {gate}, {there.weight_bytes / 1e9:.1f} GB to fetch when training begins"
    return Access(words, there.config, there.weight_bytes)


def whole(base: "Base") -> int:
    """Bytes of the weights in the base's folder. Raises `PersonaError` for a file that is missing, cut or unusable."""
    from safetensors import SafetensorError, safe_open

    if not isinstance(base.config.get("model_type"), str):
        raise PersonaError(f"The config.json of {base.name} names no model_type.", where=str(base.folder), fix=_AGAIN)
    size = 0
    for name in _weight_files(base):
        file = base.folder / name
        if Path(name).name != name or not file.is_file():
            raise PersonaError(f"{base.name} lacks its weight file {name!r}.", where=str(base.folder), fix=_AGAIN)
        try:
            with safe_open(file, "numpy"):  # compares the length of the file with its header
                size += file.stat().st_size
        except (SafetensorError, OSError) as error:
            raise PersonaError(f"{name} is damaged: {error}", where=str(file), fix=_AGAIN) from None
    try:
        base.template()
    except PersonaError:
        raise
    except Exception as error:  # tokenizers raises nothing more special
        what = f"The tokenizer of {base.name} cannot be used: {error}"
        raise PersonaError(what, where=str(base.folder), fix=_AGAIN) from None
    return size


_AGAIN = "fetch the base again"


def _weight_files(base: "Base") -> list[str]:
    from persona.formats.text import read_bytes

    index = base.folder / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    try:
        return sorted({str(name) for name in json.loads(read_bytes(index))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise PersonaError("The index of the weights cannot be read.", where=str(index), fix=_AGAIN) from None


def _cached(name: str) -> "Base | None":
    """The base from the Hub's cache, where all of it is there."""
    from huggingface_hub import try_to_load_from_cache

    from persona.base import Base

    config = try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    base = Base(name, name, folder, folder.name)
    try:
        whole(base)
    except PersonaError:
        return None
    return base


def ask_hub(name: str) -> OnHub:
    """Ask the Hub about a model; raises what `huggingface_hub` raises."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    info = HfApi().model_info(name, timeout=HUB_SECONDS, files_metadata=True)
    if info.gated:
        # What is known of a gated model is public; its files are not.
        HfApi().auth_check(name)
    file = hf_hub_download(name, "config.json", revision=info.sha, etag_timeout=HUB_SECONDS)
    sizes = [part.size or 0 for part in info.siblings or [] if _WEIGHTS.fullmatch(part.rfilename)]
    config = json.loads(Path(file).read_text(encoding="utf-8"))
    return OnHub(str(info.sha), bool(info.gated), sum(sizes), config)


def explain(name: str, error: BaseException) -> tuple[PersonaError, bool]:
    """An error of the Hub in one sentence with a fix, and whether the Hub was silent: then a cached base works.

    The error's own text is left out: it may hold the request with its token.
    """
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError):
        error = error.__cause__ or error
    status = getattr(getattr(error, "response", None), "status_code", None)
    what, fix = _by_kind(name, error) or (_by_status(name, status) if status else _by_silence(error))
    return PersonaError(what, fix=fix), status is None or status >= 500 or status == 429


def _by_kind(name: str, error: BaseException) -> tuple[str, str] | None:
    from huggingface_hub import constants, errors, get_token

    page = f"{constants.ENDPOINT}/{name}"
    if isinstance(error, errors.GatedRepoError):
        if get_token() is None:
            return f"{name} asks you to accept a licence first.", f"accept it on {page}, then: hf auth login"
        return (
            f"{name} asks for a licence, and your token has no access to it yet.",
            f"accept it on {page} with the account of your token; a fine-grained one must also allow gated models",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        known = "with your token" if get_token() else "without a token"
        return f"The Hub shows no model {name} {known}.", "check the name; if the model is private: hf auth login"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"{name} has no config.json.", "choose the repository with the original weights, not GGUF"
    return None


def _by_status(name: str, status: int) -> tuple[str, str]:
    return {
        401: ("The Hub does not accept your token.", "hf auth login (and unset HF_TOKEN if it holds an old one)"),
        403: (f"Your token may not read {name}.", "hf auth login, with a token that may read it"),
        429: (
            "The Hub had too many requests from here.",
            "wait a few minutes; with a token more are allowed: hf auth login",
        ),
    }.get(status, (f"The Hub answers with status {status}.", "try again later"))


def _by_silence(error: BaseException) -> tuple[str, str]:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids to ask the Hub.", "unset HF_HUB_OFFLINE, or give a local folder"
    late = "Timeout" in type(error).__name__
    what = f"did not answer within {HUB_SECONDS} seconds" if late else f"could not be reached ({type(error).__name__})"
    return f"The Hub {what}.", "check network and proxy, give a local folder, or --model persona-nano"
