"""The runbook is right about what is kept, and names only what there is."""

import re

import yaml

from tests.repo.runbook import RUNBOOK, section
from tests.repo.test_docs import ROOT, commands


def test_each_topic_is_kept_as_long_as_the_runbook_says() -> None:
    said: dict[str, str] = {}
    for topics, kept in re.findall(r"^\| (`.*?) \| (.*?) \|", section("What retention keeps"), re.MULTILINE):
        for topic in re.findall(r"`([^`]+)`", topics):
            assert topic not in said, topic
            said[topic] = kept
    catalogue = yaml.safe_load((ROOT / "schemas" / "topics.yaml").read_text())
    assert said == {name: topic["retention"] for name, topic in catalogue.items()}


def test_each_command_that_the_runbook_names_exists() -> None:
    known = commands()
    text = " ".join(RUNBOOK.split())
    named = re.findall(r"\bherald ([a-z]+(?:-[a-z]+)*(?: [a-z]+(?:-[a-z]+)*)?)", text)
    for words in named:
        assert f"herald {words}" in known or f"herald {words.split()[0]}" in known, words


def test_links_of_the_runbook_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", RUNBOOK):
        assert (ROOT / "deploy" / target).exists(), target
    headings = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", RUNBOOK, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= headings
