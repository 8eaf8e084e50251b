"""The report of a run: what it says in words of which losses, its pictures, its hints, and that no text breaks it."""

import base64
import hashlib
import html
import math
import re
import time
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.charts import Curve, Mark, chart, noisy, thinned, tick
from finetune.hints import Usual, WorstRow, hints, worst_rows
from finetune.page import training_page
from finetune.picture import draw_losses
from finetune.report import History, Score, Scores
from finetune.told import Told
from finetune.validation import Worst
from finetune.verdict import verdict
from persona.conversation import Conversation, Message
from persona.formats.text import CONTROLS, printable

HOSTILE = [
    "<script>alert(1)</script>",
    "</style></title><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)' autofocus='",
    "abc \u202egnp.exe \u2066x",
    "\x1b[2J\x07\x00\r",
    "a | b `c` ${d} {e} %s\\",
    "\u2028\u2029\ufffe\uffff\x7f\x85",
    "&lt;b&gt; &#x3c;",
    "*" * 300,
]
VOID = {"meta", "br"}
TAGS = set(
    "html head title style body header h1 h2 h3 p ul ol li b aside nav a main section article div table thead tbody tr th "
    "td span figure figcaption code pre bdi dl dt dd svg text title".split()
)
SHAPES = {"rect", "line", "path", "circle"}
REPLIES = [f"I keep the lamp and the {n} bees, and I count them in the long night, friend." for n in range(40)]

numbers = st.floats(allow_nan=True, allow_infinity=True)
hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


@dataclass(frozen=True)
class Step:
    """The fields of `finetune.loop.Step`, whose import takes torch."""

    number: int
    epoch: int = 1
    loss: float = 2.0
    gradient_norm: float = 0.5
    learning_rate: float = 1e-3
    trained_tokens: int = 10
    logical_tokens: int = 50
    physical_tokens: int = 60
    seconds: float = 0.5
    ends_epoch: bool = False


def score(loss, tokens=1_000):
    return Score(0.0, 0, 0.0, 0) if loss is None else Score(loss * tokens, tokens, loss * tokens, 4 * tokens)


def run(real, *, made=None, per_epoch=10, trained=None, tokens=1_000, kept=None):
    """A history with held-out losses before training and after each epoch, and the mean training loss of each epoch."""
    made = made or [None] * len(real)
    epochs = len(real) - 1
    trained = trained or [3.0 / (n + 1) for n in range(epochs)]
    moments = [Scores(score(a, tokens), score(b, tokens)) for a, b in zip(real, made, strict=True)]
    history = History(moments[0])
    for number in range(1, per_epoch * epochs + 1):
        epoch = (number - 1) // per_epoch + 1
        history.steps.append(Step(number, epoch, trained[epoch - 1], ends_epoch=number % per_epoch == 0))
    for scores in moments[1:]:
        history.add_epoch(scores)
    history.best_epoch = kept or history.best_epoch
    return history


def told(history=None, **fields):
    plain = {"character": "Ada", "name": "ada", "base": "persona-nano", "command": "accelerate launch finetune ada"}
    return Told(**{**plain, "metrics": {}, "history": history or run([4.0, 3.5, 3.2]), **fields})


class Checked(HTMLParser):
    """Fails on a tag that is not the page's own, on one that is not closed, and on any attribute that acts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.numbers = [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS | VOID | SHAPES, tag
        for name, value in attributes:
            assert not name.startswith("on") and name not in ("style", "src"), (name, value)
            assert name != "href" or re.fullmatch(r"#[a-z]+|review\.tsv|metrics\.json|dataset/report\.html", value)
            if tag in SHAPES | {"text"} and name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "d", "width"):
                assert "nan" not in value and "inf" not in value
                self.numbers += map(float, re.findall(r"-?[\d.]+", value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in SHAPES
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            return
        assert not CONTROLS.search(data)
        self.text += data


def checked(given_told):
    """The page's text; its drawings stay within their frame."""
    read = Checked(training_page(given_told))
    assert all(0 <= number <= 1000 for number in read.numbers)
    return " ".join(read.text.split())


def part(text, anchor):
    found = re.search(rf'<section id="{anchor}">.*?</section>', text, re.DOTALL)
    return found[0] if found else ""


# The page ------------------------------------------------------------------------------------------------------------


@given(st.lists(hostile, min_size=5, max_size=5))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_breaks_the_page(texts):
    a, b, c, d, e = texts
    given_told = told(
        character=a,
        name=b,
        base=c,
        command=d,
        metrics={"settings": {e: a, b: {c: d}}, "rows": {"train": 3, a: 1}, "dtype": b, "finished": False},
        samples=[(a, b, c), (d, b, e)],
        worst=[WorstRow(a, 3.0, b, c), WorstRow(c, 2.0, d, e, is_real=False)],
        replies=[d, e],
        notes=[b, d],
    )
    read = Checked(training_page(given_told))
    for text in texts:
        assert printable(text) in read.text


@given(st.lists(numbers, min_size=8, max_size=8), st.lists(numbers, min_size=2, max_size=4), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_no_number_breaks_the_page(values, losses, count):
    steps = [
        Step(n, 1, values[n % 8], values[n % 7], values[n % 5], 10, 50, 60, values[n % 3], ends_epoch=n == count)
        for n in range(1, count + 1)
    ]
    history = History(Scores(score(losses[0]), score(values[0])), steps)
    for loss in losses[1:]:
        history.add_epoch(Scores(score(loss), score(None)))
    metrics = dict.fromkeys(("seconds", "tokens_per_second", "peak_memory_bytes", "learning_rate"), values[1])
    text = checked(told(history, metrics=metrics, memory=values, clip_norm=1.0))
    assert verdict(history).says and "nan" not in re.sub(r"learning rate\S+|nano", "", text)


def test_the_page_needs_nothing_and_allows_nothing():
    text = training_page(told())
    assert "http" not in text.replace("http-equiv", "") and "<script" not in text and "url(" not in text
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert text == training_page(told())


def test_a_run_of_which_little_is_known_has_a_page():
    assert "stopped before its end" in checked(told(History()))
    three = History(steps=[Step(n) for n in (1, 2, 3)])
    text = training_page(told(three))
    assert "step 3<" in part(text, "loss") and not part(text, "samples") and not part(text, "worst")
    nothing_held_out = run([None, None], per_epoch=3)
    assert "Nothing is held out" in checked(told(nothing_held_out))


def test_a_hundred_thousand_steps_are_a_small_page_soon():
    steps = [Step(n, loss=2 + math.sin(n), ends_epoch=n == 100_000) for n in range(1, 100_001)]
    steps[70_000] = replace(steps[70_000], loss=7.5)
    history = History(Scores(score(4.0), score(None)), steps)
    history.add_epoch(Scores(score(3.0), score(None)))
    began = time.process_time()
    text = training_page(told(history, memory=[2**30] * 100_000))
    assert time.process_time() - began < 5 and len(text) < 150_000
    assert "mean of 2,500 steps" in text and "step 100,000<" in text


def test_every_section_is_there_and_words_are_explained_with_the_runs_own_numbers():
    metrics = {"rows": {"train": 80}, "tokens_per_second": 2643.3, "peak_memory_bytes": 5 * 2**30, "seconds": 240.0}
    samples = [("before training", "Who?", "Hm."), ("epoch 1", "Who?", "Ada."), ("epoch 2", "Who?", "I am Ada.")]
    worst = [WorstRow("lines/3", 4.25, "Tom: Why?", "Because.")]
    page = training_page(told(metrics=metrics, samples=samples, worst=worst, memory=[2**30] * 20))
    assert re.findall(r'<section id="(\w+)"', page) == ["loss", "words", "samples", "worst", "course", "repeat"]
    words = Checked(part(page, "words")).text
    assert "about 8" in words and "80 of them in 10 steps" in words
    assert f"as unsure as among {math.exp(4.0):,.0f} equally likely ones" in words
    assert re.findall(r"<h3>(.*?)</h3>", part(page, "course")) == ["Learning rate", "Gradient norm", "Speed", "Memory"]
    figures = re.search(r'<ul class="figures">.*?</ul>', page)[0]
    assert re.findall(r"<b>(.*?)</b>", figures) == ["3.20", "2 of 2", "20", "4 min", "2,643", "5.0"]
    assert "<dt><bdi>epoch 2</bdi>, kept</dt><dd class=own><bdi>I am Ada.</bdi></dd>" in part(page, "samples")


def test_the_kept_epoch_is_marked_and_a_second_held_out_part_is_told():
    history = run([4.0, 3.5, 3.2, 3.4])
    history.before = replace(history.before, test=score(4.1))
    history.test_after = score(3.3)
    loss = part(training_page(told(history)), "loss")
    assert 'class="kept" x1="66.67%"' in loss and ">kept: epoch 2</text>" in loss
    assert "<b>2, kept</b>" in loss and "4.100 before training, 3.300 with the kept epoch" in loss


def test_many_epochs_and_many_answers_are_thinned_out_but_the_kept_one_stays():
    history = run([4.0, *(3.9 - 0.001 * n for n in range(200))], kept=77)
    samples = [(f"epoch {n}", "Who?", f"Answer {n}.") for n in range(1, 201)]
    page = training_page(told(history, samples=samples))
    assert "<b>77, kept</b>" in page and "epoch 77</bdi>, kept" in page
    assert part(page, "loss").count("<tr>") < 30 and part(page, "samples").count("<dt>") <= 9
    assert "<bdi>epoch 1<" in page and "<bdi>epoch 200<" in page and "more</p>" in part(page, "samples")


def test_an_unfinished_run_says_how_to_go_on_and_claims_no_verdict():
    over_fitted = run([4.0, 3.5, 3.2, 3.4, 3.9])
    text = checked(told(over_fitted, metrics={"finished": False, "planned_steps": 90}, command="accelerate x"))
    assert "stands at step 40 of 90; the same command goes on from there:accelerate x" in text
    assert "went from 4.00 before training to 3.20 after epoch 2. It stands" in text
    assert "holds the weights after epoch 2, the best one so far" in text
    assert "Over-fitting began" not in text and "learning by heart" not in text and "--epochs" not in text
    assert "goes on from there" not in checked(told(over_fitted, metrics={"finished": True}))


def test_a_run_stopped_in_its_first_epoch_shows_its_curves_and_that_there_is_no_adapter():
    begun = History(Scores(score(4.0), score(3.0)), [Step(n) for n in range(1, 24)])
    metrics = {"finished": False, "planned_steps": 75, "rows": {"train": 80}}
    page = training_page(told(begun, metrics=metrics, memory=[2**30] * 23, samples=[("before training", "Who?", "I.")]))
    text = " ".join(Checked(page).text.split())
    assert "nothing tells yet what it learned. It stands at step 23 of 75" in text
    assert "No adapter is written before an epoch has ended" in text and 'href="metrics.json"' not in page
    assert "step 23<" in part(page, "loss") and "<table>" not in part(page, "loss")
    assert "Memory" in part(page, "course") and part(page, "samples") and not part(page, "worst")


def test_the_losses_that_chose_the_epoch_are_in_the_table():
    loss = part(training_page(told(run([4.0, 3.0, 3.1], made=[4.0, 2.0, 1.8]))), "loss")
    assert re.findall(r"<td class=n>(?:<b>)?(\d\.\d+)", loss.split("2, kept")[1]) == [
        "1.500",
        "3.100",
        "1.800",
        "2.450",
    ]


def test_the_command_is_whole_and_settings_left_to_a_default_show_what_was_chosen():
    metrics = {"settings": {"epochs": None, "learning_rate": None, "seed": 7}, "learning_rate": 4e-3, "epochs": 2}
    repeat = part(training_page(told(metrics=metrics, command="accelerate launch finetune 'a b' --seed 7")), "repeat")
    text = Checked(repeat).text
    assert "accelerate launch finetune 'a b' --seed 7" in text and "learning rate0.004" in text and "seed7" in text


# The verdict ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "kind", "best"),
    [
        ([4.0], "stopped", 0),
        ([None, None], "nothing held out", 0),
        ([4.0, math.nan], "nothing held out", 0),
        ([4.0, 3.5], "still falling", 1),
        ([4.0, 3.5, 3.2], "still falling", 2),
        ([4.0, 3.5, 3.2, 3.3], "over-fitted", 2),
        ([4.0, 3.2, 3.3, 3.6], "over-fitted", 1),
        ([4.0, 3.5, 3.2, math.nan], "still falling", 2),
        ([4.0, 3.5, 3.2, 3.19], "levelled off", 3),
        ([4.0, 3.5, 3.2, 3.22], "levelled off", 2),
        ([4.0, 3.99, 4.2], "learned nothing", 1),
        ([4.0, 4.1], "learned nothing", 1),
        ([math.nan, 3.5, 3.2], "still falling", 2),
    ],
)
def test_what_losses_say(losses, kind, best):
    found = verdict(run(losses))
    assert (found.kind, found.best) == (kind, best)


def test_over_fitting_is_named_with_its_place_and_drawn():
    history = run([4.0, 3.5, 3.2, 3.4, 3.9])
    found = verdict(history)
    assert found.says.startswith("Over-fitting began after epoch 2:") and "3.20 there and rose to 3.90" in found.says
    assert "from 1.50 to 0.75" in found.advice and "--epochs 2" in found.advice
    page = training_page(told(history))
    assert '<rect class="shade" x="50.00%" width="50.00%"' in page and "learning by heart" in part(page, "loss")
    assert "learning by heart" not in training_page(told(run([4.0, 3.5, 3.2])))


def test_a_loss_that_rises_on_trained_rows_too_is_no_over_fitting():
    found = verdict(run([4.0, 3.2, 5.0], trained=[2.0, 6.0]))
    assert found.kind == "came apart" and "--learning-rate" in found.advice


def test_what_was_not_learned_is_told_from_what_was_learned_by_heart():
    assert "by heart" in verdict(run([4.0, 4.5, 5.0], trained=[3.0, 0.5])).advice
    assert "did not learn either" in verdict(run([4.0, 4.0, 4.0], trained=[3.0, 3.0])).advice


def test_few_held_out_tokens_say_nothing():
    found = verdict(run([4.0, 3.0], tokens=150))
    assert found.kind == "too few" and "150 tokens" in found.says


def test_where_no_real_line_is_held_out_the_verdict_says_what_it_rests_on():
    found = verdict(run([None, None, None], made=[4.0, 3.5, 3.0]))
    assert found.kind == "still falling" and "no real line is held out" in found.says


# Hints ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("I keep the lamp.", []),
        ("I keep the lamp, and then the", ["cut off?"]),
        ("and then I went up.", ["cut off?"]),
        (", friend.", ["cut off?"]),
        ("I went up;", ["cut off?"]),
        ("It is lit *smiles*", []),
        ("Собака лает на чужих.", ["another script?"]),
        ("Он said yes.", []),
        ("Ich weiß nicht, was es bedeuten soll, dass ich heute so traurig bin und schweige.", ["another language?"]),
        ("I keep the bees in the night, and I count them and the lamp, my long-lost friend.", []),
        ("I keep the lamp. " * 30, ["much longer than usual"]),
        ("Ada put the kettle on.", ["wrong speaker? it speaks of Ada"]),
        ("We asked Ada.", ["wrong speaker? it speaks of Ada"]),
        ("That is for Ada's bees.", ["wrong speaker? it speaks of Ada"]),
        ("Ada, is it lit?", ["wrong speaker? it speaks to Ada"]),
        ("Good night, Ada.", ["wrong speaker? it speaks to Ada"]),
        ("I am Ada, friend.", []),
        ("They call me Ada.", []),
        ("Ada is my name.", []),
        ("I am the keeper, Ada Marsh.", []),
        ("Ada Marsh, keeper.", []),
        ("*Ada puts the kettle on* Sit.", []),
        ("Adam went up.", []),
    ],
)
def test_hints(reply, expected):
    assert hints(reply, "Ada", Usual.of(REPLIES, "Ada")) == expected


def test_without_replies_only_what_is_plain_is_hinted_at():
    assert Usual.of(REPLIES[:19], "Ada") is None
    assert hints("no full stop", "Ada", None) == [] and hints("Собака лает на чужих.", "Ada", None) == []
    assert hints("and,", "Ada", None) == ["cut off?"]


def test_a_way_that_is_the_characters_own_is_no_hint():
    telling = Usual.of([f"Rose smiles at {n} bees" for n in range(40)], "Rose")
    assert telling.names_itself and not telling.ends
    assert hints("Rose smiles at them", "Rose", telling) == []
    small = Usual.of([f"i keep {n} bees." for n in range(40)], "Ada")
    assert hints("i keep them.", "Ada", small) == []


@given(hostile, hostile)
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_hinted_at(reply, character):
    assert all(isinstance(hint, str) for hint in hints(reply, character, Usual.of([reply] * 20, character)))


@pytest.mark.parametrize("text", ["*" * 100_000, "Ada " * 25_000, "Ada, " * 20_000, "a'" * 50_000, "А" * 100_000])
def test_hints_on_a_long_line_take_no_time(text):
    began = time.process_time()
    hints(text, "Ada", Usual.of([text] * 20, "Ada"))
    assert time.process_time() - began < 2


# The worst rows ------------------------------------------------------------------------------------------------------


def row(id, *turns, **fields):
    messages = [
        Message(("user", "assistant")[n % 2], said, "Tom" if n % 2 == 0 else None) for n, said in enumerate(turns)
    ]
    return Conversation(tuple(messages), "Ada", **{"id": id, **fields})


def test_the_worst_rows_are_shown_by_their_worst_reply_with_what_stood_before_without_copies():
    rows = [
        row("lines/1", "Why?", "No."),
        row("lines/2", "Who?", "I.", "Where?", "In  the\ntower.", "When?", "Now."),
        row("lore/1", "What?", "A lamp.", origin="lore"),
        row("lines/1~typos", "Wyh?", "No.", notes={"parent": "lines/1"}),
    ]
    losses = {
        "lines/1": Worst(2.0, "Something altered."),
        "lines/2": Worst(1.0, "I."),
        "lines/2+1": Worst(4.0, "In the tower."),
        "lore/1": Worst(3.0, "A lamp."),
        "lines/1~typos": Worst(9.0, "No."),
        "gone": Worst(8.0, "?"),
    }
    assert worst_rows(losses, rows) == [
        ("lines/2", 4.0, "Tom: Where?", "In  the\ntower.", True),
        ("lore/1", 3.0, "Tom: What?", "A lamp.", False),
        ("lines/1", 2.0, "Tom: Why?", "No.", True),
    ]
    many = [row(f"r{n}", "Why?", "No.") for n in range(30)]
    assert len(worst_rows({one.id: Worst(1.0, "No.") for one in many}, many)) == 10


def test_the_worst_rows_lead_to_the_review_and_back():
    worst = [
        WorstRow("lines/2", 4.0, "Tom: Where?", "And then Ada went"),
        WorstRow("lore/1", 3.0, "", "A lamp.", False),
    ]
    text = part(training_page(told(worst=worst, name="my ada", replies=REPLIES)), "worst")
    assert "<code>python -m data review &#x27;my ada&#x27;</code>" in text and 'href="review.tsv"' in text
    assert "persona build" in text and 'href="#repeat"' in text
    assert re.findall(r'class="hint"><bdi>(.*?)</bdi>', text) == ["cut off?", "wrong speaker? it speaks of Ada"]
    assert text.count("made from card and lore, not in the review") == 1 and "spread evenly" not in text
    text = part(training_page(told(worst=worst, looked_at=(2_000, 31_456))), "worst")
    assert "among 2,000 of 31,456 dialogues, spread evenly" in text


# Pictures ------------------------------------------------------------------------------------------------------------


def test_thinning_keeps_the_peaks_the_order_and_the_size():
    points = [(float(n), math.sin(n / 50)) for n in range(100_000)]
    points[54_321] = (54_321.0, 99.0)
    points[60_000] = (60_000.0, math.nan)
    thin = thinned(points, 800)
    assert len(thin) <= 800 and (54_321.0, 99.0) in thin and thin == sorted(thin) and set(thin) <= set(points)
    assert thinned(points[:700], 800) == points[:700]


def test_a_gap_is_a_gap_a_lonely_point_a_dot_and_both_are_counted():
    text = chart([Curve("", "mean", [(1, 1.0), (2, math.nan), (3, 2.0), (4, 2.0)])], title="T", unit="u")
    assert re.search(r'd="M250\.0 \d+\.\dh0M750\.0 \d+\.\dL1000\.0 \d+\.\d"', text)
    assert "1 step without a number." in text
    assert chart([Curve("", "mean", [(1, math.nan)])], title="T", unit="u") == ""


def test_an_outlier_does_not_flatten_the_curve_and_is_told():
    text = chart([Curve("", "mean", [*((n, 1.0) for n in range(50)), (50, 900.0)])], title="T", unit="")
    assert "1 step above the picture, the highest at 900." in text and "between 0 and 4" in text


def test_the_means_of_a_jumping_curve():
    assert [curve.css for curve in noisy("x", [(n, 1.0) for n in range(59)])] == ["mean"]
    each, means = noisy("x", [(n, n % 2) for n in range(80)])
    assert (each.label, means.label) == ("x, each step", "x, mean of 2 steps")
    assert means.points == [(n + 0.5, 0.5) for n in range(0, 80, 2)]


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_every_point_lies_between_round_numbers(low, high):
    text = chart([Curve("", "mean", [(1, low), (2, high)])], title="T", unit="")
    scale = [float(n.replace(",", "")) for n in re.findall(r'text-anchor="end">([^<s]+)</text>', text)]
    scale.sort()
    assert 2 <= len(scale) <= 8 and scale[0] == 0 and scale[-1] >= max(low, high) * 0.999
    assert max(low, high) == 0 or scale[-2] <= max(low, high) * 1.001


def test_marks_and_levels_are_where_they_belong():
    text = chart(
        [Curve("", "mean", [(0, 0.0), (10, 4.0)])], title="T", unit="", marks=[Mark(5), Mark(8, "here")], level=1
    )
    assert 'class="edge" x1="50.00%"' in text and 'class="kept" x1="80.00%"' in text
    assert 'class="cut" x2="100%" y1="75.00%" y2="75.00%"' in text and 'text-anchor="end">here</text>' in text


@pytest.mark.parametrize(
    ("value", "said"), [(0.0005, "0.0005"), (3.25, "3.25"), (12_000, "12,000"), (0.0, "0"), (2.5e12, "2.5e+12")]
)
def test_numbers_are_short(value, said):
    assert tick(value) == said


def test_a_name_with_dollars_is_no_formula_in_the_picture(tmp_path):
    for number, name in enumerate(("$_$", "Mr $\\foo$ Marsh", "あだ")):
        draw_losses(
            tmp_path / f"{number}.png",
            title=name,
            training=[3.0, 2.0],
            epoch_ends=[2],
            validation={"real lines": [3.0, 2.5]},
            kept_epoch=1,
        )
        assert (tmp_path / f"{number}.png").read_bytes()[1:4] == b"PNG"
