"""Kafka's users and access control list, as confluent-kafka's AdminClient gives them."""

import logging
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from schemas.access import Acl, Grant, granted, owner_of, spent
from services.kernel.connection import Connection

ITERATIONS = 8192
SECONDS = 15.0
PRINCIPAL = "User:"
FORBIDDEN = "Kafka refuses: this user may not look at and change users and the access list"
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
_RESOURCE_NAMES = {resource: name for name, resource in _RESOURCES.items()}


class AccessError(Exception):
    """Kafka did not say, or did not do, what was asked about its users or access list; one line for people."""


class NotSecured(AccessError):
    """This Kafka checks nobody's access."""


class KafkaAccess:
    """The users and the list of one Kafka. Only users whose names are of Herald's making are seen and touched.

    Raises AccessError and NotSecured, from the beginning and from each call.
    """

    def __init__(self, connection: Connection) -> None:
        self._said = ""
        silent = logging.Logger("librdkafka", logging.CRITICAL)
        silent.addHandler(logging.NullHandler())  # what comes of its retries is said where it is handled
        settings = connection.librdkafka() | {"error_cb": self._heard, "logger": silent}
        self._admin = AdminClient(settings)
        self._check()

    def users(self) -> set[str]:
        """Every user that has a password."""
        found = self._result(self._admin.describe_user_scram_credentials(request_timeout=SECONDS))
        return {user for user in found if owner_of(user)}

    def put(self, user: str, password: str) -> None:
        """Makes a user, or gives it another password."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        self._alter_user(user, UserScramCredentialUpsertion(user, info, password.encode()))

    def enrol(self, user: str, password: str, grants: Iterable[Grant]) -> None:
        """Makes a user that may do this from its first connection on."""
        self.add(granted(user, grants))
        self.put(user, password)

    def drop(self, user: str) -> None:
        """Ends a user."""
        self._alter_user(user, UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512))

    def acls(self) -> set[Acl]:
        """The whole list, as far as it is about users of Herald's making."""
        some: Any = None
        every = AclBindingFilter(
            ResourceType.ANY, some, ResourcePatternType.ANY, some, some, AclOperation.ANY, AclPermissionType.ANY
        )
        found = map(_acl, self._result(self._admin.describe_acls(every, request_timeout=SECONDS)))
        return {acl for acl in found if acl is not None}

    def add(self, acls: Iterable[Acl]) -> None:
        """Adds entries to the list."""
        if bindings := [_binding(acl) for acl in acls]:
            self._all(self._admin.create_acls(bindings, request_timeout=SECONDS))

    def remove(self, acls: Iterable[Acl]) -> None:
        """Takes entries off the list."""
        if filters := [_filter(acl) for acl in acls]:
            self._all(self._admin.delete_acls(filters, request_timeout=SECONDS))

    def _check(self) -> None:
        """Asks whether this user may look, and whether there is anything to look at.

        Of one who may not, confluent-kafka makes an empty list of `describe_acls`, and ends the process at
        `describe_user_scram_credentials`; of a Kafka without an authorizer, an empty list too.
        """
        asked = self._admin.describe_cluster(include_authorized_operations=True, request_timeout=SECONDS)
        allowed = self._result(asked).authorized_operations or []
        if not {AclOperation.DESCRIBE, AclOperation.ALTER} <= set(allowed):
            raise AccessError(FORBIDDEN)
        self.remove([spent("service.nobody.1")])  # never there: only the answer counts

    def _alter_user(self, user: str, alteration: Any) -> None:
        self._all(self._admin.alter_user_scram_credentials([alteration], request_timeout=SECONDS))

    def _all(self, futures: dict[Any, Future[Any]]) -> None:
        for future in futures.values():
            self._result(future)

    def _heard(self, error: KafkaError) -> None:
        """What the client says of its connections: why a request has no answer."""
        if not self._said or error.code() == KafkaError._AUTHENTICATION:
            self._said = error.str()

    def _result(self, future: Any) -> Any:
        try:
            return future.result(SECONDS + 5)
        except KafkaException as raised:
            raise self._explained(raised.args[0]) from None
        except TimeoutError:
            raise AccessError(f"cannot reach Kafka: {self._said or 'no answer'}") from None

    def _explained(self, error: KafkaError) -> AccessError:
        self._admin.poll(0)
        match error.code():
            case KafkaError.SECURITY_DISABLED:
                return NotSecured(
                    "this Kafka has no authorizer: everyone may do everything there, and it keeps no access list"
                )
            case KafkaError.CLUSTER_AUTHORIZATION_FAILED:
                return AccessError(FORBIDDEN)
            case KafkaError._TIMED_OUT | KafkaError._TRANSPORT | KafkaError._ALL_BROKERS_DOWN:
                return AccessError(f"cannot reach Kafka: {self._said or error.str()}")
        return AccessError(f"Kafka refuses: {error.name()}: {error.str()}")


def _acl(binding: Any) -> Acl | None:
    principal, resource = binding.principal, _RESOURCE_NAMES.get(binding.restype)
    user = principal.removeprefix(PRINCIPAL)
    if resource is None or user == principal or not owner_of(user):
        return None
    match, operation = binding.resource_pattern_type.name.lower(), binding.operation.name.lower()
    return Acl(user, resource, binding.name, match, operation, binding.permission_type.name.lower(), binding.host)


def _parts(acl: Acl) -> tuple[Any, ...]:
    return (
        _RESOURCES[acl.resource],
        acl.name,
        ResourcePatternType[acl.match.upper()],
        PRINCIPAL + acl.user,
        acl.host,
        AclOperation[acl.operation.upper()],
        AclPermissionType[acl.permission.upper()],
    )


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(*_parts(acl))


def _filter(acl: Acl) -> AclBindingFilter:
    return AclBindingFilter(*_parts(acl))
