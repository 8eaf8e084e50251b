"""Rows per second to ids and labels, against trl's SFT preprocessing: same rows, tokenizer, trained tokens.

Both are given finished messages, system message included; a third figure has the card and the lorebook written out too,
which trl leaves to whoever prepares its data.
"""

import statistics
import tempfile
import time

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from data.build import make_rows
from data.inputs import read_input
from persona.base import Base
from persona.conversation import Conversation, Message
from persona.paths import NANO_FOLDER
from persona.prompt import compose, encode

ROWS, ROUNDS = 400, 7


def main():
    given = read_input("ada")
    template = Base.resolve().template()
    rows = [row for row in make_rows(given, 0, {})[0] if len(row.replies) == 1 and row.messages[-1].role == "assistant"]
    rows = rows[:ROWS]
    pairs, finished = [], []
    for row in rows:
        prompt, _ = compose(row.messages[:-1], given.card, template, lore=row.lore, seed=row.seed)
        reply = Message("assistant", row.replies[0])
        finished.append(Conversation((*prompt.messages, reply), row.character, id=row.id))
        pairs.append({"prompt": [m.to_dict() for m in prompt.messages], "completion": [reply.to_dict()]})
    tokenizer = AutoTokenizer.from_pretrained(NANO_FOLDER)
    model = AutoModelForCausalLM.from_pretrained(NANO_FOLDER)

    def ours(conversations, card):
        return [(list(e.ids), list(e.labels)) for row in conversations for e in encode(row, card, template)]

    with tempfile.TemporaryDirectory() as folder:
        args = SFTConfig(folder, max_length=None, use_cpu=True, report_to=[], completion_only_loss=True, bf16=False)
        trainer = SFTTrainer(model, args, train_dataset=Dataset.from_list(pairs[:8]), processing_class=tokenizer)

        def peer(number):
            fresh = Dataset.from_list([pair | {"round": number} for pair in pairs])  # nothing comes out of a cache
            made = trainer._prepare_dataset(fresh, tokenizer, args, False, None, f"round {number}")
            return list(zip(made["input_ids"], made["labels"], strict=True))

        speeds = {"ours": [], "trl": [], "ours with card and lorebook": []}
        for number in range(ROUNDS + 1):
            times = [time.perf_counter()]
            mine = ours(finished, None)
            times.append(time.perf_counter())
            theirs = peer(number)
            times.append(time.perf_counter())
            from_card = ours(rows, given.card)
            times.append(time.perf_counter())
            if number:  # the first round warms up
                for name, began, ended in zip(speeds, times, times[1:], strict=False):
                    speeds[name].append(len(rows) / (ended - began))
    assert from_card == mine, "a finished prompt is encoded as the card's own is"
    same = sum(a == b for a, b in zip(mine, theirs, strict=True))
    for name, values in speeds.items():
        print(f"{name:28} {statistics.median(values):8.0f} rows/s   {min(values):.0f} to {max(values):.0f}")
    for name in ("ours", "ours with card and lorebook"):
        ratio = statistics.median(a / b for a, b in zip(speeds[name], speeds["trl"], strict=True))
        print(f"{name} / trl = {ratio:.2f}")
    print(f"the same ids and trained tokens in {same} of {len(rows)} rows")


if __name__ == "__main__":
    main()
