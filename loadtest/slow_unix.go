//go:build unix

package loadtest

import "syscall"

// receiveLittle gives a socket its small receive buffer before it is connected: the window that the kernel then tells the
// other side is never taken back.
func receiveLittle(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, slowReceive)
	})
	if err != nil {
		return err
	}
	return failed
}
