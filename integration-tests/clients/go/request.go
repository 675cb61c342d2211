package main

import (
	"context"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// A producer that waits for an answer to each message.
type requesterRole struct {
	producerRole
}

func (r *requesterRole) command(verb string, o options) (interface{}, error) {
	if verb != "request" {
		return r.producerRole.command(verb, o)
	}
	ttl := o.millis("ttl-ms", 10000)
	answers := []string{}
	for i := 0; i < o.number("count", 1); i++ {
		m := message(o, i)
		var answer *primitive.Message
		var err error
		if o.text("mode", "sync") == "async" {
			answer, err = r.requestAsync(m, ttl)
		} else {
			answer, err = r.client.Request(context.Background(), ttl, m)
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, string(answer.Body))
		remember("answer %s type=%s", answer.Body, answer.GetProperty(primitive.PropertyMsgType))
	}
	return answers, nil
}

func (r *requesterRole) requestAsync(m *primitive.Message, ttl time.Duration) (*primitive.Message, error) {
	type outcome struct {
		answer *primitive.Message
		err    error
	}
	// The client may call back once more when it forgets the request.
	done := make(chan outcome, 2)
	err := r.client.RequestAsync(context.Background(), ttl, func(_ context.Context, answer *primitive.Message, err error) {
		done <- outcome{answer, err}
	}, m)
	if err != nil {
		return nil, err
	}
	select {
	case first := <-done:
		return first.answer, first.err
	case <-time.After(ttl):
		return nil, context.DeadlineExceeded
	}
}

// A consumer that answers each message.
type replierRole struct {
	pushRole
	producer producerRole
	client   rocketmq.Producer
}

func (r *replierRole) start(o options) error {
	if err := r.producer.start(o); err != nil {
		return err
	}
	r.client = r.producer.client
	r.onMessage = r.reply
	return r.pushRole.start(o)
}

func (r *replierRole) reply(m *primitive.MessageExt) error {
	// The client's own helper takes the body for properties and sends an empty one.
	body := []byte("re: " + bodyName(m.Body))
	answer, err := consumer.CreateReplyMessage(m, body)
	if err != nil {
		return err
	}
	answer.Body = body
	startedAt := nowMillis()
	result, err := r.client.SendSync(context.Background(), answer)
	sent([]string{string(body)}, result, err, startedAt)
	return nil
}

func (r *replierRole) stop() error {
	if err := r.pushRole.stop(); err != nil {
		return err
	}
	return r.producer.stop()
}
