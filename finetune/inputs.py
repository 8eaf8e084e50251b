"""What a run is made from: the character, the base, and the dataset's rows as training examples."""

from collections import Counter
from dataclasses import dataclass

from finetune.rows import digest_of, encode_rows, read_split
from finetune.samples import sample_prompts
from finetune.settings import FinetuneSettings
from persona.base import Base
from persona.card import CharacterCard
from persona.errors import PersonaError
from persona.paths import Place, find_character
from persona.prompt import Example
from persona.template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a run is made from, read without torch."""

    place: Place
    card: CharacterCard
    base: Base
    template: ChatTemplate
    train: list[Example]
    real: list[Example]
    synthetic: list[Example]
    test: list[Example]
    questions: list[tuple[str, tuple[int, ...]]]
    """What is asked again and again while the model learns: the words, and the prompt's ids."""
    skipped: list[str]
    notes: dict[str, int]
    rows: dict[str, int]

    @property
    def digest(self) -> str:
        """Of everything that is trained or scored."""
        return digest_of(self.train, self.real, self.synthetic, self.test)


def read_inputs(name: str, settings: FinetuneSettings) -> Inputs:
    """The character, the base and the dataset as examples. Raises `PersonaError` for what is missing or unusable."""
    place = find_character(name)
    splits = {split: read_split(place.dataset, split, name) for split in ("train", "validation", "test")}
    card, base = CharacterCard.load(place.card), Base.resolve(settings.model)
    template = base.template(context=settings.context)
    skipped: list[str] = []
    notes: Counter[str] = Counter()

    def examples_of(split: str, real: bool | None = None) -> list[Example]:
        rows = [row for row in splits[split] if real is None or row.is_real is real]
        examples, left_out, told = encode_rows(rows, card, template)
        skipped.extend(left_out)
        notes.update(told)
        return examples

    train = examples_of("train")
    if not train:
        raise PersonaError("There is no dialogue to train on.", where=str(place.dataset), fix="write lines in lines.md")
    return Inputs(
        place=place,
        card=card,
        base=base,
        template=template,
        train=train,
        real=examples_of("validation", real=True),
        synthetic=examples_of("validation", real=False),
        test=examples_of("test", real=True),
        questions=sample_prompts(splits["validation"], card, template),
        skipped=skipped,
        notes=dict(notes.most_common()),
        rows={split: len(rows) for split, rows in splits.items()},
    )
