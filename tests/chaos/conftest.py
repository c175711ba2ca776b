"""The real Kafka of tests/broker."""

from tests.broker.conftest import kafka, kafka_folder, own_broker

__all__ = ["kafka", "kafka_folder", "own_broker"]
