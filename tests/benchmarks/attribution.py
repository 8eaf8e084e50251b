"""Quotation finding and speaker attribution: right how often on LitBank's passages, how fast and in how much memory.

A speaker is right who shares a name, not a title, with the annotation's. The passages have one tokenised sentence a line;
the novels for speed are plain text. Both lie in ../shared; without them there is nothing to measure.
"""

import re
import resource
import time
from collections import Counter
from pathlib import Path

from data.novel.attribution import TRAINED_CONFIDENCE, attribute
from data.novel.words import TITLES

SHARED = Path(__file__).parents[3] / "shared"
PASSAGES = SHARED / "fixtures" / "attribution"
NOVELS = SHARED / "corpora" / "novels.parquet"
NO_NAME = (TITLES - {"old", "young"}) | set("the a an of my his her our their one this that".split())
CHARACTERS, MEGABYTE = 8_000_000, 1_000_000


def passages(folder):
    """(text, [(start, end, speaker)]) for each passage; offsets from the annotation's sentences and tokens."""
    for file in sorted(folder.glob("*.ann")):
        text = file.with_suffix(".txt").read_bytes().decode()
        places, start = [], 0
        for line in text.split("\n"):
            places.append([(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", line)])
            start += len(line) + 1
        rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        speakers = {row[1]: row[2] for row in rows if row[0] == "ATTRIB"}
        quotes = [
            (places[int(row[2])][int(row[3])][0], places[int(row[4])][int(row[5])][1], speakers[row[1]])
            for row in rows
            if row[0] == "QUOTE"
        ]
        yield text, quotes


def names(label):
    words = {word for word in re.split(r"[^a-z0-9]+", re.sub(r"-\d+$", "", label).lower()) if word}
    return words - NO_NAME or words


def core(text, start, end):
    """A span without marks and spaces around it."""
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end


def judge(folder):
    """(confidence, trained, rule, right) for each annotated quotation, (0, False, "missed", False) for those not found; and
    how many were found that are speech, and how many of those are annotated."""
    judged, found, matched = [], 0, 0
    for text, quotes in passages(folder):
        made = {core(text, quote.start, quote.end): quote for quote in attribute(text)}
        annotated = {core(text, start, end): speaker for start, end, speaker in quotes}
        speech = {span for span, quote in made.items() if quote.rule != "not speech"}
        found += len(speech)
        matched += len(speech & annotated.keys())
        for span, speaker in annotated.items():
            quote = made.get(span)
            if quote is None:
                judged.append((0.0, False, "missed", False))
                continue
            right = bool(quote.speaker) and not names(quote.speaker).isdisjoint(names(speaker))
            judged.append((quote.confidence, quote.trained, quote.rule, right))
    return judged, found, matched


def tier(judged):
    """Precision of the quotations that are trained by default, and their share of all."""
    trained = [right for _, is_trained, _, right in judged if is_trained]
    return sum(trained) / max(len(trained), 1), len(trained) / len(judged)


def show_passages():
    judged, found, matched = judge(PASSAGES)
    hit = sum(rule != "missed" for _, _, rule, _ in judged)
    print(f"quotations found: precision {matched / found:.3f}, recall {hit / len(judged):.3f} of {len(judged)}")
    print(f"attribution accuracy over all quotations: {sum(right for *_, right in judged) / len(judged):.3f}")
    print("confidence at least   precision   share of all quotations")
    for least in sorted({confidence for confidence, *_ in judged if confidence}, reverse=True):
        kept = [right for confidence, _, _, right in judged if confidence >= least]
        print(f"{least:19.2f} {sum(kept) / len(kept):11.3f} {len(kept) / len(judged):14.3f}")
    rules, right_by_rule = (
        Counter(rule for _, _, rule, _ in judged),
        Counter(rule for *_, rule, right in judged if right),
    )
    print("rule: " + ", ".join(f"{rule} {right_by_rule[rule]}/{count}" for rule, count in rules.most_common()))
    precision, share = tier(judged)
    print(f"trained by default (from {TRAINED_CONFIDENCE}): precision {precision:.3f} at {share:.1%} of all quotations")


def seconds(text):
    began = time.process_time()
    count = len(attribute(text))
    return time.process_time() - began, count


def show_speed():
    import pyarrow.parquet as pq

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    texts, size = [], 0
    for batch in pq.ParquetFile(NOVELS).iter_batches(4, columns=["text"]):
        texts += [text for text in batch.to_pylist() for text in text.values()]
        size = sum(map(len, texts))
        if size > CHARACTERS:
            break
    taken = [seconds(text) for text in texts]
    spent = sum(s for s, _ in taken)
    size_bytes = sum(len(text.encode()) for text in texts)
    print(
        f"{len(texts)} novels, {size_bytes / MEGABYTE:.1f} MB, {sum(n for _, n in taken):,} quotations: "
        f"{size_bytes / MEGABYTE / spent:.2f} MB/s of one core"
    )
    one = "\n\n".join(texts)[: CHARACTERS // 4]
    pairs = [(seconds(one)[0], seconds(one + "\n\n" + one)[0]) for _ in range(3)]  # side by side: the machine is shared
    ratio = min(twice for _, twice in pairs) / min(once for once, _ in pairs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"twice the text takes {ratio:.2f} times as long; peak memory {peak / 1024:.0f} MiB, {before / 1024:.0f} before"
    )


def main():
    if PASSAGES.is_dir():
        show_passages()
    else:
        print("No annotated passages: ../shared/fixtures/attribution is absent.")
    if NOVELS.is_file():
        show_speed()
    else:
        print("No novels: ../shared/corpora/novels.parquet is absent.")


if __name__ == "__main__":
    main()
