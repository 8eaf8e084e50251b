"""The look at a dataset: a page that no stranger's text can break, one terminal screen, its card, and its upload."""

import base64
import hashlib
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import huggingface_hub
import pytest
import yaml
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import filter_repo_objects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from data import hub, lengths
from data.dataset_card import dataset_card
from data.hub import push_to_hub
from data.lengths import marked
from data.look import Look, headline
from data.page import page
from data.page_screen import one_screen
from persona.base import Base
from persona.card import CharacterCard
from persona.conversation import Conversation, Message
from persona.errors import PersonaError
from persona.formats.text import CONTROLS, printable
from persona.prompt import encode

BASE = Base.resolve()
MIRA = CharacterCard(name="Mira", description="Mira tends a walled garden.")
HOSTILE = [
    "<script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)' autofocus='",
    "abc \u202egnp.exe \u2066x",
    "\x1b[2J\x07\x00\r",
    "---\nlicense: mit\n---\n- x: [",
    "a | b `c` ${d} {e} %s\\",
    "\u2028\u2029\ufffe\uffff\x7f\x85",
    "&lt;b&gt; &#x3c;",
]
VOID = {"meta", "br", "hr"}
TAGS = set(
    "html head title style body header h1 h2 h3 p ul ol li b aside nav a main section article div table thead tbody tr "
    "th td span svg rect line figure details summary code pre bdi ins".split()
)

hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


def row(reply="I water it at dusk.", question="Who waters the garden?", origin="real", **fields):
    messages = (Message("user", question, fields.pop("asks", None)), Message("assistant", reply))
    return Conversation(messages, "Mira", **{"id": reply, "origin": origin, "source": "lines", "scene": "1", **fields})


def look(**fields):
    plain = {
        "character": MIRA,
        "rows": {"train": [row()], "validation": [], "test": []},
        "dropped": [],
        "steps": [("read", 3), ("kept", 1)],
        "speakers": [("Mira", 1), ("Tom", 1)],
        "sources": [{"name": "lines.md", "kind": "script", "licence": "MIT", "sha256": "ab" * 32, "lines": "2"}],
        "quarantined": [],
        "silent_entries": [],
        "entries": [],
        "personal": {},
        "near_duplicates": [],
        "leakage": {},
        "notes": [],
    }
    return Look(**{**plain, **fields})


class Checked(HTMLParser):
    """Fails on a tag that is not the page's own, on one that is not closed, and on any attribute that acts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.text = [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS | VOID, tag
        for name, value in attributes:
            assert not name.startswith("on") and name not in ("style", "src"), (name, value)
            assert name != "href" or re.fullmatch(r"#[a-z]+", value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in {"rect", "line"}
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        assert not CONTROLS.search(data)
        self.text += data


def printed(renderable, width=80):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(renderable)
    return out.getvalue()


def hostile_look(texts):
    """A look with a stranger's text in every place that takes one."""
    a, b, c, d = texts
    rows = [row(reply=a or "Hm.", question=b, asks=c[:20], source=d, scene=a, id=b, notes={"entry": c, d: a})]
    return look(
        character=MIRA.model_copy(update={"name": a, "description": b}),
        rows={"train": rows, "validation": rows, "test": []},
        dropped=[(rows[0], c), (rows[0], d)],
        steps=[(a, 3), (b, 0)],
        speakers=[(b, 4)],
        sources=[dict.fromkeys(("name", "kind", "licence", "sha256", "lines", "language"), c)],
        quarantined=[(a, b, c)],
        silent_entries=[d],
        entries=[a, d, c],
        personal={b: 2},
        near_duplicates=[(c, d)],
        leakage={a: 1},
        notes=[b, d],
    )


@given(st.lists(hostile, min_size=4, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_breaks_the_page_the_screen_or_the_card(texts):
    given_look = hostile_look(texts)
    read = Checked(page(given_look))
    for text in texts:
        assert printable(text) in read.text
    screen = printed(one_screen(given_look, "mira"))
    assert not CONTROLS.search(screen) and screen.count("\n") <= 23
    front, body = re.fullmatch(r"---\n(.*?\n)---\n(.*)", dataset_card(given_look), re.DOTALL).groups()
    fields = yaml.safe_load(front)
    assert fields["pretty_name"] == f"Dialogues of {printable(texts[0])}"
    assert fields["license"] in ("unknown", "other")
    assert fields["configs"][0]["data_files"] == [{"split": s, "path": f"{s}.jsonl"} for s in ("train", "validation")]
    assert not re.search(r"(?<!\\)<(?!/?(?:bdi)\b)[a-z!/]", re.sub(r"`[^`\n]*`", "", body))


def test_surrogates_in_what_was_not_read_do_not_stop_the_page():
    text = page(look(quarantined=[("chat.jsonl", "line 3", "a lone \ud800")], dropped=[(row(), "why \udfff")]))
    assert "a lone \\ud800" in text and text.encode()


def test_the_page_needs_nothing_and_allows_nothing():
    text = page(look())
    assert "http" not in text.replace("http-equiv", "") and "<script" not in text and "url(" not in text
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert text == page(look())


def test_every_reason_has_its_count_and_at_most_three_examples():
    dropped = [(row(f"Reply {n}."), "too long") for n in range(10)] + [(row("Hm?"), "duplicate")]
    text = page(look(dropped=dropped))
    part = text[text.index('id="dropped"') : text.index('id="lengths"')]
    assert part.index("<b>10</b>") < part.index("<b>1</b>")
    assert [f"Reply {n}." in part for n in range(10)].count(True) == 3


def test_headline_counts_are_those_of_the_rows():
    rows = {"train": [row(), row("Yes.", origin="identity")], "validation": [row("No.")], "test": []}
    said = headline(look(rows=rows, dropped=[(row(), "duplicate")]))
    assert said == (
        "2 dialogues with 2 replies of Mira to train on, 50% of them the character's own lines, made from 1 source; "
        "1 dialogue held out to test with, 1 dialogue left out."
    )


def test_samples_are_of_every_kind_and_the_same_each_time():
    kinds = ["real"] * 40 + ["lore"] * 20 + ["identity"] * 3 + ["greeting"]
    rows = [row(f"Reply {n}.", origin=kind) for n, kind in enumerate(kinds)]
    given_look = look(rows={"train": rows, "validation": [row("Held out.")], "test": []})
    samples = given_look.samples()
    assert len(samples) == 12 == len({r.id for r in samples}) and {r.origin for r in samples} == set(kinds)
    assert samples == given_look.samples() and "Held out." not in [r.id for r in samples]


def test_lore_coverage_names_the_silent_entries():
    rows = {"train": [row(origin="lore", source="lore", scene="the wall", notes={"entry": "the wall"})]}
    given_look = look(rows=rows, entries=["the wall", "the well"], silent_entries=["the well"])
    assert given_look.coverage == {"the wall": 1, "the well": 0}
    text = Checked(page(given_look)).text
    assert "1 of 2 entries have rows" in text and "No row was made of 1 entry" in text and "the well" in text
    assert "the well" in printed(one_screen(given_look, "mira"))


def test_an_empty_dataset_can_be_looked_at():
    nothing = look(rows={"train": [], "validation": [], "test": []}, sources=[], steps=[], speakers=[])
    Checked(page(nothing))
    assert "no row to measure" in printed(one_screen(nothing, "mira"))
    assert "configs" not in yaml.safe_load(dataset_card(nothing).split("---\n")[1])


def test_the_screen_says_what_to_do_next():
    few = printed(one_screen(look(silent_entries=["the well"], entries=["the well"]), "mira"))
    assert "write more dialogue: 1 real reply" in few and "persona train mira" in few
    enough = look(rows={"train": [row(f"Reply {n}.") for n in range(20)]})
    assert "write more" not in printed(one_screen(enough, "mira"))


def test_a_full_screen_leaves_a_line_for_the_prompt():
    kinds = ["real", "greeting", "example", "lore", "identity", "unknown", "smalltalk", "telling", "teacher"]
    rows = [row(f"Reply {kind}.", origin=kind) for kind in kinds]
    full = look(
        rows={"train": rows, "validation": rows, "test": rows},
        dropped=[(row(), f"reason {n} " * 20) for n in range(9)],
        silent_entries=["the well"] * 50,
        entries=["the well"] * 50,
        quarantined=[("chat.jsonl", "line 1", "x" * 300)] * 9,
        personal=dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 3),
        leakage={"replies in two splits": 3},
        notes=["A long note. " * 20] * 9,
    )
    lines = printed(one_screen(full, "mira")).splitlines()
    assert len(lines) <= 23 and max(map(len, lines)) <= 80


# Lengths and marks ---------------------------------------------------------------------------------------------------


def test_pieces_are_the_text_that_the_model_reads_and_what_is_trained_is_the_replies():
    turns = [("user", "Wer bist du? 🌱"), ("assistant", "Mira. 🌻🏴‍☠️ Ünd du?"), ("user", "Tom."), ("assistant", "Gut.")]
    talk = Conversation(tuple(Message(*turn) for turn in turns), "Mira", id="x")
    template = BASE.template()
    (pieces,) = marked(talk, MIRA, BASE)
    (example,) = encode(talk, MIRA, template)
    assert "".join(p.text for p in pieces) == template.tokenizer.decode(example.ids, skip_special_tokens=False)
    said = "".join(p.text for p in pieces if p.trained)
    assert said == "Mira. 🌻🏴‍☠️ Ünd du?<|end|>Gut.<|end|>"
    assert not any("\ufffd" in p.text for p in pieces)


def test_lengths_are_those_of_training_and_a_sample_says_so(monkeypatch):
    rows = [row(f"I water it {'and water it ' * n}at dusk.") for n in range(30)]
    template = BASE.template()
    exact = [len(encode(r, MIRA, template)[0].ids) for r in rows]
    measured = lengths.lengths(rows, MIRA, BASE)
    assert list(measured.tokens) == exact and not measured.altered
    assert (measured.quantile(0), measured.quantile(0.5), measured.quantile(1)) == (exact[0], exact[15], exact[-1])
    monkeypatch.setattr(lengths, "MOST_MEASURED", 10)
    part = lengths.lengths(rows, MIRA, BASE)
    assert len(part.tokens) == 10 and part.rows == 30 and set(part.tokens) <= set(exact)
    assert "a sample of 10 of 30 rows" in page(look(rows={"train": rows}))


def test_what_does_not_fit_is_beyond_the_cut_line():
    turns = [Message("user" if n % 2 == 0 else "assistant", f"Turn {n}. " * 60) for n in range(20)]
    long = Conversation(tuple(turns), "Mira", id="long")
    endless = row("word " * 5_000)
    measured = lengths.lengths([row(), long, endless], MIRA, BASE)
    assert measured.beyond == measured.altered == 2 and measured.notes
    text = Checked(page(look(rows={"train": [long, endless]}))).text
    assert "2 rows beyond it" in text and "No reply fits the context." in text


# The card ------------------------------------------------------------------------------------------------------------


def test_the_card_says_what_the_hub_asks_and_what_people_ask():
    text = dataset_card(look(dropped=[(row(), "too long")], personal={"e-mail": 2}))
    fields = yaml.safe_load(text.split("---\n")[1])
    assert fields["license"] == "mit" and fields["task_categories"] == ["text-generation"]
    assert fields["size_categories"] == ["n<1K"] and "language" not in fields
    for said in ("fictional character", "agreed", "Discord are never in it", "`lines.md`", "ab" * 32, "e-mail: 2"):
        assert said in text, said


@pytest.mark.parametrize(
    ("licences", "said"),
    [(["mit", "MIT"], "mit"), (["mit", ""], "unknown"), (["mit", "cc-by-4.0"], "other"), (["Mine: all"], "other")],
)
def test_licences_are_never_made_up(licences, said):
    sources = [{"name": "a", "licence": licence} for licence in licences]
    assert yaml.safe_load(dataset_card(look(sources=sources)).split("---\n")[1])["license"] == said


def test_the_language_of_rows_that_rules_wrote_is_english():
    german = [{"name": "a", "language": "de"}, {"name": "b", "language": "x: [y"}]
    rows = {"train": [row(), row("I am Mira.", origin="identity")]}
    assert yaml.safe_load(dataset_card(look(sources=german, rows=rows)).split("---\n")[1])["language"] == ["de", "en"]


# The Hub -------------------------------------------------------------------------------------------------------------


class Address(str):
    repo_id = "tom/mira"


class FakeApi:
    """Records what would be uploaded; `private` is what the repository is, `error` what the Hub answers."""

    private, error = True, None
    calls = ()

    def create_repo(self, repo, **options):
        if self.error:
            raise self.error
        FakeApi.calls = [("create", repo, options)]
        return Address("https://hub/datasets/tom/mira")

    def dataset_info(self, repo):
        return SimpleNamespace(private=self.private)

    def upload_folder(self, **options):
        FakeApi.calls.append(("upload", options.pop("repo_id"), options))


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A finished dataset folder, and a Hub that is not there."""
    for name in ("train.jsonl", "test.jsonl", "README.md", "report.json", "report.html", "rendered/train.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    monkeypatch.setattr(FakeApi, "calls", [])
    return tmp_path


def test_rows_and_card_are_uploaded_and_nothing_else(dataset):
    assert push_to_hub(dataset, "mira") == "https://hub/datasets/tom/mira"
    (_, repo, made), (_, target, sent) = FakeApi.calls
    assert repo == "mira" and target == "tom/mira"
    assert made == {"repo_type": "dataset", "private": True, "exist_ok": True}
    files = [f.relative_to(dataset).as_posix() for f in dataset.rglob("*") if f.is_file()]
    allowed = filter_repo_objects(files, allow_patterns=sent["allow_patterns"])
    assert sorted(allowed) == ["README.md", "test.jsonl", "train.jsonl"]


def test_private_rows_do_not_go_to_a_public_place(dataset, monkeypatch):
    monkeypatch.setattr(FakeApi, "private", False)
    with pytest.raises(PersonaError, match="is public"):
        push_to_hub(dataset, "tom/mira")
    assert [call[0] for call in FakeApi.calls] == ["create"]
    push_to_hub(dataset, "tom/mira", private=False)
    assert [call[0] for call in FakeApi.calls] == ["create", "upload"]


def answer(status):
    import httpx2

    request = httpx2.Request("POST", "https://hub/api", headers={"authorization": "Bearer hf_secret"})
    return HfHubHTTPError(f"{status} with hf_secret", response=httpx2.Response(status, request=request))


def no_network():
    import httpx2

    return httpx2.ConnectError("hf_secret: name or service not known")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: answer(403), "does not let this token write"),
        (lambda: answer(401), "does not let this token write"),
        (lambda: answer(500), r"refused the upload to 'tom/mira' \(status 500\)"),
        (no_network, "cannot be reached"),
        (lambda: OfflineModeIsEnabled("offline, hf_secret"), "cannot be reached"),
        (lambda: HFValidationError("hf_secret"), "is no name for a dataset"),
        (lambda: ValueError("Invalid metadata hf_secret"), "does not accept the dataset card"),
    ],
)
def test_what_goes_wrong_is_said_in_plain_words_without_the_token(dataset, monkeypatch, error, said):
    monkeypatch.setattr(FakeApi, "error", error())
    with pytest.raises(PersonaError, match=said) as raised:
        push_to_hub(dataset, "tom/mira")
    assert raised.value.fix and "hf_secret" not in str(raised.value)


def test_without_a_token_or_a_card_nothing_is_asked(dataset, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(PersonaError, match="no token"):
        push_to_hub(dataset, "tom/mira")
    (dataset / hub.CARD_FILE).unlink()
    with pytest.raises(PersonaError, match=r"no README\.md to upload"):
        push_to_hub(dataset, "tom/mira")
    assert not FakeApi.calls


def test_two_looks_share_no_lengths():
    one = look()
    assert one.lengths.rows == 1 and replace(one, rows={"train": []}).lengths.rows == 0
