package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	sdk "github.com/aliyunmq/mq-http-go-sdk"
)

const (
	batch = 16
	// What a body has in it that is written in another way in XML.
	markup  = "<a href=\"x\">&amp; 'y' \u4e2d\u6587 ]] \r\n\t</a> end"
	nothing = "MessageNotExist"
)

func newClient(o options) sdk.MQClient {
	return sdk.NewAliyunMQClient("http://"+o["endpoints"], o.text("access-key", "access"), o.text("secret-key", "secret"), "")
}

func newBody(o options, name string) string {
	if o.flag("markup") {
		return name + string(endOfName) + markup
	}
	return string(encodeBody(name, o.number("size", 0)))
}

// Reports a message that arrived; its name.
func received(message *sdk.ConsumeMessageEntry, topic string) string {
	body := []byte(message.MessageBody)
	name := bodyName(body)
	emit("received", fields{
		"body":              name,
		"size":              len(body),
		"intact":            intact(body) || message.MessageBody == name+string(endOfName)+markup,
		"topic":             topic,
		"tag":               orNull(message.MessageTag),
		"keys":              strings.Fields(message.MessageKey),
		"properties":        message.Properties,
		"message_group":     orNull(message.ShardingKey),
		"id":                message.MessageId,
		"reconsume_times":   message.ConsumedTimes - 1,
		"handle":            message.ReceiptHandle,
		"digest":            message.MessageBodyMD5,
		"published_at":      message.PublishTime,
		"first_consumed_at": message.FirstConsumeTime,
		"next_consumed_at":  message.NextConsumeTime,
	})
	return name
}

func orNull(text string) interface{} {
	if text == "" {
		return nil
	}
	return text
}

// A call of this SDK answers by one of two channels.
type consumption func(messages chan sdk.ConsumeMessageResponse, errors chan error, most int32, wait int64)

// Empty when there is nothing: this SDK then has the server's error.
func consume(call consumption, most, wait int) ([]sdk.ConsumeMessageEntry, error) {
	messages, errors := make(chan sdk.ConsumeMessageResponse, 1), make(chan error, 1)
	call(messages, errors, int32(most), int64(wait))
	select {
	case answer := <-messages:
		return answer.Messages, nil
	case err := <-errors:
		if code(err) == nothing {
			return nil, nil
		}
		return nil, named(err)
	}
}

// Until there were as many messages as asked for, or time is up. Errors are listed, not returned.
func repeat(o options, receive func(left int) (int, error)) interface{} {
	total, errors := 0, []string{}
	end := time.Now().Add(o.millis("limit-ms", 30000))
	for total < o.number("count", 1) && time.Now().Before(end) {
		count, err := receive(o.number("count", 1) - total)
		total += count
		if err != nil {
			errors = append(errors, err.Error())
			time.Sleep(200 * time.Millisecond)
		}
	}
	return fields{"received": total, "errors": errors}
}

// This SDK has the protocol's code in the text of its errors only.
var codes = regexp.MustCompile(`code: ?(\w+)`)

func code(err error) string {
	if found := codes.FindStringSubmatch(err.Error()); found != nil {
		return found[1]
	}
	return ""
}

// With the protocol's code in front, where the server has answered one.
func named(err error) error {
	if code := code(err); code != "" {
		return fmt.Errorf("%s: %w", code, err)
	}
	return err
}
