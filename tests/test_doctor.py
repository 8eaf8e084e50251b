"""`persona doctor`: every check finds what is wrong, says what to type, ends in time and never prints a token."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune import access, checks, doctor, probe
from finetune.access import OnHub, read_base
from finetune.checks import needs
from finetune.probe import Machine
from persona.errors import PersonaError
from persona.paths import NANO_FOLDER

ROOT = Path(__file__).parents[1]
TOKEN = "hf_aVerySecretTokenOfNobody"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LLAMA_8B = {"parameters": 8_030_261_248, "linear": 6_979_321_856, "width": 2_621_440}
CPU = {"type": "cpu", "dtype": "bfloat16", "built_for_gpu": False}
GPU = {"type": "cuda", "dtype": "bfloat16", "built_for_gpu": True, "name": "Some GPU", "count": 1, "capability": [8, 9],
       "free": 23 * 2**30, "total": 24 * 2**30}  # fmt: skip
ROUNDING = {"forward": 0.09, "gradient": 0.091}


def machine(device=CPU, arithmetic=ROUNDING, size=LLAMA_8B, ended=""):
    answers = {"device": device, "arithmetic": arithmetic, "size": size}
    return Machine({question: answer for question, answer in answers.items() if answer}, ended)


@pytest.fixture
def fast(monkeypatch, tmp_path):
    """A machine that answers at once, in an empty folder with an empty home of the Hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr(checks, "main_memory", lambda: (64 * 2**30, 64 * 2**30))
    monkeypatch.setattr(doctor, "ask_machine", lambda config, seconds: machine(size=LLAMA_8B if config else None))


def status(error_type, code, text=TOKEN):
    """An error as the Hub's client raises it, with a token in its text."""
    import httpx2
    from huggingface_hub import errors

    request = httpx2.Request("GET", "https://hub.invalid/x", headers={"Authorization": f"Bearer {TOKEN}"})
    return getattr(errors, error_type)(text, response=httpx2.Response(code, request=request))


def hub_says(monkeypatch, answer):
    def ask(name):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(access, "ask_hub", ask)


# The command.


def test_all_is_well_exits_0_with_one_line_for_each_check(fast, capsys):
    assert doctor.main([]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 9 and last == "Training can work here."
    assert [line.split()[1] for line in lines] == (
        ["versions", "base", "device", "4-bit", "dtype", "memory", "disk", "accelerate", "terminal"]
    )


def test_a_problem_exits_2_and_says_what_to_type(fast, monkeypatch, capsys):
    hub_says(monkeypatch, status("GatedRepoError", 401))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert doctor.main(["--model", "some/base"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("problem  base") and "hf auth login" in lines[1]
    assert lines[5].startswith("warning  memory") and "1 to mend" in lines[-1]


def test_json_holds_the_same(fast, capsys):
    assert doctor.main(["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["works"] is True and report["model"] == "persona-nano" and len(report["checks"]) == 9
    assert all(set(each) == {"check", "status", "found", "fix"} for each in report["checks"])


def test_checks_that_raise_are_problems_and_no_tracebacks(fast, monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError(f"broken\nBearer {TOKEN} \x1b[2J")

    names = ("packages", "device", "arithmetic", "dtype", "memory", "disk", "launch_file", "terminal")
    for name in names:
        monkeypatch.setattr(checks, name, broken)
    monkeypatch.setattr(access, "read_base", broken)
    assert doctor.main([]) == 2
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["problem"] * 9 and all("Fix: " in line for line in lines[:-1])
    assert "Traceback" not in out + err and TOKEN not in out + err and "\x1b" not in out


def test_nothing_hangs(fast, monkeypatch, capsys):
    monkeypatch.setattr(access, "read_base", lambda name: time.sleep(60))
    monkeypatch.setattr(doctor, "ask_machine", lambda config, seconds: time.sleep(60))
    for limit in ("BASE_SECONDS", "PROBE_SECONDS", "SECONDS"):
        monkeypatch.setattr(doctor, limit, 0.2)
    monkeypatch.setattr(doctor.finding, "__defaults__", (0.2,))
    began = time.monotonic()
    assert doctor.main([]) == 2
    assert time.monotonic() - began < 10
    assert capsys.readouterr().out.count("no answer within") == 7


@given(st.text(max_size=300))
def test_a_finding_is_one_printable_line_without_tokens(text):
    def fails():
        raise PersonaError(text, where=text, fix=f"{text} {TOKEN}")

    shown = doctor.line(doctor.finding("base", fails))
    assert shown.isprintable() and TOKEN not in shown


def test_letters_that_the_terminal_lacks_are_no_error(fast, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    assert doctor.main(["--model", "Ä"]) == 2
    text = out.buffer.getvalue().decode()
    assert "\\xc4" in text and "prints ascii, not UTF-8" in text


HEAVY = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "huggingface_hub", "pydantic", "persona")


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_help_imports_nothing():
    done = run_python(
        "import sys, finetune.doctor as d\n"
        "try: d.main(['--help'])\n"
        f"except SystemExit: print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert "--json" in done.stdout and done.stdout.strip().endswith("heavy: []")


def test_a_broken_installation_is_examined_too():
    done = run_python(
        "import sys, finetune.doctor as d\n"
        "for name in ('pydantic', 'tokenizers', 'huggingface_hub', 'psutil'): sys.modules[name] = None\n"
        "d.ask_machine = lambda *_: d.checks.Machine({}, 'No module named torch')\n"
        "sys.exit(d.main([]))"
    )
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr, done.stderr
    assert "pip install -e ." in done.stdout and len(done.stdout.splitlines()) == 10


# Versions.


def test_versions_outside_the_bounds_are_named_with_the_command(monkeypatch):
    from importlib import metadata

    real = metadata.version

    def version(name):
        if name == "peft":
            raise metadata.PackageNotFoundError(name)
        return {"torch": "2.1.0+cu121", "transformers": "6.0.0"}.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = checks.packages()
    assert found.status == "problem" and "peft is missing" in found.found and "torch is 2.1.0+cu121" in found.found
    assert found.fix.startswith("pip install ") and '"torch>=2.9"' in found.fix and "transformers" in found.fix
    assert "accelerate" not in found.fix


def test_a_local_build_of_torch_is_within_the_bounds(monkeypatch):
    from importlib import metadata

    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else real(name))
    assert checks.packages().status == "ok"


# The base.


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(NANO_FOLDER, tmp_path / "mine"))


def test_a_whole_folder_is_had_without_the_hub(folder, monkeypatch):
    hub_says(monkeypatch, AssertionError("the Hub was asked"))
    assert "whole" in read_base(str(folder)).found and "whole" in read_base("persona-nano").found
    assert read_base(str(folder)).config["model_type"] == "llama"


def cut(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def lose_a_shard(folder):
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors").rename(folder / names["a"])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def point_outside(folder):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "damaged"),
        (lose_a_shard, "lacks its weight file 'model-00002"),
        (point_outside, "lacks its weight file"),
        (lambda f: (f / "model.safetensors.index.json").write_text("[" * 9000), "index"),
        (lambda f: (f / "model.safetensors").rename(f / "other.safetensors"), "lacks its weight file"),
        (lambda f: (f / "model.safetensors").unlink(), "no safetensors"),
        (lambda f: (f / "config.json").unlink(), "cannot be read"),
        (lambda f: (f / "config.json").write_text("{}"), "model_type"),
        (lambda f: (f / "chat_template.jinja").unlink(), "chat template"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(folder, damage, words):
    damage(folder)
    with pytest.raises(PersonaError, match=words) as refused:
        read_base(str(folder))
    assert refused.value.fix


def hub_error(kind):
    import httpx2
    from huggingface_hub import errors

    if kind == "slow":
        return httpx2.ConnectTimeout(TOKEN)
    if kind == "refused":
        return httpx2.ConnectError(TOKEN)
    if kind == "offline":
        return errors.OfflineModeIsEnabled(TOKEN)
    if kind == "lost":  # what the download makes of a Hub that goes silent halfway
        error = errors.LocalEntryNotFoundError(TOKEN)
        error.__cause__ = httpx2.ReadTimeout(TOKEN)
        return error
    return status(*kind)


ERRORS = [
    (("GatedRepoError", 401), False, "asks you to accept a licence first", "hf auth login"),
    (("GatedRepoError", 403), True, "your token has no access", "accept it on"),
    (("RepositoryNotFoundError", 401), False, "no model some/base without a token", "check the name"),
    (("RepositoryNotFoundError", 404), True, "no model some/base with your token", "check the name"),
    (("RemoteEntryNotFoundError", 404), False, "no config.json", "not GGUF"),
    (("HfHubHTTPError", 401), True, "does not accept your token", "HF_TOKEN"),
    (("HfHubHTTPError", 403), True, "may not read some/base", "hf auth login"),
    (("HfHubHTTPError", 429), False, "too many requests", "wait"),
    (("HfHubHTTPError", 503), False, "status 503", "later"),
    ("slow", True, "did not answer within 5 seconds", "network"),
    ("lost", True, "did not answer within 5 seconds", "network"),
    ("refused", True, "could not be reached (ConnectError)", "network"),
    ("offline", False, "HF_HUB_OFFLINE", "unset HF_HUB_OFFLINE"),
]


@pytest.mark.parametrize(("kind", "token", "what", "fix"), ERRORS)
def test_every_refusal_of_the_hub_is_one_sentence_without_the_token(kind, token, what, fix, fast, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: TOKEN if token else None)
    hub_says(monkeypatch, hub_error(kind))
    with pytest.raises(PersonaError) as refused:
        read_base("some/base")
    assert what in refused.value.what and fix in refused.value.fix
    assert TOKEN not in str(refused.value) and refused.value.what.count(". ") == 0


def cache(tmp_path, commit=COMMIT):
    """The built-in base as if it had been fetched from the Hub."""
    repository = tmp_path / "hub" / "models--some--base"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    return Path(shutil.copytree(NANO_FOLDER, repository / "snapshots" / commit))


@pytest.mark.parametrize("kind", ["slow", "refused", "offline", ("HfHubHTTPError", 503)])
def test_a_cached_base_works_without_the_hub(kind, fast, tmp_path, monkeypatch):
    snapshot = cache(tmp_path)
    hub_says(monkeypatch, hub_error(kind))
    found = read_base("some/base")
    assert "cache" in found.found and found.config["model_type"] == "llama" and found.missing_bytes == 0
    cut(snapshot)
    with pytest.raises(PersonaError):
        read_base("some/base")


def test_a_cached_base_whose_licence_was_withdrawn_is_refused(fast, tmp_path, monkeypatch):
    cache(tmp_path)
    hub_says(monkeypatch, status("GatedRepoError", 403))
    with pytest.raises(PersonaError, match="licence"):
        read_base("some/base")


def test_what_is_to_be_fetched_is_said(fast, tmp_path, monkeypatch):
    hub_says(monkeypatch, OnHub(COMMIT, True, 8_000_000_000, {"model_type": "llama"}))
    found = read_base("some/base")
    assert "its licence is accepted" in found.found and "8.0 GB to fetch" in found.found
    assert found.missing_bytes == 8_000_000_000
    cache(tmp_path)
    assert read_base("some/base").missing_bytes == 0
    hub_says(monkeypatch, OnHub("another", False, 8_000_000_000, {}))
    assert read_base("some/base").missing_bytes == 8_000_000_000
    hub_says(monkeypatch, OnHub(COMMIT, False, 0, {}))
    with pytest.raises(PersonaError, match="no safetensors"):
        read_base("some/base")


def test_the_hub_is_asked_for_no_more_than_the_configuration(monkeypatch, tmp_path):
    from types import SimpleNamespace

    asked = []
    siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in
                [("model-00001-of-00002.safetensors", 5), ("model-00002-of-00002.safetensors", 6),
                 ("consolidated.safetensors", 100), ("pytorch_model.bin", 100), ("sub/model.safetensors", 100)]]  # fmt: skip
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')

    def download(name, file, **options):
        asked.append((file, options["revision"], options["etag_timeout"]))
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    info = SimpleNamespace(sha=COMMIT, gated="manual", siblings=siblings)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda self, name, **_: info)
    monkeypatch.setattr("huggingface_hub.HfApi.auth_check", lambda self, name: asked.append("licence"))
    assert access.ask_hub("some/base") == OnHub(COMMIT, True, 11, {"model_type": "llama"})
    assert asked == ["licence", ("config.json", COMMIT, 5)]


@pytest.mark.parametrize("name", ["nonsense", "a b/c", "a/b/c", "../x", "https://host/x"])
def test_what_is_no_name_is_not_asked_for(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    hub_says(monkeypatch, AssertionError("the Hub was asked"))
    with pytest.raises(PersonaError, match="no base model"):
        read_base(name)


# The machine.


@pytest.mark.parametrize(
    ("facts", "driver", "expected", "words"),
    [
        (GPU, True, "ok", "Some GPU, compute capability 8.9, 23.0 GiB of 24.0 GiB free"),
        (GPU | {"count": 4}, True, "ok", "4 x Some GPU"),
        (CPU, False, "ok", "no NVIDIA driver"),
        (CPU, True, "warning", "built without CUDA"),
        (CPU | {"built_for_gpu": True, "why_no_gpu": "driver too old"}, True, "warning", "driver too old"),
        ({"type": "mps", "dtype": "float32", "built_for_gpu": False}, False, "ok", "mps"),
        ({"error": "No module named 'torch'"}, False, "problem", "No module named 'torch'"),
    ],
)
def test_the_device_is_named_and_a_gpu_that_is_not_used(facts, driver, expected, words, monkeypatch):
    monkeypatch.setattr(checks, "has_nvidia_driver", lambda: driver)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = checks.device(machine(facts))
    assert found.status == expected and words in found.found and bool(found.fix) == (expected != "ok")
    assert "http" not in found.fix and "index-url" not in found.fix


def test_a_gpu_that_a_variable_hides_is_told(monkeypatch):
    monkeypatch.setattr(checks, "has_nvidia_driver", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert checks.device(machine(CPU | {"built_for_gpu": True})).fix == "unset CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (ROUNDING, "ok"),
        ({"forward": 0.09, "gradient": 1.0}, "problem"),
        ({"forward": 0.3, "gradient": 0.09}, "problem"),
        ({"forward": float("nan"), "gradient": 0.09}, "problem"),
        ({"forward": 0.09, "gradient": float("nan")}, "problem"),
        ({"refused": "no kernels"}, "warning"),
        ({"error": "no kernel image"}, "problem"),
        (None, "problem"),
    ],
)
def test_4_bit_results_are_judged(facts, expected):
    found = checks.arithmetic(machine(arithmetic=facts, ended="It ended by SIGILL."))
    assert found.status == expected and bool(found.fix) == (expected != "ok")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (GPU, "bfloat16: compute capability 8.9"),
        (GPU | {"capability": [7, 5], "dtype": "float16"}, "float16: compute capability 7.5; from 8.0 on"),
        (GPU | {"capability": [6, 1], "dtype": "float32"}, "float32: compute capability 6.1"),
        (CPU, "bfloat16: this processor has units"),
        (CPU | {"dtype": "float32"}, "float32: this processor has no units"),
    ],
)
def test_the_precision_is_named_with_the_reason(facts, words):
    assert words in checks.dtype(machine(facts)).found


def program(tmp_path, monkeypatch, script):
    """`script` runs in the place of the process that asks the machine."""
    file = tmp_path / "program"
    file.write_text("#!/bin/sh\n" + script)
    file.chmod(0o755)
    monkeypatch.setattr(probe.sys, "executable", str(file))


ANSWER = f"echo noise; echo '{json.dumps({'question': 'device', 'answer': CPU})}'\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("kill -ILL $$", "by SIGILL"),
        ("echo 'Aborted: bad driver' >&2; exit 3", "with status 3: Aborted: bad driver"),
        ("exec sleep 60", "within 1 seconds"),
        ('printf \'{"question": "arith\'; exit 1', "with status 1"),
    ],
)
def test_a_probe_that_dies_or_hangs_leaves_what_it_had_answered(tmp_path, monkeypatch, end, words):
    program(tmp_path, monkeypatch, ANSWER + end)
    found = probe.ask_machine({}, 1)
    assert found.answer("device") == CPU and words in found.answer("arithmetic")["error"]


def test_an_installation_without_torch_answers_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('No module named torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = probe.ask_machine({}, 60)
    assert found.ended == ""
    assert all(found.answer(question) == {"error": "No module named torch"} for question in probe.QUESTIONS)


def test_the_real_machine_answers(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", io.StringIO((NANO_FOLDER / "config.json").read_text()))
    assert probe.main() == 0
    found = Machine(probe._answers(capfd.readouterr().out.encode()))
    assert checks.device(found).status != "problem"
    assert checks.arithmetic(found).status in ("ok", "warning")
    from safetensors import safe_open

    with safe_open(NANO_FOLDER / "model.safetensors", "numpy") as weights:
        shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
    matrices = {n: s for n, s in shapes.items() if "proj" in n}
    assert found.answer("size") == {
        "parameters": sum(int.__mul__(*s) if len(s) == 2 else s[0] for s in shapes.values()),
        "linear": sum(a * b for a, b in matrices.values()),
        "width": sum(a + b for a, b in matrices.values()),
    }


def test_arithmetic_that_is_wrong_is_noticed(monkeypatch):
    import bitsandbytes

    honest = probe.arithmetic()
    if "refused" in honest:
        pytest.skip(honest["refused"])
    assert max(honest.values()) < checks.LARGEST_ERROR
    real = bitsandbytes.matmul_4bit
    monkeypatch.setattr(bitsandbytes, "matmul_4bit", lambda *a, **k: 1.2 * real(*a, **k))
    wrong = probe.arithmetic()
    assert min(wrong.values()) > checks.LARGEST_ERROR
    monkeypatch.setattr(bitsandbytes, "matmul_4bit", lambda x, *a, **k: real(x.detach(), *a, **k) + 0 * x.sum())
    lost = probe.arithmetic()
    assert lost["forward"] < checks.LARGEST_ERROR < lost["gradient"]


@pytest.mark.parametrize("config", [{"model_type": "no-such"}, {"model_type": "t5"}, {}])
def test_a_base_that_cannot_be_built_is_a_problem(config, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(config)))
    monkeypatch.setattr(probe, "device", lambda: CPU)
    monkeypatch.setattr(probe, "arithmetic", lambda: ROUNDING)
    assert probe.main() == 0
    found = checks.memory(Machine(probe._answers(capsys.readouterr().out.encode())), base_known=True)
    assert found.status == "problem" and "another base" in found.fix


# Memory, disk, and the rest.


def test_what_a_base_needs():
    quantized = needs(LLAMA_8B, nf4=True, number_bytes=2, rank=16)
    weights_and_lora = quantized.fixed - checks.LIBRARIES_BYTES
    assert 0.55 < (weights_and_lora - 16 * LLAMA_8B["width"] * 16) / LLAMA_8B["parameters"] < 0.75
    assert needs(LLAMA_8B, nf4=False, number_bytes=2, rank=16).fixed > 16e9
    assert needs(LLAMA_8B, nf4=True, number_bytes=2, rank=32).fixed > quantized.fixed


def test_gpu_memory_is_compared_with_the_need(monkeypatch):
    monkeypatch.setattr(checks, "main_memory", lambda: (2**40, 2**40))
    for gib, bits, status_ in ((80, 16, "ok"), (40, 4, "ok"), (15, 4, "warning"), (8, 4, "problem")):
        found = checks.memory(machine(GPU | {"free": gib * 2**30}), base_known=True)
        assert found.status == status_, gib
        assert f"8.0 B parameters in {bits} bits" in found.found and bool(found.fix) == (status_ != "ok")


def test_a_run_holds_the_base_as_is_said(monkeypatch):
    import torch

    from finetune import model
    from finetune.settings import FinetuneSettings
    from persona.base import Base

    class OnGpu:
        device, num_processes = torch.device("cuda"), 1

    monkeypatch.setattr(model, "_why_not_4bit", lambda device: "")
    base, said = Base.resolve(), []
    size = probe.size(base.config)
    for free in range(2**30, 3 * 2**30, 2**27):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 2**40))
        held = model.hold(base, FinetuneSettings(), OnGpu, dtype=torch.float16).quantization
        facts = GPU | {"free": free, "dtype": "float16"}
        said.append(f"in {16 if held == 'none' else 4} bits")
        assert said[-1] in checks.memory(machine(facts, size=size), base_known=True).found
    assert len(set(said)) == 2


@given(gib=st.floats(1.5, 8.9))
def test_the_smaller_base_that_is_named_fits(gib):
    facts = GPU | {"free": int(gib * 2**30), "total": 24 * 2**30}
    found = checks.memory(machine(facts), base_known=True)
    assert found.status == "problem"
    number, unit = found.fix.removeprefix("--model with at most about ").split()[:2]
    share = float(number) * {"B": 1e9, "M": 1e6}[unit] / LLAMA_8B["parameters"]
    smaller = {name: int(value * share * 0.9) for name, value in LLAMA_8B.items()}
    assert checks.memory(machine(facts, size=smaller), base_known=True).status != "problem"


def test_main_memory_counts_on_a_cpu_and_full_precision_takes_more(monkeypatch):
    monkeypatch.setattr(checks, "main_memory", lambda: (16 * 2**30, 16 * 2**30))
    assert checks.memory(machine(), base_known=True).status == "warning"
    refused = checks.memory(machine(arithmetic={"refused": "no kernels"}), base_known=True)
    assert refused.status == "problem" and "in 16 bits" in refused.found
    assert checks.memory(machine(size=None), base_known=False).status == "warning"


def test_a_container_has_no_more_memory_than_its_limit(monkeypatch):
    import psutil

    real = Path.read_text
    limits = {"memory.max": "3000000000\n", "memory.current": "1000000000\n"}
    monkeypatch.setattr(Path, "read_text", lambda self, **k: limits.get(self.name) or real(self, **k))
    assert checks.main_memory() == (min(2_000_000_000, checks.main_memory()[0]), 3_000_000_000)
    limits["memory.max"] = "max\n"
    assert checks.main_memory()[1] == psutil.virtual_memory().total


def test_disks_that_are_too_small(fast, monkeypatch, tmp_path):
    from collections import namedtuple

    def free(gigabytes):
        usage = namedtuple("usage", "total used free")(0, 0, int(gigabytes * 1e9))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    free(100)
    assert checks.disk(machine(), 0).status == checks.disk(machine(), 16 * 10**9).status == "ok"
    free(10)
    fetched = checks.disk(machine(), 16 * 10**9)
    assert checks.disk(machine(), 0).status == "ok"
    assert fetched.status == "problem" and "16.0 GB needed" in fetched.found and "HF_HOME" in fetched.fix
    free(0.5)
    assert checks.disk(machine(size=None), 0).status == "warning"
    free(0.05)
    assert checks.disk(machine(size=None), 0).status == "problem"


def test_a_folder_that_cannot_be_written_to(fast, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = checks.disk(machine(), 0)
    assert found.status == "problem" and "cannot be written" in found.found and found.fix


def test_the_file_of_accelerate(fast, tmp_path):
    assert "none is needed" in checks.launch_file(machine()).found
    file = tmp_path / "accelerate" / "default_config.yaml"
    file.parent.mkdir()
    file.write_text("compute_environment: LOCAL_MACHINE\nuse_cpu: true\n")
    assert checks.launch_file(machine()).status == "ok"
    idle = checks.launch_file(machine(GPU))
    assert idle.status == "warning" and "idle" in idle.found and str(file) in idle.fix
    for trainer in ("DEEPSPEED", "'FSDP'"):
        file.write_text(f"compute_environment: LOCAL_MACHINE\ndistributed_type: {trainer}\n")
        refused = checks.launch_file(machine(GPU))
        assert refused.status == "problem" and trainer.strip("'") in refused.found and "--config_file" in refused.fix
    file.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\n")
    assert checks.launch_file(machine(GPU)).status == "ok"
    file.write_bytes(b"\0" * 9)
    assert doctor.finding("accelerate", lambda: checks.launch_file(machine())).status == "problem"
