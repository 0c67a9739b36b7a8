"""A text that is not to be shown, such as a broker's key."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Any, Final, NoReturn, final

HIDDEN: Final = "***"


@final
class Secret:
    """A secret text: printed, formatted and logged as `***`; not to be pickled or made JSON.

    `reveal()` is the only way to the text; call it where the text leaves for its owner.
    """

    __slots__ = ("_reveal",)

    def __init__(self, text: str) -> None:
        # A closure, so that no dump of attributes (vars, dataclasses.asdict, a debugger's) has it.
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """The text itself."""
        return self._reveal()

    get_secret_value = reveal  # how pydantic's own secrets are asked, for our log

    def __str__(self) -> str:
        return HIDDEN

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere: hand the settings on, not the secret.")
