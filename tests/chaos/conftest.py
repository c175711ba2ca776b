"""The real Kafka of tests/broker."""

from tests.broker.conftest import kafka, own_broker

__all__ = ["kafka", "own_broker"]
