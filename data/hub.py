"""A dataset on the Hugging Face Hub: its rows and its card, and nothing else of its folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.split import SPLITS
from persona.errors import PersonaError

CARD_FILE = "README.md"
FILES = (*(f"{split}.jsonl" for split in SPLITS), CARD_FILE)
"""Never the report: it shows what was left out, and why."""


def push_to_hub(dataset_folder: Path, repo: str, private: bool = True) -> str:
    """Upload the rows and the card to the dataset `repo` ("user/name"), made if there is none; gives its address.

    The token is the one that huggingface_hub finds in the environment or keeps from a login. Raises `PersonaError`
    without a network, a token or the right to write, and where `private` rows would go to a public place.
    """
    missing = [name for name in (f"{SPLITS[0]}.jsonl", CARD_FILE) if not (dataset_folder / name).is_file()]
    if missing:
        raise PersonaError(
            f"There is no {' and no '.join(missing)} to upload.", where=str(dataset_folder), fix="python -m data NAME"
        )
    from huggingface_hub import HfApi, get_token

    with _plain_errors(repo):
        if not get_token():
            raise PersonaError(
                "There is no token for the Hugging Face Hub.",
                fix="hf auth login, or set HF_TOKEN to a token that may write",
            )
        api = HfApi()
        made = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        # A repository that exists keeps its visibility, whatever was asked for.
        if private and not api.dataset_info(made.repo_id).private:
            raise PersonaError(
                f"The dataset {made.repo_id} is public, and the upload was to be private.",
                where=str(made),
                fix="give another name, or make that repository private first",
            )
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=str(dataset_folder),
            repo_type="dataset",
            allow_patterns=list(FILES),
            delete_patterns=list(FILES),  # a split that has no rows any more goes
            commit_message="Upload a dataset",
        )
    return str(made)


@contextmanager
def _plain_errors(repo: str) -> Iterator[None]:
    """What the Hub and the network answer, as a `PersonaError` that repeats neither requests nor headers."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    try:
        yield
    except HFValidationError:
        raise PersonaError(f"{repo!r} is no name for a dataset on the Hub.", fix="your-name/dataset-name") from None
    except LocalTokenNotFoundError:
        raise PersonaError("There is no token for the Hugging Face Hub.", fix="hf auth login") from None
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status in (401, 403, 404):
            raise PersonaError(
                f"The Hub does not let this token write to {repo!r} (status {status}).",
                fix="hf auth login with a token that may write there, or a name under your own account",
            ) from None
        raise PersonaError(
            f"The Hub refused the upload to {repo!r} (status {status}).", fix="try again later"
        ) from None
    except ValueError:
        raise PersonaError(
            f"The Hub does not accept the dataset card {CARD_FILE}.", fix="python -m data NAME"
        ) from None
    except (HTTPError, OSError) as error:
        raise PersonaError(
            f"The Hugging Face Hub cannot be reached ({type(error).__name__}).",
            fix="connect to the network, unset HF_HUB_OFFLINE, and try again",
        ) from None
