package lab

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Meshknot returns the program under test, in a directory of the lab: the one that
// MESHKNOT_BIN names, or built of the checkout. What was built is kept under .cache,
// so that it is linked again only where something changed.
func (l *Lab) Meshknot() (string, error) {
	l.program.Do(func() { l.program.path, l.program.err = l.meshknot() })
	return l.program.path, l.program.err
}

func (l *Lab) meshknot() (string, error) {
	if path := os.Getenv("MESHKNOT_BIN"); path != "" {
		return path, nil
	}
	cache := filepath.Join(root(), ".cache", "lab")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	// Others may build at the same time: each takes the program while nobody writes it.
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	built := filepath.Join(cache, "meshknot")
	build := exec.Command("go", "build", "-o", built, "./cmd/meshknot")
	build.Dir = root()
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building meshknot: %w:\n%s", err, said)
	}
	path := filepath.Join(l.Dir, "meshknot")
	return path, copyFile(path, built)
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// StartMeshknot starts meshknot with arguments, as a process of the lab. Ready waits
// for it.
func (l *Lab) StartMeshknot(args ...string) (*Process, error) {
	binary, err := l.Meshknot()
	if err != nil {
		return nil, err
	}
	return l.Start("meshknot", binary, args, nil)
}

// Ready waits until a process answers a URL with status 200.
func (l *Lab) Ready(p *Process, url string, within time.Duration) error {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	err := l.Eventually(p.Name+" that is ready", within, func() bool {
		r, err := client.Get(url)
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if err != nil {
		return fmt.Errorf("%w; it said last:\n%s", err, p.Said(20))
	}
	return nil
}

// Terminate asks a process to end, as a kubelet does, and waits for it. The error is
// nil where it ended with status 0; where it does not end in time it is killed.
func (p *Process) Terminate(within time.Duration) error {
	p.stopped.Store(true)
	if err := syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.ended:
		return p.err
	case <-time.After(within):
		p.Stop()
		return fmt.Errorf("%s did not end within %s", p.Name, within)
	}
}
