"""Tokens per second of a pretraining step against the same step as transformers writes it: same weights, same run.

Forward, backward and optimizers on 8,192 tokens. The peer's loss is the model's own, its attention torch's own kernel,
its memory glibc's default. Both run eagerly, and in processes of their own, because memory that is kept stays kept.
"""

import statistics
import subprocess
import sys
import time

import torch

from finetune.pretrain.memory import keep_memory
from finetune.pretrain.mixture import SEQUENCE, TOKENS_A_STEP
from finetune.pretrain.model import mean_loss, new_model
from finetune.pretrain.training import optimizers

ROUNDS = 4


def step(model, both, ids, loss_of):
    loss_of(model, ids).backward()
    for optimizer in both:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def ours(model, ids):
    return mean_loss(model, model.model, ids[:, :-1], ids[:, 1:])


def peer(model, ids):
    with torch.autocast("cpu", torch.bfloat16):
        return model(input_ids=ids, labels=ids, use_cache=False).loss


def measure(name):
    if name == "ours":
        keep_memory()
    model = new_model(0)
    model.set_attn_implementation("blocked" if name == "ours" else "sdpa")
    both = optimizers(model)
    extra = 1 if name == "ours" else 0
    ids = torch.randint(5, 6000, (TOKENS_A_STEP // SEQUENCE, SEQUENCE + extra))
    speeds = []
    for round_number in range(ROUNDS + 1):
        began = time.perf_counter()
        step(model, both, ids, ours if name == "ours" else peer)
        if round_number:  # the first round warms up
            speeds.append(TOKENS_A_STEP / (time.perf_counter() - began))
    print(statistics.median(speeds))


def main():
    pairs = []
    for _ in range(3):
        pair = []
        for name in ("ours", "peer"):
            out = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
            pair.append(float(out.stdout))
        pairs.append(pair)
    for name, values in zip(("ours", "transformers"), zip(*pairs, strict=True), strict=True):
        print(f"{name:13} {statistics.median(values):7.0f} tokens/s   {min(values):.0f} to {max(values):.0f}")
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"ours / transformers = {ratio:.2f} ({torch.get_num_threads()} threads)")


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
