package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tomehub/tomehub/internal/supervisor"
	"github.com/tomehub/tomehub/server"
)

// A keeper is whoever keeps this process up: a supervisor, systemd, or nobody (the zero keeper).
type keeper struct {
	public, admin net.Listener     // that it holds and passed on; nil when it did not
	supervised    bool             // it is `serve --supervise`
	worker        int              // the number that it gave this process; 0 without a supervisor
	restarts      map[string]int64 // workers it started in place of others, this one included, by reason; all reasons, 0 without it
	control       *supervisor.Control
	alone         chan struct{}            // closed once the workers before this one are gone; nil without a supervisor
	tell          func(state string) error // nil when nobody listens
	watchdog      time.Duration            // it wants to hear this often that the process is well; 0 never
}

// adopt puts the addresses of sockets that were passed on into the settings and checks these again: a socket
// that other machines reach needs what --listen would need.
func (c *serveSettings) adopt(k keeper) error {
	if k.public != nil {
		c.listen = k.public.Addr().String()
	}
	if k.admin != nil {
		c.adminListen = k.admin.Addr().String()
	}
	if k.public == nil && k.admin == nil {
		return nil
	}
	if err := c.validate(); err != nil {
		return usageError{fmt.Errorf("the sockets that were passed on: %w", err)}
	}
	return nil
}

// close gives back what was passed on, where it was not served.
func (k keeper) close() error {
	var faults []error
	for _, l := range []net.Listener{k.public, k.admin} {
		if l != nil {
			faults = append(faults, l.Close())
		}
	}
	if k.control != nil {
		faults = append(faults, k.control.Close())
	}
	return errors.Join(faults...)
}

// say tells the keeper a state, if there is one.
func (k keeper) say(state string, logger *slog.Logger) {
	if k.tell == nil {
		return
	}
	if err := k.tell(state); err != nil {
		logger.Warn("service manager cannot be told", "state", state, "error", err)
	}
}

// follow ends the context it returns when the supervisor says that another worker has taken over, or is gone. The
// function returned ends the watch and waits for it.
func (k keeper) follow(ctx context.Context, logger *slog.Logger) (context.Context, func()) {
	if k.control == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		switch err := k.control.Wait(sync.OnceFunc(func() { close(k.alone) })); {
		case errors.Is(err, supervisor.ErrSucceeded):
			cancel(server.ErrHandedOver)
		case errors.Is(err, supervisor.ErrOrphaned):
			logger.Error("the supervisor is gone; leaving")
			cancel(err)
		}
	})
	return ctx, func() {
		_ = k.control.Close() // its only error is that it is closed
		watching.Wait()
		cancel(nil)
	}
}

// beats is how many times within the watchdog's time the server checks itself: one check that
// comes late or fails must not be taken for a wedged server.
const beats = 4

// beat tells the keeper while check finds the server well, from the closing of ready until ctx ends.
func (k keeper) beat(ctx context.Context, ready <-chan struct{}, check func(context.Context) error, logger *slog.Logger) {
	select {
	case <-ready:
	case <-ctx.Done():
		return
	}
	every := k.watchdog / beats
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		bounded, cancel := context.WithTimeout(ctx, every)
		err := check(bounded)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			logger.Error("the server does not find itself well; the watchdog is not told", "error", err)
		default:
			k.say(supervisor.Alive, logger)
		}
	}
}
