package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/supervisor"
)

// leaveMargin is what a worker may need beyond the bounds of its drain: cutting what is left,
// closing the library.
const leaveMargin = 10 * time.Second

// supervise holds the sockets and keeps a worker serving until ctx ends.
func (a *app) supervise(ctx context.Context, c *serveSettings, k keeper) (err error) {
	logger := a.logger()
	sockets, err := c.hold(ctx, k)
	defer func() {
		for _, s := range sockets {
			err = errors.Join(err, s.File.Close())
		}
	}()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program for its workers: %w", err)
	}
	sup, err := supervisor.New(supervisor.Config{
		Path: program, Args: append([]string{os.Args[0]}, workerArgs(a.args)...), Env: os.Environ(),
		Sockets: sockets, Stdout: file(a.stdout), Stderr: file(a.stderr), Logger: logger,
		ReadyTimeout: c.superviseReady, Watchdog: c.superviseWatchdog, WellAfter: c.superviseWell, MaxFailures: c.superviseFailures,
		StopTimeout: c.shutdownDelay + c.drainGrace + c.drainTime + leaveMargin,
		UsageCode:   exitUsage, RestartCode: exitRestart,
		Notify: k.tell, Beat: k.watchdog / 2,
	})
	if err != nil {
		return err
	}
	logger.Info("supervisor starting", "version", buildVersion(), "listen", c.listen, "admin_listen", c.adminListen)
	stop := watchSupervisor(ctx, sup)
	defer stop()
	err = sup.Run(ctx)
	if errors.Is(err, supervisor.ErrGaveUp) {
		return fmt.Errorf("supervise: %w: its own lines above say why, and 'tomehub serve' with the same settings but --supervise shows it alone (--supervise-failures is %d)",
			err, c.superviseFailures)
	}
	return err
}

// hold opens the listening sockets, or takes those that were passed on, to hold them while workers
// come and go. What it returns beside an error is to be closed too.
func (c *serveSettings) hold(ctx context.Context, k keeper) (sockets []supervisor.Socket, err error) {
	for _, one := range []struct {
		name, setting string
		given         net.Listener
		addr          *string
	}{
		{supervisor.PublicSocket, "--listen", k.public, &c.listen},
		{supervisor.AdminSocket, "--admin-listen", k.admin, &c.adminListen},
	} {
		l := one.given
		if l == nil {
			if *one.addr == "" {
				continue
			}
			var listen net.ListenConfig
			if l, err = listen.Listen(ctx, "tcp", *one.addr); err != nil {
				return sockets, fmt.Errorf("open the socket of the workers (%s): %w", one.setting, err)
			}
		}
		*one.addr = l.Addr().String()
		f, err := supervisor.Hold(l)
		if err != nil {
			return sockets, errors.Join(err, l.Close())
		}
		sockets = append(sockets, supervisor.Socket{Name: one.name, File: f})
	}
	return sockets, nil
}

// workerArgs is the command line of a worker: this one's, without --supervise.
func workerArgs(args []string) []string {
	var kept []string
	for _, arg := range args {
		if arg != "--supervise" && !strings.HasPrefix(arg, "--supervise=") {
			kept = append(kept, arg)
		}
	}
	return kept
}

// file is the file behind a stream; workers write to it directly.
func file(stream any) *os.File {
	f, _ := stream.(*os.File)
	return f
}
