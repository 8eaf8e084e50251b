"""Rows per second from dialogue to ids and labels, against trl's SFT preprocessing: same rows, tokenizer, trained tokens."""

import statistics
import tempfile
import time

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from data.build import make_rows
from data.inputs import read_input
from persona.base import Base
from persona.paths import NANO_FOLDER
from persona.prompt import IGNORED, compose, encode

ROWS, ROUNDS = 400, 5


def main():
    given = read_input("ada")
    template = Base.resolve().template()
    rows = [row for row in make_rows(given, 0, {})[0] if len(row.replies) == 1 and row.messages[-1].role == "assistant"]
    rows = rows[:ROWS]
    pairs = []
    for row in rows:
        prompt, _ = compose(row.messages[:-1], given.card, template, lore=row.lore, seed=row.seed)
        asked = [message.to_dict() for message in prompt.messages]
        pairs.append({"prompt": asked, "completion": [{"role": "assistant", "content": row.replies[0]}]})
    tokenizer = AutoTokenizer.from_pretrained(NANO_FOLDER)
    model = AutoModelForCausalLM.from_pretrained(NANO_FOLDER)

    def ours():
        return [(list(e.ids), list(e.labels)) for row in rows for e in encode(row, given.card, template)]

    with tempfile.TemporaryDirectory() as folder:
        args = SFTConfig(folder, max_length=None, use_cpu=True, report_to=[], completion_only_loss=True, bf16=False)
        trainer = SFTTrainer(model, args, train_dataset=Dataset.from_list(pairs[:8]), processing_class=tokenizer)

        def peer(number):
            fresh = Dataset.from_list([pair | {"round": number} for pair in pairs])  # nothing comes out of a cache
            made = trainer._prepare_dataset(fresh, tokenizer, args, False, None, f"round {number}")
            masked = zip(made["input_ids"], made["completion_mask"], strict=True)
            return [(ids, [i if m else IGNORED for i, m in zip(ids, mask, strict=True)]) for ids, mask in masked]

        speeds = {"ours": [], "trl": []}
        same = 0
        for number in range(ROUNDS + 1):
            began = time.perf_counter()
            mine = ours()
            between = time.perf_counter()
            theirs = peer(number)
            done = time.perf_counter()
            same = sum(a == b for a, b in zip(mine, theirs, strict=True))
            if number:  # the first round warms up
                speeds["ours"].append(len(rows) / (between - began))
                speeds["trl"].append(len(rows) / (done - between))
    for name, values in speeds.items():
        print(f"{name:5} {statistics.median(values):8.0f} rows/s   {min(values):.0f} to {max(values):.0f}")
    ratio = statistics.median(a / b for a, b in zip(speeds["ours"], speeds["trl"], strict=True))
    print(f"ours / trl = {ratio:.2f}; the same ids and trained tokens in {same} of {len(rows)} rows")


if __name__ == "__main__":
    main()
