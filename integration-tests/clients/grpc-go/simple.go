package main

import (
	"context"
	"fmt"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
)

const batch = 16

// Receives, acknowledges and postpones as commanded.
type simpleRole struct {
	client rmq.SimpleConsumer
	// What was received and not acknowledged yet, by the names in the bodies.
	held map[string]*rmq.MessageView
}

func (r *simpleRole) start(o options) error {
	r.held = map[string]*rmq.MessageView{}
	client, err := rmq.NewSimpleConsumer(config(o),
		rmq.WithSimpleAwaitDuration(o.millis("await-ms", 5000)),
		rmq.WithSimpleSubscriptionExpressions(subscriptions(o)))
	if err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

func (r *simpleRole) command(verb string, o options) (interface{}, error) {
	switch verb {
	case "receive":
		return r.receive(o)
	case "ack":
		return r.acknowledge(o)
	case "change-invisible":
		message, err := r.find(o.text("name", ""))
		if err != nil {
			return nil, err
		}
		return nil, r.client.ChangeInvisibleDuration(message, o.millis("invisible-ms", 0))
	default:
		return nil, noSuchCommand(verb)
	}
}

// Receives until there were as many messages as asked for, or time is up. Errors are listed, not returned.
func (r *simpleRole) receive(o options) (interface{}, error) {
	count, total, errors := o.number("count", 1), 0, []string{}
	end := time.Now().Add(o.millis("limit-ms", 30000))
	for total < count && time.Now().Before(end) {
		most := min(count-total, batch)
		messages, err := r.client.Receive(context.Background(), int32(most), o.millis("invisible-ms", 30000))
		if status, ok := rmq.AsErrRpcStatus(err); ok && status.GetCode() == int32(v2.Code_MESSAGE_NOT_FOUND) {
			// This client's way to say that there was nothing.
			continue
		}
		if err != nil {
			errors = append(errors, err.Error())
			time.Sleep(200 * time.Millisecond)
			continue
		}
		for _, message := range messages {
			received(message)
			total++
			if o.flag("ack") {
				if err := r.client.Ack(context.Background(), message); err != nil {
					errors = append(errors, err.Error())
				}
			} else {
				r.held[bodyName(message.GetBody())] = message
			}
		}
	}
	return fields{"received": total, "errors": errors}, nil
}

// Acknowledges the messages with these names, or all; the number of them.
func (r *simpleRole) acknowledge(o options) (interface{}, error) {
	names := o.list("names")
	if names == nil {
		for name := range r.held {
			names = append(names, name)
		}
	}
	for _, name := range names {
		message, err := r.find(name)
		if err != nil {
			return nil, err
		}
		if err := r.client.Ack(context.Background(), message); err != nil {
			return nil, err
		}
		delete(r.held, name)
	}
	return len(names), nil
}

func (r *simpleRole) find(name string) (*rmq.MessageView, error) {
	if message, found := r.held[name]; found {
		return message, nil
	}
	return nil, fmt.Errorf("not received: %s", name)
}

func (r *simpleRole) stop() error {
	return r.client.GracefulStop()
}
