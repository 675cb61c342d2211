package main

var roles = map[string]func() role{
	"producer":        func() role { return &producerRole{} },
	"push-consumer":   func() role { return &pushRole{} },
	"simple-consumer": func() role { return &simpleRole{} },
}
