// One RocketMQ client per process, steered by a test: commands arrive line by line on standard input, and everything
// that happens is reported as one JSON object a line on standard output. The process decides nothing and asserts
// nothing; the test that started it does.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// What a process is: one producer, one consumer.
type role interface {
	// Configures and starts the client.
	start(o options) error
	// Carries out one command and returns what it found out.
	command(verb string, o options) (interface{}, error)
	// Shuts the client down in the orderly way.
	stop() error
}

func main() {
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "the first argument names the role")
		os.Exit(64)
	}
	client := roles[os.Args[1]]()
	o, err := parseOptions(os.Args[2:])
	if err == nil {
		err = client.start(o)
	}
	if err != nil {
		emit("start-failed", fields{"error": err.Error()})
		os.Exit(1)
	}
	emit("ready", nil)
	serve(client)
	if err := client.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "shutdown:", err)
		os.Exit(1)
	}
	emit("stopped", nil)
}

// Runs commands until "stop" or until the test ends (end of input).
func serve(client role) {
	input := bufio.NewScanner(os.Stdin)
	for number := 1; input.Scan() && input.Text() != "stop"; number++ {
		words := strings.Split(input.Text(), "\t")
		result, err := run(client, words[0], words[1:])
		if err != nil {
			emit("failed", fields{"command": number, "error": err.Error()})
		} else {
			emit("done", fields{"command": number, "result": result})
		}
	}
}

func run(client role, verb string, words []string) (interface{}, error) {
	// What every role can report.
	if verb == "facts" {
		return facts(), nil
	}
	o, err := parseOptions(words)
	if err != nil {
		return nil, err
	}
	return client.command(verb, o)
}

func noSuchCommand(verb string) error {
	return fmt.Errorf("no such command: %s", verb)
}
