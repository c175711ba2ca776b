"""Trusted publishing: whose CI speaks for a lab, told by the OpenID Connect token that the CI gets for each run."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from schemas.values import IssuerUrl, Line, Strict

DEFAULT_AUDIENCE = "herald"
GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"

_REPOSITORY = {GITHUB: ("repository", "repository_id"), GITLAB: ("project_path", "project_id")}
_ANY_REPOSITORY = ("repository", "repository_id", "project_path", "project_id", "sub")
_PROVEN_OTHERWISE = {"iss", "aud", "exp", "iat", "nbf", "jti"}


class Publisher(Strict):
    """A CI whose token stands for the lab: all of the claims must be there, each with exactly this value."""

    issuer: IssuerUrl
    audience: Line = DEFAULT_AUDIENCE
    claims: Annotated[dict[Line, Line], Field(max_length=20)]

    def claims_fit(self, proven: Mapping[str, Any]) -> bool:
        """Whether proven claims are those listed. An absent one fits nothing."""
        return all(proven.get(name) == value for name, value in self.claims.items())

    def audience_fits(self, proven: Mapping[str, Any]) -> bool:
        """Whether a token is for Herald, and for nobody beside it who could present it here."""
        return proven.get("aud") in (self.audience, [self.audience])

    def overlaps(self, other: "Publisher") -> bool:
        """Whether one token could fit both."""
        same = (self.issuer, self.audience) == (other.issuer, other.audience)
        return same and all(
            self.claims[name] == other.claims[name] for name in self.claims.keys() & other.claims.keys()
        )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Why no token could ever fit, or too many: field below the publisher, rule and remedy."""
        pins = _REPOSITORY.get(self.issuer, _ANY_REPOSITORY)
        if not self.claims.keys() & {*pins, "sub"}:
            said = f"names no repository: anybody's CI at this issuer would speak for the lab; add {' or '.join(pins)}"
            yield "claims", said
        for name, value in self.claims.items():
            if name in _PROVEN_OTHERWISE:
                yield f"claims.{name}", "is checked anyway (issuer and audience have fields of their own): leave it out"
            elif "*" in value:
                yield f"claims.{name}", "is compared as it stands, there are no patterns: write the whole value"
            elif name in {"repository", "project_path"} and "/" not in value:
                yield f"claims.{name}", f"{value} lacks its owner: write OWNER/{value}"
        ref = self.claims.get("ref", "refs/")
        if self.issuer == GITHUB and not ref.startswith("refs/"):
            yield "claims.ref", f"is a whole ref at this issuer: refs/heads/{ref} or refs/tags/{ref}"
