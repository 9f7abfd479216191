package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// nextPort is where the search for a free port goes on. It stays below the
// ports that connections take, and starts elsewhere in each process.
var nextPort atomic.Int32

// FreePort finds a port of loopback that nobody listens on, and never the same
// twice in a process.
func FreePort() (int32, error) {
	nextPort.CompareAndSwap(0, 16000+int32(os.Getpid()%120)*100)
	for range 10000 {
		port := nextPort.Add(1)
		if port > 32000 {
			nextPort.Store(16000)
		}
		if l, err := net.Listen("tcp", Local(port)); err == nil {
			l.Close()
			return port, nil
		}
	}
	return 0, errors.New("there is no free port")
}

// Local is a port of loopback as an address.
func Local(port int32) string { return fmt.Sprintf("127.0.0.1:%d", port) }

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
