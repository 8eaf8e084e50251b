"""Lore -> dialogues: the dataset builder. It imports `persona` alone and hands its work over as files in `runs/`."""
