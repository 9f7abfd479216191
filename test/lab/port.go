package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// block is how many ports a process has to itself at a time: it listens on the first
// of them, and others look elsewhere. A port is given away before who is to listen
// on it does.
const block = 200

// claimed are the blocks of this process; ports are given of the last. They stay
// below those that connections take, and begin elsewhere in each process.
var claimed struct {
	sync.Mutex
	next, end int32
	held      []net.Listener
}

// FreePort finds a port of loopback that nobody listens on, which no other process
// is given at the time.
func FreePort() (int32, error) {
	claimed.Lock()
	defer claimed.Unlock()
	for range 16000 {
		if claimed.next == claimed.end && !claim() {
			continue
		}
		port := claimed.next
		claimed.next++
		if l, err := net.Listen("tcp", Local(port)); err == nil {
			l.Close()
			return port, nil
		}
	}
	return 0, errors.New("there is no free port")
}

// claim tries to have the next block. Those before the last few are left to others:
// who was to listen there does.
func claim() bool {
	first := claimed.end
	if first == 0 {
		first = 16000 + int32(os.Getpid()%80)*block
	} else if first >= 32000 {
		first = 16000
	}
	claimed.next, claimed.end = first+block, first+block
	l, err := net.Listen("tcp", Local(first))
	if err != nil {
		return false
	}
	claimed.next = first + 1
	if claimed.held = append(claimed.held, l); len(claimed.held) > 4 {
		claimed.held[0].Close()
		claimed.held = claimed.held[1:]
	}
	return true
}

// Local is a port of loopback as an address.
func Local(port int32) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Listens reports whether somebody takes connections at a port of loopback.
func Listens(port int32) bool {
	c, err := net.DialTimeout("tcp", Local(port), time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// Eventually waits until ok holds, or the lab has lost a process, or the time is up.
func (l *Lab) Eventually(what string, within time.Duration, ok func() bool) error {
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		if ok() {
			return nil
		}
		if err := l.Err(); err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("there was no %s within %s", what, within)
		}
	}
}
