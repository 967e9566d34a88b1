package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A process is this program, started anew to play a role.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer // held open for as long as this process lives: the role ends with it
	killed bool
	ended  chan struct{} // closed when the process has ended, and all that it printed was read
	err    error         // how it ended
}

// start starts a process, and gives each line that it prints to read.
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

// wait waits until the process has ended, and returns an error if it failed.
func (p *process) wait() error {
	<-p.ended
	if p.err != nil && !p.killed {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}

// failed returns the error of a process that has failed by now.
func (p *process) failed() error {
	select {
	case <-p.ended:
		return p.wait()
	default:
		return nil
	}
}

// endWithParent ends this process when the one that started it does.
func endWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
}
