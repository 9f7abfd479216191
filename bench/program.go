package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/meshknot/meshknot/bench/measure"
)

// programs are the files that are run from outside.
type programs struct{ meshknot, egctl string }

// find looks for the programs. Ours is built by make; egctl is kept by the hash of
// its module, as the programs of the tests are.
func find(meshknot string) (programs, error) {
	p := programs{meshknot: meshknot}
	files, err := filepath.Glob(filepath.Join("tools", "egctl", "*"))
	if err != nil || len(files) == 0 {
		return p, errors.New("there is no tools/egctl here: bench runs in its own directory")
	}
	digest := sha256.New()
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return p, fmt.Errorf("reading the module of egctl: %w", err)
		}
		digest.Write(text)
	}
	dir := os.Getenv("MESHKNOT_TOOLS")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return p, fmt.Errorf("finding the tools: %w", err)
		}
		dir = filepath.Join(home, ".cache", "meshknot", "tools")
	}
	p.egctl = filepath.Join(dir, "egctl-"+hex.EncodeToString(digest.Sum(nil))[:16])
	return p, nil
}

const noEgctl = "LOUD: egctl is not there (make bench builds it), so nothing is compared with it"

func (p programs) hasEgctl() bool {
	_, err := os.Stat(p.egctl)
	return err == nil
}

// ran is what one run of a program took, and what it said.
type ran struct {
	wall, cpu time.Duration
	peak      float64 // bytes
	out       []byte
}

// runCommand is the first argument of a child that runs a program and says what
// that took. It is small when it does so: the kernel counts the memory of whoever
// starts a program as the program's own.
const runCommand = "run-program"

// taken is what such a child says on descriptor 3.
type taken struct {
	Wall, CPU time.Duration
	Peak      float64
	Error     string
}

// runProgram is that child.
func runProgram(args []string) error {
	var t taken
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	if err := c.Run(); err != nil {
		t.Error = err.Error()
	}
	t.Wall = time.Since(began)
	if c.ProcessState != nil {
		t.CPU = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
		if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
			t.Peak = float64(u.Maxrss) * 1024
		}
	}
	return json.NewEncoder(os.NewFile(3, "taken")).Encode(t)
}

// command runs a program to its end. A status that is not 0 is an error.
func command(ctx context.Context, name string, args ...string) (ran, error) {
	self, err := os.Executable()
	if err != nil {
		return ran{}, fmt.Errorf("finding this program: %w", err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		return ran{}, fmt.Errorf("making a pipe: %w", err)
	}
	defer from.Close()
	c := exec.CommandContext(ctx, self, append([]string{runCommand, name}, args...)...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr, c.ExtraFiles = &out, &said, []*os.File{to}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) } // the program with its parent
	err = c.Run()
	to.Close()
	var t taken
	if err == nil {
		err = json.NewDecoder(from).Decode(&t)
	}
	if err == nil && t.Error != "" {
		err = errors.New(t.Error)
	}
	if err != nil {
		return ran{}, fmt.Errorf("running %s: %w: %s", filepath.Base(name), err, tail(said.Bytes()))
	}
	return ran{t.Wall, t.CPU, t.Peak, out.Bytes()}, nil
}

func tail(b []byte) []byte {
	return b[max(0, len(b)-300):]
}

// runs of one program.
type runs []ran

func (rs runs) median(f func(ran) float64) float64 {
	return measure.Median(collect(rs, f))
}

func (rs runs) values() []Value {
	return []Value{
		ms("median", time.Duration(rs.median(func(r ran) float64 { return float64(r.wall) }))),
		ms("CPU", time.Duration(rs.median(func(r ran) float64 { return float64(r.cpu) }))),
		mib("peak RSS", rs.median(func(r ran) float64 { return r.peak })),
	}
}
