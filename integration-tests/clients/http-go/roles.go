package main

var roles = map[string]func() role{
	"producer":        func() role { return &producerRole{} },
	"simple-consumer": func() role { return &simpleRole{} },
}
