"""What a run is made from: the character, the base, and the dataset's rows as training examples."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune.parallel import is_first_process, processes
from finetune.progress import counted
from finetune.rows import digest_of, encode_rows, read_split
from finetune.samples import sample_prompts
from finetune.settings import OF_THE_MOMENT, FinetuneSettings
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
    train: Sequence[Example]
    real: Sequence[Example]
    synthetic: Sequence[Example]
    test: Sequence[Example]
    questions: list[tuple[str, tuple[int, ...]]]
    """What is asked again and again while the model learns: the words, and the prompt's ids."""
    skipped: list[str]
    notes: dict[str, int]
    rows: dict[str, int]
    digest: str
    """Of everything that is trained or scored."""


def read_inputs(name: str, settings: FinetuneSettings) -> Inputs:
    """The character, the base and the dataset as examples. Raises `PersonaError` for what is missing or unusable.

    Rows are read and encoded one at a time, after a first look at all of them, which takes little time.
    """
    place = find_character(name)
    counts = {
        split: sum(1 for _ in read_split(place.dataset, split, name)) for split in ("train", "validation", "test")
    }
    card, base = CharacterCard.load(place.card), Base.resolve(settings.model)
    template = base.template(context=settings.context)
    skipped: list[str] = []
    notes: Counter[str] = Counter()

    def examples_of(split: str, real: bool | None = None) -> Sequence[Example]:
        rows = counted(
            read_split(place.dataset, split, name),
            counts[split],
            f"reading the {split} rows",
            mute=not is_first_process(),
        )
        wanted = (row for row in rows if real is None or row.is_real is real)
        examples, left_out, told = encode_rows(wanted, card, template)
        skipped.extend(left_out)
        notes.update(told)
        return examples

    train = examples_of("train")
    if not train:
        raise PersonaError("There is no dialogue to train on.", where=str(place.dataset), fix="write lines in lines.md")
    real, synthetic = (examples_of("validation", real) for real in (True, False))
    test = examples_of("test", real=True)
    return Inputs(
        place=place,
        card=card,
        base=base,
        template=template,
        train=train,
        real=real,
        synthetic=synthetic,
        test=test,
        questions=sample_prompts(read_split(place.dataset, "validation", name), card, template),
        skipped=skipped,
        notes=dict(notes.most_common()),
        rows=counts,
        digest=digest_of(train, real, synthetic, test),
    )


def made_from(settings: FinetuneSettings, inputs: Inputs) -> dict[str, Any]:
    """What decides a run's result, as people would say what has changed."""
    deciding = {key: value for key, value in settings.to_dict().items() if key not in OF_THE_MOMENT}
    base = inputs.base.revision or inputs.base.digest
    return {"settings": deciding, "base": base, "rows": inputs.digest, "processes": processes()}
