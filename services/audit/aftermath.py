"""What came of deliveries: outcomes, the next tier where nobody took it, and that nothing out of date is still told."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from schemas.delivery import DeliveryAbandoned, DeliveryFailed, DeliverySucceeded
from schemas.values import rfc3339
from schemas.window import KEPT_AFTER_END
from services.audit.asked import NOTIFIER, Asked, about
from services.audit.channels import Turn
from services.audit.difference import Difference, found
from services.audit.record import Bounds, Seen
from services.audit.story import Story, Versions

SILENT = timedelta(days=2)
"""Longer than quiet hours can hold a message: by then something has come of it, unless the endpoint is paused."""

FOR_GOOD = frozenset({"refused", "disabled", "removed", "backlog-full"})


class Aftermath:
    """Of one release. `known`: its alerts by their ids."""

    def __init__(self, story: Story, known: dict[str, Asked], versions: Versions, bounds: Bounds) -> None:
        self._story, self._known, self._versions, self._bounds = story, known, versions, bounds
        self._outcomes: dict[str, list[Seen]] = defaultdict(list)
        for outcome in story.outcomes:
            self._outcomes[outcome.data.delivery_id].append(outcome)

    def outcomes(self, paused: set[tuple[str, str]]) -> Iterator[Difference]:
        """Something comes of everything that was asked, and of nothing else."""
        asked = {request.data.delivery_id for request in self._story.requests}
        for outcome in self._story.outcomes:
            if outcome.data.delivery_id not in asked:
                yield about(outcome, "outcome-unexpected", "nothing was asked of the endpoint")
        for request in self._story.requests:
            data = request.data
            if self._outcomes[data.delivery_id] or (data.agency, data.endpoint) in paused:
                continue
            if max(request.at, data.speaks_of or request.at) < self._bounds.settled_at - SILENT:
                yield about(request, "outcome-missing", "nothing has come of it: not taken, failed or abandoned")

    def in_turn(self, asked: Asked, planned: list[Turn], later: list[Seen]) -> Iterator[Difference]:
        """Another tier is asked when nobody of those before it took the alert, and only then.

        Where the registry has changed meanwhile it is not known which version decided: then nothing is said.
        """
        number = self._versions.numbered(asked.data.registry_version)
        if number is None or not self._is_steady(number, asked.data.agency):
            return
        ends, wait = self._ends(asked), self._versions.of(number).policy.fallback_after
        asked_at, before = asked.data.issued_at, planned[0][1] if planned else frozenset()
        for tier, endpoints in planned[1:]:
            mine = [one for one in later if one.data.tier == tier]
            due_at = min(asked_at + wait, self._all_gone(asked, before) or asked_at + wait)
            if not mine:
                over = any(end <= due_at + self._bounds.apart for end in ends)
                if not over and due_at <= self._bounds.settled_at - self._bounds.apart:
                    said = f"nobody had taken it at {rfc3339(due_at)}, and {tier} was not asked"
                    yield found("fallback-missing", asked.seen, said, **asked.named)
                break
            asked_at, before = mine[0].data.requested_at, endpoints
            if asked_at < due_at:
                yield about(mine[0], "delivery-unexpected", "the tier before it still had time")
            elif any(end < due_at - self._bounds.apart for end in ends):
                yield about(mine[0], "delivery-unexpected", "somebody had it, or it was over")
            for endpoint in sorted(endpoints - {one.data.endpoint for one in mine}):
                said = f"{asked.data.kind} was to be delivered here, in its turn"
                yield found("delivery-missing", mine[0], said, endpoint=endpoint, **asked.named)
        places = {(tier, endpoint) for tier, endpoints in planned[1:] for endpoint in endpoints}
        for one in later:
            if (one.data.tier, one.data.endpoint) not in places:
                yield about(one, "wrong-channel", f"{asked.data.kind} was not for this endpoint")

    def nothing_is_out_of_date(self) -> Iterator[Difference]:
        """What is superseded or answered is taken back, replaced or settled: it may not be delivered any more."""
        last = {(one.data.agency, one.data.endpoint): one for one in self._story.requests}
        for (agency, endpoint), request in last.items():
            asked = self._known.get(request.data.alert.alert_id)
            done = any(not isinstance(one.data, DeliveryFailed) for one in self._outcomes[request.data.delivery_id])
            if asked is None or done or request.event.source != NOTIFIER:
                continue
            cancels = [one.data for one in self._story.cancels if one.data.agency == agency]
            if any(one.endpoint == endpoint and one.sequence >= asked.data.sequence for one in cancels):
                continue
            why = next((one for one in self._overtaking(asked) if one.ms <= self._bounds.settled_ms), None)
            if why is not None:
                yield about(request, "cancel-missing", f"out of date since {why.where}, and it was not taken back")

    def _overtaking(self, asked: Asked) -> Iterator[Seen]:
        """Newer alerts that are news, and answers."""
        for one in self._story.told[asked.data.agency]:
            if one.data.sequence > asked.data.sequence and one.data.chase is None:
                yield one
        for one in self._story.answered[asked.data.agency]:
            if one.data.alert_id in {asked.root, asked.data.alert_id}:
                yield one

    def _is_steady(self, number: int, agency: str) -> bool:
        """Whether the registry has said the same of an agency's endpoints ever since."""
        then = self._versions.of(number)
        since = [self._versions.of(each) for each in range(number + 1, len(self._versions))]
        return all(
            now.agencies.get(agency) == then.agencies.get(agency)
            and now.policy.fallback_after == then.policy.fallback_after
            for now in since
        )

    def _ends(self, asked: Asked) -> list[datetime]:
        """What ends the search for somebody who takes it: a success, an answer, a newer alert, oblivion."""
        told = self._story.told[asked.data.agency]
        same = self._story.ids_of(asked.data.agency, asked.root)
        outcomes = [one for request in asked.requests for one in self._outcomes[request.data.delivery_id]]
        ends = [one.at for one in outcomes if isinstance(one.data, DeliverySucceeded)]
        ends += [one.at for one in self._story.answered[asked.data.agency] if one.data.alert_id in same]
        ends += [one.data.issued_at for one in told if one.offset > asked.seen.offset]
        ended = [one.data.window.ended_at for one in self._story.windows if one.data.window.life == asked.data.life]
        return ends + [each + KEPT_AFTER_END for each in ended if each is not None]

    def _all_gone(self, asked: Asked, endpoints: frozenset[str]) -> datetime | None:
        """When the last endpoint of a tier was given up for good; None: not all were."""
        gone = {}
        for request in asked.requests:
            for outcome in self._outcomes[request.data.delivery_id]:
                if isinstance(outcome.data, DeliveryAbandoned) and outcome.data.reason in FOR_GOOD:
                    gone[request.data.endpoint] = outcome.at
        return max((gone[each] for each in endpoints), default=None) if endpoints <= gone.keys() else None
