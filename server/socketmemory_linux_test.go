package server

import (
	"net"
	"syscall"
	"unsafe"
)

// socketMemory is what the kernel holds for a socket, with its overhead (SO_MEMINFO).
func socketMemory(c net.Conn) (bytes int64, err error) {
	const soMeminfo = 55
	const received, queued, forward = 0, 5, 4
	handle, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var info [9]uint32
	size := uint32(unsafe.Sizeof(info))
	failed := handle.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soMeminfo,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			err = errno
		}
	})
	if failed != nil {
		return 0, failed
	}
	return int64(info[received]) + int64(info[queued]) + int64(info[forward]), err
}
