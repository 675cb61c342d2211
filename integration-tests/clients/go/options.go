package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The key=value words of a command line or of a command.
type options map[string]string

func parseOptions(words []string) (options, error) {
	o := options{}
	for _, word := range words {
		key, value, found := strings.Cut(word, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("not key=value: %s", word)
		}
		o[key] = value
	}
	return o, nil
}

func (o options) has(key string) bool {
	_, found := o[key]
	return found
}

func (o options) text(key, otherwise string) string {
	if value, found := o[key]; found {
		return value
	}
	return otherwise
}

func (o options) number(key string, otherwise int) int {
	if value, err := strconv.Atoi(o[key]); err == nil {
		return value
	}
	return otherwise
}

func (o options) flag(key string) bool {
	return o[key] == "true"
}

// A comma separated list; empty when the key is absent.
func (o options) list(key string) []string {
	if !o.has(key) {
		return nil
	}
	return strings.Split(o[key], ",")
}

func (o options) millis(key string, otherwise int) time.Duration {
	return time.Duration(o.number(key, otherwise)) * time.Millisecond
}

func (o options) nameServers() []string {
	return strings.Split(o["name-server"], ";")
}
