"""Dialogues in, adapter out: LoRA fine-tuning of a character's voice, on one machine or many, in 4 bits or not."""
