"""Finished prompts become pieces of text: the protocol here; `local`, `remote` and `echo` beside it."""
