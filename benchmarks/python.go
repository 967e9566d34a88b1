package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

//go:embed queues.py
var script string

// pythonPeers are the queues of a Python interpreter. They stand in the cells
// with context.Background(): a task blocked in asyncio can always be canceled, a
// thread never.
var pythonPeers = []peer{
	{name: "asyncio.Queue", python: true, note: "one event loop, one thread; PriorityQueue: equal items leave in any order"},
	{name: "queue.Queue", python: true, note: "one thread runs at a time; blocked calls can time out, but not be canceled; PriorityQueue: equal items leave in any order"},
}

// A request asks the script for a round or, with no items, to drop a priority
// queue.
type request struct {
	Queue    string `json:"queue"`
	Workload string `json:"workload"`
	Workers  int    `json:"workers"`
	Capacity int    `json:"capacity"`
	Queued   int    `json:"queued"`
	Rising   bool   `json:"rising"`
	Items    int    `json:"items"`
}

type answer struct {
	Version string  `json:"version"`
	Seconds float64 `json:"seconds"`
}

// An interpreter runs the script.
type interpreter struct {
	version string

	command *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
}

// startPython runs the script with the interpreter at path. The interpreter ends
// with ctx.
func startPython(ctx context.Context, path string, stderr io.Writer) (*interpreter, error) {
	p := &interpreter{command: exec.CommandContext(ctx, path, "-c", script)}
	p.command.Stderr = stderr
	var err error
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(stdout)
	var hello answer
	if err := p.answers.Decode(&hello); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is no Python: %w", path, err), p.close())
	}
	p.version = hello.Version
	return p, nil
}

func (p *interpreter) close() error {
	_ = p.stdin.Close() // the script's loop ends
	return p.command.Wait()
}

func (p *interpreter) ask(r request) (time.Duration, error) {
	if err := json.NewEncoder(p.stdin).Encode(r); err != nil {
		return 0, err
	}
	var a answer
	if err := p.answers.Decode(&a); err != nil {
		return 0, fmt.Errorf("the script gave no answer: %w", err)
	}
	return time.Duration(a.Seconds * float64(time.Second)), nil
}

// join adds the interpreter's queues to the cells that they support.
func (p *interpreter) join(cells []cell) {
	for i, c := range cells {
		if c.python == nil {
			continue
		}
		for _, peer := range pythonPeers {
			ask := *c.python
			ask.Queue = peer.name
			cells[i].sides = append(cells[i].sides, side{peer: peer.name, prepare: func() (trial, error) {
				return trial{
					run: func(items int) (sample, error) {
						ask.Items = items
						elapsed, err := p.ask(ask)
						return sample{
							values:  []float64{float64(elapsed.Nanoseconds()) / float64(items)},
							elapsed: elapsed,
						}, err
					},
					close: func() {
						ask.Items = 0
						if ask.Workload == "priority" {
							_, _ = p.ask(ask)
						}
					},
				}, nil
			}})
		}
	}
}
