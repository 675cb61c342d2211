package main

var roles = map[string]func() role{
	"producer":             func() role { return &producerRole{} },
	"transaction-producer": func() role { return &transactionRole{} },
	"requester":            func() role { return &requesterRole{} },
	"replier":              func() role { return &replierRole{} },
	"push-consumer":        func() role { return &pushRole{} },
	"pull-consumer":        func() role { return &pullRole{} },
}
