"""100,000 chat turns through all filters and near-duplicate search, against the same job with datasketch, in one run.

The turns are of ../shared/corpora/dialogues.parquet; every tenth is followed by a copy with a typo or one more word. What
is near is known exactly for the first texts: by a product of sparse matrices, which has nothing of either search.
"""

import random
import resource
import time
from pathlib import Path

from data.filters import normalised, sift
from data.near import THRESHOLD, near_duplicates
from data.shingles import SHINGLE_CHARACTERS
from persona.conversation import Conversation, Message

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "dialogues.parquet"
TURNS, SAMPLE, WORDS = 100_000, 12_000, ("really", "well", "today", "again", "maybe")


def turns():
    import pyarrow.parquet as pq

    rng = random.Random(0)
    made = []
    for batch in pq.ParquetFile(CORPUS).iter_batches(256, columns=["turns"]):
        for conversation in batch.to_pylist():
            for turn in conversation["turns"]:
                made.append(turn["text"])
                if len(made) % 10 == 0 and len(turn["text"]) > 5:
                    made.append(copy(turn["text"], rng))
    return made[:TURNS]


def copy(text, rng):
    if rng.random() < 0.5:
        i = rng.randrange(len(text) - 1)
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    words = text.split()
    words.insert(rng.randrange(len(words) + 1), rng.choice(WORDS))
    return " ".join(words)


def shingles(text):
    return {text[i : i + SHINGLE_CHARACTERS] for i in range(len(text) - SHINGLE_CHARACTERS + 1)} or {text}


def ours(texts):
    return near_duplicates(texts)


def peer(texts):
    """One MinHash per distinct text, asked for its neighbours before it is inserted; these are counted exactly."""
    from datasketch import MinHash, MinHashLSH

    first = {}
    pairs = [(first[text], i) for i, text in enumerate(map(normalised, texts)) if first.setdefault(text, i) != i]
    sets = {i: shingles(text) for text, i in first.items()}
    index = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    encoded = ([s.encode() for s in each] for each in sets.values())
    for i, minhash in zip(sets, MinHash.generator(encoded, num_perm=128), strict=True):
        for j in index.query(minhash):
            if len(sets[i] & sets[j]) >= THRESHOLD * len(sets[i] | sets[j]):
                pairs.append((j, i))
        index.insert(i, minhash)
    return pairs


def near_in(texts):
    """All near pairs of distinct texts, exactly."""
    import numpy as np
    from scipy.sparse import csr_matrix

    sets = [shingles(text) for text in texts]
    number = {s: i for i, s in enumerate(sorted(set().union(*sets)))}
    columns = np.array([number[s] for each in sets for s in each])
    sizes = np.array([len(each) for each in sets])
    table = csr_matrix((np.ones(len(columns), np.int32), columns, np.r_[0, sizes.cumsum()]))
    found = set()
    for begin in range(0, len(texts), 250):
        shared = (table[begin : begin + 250] @ table.T).tocoo()
        left, right = shared.row + begin, shared.col
        near = (left < right) & (shared.data >= THRESHOLD * (sizes[left] + sizes[right] - shared.data))
        found |= set(zip(left[near].tolist(), right[near].tolist(), strict=True))
    return found


def quality(pairs, texts):
    """(recall, precision, near pairs) over the distinct ones of the first texts."""
    place = {text: i for i, text in enumerate(dict.fromkeys(map(normalised, texts[:SAMPLE])))}
    true = near_in(list(place))
    names = ((normalised(texts[i]), normalised(texts[j])) for i, j in pairs)
    found = {tuple(sorted((place[a], place[b]))) for a, b in names if a != b and a in place and b in place}
    return len(found & true) / len(true), len(found & true) / len(found), len(true)


def main():
    if not CORPUS.exists():
        print(f"skipped: there is no {CORPUS.name}")
        return
    texts = turns()
    rows = [
        Conversation((Message("user", asked), Message("assistant", said)), "Ada", id=str(i))
        for i, (asked, said) in enumerate(zip(texts[::2], texts[1::2], strict=True))
    ]
    began = time.process_time()
    kept, _ = sift(rows)
    filters = time.process_time() - began
    print(f"filters    {filters:6.1f} s   {len(texts):,} turns in {len(rows):,} rows, {len(kept):,} kept")
    seconds = {}
    for name, search in (("ours", ours), ("datasketch", peer)):
        began = time.process_time()
        pairs = search(texts)
        seconds[name] = time.process_time() - began
        recall, precision, true = quality(pairs, texts)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            f"{name:10} {seconds[name]:6.1f} s   {len(pairs):,} pairs, recall {recall:.4f}, precision {precision:.4f} "
            f"of {true:,} near pairs known; peak {peak:,.0f} MB"
        )
    print(f"datasketch / ours = {seconds['datasketch'] / seconds['ours']:.1f} without the filters, ", end="")
    print(f"{(seconds['datasketch'] + filters) / (seconds['ours'] + filters):.1f} with them (processor time)")


if __name__ == "__main__":
    main()
