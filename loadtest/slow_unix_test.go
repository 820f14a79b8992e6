//go:build unix

package loadtest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
)

// The receive buffer of a slow connection is small whatever the system's is.
func TestSlowConnections(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	tr := newSlowTransport(1)
	c, err := tr.DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	_ = rc.Control(func(fd uintptr) {
		size, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
	})
	if err != nil || size > 2*slowReceive || size == 0 { // Linux doubles it
		t.Errorf("receive buffer of %d bytes, %v", size, err)
	}
}
