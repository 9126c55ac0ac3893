"""Errors that a person reads: one sentence about what is wrong, one about what to do.

The command line prints `str(error)` and exits with `exit_code`; the box logs it and shows a fault.
Anything else that escapes is a bug and keeps its traceback.
"""


class CallboxError(Exception):
    """A failure that a person can understand and mend."""

    exit_code = 1

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what if not cure else f"{what}\n{cure}")
        self.what = what
        self.cure = cure


class WrongUse(CallboxError):
    """The command or the settings file was written wrongly (exit code 2)."""

    exit_code = 2
