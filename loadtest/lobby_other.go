//go:build !linux

package loadtest

import (
	"errors"
	"time"
)

// A lobby is there on Linux only; elsewhere every user who waits for an answer has a goroutine.
type lobby struct{}

func newLobby(time.Time, func() time.Duration, func(waits)) (*lobby, error) {
	return nil, errors.ErrUnsupported
}

func (*lobby) enter(waits) bool { return false }
func (*lobby) empty()           {}
func (*lobby) close()           {}
