package envoy_test

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the head of a process group, for its children may
// be what really runs.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup ends the command and its children.
func killGroup(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
}
