package main

import (
	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

// What every role has in common.
func config(o options) *rmq.Config {
	// The client speaks TLS unless it is told not to, by a variable of the whole process.
	rmq.EnableSsl = o.flag("tls")
	return &rmq.Config{
		Endpoint:      o.text("endpoints", ""),
		NameSpace:     o.text("namespace", ""),
		ConsumerGroup: o.text("group", ""),
		// It must have a key.
		Credentials: &credentials.SessionCredentials{
			AccessKey:    o.text("access-key", ""),
			AccessSecret: o.text("secret-key", ""),
		},
	}
}

func subscriptions(o options) map[string]*rmq.FilterExpression {
	filter := rmq.NewFilterExpressionWithType(o.text("tags", "*"), rmq.TAG)
	if o.has("sql") {
		filter = rmq.NewFilterExpressionWithType(o.text("sql", ""), rmq.SQL92)
	}
	return map[string]*rmq.FilterExpression{o.text("topic", ""): filter}
}
