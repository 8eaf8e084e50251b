"""Tokens per second of the local engine against transformers' own `generate`: same base, same prompt, same run."""

import statistics
import threading
import time

import torch

from persona.base import Base
from persona.conversation import Message
from persona.engines.local import LocalEngine
from persona.generation import GenerationSettings
from persona.prompt import Prompt, compose

TOKENS, ROUNDS = 64, 7


def main():
    base = Base.resolve()
    engine = LocalEngine(base)
    made, _ = compose([Message("user", "Tell me a long story about the sea. " * 10)], None, base.template())
    prompt = Prompt(made.ids, made.messages, None, ())  # no stop id: both say exactly TOKENS tokens
    settings = GenerationSettings(max_new_tokens=TOKENS, temperature=0)

    def ours():
        assert list(engine.stream(prompt, settings, threading.Event()))[-1].tokens == TOKENS

    def peer():
        ids = torch.tensor([prompt.ids])
        said = engine.model.generate(
            ids, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, repetition_penalty=1.0
        )
        assert said.shape[1] == len(prompt.ids) + TOKENS

    speeds = {"ours": [], "generate": []}
    for round_number in range(ROUNDS + 1):
        for name, work in (("ours", ours), ("generate", peer)):
            began = time.perf_counter()
            work()
            if round_number:  # the first round warms up
                speeds[name].append(TOKENS / (time.perf_counter() - began))
    ratio = statistics.median(a / b for a, b in zip(speeds["ours"], speeds["generate"], strict=True))
    for name, values in speeds.items():
        print(f"{name:9} {statistics.median(values):7.1f} tokens/s   {min(values):.1f} to {max(values):.1f}")
    print(f"ours / generate = {ratio:.2f} ({len(prompt.ids)} tokens of prompt, {torch.get_num_threads()} threads)")


if __name__ == "__main__":
    main()
