"""Files that people write: releases and the registry, YAML or JSON, with line, field and remedy."""

import json
import re
from pathlib import Path

import pytest

from schemas import registry_file, release_file
from schemas.registry import Registry
from schemas.registry_diff import differences
from schemas.yaml_file import FileError
from tests.simulation.world import registry, release

ROOT = Path(__file__).resolve().parents[2]

RELEASE = """\
reference: halo-4
model:
  name: Halo 4
trusted_partner_release_at: 2027-03-31T00:00:00Z
audience: {mode: matching}
"""


def problems(text: str, load: object = release_file.load) -> list[str]:
    with pytest.raises(FileError) as error:
        load(text)  # type: ignore[operator]
    return [f"{p.field}: {p.message}" if p.field else p.message for p in error.value.problems]


def test_yaml_and_json_state_the_same_release() -> None:
    assert release_file.load(json.dumps(release())) == release_file.load(json.dumps(release(), indent=2))
    assert release_file.load(RELEASE).trusted_partner_release_at.year == 2027


def test_each_problem_names_field_rule_and_line() -> None:
    found = problems(RELEASE.replace("  name: Halo 4", "  nam: Halo 4").replace("reference: halo-4", "reference: 4"))
    assert found == [
        "reference: must be a string; put it in quotes (line 1)",
        "model.name: is required (line 2)",
        "model.nam: is unknown; did you mean name? (line 3)",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("- 1", "must hold a release"),
        ("", "must hold a release"),
        (RELEASE + "reference: twice\n", "reference: stands here twice; keep one (line 6)"),
        (RELEASE + "exercise: yes\n", "exercise: must be true or false, without quotes (line 6)"),
        ("&a [*a]", "an alias of itself"),
        (RELEASE + "handling: !!python/object/apply:os.system ['x']\n", "handling: must be a string"),
        ("x" * 300_000, "must be at most"),
        (RELEASE + "tlp: TLP:WHITE\n", "tlp: must be 'TLP:CLEAR', 'TLP:GREEN'"),
        (RELEASE + "handling: !!timestamp 2027-01-01\n", "handling: has a tag; write the plain value (line 6)"),
        (RELEASE + "exercise: !!bool x\n", "exercise: has a tag; write the plain value (line 6)"),
        (RELEASE + 'handling: "\\ud800"\n', "handling: holds half a surrogate pair (line 6)"),
        (RELEASE + "? [a, b]\n: c\n", "has a list or mapping as a key; write a name (line 6)"),
        (RELEASE + "\x1b[31m: 1\n", "is not YAML: special characters are not allowed"),
        (RELEASE + '"\\e[31m": 1\n', "?[31m: is unknown; leave it out (line 1)"),
        ('{\n\t"reference": }', "is not JSON: Expecting value (line 2)"),
        ('{\n\t"reference": "a", "reference": "b"}', "reference: stands twice in one object; keep one"),
        ('{\n\t"a": ' + "[" * 5000, "is nested too deeply"),
        ('{\n\t"a": ' + "9" * 5000 + "}", "a number too long to read"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(text: str, said: str) -> None:
    assert said in "\n".join(problems(text))


def test_json_may_be_indented_by_tabs() -> None:
    assert release_file.load(json.dumps(release(), indent="\t")) == release_file.load(json.dumps(release()))


def test_what_lies_beyond_16_bits_is_the_same_escaped_or_not() -> None:
    stated = release(handling="\N{ROCKET}")
    assert release_file.load(json.dumps(stated)) == release_file.load(json.dumps(stated, ensure_ascii=False))


@pytest.mark.parametrize("seed", ["x", "[]", "'" + "y" * 2000 + "'"])
def test_a_few_aliases_that_stand_for_millions_of_values_are_stopped(seed: str) -> None:
    levels = [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 9)]
    assert "once its aliases are written out" in problems(f"a0: &a0 {seed}\n" + "\n".join(levels))[0]


def test_what_a_registry_may_hold_is_said_in_one_line_a_field() -> None:
    agency = "agencies:\n  cisa:\n    name: CISA\n    interests: {capabilities: %s}\n"
    where = "agencies.cisa.interests.capabilities"
    assert problems(agency % "cyber", registry_file.load) == [f"{where}: must be 'all'; or must be a list (line 4)"]
    (one,) = problems(agency % "[Bad One]", registry_file.load)
    assert one.startswith(f"{where}.0: must be a capability's name")


def test_the_registry_of_the_project_is_sound() -> None:
    found = registry_file.load((ROOT / "deploy" / "registry.yaml").read_text())
    assert set(found.agencies) == {"dod", "treasury", "cisa", "caisi"}
    assert registry_file.load((ROOT / "deploy" / "demo" / "registry.yaml").read_text()).labs.keys() == found.labs.keys()


def test_what_is_commented_out_in_the_registry_of_the_project_is_sound_too() -> None:
    text = (ROOT / "deploy" / "registry.yaml").read_text()
    found = registry_file.load(re.sub(r"^( *)# (?=( *)[a-z_-]+:(?!/))", r"\1", text, flags=re.MULTILINE))
    cisa = found.agencies["cisa"]
    assert {name: one.channel for name, one in cisa.endpoints.items()} == {
        "desk": "webhook",
        "desk-mail": "email",
        "officer": "slack",
    }
    assert cisa.quiet_hours is not None
    assert found.mail is not None
    assert found.drills is not None
    assert found.allow_networks
    assert registry_file.load(text).agencies["cisa"].endpoints == {}


REGISTRY = """\
labs:
  lab-a: {name: A}
agencies:
  cisa:
    name: CISA
    time_zone: America/New_Yorc
    tiers: [watch, watch]
    interests:
      capabilities: [cybr]
      labs: [lab-b]
  lab-a: {name: Both}
capabilities:
  cyber: finds weaknesses
"""


def test_a_registry_file_is_checked_with_line_field_and_remedy() -> None:
    assert problems(REGISTRY, registry_file.load) == [
        "agencies.lab-a: is a lab's id too; ids are unique across both (line 11)",
        "agencies.cisa.time_zone: America/New_Yorc is no time zone; write one such as America/New_York (line 6)",
        "agencies.cisa.tiers: names a tier twice; each stands once, in order (line 7)",
        "agencies.cisa.interests.capabilities: cybr is unknown; did you mean cyber? (line 9)",
        "agencies.cisa.interests.labs: lab-b is unknown; did you mean lab-a? (line 10)",
    ]


def test_drills_need_a_lab_that_is_there_and_a_day_between_them() -> None:
    text = "labs:\n  drill-desk: {name: Drills}\ndrills:\n  lab: %s\n  every: %s\n"
    assert problems(text % ("dril-desk", "PT23H"), registry_file.load) == [
        "drills.lab: dril-desk is no lab; did you mean drill-desk? (line 4)",
        "drills.every: is less than a day; write P1D or more, such as P28D (line 5)",
    ]
    (one,) = problems(text % ("other", "P1D"), registry_file.load)
    assert one.startswith("drills.lab: other is no lab; add it under labs: best one of its own")
    found = registry_file.load(text % ("drill-desk", "P1D"))
    assert differences(registry_file.load("labs:\n  drill-desk: {name: Drills}\n"), found) == [
        "+ drills: lab drill-desk, every P1D"
    ]


def test_an_id_that_was_offboarded_is_never_used_again() -> None:
    text = "agencies:\n  gone: {name: Gone}\n"
    with pytest.raises(FileError, match="was offboarded"):
        registry_file.load(text, frozenset({"gone"}))


def test_differences_say_what_was_added_removed_and_changed() -> None:
    before = registry()
    after = registry(
        labs={"lab": {"name": "Renamed"}},
        agencies=json.loads(before.model_dump_json())["agencies"] | {"new": {"name": "New"}},
        capabilities={"cyber": "said better", "biology": "designs", "autonomy": "goes on"},
        policy={"answer_within": "P2D"},
    )
    assert differences(before, after) == [
        "- labs.other",
        "~ labs.lab.name: Lab → Renamed",
        "+ agencies.new",
        "~ capabilities.cyber: finds weaknesses → said better",
        "~ policy.answer_within: P1D → P2D",
    ]
    assert differences(Registry(), Registry()) == []


def test_differences_name_endpoints_relay_and_networks() -> None:
    desk = {"channel": "webhook", "tier": "watch", "url": "https://a.example/", "secrets": ["env:ONE"]}
    post = {"channel": "email", "tier": "lead", "to": "lead@a.example"}
    cisa = {"name": "CISA", "tiers": ["watch", "lead"]}
    before = registry(
        agencies={
            "cisa": cisa | {"endpoints": {"desk": desk, "old": desk}},
            "gone": {"name": "Gone", "endpoints": {"desk": desk}},
        },
        allow_networks=["10.0.0.0/8", "fd00::/8"],
    )
    changed = desk | {"secrets": ["env:ONE", "env:TWO"], "url": "https://b.example/", "headers": {"X-Queue": "a"}}
    after = registry(
        agencies={
            "cisa": cisa
            | {"endpoints": {"desk": changed, "post": post}, "quiet_hours": {"begins": "22:00", "ends": "07:00"}}
        },
        mail={"host": "relay.example", "sender": "herald@a.example"},
        allow_networks=["fd00::/8", "127.0.0.0/8"],
    )
    assert differences(before, after) == [
        "- agencies.gone",
        "- agencies.gone.endpoints.desk: webhook for watch",
        "+ agencies.cisa.quiet_hours: begins 22:00, ends 07:00",
        "+ agencies.cisa.endpoints.post: email for lead",
        "- agencies.cisa.endpoints.old: webhook for watch",
        "+ agencies.cisa.endpoints.desk.headers.X-Queue: a",
        "~ agencies.cisa.endpoints.desk.secrets: env:ONE → env:ONE, env:TWO",
        "~ agencies.cisa.endpoints.desk.url: https://a.example/ → https://b.example/",
        "+ mail: host relay.example, port 587, security starttls, sender herald@a.example",
        "+ allow_networks: 127.0.0.0/8",
        "- allow_networks: 10.0.0.0/8",
    ]
    assert differences(after, after.model_copy(update={"allow_networks": after.allow_networks[::-1]})) == []
