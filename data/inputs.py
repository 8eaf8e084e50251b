"""What NAME means to the builder: a card with its scenes and files, or a character in sources of any kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.detect import files_in, is_card, read_all, read_sources
from data.names import labels_of
from data.provenance import refuse_discord
from data.report import read_report
from data.source import CHARACTER, USER, Lore, Source
from data.sources import display_name
from data.speakers import Speaker, count_speakers, find_speakers, speaker_table
from persona.card import CharacterCard
from persona.errors import PersonaError
from persona.files import sha256_of
from persona.formats.folder import CARD_FILE, EXTRA_FILE, LINES_FILE, LORE_FILE, Scene, lorebook_files, read_scenes
from persona.paths import SHIPPED_CHARACTERS, Place, find_character, slugify

SPEAKERS_LISTED = 12
ROLES = frozenset("gpt assistant bot ai model char character user human system".split())
"""What training files call who speaks: nobody's name."""

LORE_CHARACTERS = 2_000
"""Of one entry made from a page: more would fill the prompt of a small base alone."""

Ask = Callable[[Sequence[Speaker]], str]


@dataclass(frozen=True)
class Input:
    """A character to build for: `scenes` are its own lines.md, `sources` what else tells of it.

    `labels` are the character's names in the sources, in lower case. `is_made` says that the card was made from the
    sources, and is written into the run.
    """

    place: Place
    card: CharacterCard
    scenes: tuple[Scene, ...]
    files: tuple[Path, ...]
    sources: tuple[Source, ...] = ()
    labels: frozenset[str] = frozenset()
    is_made: bool = False
    name: str = ""
    """What names the input, in a build that is done again."""

    speaker: str | None = None
    """What `--as` has to say for the same character, however it was chosen; None for a card."""

    notes: list[str] = field(default_factory=list)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file that was read, by its name in the folder that was given."""
        root = self.files[0].parent if self.files else Path()
        return {
            file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name: sha256_of(file)
            for file in self.files
        }


def read_input(
    name: str,
    speaker: str | None = None,
    *,
    ask: Ask | None = None,
    forgotten: frozenset[str] = frozenset(),
    workers: int = 1,
) -> Input:
    """Find and read NAME. `ask` is asked whose voice it is where that is open; `forgotten` are names of files to skip;
    `workers` processes read the sources that are not a card's.

    Raises `PersonaError` saying what to type, among it for sources with several speakers and nobody to ask.
    """
    place = find_character(name)
    if place.run.resolve() in place.card.resolve().parents:
        made_from = (read_report(place.dataset) or {}).get("settings", {})
        if not made_from.get("name") or not Path(made_from["name"]).exists():
            fix = "give what it was built from"
            raise PersonaError(f"{name} is what a build made.", where=str(place.card), fix=fix)
        name, speaker = made_from["name"], speaker or made_from.get("as")
        place = find_character(name)
    if (place.card / CARD_FILE).is_file() or is_card(place.card):
        return replace(_read_character(place, name, speaker, forgotten), name=name)
    return replace(_read_voice(place, name, speaker, ask, forgotten, workers), name=name)


def _read_character(place: Place, name: str, speaker: str | None, forgotten: frozenset[str]) -> Input:
    """A card or a character folder, with everything else that was put into the folder."""
    if speaker is not None:
        raise PersonaError(f"{name} is a card, which has one character.", fix=f"python -m data {name}, without --as")
    notes: list[str] = []
    if not place.card.is_dir():
        refuse_discord(place.card)
        return Input(place, CharacterCard.load(place.card, notes), (), (place.card,), notes=notes)
    own = [place.card / file for file in (CARD_FILE, EXTRA_FILE, LORE_FILE, LINES_FILE)]
    own = [file for file in (*own, *lorebook_files(place.card)) if file.is_file()]
    own = [file for file in own if file.name != LINES_FILE or LINES_FILE not in forgotten]
    for file in own:
        refuse_discord(file)
    card = CharacterCard.load(place.card, notes)
    beside = [f for f in files_in(place.card) if f not in own and f.name not in forgotten]
    sources, read = _read_beside(beside, notes)
    labels = labels_of(card, "")
    if sources:
        speakers = count_speakers([scene for source in sources for scene in source.scenes])
        labels |= next((_labels(s) for s in speakers if _labels(s) & labels), frozenset())
    for source in sources:
        if source.lore:
            notes.append(
                f"{source.name} is trained, but stands in no prompt: lore.md is where {card.name}'s lore is looked up."
            )
    scenes = read_scenes(place.card) if LINES_FILE not in forgotten else ()
    return Input(place, card, scenes, (*own, *read), sources, labels, notes=notes)


def _labels(speaker: Speaker) -> frozenset[str]:
    return frozenset(label.casefold() for label in (speaker.name, *speaker.aliases))


def _read_beside(files: Sequence[Path], notes: list[str]) -> tuple[tuple[Source, ...], tuple[Path, ...]]:
    """What can be read of the files that lie beside a card, and these files; a picture, say, is only noted."""
    sources: list[Source] = []
    read: list[Path] = []
    for file in files:
        refuse_discord(file)
        try:
            sources += read_sources(file, notes)
            read.append(file)
        except PersonaError as error:
            notes.append(f"{file.name} was not read: {error.what}")
    return tuple(sources), tuple(read)


def _read_voice(
    place: Place, name: str, speaker: str | None, ask: Ask | None, forgotten: frozenset[str], workers: int
) -> Input:
    """Sources with many speakers, of whom one becomes a character."""
    notes: list[str] = []
    files = tuple(file for file in files_in(place.card) if file.name not in forgotten)
    cards = [file for file in files if is_card(file)] if place.card.is_dir() else []
    if len(cards) == 1 and speaker is None:
        return _card_and_sources(place, cards[0], [f for f in files if f != cards[0]], notes)
    for file in files:
        refuse_discord(file)
    sources = tuple(read_all([file for file in files if file not in cards], notes, workers))
    users = frozenset(source.user for source in sources) - {""}
    speakers = count_speakers([scene for source in sources for scene in source.scenes], users)
    if not speakers:
        raise PersonaError("Nobody speaks in this.", where=str(place.card), fix='write lines as "Name: text"')
    asked, called, labels = _whose(name, place.card, sources, speakers, speaker, ask)
    slug = slugify(called)
    run = place.run.with_name(slug)
    _refuse_foreign_run(slug, run, files, called)
    card = _made_card(called, sources)
    if card.description:
        notes.append("What the file tells the model stands in the card, and so in every prompt.")
    else:
        notes.append(
            f"The prompt says no more than that this is {called}: a folder with this and a card.toml can say more."
        )
    made = Place(slug, run / "card.json", run)
    return Input(made, card, (), files, sources, labels, is_made=True, speaker=asked, notes=notes)


def _card_and_sources(place: Place, file: Path, others: Sequence[Path], notes: list[str]) -> Input:
    """A folder with one card in it: the card is the character, and all else are its sources."""
    refuse_discord(file)
    card = CharacterCard.load(file, notes)
    sources, read = _read_beside(others, notes)
    speakers = count_speakers([scene for source in sources for scene in source.scenes])
    labels = labels_of(card, "")
    labels |= next((_labels(s) for s in speakers if _labels(s) & labels), frozenset())
    slug = slugify(card.name)
    run = place.run.with_name(slug)
    _refuse_foreign_run(slug, run, (file, *read), card.name)
    made = Place(slug, run / "card.json", run)
    return Input(made, card, (), (file, *read), sources, labels, is_made=True, notes=notes)


def _whose(
    name: str, path: Path, sources: Sequence[Source], speakers: Sequence[Speaker], asked: str | None, ask: Ask | None
) -> tuple[str, str, frozenset[str]]:
    """(what was asked for, the character's name, its labels in lower case). Raises `PersonaError` listing who speaks."""
    roles = {speaker.name for speaker in speakers} <= {CHARACTER, USER, ""}
    said = {source.character for source in sources} - {""}
    if asked is None and len(said) == 1:
        asked = said.pop()
        if roles:
            return asked, asked, frozenset({CHARACTER})
    if asked is None and roles:
        raise PersonaError(
            "The file has a character without a name.", where=str(path), fix=f'python -m data {name} --as "NAME"'
        )
    if asked is None and len(speakers) > 1 and ask is None:
        example = display_name(speakers[0].name)
        raise PersonaError(
            f"{len(speakers)} people speak here:\n{speaker_table(speakers, SPEAKERS_LISTED)}",
            where=str(path),
            fix=f'python -m data {name} --as "{example}"',
        )
    if asked is None:
        asked = ask(speakers) if ask and len(speakers) > 1 else speakers[0].name
    if roles:
        if asked.casefold() in ROLES:
            raise PersonaError(
                f"{asked!r} is a role, not a name.", where=str(path), fix=f'python -m data {name} --as "NAME"'
            )
        return asked, asked.split(",")[0].strip(), frozenset({CHARACTER})
    called, labels = find_speakers(asked, speakers)
    return asked, display_name(called), frozenset(label.casefold() for label in labels)


def _made_card(called: str, sources: Sequence[Source]) -> CharacterCard:
    """The card of a character that has none: what a training file told the model, and the pages' lore."""
    told = {source.system for source in sources} - {""}
    description = told.pop() if len(told) == 1 else ""
    entries = [_entry(lore, place) for place, lore in enumerate(lore for s in sources for lore in s.lore)]
    book = {"character_book": {"entries": entries}} if entries else {}
    return CharacterCard.model_validate({"name": called, "description": description, **book})


def _entry(lore: Lore, place: int) -> dict[str, object]:
    return {
        "name": lore.title,
        "keys": [lore.title],
        "content": lore.text[:LORE_CHARACTERS],
        "insertion_order": place + 1,
        "use_regex": False,
    }


def _refuse_foreign_run(slug: str, run: Path, files: Sequence[Path], called: str) -> None:
    """Raise `PersonaError` where the run of a source's character would take the place of somebody else's."""
    written = [folder for folder in (run.parent.parent / "characters").glob("*") if slugify(folder.name) == slug]
    shipped = [SHIPPED_CHARACTERS / slug] if (SHIPPED_CHARACTERS / slug).exists() else []
    if written or shipped:
        raise PersonaError(
            f"There is a character {slug!r} already, whose run this would overwrite.",
            where=str((written or shipped)[0]),
            fix=f'put the file into that folder, or give another name first: --as "{called} of the play, {called}"',
        )
    report = read_report(run / "dataset")
    made_of = report.get("inputs") if report else None
    if not isinstance(made_of, dict) or {file.name for file in files} & {Path(name).name for name in made_of}:
        return
    if not {sha256_of(file) for file in files} & set(made_of.values()):
        raise PersonaError(
            f"{run.name} was built from {', '.join(map(str, made_of))}, which this would overwrite.",
            where=str(run),
            fix="put all of the character's files into one folder and build that; for somebody else, rename the run",
        )
