"""What a process is: one producer, one consumer."""

import time

from mq_http_sdk.mq_client import MQClient
from mq_http_sdk.mq_exception import MQServerException
from mq_http_sdk.mq_producer import TopicMessage

import report

BATCH = 16
# What a body has in it that is written in another way in XML.
MARKUP = "<a href=\"x\">&amp; 'y' \u4e2d\u6587 ]] \r\n\t</a> end"
NOTHING = "MessageNotExist"


def _client(options):
    # With debug, the SDK wants the header with the request's id in every answer.
    return MQClient(
        "http://" + options["endpoints"],
        options.get("access-key", "access"),
        options.get("secret-key", "secret"),
        debug=True,
    )


class Refused(Exception):
    """With the protocol's code in front, where the server has answered one."""


def _describe(error):
    if isinstance(error, MQServerException):
        return "{}: {}".format(error.type, error.message)
    return report.describe(error)


def _name(message):
    return report.body_name(message.message_body)


def _received(message, topic):
    """Reports a message that arrived."""
    text = message.message_body
    properties = dict(message.properties)
    keys = properties.pop("KEYS", "")
    shard = properties.pop("__SHARDINGKEY", None)
    properties.pop("__STARTDELIVERTIME", None)
    properties.pop("__TransCheckT", None)
    report.emit(
        "received",
        body=report.body_name(text),
        size=len(text.encode("utf-8")),
        intact=report.intact(text) or text == _name(message) + report.END_OF_NAME + MARKUP,
        topic=topic,
        tag=message.message_tag or None,
        keys=keys.split(),
        properties=properties,
        message_group=shard,
        id=message.message_id,
        reconsume_times=message.consumed_times - 1,
        handle=message.receipt_handle,
        digest=message.message_body_md5,
        published_at=message.publish_time,
        first_consumed_at=message.first_consume_time,
        next_consumed_at=message.next_consume_time,
    )


class Producer:
    """Sends, asks for half messages and ends them as commanded, and reports every result."""

    def start(self, options):
        self.client = _client(options)
        self.instance = options.get("namespace")
        self.group = options.get("group")
        # Of half messages without an end, by the names in the bodies.
        self.handles = {}

    def command(self, verb, options):
        if verb == "send":
            return self._send(options)
        if verb == "checks":
            return self._checks(options)
        if verb == "end":
            return self._end_all(options)
        raise ValueError("no such command: " + verb)

    def _transactions(self, topic):
        return self.client.get_trans_producer(self.instance, topic, self.group)

    def _send(self, options):
        topic = options["topic"]
        is_half = options.get("mode") == "transaction"
        producer = self._transactions(topic) if is_half else self.client.get_producer(self.instance, topic)
        for number in range(options.number("count", 1)):
            name = "{}-{}".format(options["name"], number)
            started_at = report.now_ms()
            try:
                sent = producer.publish_message(self._message(options, name, number))
                if is_half:
                    self.handles[name] = sent.receipt_handle
                    self._end(producer, name, options["verdict"])
            except Exception as e:
                report.emit("send-failed", body=name, error=_describe(e), started_at=started_at)
                continue
            report.emit(
                "sent",
                body=name,
                status="SEND_OK",
                id=sent.message_id,
                digest=sent.message_body_md5,
                handle=sent.receipt_handle or None,
                started_at=started_at,
            )

    def _message(self, options, name, number):
        if options.flag("markup"):
            body = name + report.END_OF_NAME + MARKUP
        else:
            body = report.body(name, options.number("size"))
        message = TopicMessage(body)
        if "tags" in options:
            tags = options.list("tags")
            message.set_message_tag(tags[number % len(tags)])
        if options.flag("keys"):
            message.set_message_key("{0}-key {0}-other".format(name))
        if options.flag("numbered"):
            message.put_property("number", str(number))
        if "groups" in options:
            message.set_sharding_key("group-{}".format(number % options.number("groups")))
        if "delay-ms" in options:
            message.set_start_deliver_time(report.now_ms() + options.number("delay-ms"))
        if "check-s" in options:
            message.set_trans_check_immunity_time(options.number("check-s"))
        return message

    def _checks(self, options):
        """Consumes half messages until there were as many as asked for, or time is up."""
        producer = self._transactions(options["topic"])
        count, checked, errors = options.number("count", 1), 0, []
        end = time.monotonic() + options.number("limit-ms", 30000) / 1000
        while checked < count and time.monotonic() < end:
            try:
                for message in producer.consume_half_message(BATCH, options.number("wait-s", 3)):
                    name, verdict = _name(message), options["verdict"]
                    report.emit(
                        "checked",
                        body=name,
                        verdict=verdict,
                        id=message.message_id,
                        next_consumed_at=message.next_consume_time,
                    )
                    self.handles[name] = message.receipt_handle
                    self._end(producer, name, verdict)
                    checked += 1
            except Exception as e:
                if getattr(e, "type", None) != NOTHING:
                    errors.append(_describe(e))
                    time.sleep(0.2)
        return {"received": checked, "errors": errors}

    def _end_all(self, options):
        """Ends the transactions of these names, or the one of a handle."""
        producer = self._transactions(options["topic"])
        if "handle" in options:
            self.handles[""] = options["handle"]
            self._end(producer, "", options["verdict"])
        for name in options.list("names"):
            self._end(producer, name, options["verdict"])

    def _end(self, producer, name, verdict):
        try:
            if verdict == "commit":
                producer.commit(self.handles[name])
            elif verdict == "rollback":
                producer.rollback(self.handles[name])
        except MQServerException as e:
            raise Refused(_describe(e))

    def stop(self):
        self.client.close_connection()


class SimpleConsumer:
    """Consumes and acknowledges as commanded."""

    def start(self, options):
        self.client = _client(options)
        self.topic = options["topic"]
        self.orderly = options.flag("orderly")
        self.consumer = self.client.get_consumer(
            options.get("namespace"), self.topic, options["group"], options.get("tags", "")
        )
        # The handles of what was received and not acknowledged yet, by the names in the bodies.
        self.held = {}

    def command(self, verb, options):
        if verb == "receive":
            return self._receive(options)
        if verb == "ack":
            return self._acknowledge(options)
        if verb == "poll":
            return self._poll(options)
        raise ValueError("no such command: " + verb)

    def _consume(self, most, wait_s):
        """Empty when there is nothing: this SDK then raises the server's error."""
        consume = self.consumer.consume_message_orderly if self.orderly else self.consumer.consume_message
        try:
            return consume(most, wait_s)
        except MQServerException as e:
            if e.type != NOTHING:
                raise
            return []

    def _receive(self, options):
        """Receives until there were as many messages as asked for, or time is up. Errors are listed, not raised."""
        count, total, errors = options.number("count", 1), 0, []
        end = time.monotonic() + options.number("limit-ms", 30000) / 1000
        while total < count and time.monotonic() < end:
            try:
                most = min(count - total, options.number("batch", BATCH))
                messages = self._consume(most, options.number("wait-s", 3))
                for message in messages:
                    _received(message, self.topic)
                    self.held[_name(message)] = message.receipt_handle
                    total += 1
                if options.flag("ack") and messages:
                    self.consumer.ack_message([message.receipt_handle for message in messages])
                    for message in messages:
                        del self.held[_name(message)]
            except Exception as e:
                errors.append(_describe(e))
                time.sleep(0.2)
        return {"received": total, "errors": errors}

    def _poll(self, options):
        """Asks once; how many messages there were, and how long it took."""
        started = time.monotonic()
        try:
            count = len(self._consume(BATCH, options.number("wait-s", 3)))
        except MQServerException as e:
            raise Refused(_describe(e))
        return {"count": count, "took_ms": int((time.monotonic() - started) * 1000)}

    def _acknowledge(self, options):
        """Acknowledges the messages with these names, or all, and these handles, in one request. Returns the codes of
        handles that were refused."""
        handles = options.list("handles")
        given = "names" in options or "handles" in options
        for name in options.list("names") if given else list(self.held):
            handles.append(self.held.pop(name))
        try:
            self.consumer.ack_message(handles)
        except MQServerException as e:
            if not e.sub_errors:
                raise Refused(_describe(e))
            return {error["ReceiptHandle"]: error["ErrorCode"] for error in e.sub_errors}
        return {}

    def stop(self):
        self.client.close_connection()


ROLES = {"producer": Producer, "simple-consumer": SimpleConsumer}
