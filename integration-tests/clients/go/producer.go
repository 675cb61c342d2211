package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// A producer: sends as commanded, and reports every result.
type producerRole struct {
	client rocketmq.Producer
	// Sends in the background until told to stop.
	stopping   chan struct{}
	background sync.WaitGroup
}

func (r *producerRole) start(o options) error {
	client, err := rocketmq.NewProducer(producerOptions(o)...)
	if err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

// What every kind of producer has in common.
func producerOptions(o options) []producer.Option {
	all := []producer.Option{
		producer.WithNsResolver(primitive.NewPassthroughResolver(o.nameServers())),
		producer.WithGroupName(o.text("group", "")),
	}
	switch o.text("selector", "") {
	case "hash":
		all = append(all, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	case "manual":
		all = append(all, producer.WithQueueSelector(producer.NewManualQueueSelector()))
	}
	if o.has("trace-topic") {
		all = append(all, producer.WithTrace(traceConfig(o)))
	}
	return all
}

func traceConfig(o options) *primitive.TraceConfig {
	return &primitive.TraceConfig{
		TraceTopic:   o.text("trace-topic", ""),
		GroupName:    o.text("group", ""),
		Access:       primitive.Local,
		NamesrvAddrs: o.nameServers(),
	}
}

func (r *producerRole) command(verb string, o options) (interface{}, error) {
	switch verb {
	case "send":
		return nil, r.sendAll(o)
	case "start-sending":
		r.stopping = make(chan struct{})
		r.background.Add(1)
		go r.keepSending(o)
		return nil, nil
	case "stop-sending":
		close(r.stopping)
		r.background.Wait()
		return nil, nil
	default:
		return nil, noSuchCommand(verb)
	}
}

// Sends one message after the other until it is told to stop.
func (r *producerRole) keepSending(o options) {
	defer r.background.Done()
	for i := 0; ; i++ {
		select {
		case <-r.stopping:
			return
		case <-time.After(o.millis("pause-ms", 0)):
			// Facts are not asked for: they would differ by run.
			r.send(o, []*primitive.Message{message(o, i)}, nil)
		}
	}
}

func (r *producerRole) sendAll(o options) error {
	step := 1
	if o.text("mode", "sync") == "batch" {
		step = o.number("batch", 10)
	}
	var outstanding sync.WaitGroup
	count := o.number("count", 1)
	for first := 0; first < count; first += step {
		var messages []*primitive.Message
		for i := first; i < first+step && i < count; i++ {
			messages = append(messages, message(o, i))
		}
		r.send(o, messages, &outstanding)
	}
	outstanding.Wait()
	return nil
}

func (r *producerRole) send(o options, messages []*primitive.Message, outstanding *sync.WaitGroup) {
	startedAt := nowMillis()
	// The client appends to messages while it sends them.
	names := make([]string, len(messages))
	for i, m := range messages {
		names[i] = bodyName(m.Body)
	}
	report := func(result *primitive.SendResult, err error) { sent(names, result, err, startedAt) }
	switch o.text("mode", "sync") {
	case "oneway":
		if err := r.client.SendOneWay(context.Background(), messages...); err != nil {
			report(nil, err)
			return
		}
		for _, name := range names {
			emit("sent", fields{"body": name, "status": "ONEWAY", "started_at": startedAt})
		}
	case "async":
		outstanding.Add(1)
		err := r.client.SendAsync(context.Background(), func(_ context.Context, result *primitive.SendResult, err error) {
			report(result, err)
			outstanding.Done()
		}, messages...)
		if err != nil {
			report(nil, err)
			outstanding.Done()
		}
	default:
		report(r.client.SendSync(context.Background(), messages...))
	}
}

func message(o options, i int) *primitive.Message {
	name := fmt.Sprintf("%s-%d", o.text("name", "m"), i)
	m := primitive.NewMessage(o.text("topic", ""), encodeBody(name, o.number("size", 0)))
	m.WithKeys([]string{name})
	m.WithProperty("number", strconv.Itoa(i))
	if tags := o.list("tags"); len(tags) > 0 {
		m.WithTag(tags[i%len(tags)])
	}
	if o.has("shards") {
		m.WithShardingKey(strconv.Itoa(i % o.number("shards", 1)))
	}
	if o.has("delay-level") {
		m.WithDelayTimeLevel(o.number("delay-level", 0))
	}
	if queues := o.list("queues"); len(queues) > 0 {
		broker, id, _ := strings.Cut(queues[i%len(queues)], ":")
		number, _ := strconv.Atoi(id)
		m.Queue = &primitive.MessageQueue{Topic: m.Topic, BrokerName: broker, QueueId: number}
	}
	return m
}

// A batch has one result; every message of it is reported.
func sent(names []string, result *primitive.SendResult, err error, startedAt int64) {
	if err == nil && result.Status != primitive.SendOK {
		err = fmt.Errorf("status %d", result.Status)
	}
	for _, name := range names {
		if err != nil {
			remember("not sent %s: %v", name, err)
			emit("send-failed", fields{"body": name, "error": err.Error(), "started_at": startedAt})
			continue
		}
		remember("sent %s region=%s trace=%t transaction=%t", name, result.RegionID, result.TraceOn,
			result.TransactionID != "")
		emit("sent", fields{
			"body": name, "status": "SEND_OK", "id": result.MsgID, "queue": queueName(result.MessageQueue),
			"started_at": startedAt,
		})
	}
}

func (r *producerRole) stop() error {
	return r.client.Shutdown()
}
