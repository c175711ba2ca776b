"""How long something lasts, as a person writes it: 45s, 10m, 8h, 2d, or ISO 8601."""

import re
from datetime import timedelta

from pydantic import TypeAdapter

from schemas.values import Duration
from services.kernel.settings import SettingsError

_ISO: TypeAdapter[timedelta] = TypeAdapter(Duration)
_SHORT = re.compile(r"([0-9]{1,5})([smhd])")


def lasting(option: str, text: str) -> timedelta:
    """The duration that an option means. Raises SettingsError naming what would be right."""
    try:
        return duration(text, "smhd")
    except ValueError:
        raise SettingsError(f"{option} {text}: write a duration, such as 45s, 10m, 8h, 2d or PT8H") from None


def duration(text: str, units: str = "") -> timedelta:
    """A duration in ISO 8601, or a number of one of these units. Raises ValueError."""
    short = _SHORT.fullmatch(text)
    if short is None or short[2] not in units:
        return _ISO.validate_python(text)
    return _ISO.validate_python(f"P{short[1]}D" if short[2] == "d" else f"PT{short[1]}{short[2].upper()}")
