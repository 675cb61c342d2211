package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// A producer of transactions, each of which ends as its message's name says: "commit…", "rollback…", or "later…", which
// is left open and committed at the broker's first check, and "never…", which is rolled back then.
type transactionRole struct {
	client rocketmq.TransactionProducer
	checks sync.Map
}

func (r *transactionRole) start(o options) error {
	client, err := rocketmq.NewTransactionProducer(r, producerOptions(o)...)
	if err != nil {
		return err
	}
	r.client = client
	return client.Start()
}

func (r *transactionRole) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	switch name := bodyName(m.Body); {
	case strings.HasPrefix(name, "commit"):
		return primitive.CommitMessageState
	case strings.HasPrefix(name, "rollback"):
		return primitive.RollbackMessageState
	default:
		return primitive.UnknowState
	}
}

func (r *transactionRole) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	name := bodyName(m.Body)
	// A broker may ask again before it has noticed the answer.
	if _, known := r.checks.LoadOrStore(name, true); !known {
		remember("checked %s intact=%t", name, intact(m.Body))
	}
	if strings.HasPrefix(name, "later") {
		return primitive.CommitMessageState
	}
	return primitive.RollbackMessageState
}

func (r *transactionRole) command(verb string, o options) (interface{}, error) {
	switch verb {
	case "send":
		for i := 0; i < o.number("count", 1); i++ {
			m := message(o, i)
			name, startedAt := bodyName(m.Body), nowMillis()
			result, err := r.client.SendMessageInTransaction(context.Background(), m)
			if err != nil {
				sent([]string{name}, nil, err, startedAt)
				continue
			}
			remember("transaction %s state=%d", name, result.State)
			sent([]string{name}, result.SendResult, nil, startedAt)
		}
		return nil, nil
	case "checked":
		var names []string
		r.checks.Range(func(name, _ interface{}) bool {
			names = append(names, fmt.Sprint(name))
			return true
		})
		return names, nil
	default:
		return nil, noSuchCommand(verb)
	}
}

func (r *transactionRole) stop() error {
	return r.client.Shutdown()
}

var _ primitive.TransactionListener = (*transactionRole)(nil)
