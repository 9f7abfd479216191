package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/world"
)

// Command is the first argument of a child; the server's name and its world follow.
const Command = "serve-as"

// Process is a server in a process of its own.
type Process struct {
	// Addr is where it serves.
	Addr string
	// Start is how long it took until it served, loading its world included.
	Start time.Duration

	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// Start runs this program again as the server of a name, with two processors as
// its parent has. The process ends with Stop, or with its parent.
func Start(ctx context.Context, name string, w world.World) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding the world: %w", err)
	}
	p := &Process{cmd: exec.CommandContext(ctx, self, Command, name, string(text))}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.enc, p.dec = json.NewEncoder(p.in), json.NewDecoder(out)
	a, err := p.hear()
	if err != nil {
		p.Stop()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p.Addr, p.Start = a.Addr, time.Since(began)
	return p, nil
}

func (p *Process) hear() (answer, error) {
	var a answer
	if err := p.dec.Decode(&a); err != nil {
		return a, fmt.Errorf("hearing from the server: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (p *Process) say(o order) (answer, error) {
	if err := p.enc.Encode(o); err != nil {
		return answer{}, fmt.Errorf("telling the server: %w", err)
	}
	return p.hear()
}

// Change has the server set a resource.
func (p *Process) Change(c world.Change) error {
	_, err := p.say(order{Change: &c})
	return err
}

// Usage of the server so far.
func (p *Process) Usage() (measure.Usage, error) { return p.usage(order{Usage: true}) }

// Resting is the usage after garbage was collected.
func (p *Process) Resting() (measure.Usage, error) { return p.usage(order{Usage: true, Collect: true}) }

func (p *Process) usage(o order) (measure.Usage, error) {
	a, err := p.say(o)
	if err != nil || a.Usage == nil {
		return measure.Usage{}, errors.Join(err, errors.New("the server did not say what it used"))
	}
	return *a.Usage, nil
}

// Profile has the server write a processor profile until it stops.
func (p *Process) Profile(file string) error {
	_, err := p.say(order{Profile: file})
	return err
}

// Settled waits until the server has nothing left to do, and returns its usage.
func (p *Process) Settled() (measure.Usage, error) {
	last, err := p.Usage()
	for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		var now measure.Usage
		if now, err = p.Usage(); err == nil && now.CPU-last.CPU < time.Millisecond {
			return now, nil
		}
		last = now
	}
	return last, err
}

// Stop ends the process and waits for it.
func (p *Process) Stop() {
	p.in.Close()
	ended := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(ended) }() // it was told to end; how it did is of no interest
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-ended
	}
}
