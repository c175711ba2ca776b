"""The plan of who may do what in Kafka, and what makes Kafka's list equal to it."""

import json

import pytest

from schemas.access import (
    AUDIT,
    DOOR,
    OPERATOR,
    SERVICE_OWNER,
    WATCHDOG,
    Acl,
    Grant,
    changes,
    granted,
    number_of,
    owner_of,
    plan,
    spent,
)
from schemas.registry import Drills, Lab, Registry
from schemas.topics import SERVICES
from schemas.watchdog import AGENCY, LAB, enrolled

REGISTRY = Registry.model_validate_json(
    json.dumps(
        {
            "version": 1,
            "labs": {"aurora-labs": {"name": "Aurora"}},
            "agencies": {name: {"name": name} for name in ("cisa", "cisa-ics", "windows", "service")},
            "offboarded": {"treasury": "2027-01-01T00:00:00Z"},
        }
    )
)
PLAN = plan(REGISTRY)


def topics(owner: str, operation: str) -> set[str]:
    return {grant.name for grant in PLAN[owner] if grant.resource == "topic" and operation in grant.operations}


def test_a_lab_writes_its_releases_and_reads_its_receipts_and_nothing_else() -> None:
    assert set(PLAN["aurora-labs"]) == {
        Grant("topic", "herald.releases.aurora-labs", "literal", ("describe", "write")),
        Grant("topic", "herald.receipts.aurora-labs", "literal", ("describe", "read")),
    }


def test_an_agency_reads_its_alerts_and_receipts_writes_its_acks_and_has_groups_of_its_own() -> None:
    assert set(PLAN["cisa"]) == {
        Grant("topic", "herald.alerts.cisa", "literal", ("describe", "read")),
        Grant("topic", "herald.receipts.cisa", "literal", ("describe", "read")),
        Grant("topic", "herald.acks.cisa", "literal", ("describe", "write")),
        Grant("topic", "herald.heartbeat", "literal", ("describe", "read")),
        Grant("group", "herald.cisa.", "prefixed", ("describe", "read")),
    }


def test_every_topic_is_granted_by_its_whole_name_and_no_participants_groups_hold_anothers() -> None:
    grants = [grant for grants in PLAN.values() for grant in grants]
    assert {grant.match for grant in grants if grant.resource == "topic"} == {"literal"}
    prefixes = [grant.name for grant in grants if grant.resource == "group" and grant.match == "prefixed"]
    names = [grant.name for grant in grants if grant.resource == "group"]
    for prefix in prefixes:
        assert prefix.endswith(".")
        assert [name for name in names if name.startswith(prefix)] == [prefix]  # also of the agency named `windows`


def test_no_services_transactional_ids_hold_anothers() -> None:
    prefixes = [g.name for grants in PLAN.values() for g in grants if g.resource == "transactional-id"]
    assert len(prefixes) == len(SERVICES) + 1
    for prefix in prefixes:
        assert [other for other in prefixes if other.startswith(prefix)] == [prefix]


def test_announcements_and_windows_have_no_way_to_or_from_acknowledgements() -> None:
    for service in ("announcements", "windows"):
        for grant in PLAN[SERVICE_OWNER + service]:
            names = set(grant.name.split("."))
            assert not {"acks", "alerts", "acknowledgements", "reminders", "deliveries", "delivery-outcomes"} & names


def test_deliveries_is_asked_by_the_notifier_and_itself_answers_with_outcomes_and_has_nothing_else() -> None:
    assert set(PLAN[SERVICE_OWNER + "deliveries"]) == {
        Grant("topic", "herald.deliveries", "literal", ("describe", "read", "write")),
        Grant("topic", "herald.delivery-outcomes", "literal", ("describe", "write")),
        Grant("topic", "herald.registry-versions", "literal", ("describe", "read")),
        Grant("topic", "herald.replays", "literal", ("describe", "read")),
        Grant("topic", "herald.dead-letters", "literal", ("describe", "write")),
        Grant("topic", "herald.state.deliveries", "literal", ("describe", "read", "write")),
        Grant("group", "herald.deliveries", "literal", ("describe", "read")),
        Grant("transactional-id", "herald.deliveries-", "prefixed", ("describe", "write")),
    }
    for operation, topic, owners in (
        ("write", "herald.deliveries", ["service.notifier", "service.deliveries", DOOR, WATCHDOG, OPERATOR]),
        ("read", "herald.deliveries", ["service.deliveries", DOOR, AUDIT, OPERATOR]),
        ("write", "herald.delivery-outcomes", ["service.deliveries"]),
        ("read", "herald.delivery-outcomes", ["service.notifier", DOOR, AUDIT, OPERATOR]),
    ):
        assert [owner for owner in PLAN if topic in topics(owner, operation)] == owners, (operation, topic)


def test_each_service_has_its_own_state_only_and_answers_only_whom_it_decides_about() -> None:
    for service in SERVICES:
        mine = {*topics(SERVICE_OWNER + service, "read"), *topics(SERVICE_OWNER + service, "write")}
        assert [name for name in mine if ".state." in name] == [f"herald.state.{service}"]
    labs, agencies = {"aurora-labs"}, {"cisa", "cisa-ics", "windows", "service"}
    for service, whom in (
        ("gateway", labs | agencies),
        ("announcements", labs),
        ("notifier", labs),
        ("acknowledgements", agencies),
    ):
        written = {n.split(".")[2] for n in topics(SERVICE_OWNER + service, "write") if ".receipts." in n}
        assert written - {"treasury"} == whom, service


def test_who_was_offboarded_may_do_nothing_but_the_services_still_reach_its_topics() -> None:
    assert "treasury" not in PLAN
    assert "herald.alerts.treasury" in topics("service.notifier", "write")
    assert "herald.acks.treasury" in topics("service.gateway", "read")


def test_the_operator_reads_no_edge_and_no_release() -> None:
    edges = {"alerts", "receipts", "releases", "acks", "acknowledgements"}
    read = topics(OPERATOR, "read")  # who was told what, for a leak; who answered, for a drill
    assert {name for name in read if name.split(".")[1] in edges} == {"herald.alerts", "herald.acknowledgements"}
    assert not {name for name in topics(OPERATOR, "write") if name.split(".")[1] in edges}


def test_for_drills_the_operator_speaks_as_the_lab_that_the_registry_names_and_as_no_other() -> None:
    labs = {name: Lab(name=name) for name in ("aurora-labs", "drill-desk")}
    with_drills = REGISTRY.model_copy(update={"labs": labs, "drills": Drills(lab="drill-desk")})
    without = with_drills.model_copy(update={"drills": None})
    entries = [granted("service.operator.1", plan(one)[OPERATOR]) for one in (with_drills, without)]
    assert {(acl.name, acl.operation) for acl in entries[0] - entries[1]} == {
        ("herald.releases.drill-desk", "write"),
        ("herald.receipts.drill-desk", "read"),
    }
    gone = with_drills.model_copy(update={"labs": REGISTRY.labs})
    assert set(plan(gone)[OPERATOR]) == set(PLAN[OPERATOR])


def test_the_audit_reads_what_was_said_and_told_and_changes_nothing_of_it() -> None:
    told = {"herald.alerts.cisa", "herald.receipts.aurora-labs", "herald.releases.aurora-labs", "herald.reminders"}
    assert told <= topics(AUDIT, "read")
    assert topics(AUDIT, "write") == {"herald.audit"}


def test_what_was_audited_the_door_writes_and_the_operator_alone_reads() -> None:
    assert [owner for owner in PLAN if "herald.audit" in topics(owner, "read")] == [OPERATOR]
    assert [owner for owner in PLAN if "herald.audit" in topics(owner, "write")] == [DOOR, AUDIT, OPERATOR]


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("cisa.1", "cisa"),
        ("cisa-ics.12", "cisa-ics"),
        ("service.1", "service"),  # an agency may be called so
        ("service.windows.2", "service.windows"),
        ("cisa", None),
        ("cisa.0", None),
        ("cisa.01", None),
        ("cisa.x", None),
        ("service.windows", None),
        ("other.windows.1", None),
        ("admin", None),
        ("CN=cisa.1", None),
    ],
)
def test_a_users_name_says_whose_it_is(user: str, owner: str | None) -> None:
    assert owner_of(user) == owner


def test_no_user_belongs_to_two_owners() -> None:
    assert [owner_of(f"{owner}.{number}") for owner in PLAN for number in (1, 10)] == [o for o in PLAN for _ in "12"]
    assert number_of("service.windows.10") == 10


def test_the_list_becomes_equal_to_the_plan_for_users_that_exist_and_others_stay() -> None:
    mine = granted("cisa.1", PLAN["cisa"])
    missing = Acl("cisa.1", "topic", "herald.alerts.cisa", "literal", "read")
    elsewhere = missing._replace(host="10.0.0.1")
    denied = missing._replace(permission="deny")
    stray = Acl("cisa.1", "topic", "herald.alerts.cisa-ics", "literal", "read")
    leaver = Acl("treasury.1", "topic", "herald.alerts.treasury", "literal", "read")
    vanished = Acl("cisa.3", "topic", "herald.alerts.cisa", "literal", "read")
    stranger = Acl("payroll.1", "topic", "herald.alerts.cisa", "literal", "read")
    there = (mine - {missing}) | {elsewhere, denied, stray, leaver, vanished, stranger, spent("cisa.2")}
    found = changes(PLAN, REGISTRY.offboarded, {"cisa.1", "treasury.1", "payroll.1"}, there)
    assert found.add == [missing]
    assert set(found.remove) == {elsewhere, denied, stray, leaver, vanished}
    after = (there - set(found.remove)) | set(found.add)
    assert after == mine | {stranger, spent("cisa.2")}
    assert not any(changes(PLAN, REGISTRY.offboarded, {"cisa.1", "treasury.1", "payroll.1"}, after))


def test_the_watchdog_speaks_as_its_own_lab_and_agency_which_own_nothing_themselves() -> None:
    found = plan(enrolled(REGISTRY))
    assert {LAB, AGENCY}.isdisjoint(found)
    assert set(found[WATCHDOG]) == {
        Grant("topic", "herald.releases.watchdog", "literal", ("describe", "write")),
        Grant("topic", "herald.receipts.watchdog", "literal", ("describe", "read")),
        Grant("topic", "herald.acks.watchdog-desk", "literal", ("describe", "write")),
        Grant("topic", "herald.alerts.watchdog-desk", "literal", ("describe", "read")),
        Grant("topic", "herald.receipts.watchdog-desk", "literal", ("describe", "read")),
        Grant("topic", "herald.heartbeat", "literal", ("describe", "read", "write")),
        Grant("topic", "herald.deliveries", "literal", ("describe", "write")),
        Grant("topic", "herald.registry-versions", "literal", ("describe", "read")),
        Grant("group", "herald.watchdog", "literal", ("describe", "read")),
    }


def test_every_agency_may_read_the_heartbeat_and_the_watchdog_alone_writes_it() -> None:
    agencies = set(REGISTRY.agencies)
    assert {owner for owner in PLAN if "herald.heartbeat" in topics(owner, "read")} == {*agencies, DOOR, WATCHDOG}
    assert [owner for owner in PLAN if "herald.heartbeat" in topics(owner, "write")] == [WATCHDOG]


def test_the_door_knows_of_topics_that_it_does_not_read_only_how_long_they_are() -> None:
    readable, seen = topics(DOOR, "read"), topics(DOOR, "describe")
    writable = topics(DOOR, "write")
    assert seen - readable - writable == {f"herald.{name}" for name in ("releases", "acks", "alerts", "reminders")}
    assert {name for name in writable if ".state." in name} == set()
    groups = {grant for grant in PLAN[DOOR] if grant.resource == "group"}
    assert groups == {Grant("group", f"herald.{service}", "literal", ("describe",)) for service in SERVICES}
