"""No stored secret: a CI's identity buys a token of Herald's, once: real issuers, real doors, a real Kafka."""

import asyncio
import base64
import hmac
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey

from schemas.registry import Registry
from services.embedded.ports import free
from services.kernel.credential_log import Token, described, issued, record, revoke
from tests.broker.certificates import self_signed
from tests.broker.deployment import Deployment, Process
from tests.broker.flow import AGENCIES, registry, release
from tests.broker.issuer import FOREIGN, SIGNING, Issuer, elliptic, issuing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

RUN_A = {"repository": "lab-a/model", "ref": "refs/heads/main", "environment": "release", "sub": "repo:lab-a/model"}
RUN_B = RUN_A | {"repository": "lab-b/model", "sub": "repo:lab-b/model"}
LISTED = {"repository": "lab-a/model", "ref": "refs/heads/main", "environment": "release"}


@dataclass(slots=True)
class Doors:
    """Two doors. Issuers: listed ones (one of them with a certificate that nobody trusts), and one that is not."""

    deployment: Deployment
    processes: list[Process]
    addresses: list[str]
    issuers: list[Issuer]
    trusted: Issuer
    untrusted: Issuer
    unlisted: Issuer

    @property
    def issuer(self) -> Issuer:
        """The one of most tests."""
        return self.issuers[0]

    async def exchange(self, id_token: Any, lab: Any = "lab-a", door: int = 0) -> httpx.Response:
        """Presents an identity."""
        async with httpx.AsyncClient(base_url=self.addresses[door], timeout=40) as client:
            return await client.post("/v1/tokens", json={"lab": lab, "id_token": id_token})

    async def status(self, token: str, door: int = 0) -> int:
        """What a door answers to a token: 404 when it is taken."""
        async with httpx.AsyncClient(base_url=self.addresses[door], timeout=40) as client:
            found = await client.get("/v1/receipts/none", headers={"Authorization": f"Bearer {token}"})
        return found.status_code

    def start(self, door: int, **env: str) -> None:
        """Starts a door on its port."""
        self.deployment.env = {
            "HERALD_DOOR__PORT": self.addresses[door].rpartition(":")[2],
            "HERALD_DOOR__BURST": "2000",
            "HERALD_DATA": str(self.deployment.folder / f"data-{door}"),
            # A proxy that is not there: an issuer is asked directly. And the one certificate that is trusted.
            "HTTP_PROXY": "http://127.0.0.1:1",
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "SSL_CERT_FILE": str(self.deployment.folder / "trusted.pem"),
            **env,
        }
        (process,) = self.deployment.start("gateway.door")
        self.processes[door:] = [process, *self.processes[door + 1 :]]


def publishing(issuers: list[Issuer]) -> Registry:
    """The registry: lab-a at every issuer, lab-b at the first."""
    plain = json.loads(registry().model_dump_json(exclude_none=True))
    plain["labs"]["lab-a"]["publishers"] = [{"issuer": one.address, "claims": LISTED} for one in issuers]
    plain["labs"]["lab-b"]["publishers"] = [
        {"issuer": issuers[0].address, "claims": {"repository": "lab-b/model"}, "audience": "herald"}
    ]
    return Registry.model_validate_json(json.dumps(plain))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    """One deployment for the tests of this file."""
    folder = tmp_path_factory.mktemp("doors")
    good, bad = self_signed(folder / "trusted.pem"), self_signed(folder / "untrusted.pem")
    deployment = Deployment(kafka, "publishing.", folder, partitions=2)
    with issuing(10) as plain, issuing(tls=good) as [trusted], issuing(tls=bad) as [untrusted]:
        *listed, unlisted = plain
        addresses = [f"http://127.0.0.1:{free()}" for _ in range(2)]
        doors = Doors(deployment, [], addresses, listed, trusted, untrusted, unlisted)
        for one in (*listed, trusted, untrusted, unlisted):
            one.run = RUN_A
        try:
            await deployment.prepare(publishing([*listed, trusted, untrusted]))
            for door in range(2):
                doors.start(door)
            await deployment.ready()
            yield doors
        finally:
            deployment.stop()


async def kept(doors: Doors) -> int:
    """How many records the topic of tokens has."""
    return len(await doors.deployment.read("credentials"))


async def test_a_ci_s_identity_buys_a_token_that_speaks_for_its_lab_alone_at_every_door_for_ten_minutes(
    doors: Doors,
) -> None:
    id_token, before = doors.issuer.token(), datetime.now(UTC)
    answer = await doors.exchange(id_token)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said["lab"] == "lab-a"
    lasts = datetime.fromisoformat(said["expires_at"]) - before
    assert timedelta(minutes=10) <= lasts <= timedelta(minutes=10) + (datetime.now(UTC) - before)
    headers = {"Authorization": f"Bearer {said['token']}", "Content-Type": "application/cloudevents+json"}
    async with httpx.AsyncClient(base_url=doors.addresses[1], headers=headers, timeout=40) as client:
        event = {"specversion": "1.0", "id": "ci-1", "source": "/labs/lab-a", "data": release("by-ci")}
        event |= {"type": "herald.release.announced.v1"}
        assert (await client.post("/v1/events", content=json.dumps(event))).status_code == 202
        other = await client.post("/v1/events", content=json.dumps(event | {"source": "/labs/lab-b"}))
        assert (other.status_code, other.json()["reasons"][0]["code"]) == (403, "wrong_origin")
        assert (await client.get("/v1/alerts")).status_code == 403
    written = b"".join(r.value or b"" for r in await doors.deployment.read("credentials")).decode()
    logged = "".join(process.log.read_text() for process in doors.processes)
    assert said["token_id"] in written
    audited = await doors.deployment.events("audit")
    assert [(one["data"]["action"], one["data"]["participant"], one["data"]["credential"]) for one in audited] == [
        ("token.exchange", "lab-a", f"token/{said['token_id']}"),
        ("release.announce", "lab-a", f"token/{said['token_id']}"),
    ]
    assert audited[0]["data"]["request_id"] == answer.headers["X-Request-Id"]
    for secret in (said["token"].split("_", 2)[2], id_token.rpartition(".")[2]):
        assert secret not in written + logged


def encoded(raw: bytes) -> str:
    """As in the parts of a token."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, signature: bytes = b"") -> str:
    """A token that no library would make."""
    return ".".join(encoded(part) for part in (json.dumps(header).encode(), json.dumps(claims).encode(), signature))


def hmac_with(secret: bytes) -> Callable[[Issuer], str]:
    """Signed with the public key, which everybody has, as if it were a secret."""

    def make(issuer: Issuer) -> str:
        part = by_hand({"alg": "HS256", "kid": "key-1"}, issuer.claims()).rpartition(".")[0]
        return f"{part}.{encoded(hmac.digest(secret, part.encode(), 'sha256'))}"

    return make


def changed(token: str) -> str:
    """The same with another lab's repository in it, under the old signature."""
    header, payload, signature = token.split(".")
    said = base64.urlsafe_b64decode(payload + "==").replace(b"lab-a/model", b"lab-b/model")
    return f"{header}.{encoded(said)}.{signature}"


def nested() -> str:
    """Claims that are lists in lists in lists."""
    return f"{by_hand({'alg': 'RS256', 'kid': 'key-1'}, {}).partition('.')[0]}.{encoded(b'[' * 9000)}.x"


PUBLIC_PEM = SIGNING.as_pem(private=False)
PUBLIC_JWK = json.dumps(SIGNING.as_dict(private=False)).encode()
REFUSED: dict[str, tuple[str, Callable[[Issuer], str]]] = {
    "another audience": ("wrong_audience", lambda i: i.token(aud="pypi")),
    "an audience beside Herald": ("wrong_audience", lambda i: i.token(aud=["herald", "pypi"])),
    "no audience": ("wrong_audience", lambda i: i.token(aud=None)),
    "another's key under a known id": ("wrong_signature", lambda i: i.token(key=FOREIGN)),
    "a key that is not listed": ("unknown_key", lambda i: i.token(kid="key-2", key=FOREIGN)),
    "no key named": ("unknown_key", lambda i: by_hand({"alg": "RS256"}, i.claims(), b"x" * 256)),
    "no algorithm": ("wrong_algorithm", lambda i: by_hand({"alg": "none", "kid": "key-1"}, i.claims())),
    "no algorithm, spelt anew": ("wrong_algorithm", lambda i: by_hand({"alg": "None", "kid": "key-1"}, i.claims())),
    "HMAC with the public key": ("wrong_algorithm", hmac_with(PUBLIC_PEM)),
    "HMAC with the public key as JSON": ("wrong_algorithm", hmac_with(PUBLIC_JWK)),
    "another algorithm of the same key": ("wrong_algorithm", lambda i: i.token(alg="PS256")),
    "a longer hash with the same key": ("wrong_algorithm", lambda i: i.token(alg="RS512")),
    "signed, then changed": ("wrong_signature", lambda i: changed(i.token())),
    "expired": ("expired", lambda i: i.token(exp=int(time.time()) - 90)),
    "not yet valid": ("not_yet_valid", lambda i: i.token(nbf=int(time.time()) + 150)),
    "issued in the future": ("not_yet_valid", lambda i: i.token(iat=int(time.time()) + 150)),
    "without an end": ("invalid_claims", lambda i: i.token(exp=None)),
    "without a beginning": ("invalid_claims", lambda i: i.token(iat=None)),
    "an end that is no number": ("invalid_claims", lambda i: i.token(exp="2099-01-01")),
    "lasting for days": ("invalid_claims", lambda i: i.token(exp=int(time.time()) + 3 * 86400)),
    "another lab's repository": ("no_publisher", lambda i: i.token(**RUN_B)),
    "another branch": ("no_publisher", lambda i: i.token(ref="refs/heads/main2")),
    "without the environment": ("no_publisher", lambda i: i.token(environment=None)),
    "a claim that is no string": ("no_publisher", lambda i: i.token(environment=["release"])),
    "no token at all": ("unreadable", lambda _: "eyJhbGciOiJub25lIn0"),
    "a header that is no object": ("unreadable", lambda i: by_hand(["alg"], i.claims())),
    "nested too deeply": ("unreadable", lambda _: nested()),
    "too long": ("unreadable", lambda i: i.token(padding="x" * 17000)),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
async def test_an_identity_that_breaks_a_rule_is_refused_by_its_name_and_nothing_is_written(
    doors: Doors, why: str
) -> None:
    code, make = REFUSED[why]
    before = await kept(doors)
    answer = await doors.exchange(make(doors.issuer))
    assert (answer.status_code, answer.json()["type"]) == (403, f"urn:herald:problem:{code}"), answer.text
    assert await kept(doors) == before


async def test_an_issuer_that_is_not_listed_is_refused_without_being_asked(doors: Doors) -> None:
    for issuer in (doors.unlisted.address, f"{doors.issuer.address}/", "http://127.0.0.1:1", None, 7):
        answer = await doors.exchange(doors.unlisted.token(iss=issuer))
        assert (answer.status_code, answer.json()["title"]) == (403, "wrong issuer"), answer.text
    assert doors.unlisted.asked == []


async def test_an_identity_says_nothing_for_another_lab_nor_for_one_that_is_not_there(doors: Doors) -> None:
    for lab, run in (("lab-b", RUN_A), ("lab-a", RUN_B), ("lab-x", RUN_A), (AGENCIES[0], RUN_A)):
        answer = await doors.exchange(doors.issuer.token(**run), lab)
        assert (answer.status_code, answer.json()["title"]) == (403, "no publisher")
        assert "environment" in answer.json()["detail"]
    assert (await doors.exchange(doors.issuer.token(**RUN_B), "lab-b")).status_code == 201


@pytest.mark.parametrize("body", [{}, {"lab": "lab-a"}, {"lab": "lab-a", "id_token": 7}, {"lab": "A", "id_token": "x"}])
async def test_a_body_that_does_not_fit_is_told_which_field(doors: Doors, body: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=doors.addresses[0]) as client:
        answer = await client.post("/v1/tokens", json=body)
    assert answer.status_code == 422
    assert answer.json()["reasons"][0]["field"] in {"lab", "id_token"}


async def test_clocks_may_differ_by_less_than_a_minute(doors: Doors) -> None:
    now = int(time.time())
    for claims in ({"exp": now - 20}, {"nbf": now + 30, "iat": now + 30}, {"nbf": None}):
        answer = await doors.exchange(doors.issuer.token(**claims))
        assert answer.status_code == 201, answer.text


async def replayed(doors: Doors, id_token: str, door: int) -> bool:
    """Whether a door says that it was exchanged before."""
    answer = await doors.exchange(id_token, door=door)
    return (answer.status_code, answer.json().get("title")) == (403, "replayed")


async def test_a_replay_is_refused_by_the_same_door_and_by_another_also_once_the_token_is_revoked(doors: Doors) -> None:
    id_token = doors.issuer.token()
    token = (await doors.exchange(id_token)).json()
    for door in (0, 1):
        assert await replayed(doors, id_token, door)
    assert await doors.status(token["token"]) == 404  # what it bought goes on
    known = (await issued(doors.deployment.connection))[token["token_id"]]
    await revoke(doors.deployment.connection, known, datetime.now(UTC))
    for door in (0, 1):
        while await doors.status(token["token"], door) != 401:
            await asyncio.sleep(0.05)
        assert await replayed(doors, id_token, door)


async def test_without_an_id_the_signed_part_counts_however_often_it_is_signed(doors: Doors) -> None:
    issuer = doors.issuers[1]
    issuer.keys = {"key-1": elliptic()}
    first = issuer.token(alg="ES256", jti=None)
    assert (await doors.exchange(first)).status_code == 201
    part, _, signature = first.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    mirrored = raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32)
    twin = f"{part}.{encoded(mirrored)}"
    assert twin != first
    assert await replayed(doors, twin, 0)
    assert (await doors.exchange(issuer.token(alg="ES256", jti=None, run_attempt="2"))).status_code == 201


async def test_of_many_that_present_one_identity_at_two_doors_at_once_one_gets_a_token(doors: Doors) -> None:
    for _ in range(3):
        id_token = doors.issuer.token()
        answers = await asyncio.gather(*[doors.exchange(id_token, door=n % 2) for n in range(6)])
        titles = sorted(str(answer.json().get("title")) for answer in answers)
        assert titles == ["None"] + ["replayed"] * 5
        (won,) = [answer.json()["token"] for answer in answers if answer.status_code == 201]
        assert [await doors.status(won, door) for door in (0, 1)] == [404, 404]


async def test_a_door_that_has_not_heard_of_a_token_yet_waits_for_it(doors: Doors) -> None:
    behind = doors.processes[1]
    for _ in range(3):
        behind.signal(signal.SIGSTOP)
        token = (await doors.exchange(doors.issuer.token())).json()["token"]
        asking = asyncio.create_task(doors.status(token, door=1))
        await asyncio.sleep(0.3)  # the request lies there when it goes on, as the token does
        behind.signal(signal.SIGCONT)
        assert await asking == 404
    assert await doors.status(f"herald_{'0' * 12}_unknown", door=1) == 401


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_keys_are_kept_and_an_unknown_one_is_looked_for_so_that_an_issuer_may_rotate_but_not_at_any_rate(
    doors: Doors,
) -> None:
    issuer = doors.issuers[2]
    assert [(await doors.exchange(issuer.token())).status_code for _ in range(3)] == [201] * 3
    assert issuer.asked.count("/jwks") == 1
    issuer.keys |= {"key-2": RSAKey.generate_key(2048), "short": RSAKey.generate_key(1024)}
    assert (await doors.exchange(issuer.token(kid="key-2"))).status_code == 201
    assert (await doors.exchange(issuer.token(kid="short"))).json()["title"] == "unknown key"
    flood = await asyncio.gather(*[doors.exchange(issuer.token(kid=f"no-{n}", key=FOREIGN)) for n in range(30)])
    assert {answer.json()["title"] for answer in flood} == {"unknown key"}
    assert issuer.asked.count("/jwks") <= 6
    assert (await doors.exchange(issuer.token())).status_code == 201


async def test_an_issuer_that_misbehaves_is_not_followed(doors: Doors) -> None:
    hanging, redirecting, large, lying, outside, broken = doors.issuers[-6:]
    about, away = "/.well-known/openid-configuration", doors.issuer.address
    configuration = {"issuer": away, "jwks_uri": f"{away}/jwks"}
    hanging.answers[about] = _json({"issuer": hanging.address, "jwks_uri": f"{hanging.address}/hangs"})
    redirecting.answers[about] = (302, {"Location": f"{away}{about}"}, b"")
    large.answers[about] = (200, {}, json.dumps(configuration | {"padding": "x" * 300_000}).encode())
    lying.answers[about] = _json(configuration)
    outside.answers[about] = _json({"issuer": outside.address, "jwks_uri": "http://keys.example/jwks"})
    broken.answers[about] = (200, {}, b"[" * 100_000)
    before = len(doors.issuer.asked)
    all_of_them = (hanging, redirecting, large, lying, outside, broken, doors.untrusted)
    answers = await asyncio.gather(*[doors.exchange(one.token()) for one in all_of_them])
    said = [answer.json() for answer in answers]
    assert [(one["status"], one["title"]) for one in said] == [(503, "issuer unavailable")] * 7
    for one, words in zip(
        said, ("Timeout", "302", "larger", "another issuer", "https", "no JSON", "CERTIFICATE"), strict=True
    ):
        assert words in one["detail"], one
    assert len(doors.issuer.asked) == before
    assert (await doors.exchange(doors.trusted.token())).status_code == 201  # over https, with a certificate that holds


def _json(value: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(value).encode()


async def test_what_no_identity_can_claim_any_more_is_forgotten(doors: Doors) -> None:
    connection, ago = doors.deployment.connection, datetime.now(UTC) - timedelta(days=3)
    old, soon = Token.exchanged_for("i", "old"), Token.exchanged_for("i", "soon")
    lasts = timedelta(minutes=10)
    await record(connection, described(old, "lab-a", "CI", lasts, ago, ago + lasts), "/services/door", ago)
    last = datetime.now(UTC) + timedelta(hours=1)
    await record(connection, described(soon, "lab-a", "CI", lasts, ago, last), "/services/door", ago)
    known = (await issued(connection)).keys()
    assert known >= {old.token_id, soon.token_id}
    while old.token_id in known:  # a door forgets what it has heard of, with the next exchange
        assert (await doors.exchange(doors.issuer.token())).status_code == 201
        known = (await issued(connection)).keys()
    assert soon.token_id in known


async def test_after_kill_9_a_door_still_knows_what_was_exchanged_and_strangers_are_held_to_a_rate(
    doors: Doors,
) -> None:
    good, gone = doors.issuer.token(), doors.issuer.token()
    bought, revoked = [(await doors.exchange(one, door=1)).json() for one in (good, gone)]
    known = (await issued(doors.deployment.connection))[revoked["token_id"]]
    await revoke(doors.deployment.connection, known, datetime.now(UTC))
    doors.processes[1].kill()
    doors.start(1, HERALD_DOOR__BURST="3", HERALD_DOOR__REQUESTS_PER_SECOND="0.01")
    await doors.deployment.ready(doors.processes[1])
    assert await replayed(doors, good, 1)
    assert await replayed(doors, gone, 1)
    assert [await doors.status(one["token"], 1) for one in (bought, revoked)] == [404, 401]
    answers = [await doors.exchange("x", door=1) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 429, 429]
    assert answers[0].headers["RateLimit"] == '"address";r=0;t=0'
    assert int(answers[-1].headers["Retry-After"]) > 0
