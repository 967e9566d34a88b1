package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A process that is started to play a role finds it in one environment variable,
// and what it needs for it, as JSON, in another.
const (
	roleKey = "CHAOS_ROLE"
	partKey = "CHAOS_PART"
)

var roles = map[string]func() error{
	"server":   serve,
	"producer": produce,
	"worker":   work,
}

// A part is what a process needs to play its role.
type part struct {
	Name    string // of a server
	Dir     string
	Port    int
	Cluster int // the port for the other servers; 0 if there is none
	Routes  []string

	Servers  []string // of a producer or a worker
	Producer int
}

// A process is this program, started to play a role. It ends when the program
// does that started it.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	killed bool
	ended  chan struct{} // closed when the process has ended and all that it printed was read
	err    error         // how it ended
}

// start starts a process, and gives each line that it prints to read.
func start(name, role string, p part, read func(line string)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	started := &process{name: name, cmd: exec.Command(self), ended: make(chan struct{})}
	started.cmd.Env = append(os.Environ(), roleKey+"="+role, partKey+"="+string(data))
	started.cmd.Stderr = os.Stderr
	if started.stdin, err = started.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := started.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := started.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(started.ended)
		printed := bufio.NewScanner(out)
		for printed.Scan() {
			read(printed.Text())
		}
		started.err = errors.Join(printed.Err(), started.cmd.Wait())
	}()
	return started, nil
}

// stop asks the process to end. One that has ended does not mind.
func (p *process) stop() { _, _ = io.WriteString(p.stdin, "stop\n") }

// kill ends the process with SIGKILL, and waits until all that it printed was
// read.
func (p *process) kill() {
	p.killed = true
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// failed returns the error of a process that has ended and was not killed. One
// that succeeds has none.
func (p *process) failed() error {
	select {
	case <-p.ended:
		if p.err != nil && !p.killed {
			return fmt.Errorf("%s: %w", p.name, p.err)
		}
	default:
	}
	return nil
}

// begin returns the part of this process, and a channel that is closed when it is
// to stop. The process ends with the one that started it.
func begin() (p part, stopped <-chan struct{}, err error) {
	stop := make(chan struct{})
	go func() {
		asked := bufio.NewScanner(os.Stdin)
		if asked.Scan() {
			close(stop)
		}
		for asked.Scan() {
		}
		os.Exit(1)
	}()
	err = json.Unmarshal([]byte(os.Getenv(partKey)), &p)
	return p, stop, err
}
