"""What NAME means to the builder: a card with its scenes and files, or a character in a plain script."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data.provenance import refuse_discord
from data.report import read_report
from data.sources import display_name
from persona.card import CharacterCard
from persona.errors import PersonaError
from persona.files import sha256_of
from persona.formats.folder import CARD_FILES, LINES_FILE, Scene, read_scenes
from persona.paths import SHIPPED_CHARACTERS, Place, find_character, slugify

SCRIPT_ENDINGS = (".txt", ".md", "")
SPEAKERS_LISTED = 12


@dataclass(frozen=True)
class Input:
    """A character to build for: `scenes` are its lines.md, or with `is_script` the whole script."""

    place: Place
    card: CharacterCard
    scenes: tuple[Scene, ...]
    files: tuple[Path, ...]
    is_script: bool = False
    notes: list[str] = field(default_factory=list)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file that was read, by its name."""
        return {file.name: sha256_of(file) for file in self.files}


def read_input(name: str, speaker: str | None = None) -> Input:
    """Find and read NAME. Raises `PersonaError` saying what to type, for a script without `speaker` too."""
    place = find_character(name)
    if place.card.is_file() and place.card.suffix.lower() in SCRIPT_ENDINGS:
        return _read_script(place, name, speaker)
    if speaker is not None:
        raise PersonaError(f"{name} is a card, which has one character.", fix=f"python -m data {name}, without --as")
    if place.run.resolve() in place.card.resolve().parents:
        raise PersonaError(f"{name} is what a build made.", where=str(place.card), fix="give what it was built from")
    candidates = [place.card / file for file in (*CARD_FILES, LINES_FILE)] if place.card.is_dir() else [place.card]
    files = tuple(file for file in candidates if file.is_file())
    for file in files:
        refuse_discord(file)
    notes: list[str] = []
    card = CharacterCard.load(place.card, notes)
    scenes = read_scenes(place.card) if place.card.is_dir() else ()
    return Input(place, card, scenes, files, notes=notes)


def _read_script(place: Place, name: str, speaker: str | None) -> Input:
    refuse_discord(place.card)
    scenes = read_scenes(place.card)
    lines = Counter(who for scene in scenes for who, _ in scene.turns)
    if not lines:
        raise PersonaError(
            "No line of the script has a speaker.", where=str(place.card), fix='write them as "Name: text"'
        )
    found = (
        None if speaker is None else next((who for who in lines if who.casefold() == speaker.strip().casefold()), None)
    )
    if found is None:
        what = (
            "A script has many characters." if speaker is None else f"Nobody called {speaker!r} speaks in the script."
        )
        example = lines.most_common(1)[0][0]
        fix = f'python -m data {name} --as "{example}"   ({_most_lines(lines)})'
        raise PersonaError(what, where=str(place.card), fix=fix)
    called = display_name(found)
    slug = slugify(called)
    run = place.run.with_name(slug)
    _refuse_foreign_run(slug, run, place.card, called)
    card = CharacterCard(name=called, description=f"{called}, a character in {place.card.name}.")
    return Input(Place(slug, run / "card.json", run), card, scenes, (place.card,), is_script=True)


def _refuse_foreign_run(slug: str, run: Path, script: Path, called: str) -> None:
    """Raise `PersonaError` where the run of a script's character would take the place of somebody else's."""
    fix = f'rename the speaker in {script.name}, to "{called} of the play" for example, and give the new name to --as'
    written = [folder for folder in (run.parent.parent / "characters").glob("*") if slugify(folder.name) == slug]
    shipped = [SHIPPED_CHARACTERS / slug] if (SHIPPED_CHARACTERS / slug).exists() else []
    if written or shipped:
        raise PersonaError(
            f"There is a character {slug!r} already, whose run a script would overwrite.",
            where=str((written or shipped)[0]),
            fix=fix,
        )
    report = read_report(run / "dataset")
    made_of = report.get("inputs") if report else None
    if isinstance(made_of, dict) and script.name not in made_of and sha256_of(script) not in made_of.values():
        raise PersonaError(
            f"{run.name} was built from {', '.join(map(str, made_of))}, which a script would overwrite.",
            where=str(run),
            fix=f"rename or remove that folder, or {fix}",
        )


def _most_lines(lines: Counter[str]) -> str:
    shown: Sequence[tuple[str, int]] = lines.most_common(SPEAKERS_LISTED)
    more = len(lines) - len(shown)
    return ", ".join(f"{who} {count}" for who, count in shown) + (f", and {more} more" if more else "")
