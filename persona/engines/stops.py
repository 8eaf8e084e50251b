"""Stop strings in a stream: what may be the beginning of one is held back until it is known."""


class StopStrings:
    """Feed text with `push`; what comes out is safe to show. `met` says that a stop string was reached."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self._strings = strings
        self._held = ""
        self.met = False

    def push(self, text: str) -> str:
        """Text that can be shown now: up to the first stop string, or up to what could become one."""
        held = self._held + text
        ends = [place for place in (held.find(string) for string in self._strings) if place >= 0]
        if ends:
            self.met, self._held = True, ""
            return held[: min(ends)]
        keep = max((_overlap(held, string) for string in self._strings), default=0)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def rest(self) -> str:
        """What was held back for nothing, once the stream is over."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, string: str) -> int:
    """Length of the longest end of `text` that begins `string`."""
    return next((n for n in range(min(len(text), len(string) - 1), 0, -1) if text.endswith(string[:n])), 0)
