"""The watchdog's lab and agency: Herald's own, in every registry that is applied, for rounds of the whole path."""

from typing import TypeVar

from schemas.registry import Agency, Interests, Lab, RegistryFile

LAB = "watchdog"
AGENCY = "watchdog-desk"
"""Ids are unique across labs and agencies, so there are two. Neither may stand in a file, or be offboarded."""

RESERVED = frozenset({LAB, AGENCY})
R = TypeVar("R", bound=RegistryFile)
_NAME = "Herald's watchdog"


def enrolled(written: R) -> R:
    """A registry as it comes into force: what a file states, and the watchdog.

    It takes part in exercises, since it sends nothing else, and no other lab's release ever matches its interests.
    """
    desk = Agency(name=_NAME, interests=Interests(labs=(LAB,)), exercises=True)
    return written.model_copy(
        update={"labs": written.labs | {LAB: Lab(name=_NAME)}, "agencies": written.agencies | {AGENCY: desk}}
    )
