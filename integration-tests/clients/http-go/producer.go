package main

import (
	"fmt"
	"strconv"

	sdk "github.com/aliyunmq/mq-http-go-sdk"
)

// Sends, asks for half messages and ends them as commanded, and reports every result.
type producerRole struct {
	client   sdk.MQClient
	instance string
	group    string
	// Of half messages without an end, by the names in the bodies.
	handles map[string]string
}

// What both kinds of producers do.
type publisher interface {
	PublishMessage(message sdk.PublishMessageRequest) (sdk.PublishMessageResponse, error)
}

func (r *producerRole) start(o options) error {
	r.client = newClient(o)
	r.instance, r.group = o["namespace"], o["group"]
	r.handles = map[string]string{}
	return nil
}

func (r *producerRole) command(verb string, o options) (interface{}, error) {
	switch verb {
	case "send":
		r.send(o)
		return nil, nil
	case "checks":
		return r.checks(o), nil
	case "end":
		return nil, r.endAll(o)
	default:
		return nil, noSuchCommand(verb)
	}
}

func (r *producerRole) transactions(o options) sdk.MQTransProducer {
	return r.client.GetTransProducer(r.instance, o["topic"], r.group)
}

func (r *producerRole) send(o options) {
	var producer publisher
	var ending sdk.MQTransProducer
	if o.text("mode", "sync") == "transaction" {
		ending = r.transactions(o)
		producer = ending
	} else {
		producer = r.client.GetProducer(r.instance, o["topic"])
	}
	for number := 0; number < o.number("count", 1); number++ {
		name := fmt.Sprintf("%s-%d", o["name"], number)
		startedAt := nowMillis()
		sent, err := producer.PublishMessage(newMessage(o, name, number))
		if err == nil && ending != nil {
			r.handles[name] = sent.ReceiptHandle
			err = r.end(ending, name, o["verdict"])
		}
		if err != nil {
			emit("send-failed", fields{"body": name, "error": named(err).Error(), "started_at": startedAt})
			continue
		}
		emit("sent", fields{
			"body":       name,
			"status":     "SEND_OK",
			"id":         sent.MessageId,
			"digest":     sent.MessageBodyMD5,
			"handle":     orNull(sent.ReceiptHandle),
			"started_at": startedAt,
		})
	}
}

func newMessage(o options, name string, number int) sdk.PublishMessageRequest {
	message := sdk.PublishMessageRequest{MessageBody: newBody(o, name), Properties: map[string]string{}}
	if tags := o.list("tags"); len(tags) > 0 {
		message.MessageTag = tags[number%len(tags)]
	}
	if o.flag("keys") {
		message.MessageKey = fmt.Sprintf("%[1]s-key %[1]s-other", name)
	}
	if o.flag("numbered") {
		message.Properties["number"] = strconv.Itoa(number)
	}
	if o.has("groups") {
		message.ShardingKey = fmt.Sprintf("group-%d", number%o.number("groups", 1))
	}
	if o.has("delay-ms") {
		message.StartDeliverTime = nowMillis() + int64(o.number("delay-ms", 0))
	}
	message.TransCheckImmunityTime = o.number("check-s", 0)
	return message
}

// Consumes half messages until there were as many as asked for, or time is up.
func (r *producerRole) checks(o options) interface{} {
	producer := r.transactions(o)
	return repeat(o, func(int) (int, error) {
		messages, err := consume(producer.ConsumeHalfMessage, batch, o.number("wait-s", 3))
		for at := range messages {
			message := &messages[at]
			name, verdict := bodyName([]byte(message.MessageBody)), o["verdict"]
			emit("checked", fields{
				"body":             name,
				"verdict":          verdict,
				"id":               message.MessageId,
				"next_consumed_at": message.NextConsumeTime,
			})
			r.handles[name] = message.ReceiptHandle
			if err := r.end(producer, name, verdict); err != nil {
				return at, err
			}
		}
		return len(messages), err
	})
}

// Ends the transactions of these names, or the one of a handle.
func (r *producerRole) endAll(o options) error {
	producer := r.transactions(o)
	names := o.list("names")
	if o.has("handle") {
		r.handles[""] = o["handle"]
		names = append(names, "")
	}
	for _, name := range names {
		if err := r.end(producer, name, o["verdict"]); err != nil {
			return err
		}
	}
	return nil
}

func (r *producerRole) end(producer sdk.MQTransProducer, name, verdict string) (err error) {
	switch verdict {
	case "commit":
		err = producer.Commit(r.handles[name])
	case "rollback":
		err = producer.Rollback(r.handles[name])
	}
	if err != nil {
		return named(err)
	}
	return nil
}

func (r *producerRole) stop() error {
	return nil
}
