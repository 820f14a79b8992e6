//go:build !linux

package loadtest

import (
	"errors"
	"net"
)

// A directDialer is there on Linux only; net.Dialer does its work elsewhere.
type directDialer struct{}

func newDirectDialer(string) *directDialer { return nil }

func (*directDialer) open() (net.Conn, error) { return nil, errors.ErrUnsupported }
func (*directDialer) connected(*wire) error   { return errors.ErrUnsupported }
