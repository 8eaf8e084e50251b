"""The one error that users see: what happened, where, and what to type next."""


class PersonaError(Exception):
    """A problem that the user can solve.

    Commands print it without a traceback and exit with status 2.

    `what` is one sentence with the offending value in it, `where` a file, line or field, and `fix` the next thing to
    type or to change.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.fix:
            lines.append(f"  fix:   {self.fix}")
        return "\n".join(lines)
