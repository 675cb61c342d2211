package main

import (
	"context"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// A push consumer; reports what it gets.
type pushRole struct {
	client     rocketmq.PushConsumer
	orderly    bool
	failTimes  int
	delayLevel int
	suspendMs  int
	// What else is done with a message.
	onMessage func(*primitive.MessageExt) error
}

func (r *pushRole) start(o options) error {
	r.orderly = o.flag("orderly")
	r.failTimes = o.number("fail-times", 0)
	r.delayLevel = o.number("delay-level", 0)
	r.suspendMs = o.number("suspend-ms", 1000)
	all := append(consumerOptions(o), consumer.WithConsumerOrder(r.orderly))
	if o.flag("broadcasting") {
		all = append(all, consumer.WithConsumerModel(consumer.BroadCasting))
	}
	if o.has("max-reconsume-times") {
		all = append(all, consumer.WithMaxReconsumeTimes(int32(o.number("max-reconsume-times", 0))))
	}
	client, err := rocketmq.NewPushConsumer(all...)
	if err != nil {
		return err
	}
	if err := client.Subscribe(o.text("topic", ""), selector(o), r.consume); err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

// What both kinds of consumer have in common.
func consumerOptions(o options) []consumer.Option {
	from := consumer.ConsumeFromFirstOffset
	if o.text("from", "") == "LAST_OFFSET" {
		from = consumer.ConsumeFromLastOffset
	}
	all := []consumer.Option{
		consumer.WithNsResolver(primitive.NewPassthroughResolver(o.nameServers())),
		consumer.WithGroupName(o.text("group", "")),
		consumer.WithConsumeFromWhere(from),
	}
	if o.has("trace-topic") {
		all = append(all, consumer.WithTrace(traceConfig(o)))
	}
	return all
}

func selector(o options) consumer.MessageSelector {
	if o.has("sql") {
		return consumer.MessageSelector{Type: consumer.SQL92, Expression: o.text("sql", "")}
	}
	return consumer.MessageSelector{Type: consumer.TAG, Expression: o.text("tags", "*")}
}

func (r *pushRole) consume(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	var queue *primitive.MessageQueue
	if concurrently, found := primitive.GetConcurrentlyCtx(ctx); found {
		concurrently.DelayLevelWhenNextConsume = r.delayLevel
		queue = &concurrently.MQ
	}
	if orderly, found := primitive.GetOrderlyCtx(ctx); found {
		orderly.SuspendCurrentQueueTimeMillis = r.suspendMs
		queue = &orderly.MQ
	}
	good := true
	for _, message := range messages {
		received(message, queue)
		if r.onMessage != nil {
			if err := r.onMessage(message); err != nil {
				return consumer.ConsumeRetryLater, err
			}
		}
		good = good && int(message.ReconsumeTimes) >= r.failTimes
	}
	switch {
	case good:
		return consumer.ConsumeSuccess, nil
	case r.orderly:
		return consumer.SuspendCurrentQueueAMoment, nil
	default:
		return consumer.ConsumeRetryLater, nil
	}
}

func (r *pushRole) command(verb string, _ options) (interface{}, error) {
	return nil, noSuchCommand(verb)
}

func (r *pushRole) stop() error {
	return r.client.Shutdown()
}
