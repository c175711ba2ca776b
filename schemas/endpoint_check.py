"""What cannot work in a registry's endpoints, mail relay and networks, as far as the file alone tells.

What a reference leads to is looked at elsewhere: secrets are read by commands and by the deliveries service.
"""

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import urlsplit

from schemas.address import is_allowed, is_within, literal
from schemas.endpoint import ALL_KINDS, Email, Endpoint, MailRelay, Webhook
from schemas.registry import Agency, RegistryFile
from schemas.secret import secret_in

Fault = tuple[str, str]
"""The field, and what is wrong with it and what would be right."""

OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"}
    | {"keep-alive", "te", "traceparent", "trailer", "transfer-encoding", "upgrade", "user-agent"}
)
"""What Herald sets, or belongs to a connection (RFC 9110 7.6.1); also what begins with `proxy-` or `webhook-`."""


def is_own_header(name: str) -> bool:
    """Whether a webhook's header is Herald's to set, whatever the capitals in its name."""
    return name.lower() in OWN_HEADERS or name.lower().startswith(("proxy-", "webhook-"))


SECRET_HEADERS = frozenset({"authorization", "cookie"})

_NOT_PUBLIC = "is no public address; name another, or its network in allow_networks if it is meant"
_UNLOCKED = "only to a network that allow_networks names"


def faults(registry: RegistryFile) -> Iterator[Fault]:
    """Everything that cannot work."""
    for name, agency in registry.agencies.items():
        for field, said in _of_agency(agency, registry):
            yield f"agencies.{name}.{field}", said
    if registry.mail is not None:
        for field, said in _of_relay(registry.mail, registry.allow_networks):
            yield f"mail.{field}", said
    yield from _shared_secrets(registry)


def url_fault(url: str, allow: tuple[str, ...]) -> str | None:
    """Why nothing can be posted there; None: without a look-up there is nothing to say. It never repeats the url."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no web address; write https://, a host, and a port up to 65535 if another than 443"
    if not host or parts.scheme not in {"http", "https"}:
        return "is no web address; write one that begins with https://"
    if parts.username is not None or parts.password is not None:
        return "has a user in it; leave it out"
    if not host.isascii() or "%" in host:
        return "has a host that is not written plainly; write it in ASCII (xn--…), without %"
    if (said := host_fault(host, allow)) is not None:
        return said
    if parts.scheme == "http" and not _may_be_plain(host, allow):
        return f"is plain http, which goes {_UNLOCKED}; write https://"
    return None


def host_fault(host: str, allow: tuple[str, ...]) -> str | None:
    """Why no connection would be made to a host; a name is checked when it is connected to."""
    address = literal(host)
    return _NOT_PUBLIC if address is not None and not is_allowed(address, allow) else None


def _may_be_plain(host: str, allow: tuple[str, ...]) -> bool:
    """Whether it may lie in a network that is named; what a name leads to is checked when it is connected to."""
    address = literal(host)
    return bool(allow) if address is None else is_within(address, allow)


def _of_agency(agency: Agency, registry: RegistryFile) -> Iterator[Fault]:
    quiet = agency.quiet_hours
    if quiet is not None and quiet.begins == quiet.ends:
        yield "quiet_hours", "begin and end at the same time; write two times, or leave quiet_hours out"
    served = {endpoint.tier for endpoint in agency.endpoints.values()}
    if agency.endpoints:
        for tier in agency.tiers:
            if tier not in served:
                yield "tiers", f"no channel for a tier: {tier} has no endpoint; add one, or leave the tier out"
    for name, endpoint in agency.endpoints.items():
        for field, said in _of_endpoint(endpoint, agency, registry):
            yield f"endpoints.{name}{field}", said


def _of_endpoint(endpoint: Endpoint, agency: Agency, registry: RegistryFile) -> Iterator[Fault]:
    if endpoint.tier not in agency.tiers:
        near = get_close_matches(endpoint.tier, agency.tiers, n=1)
        hint = f"did you mean {near[0]}?" if near else "add it to tiers, or name one of them"
        yield ".tier", f"{endpoint.tier} is no tier of this agency; {hint}"
    if endpoint.kinds != ALL_KINDS:  # these stand for whatever the agency takes
        for kind in endpoint.kinds:
            if kind not in agency.kinds:
                yield ".kinds", f"the agency does not take {kind}; add it to the agency's kinds, or leave it out here"
    if isinstance(endpoint, Email) and registry.mail is None:
        yield "", "is told by e-mail, but there is no relay; say under mail: which SMTP server takes it"
    if isinstance(endpoint, Webhook):
        yield from _of_webhook(endpoint, registry.allow_networks)


def _of_webhook(webhook: Webhook, allow: tuple[str, ...]) -> Iterator[Fault]:
    if (said := url_fault(webhook.url, allow)) is not None:
        yield ".url", said
    elif (kind := secret_in(webhook.url)) is not None:
        yield ".url", f"seems to hold {kind}, and a registry is kept and shown; the signature says who calls"
    times = Counter(name.lower() for name in webhook.headers)
    for name, value in webhook.headers.items():
        where, lower = f".headers.{name}", name.lower()
        if times[lower] > 1:
            yield where, "stands twice: in a header's name capitals do not count; keep one"
        if is_own_header(name):
            yield where, "is set by Herald itself; leave it out"
        elif lower in SECRET_HEADERS or secret_in(value) is not None:
            yield where, "holds a secret, and a registry is kept and shown; leave it out: the signature says who calls"


def _of_relay(relay: MailRelay, allow: tuple[str, ...]) -> Iterator[Fault]:
    if (said := host_fault(relay.host, allow)) is not None:
        yield "host", said
    elif relay.security == "none" and not _may_be_plain(relay.host, allow):
        yield "security", f"none sends mail in the clear, which goes {_UNLOCKED}; write starttls or tls"
    if (relay.username is None) != (relay.password is None):
        there, missing = ("username", "password") if relay.password is None else ("password", "username")
        yield there, f"stands without a {missing}; give both, or neither"


def _shared_secrets(registry: RegistryFile) -> Iterator[Fault]:
    """One secret for two receivers would let each pass for Herald at the other."""
    first: dict[str, str] = {}
    for agency, about in registry.agencies.items():
        for name, endpoint in about.endpoints.items():
            for number, secret in enumerate(endpoint.secrets if isinstance(endpoint, Webhook) else ()):
                where = f"agencies.{agency}.endpoints.{name}.secrets.{number}"
                if secret in first:
                    yield where, f"is the secret of {first[secret]} too; each webhook has secrets of its own"
                first.setdefault(secret, where)
