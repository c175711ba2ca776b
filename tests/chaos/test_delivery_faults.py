"""What goes wrong at endpoints and in the processes that serve them, on a real Kafka and real servers."""

import asyncio
import signal
import threading
from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.broker.receivers import hooks, mails
from tests.chaos.asking import MAIL, ask, deployment, hook, outcomes, registry, unready, until, web
from tests.deliveries.certificates import Authority
from tests.deliveries.servers import Conversation, hanging, saying, serving
from tests.scale import long_run

pytestmark = [long_run, pytest.mark.timeout(120)]
ENDS = ("succeeded", "abandoned")


async def test_one_channel_that_fails_resends_nothing_on_the_others(kafka: str, tmp_path: Path) -> None:
    fails: set[str] = set()

    async def chat(conversation: Conversation) -> None:
        while await conversation.request() is not None and "chat" not in fails:
            await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with hooks() as hooked, mails() as mailed:
        hooked.answer = lambda path: 500 if "hook" in fails else 204
        mailed.answer = lambda: "451 4.3.0 later" if "desk" in fails else "250 taken"
        async with serving(chat) as chatty:
            chats = {"channel": "mattermost", "url": "env:CHAT_URL"}
            names = {"hook": hook(hooked, "a"), "desk": MAIL, "chat": chats}
            one = deployment(kafka, "alone.", tmp_path, rate=20, CHAT_URL=chatty.url("/hooks/abc"))
            await one.prepare(registry(mailed, names))
            try:
                one.start("deliveries")
                for turn, broken in enumerate(names):
                    fails.add(broken)
                    before = len(chatty.got)
                    await ask(one, names, range(turn * 3, turn * 3 + 3))
                    await outcomes(one, turn * 9 + 6, "succeeded")
                    failed = await outcomes(one, turn * 3 + 3, "failed")
                    tried = len(chatty.got)
                    assert {each["endpoint"] for each in failed} == {*list(names)[: turn + 1]}
                    fails.clear()
                    ended = await outcomes(one, turn * 9 + 9, *ENDS)
                    assert len(chatty.got) == (tried if broken == "chat" else before) + 3
            finally:
                one.stop()
    assert {each["outcome"] for each in ended} == {"succeeded"}
    assert set(Counter(each["delivery_id"] for each in ended).values()) == {1}
    for ids in (hooked.ids("/a"), mailed.ids()):
        assert len(ids) == len(set(ids)) == 9


async def test_an_endpoint_that_hangs_keeps_no_other_waiting(kafka: str, tmp_path: Path) -> None:
    with hooks() as hooked, mails() as mailed:
        async with serving(hanging) as silent:
            names = {"silent": web(silent.url()), "hook": hook(hooked, "a"), "desk": MAIL}
            one = deployment(kafka, "hangs.", tmp_path, HERALD_DELIVERIES__AT_ONCE="4")
            await one.prepare(registry(mailed, names))
            try:
                one.start("deliveries")
                await ask(one, ["silent"], range(12))
                await until(lambda: silent.open_now)
                await ask(one, ["hook", "desk"], range(12))
                while len(found := await outcomes(one, 1, *ENDS, "failed")) < 24:
                    assert {each["endpoint"] for each in found} <= {"hook", "desk"}, (
                        "the attempts that hang ended first"
                    )
            finally:
                one.stop()
    assert len(set(hooked.ids("/a"))) == len(set(mailed.ids())) == len(mailed.ids()) == 12


async def test_after_a_receivers_outage_two_processes_tell_it_each_alert_once_and_keep_to_the_schedule_through_kills(
    kafka: str, tmp_path: Path
) -> None:
    paths = ["a", "b", "c", "d", "e"]
    with hooks() as hooked:
        hooked.answer = lambda path: 500
        one = deployment(kafka, "replicas.", tmp_path, partitions=2, rate=60)
        await one.prepare(registry(None, {path: hook(hooked, path) for path in paths}))
        try:
            first, _ = one.start("deliveries", "deliveries")
            await ask(one, paths, range(2))
            await outcomes(one, 20, "failed")  # two of each: the next is five minutes away, and no breaker is open
            first.kill()
            one.start("deliveries")
            hooked.answer = lambda path: 204
            ended = await outcomes(one, 10, *ENDS)
            failed = await outcomes(one, 20, "failed")
        finally:
            one.stop()
    assert {each["outcome"] for each in ended} == {"succeeded"}
    for path in paths:
        assert sorted(Counter(hooked.ids(f"/{path}")).values()) == [1, 1]
    tries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in sorted([*failed, *ended], key=lambda each: int(each["attempts"])):
        tries[each["delivery_id"]].append(each)
    for made in tries.values():
        assert [each["attempts"] for each in made] == [1, 2, 3]
        for before, after in pairwise(made):
            assert datetime.fromisoformat(after["at"]) >= datetime.fromisoformat(before["retry_at"])


@pytest.mark.parametrize("what", ["ends", "shares"])
async def test_an_attempt_that_runs_while_its_process_ends_or_shares_is_committed_and_no_mail_repeats(
    kafka: str, tmp_path: Path, what: str
) -> None:
    came, goes_on = threading.Event(), threading.Event()

    def answer() -> str:
        came.set()
        goes_on.wait(30)
        return "250 taken"

    with mails() as mailed:
        mailed.answer = answer
        one = deployment(kafka, f"handed-{what}.", tmp_path)
        await one.prepare(registry(mailed, {"desk": MAIL}))
        try:
            (first,) = one.start("deliveries")
            await one.ready(first)
            await ask(one, ["desk"], range(1))
            await until(came.is_set)
            if what == "ends":
                first.signal(signal.SIGTERM)
            else:
                one.start("deliveries")
            await unready(first)
            goes_on.set()
            if what == "ends":
                assert await asyncio.to_thread(first.popen.wait, 30) == 0
                (done,) = await outcomes(one, 0, *ENDS)
                assert done["outcome"] == "succeeded"
                one.start("deliveries")
            await ask(one, ["desk"], range(1, 3))
            ended = await outcomes(one, 3, *ENDS)
        finally:
            goes_on.set()
            one.stop()
    assert [(each["outcome"], each["attempts"]) for each in ended] == [("succeeded", 1)] * 3
    assert len(mailed.ids()) == len(set(mailed.ids())) == 3


@pytest.mark.parametrize("step", ["done", pytest.param("commit", marks=long_run)])
async def test_a_process_that_is_frozen_past_its_session_and_thawed_loses_no_outcome(
    kafka: str, tmp_path: Path, step: str
) -> None:
    with hooks() as hooked, mails() as mailed:
        names = {"hook": hook(hooked, "a"), "desk": MAIL}
        one = deployment(kafka, f"frozen-{step}.", tmp_path)
        await one.prepare(registry(mailed, names))
        try:
            (frozen,) = one.start("deliveries", step=f"{step}:3:freeze")
            await ask(one, names, range(6))
            await until(lambda: frozen.is_frozen)
            (heir,) = one.start("deliveries")
            await outcomes(one, 12, *ENDS)
            frozen.signal(signal.SIGCONT)
            await ask(one, names, range(6, 12))
            ended = await outcomes(one, 24, *ENDS)
            await one.ready(frozen, heir)
        finally:
            one.stop()
    assert {each["outcome"] for each in ended} == {"succeeded"}
    assert set(Counter(each["delivery_id"] for each in ended).values()) == {1}
    assert len(set(hooked.ids("/a"))) == len(set(mailed.ids())) == 12
    assert max(Counter(mailed.ids()).values()) <= 2, "what had begun when the process froze is repeated once"
    assert set(Counter(mailed.ids()[-6:]).values()) == {1}


async def test_what_will_never_be_taken_is_tried_once_and_stands_in_the_outcomes(kafka: str, tmp_path: Path) -> None:
    tls = Authority(tmp_path).server("unknown")
    said = {"bad": 400, "gone": 410, "missing": 404, "moved": 307}
    with hooks() as hooked, mails() as mailed:
        hooked.answer = lambda path: said[path[1:]]
        mailed.answer = lambda: "550 5.1.1 no such mailbox"
        async with serving(saying(b""), tls) as untrusted:
            names = {path: hook(hooked, path) for path in said} | {
                "desk": MAIL,
                "tls": web(untrusted.url()),
                "private": web("https://10.1.2.3/hook"),
                "metadata": web("http://169.254.169.254/latest"),
            }
            one = deployment(kafka, "never.", tmp_path)
            await one.prepare(registry(mailed, names))
            try:
                one.start("deliveries")
                await ask(one, names, range(1))
                ended = await outcomes(one, len(names), *ENDS)
                failed = await outcomes(one, 0, "failed")
            finally:
                one.stop()
    assert not failed
    assert {each["endpoint"]: (each["reason"], each["failure"], each["attempts"]) for each in ended} == {
        "bad": ("refused", "refused", 1),
        "gone": ("refused", "gone", 1),
        "missing": ("refused", "refused", 1),
        "moved": ("refused", "redirected", 1),
        "desk": ("refused", "gone", 1),
        "tls": ("refused", "tls", 1),
        "private": ("refused", "forbidden-address", 1),
        "metadata": ("refused", "forbidden-address", 1),
    }
