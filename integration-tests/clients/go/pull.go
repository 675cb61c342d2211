package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// A pull consumer, which takes what it is assigned (poll) or reads a queue from an offset (pull-from).
type pullRole struct {
	client rocketmq.PullConsumer
	topic  string
}

func (r *pullRole) start(o options) error {
	r.topic = o.text("topic", "")
	client, err := rocketmq.NewPullConsumer(consumerOptions(o)...)
	if err != nil {
		return err
	}
	if err := client.Subscribe(r.topic, selector(o)); err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

func (r *pullRole) command(verb string, o options) (interface{}, error) {
	switch verb {
	case "poll":
		return r.poll(o.number("count", 1), o.millis("limit-ms", 10000)), nil
	case "pull-from":
		return r.pullFrom(o)
	default:
		return nil, noSuchCommand(verb)
	}
}

// Polls until count messages have arrived or the time is up; returns how many.
func (r *pullRole) poll(count int, limit time.Duration) int {
	got := 0
	for deadline := time.Now().Add(limit); got < count && time.Now().Before(deadline); {
		request, err := r.client.Poll(context.Background(), 100*time.Millisecond)
		if err != nil {
			continue
		}
		for _, message := range request.GetMsgList() {
			received(message, request.GetMQ())
			got++
		}
		r.client.ACK(context.Background(), request, consumer.ConsumeSuccess)
	}
	return got
}

// Reads a queue from an offset to its end; returns how many messages it has got, and where the queue ends.
func (r *pullRole) pullFrom(o options) (interface{}, error) {
	broker, id, _ := strings.Cut(o.text("queue", ""), ":")
	number, err := strconv.Atoi(id)
	if err != nil {
		return nil, err
	}
	offset, got := int64(o.number("offset", 0)), 0
	for {
		// The client changes the queue that it is given.
		queue := &primitive.MessageQueue{Topic: r.topic, BrokerName: broker, QueueId: number}
		result, err := r.client.PullFrom(context.Background(), queue, offset, 8)
		if err != nil {
			return nil, err
		}
		for _, message := range result.GetMessageExts() {
			received(message, queue)
			got++
		}
		offset = result.NextBeginOffset
		if offset >= result.MaxOffset {
			return map[string]int64{"got": int64(got), "end": offset}, nil
		}
	}
}

func (r *pullRole) stop() error {
	return r.client.Shutdown()
}
