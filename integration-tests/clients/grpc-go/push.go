package main

import (
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// A push consumer; reports what it gets.
type pushRole struct {
	client    rmq.PushConsumer
	failTimes int
	consume   time.Duration
}

func (r *pushRole) start(o options) error {
	r.failTimes = o.number("fail-times", 0)
	r.consume = o.millis("consume-ms", 0)
	client, err := rmq.NewPushConsumer(config(o),
		rmq.WithPushAwaitDuration(5*time.Second),
		rmq.WithPushSubscriptionExpressions(subscriptions(o)),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: r.take}))
	if err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

// Fails each message as often as it is to.
func (r *pushRole) take(message *rmq.MessageView) rmq.ConsumerResult {
	received(message)
	time.Sleep(r.consume)
	if int(message.GetDeliveryAttempt()) > r.failTimes {
		return rmq.SUCCESS
	}
	return rmq.FAILURE
}

func (r *pushRole) command(verb string, _ options) (interface{}, error) {
	return nil, noSuchCommand(verb)
}

func (r *pushRole) stop() error {
	return r.client.GracefulStop()
}
