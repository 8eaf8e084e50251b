"""The recipe of the built-in base, from text to `persona/nano/`: nothing of it is needed to fine-tune a character."""
