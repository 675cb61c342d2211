package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"
)

type fields map[string]interface{}

var (
	output sync.Mutex
	// What does not depend on time and chance, so that it is the same in each run.
	remembered []string
)

// Writes what happened, one JSON object a line.
func emit(event string, values fields) {
	line := fields{"event": event, "at": nowMillis()}
	for name, value := range values {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		fmt.Fprintln(os.Stderr, "event", event, err)
		return
	}
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// Keeps a fact for the command "facts".
func remember(format string, values ...interface{}) {
	output.Lock()
	defer output.Unlock()
	remembered = append(remembered, fmt.Sprintf(format, values...))
}

// Everything that was remembered, in an order of its own: that of arrival is chance.
func facts() []string {
	output.Lock()
	defer output.Unlock()
	sorted := append([]string{}, remembered...)
	sort.Strings(sorted)
	return sorted
}

func nowMillis() int64 {
	return time.Now().UnixNano() / int64(time.Millisecond)
}
