"""Pairs of texts that share most of their character 5-grams, found exactly and in time linear in the texts.

Two sets of Jaccard similarity t or more share one of the rarest 1 - t of their members (the prefix filter of Bayardo,
Ma and Srikant, 2007; its bound by position is of Xiao et al., 2008). So only texts that share a rare 5-gram are compared,
by bitmaps first and then by counting. For chat lines this is faster than MinHash, and nothing is left to chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHINGLE_CHARACTERS = 5

CROWD, PARTNERS = 100, 32
"""A text is compared with this many of those that share a rare 5-gram and come next in size, and paired with this many
later ones at most: the pairs of a crowd of near copies grow with its square, what connects it does not."""

_BLOCK_CHARACTERS = 1_000_000
_CANDIDATES, _COUNTED = 1_000_000, 2_000_000
_MOST_COUNT_BITS, _BITMAP_BITS = 22, 256
_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Pairs = tuple[Integers, Integers]
"""Two arrays (pairs,) of places, the smaller place on the left."""


@dataclass(frozen=True)
class _Shingles:
    """The sets of 5-grams of all texts, one after the other: text i has `hashes[starts[i]:starts[i + 1]]`."""

    hashes: NDArray[np.uint32]
    starts: Integers

    @property
    def sizes(self) -> Integers:
        """(texts,)"""
        return np.diff(self.starts)

    def blocks(self) -> Iterator[tuple[int, Hashes, Integers]]:
        """(number of the first text, hashes, number of the text within the block that each belongs to)."""
        first = 0
        while first < len(self.starts) - 1:
            end = int(np.searchsorted(self.starts, self.starts[first] + _BLOCK_CHARACTERS, "right")) - 1
            last = max(first + 1, end)
            hashes = self.hashes[self.starts[first] : self.starts[last]].astype(np.uint64)
            yield first, hashes, np.repeat(np.arange(last - first), self.sizes[first:last])
            first = last


@dataclass(frozen=True)
class _Prefixes:
    """The rarest 5-grams of every text, sorted by hash, then by the size of their text, then by text."""

    hashes: Hashes
    texts: Integers
    positions: Integers
    """How many rarer 5-grams the text has."""


def near_pairs(texts: Sequence[str], threshold: float) -> Pairs:
    """Pairs of distinct texts whose Jaccard similarity on 5-grams is `threshold` or more, above 0 and at most 1.

    Of fewer than five characters no two texts are near. See `CROWD`.
    """
    if len(texts) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    shingles = _shingles(texts)
    keys = _collected(_candidates(shingles, threshold), len(texts))
    left, right = (keys >> _HALF).astype(np.int64), (keys & _MASK).astype(np.int64)
    near = _shared(shingles, left, right) >= _needed(shingles.sizes[left] + shingles.sizes[right], threshold)
    return left[near], right[near]


def _shingles(texts: Sequence[str]) -> _Shingles:
    """The distinct 5-grams of every text, hashed to 32 bits; a shorter text is a single one."""
    hashes: list[NDArray[np.uint32]] = []
    sizes: list[Integers] = []
    block: list[str] = []
    characters = 0
    for number, text in enumerate(texts, 1):
        block.append(text.ljust(SHINGLE_CHARACTERS, "\0"))
        characters += len(block[-1])
        if characters >= _BLOCK_CHARACTERS or number == len(texts):
            keys = _block_keys(block)
            hashes.append((keys & _MASK).astype(np.uint32))
            sizes.append(np.bincount((keys >> _HALF).astype(np.int64), minlength=len(block)))
            block, characters = [], 0
    return _Shingles(np.concatenate(hashes), np.concatenate([[0], np.cumsum(np.concatenate(sizes))]))


def _block_keys(texts: Sequence[str]) -> Hashes:
    """Sorted distinct numbers: the place of a text in the upper half, the hash of a 5-gram in the lower."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    count = len(codes) - SHINGLE_CHARACTERS + 1
    mixed = np.zeros(count, np.uint64)
    for i in range(SHINGLE_CHARACTERS):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + codes[i : i + count]
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    whole = np.ones(count, dtype=bool)
    for i in range(1, SHINGLE_CHARACTERS):  # 5-grams that reach into the next text
        whole[np.cumsum(lengths)[:-1] - i] = False
    owners = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)[:count]
    return _distinct((owners[whole] << _HALF) | (mixed[whole] >> _HALF))


def _prefixes(shingles: _Shingles, threshold: float) -> _Prefixes:
    """Of a text of n 5-grams the n - ceil(threshold n) + 1 rarest."""
    buckets = np.uint64((1 << min(_MOST_COUNT_BITS, len(shingles.hashes).bit_length())) - 1)
    counts = np.zeros(int(buckets) + 1, np.int64)
    for _, hashes, _ in shingles.blocks():
        counts += np.bincount((hashes & buckets).astype(np.int64), minlength=len(counts))
    parts: list[tuple[Hashes, Integers, Integers]] = []
    for first, hashes, owners in shingles.blocks():
        rarity = np.minimum(counts[(hashes & buckets).astype(np.int64)], 0xFFF).astype(np.uint64)
        ordered = np.sort((owners.astype(np.uint64) << np.uint64(44)) | (rarity << _HALF) | hashes)
        texts = owners + first
        positions = np.arange(len(texts)) + shingles.starts[first] - shingles.starts[texts]
        sizes = shingles.sizes[texts]
        rare = positions <= sizes - np.ceil(threshold * sizes - 1e-9)
        parts.append((ordered[rare] & _MASK, texts[rare], positions[rare]))
    hashes, texts, positions = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort((hashes << _HALF) | shingles.sizes[texts].astype(np.uint64), kind="stable")
    return _Prefixes(hashes[order], texts[order], positions[order])


def _candidates(shingles: _Shingles, threshold: float) -> Iterator[Hashes]:
    """Pairs that may be near, as sorted distinct numbers: the smaller place in the upper half, the larger in the lower."""
    rare, bitmaps = _prefixes(shingles, threshold), _bitmaps(shingles)
    sizes = shingles.sizes[rare.texts]
    keys = (rare.hashes << _HALF) | sizes.astype(np.uint64)
    largest = np.floor(sizes / threshold + 1e-9).astype(np.uint64)
    following = np.searchsorted(keys, (rare.hashes << _HALF) | largest, "right") - np.arange(1, len(keys) + 1)
    following = np.minimum(following, CROWD)
    for begin, end in _chunks(following, _CANDIDATES):
        left, offset = _runs(following[begin:end])
        left += begin
        right = left + offset + 1
        needed = _needed(sizes[left] + sizes[right], threshold)
        rest = np.minimum(sizes[left] - rare.positions[left], sizes[right] - rare.positions[right])
        left, right, needed = (column[rest >= needed] for column in (left, right, needed))
        a, b = rare.texts[left], rare.texts[right]
        differing = np.bitwise_count(bitmaps[a] ^ bitmaps[b]).sum(axis=1, dtype=np.int64)
        near = differing <= sizes[left] + sizes[right] - 2 * needed
        lower, upper = np.minimum(a, b)[near].astype(np.uint64), np.maximum(a, b)[near].astype(np.uint64)
        yield _distinct((lower << _HALF) | upper)


def _collected(candidates: Iterator[Hashes], texts: int) -> Hashes:
    """All candidates, sorted, each once, and of no text more than `PARTNERS`."""
    keys, partners = np.empty(0, np.uint64), np.zeros(texts, np.int64)
    for found in candidates:
        places = np.searchsorted(keys, found)
        new = np.append(keys, _MASK << _HALF)[places] != found
        found, places = found[new], places[new]
        lower, counts = np.unique_counts((found >> _HALF).astype(np.int64))
        owner, rank = _runs(counts)
        room = rank < PARTNERS - partners[lower][owner]
        partners += np.bincount(lower[owner][room], minlength=texts)
        keys = np.insert(keys, places[room], found[room])
    return keys


def _bitmaps(shingles: _Shingles) -> Hashes:
    """(texts, 4): sets that differ in d members differ in at most d bits."""
    bitmaps = np.empty((len(shingles.sizes), _BITMAP_BITS // 64), np.uint64)
    for first, hashes, owners in shingles.blocks():
        bits = np.zeros((int(owners[-1]) + 1, _BITMAP_BITS), dtype=bool)
        bits[owners, (hashes % np.uint64(_BITMAP_BITS)).astype(np.int64)] = True
        bitmaps[first : first + len(bits)] = np.packbits(bits, axis=1).view(np.uint64)
    return bitmaps


def _shared(shingles: _Shingles, left: Integers, right: Integers) -> Integers:
    """(pairs,): how many 5-grams both texts of a pair have."""
    sizes, shared = shingles.sizes, np.zeros(len(left), np.int64)
    for begin, end in _chunks(sizes[left] + sizes[right], _COUNTED):
        parts = []
        for texts in (left[begin:end], right[begin:end]):
            pair, offset = _runs(sizes[texts])
            hashes = shingles.hashes[shingles.starts[texts][pair] + offset].astype(np.uint64)
            parts.append((pair.astype(np.uint64) << _HALF) | hashes)
        both = np.sort(np.concatenate(parts))
        twice = both[1:][both[1:] == both[:-1]] >> _HALF
        shared[begin:end] = np.bincount(twice.astype(np.int64), minlength=end - begin)
    return shared


def _distinct(values: Hashes) -> Hashes:
    """Sorted, each once: `np.unique` hashes first, which takes ten times as long here."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]]


def _needed(sizes: Integers, threshold: float) -> Integers:
    """How many members two sets must share, given their sizes together."""
    return np.ceil(threshold / (1 + threshold) * sizes - 1e-9).astype(np.int64)


def _runs(lengths: Integers) -> tuple[Integers, Integers]:
    """For lengths 2, 3: the runs 0 0 1 1 1, and the places within them 0 1 0 1 2."""
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner]


def _chunks(weights: Integers, limit: int) -> Iterator[tuple[int, int]]:
    """Ranges (begin, end) of neighbours that weigh at most `limit` together, or are one."""
    total, begin = np.cumsum(weights), 0
    while begin < len(weights):
        done = int(total[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, done + limit, "right")))
        yield begin, end
        begin = end
