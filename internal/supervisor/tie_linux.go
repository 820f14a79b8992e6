package supervisor

import "syscall"

// tie makes the kernel kill the worker when the supervisor dies, however it dies: nobody would
// restart such a worker, and it would hold the port. The process group of its own keeps an
// interrupt typed at a terminal from the worker, which is to be asked by the supervisor.
func tie() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
