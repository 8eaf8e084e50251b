"""The terminal's door: what `persona chat`, `show` and `demo` print, and what the dispatcher does with nonsense."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from persona.base import Base
from persona.card import CharacterCard
from persona.chat import Persona
from persona.commands import demo, main, run_room
from persona.engines.echo import EchoEngine
from persona.errors import PersonaError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def mira(monkeypatch):
    """`persona chat mira` speaks with an engine of these replies; returns what it was asked."""

    def loaded(*replies, **card):
        engine = EchoEngine(replies)
        values = {"name": "Mira", "first_mes": "Hello, {{user}}."} | card
        persona = Persona("mira", CharacterCard(**values), engine, Base.resolve().template(date="2026-01-01"))
        monkeypatch.setattr(Persona, "load", classmethod(lambda cls, *_, **__: persona))
        return engine

    return loaded


def asked(engine):
    return [[m.content for m in prompt.messages if m.role == "user"] for prompt in engine.prompts]


def type_in(monkeypatch, *lines):
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(line + "\n" for line in lines)))


def test_say_prints_the_reply_and_nothing_else(mira, capsys):
    mira("I mend clocks.")
    assert main(["chat", "mira", "--say", "Who are you?"]) == 0
    assert capsys.readouterr().out == "I mend clocks.\n"


def test_a_conversation_without_a_terminal_reads_lines(mira, monkeypatch, capsys):
    engine = mira("One.", "Two.", "Three.", "Four.")
    type_in(monkeypatch, "first", "", "/again", "/nonsense", "second", "/reset", "third", "/quit", "never")
    assert main(["chat", "mira", "--me", "Tom"]) == 0
    assert asked(engine) == [["first"], ["first"], ["first", "second"], ["third"]]
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "Mira: Hello, Tom.",
        "Mira: One.",
        "Mira: Two.",
        "Mira: Three.",
        "Mira: Hello, Tom.",
        "Mira: Four.",
    ]
    assert "/again asks for another answer" in err


def test_another_answer_needs_another_seed(mira, monkeypatch):
    engine = mira("One.", "Two.", "Three.")
    type_in(monkeypatch, "first", "/again", "/again")
    assert main(["chat", "mira", "--seed", "4"]) == 0
    assert [settings.seed for settings in engine.settings] == [4, 5, 6]


def test_again_without_an_exchange_says_what_there_is(mira, monkeypatch, capsys):
    engine = mira("One.")
    type_in(monkeypatch, "/again")
    assert main(["chat", "mira"]) == 0
    assert engine.prompts == [] and "/reset" in capsys.readouterr().err


def test_a_failure_in_one_turn_does_not_end_the_conversation(mira, monkeypatch, capsys):
    engine = mira("fine")
    stream = engine.stream

    def failing(prompt, settings, cancelled):
        if prompt.messages[-1].content == "bad":
            raise PersonaError("The server is gone.")
        return stream(prompt, settings, cancelled)

    engine.stream = failing
    type_in(monkeypatch, "bad", "good")
    assert main(["chat", "mira"]) == 0
    out, err = capsys.readouterr()
    assert "Mira: fine" in out and "The server is gone." in err


def test_a_card_cannot_move_the_cursor(mira, monkeypatch, capsys):
    mira("\x1b[2Jclear", first_mes="\x1b]0;title\x07hello")
    type_in(monkeypatch, "hi")
    assert main(["chat", "mira"]) == 0
    out = capsys.readouterr().out
    assert "hello" in out and "clear" in out and "\x1b" not in out and "\x07" not in out


def test_show_prints_the_exact_prompt_and_why(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "ada", "--say", "Tell me about the Long Storm."]) == 0
    out = capsys.readouterr().out
    assert "<|system|>You are Ada." in out and "Tell me about the Long Storm.<|end|><|assistant|>" in out
    assert "in  the Long Storm: key" in out
    assert "Martha the fog bell" in next(line for line in out.splitlines() if line.startswith("out no key matched: "))


def test_show_prints_rows_as_training_sees_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    row = {"id": "scene-1", "character": "Ada", "source": "lines.md",
           "messages": [{"role": "user", "content": "Lit?"}, {"role": "assistant", "content": "Lit."}]}  # fmt: skip
    folder = tmp_path / "runs" / "ada" / "dataset"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(json.dumps(row) + "\n")
    assert main(["show", "ada"]) == 0
    out = capsys.readouterr().out
    assert "scene-1:" in out and "4 trained" in out and "<|assistant|>Lit.<|end|>" in out
    assert main(["show", "ada", "--row", "9"]) == 2 and "1 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["chat", "nobody"], ["chat", "ada", "--say", " "], ["show", "ada", "--model", "nope"]]
)
def test_problems_are_at_most_four_lines_and_exit_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("  fix:") and "Traceback" not in err and len(err.splitlines()) <= 6


def test_help_names_every_command_and_the_samples(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    for word in ("new", "import", "build", "train", "chat", "serve", "bot", "show", "demo", "ada, bram"):
        assert word in out


def test_a_room_is_not_replaced_by_a_file_of_the_user(tmp_path):
    (tmp_path / "bot.py").write_text("print('the wrong one')")
    code = "import sys; from persona.commands import main; sys.exit(main(['bot', '--help']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Discord" in done.stdout and "wrong" not in done.stdout


def test_without_a_checkout_a_room_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("persona.commands.__file__", str(tmp_path / "persona" / "commands" / "__init__.py"))
    with pytest.raises(PersonaError, match="git clone"):
        run_room("build", ["ada"])


def test_the_demo_asks_what_training_never_saw_and_tells_the_truth(tmp_path, capsys, mira):
    rows = [
        {"origin": origin, "messages": [{"role": role, "content": text}]}
        for origin, role, text in [
            ("lore", "user", "Made?"),
            ("real", "assistant", "Hi."),
            *(("real", "user", f"Q{n}") for n in range(9)),
        ]
    ]
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts = demo._held_out(file)
    assert prompts == [f"Q{n}" for n in range(6)]
    engine = mira(*(f"answer {n}" for n in range(12)))
    persona = Persona.load("mira")
    persona.adapter_name = "mira"
    demo._compare(persona, prompts, print)
    assert [p.adapter for p in engine.prompts] == [None, "mira"] * 6
    assert "8 million" in capsys.readouterr().out
    with pytest.raises(PersonaError, match="no question"):
        demo._held_out(Path(os.devnull))
