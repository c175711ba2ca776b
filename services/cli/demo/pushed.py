"""What came to agencies by webhook and e-mail, compared with what was due there: each alert once. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.endpoint import CHANNELS, Channel
from schemas.registry import Agency
from schemas.routing import wants
from services.cli.demo.findings import Findings

Alert = Mapping[str, Any]
"""The data of an alert, as it stands on an agency's topic."""


_WAYS: dict[Channel, str] = {"webhook": "webhook", "email": "e-mail"}


@dataclass(frozen=True, slots=True)
class Pushed:
    """A message as it came: the ids of the alerts that it tells; or `fault`: why nothing in it counts."""

    agency: str
    endpoint: str
    channel: Channel
    alerts: tuple[str, ...] = ()
    about: str = ""
    link: str = ""
    fault: str = ""

    @property
    def way(self) -> str:
        """The channel, for people."""
        return _WAYS[self.channel]


@dataclass(slots=True)
class _Tally:
    """What came by one channel of an agency."""

    due: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        came = f"{self.due - self.wrong['lost']} of {self.due}, "
        return came + (", ".join(f"{count} {what}" for what, count in self.wrong.items()) or "each once")


def due(agency: Agency, alerts: Iterable[Alert]) -> dict[str, dict[str, Alert]]:
    """What each endpoint of an agency is to get, by alert id: what is for its tier, of the kinds that it takes.

    An alert that asks nothing is for the first tier. Nothing is taken off for being out of date or answered: in the
    demo each is told before that.
    """
    found: dict[str, dict[str, Alert]] = {name: {} for name in agency.endpoints}
    for alert in alerts:
        for name, endpoint in agency.endpoints.items():
            kept_out = not alert.get("chase") and not wants(endpoint, alert["kind"], alert["short_notice"])
            if endpoint.tier == (alert.get("tier") or agency.tiers[0]) and not kept_out:
                found[name][alert["alert_id"]] = alert
    return found


def compare(
    agencies: Mapping[str, Agency],
    told: Mapping[str, Sequence[Alert]],
    came: Sequence[Pushed],
    outcomes: Iterable[Mapping[str, Any]] = (),
    door: str = "",
) -> Findings:
    """One line of summary for each channel of an agency, and every difference.

    `told` is what stands on the agencies' topics; `outcomes`, Herald's own words on its deliveries, say why something
    is missing, and excuse nothing. `door`: where the links of what is to be answered lead; empty: there is no door.
    """
    why: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for one in outcomes:
        if "reason" in one and "alert_id" in one:
            why[one["agency"], one["endpoint"]][one["alert_id"]] = one["reason"]
    tallies: dict[tuple[Channel, str], _Tally] = {}
    differences: list[str] = []
    for name, agency in agencies.items():
        for endpoint, wanted in due(agency, told[name]).items():
            channel = agency.endpoints[endpoint].channel
            tally = tallies.setdefault((channel, name), _Tally())
            tally.due += len(wanted)
            mine = [push for push in came if (push.agency, push.endpoint) == (name, endpoint)]
            for what, said in _wrong(wanted, mine, why[name, endpoint], door):
                tally.wrong[what] += 1
                differences.append(f"{_WAYS[channel]} {name}/{endpoint}: {said}")
    ordered = sorted(tallies, key=lambda each: (CHANNELS.index(each[0]), each[1]))
    return Findings({f"{_WAYS[channel]} {name}": str(tallies[channel, name]) for channel, name in ordered}, differences)


def _wrong(
    wanted: Mapping[str, Alert], came: Sequence[Pushed], why: Mapping[str, str], door: str
) -> Iterator[tuple[str, str]]:
    """What is wrong at one endpoint: in a word, and in a line."""
    times = Counter(alert for push in came for alert in push.alerts)
    for alert in wanted:
        if alert not in times:
            yield "lost", f"alert {alert} was due and did not come: {why.get(alert, 'no word of why')}"
    for alert, count in times.items():
        if alert not in wanted:
            yield "not due", f"alert {alert} came and was not due"
        if count > 1:
            yield "repeated", f"alert {alert} came {count} times"
    for push in came:
        asks = any(wanted[alert].get("asks") for alert in push.alerts if alert in wanted)
        if push.fault:
            yield "faulty", push.fault
        elif door and asks and not push.link.startswith(f"{door}/"):
            yield "without link", f"alert {', '.join(push.alerts)} came without a link to {door}"
