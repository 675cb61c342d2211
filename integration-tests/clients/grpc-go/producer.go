package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// Sends as commanded, and reports every result and every check of a transaction.
type producerRole struct {
	client  rmq.Producer
	atCheck string
}

func (r *producerRole) start(o options) error {
	all := []rmq.ProducerOption{rmq.WithTopics(o.list("topics")...)}
	if o.has("check") {
		r.atCheck = o.text("check", "")
		all = append(all, rmq.WithTransactionChecker(&rmq.TransactionChecker{Check: r.check}))
	}
	client, err := rmq.NewProducer(config(o), all...)
	if err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

func (r *producerRole) check(message *rmq.MessageView) rmq.TransactionResolution {
	emit("checked", fields{"body": bodyName(message.GetBody()), "verdict": r.atCheck})
	switch r.atCheck {
	case "commit":
		return rmq.COMMIT
	case "rollback":
		return rmq.ROLLBACK
	default:
		return rmq.UNKNOWN
	}
}

func (r *producerRole) command(verb string, o options) (interface{}, error) {
	if verb != "send" {
		return nil, noSuchCommand(verb)
	}
	var outstanding sync.WaitGroup
	for i := 0; i < o.number("count", 1); i++ {
		name := fmt.Sprintf("%s-%d", o.text("name", ""), i)
		message := newMessage(o, name, i)
		startedAt := nowMillis()
		switch o.text("mode", "sync") {
		case "async":
			outstanding.Add(1)
			r.client.SendAsync(context.Background(), message, func(_ context.Context, receipts []*rmq.SendReceipt, err error) {
				defer outstanding.Done()
				report(name, startedAt, receipts, err)
			})
		case "transaction":
			receipts, err := r.transact(message, o.text("verdict", ""))
			report(name, startedAt, receipts, err)
		default:
			receipts, err := r.client.Send(context.Background(), message)
			report(name, startedAt, receipts, err)
		}
	}
	outstanding.Wait()
	return nil, nil
}

func (r *producerRole) transact(message *rmq.Message, verdict string) ([]*rmq.SendReceipt, error) {
	transaction := r.client.BeginTransaction()
	receipts, err := r.client.SendWithTransaction(context.Background(), message, transaction)
	if err != nil {
		return nil, err
	}
	switch verdict {
	case "commit":
		err = transaction.Commit()
	case "rollback":
		err = transaction.RollBack()
	}
	return receipts, err
}

func newMessage(o options, name string, number int) *rmq.Message {
	message := &rmq.Message{Topic: o.text("topic", ""), Body: encodeBody(name, o.number("size", 0))}
	if tags := o.list("tags"); len(tags) > 0 {
		message.SetTag(tags[number%len(tags)])
	}
	if o.flag("keys") {
		message.SetKeys(name+"-key", name+"-other")
	}
	if o.flag("numbered") {
		message.AddProperty("number", strconv.Itoa(number))
	}
	if o.has("groups") {
		message.SetMessageGroup(fmt.Sprintf("group-%d", number%o.number("groups", 1)))
	}
	if o.has("delay-ms") {
		message.SetDelayTimestamp(time.Now().Add(o.millis("delay-ms", 0)))
	}
	return message
}

func report(name string, startedAt int64, receipts []*rmq.SendReceipt, err error) {
	if err == nil && len(receipts) != 1 {
		err = fmt.Errorf("%d receipts", len(receipts))
	}
	if err != nil {
		emit("send-failed", fields{"body": name, "error": err.Error(), "started_at": startedAt})
		return
	}
	emit("sent", fields{"body": name, "status": "SEND_OK", "id": receipts[0].MessageID, "started_at": startedAt})
}

func (r *producerRole) stop() error {
	return r.client.GracefulStop()
}
