"""Bytes of strangers -> values: every reader here has a cap on size, and one kind of error."""
