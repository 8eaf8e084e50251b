"""`persona doctor`: can training work here? One line for each thing it needs, and what to type where something is bad.

It examines the installation that it runs in: nothing but the standard library is imported before a check asks for it.
"""

import argparse
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from finetune import checks
from finetune.checks import Finding
from finetune.probe import ask_machine

if TYPE_CHECKING:
    from finetune.access import Access

T = TypeVar("T")

BASE_SECONDS = 30
PROBE_SECONDS = 180
"""The first import of torch from a slow disk, or on a busy machine, takes most of a minute."""
SECONDS = 10
"""How long any other check may take."""
LONGEST_LINE = 600

_SECRET = re.compile(r"\b(hf|api_org)_\w{6,}|(?<=Bearer )\S+")


def main(argv: Sequence[str] | None = None) -> int:
    """Examine and print; the exit status is 0 when training can work, 2 when it cannot, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    # It announces retries; what comes of them is in the line of the base.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    findings: list[Finding] = []
    try:
        for finding in examine(arguments.model):
            findings.append(finding)
            if not arguments.json:
                print(line(finding), flush=True)
        problems = sum(finding.status == "problem" for finding in findings)
        if arguments.json:
            report = {"works": not problems, "model": arguments.model, "checks": [asdict(each) for each in findings]}
            print(json.dumps(report, indent=2))
        else:
            print(
                f"Training cannot work yet: {problems} to mend." if problems else "Training can work here.", flush=True
            )
    except BrokenPipeError:  # whoever read this has enough: `persona doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return 2 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="persona doctor",
        description="Check everything that training needs: versions, base model, device, 4-bit arithmetic (computed, "
        "not guessed), precision, memory, disk, accelerate, terminal. Each line says ok, warning or problem, what was "
        "found, and what to type. Of the base only its config.json is fetched. Exit status 2: there is a problem.",
    )
    parser.add_argument(
        "--model",
        default="persona-nano",
        metavar="MODEL",
        help="the base you want to train: persona-nano, a local folder, or a Hub id [persona-nano]",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")
    return parser


def examine(model: str) -> Iterator[Finding]:
    """Every check in turn, as soon as it is known. None takes longer than its limit, and none raises."""
    access = started(lambda: _read_base(model))
    machine = started(lambda: ask_machine(_config(access), PROBE_SECONDS))
    yield finding("versions", checks.packages)
    yield finding("base", lambda: Finding("base", "ok", access.result().found), BASE_SECONDS)
    waiting = BASE_SECONDS + PROBE_SECONDS + SECONDS
    yield finding("device", lambda: checks.device(machine.result()), waiting)
    yield finding("4-bit", lambda: checks.arithmetic(machine.result()))
    yield finding("dtype", lambda: checks.dtype(machine.result()))
    yield finding("memory", lambda: checks.memory(machine.result(), base_known=_is_known(access)))
    missing = access.result().missing_bytes if _is_known(access) else 0
    yield finding("disk", lambda: checks.disk(machine.result(), missing))
    yield finding("accelerate", lambda: checks.launch_file(machine.result()))
    yield finding("terminal", checks.terminal)


def _read_base(model: str) -> "Access":
    from finetune.access import read_base

    return read_base(model)


def _config(access: "Future[Access]") -> Mapping[str, Any]:
    """The base's configuration, empty where there is none: the machine is examined all the same."""
    try:
        return access.result(BASE_SECONDS).config
    except Exception:
        return {}


def _is_known(access: "Future[Access]") -> bool:
    return access.done() and access.exception() is None


def started(work: Callable[[], T]) -> "Future[T]":
    """The result to come of `work`, in a thread that does not keep the program from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def finding(check: str, look: Callable[[], Finding], seconds: float = SECONDS) -> Finding:
    """What `look` finds; an exception, or more than `seconds` without an answer, is a problem with a fix."""
    future = started(look)
    try:
        found = future.result(seconds)
    except Exception as error:
        if not future.done():
            fix = "try again; if it stays, a driver, a network disk or the network does not answer: restart the machine"
            return Finding(check, "problem", f"no answer within {seconds:g} seconds", fix)
        # A PersonaError, recognised by what it has: the package that defines it may be the one that is broken.
        where = getattr(error, "where", None)
        what = getattr(error, "what", f"the check failed: {type(error).__name__}: {error}")
        fix = getattr(error, "fix", None) or "pip install -e . mends an installation; else report this line"
        found = Finding(check, "problem", what + (f" ({where})" if where else ""), fix)
    return Finding(found.check, found.status, _clean(found.found), _clean(found.fix))


def _clean(text: str) -> str:
    """One line that a terminal shows as it is, without any token."""
    shown = "".join(letter if letter.isprintable() else " " for letter in _SECRET.sub("(a token)", text))
    return " ".join(shown.split())[:LONGEST_LINE]


def line(finding: Finding) -> str:
    """A finding as people read it."""
    fix = f". Fix: {finding.fix}" if finding.fix else ""
    return f"{finding.status:8} {finding.check:10} {finding.found.rstrip('.')}{fix}"


if __name__ == "__main__":
    sys.exit(main())
