"""What a lab's statement comes to, on what is known of the release so far. Pure: the receipt and a dry run agree on it.

Nothing is refused for what it says: only for its order (`stale`), a secret in it, a changed `exercise`, or a
withdrawal of what was never announced. Form and origin are the gateway's.
"""

from datetime import datetime
from difflib import get_close_matches
from typing import NamedTuple

from schemas.notice import Refused, Warned
from schemas.plan import Course, Plan, advanced, plan, withdrawn
from schemas.registry import Registry
from schemas.release import Release
from schemas.secret import secret_in

MATERIAL = frozenset(
    {
        "trusted_partner_release_at",
        "public_release_at",
        "embargo_until",
        "early_access",
        "capabilities",
        "audience",
        "tlp",
        "handling",
    }
)
"""Fields of a release whose change reaches the agencies."""


class Known(NamedTuple):
    """What is known of a release before the next statement on it; nothing: it was never announced."""

    statement: Release | None = None
    withdrawn: bool = False
    course: Course | None = None
    stated_at: datetime | None = None


class Judged(NamedTuple):
    """What a statement comes to. `unchanged`: it says what stands already."""

    planned: Plan
    changed: tuple[str, ...]
    warnings: tuple[Warned, ...]
    unchanged: bool

    @property
    def material(self) -> bool:
        """Whether what changed reaches the agencies."""
        return not MATERIAL.isdisjoint(self.changed)


def refusals(known: Known, release: Release) -> list[Refused]:
    """Why a statement is refused; empty: it is not."""
    return [*_out_of_order(known, release.stated_at), *_secrets(release), *_exercise(known, release)]


def judge(known: Known, release: Release, registry: Registry, now: datetime) -> Judged:
    """What a statement comes to that is not refused."""
    planned = plan(release, advanced(known.course, now) if known.course else None, now)
    before = known.statement
    changed = _changed(before, release) if before else ()
    unchanged = before is not None and not changed and not known.withdrawn
    return Judged(planned, changed, (*planned.warnings, *_unknown(release, registry)), unchanged)


def withdrawal_refusals(known: Known, stated_at: datetime | None) -> list[Refused]:
    """Why a withdrawal is refused; empty: it is not."""
    if known.statement is None or known.course is None:
        said = "this release was never announced: nothing to withdraw"
        return [Refused(code="unknown_release", message=said, field="reference")]
    return _out_of_order(known, stated_at)


def judge_withdrawal(known: Known, now: datetime) -> Judged:
    """What a withdrawal comes to that is not refused."""
    assert known.course is not None, "what was never announced is refused"  # noqa: S101
    course = advanced(known.course, now)
    warnings: tuple[Warned, ...] = ()
    if course.ended and not known.withdrawn:
        said = f"the window is {course.status}: the withdrawal is only recorded"
        warnings = (Warned(code="after_the_end", message=said),)
    return Judged(Plan(withdrawn(course)), (), warnings, known.withdrawn)


_STATED = tuple(name for name in Release.model_fields if name != "stated_at")


def _changed(before: Release, after: Release) -> tuple[str, ...]:
    old, new = vars(before), vars(after)
    return tuple(name for name in _STATED if old[name] != new[name])


def _out_of_order(known: Known, stated_at: datetime | None) -> list[Refused]:
    if stated_at is None or known.stated_at is None or stated_at >= known.stated_at:
        return []
    said = "a later statement stands already; leave stated_at out, or state anew with the present time"
    return [Refused(code="stale", message=said, field="stated_at")]


def _exercise(known: Known, release: Release) -> list[Refused]:
    if known.statement is None or known.statement.exercise == release.exercise:
        return []
    said = "an exercise is never turned into a real release, nor the other way round: use another reference"
    return [Refused(code="exercise_changed", message=said, field="exercise")]


def _secrets(release: Release) -> list[Refused]:
    access = release.early_access.access if release.early_access else None
    if access is None:
        return []
    return [
        Refused(
            code="secret_in_access",
            message=f"this looks like {kind}; say how access is arranged, and hand secrets over person to person",
            field=f"early_access.access.{name}",
        )
        for name, text in (("how", access.how), ("contact", access.contact))
        if (kind := secret_in(text)) is not None
    ]


def _unknown(release: Release, registry: Registry) -> tuple[Warned, ...]:
    """What the registry does not know: it is accepted all the same, since new models do new things."""
    warnings = []
    for capability in release.capabilities:
        if capability not in registry.capabilities:
            near = get_close_matches(capability, sorted(registry.capabilities), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            said = f"{capability} is not in the registry: it reaches the agencies that take all capabilities{hint}"
            warnings.append(Warned(code="unknown_capability", message=said, field="capabilities"))
    for name, agencies in (("agencies", release.audience.agencies), ("exclude", release.audience.exclude)):
        for agency in agencies:
            if agency not in registry.agencies:
                near = get_close_matches(agency, sorted(registry.agencies), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                said = f"{agency} is no agency of the registry{hint}"
                warnings.append(Warned(code="unknown_agency", message=said, field=f"audience.{name}"))
    return tuple(warnings)
