package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// SelfCheck asks the server's own liveness route through the accept loop and the whole handler,
// in the time that ctx leaves. It needs no connection of the system, whose listen queue may be
// shared with other processes or full, and no slot of Config.MaxConnections: a server that is
// merely busy is well. It asks no database either, because starting the server anew mends none. Once
// a drain has closed the listener there is nothing to check: the drain has bounds of its own.
func (s *Server) SelfCheck(ctx context.Context) error {
	l := s.conns.Load()
	if l == nil {
		return errors.New("check the server: it does not run")
	}
	if s.stage.Load() >= stageClosed {
		return nil
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = ours.SetDeadline(deadline) // a pipe's fails only when it is closed
	}
	defer context.AfterFunc(ctx, func() { _ = ours.SetDeadline(time.Unix(1, 0)) })()
	taken, err := l.probe(theirs)
	if !taken {
		_ = theirs.Close()
	}
	if err == nil {
		err = askLiveness(ctx, ours)
	}
	if err == nil || s.stage.Load() >= stageClosed { // the drain came in between
		return nil
	}
	return fmt.Errorf("check the server: %w", err)
}

func askLiveness(ctx context.Context, c net.Conn) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://self/api/health/live", nil)
	if err != nil {
		return err
	}
	r.Close = true
	if err := r.Write(c); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("liveness answers %s", res.Status)
	}
	return nil
}
