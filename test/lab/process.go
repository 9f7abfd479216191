package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// Process is a program that the lab started.
type Process struct {
	Name string
	// Log holds its standard output and error.
	Log string

	cmd     *exec.Cmd
	ended   chan struct{}
	err     error // why it ended
	stopped atomic.Bool
}

// Start runs a program until the lab is closed. Its environment is that of this
// process and more.
func (l *Lab) Start(name, binary string, args, env []string) (*Process, error) {
	dir, err := l.NewDir(name)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &Process{Name: name, Log: log.Name(), cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.Env = append(os.Environ(), env...)
	// The head of a group, for its children may be what really runs.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.processes = append(l.processes, p)
	return p, nil
}

// PID is the number of the process, as long as it runs.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Died reports whether the process ended though nobody stopped it, and why.
func (p *Process) Died() (bool, error) {
	select {
	case <-p.ended:
		return !p.stopped.Load(), p.err
	default:
		return false, nil
	}
}

// Stop ends the process and its children at once (SIGKILL), and waits for it.
func (p *Process) Stop() {
	p.stopped.Store(true)
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
	<-p.ended
}

// Pause has the process and its children do nothing until Resume, as a machine does
// that is too busy.
func (p *Process) Pause() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGCONT) }

// Said returns the last lines of the log.
func (p *Process) Said(lines int) string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
