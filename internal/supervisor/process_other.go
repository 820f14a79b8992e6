//go:build !unix

package supervisor

import (
	"errors"
	"net"
	"os"
)

var errUnix = errors.New("--supervise passes sockets to processes, which this system cannot do: it needs a Unix")

// Hold needs a Unix.
func Hold(net.Listener) (*os.File, error) { return nil, errUnix }

func (s *Supervisor) startProcess(int) (process, error) { return nil, errUnix }

func reloading() string { return "" }
