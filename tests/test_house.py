"""The house keeps its shape: which room may import which, what importing costs, and names that shadow nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import persona

ROOT = Path(__file__).parents[1]
ROOMS = ("persona", "data", "finetune", "bot")
LAYERS = (
    ("errors", "files", "conversation", "memory", "generation", "paths"),
    ("formats", "pages", "lock"),
    ("lorebook", "lore_entry", "lore_matching", "lore_decorators", "lore_selection", "lore_scan", "card"),
    ("template", "base"),
    ("normalise", "system", "history", "prompt", "contract"),
    ("engines",),
    ("chat",),
    ("server",),
    ("commands",),
)
HEAVY = ("torch", "transformers", "peft", "datasets", "discord", "bitsandbytes", "accelerate", "matplotlib")


def modules(room):
    return sorted(p for p in (ROOT / room).rglob("*.py"))


def imported(file):
    """Absolute names that a file imports, wherever in it; names under TYPE_CHECKING do not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_persona_and_never_one_another(room):
    others = {"persona": set(ROOMS) - {"persona"}}.get(room, set(ROOMS) - {"persona", room})
    for file in modules(room):
        assert not {name.split(".")[0] for name in imported(file)} & others, file


def test_persona_imports_upwards_only():
    level = {name: place for place, names in enumerate(LAYERS) for name in names}
    for file in modules("persona"):
        inside = file.relative_to(ROOT / "persona").with_suffix("").parts[0]
        if inside in ("__init__", "__main__"):
            continue
        assert inside in level, f"{file} has no place in LAYERS"
        for name in imported(file):
            parts = name.split(".")
            if parts[0] == "persona" and len(parts) > 1 and parts[1] in level:
                # A card holds a lorebook, and both are read from formats that make them.
                together = {inside, parts[1]} <= {"formats", *LAYERS[2]}
                assert together or level[parts[1]] <= level[inside], f"{file} imports {name}"


def test_only_the_prompt_turns_conversations_into_ids():
    for room in ROOMS:
        for file in modules(room):
            calls = {
                n.func.attr
                for n in ast.walk(ast.parse(file.read_text()))
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
            }
            if file.name not in ("prompt.py", "template.py"):
                assert "apply_chat_template" not in calls and "render" not in calls & {"render_jinja_template"}, file
                assert not {"text_ids"} & calls, file


def test_importing_persona_is_light():
    code = f"import sys; from persona import *; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"


def test_the_package_offers_what_it_names_and_the_help_of_the_command_waits_for_none_of_it():
    assert set(persona.__all__) == set(persona._HOME)
    assert all(getattr(persona, name).__name__ == name for name in persona.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nobody'"):
        _ = persona.Nobody
    code = "import sys, persona.commands as c; c.main(['--help']); print('pydantic' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "command", [["persona"], ["data"], ["finetune"], ["bot"], ["persona", "chat"], ["persona", "serve"]]
)
def test_help_imports_nothing_heavy(command):
    code = (
        "import runpy, sys\n"
        f"sys.argv = {[*command, '--help']!r}\n"
        "try: runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "except SystemExit as done: assert not done.code\n"
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip().endswith("heavy: []"), out.stdout[-300:]
    assert len(out.stdout.split()) > 30


def test_no_file_is_named_like_a_library():
    names = (
        set(sys.stdlib_module_names) | set(HEAVY) | {"starlette", "uvicorn", "pydantic", "rich", "tokenizers", "regex"}
    )
    for room in ("data", "finetune", "bot"):
        for file in modules(room):
            assert file.stem not in names, file


def test_every_file_says_what_it_is_for():
    for room in ROOMS:
        for file in modules(room):
            text = file.read_text(encoding="utf-8")
            assert ast.get_docstring(ast.parse(text)), file
