"""Who may do what in Kafka: the grants of each lab, agency, service and operator, from the catalogue and the registry.

A participant, or `service.<name>`, is an *owner*. Its credentials are Kafka users `<owner>.1`, `<owner>.2`, …: ids hold
no dot, so no participant's user is ever another's, or a service's. Topics are granted one by one, never by prefix.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.registry import Registry
from schemas.topics import SERVICES, TOPICS, Topic
from schemas.watchdog import AGENCY, LAB, RESERVED

Resource = Literal["topic", "group", "transactional-id", "cluster"]
Match = Literal["literal", "prefixed"]
Operation = Literal["all", "read", "write", "create", "describe", "alter", "other"]

SERVICE_OWNER = "service."
OPERATOR = "service.operator"
DOOR = "service.door"
WATCHDOG = "service.watchdog"
AUDIT = "service.audit"
CLUSTER = "kafka-cluster"

_USER = re.compile(r"((?:service\.)?[a-z][a-z0-9-]{1,30})\.([1-9][0-9]{0,8})")
_READ: tuple[Operation, ...] = ("describe", "read")
_WRITE: tuple[Operation, ...] = ("describe", "write")
_RECEIPTS_TO = {"announcements": "lab", "notifier": "lab", "acknowledgements": "agency"}
"""Whose receipts a service writes; the gateway answers both."""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """What may be done with one resource, or with all whose names begin so."""

    resource: Resource
    name: str
    match: Match
    operations: tuple[Operation, ...]


class Acl(NamedTuple):
    """One entry of Kafka's access control list."""

    user: str
    resource: str
    name: str
    match: str
    operation: str
    permission: str = "allow"
    host: str = "*"

    def __str__(self) -> str:
        some = " with the prefix" if self.match == "prefixed" else ""
        where = "" if self.host == "*" else f" from {self.host}"
        return f"{self.user}: {self.permission} {self.operation} on {self.resource}{some} {self.name}{where}"


class Changes(NamedTuple):
    """What would make Kafka's list equal to the plan."""

    add: list[Acl]
    remove: list[Acl]


def owner_of(user: str) -> str | None:
    """Whose credential a Kafka user is; None when its name is not of Herald's making."""
    found = _USER.fullmatch(user)
    return found[1] if found else None


def number_of(user: str) -> int:
    """Which of its owner's credentials a user is."""
    return int(user.rpartition(".")[2])


def spent(user: str) -> Acl:
    """The mark that a user was revoked: its number is never given again.

    A connection that outlives its user keeps the user's name, and would come back to life with the next of that name.
    """
    return Acl(user, "cluster", CLUSTER, "literal", "all", "deny")


def plan(registry: Registry, prefix: str = "herald.") -> dict[str, tuple[Grant, ...]]:
    """The grants of every owner. `prefix` stands before the names of topics, groups and transactional ids.

    The watchdog's lab and agency own nothing: its process speaks as both, and nobody else does.
    """
    labs = {lab: _participant("lab", lab, prefix) for lab in registry.labs if lab not in RESERVED}
    agencies = {
        agency: (*_participant("agency", agency, prefix), Grant("group", f"{prefix}{agency}.", "prefixed", _READ))
        for agency in registry.agencies
        if agency not in RESERVED
    }
    services = {SERVICE_OWNER + service: _service(service, registry, prefix) for service in SERVICES}
    others = {DOOR: _door(registry, prefix), WATCHDOG: _watchdog(prefix), AUDIT: _audit(registry, prefix)}
    return labs | agencies | services | others | {OPERATOR: _operator(registry, prefix)}


def changes(
    planned: dict[str, tuple[Grant, ...]], gone: Iterable[str], users: Iterable[str], there: Iterable[Acl]
) -> Changes:
    """What makes the list equal to the plan, for users of the owners planned and of those gone. Others' stay."""
    existing, present = set(users), set(there)
    managed = {*planned, *gone}
    wanted = {acl for user in existing for acl in granted(user, planned.get(owner_of(user) or "", ()))}
    ours = {acl for acl in present if owner_of(acl.user) in managed}
    marks = {spent(acl.user) for acl in ours if acl.user not in existing}
    return Changes(sorted(wanted - present), sorted(ours - wanted - marks))


def granted(user: str, grants: Iterable[Grant]) -> set[Acl]:
    """The entries of Kafka's list that grant this to a user."""
    return {
        Acl(user, grant.resource, grant.name, grant.match, operation)
        for grant in grants
        for operation in grant.operations
    }


def _participant(role: str, name: str, prefix: str) -> tuple[Grant, ...]:
    own = [t for t in TOPICS if f"{{{role}}}" in t.name or "{participant}" in t.name or "{" not in t.name]
    return tuple(_on_topics(role, ((topic, prefix + _filled(topic, name)) for topic in own)))


def _service(service: str, registry: Registry, prefix: str) -> tuple[Grant, ...]:
    topics = (
        (topic, prefix + name)
        for topic in TOPICS
        for name in _names(topic, registry, service, _RECEIPTS_TO.get(service))
    )
    return (
        *_on_topics(service, topics),
        Grant("group", f"{prefix}{service}", "literal", _READ),
        Grant("transactional-id", f"{prefix}{service}-", "prefixed", _WRITE),
    )


def _audit(registry: Registry, prefix: str) -> tuple[Grant, ...]:
    """The audit, which belongs to no group: it reads what labs have said and agencies were told."""
    topics = ((topic, prefix + name) for topic in TOPICS for name in _names(topic, registry, "audit", None))
    return tuple(_on_topics("audit", topics))


def _door(registry: Registry, prefix: str) -> tuple[Grant, ...]:
    """The HTTP door: it belongs to no group, and writes to the edges, and what agencies and operators want.

    For the operators' page it sees how far each group has come, and which dead letters a state calls open.
    """
    topics = []
    for topic in TOPICS:
        if topic.name == "state.{service}":
            topics += [Grant("topic", f"{prefix}state.{service}", "literal", _READ) for service in SERVICES]
            continue
        operations = _sorted({"describe", *_operations("door", topic)} if _is_followed(topic) else set())
        topics += [
            Grant("topic", prefix + name, "literal", operations)
            for name in _names(topic, registry, "door", None)
            if operations
        ]
    groups = (Grant("group", f"{prefix}{service}", "literal", ("describe",)) for service in SERVICES)
    return (*topics, *groups)


def _is_followed(topic: Topic) -> bool:
    """Whether the door has to do with it: itself, or as what a service's group reads."""
    return bool(_operations("door", topic)) or bool({*topic.readers} & {*SERVICES})


def _watchdog(prefix: str) -> tuple[Grant, ...]:
    """Speaks as its own lab and its own agency, and as no other; which of several is on duty, its group says.

    It asks for the daily lines that the registry says.
    """
    mine = (topic for topic in TOPICS if "watchdog" in (*topic.writers, *topic.readers))
    own = tuple(_on_topics("watchdog", ((topic, prefix + topic.name) for topic in mine)))
    names = {grant.name for grant in own}
    spoken_as = (*_participant("lab", LAB, prefix), *_participant("agency", AGENCY, prefix))
    return (
        *(grant for grant in spoken_as if grant.name not in names),
        *own,
        Grant("group", f"{prefix}watchdog", "literal", _READ),
    )


def _operator(registry: Registry, prefix: str) -> tuple[Grant, ...]:
    """What the command line needs. Who may alter the list can give itself the rest: it is an administrator."""
    topics = []
    for topic in TOPICS:
        owners: tuple[str, ...] = SERVICES if "{service}" in topic.name else ("",)
        for name in [name for owner in owners for name in _names(topic, registry, owner, None)]:
            operations = {"describe", *_operations("operator", topic)}
            if topic.name == "state.{service}":
                operations |= {"read", "write"}  # the genesis records, and whether a dead letter is open
            topics.append(Grant("topic", prefix + name, "literal", _sorted(operations)))
    return (
        *topics,
        *_as_drill_lab(registry, prefix),
        Grant("transactional-id", f"{prefix}registry", "literal", _WRITE),
        Grant("cluster", CLUSTER, "literal", ("alter", "create", "describe")),
    )


def _as_drill_lab(registry: Registry, prefix: str) -> tuple[Grant, ...]:
    """Drills are announced by the operator as the lab that the registry names for them, and as no other."""
    if registry.drills is None or registry.drills.lab not in registry.labs:
        return ()
    return _participant("lab", registry.drills.lab, prefix)


def _on_topics(role: str, topics: Iterable[tuple[Topic, str]]) -> Iterator[Grant]:
    for topic, name in topics:
        if operations := _operations(role, topic):
            yield Grant("topic", name, "literal", _sorted({"describe", *operations}))


def _operations(role: str, topic: Topic) -> set[str]:
    return ({"read"} if role in topic.readers else set()) | ({"write"} if role in topic.writers else set())


def _sorted(operations: set[str]) -> tuple[Operation, ...]:
    every: tuple[Operation, ...] = ("alter", "create", "describe", "read", "write")
    return tuple(operation for operation in every if operation in operations)


def _names(topic: Topic, registry: Registry, service: str, receipts_to: str | None) -> list[str]:
    """The names that a family stands for to a service.

    Who was offboarded counts: a lab's windows run on to their end, and an agency is told that it is addressed no more.
    Whether it was a lab or an agency is not known any more; a grant on a topic that never was harms nobody.
    """
    # Through the door nobody speaks as the watchdog, or looks at what it was told.
    hidden = RESERVED if service == "door" else frozenset()
    gone = list(registry.offboarded)
    labs = [*(lab for lab in registry.labs if lab not in hidden), *gone]
    agencies = [*(agency for agency in registry.agencies if agency not in hidden), *gone]
    participants = {"lab": labs, "agency": agencies, None: list(dict.fromkeys([*labs, *agencies]))}[receipts_to]
    by_placeholder = {"{lab}": labs, "{agency}": agencies, "{participant}": participants, "{service}": [service]}
    values = next((values for placeholder, values in by_placeholder.items() if placeholder in topic.name), [""])
    return [_filled(topic, value) for value in values]


def _filled(topic: Topic, value: str) -> str:
    return re.sub(r"\{[a-z]+\}", value, topic.name)
