"""What a process is: one producer, one consumer."""

import collections
import math
import os
import time

import report


def _trust(options):
    """gRPC reads the variable when it is loaded, which is therefore not done before."""
    if "authority" in options:
        os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = options["authority"]


def _configuration(options):
    from rocketmq import ClientConfiguration, Credentials

    return ClientConfiguration(
        options["endpoints"],
        Credentials(options.get("access-key"), options.get("secret-key")),
        options.get("namespace", ""),
        request_timeout=10,
    )


def _subscription(options):
    from rocketmq import FilterExpression
    from rocketmq.grpc_protocol import FilterType

    if "sql" in options:
        expression = FilterExpression(options["sql"], FilterType.SQL)
    else:
        expression = FilterExpression(options.get("tags", "*"))
    return {options["topic"]: expression}


def _text(message):
    return message.body.decode("utf-8")


def _received(message):
    """Reports a message that arrived."""
    text = _text(message)
    report.emit(
        "received",
        body=report.body_name(text),
        size=len(text),
        intact=report.intact(text) and not message.corrupted,
        topic=message.topic,
        tag=message.tag,
        keys=sorted(message.keys),
        properties=dict(message.properties),
        message_group=message.message_group,
        id=message.message_id,
        reconsume_times=message.delivery_attempt - 1,
    )


class Producer:
    """Sends as commanded, and reports every result and every check of a transaction."""

    def start(self, options):
        _trust(options)
        from rocketmq import Producer as Client
        from rocketmq import TransactionChecker, TransactionResolution

        class Checker(TransactionChecker):
            def check(self, message):
                verdict = options["check"]
                report.emit("checked", body=report.body_name(_text(message)), verdict=verdict)
                if verdict == "unknown":
                    return TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED
                return TransactionResolution.Value(verdict.upper())

        checker = Checker() if "check" in options else None
        self.client = Client(_configuration(options), options.list("topics"), checker, tls_enable=options.flag("tls"))
        self.client.startup()

    def command(self, verb, options):
        if verb == "send":
            self._send_all(options)
        elif verb == "recall":
            return self.client.recall_message(options["topic"], options["handle"])
        else:
            raise ValueError("no such command: " + verb)

    def _send_all(self, options):
        outstanding = []
        for number in range(options.number("count", 1)):
            name = "{}-{}".format(options["name"], number)
            message = self._message(options, name, number)
            started_at = report.now_ms()
            mode = options.get("mode", "sync")
            if mode == "async":
                outstanding.append((name, started_at, self.client.send_async(message)))
            elif mode == "transaction":
                self._report(name, started_at, lambda: self._transact(message, options["verdict"]))
            else:
                self._report(name, started_at, lambda: self.client.send(message))
        for name, started_at, future in outstanding:
            self._report(name, started_at, future.result)

    def _transact(self, message, verdict):
        transaction = self.client.begin_transaction()
        receipt = self.client.send(message, transaction)
        if verdict == "commit":
            transaction.commit()
        elif verdict == "rollback":
            transaction.rollback()
        return receipt

    def _message(self, options, name, number):
        from rocketmq import Message

        message = Message()
        message.topic = options["topic"]
        message.body = report.body(name, options.number("size")).encode("utf-8")
        if "tags" in options:
            tags = options.list("tags")
            message.tag = tags[number % len(tags)]
        if options.flag("keys"):
            # Each assignment adds one.
            message.keys = name + "-key"
            message.keys = name + "-other"
        if options.flag("numbered"):
            message.add_property("number", str(number))
        if "groups" in options:
            message.message_group = "group-{}".format(number % options.number("groups"))
        if "delay-ms" in options:
            # This client knows whole seconds only.
            message.delivery_timestamp = math.ceil(time.time() + options.number("delay-ms") / 1000)
        if "priorities" in options:
            priorities = options.list("priorities")
            message.priority = int(priorities[number % len(priorities)])
        if "lite-topics" in options:
            lite_topics = options.list("lite-topics")
            message.lite_topic = lite_topics[number % len(lite_topics)]
        return message

    def _report(self, name, started_at, result):
        try:
            receipt = result()
        except Exception as e:
            report.emit("send-failed", body=name, error=report.describe(e), started_at=started_at)
            return
        report.emit(
            "sent",
            body=name,
            status="SEND_OK",
            id=receipt.message_id,
            recall_handle=receipt.recall_handle,
            started_at=started_at,
        )

    def stop(self):
        self.client.shutdown()


class SimpleConsumer:
    """Receives, acknowledges and postpones as commanded."""

    BATCH = 16

    def start(self, options):
        _trust(options)
        from rocketmq import SimpleConsumer as Client

        # What was received and not acknowledged yet, by the names in the bodies.
        self.held = {}
        self.client = Client(
            _configuration(options),
            options["group"],
            _subscription(options),
            await_duration=options.number("await-ms", 5000) // 1000,
            tls_enable=options.flag("tls"),
        )
        self.client.startup()

    def command(self, verb, options):
        if verb == "receive":
            return self._receive(options)
        if verb == "ack":
            names = options.list("names") or list(self.held)
            for name in names:
                self.client.ack(self.held.pop(name))
            return len(names)
        if verb == "change-invisible":
            seconds = options.number("invisible-ms") // 1000
            return self.client.change_invisible_duration(self.held[options["name"]], seconds)
        raise ValueError("no such command: " + verb)

    def _receive(self, options):
        """Receives until there were as many messages as asked for, or time is up. Errors are listed, not raised."""
        count, total, errors = options.number("count", 1), 0, []
        seconds = options.number("invisible-ms", 30000) // 1000
        end = time.monotonic() + options.number("limit-ms", 30000) / 1000
        while total < count and time.monotonic() < end:
            try:
                messages = self.client.receive(min(count - total, self.BATCH), seconds) or []
                for message in messages:
                    _received(message)
                    total += 1
                    if options.flag("ack"):
                        self.client.ack(message)
                    else:
                        self.held[report.body_name(_text(message))] = message
            except Exception as e:
                errors.append(report.describe(e))
                time.sleep(0.2)
        return {"received": total, "errors": errors}

    def stop(self):
        self.client.shutdown()


def _listener(options):
    from rocketmq import ConsumeResult, MessageListener

    class Listener(MessageListener):
        """Fails each message as often as it is to, and reports it each time.

        It counts by itself: attempts that the client makes without asking for the message again are not in it."""

        def __init__(self):
            self.tries = collections.Counter()

        def consume(self, message):
            _received(message)
            time.sleep(options.number("consume-ms") / 1000)
            self.tries[message.message_id] += 1
            good = self.tries[message.message_id] > options.number("fail-times")
            return ConsumeResult.SUCCESS if good else ConsumeResult.FAILURE

    return Listener()


class PushConsumer:
    """A push consumer; reports what it gets."""

    def start(self, options):
        _trust(options)
        from rocketmq import PushConsumer as Client

        self.client = Client(
            _configuration(options),
            options["group"],
            _listener(options),
            _subscription(options),
            tls_enable=options.flag("tls"),
        )
        self.client.startup()

    def command(self, verb, options):
        raise ValueError("no such command: " + verb)

    def stop(self):
        self.client.shutdown()


class LitePushConsumer:
    """A push consumer of the lite topics that it is told to subscribe to; reports what it gets."""

    def start(self, options):
        _trust(options)
        from rocketmq import LitePushConsumer as Client

        self.client = Client(_configuration(options), options["group"], options["topic"], _listener(options))
        self.client.startup()

    def command(self, verb, options):
        if verb == "subscribe":
            self.client.subscribe_lite(options["lite-topic"])
        elif verb == "unsubscribe":
            self.client.unsubscribe_lite(options["lite-topic"])
        else:
            raise ValueError("no such command: " + verb)

    def stop(self):
        self.client.shutdown()


ROLES = {
    "producer": Producer,
    "simple-consumer": SimpleConsumer,
    "push-consumer": PushConsumer,
    "lite-push-consumer": LitePushConsumer,
}
