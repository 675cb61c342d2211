"""What a process is: one producer, one consumer."""

import threading
import time

from rocketmq import client as mq
from rocketmq.ffi import MessageModel, _CConsumeStatus

import report


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _received(message):
    """Reports a message that arrived."""
    text = _text(message.body)
    name = report.body_name(text)
    fact = "received {} bytes={} compressed={} intact={} tag={} keys={} shard={} number={} tries={}"
    report.remember(
        fact.format(
            name,
            len(text),
            message.store_size < len(text),
            report.intact(text),
            _text(message.tags),
            _text(message.keys),
            _text(message.get_property("shard")),
            _text(message.get_property("number")),
            message.reconsume_times,
        )
    )
    report.emit(
        "received",
        body=name,
        size=len(text),
        intact=report.intact(text),
        topic=message.topic,
        tag=_text(message.tags),
        shard=_text(message.get_property("shard")),
        id=message.id,
        # The library does not tell the broker.
        queue="?:{}".format(message.queue_id),
        offset=message.queue_offset,
        reconsume_times=message.reconsume_times,
    )


class Producer:
    """Sends as commanded, and reports every result."""

    def start(self, options):
        self.client = mq.Producer(options["group"])
        self.client.set_namesrv_addr(options["name-server"])
        self.client.start()
        self.settled = False

    def command(self, verb, options):
        if verb == "send":
            self._send_all(options)
        elif verb == "start-sending":
            self.sending = threading.Event()
            self.sender = threading.Thread(target=self._send_until_told, args=(options,))
            self.sender.start()
        elif verb == "stop-sending":
            self.sending.set()
            self.sender.join()
        else:
            raise ValueError("no such command: " + verb)

    def _send_until_told(self, options):
        number = 0
        while not self.sending.wait(options.number("pause-ms") / 1000):
            self._send("sync", options, number, [self._message(options, number)])
            self._settle()
            number += 1

    def _send_all(self, options):
        mode = options.get("mode", "sync")
        step = options.number("batch", 10) if mode == "batch" else 1
        self.outstanding = threading.Semaphore(0)
        # Kept until the library has called back.
        kept = []
        count = options.number("count", 1)
        for first in range(0, count, step):
            numbers = range(first, min(first + step, count))
            messages = [self._message(options, i) for i in numbers]
            kept.append(messages)
            self._send(mode, options, first, messages)
            self._settle()
        if mode == "async":
            for _ in range(count):
                self.outstanding.acquire()

    def _settle(self):
        """The library's first heartbeat comes 100 ms after the first message. It connects to all brokers, and what is
        sent meanwhile fails at once, because the library waits for no lock."""
        if not self.settled:
            time.sleep(0.5)
            self.settled = True

    def _message(self, options, i):
        name = "{}-{}".format(options["name"], i)
        message = mq.Message(options["topic"])
        message.set_body(report.body(name, options.number("size")))
        message.set_keys(name)
        message.set_property("number", str(i))
        tags = options.list("tags")
        if tags:
            message.set_tags(tags[i % len(tags)])
        if "shards" in options:
            message.set_property("shard", str(i % options.number("shards")))
        if "delay-level" in options:
            message.set_delay_time_level(options.number("delay-level"))
        return message

    def _send(self, mode, options, first, messages):
        started_at = report.now_ms()
        names = ["{}-{}".format(options["name"], first + i) for i in range(len(messages))]
        message = messages[0]
        try:
            shard = first % options.number("shards", 1)
            if mode in ("oneway", "oneway-orderly"):
                if mode == "oneway":
                    self.client.send_oneway(message)
                else:
                    self.client.send_oneway_orderly(message, shard)
                report.emit("sent", body=names[0], status="ONEWAY", started_at=started_at)
            elif mode == "orderly":
                self._sent(names, self.client.send_orderly(message, shard), started_at)
            elif mode == "batch":
                self._sent(names, self.client.send_batch(messages), started_at)
            elif mode == "async":
                self._send_async(message, names, started_at)
            else:
                self._sent(names, self.client.send_sync(message), started_at)
        except Exception as e:
            self._failed(names, e, started_at)

    def _send_async(self, message, names, started_at):
        def succeeded(result):
            self._sent(names, result, started_at)
            self.outstanding.release()

        def failed(error):
            self._failed(names, error, started_at)
            self.outstanding.release()

        self.client.send_async(message, succeeded, failed)

    @staticmethod
    def _sent(names, result, started_at):
        """A batch has one result; every message of it is reported."""
        for name in names:
            report.remember("sent {} {}".format(name, result.status.name))
            report.emit(
                "sent" if result.status == mq.SendStatus.OK else "send-failed",
                body=name,
                status=result.status.name,
                error=result.status.name,
                id=result.msg_id,
                started_at=started_at,
            )

    @staticmethod
    def _failed(names, error, started_at):
        for name in names:
            report.emit("send-failed", body=name, error=report.describe(error), started_at=started_at)

    def stop(self):
        """Nothing: the library's own shutdown of a producer sometimes ends the process (boost::thread_interrupted,
        SIGABRT), directly too, and every result has been reported."""


class PushConsumer:
    """Reports what it gets."""

    def start(self, options):
        self.fail_times = options.number("fail-times")
        model = MessageModel.BROADCASTING if options.flag("broadcasting") else MessageModel.CLUSTERING
        self.client = mq.PushConsumer(options["group"], options.flag("orderly"), model)
        self.client.set_namesrv_addr(options["name-server"])
        self.client.subscribe(options["topic"], self._consume, options.get("tags", "*"))
        if options.flag("raw-result"):
            # As the binding does it, but for the result, which that loses when the application
            # fails.
            self.client._register_callback(self._consume_raw)
        self.client.start()

    def _consume(self, message):
        _received(message)
        if message.reconsume_times < self.fail_times:
            raise RuntimeError("not yet")

    def _consume_raw(self, _consumer, handle):
        try:
            self._consume(mq.RecvMessage(handle))
        except RuntimeError:
            return _CConsumeStatus.RECONSUME_LATER.value
        return _CConsumeStatus.CONSUME_SUCCESS.value

    def command(self, verb, _options):
        raise ValueError("no such command: " + verb)

    def stop(self):
        self.client.shutdown()


class _Puller(mq.PullConsumer):
    """The binding keeps an offset for each queue id, as if there were one broker only."""

    def _get_mq_key(self, queue):
        return "{}@{}@{}".format(queue.topic, queue.brokerName, queue.queueId)


class PullConsumer:
    """Pulls all queues from the last offsets on."""

    def start(self, options):
        self.topic = options["topic"]
        self.tags = options.get("tags", "*")
        kind = mq.PullConsumer if options.flag("as-it-is") else _Puller
        self.client = kind(options["group"])
        self.client.set_namesrv_addr(options["name-server"])
        self.client.start()

    def command(self, verb, options):
        if verb != "poll":
            raise ValueError("no such command: " + verb)
        count, got = options.number("count", 1), 0
        deadline = time.monotonic() + options.number("limit-ms", 10000) / 1000
        while got < count and time.monotonic() < deadline:
            for message in self.client.pull(self.topic, self.tags):
                _received(message)
                got += 1
        return got

    def stop(self):
        self.client.shutdown()


ROLES = {
    "producer": Producer,
    "push-consumer": PushConsumer,
    "pull-consumer": PullConsumer,
}
