"""ADAPTER -> PEOPLE: a character on Discord. It imports `persona` only, and speaks to a persona server over HTTP."""
