"""Where things are: which folder or file a character's name means, and where its run is kept."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from persona.errors import PersonaError

SHIPPED_CHARACTERS = Path(__file__).parent / "characters"
NANO_FOLDER = Path(__file__).parent / "nano"
_PLAIN_NAME = re.compile(r"[\w][\w .-]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(10)), *(f"lpt{i}" for i in range(10))}


@dataclass(frozen=True, slots=True)
class Place:
    """A character's card (a folder or a file) and the folder of its run, which may not exist yet."""

    slug: str
    card: Path
    run: Path

    @property
    def dataset(self) -> Path:
        """What `persona build` makes."""
        return self.run / "dataset"

    @property
    def adapter(self) -> Path:
        """What `persona train` makes."""
        return self.run / "adapter"


def slugify(name: str) -> str:
    """A short name that is safe as a folder on every system; a name without usable letters becomes a digest."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60].strip("-")
    if not slug or slug in _RESERVED:
        return "character-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return slug


def find_character(name: str, working_folder: Path | None = None) -> Place:
    """What NAME means: `characters/NAME` in the working folder, a shipped sample, a run's own card, or a path.

    A path to a run or an adapter means the card inside it. Raises `PersonaError` listing the names that there are.
    """
    here = working_folder or Path.cwd()
    if _PLAIN_NAME.fullmatch(name):
        slug = slugify(name)
        folders = [place / part for part in (name, slug) for place in (here / "characters", SHIPPED_CHARACTERS)]
        for card in (*folders, here / "runs" / slug / "card.json"):
            if card.exists():
                return Place(slug, card, here / "runs" / slug)
    path = here / _expanded(name)
    if not name.strip() or not path.exists():
        raise PersonaError(f"There is no character {name!r}.", where=str(here), fix=_known_names(here))
    path = path.parent if path.name == "card.json" else path
    if (path / "card.json").is_file() and not (path / "card.toml").is_file():
        slug = slugify(path.parent.name if path.name == "adapter" else path.name)
        return Place(slug, path / "card.json", here / "runs" / slug)
    slug = slugify(path.name if path.is_dir() else path.stem)
    return Place(slug, path, here / "runs" / slug)


def _expanded(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # "~somebody" without a home
        return Path(name)


def _known_names(here: Path) -> str:
    folders = [*SHIPPED_CHARACTERS.glob("*/card.toml"), *(here / "characters").glob("*/card.toml")]
    names = sorted({f.parent.name for f in folders})
    return f"one of {', '.join(names)}, a path to a card, or: persona new NAME"
