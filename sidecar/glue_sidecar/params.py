"""Reads parameters of calls, and names the field that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import invalid

_MISSING = object()


class Reader:
    """The parameters of one call."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def _get(self, field: str, kind: type, default: Any, what: str) -> Any:
        value = self._params.get(field)
        if value is None:
            if default is _MISSING:
                raise invalid(field, "is missing")
            return default
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise invalid(field, f"must be {what}")
        return value

    def text(self, field: str, default: Any = _MISSING) -> str:
        value: str = self._get(field, str, default, "a string")
        if isinstance(value, str) and "\0" in value:
            raise invalid(field, "holds a NUL")
        return value

    def optional_text(self, field: str) -> str | None:
        value: str | None = self._get(field, str, None, "a string")
        return value

    def number(self, field: str, default: Any = _MISSING) -> int:
        value: int = self._get(field, int, default, "a whole number")
        return value

    def optional_number(self, field: str) -> int | None:
        value: int | None = self._get(field, int, None, "a whole number")
        return value

    def real(self, field: str) -> float | None:
        value = self._params.get(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise invalid(field, "must be a number")
        return float(value)

    def flag(self, field: str, default: bool = False) -> bool:
        value: bool = self._get(field, bool, default, "true or false")
        return value

    def texts(self, field: str, default: Any = _MISSING) -> list[str]:
        value = self._get(field, list, default, "a list of strings")
        if not all(isinstance(v, str) for v in value):
            raise invalid(field, "must be a list of strings")
        return list(value)

    def table(self, field: str) -> dict[str, str]:
        value = self._get(field, dict, {}, "an object of strings")
        if not all(isinstance(v, str) for v in value.values()):
            raise invalid(field, "must be an object of strings")
        return dict(value)

    def object(self, field: str) -> Reader | None:
        value = self._get(field, dict, None, "an object")
        return None if value is None else Reader(value)
