"""`python -m data NAME`: a character's lore and lines -> dialogues to train on, in `runs/NAME/dataset/`.

Also `python -m data quotes FILE` (who says what in a novel), `review NAME` (a table of doubtful lines to judge),
`forget FILE` (build again without a source) and `push NAME REPO` (to the Hugging Face Hub).
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from persona.errors import PersonaError
from persona.formats.text import printable

if TYPE_CHECKING:
    from data.speakers import Speaker


def main(argv: list[str] | None = None) -> int:
    """Build a dataset, or do what the first word says; the exit status is 2 for a problem that the user can solve."""
    given = sys.argv[1:] if argv is None else argv
    commands: dict[str, Callable[[list[str]], int]] = {
        "quotes": _quotes,
        "review": _review,
        "forget": _forget,
        "push": _push,
    }
    try:
        command = commands.get(given[0]) if given else None
        return command(given[1:]) if command else _build(given)
    except PersonaError as error:
        print(f"data: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read this has enough: `python -m data ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def _build(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data",
        description=__doc__.replace("`", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a character, or a path: card, script, play, novel, chat, training file, pages, or a folder of them",
    )
    _add_speaker(parser)
    parser.add_argument("--seed", type=int, default=0, help="draws the split and the questions (default 0)")
    parser.add_argument(
        "--rendered", action="store_true", help="also write messages that need no card, for other trainers"
    )
    parser.add_argument(
        "--teacher",
        metavar="URL_OR_MODEL",
        help="a model that writes questions and checked answers: an OpenAI-compatible server, a folder, a Hub id",
    )
    parser.add_argument(
        "--block", metavar="FILE", type=Path, help="words and phrases, one a line, that no row may hold"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that read files at once, for many books (default 1)",
    )
    parser.add_argument("--force", action="store_true", help="build even if nothing has changed")
    parser.add_argument("--check", action="store_true", help="check that this room can run, and do nothing else")
    arguments = parser.parse_args(given)
    if arguments.check:
        return _check()
    if not arguments.name:
        raise PersonaError("Whose dataset?", fix="python -m data NAME")
    if arguments.workers < 1:
        raise PersonaError(f"{arguments.workers} processes read nothing.", fix="--workers 1")
    from data.build import build

    built = build(
        arguments.name,
        speaker=arguments.speaker,
        seed=arguments.seed,
        rendered=arguments.rendered,
        force=arguments.force,
        teacher=arguments.teacher,
        blocked=_words_in(arguments.block),
        ask=_ask if sys.stdin.isatty() else None,
        workers=arguments.workers,
    )
    source = built.input
    folder = _from_here(source.place.dataset)
    if built.look is None:
        for note in source.notes:
            print(f"note: {printable(note)}")
        print(f"unchanged: {folder} ({sum(built.report['kept'].values()):,} rows)")
        return 0
    from rich.console import Console

    from data.page_screen import one_screen

    Console(highlight=False).print(
        one_screen(built.look, _from_here(source.place.run) if source.is_made else arguments.name)
    )
    print(f"made: {folder}" + (f", and the card {_from_here(source.place.card)}" if source.is_made else ""))
    return 0


def _words_in(file: Path | None) -> frozenset[str]:
    from persona.formats.text import decode_text, read_bytes

    lines = decode_text(read_bytes(file), str(file)).splitlines() if file else []
    return frozenset(line.strip() for line in lines if line.strip())


def _add_speaker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as",
        dest="speaker",
        metavar="SPEAKER",
        help='whose lines are trained; other names after commas: "Ann, Annie"',
    )


def _check() -> int:
    import datasets

    import data.build  # noqa: F401

    print(f"data: ok (datasets {datasets.__version__})")
    return 0


def _ask(speakers: "Sequence[Speaker]") -> str:
    """Whose voice it shall be, asked in the terminal."""
    from data.inputs import SPEAKERS_LISTED
    from data.speakers import speaker_table

    print(printable(speaker_table(speakers, SPEAKERS_LISTED)))
    asked = input("Whose voice shall it be? ").strip()
    if not asked:
        raise PersonaError("Nobody was chosen.", fix='python -m data NAME --as "SPEAKER"')
    return asked


def _quotes(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data quotes", description="Every quotation of a novel, and whose it is."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="plain text")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with character offsets")
    arguments = parser.parse_args(given)
    from data.quotes import print_quotes

    print_quotes(arguments.file, arguments.json)
    return 0


def _review(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data review",
        description="Write doubtful lines into a table; the next build applies your decisions.",
    )
    parser.add_argument("name", metavar="NAME", help="as for the build")
    _add_speaker(parser)
    arguments = parser.parse_args(given)
    from data.inputs import read_input
    from data.review import REVIEW_FILE, doubtful_lines, improbable_rows, write_review
    from data.sources import Voice

    source = read_input(arguments.name, arguments.speaker, ask=_ask if sys.stdin.isatty() else None)
    source.place.run.mkdir(parents=True, exist_ok=True)
    items = [*improbable_rows(source), *doubtful_lines(source, Voice(source.labels))]
    added = write_review(source.place.run, items)
    file = _from_here(source.place.run / REVIEW_FILE)
    print(f"{file}: {added:,} new lines. Write keep, drop or fix into the column decision, then build again.")
    return 0


def _forget(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data forget", description="Build every dataset that was made from a file again, without it."
    )
    parser.add_argument("source", metavar="FILE", help="the name of a file that a dataset was built from")
    arguments = parser.parse_args(given)
    from data.forget import forget

    for sentence in forget(arguments.source, Path.cwd() / "runs"):
        print(printable(sentence))
    return 0


def _push(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m data push", description="Upload a dataset and its card to the Hub."
    )
    parser.add_argument("name", metavar="NAME", help="a character whose dataset was built")
    parser.add_argument("repo", metavar="REPO", help="user/name on the Hub")
    parser.add_argument("--public", action="store_true", help="for everyone to see; without it the dataset is private")
    arguments = parser.parse_args(given)
    from data.hub import push_to_hub
    from persona.paths import find_character

    print(push_to_hub(find_character(arguments.name).dataset, arguments.repo, private=not arguments.public))
    return 0


def _from_here(path: Path) -> str:
    """A path as one would type it in the working folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    sys.exit(main())
