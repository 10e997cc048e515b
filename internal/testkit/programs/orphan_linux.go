package programs

import (
	"os/exec"
	"syscall"
)

// LeaveNoOrphan makes the kernel end the server when the process of the test is killed, or ends by
// a timeout, which runs no cleanup.
func LeaveNoOrphan(server *exec.Cmd) {
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
