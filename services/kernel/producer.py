"""A transactional producer that names no partitions before it writes, where the cluster allows it (KIP-890).

That is one round trip of a transaction less. And each transaction has an epoch of its own, so that nothing a broker was
slow to take of one can end up in the next. Where `transaction.version` is less than 2, all is as aiokafka does it.
"""

from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import ConcurrentTransactions, NoError, ProducerFenced, for_code
from aiokafka.producer.sender import EndTxnHandler, Sender, SendProduceReqHandler
from aiokafka.producer.transaction_manager import PidAndEpoch, TransactionManager
from aiokafka.structs import TopicPartition

from services.kernel import frames
from services.kernel.letting_go import let_go

FEATURE, LEVEL = "transaction.version", 2

FENCED = (49, 90)
"""INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED: another has the id now, with another producer id or a later epoch."""


class _Manager(TransactionManager):
    implicit = False

    def maybe_add_partition_to_txn(self, tp: TopicPartition) -> None:
        if not self.implicit:
            super().maybe_add_partition_to_txn(tp)
            return
        assert self.is_in_transaction(), "what is written outside a transaction opens one that nobody ends"  # noqa: S101
        self._txn_partitions.add(tp)

    def begin_epoch(self, producer_id: int, epoch: int) -> None:
        """Sequence numbers begin anew with each."""
        self._pid_and_epoch = PidAndEpoch(producer_id, epoch)
        self._sequence_numbers.clear()


class _Produce(SendProduceReqHandler):
    def create_request(self) -> frames.Produce:
        topics: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for tp, batch in self._batches.items():
            topics[tp.topic].append((tp.partition, batch.get_data_buffer()))
        sender = self._sender
        return frames.Produce(sender._txn_manager.transactional_id, sender._request_timeout_ms, list(topics.items()))

    def _can_retry(self, error: Any, batch: Any) -> bool:
        """The last transaction's markers may still be being written, where AddPartitionsToTxn would have met that."""
        return isinstance(error, ConcurrentTransactions) or super()._can_retry(error, batch)


class _EndTxn(EndTxnHandler):
    def create_request(self) -> frames.EndTxn:
        manager = self._sender._txn_manager
        return frames.EndTxn(
            manager.transactional_id, manager.producer_id, manager.producer_epoch, bool(self._commit_result)
        )

    def handle_response(self, resp: Any) -> float | None:
        if resp.error_code in FENCED:
            raise ProducerFenced
        if for_code(resp.error_code) is NoError:
            self._sender._txn_manager.begin_epoch(resp.producer_id, resp.producer_epoch)
        backoff: float | None = super().handle_response(resp)
        return backoff


class _Sender(Sender):
    async def _send_produce_req(self, node_id: int, batches: dict[TopicPartition, Any]) -> None:
        if not self._txn_manager.implicit:
            await super()._send_produce_req(node_id, batches)
            return
        await _Produce(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        self._muted_partitions.difference_update(batches)

    async def _do_txn_commit(self, commit_result: Any) -> None:
        if not self._txn_manager.implicit or self._txn_manager.is_empty_transaction():
            await super()._do_txn_commit(commit_result)
            return
        await self._message_accumulator.flush_for_commit()
        node_id = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        await _EndTxn(self, commit_result).do(node_id)


class TransactionalProducer(AIOKafkaProducer):
    """As aiokafka's, but for the protocol."""

    def __init__(self, transactional_id: str, **arguments: Any) -> None:
        super().__init__(transactional_id=transactional_id, **arguments)
        # Nothing is running yet: what aiokafka makes of its own accord is told what it is to be instead.
        self._txn_manager.__class__ = _Manager
        self._sender.__class__ = _Sender

    async def start(self) -> None:
        """Fences an older owner, and finds out which protocol the cluster has agreed on."""
        await super().start()
        manager, kind = self._txn_manager, CoordinationType.TRANSACTION
        try:
            node_id = await self._sender._find_coordinator(kind, manager.transactional_id)  # it has just answered
            answer = await self.client.send(node_id, frames.ApiVersions(), group=ConnectionGroup.COORDINATION)
            manager.implicit = frames.known(answer) and frames.finalized(answer).get(FEATURE, 0) >= LEVEL
        except NotImplementedError:  # a broker of before these levels: it does not know the question
            return
        except BaseException:
            await let_go(self)
            raise
