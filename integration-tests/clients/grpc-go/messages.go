package main

import rmq "github.com/apache/rocketmq-clients/golang/v5"

// Reports a message that arrived.
func received(message *rmq.MessageView) {
	body := message.GetBody()
	keys := message.GetKeys()
	if keys == nil {
		keys = []string{}
	}
	properties := message.GetProperties()
	if properties == nil {
		properties = map[string]string{}
	}
	emit("received", fields{
		"body":            bodyName(body),
		"size":            len(body),
		"intact":          intact(body),
		"topic":           message.GetTopic(),
		"tag":             message.GetTag(),
		"keys":            keys,
		"properties":      properties,
		"message_group":   message.GetMessageGroup(),
		"id":              message.GetMessageId(),
		"offset":          message.GetOffset(),
		"reconsume_times": message.GetDeliveryAttempt() - 1,
	})
}
