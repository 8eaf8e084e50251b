"""One file per format that people bring: bytes or text -> `data.source.Source`."""
