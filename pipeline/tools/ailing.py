"""Ailing: what the checks of `upscale doctor` raise."""


class Ailing(Exception):
    """A check that failed: what is wrong, and the cure."""

    def __init__(self, text: str, cure: str) -> None:
        super().__init__(text)
        self.cure = cure
