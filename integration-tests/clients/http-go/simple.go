package main

import (
	"fmt"
	"time"

	sdk "github.com/aliyunmq/mq-http-go-sdk"
	"github.com/gogap/errors"
)

// Consumes and acknowledges as commanded.
type simpleRole struct {
	consumer sdk.MQConsumer
	call     consumption
	topic    string
	// The handles of what was received and not acknowledged yet, by the names in the bodies.
	held map[string]string
}

func (r *simpleRole) start(o options) error {
	r.held = map[string]string{}
	r.topic = o["topic"]
	r.consumer = newClient(o).GetConsumer(o["namespace"], r.topic, o["group"], o["tags"])
	r.call = r.consumer.ConsumeMessage
	if o.flag("orderly") {
		r.call = r.consumer.ConsumeMessageOrderly
	}
	return nil
}

func (r *simpleRole) command(verb string, o options) (interface{}, error) {
	switch verb {
	case "receive":
		return r.receive(o), nil
	case "ack":
		return r.acknowledge(o)
	case "poll":
		return r.poll(o)
	default:
		return nil, noSuchCommand(verb)
	}
}

func (r *simpleRole) receive(o options) interface{} {
	return repeat(o, func(left int) (int, error) {
		messages, err := consume(r.call, min(left, o.number("batch", batch)), o.number("wait-s", 3))
		handles := []string{}
		for at := range messages {
			name := received(&messages[at], r.topic)
			r.held[name] = messages[at].ReceiptHandle
			handles = append(handles, messages[at].ReceiptHandle)
		}
		if o.flag("ack") && len(handles) > 0 {
			err = r.consumer.AckMessage(handles)
			for at := range messages {
				delete(r.held, bodyName([]byte(messages[at].MessageBody)))
			}
		}
		return len(messages), err
	})
}

// Asks once; how many messages there were, and how long it took.
func (r *simpleRole) poll(o options) (interface{}, error) {
	started := time.Now()
	messages, err := consume(r.call, batch, o.number("wait-s", 3))
	if err != nil {
		return nil, err
	}
	return fields{"count": len(messages), "took_ms": time.Since(started).Milliseconds()}, nil
}

// Acknowledges the messages with these names, or all, and these handles, in one request. The codes of handles that were
// refused.
func (r *simpleRole) acknowledge(o options) (interface{}, error) {
	handles, names := o.list("handles"), o.list("names")
	if handles == nil && names == nil {
		for name := range r.held {
			names = append(names, name)
		}
	}
	for _, name := range names {
		handles = append(handles, r.held[name])
		delete(r.held, name)
	}
	err := r.consumer.AckMessage(handles)
	refused := map[string]string{}
	if err == nil {
		return refused, nil
	}
	detailed, ok := err.(errors.ErrCode)
	if !ok {
		return nil, named(err)
	}
	items, ok := detailed.Context()["Detail"].([]sdk.ErrAckItem)
	if !ok {
		return nil, named(err)
	}
	for _, item := range items {
		refused[item.ErrorHandle] = item.ErrorCode
	}
	if len(refused) == 0 {
		return nil, fmt.Errorf("no handle is refused: %w", err)
	}
	return refused, nil
}

func (r *simpleRole) stop() error {
	return nil
}
