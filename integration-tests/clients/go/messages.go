package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func queueName(queue *primitive.MessageQueue) string {
	if queue == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", queue.BrokerName, queue.QueueId)
}

// Reports a message that arrived.
func received(message *primitive.MessageExt, queue *primitive.MessageQueue) {
	name := bodyName(message.Body)
	remember("received %s bytes=%d compressed=%t intact=%t tag=%s keys=%s shard=%s tries=%d flag=%d properties=%s",
		name, len(message.Body), int(message.StoreSize) < len(message.Body), intact(message.Body),
		message.GetTags(), message.GetKeys(),
		message.GetShardingKey(), message.ReconsumeTimes, message.Flag, propertyNames(message))
	emit("received", fields{
		"body":            name,
		"size":            len(message.Body),
		"intact":          intact(message.Body),
		"topic":           message.Topic,
		"tag":             message.GetTags(),
		"shard":           message.GetShardingKey(),
		"id":              message.MsgId,
		"queue":           queueName(queue),
		"offset":          message.QueueOffset,
		"reconsume_times": message.ReconsumeTimes,
	})
}

// The names of all properties: one that a proxy adds, loses or renames is noticed, and values differ by run.
func propertyNames(message *primitive.MessageExt) string {
	var names []string
	for name := range message.GetProperties() {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, ",")
}
