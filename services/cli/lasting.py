"""How long something lasts, as a person writes it: 45s, 10m, 8h, 2d, or ISO 8601."""

import json
import re
from datetime import timedelta

from schemas.values import Duration, Strict
from services.kernel.settings import SettingsError

_SHORT = re.compile(r"([0-9]{1,5})([smhd])")


class _Lasting(Strict):
    lasts: Duration


def lasting(option: str, text: str) -> timedelta:
    """The duration that an option means. Raises SettingsError naming what would be right."""
    short = _SHORT.fullmatch(text)
    iso = text
    if short is not None:
        iso = f"P{short[1]}D" if short[2] == "d" else f"PT{short[1]}{short[2].upper()}"
    try:
        return _Lasting.model_validate_json(json.dumps({"lasts": iso})).lasts
    except ValueError:
        raise SettingsError(f"{option} {text}: write a duration, such as 45s, 10m, 8h, 2d or PT8H") from None
