"""Sends and consumes with a client that was generated from the API's description.

    main.py URL TOPIC GROUP    with the generated package `remora_client` on the path
"""

import sys
from io import BytesIO

from remora_client import Client
from remora_client.api.messages import (
    acknowledge_message,
    pull_messages,
    send_message,
    send_messages,
    settle_messages,
)
from remora_client.api.topics import describe_topic
from remora_client.api.transactions import commit_transaction
from remora_client.models import (
    Batch,
    CloudEvent,
    CloudEventSpecversion,
    Entry,
    EntryProperties,
    Extend,
    Nack,
    Problem,
    Pull,
    SendError,
    Sent,
    Settlements,
)
from remora_client.types import File


def main(url, topic, group):
    client = Client(base_url=url, timeout=60)
    described = describe_topic.sync(topic, client=client)
    assert described.type_ == "normal" and len(described.brokers) == 2, described
    pulled = pull_messages.sync(topic, group, client=client, body=Pull(max_=1))
    assert pulled.messages == [], pulled

    sent = send_message.sync(
        topic, client=client, body=File(BytesIO(b"\x00\xff")), tag="a", key=["1", "2"],
        property_=["Color=red"], idempotency_key="id-1",
    )
    assert isinstance(sent, Sent) and sent.message_id == "id-1", sent
    event = CloudEvent(CloudEventSpecversion.VALUE_0, id="1", source="/s", type_="t", data={"a": 1})
    assert isinstance(send_message.sync(topic, client=client, body=event), Sent)
    properties = EntryProperties()
    properties["Color"] = "blue"
    entries = [Entry(body="text", properties=properties), Entry(), Entry(json=[1])]
    results = send_messages.sync(topic, client=client, body=Batch(entries)).results
    assert [type(result) for result in results] == [Sent, SendError, Sent], results
    assert results[1].error.code == "request_invalid", results

    messages = []
    for _ in range(20):
        if len(messages) >= 4:
            break
        pull = Pull(max_=32, wait="5s", invisible="1m")
        messages += pull_messages.sync(topic, group, client=client, body=pull).messages
    by_body = {message.body or message.body_base_64: message for message in messages}
    assert sorted(by_body) == ["AP8=", "[1]", "text", '{"a":1}'], by_body
    first = by_body["AP8="]
    assert (first.message_id, first.tag, first.keys) == ("id-1", "a", ["1", "2"]), first
    assert first.properties["Color"] == "red" and first.attempt == 1, first
    assert first.visible_at > first.stored_at, first

    acknowledged = acknowledge_message.sync_detailed(topic, group, first.handle, client=client)
    assert acknowledged.status_code == 204, acknowledged
    settlements = Settlements(
        acks=[by_body["text"].handle],
        nacks=[Nack(by_body["[1]"].handle, delay="1h")],
        extends=[Extend(by_body['{"a":1}'].handle, invisible="30s")],
    )
    results = settle_messages.sync(topic, group, client=client, body=settlements).results
    assert all(result.ok for result in results), results
    extended = results[2].new_handle
    assert acknowledge_message.sync_detailed(topic, group, extended, client=client).status_code == 204

    for problem, status, code in [
        (pull_messages.sync("nowhere", group, client=client), 404, "topic_not_found"),
        (pull_messages.sync(topic, group, client=client, body=Pull(max_=33)), 400, "request_invalid"),
        (commit_transaction.sync("x", client=client), 400, "token_invalid"),
    ]:
        assert isinstance(problem, Problem), problem
        assert (problem.status, problem.code) == (status, code), problem
    print("done")


main(*sys.argv[1:])
