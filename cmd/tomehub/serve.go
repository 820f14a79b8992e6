package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/server/memory"
)

func (a *app) newServeCommand() *cobra.Command {
	var c serveSettings
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the library over HTTP",
		Long: `Serve the library over HTTP until SIGTERM or Ctrl-C, then drain: readiness turns 503,
requests in flight are finished, and the process exits with 0. When memory runs short it
leaves in the same order by itself and exits with 75: start it again.

With --supervise a small parent holds the sockets and starts the server as a worker below it,
so that no client is refused while workers change: SIGHUP starts a fresh one and, once that is
ready, lets the old one drain; a worker that leaves for want of memory has a successor, one
that crashes or no longer answers is started again, and after --supervise-failures in a row
the parent gives up with an error.

systemd is understood: sockets passed on (LISTEN_FDS; the admin listener's is named admin),
Type=notify, and WatchdogSec.

Every setting is a flag and a name in the environment, shown in brackets. Flags win over
the environment, that over the .env file, that over the preset of --phase. Passwords have
no flag: set DB_PASSWORD or ANSWER_API_KEY, or the same with _FILE to a file that holds it.

Traces go to an OpenTelemetry collector once OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER
is set; --print-config lists all variables of OpenTelemetry that count here.

SIGUSR1 turns debug logging on, and off again.`,
		Example: `  tomehub serve --demo                      try it: http://127.0.0.1:5001/
  tomehub serve --phase baseline            the service as it was before the plan
  tomehub serve --supervise                 the same, restarted without losing a request
  OTEL_TRACES_EXPORTER=console tomehub serve --demo    show what a request goes through
  tomehub serve --print-config              every setting, its value and where it came from`,
		Args: noArgs,
	}
	s := &settings{flags: cmd.Flags()}
	c.register(s)
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print every setting, its value and where it came from, and exit")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := a.loadServe(cmd, s, &c)
		if printConfig {
			all := settings{list: append(a.shared.list[:len(a.shared.list):len(a.shared.list)], s.list...)}
			return errors.Join(err, all.print(a.stdout))
		}
		if err != nil {
			return err
		}
		return a.serve(cmd.Context(), &c)
	}
	return cmd
}

// noArgs refuses arguments as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, got %q (see 'tomehub %[1]s --help')", commandPath(cmd), args[0])}
	}
	return nil
}

// serve finds out who keeps this process up, and serves or, with --supervise, keeps a worker serving.
func (a *app) serve(ctx context.Context, c *serveSettings) error {
	k, err := inherit()
	if err == nil {
		err = c.adopt(k)
	}
	switch {
	case err != nil:
		return errors.Join(err, k.close())
	case c.supervise && !k.supervised:
		return a.supervise(ctx, c, k)
	}
	return a.work(ctx, c, k)
}

// work serves the library until ctx ends or the keeper wants this process to leave.
func (a *app) work(ctx context.Context, c *serveSettings, k keeper) (err error) {
	logger := a.logger()
	place := slog.String("data_dir", c.dataDir)
	if c.dbDSN != "" {
		place = slog.String("database", c.dbDSN) // holds no user and no password, or it were refused
	}
	logger.Info("tomehub starting", "version", buildVersion(), "phase", c.phase, place)
	ctx, unfollow := k.follow(ctx, logger)
	defer unfollow()
	a.limitHeap(c, logger, memory.NewReader().Read)
	metrics, err := c.newMetrics(k.restarts)
	if err != nil {
		return err
	}
	tracer, err := c.traces.open(c.phase, a.stdout, logger)
	if err != nil {
		return err
	}
	defer runTracer(ctx, tracer)() // after the house is closed: what it did last is sent too
	h, err := openHouse(ctx, c, watchers{metrics, tracer}, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	logger.Info(h.pools.String())
	if c.demo {
		if err := h.fillDemo(ctx, logger); err != nil {
			return err
		}
	}
	if h.lab != nil {
		h.lab.Start()
	}
	stop := a.watchSignals(ctx, logger)
	defer stop()
	ready := make(chan struct{})
	srv, err := h.newServer(a, c, k, logger, ready)
	if err != nil {
		return err
	}
	background, stopBeat := context.WithCancel(context.WithoutCancel(ctx))
	var beating sync.WaitGroup
	defer beating.Wait()
	defer stopBeat()
	if k.watchdog > 0 {
		beating.Go(func() { k.beat(background, ready, srv.SelfCheck, logger) })
	}
	err = srv.Run(ctx)
	if err == nil {
		logger.Info("tomehub stopped")
	}
	return err
}

// announce tells people and programs where the server listens, once it answers. That the
// ready file cannot be written does not stop a server that works; whoever waits for it gives up.
func (a *app) announce(c *serveSettings, k keeper, logger *slog.Logger, public, admin net.Addr) {
	publicURL, adminURL := "http://"+public.String(), ""
	if admin != nil {
		adminURL = "http://" + admin.String()
	}
	logger.Info("listening", "public_url", publicURL, "admin_url", adminURL)
	if c.demo && k.worker <= 1 { // not again after every restart
		fmt.Fprint(a.stdout, invitation(publicURL, c.searchPage))
	}
	if c.readyFile == "" {
		return
	}
	ready := map[string]any{"public_url": publicURL, "admin_url": adminURL, "pid": os.Getpid()}
	if k.supervised {
		ready["supervisor_pid"] = os.Getppid()
	}
	data, err := json.Marshal(ready)
	if err == nil {
		err = writeFileAtomically(c.readyFile, append(data, '\n'))
	}
	if err != nil {
		logger.Error("ready file not written", "error", err)
	}
}

// invitation names the search page, if there is one, and three requests that find something in the demo library.
func invitation(url string, page bool) string {
	text := `
The demo library is ready. Try:

  curl 'URL/api/search?q=dasein'
  curl URL/api/search -d '{"query":"being and time","include_details":true,"page":1,"page_size":5}'
  curl URL/api/content/1

`
	if page {
		text = strings.Replace(text, "Try:", "Open URL/?q=dasein in a browser, or try:", 1)
	}
	return strings.ReplaceAll(text, "URL", url)
}

// writeFileAtomically lets a reader see nothing or the whole file.
func writeFileAtomically(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".ready-*")
	if err != nil {
		return fmt.Errorf("write ready file (--ready-file): %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write ready file (--ready-file): %w", err)
	}
	return nil
}
