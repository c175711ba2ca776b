"""What a mail server's answer means, and what may be kept of its text. Pure.

Codes are those of RFC 5321 4.2, enhanced codes those of RFC 3463, its registry and RFC 7505.
"""

import re
from collections.abc import Iterable
from typing import Literal

from schemas.delivery import Failure

Step = Literal["session", "login", "sender", "recipient", "content"]
"""What was asked for when the server answered."""

_ENHANCED = re.compile(r"\s*[245]\.([0-9]{1,3}\.[0-9]{1,3})\b")
_NOBODY = {"1.1", "1.2", "1.3", "1.6", "1.10", "2.1"}
_NOBODY_IN_WORDS = re.compile(
    r"\b(unknown|no such|invalid)\s+(user|mailbox|recipient|address)|"
    r"\b(user|mailbox|recipient|address)\b.*\b(unknown|not found|not exist|does ?n.t exist)|\bno (mailbox|such)",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"too many|too fast|rate.?limit|throttl", re.IGNORECASE)
_MUST_LOG_IN = {530, 534, 535, 538}
"""RFC 4954 6: what the relay asks of us is not in the registry, or is wrong there."""

_ADDRESS = re.compile(r"\S+(@|://)\S+")
"""Of people, and of pages: a filter's answer may repeat the link, which answers for whoever has it."""

_LENGTH = 200


def meant(code: int, text: str, step: Step) -> Failure:
    """Why a mail was not taken, of an answer that is not the one hoped for."""
    found = _ENHANCED.match(text)
    detail = found.group(1) if found else ""
    if code == 454:  # no login, or no TLS, for the moment
        return "server-error"
    if 400 <= code < 500:
        return "throttled" if detail.startswith("7.") or _TOO_MANY.search(text) else "server-error"
    if not 500 <= code < 600:
        return "protocol"
    if step == "login" or code in _MUST_LOG_IN:
        return "misconfigured"
    if step in {"recipient", "content"} and (
        detail in _NOBODY or (not detail and code in {550, 551, 553} and _NOBODY_IN_WORDS.search(text))
    ):
        return "gone"
    return "refused"


def kept(code: int, text: str, step: Step, private: Iterable[str]) -> str:
    """An answer as one printable line of at most 200 characters, without addresses and what is in `private`.

    What is said to a login may repeat it: of that the codes alone are kept.
    """
    if code <= 0:
        return "what came was no answer of SMTP"
    if step == "login":
        found = _ENHANCED.match(text)
        return f"{code} {found.group().strip()}" if found else str(code)
    line = _ADDRESS.sub("…", " ".join(text.split()))
    for each in private:
        line = re.sub(rf"(?<!\w){re.escape(each)}(?!\w)", "…", line, flags=re.IGNORECASE)
    line = "".join(character for character in f"{code} {line}" if character.isprintable()).strip()
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"
