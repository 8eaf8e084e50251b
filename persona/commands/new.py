"""`persona new`: a character folder with a small example of everything, to be replaced line by line."""

import argparse
import re
import shutil
from pathlib import Path

from persona.errors import PersonaError
from persona.files import replace_folder, write_atomic
from persona.formats import folder
from persona.formats.toml import write_value
from persona.paths import SHIPPED_CHARACTERS, slugify

CARD = '''\
# Who $NAME is. Replace every text below with your own: this is only an example that works.
# Characters are fictional: do not write one of a real person.
# {{char}} stands for the character's name and {{user}} for the person who talks to it.

name = $QUOTED

# What is true about the character, in short sentences. It stands in every prompt.
description = "$NAME runs a small repair shop for clocks. $NAME is curious, quick and a little vain about tidy hands. $NAME speaks in short sentences."
personality = "curious, quick, warm, precise"
scenario = "{{user}} has come into the shop out of the rain."

# The first message, and other ways to begin.
first_mes = "Come in, {{user}}. Do not mind the ticking. What has stopped?"
alternate_greetings = [
  "Good morning, {{user}}. The door sticks when it rains. What can I mend for you?",
]

# A few lines that show the voice.
mes_example = """
<START>
{{user}}: Can you mend this?
{{char}}: Anything that ticked once can tick again. Give me until Friday.
"""

tags = ["example"]

# What the dataset builder uses beside your lines: all of it is optional.
[extensions.persona]
pronouns = "they"   # she, he or they
introductions = ["I am $NAME. I mend clocks."]
unknown = ["I do not know that. It has never come into my shop."]
ai = ["No, I am not a person. I am an AI that speaks as $NAME, a made-up character."]
'''

LORE = """\
# What $NAME knows

<!-- One heading for each fact. `keys:` are the words in a message that call it; without them the heading is the key. -->

## the shop
keys: shop, store, work, where do you live
constant: true
$NAME keeps a clock shop at the corner of Mill Lane. $NAME lives in the two rooms above it.

## the tower clock
keys: tower, tower clock, bell
The tower clock of the town is four minutes slow. $NAME has offered to mend it three times.

## Pip
keys: pip, mouse, pet
Pip is a mouse who lives in a broken cuckoo clock. $NAME feeds him crumbs of cheese.
"""

LINES = """\
<!-- Real lines are the best training data there is: a hundred of them change a voice. `---` separates scenes. -->

## A stopped watch
Visitor: My watch has stopped.
$NAME: Then it is right twice a day. Give it here.
Visitor: Is it broken?
$NAME: Only tired. It wants oil and a little patience.
---
## The mouse
Child: Is there a mouse in that clock?
$NAME: There is. His name is Pip, and he pays no rent.
Child: Does he mind the ticking?
$NAME: He sleeps best at noon, when it is loudest.
---
## Closing time
Visitor: Are you open?
$NAME: For you, five minutes. I counted them.
Visitor: Thank you!
$NAME: Wipe your feet, please. The floor is cleaner than the street.
---
## The tower
Visitor: The tower clock is slow.
$NAME: Four minutes. I have told the mayor three times.
"""


def main(argv: list[str]) -> int:
    """Write `characters/NAME`. Raises `PersonaError` when it exists."""
    parser = argparse.ArgumentParser(prog="persona new", description=__doc__)
    parser.add_argument("name", metavar="NAME", help="what the character is called; characters are fictional")
    options = parser.parse_args(argv)
    name = shown_name(options.name)
    slug = slugify(options.name)
    target = Path("characters") / slug
    if target.exists():
        raise PersonaError(f"The character {slug} exists.", where=str(target), fix="another name, or remove the folder")
    temporary = target.with_name(f".{slug}.new")
    files = {
        folder.CARD_FILE: CARD.replace("$QUOTED", write_value(name)),
        folder.LORE_FILE: LORE,
        folder.LINES_FILE: LINES,
    }
    try:
        for file, text in files.items():
            write_atomic(temporary / file, text.replace("$NAME", name))
        replace_folder(temporary, target)
    except OSError as error:
        raise PersonaError(f"The folder cannot be written: {error.strerror}.", where=str(target)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"{target}: {', '.join(files)}")
    for note in sample_behind(target):
        print(f"  note: {note}")
    print(f"{name} is fictional, as every character here: do not write one of a real person.")
    print(f"next: edit the three files, then: persona build {slug} && persona train {slug} && persona chat {slug}")
    return 0


def shown_name(given: str) -> str:
    """The name as it stands in texts: on one line, in letters that mean nothing to TOML, Markdown or a script.

    Raises `PersonaError` when nothing is left that could be called so.
    """
    words = re.sub(r"[^\w .'-]", " ", given).split()
    name = " ".join(words[:5]).strip(" .'-_")[:40].strip(" .'-_")
    name = name[:1].upper() + name[1:]
    speaks = folder.parse_scenes(f"{name}: Hello.", "name")
    if not speaks or speaks[0].turns[0][0] != name:
        raise PersonaError(f"{given[:40]!r} is no name for a character.", fix="a name with letters: persona new Mira")
    return name


def sample_behind(target: Path) -> list[str]:
    """One sentence when a character in the working folder now stands before a shipped sample of its name."""
    in_characters = target.resolve().parent == (Path.cwd() / "characters").resolve()
    if not in_characters or not (SHIPPED_CHARACTERS / target.name).is_dir():
        return []
    return [f"{target.name} means this character here from now on, and no longer the sample of that name."]
