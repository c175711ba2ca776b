"""Finds what looks like a secret in a lab's words on access. It names the kind, never the secret."""

import re

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a cloud access key", re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("an API key", re.compile(r"\b(sk|pk|rk|ghp|gho|ghs|glpat|xox[abpr])[-_][A-Za-z0-9_-]{16,}")),
    ("a token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("a bearer token", re.compile(r"\bbearer\s+[A-Za-z0-9._~+/-]{16,}", re.IGNORECASE)),
    (
        "a password",
        # Assigned something that holds a digit or a sign: prose such as "password: by phone" is none.
        re.compile(
            r"\b(password|passwd|pwd|secret|token|api[ _-]?key)\s*[:=]\s*(?=\S*[0-9!@#$%^&*])\S{6,}", re.IGNORECASE
        ),
    ),
    ("credentials in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@", re.IGNORECASE)),
)


def secret_in(text: str | None) -> str | None:
    """What kind of secret the text seems to hold; None when it seems to hold none."""
    if text is None:
        return None
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None)
