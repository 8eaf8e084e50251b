"""`python -m data NAME`: a character's lore and lines -> dialogues to train on, in `runs/NAME/dataset/`."""

import argparse
import sys
from pathlib import Path

from persona.errors import PersonaError
from persona.formats.text import printable


def main(argv: list[str] | None = None) -> int:
    """Build a dataset; the exit status is 2 for a problem that the user can solve."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.check:
            return _check()
        if not arguments.name:
            raise PersonaError("Whose dataset?", fix="python -m data NAME")
        return _build(arguments)
    except PersonaError as error:
        print(f"data: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data", description=__doc__.replace("`", ""))
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a character, a path to its card or folder, or a script file"
    )
    parser.add_argument("--as", dest="speaker", metavar="SPEAKER", help="whose lines of a script are trained")
    parser.add_argument("--seed", type=int, default=0, help="draws the split and the questions (default 0)")
    parser.add_argument(
        "--rendered", action="store_true", help="also write messages that need no card, for other trainers"
    )
    parser.add_argument("--force", action="store_true", help="build even if nothing has changed")
    parser.add_argument("--check", action="store_true", help="check that this room can run, and do nothing else")
    return parser


def _check() -> int:
    import datasets

    import data.build  # noqa: F401

    print(f"data: ok (datasets {datasets.__version__})")
    return 0


def _build(arguments: argparse.Namespace) -> int:
    from data.build import build
    from data.report import show_report

    source, report, unchanged = build(
        arguments.name,
        speaker=arguments.speaker,
        seed=arguments.seed,
        rendered=arguments.rendered,
        force=arguments.force,
    )
    for note in source.notes:
        print(f"note: {note}")
    folder = _from_here(source.place.dataset)
    if unchanged:
        print(f"unchanged: {folder} ({sum(report['kept'].values()):,} rows)")
        return 0
    show_report(report, folder)
    if source.is_script:
        print(f"{_from_here(source.place.card)} names the character, without lore of its own.")
        print(f"next: persona train {_from_here(source.place.run)}")
    return 0


def _from_here(path: Path) -> str:
    """A path as one would type it in the working folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


if __name__ == "__main__":
    sys.exit(main())
