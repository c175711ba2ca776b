"""Trusted publishing without Kafka: what a registry may list, the first word on a token, how long keys are kept."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from joserfc.jwk import RSAKey

from schemas import registry_file
from schemas.credential import CredentialRevoked
from schemas.envelope import encode
from schemas.publisher import GITHUB, GITLAB, Publisher
from schemas.yaml_file import FileError
from services.gateway.door.identity import network
from services.gateway.door.issuers import FRESH_SECONDS, Issuers
from services.gateway.door.problem import Problem
from services.gateway.door.rates import MOST_BUCKETS, Rates
from services.kernel.credential_log import FORGOTTEN, Token, Tokens, described
from tests.broker.issuer import issuing

NOW = datetime(2027, 3, 1, tzinfo=UTC)
MINUTES = timedelta(minutes=10)
REPOSITORY = "claims: {repository: a/b}"


def written(*publishers: str, other: str = "") -> str:
    """A registry whose lab lists publishers, and another lab with one, perhaps."""
    listed = "".join(f"      - {{{one}}}\n" for one in publishers)
    more = f"  other:\n    name: Other\n    publishers:\n      - {{{other}}}\n" if other else ""
    return f"labs:\n  lab:\n    name: Lab\n    publishers:\n{listed}{more}"


@pytest.mark.parametrize(
    ("publishers", "field", "said"),
    [
        (["issuer: http://ci.example, " + REPOSITORY], "issuer", "https://"),
        (["issuer: https://user@ci.example, " + REPOSITORY], "issuer", "https://"),
        (["issuer: 'https://ci.example?x=1', " + REPOSITORY], "issuer", "https://"),
        (["issuer: ci.example, " + REPOSITORY], "issuer", "https://"),
        ([REPOSITORY], "issuer", "is required"),
        ([f"issuer: {GITHUB}"], "claims", "is required"),
        ([f"issuer: {GITHUB}, claims: {{}}"], "claims", "add repository or repository_id"),
        ([f"issuer: {GITHUB}, claims: {{ref: refs/heads/main}}"], "claims", "names no repository"),
        ([f"issuer: {GITHUB}, claims: {{project_path: a/b}}"], "claims", "names no repository"),
        ([f"issuer: {GITLAB}, claims: {{repository: a/b}}"], "claims", "add project_path or project_id"),
        (["issuer: https://ci.example, claims: {environment: release}"], "claims", "names no repository"),
        ([f"issuer: {GITHUB}, claims: {{repository: b}}"], "claims.repository", "write OWNER/b"),
        ([f"issuer: {GITHUB}, claims: {{repository_id: 7}}"], "claims.repository_id", "put it in quotes"),
        ([f"issuer: {GITHUB}, claims: {{repository: a/*}}"], "claims.repository", "no patterns"),
        ([f"issuer: {GITHUB}, claims: {{repository: a/b, ref: main}}"], "claims.ref", "refs/heads/main"),
        ([f"issuer: {GITHUB}, claims: {{repository: a/b, aud: x}}"], "claims.aud", "leave it out"),
        ([f"issuer: {GITHUB}, claims: {{repository: a/b}}, audience: ''"], "audience", "at least 1"),
    ],
)
def test_a_publisher_that_cannot_work_is_refused_with_field_and_remedy(
    publishers: list[str], field: str, said: str
) -> None:
    with pytest.raises(FileError) as refused:
        registry_file.load(written(*publishers))
    (problem,) = refused.value.problems
    assert problem.field == f"labs.lab.publishers.0.{field}"
    assert said in problem.message


def test_one_token_never_fits_two_publishers() -> None:
    one, narrower = (
        f"issuer: {GITHUB}, {REPOSITORY}",
        f"issuer: {GITHUB}, claims: {{repository: a/b, ref: refs/tags/1}}",
    )
    for text, said in (
        (written(one, narrower), "stands twice"),
        (written(narrower, other=one), "could be lab's as well"),
    ):
        with pytest.raises(FileError, match=said):
            registry_file.load(text)
    elsewhere = f"issuer: {GITHUB}, claims: {{repository: a/c}}"
    found = registry_file.load(written(narrower, f"issuer: {GITLAB}, claims: {{project_path: a/b}}", other=elsewhere))
    assert [one.audience for one in found.labs["lab"].publishers] == ["herald", "herald"]


def test_claims_fit_whole_and_an_audience_alone() -> None:
    publisher = Publisher(issuer=GITHUB, claims={"repository": "a/b", "ref": "refs/heads/main"})
    proven = {"repository": "a/b", "ref": "refs/heads/main", "actor": "somebody", "aud": "herald"}
    assert publisher.claims_fit(proven)
    for changes in ({"ref": None}, {"ref": "refs/heads/main "}, {"repository": "A/b"}, {"repository": ["a/b"]}):
        assert not publisher.claims_fit(proven | changes)
    for audience, fits in (("herald", True), (["herald"], True), (["herald", "x"], False), ([], False), (None, False)):
        assert publisher.audience_fits({"aud": audience}) == fits


def record(token: Token, name: str) -> bytes:
    """A token as it stands in the topic, exchanged for an identity that expires with it."""
    data = described(token, "lab", name, MINUTES, NOW, NOW + MINUTES)
    return encode(data.stamped(cause="c", ordinal=0, source="/services/door", time=NOW))


def test_the_first_token_of_an_id_stands_and_a_revocation_is_final() -> None:
    first, second = Token.exchanged_for("issuer", "jti 1"), Token.exchanged_for("issuer", "jti 1")
    assert first.token_id == second.token_id
    assert first.token_id != Token.exchanged_for("another", "jti 1").token_id
    assert first.secret != second.secret
    tokens, key = Tokens(), first.token_id.encode()
    tokens.take(key, record(first, "first"))
    tokens.take(key, record(second, "second"))
    assert tokens.holder(str(first), NOW)
    assert tokens.holder(str(second), NOW) is None
    revoked = CredentialRevoked(token_id=first.token_id, participant="lab", revoked_at=NOW)
    tokens.take(key, encode(revoked.stamped(cause="c", ordinal=0, source="/services/operator", time=NOW)))
    tokens.take(key, record(second, "second"))
    assert tokens.issued == {}
    tokens.take(key, None)
    tokens.take(key, record(second, "second"))
    assert tokens.holder(str(second), NOW)


def test_only_what_an_identity_bought_is_forgotten_and_not_while_any_clock_would_still_take_it() -> None:
    tokens, bought, issued = Tokens(), Token.exchanged_for("issuer", "jti 1"), Token.fresh()
    tokens.take(None, record(bought, "CI"))
    data = described(issued, "lab", "an operator's", MINUTES, NOW)
    tokens.take(None, encode(data.stamped(cause="c", ordinal=0, source="/services/operator", time=NOW)))
    assert tokens.useless(NOW + MINUTES + FORGOTTEN) == []
    assert tokens.useless(NOW + MINUTES + FORGOTTEN + timedelta(seconds=1)) == [bought.token_id]


async def test_keys_are_fetched_anew_after_an_hour_so_that_one_that_was_withdrawn_is_not_taken_any_more() -> None:
    seconds = [0.0]
    with issuing() as [issuer]:
        issuers = Issuers(lambda: seconds[0])
        assert await issuers.key(issuer.address, "key-1")
        issuer.keys = {"key-2": RSAKey.generate_key(2048)}
        seconds[0] = FRESH_SECONDS - 1
        assert await issuers.key(issuer.address, "key-1")
        seconds[0] = FRESH_SECONDS
        assert await issuers.key(issuer.address, "key-1") is None
        assert await issuers.key(issuer.address, "key-2")
        issuer.answers["/jwks"] = (500, {}, b"")
        seconds[0] = 2 * FRESH_SECONDS
        with pytest.raises(Problem, match="500"):
            await issuers.key(issuer.address, "key-2")
        asked = len(issuer.asked)
        for _ in range(20):
            with pytest.raises(Problem):
                await issuers.key(issuer.address, "key-2")
        assert len(issuer.asked) - asked <= 2 * 5  # two documents each, five at once, then one in half a minute
        issuer.answers.clear()
        seconds[0] += 60
        assert await issuers.key(issuer.address, "key-2")


@pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "oct", "k": "c2VjcmV0"}, {"n": "?"}])
async def test_a_key_that_may_not_sign_with_the_one_algorithm_of_its_kind_is_none(change: dict[str, str]) -> None:
    with issuing() as [issuer]:
        good = issuer.keys["key-1"].as_dict(private=False)
        listed = [good | {"kid": "key-1"}, good | {"kid": "bad"} | change]
        issuer.answers["/jwks"] = (200, {}, httpx.Response(200, json={"keys": listed}).content)
        issuers = Issuers()
        assert await issuers.key(issuer.address, "key-1")
        assert await issuers.key(issuer.address, "bad") is None


def test_a_flood_of_addresses_takes_no_more_room_than_a_bound_and_a_network_counts_once() -> None:
    rates = Rates(1, 1, "address", lambda: 0.0)
    assert rates.take("first")[0]
    assert not rates.take("first")[0]
    for number in range(MOST_BUCKETS):
        rates.take(str(number))
    assert rates.take("first")[0]  # forgotten, so that nothing grows
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("") == ""
