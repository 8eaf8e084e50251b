"""The README is true: its commands run in order on a new character, its Python prints replies, its tree exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = {"accelerate": ["--epochs", "1"], "chat": ["--max-new-tokens", "8", "--seed", "1"]}
SERVERS = {"serve", "bot"}
"""They run until they are stopped, and have tests of their own: here their flags are checked alone."""


def blocks(language):
    """Fenced blocks of one language; an opening and a closing fence look alike where there is none."""
    parts = re.split(r"^```(\w*)\n", README, flags=re.MULTILINE)
    return [text for tag, text in zip(parts[1::4], parts[2::4], strict=True) if tag == language]


def commands():
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("make ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkout's rooms, with nothing made yet."""
    made = tmp_path_factory.mktemp("readme")
    for room in ("persona", "data", "finetune", "bot"):
        (made / room).symlink_to(ROOT / room)
    return made


def run(arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_commands_run_in_order(folder):
    ran = []
    for line in commands():
        words = re.findall(r'"[^"]*"|\S+', line)
        words = [word.strip('"') for word in words]
        ran.append(words[1] if words[0] == "persona" else words[0])
        if words[0] == "persona":
            extra = ["--help"] if words[1] in SERVERS else SMALL.get(words[1], [])
            arguments = [sys.executable, "-m", *words, *extra]
        else:
            assert words[:3] == ["accelerate", "launch", "finetune"]
            arguments = [sys.executable, "-m", "accelerate.commands.launch", *words[2:], *SMALL["accelerate"]]
        done = run(arguments, folder)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        if words[1] == "chat":
            assert len(done.stdout.strip().splitlines()) == 1
    assert ran == ["new", "build", "accelerate", "show", "chat", "serve", "bot"]
    assert (folder / "runs" / "mira" / "adapter" / "adapter_model.safetensors").is_file()


def test_the_python_runs(folder):
    (code,) = blocks("python")
    done = run([sys.executable, "-c", code], folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) >= 3, "three replies, of a word at least"


def test_the_tree_is_there():
    tree = next(block for block in blocks("") if block.startswith("persona/"))
    for line in tree.splitlines():
        assert (ROOT / line.split()[0]).is_dir()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    assert targets == {"demo", "test"}
    for target in targets:
        assert f"\n{target}:" in makefile
