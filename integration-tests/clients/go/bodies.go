package main

import (
	"bytes"
	"fmt"
	"sort"
	"strings"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const endOfName = '|'

// A body that can be checked on arrival: a name, then padding that follows from the length alone, so that a body that
// was cut, mixed up or not decompressed is noticed. At least `size` bytes; just the name when it is that long already.
func encodeBody(name string, size int) []byte {
	body := []byte(name)
	if size <= len(body) {
		return body
	}
	body = append(body, endOfName)
	for len(body) < size {
		body = append(body, padding(len(body)))
	}
	return body
}

func bodyName(body []byte) string {
	if end := bytes.IndexByte(body, endOfName); end >= 0 {
		return string(body[:end])
	}
	return string(body)
}

func intact(body []byte) bool {
	for i := len(bodyName(body)) + 1; i < len(body); i++ {
		if body[i] != padding(i) {
			return false
		}
	}
	return true
}

func padding(position int) byte {
	return byte('a' + position%23)
}

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
