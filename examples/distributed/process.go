package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A process runs this program again, in one of the roles.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer // open as long as this process runs: the child exits when it is closed
	killed bool
	ended  chan struct{} // closed when the process has ended and all of its output was read
	err    error         // its failure
}

// start starts a process, and calls read with each line that it prints.
func start(name, role string, env []string, read func(line string)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(self), ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), roleKey+"="+role), env...)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			read(lines.Text())
		}
		p.err = errors.Join(lines.Err(), p.cmd.Wait())
		close(p.ended)
	}()
	return p, nil
}

// kill ends the process at once: it gets no chance to clean up.
func (p *process) kill() error {
	p.killed = true
	return p.cmd.Process.Kill()
}

// wait blocks until the process has ended, and returns an error if it failed.
func (p *process) wait() error {
	<-p.ended
	if p.err != nil && !p.killed {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}

// failed returns the error of a process that has ended with one, without blocking.
func (p *process) failed() error {
	select {
	case <-p.ended:
		return p.wait()
	default:
		return nil
	}
}

// exitWithParent makes this process exit when the one that started it does.
func exitWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
}
