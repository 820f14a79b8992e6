package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Run runs the scenario against the target and returns what it measured. It returns an error only when the run could not
// be made at all: a Config with faults, or nobody listening at the target. When ctx ends, requests under way are cut
// off within half a second and the Result of what was measured until then says that it was interrupted.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	r, err := newRun(cfg)
	if err != nil {
		return nil, err
	}
	defer r.agenda.wait.close()
	if cfg.transport == nil && cfg.dial == nil {
		if err := r.knock(ctx); err != nil {
			return nil, err
		}
	}
	if x := r.injector; x != nil && x.alerts != nil && slices.ContainsFunc(x.faults, func(f Fault) bool { return f.Alert != "" }) {
		x.alerts.await(ctx) // a rule that counts what has changed must have seen the server before the fault
	}
	return r.run(ctx)
}

// A run is one execution of a scenario.
type run struct {
	cfg    Config
	scn    *Scenario // scaled, and as far as it is this worker's
	target *url.URL
	began  time.Time
	shared *shared
	agenda *agenda
	ex     *exchange
	col    *collector
	gauge  *gauge
	cpu    *cpuWatch // nil when the server's process is not known
	cancel context.CancelCauseFunc

	criteria []Check // of the whole scenario

	observer *observer // nil when nobody observes
	injector *injector // nil when the scenario has no faults
	leftOut  []string  // metrics whose checks are left out
}

func newRun(cfg Config) (*run, error) {
	if cfg.TimeScale == 0 {
		cfg.TimeScale = 1
	}
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	target, admin, err := cfg.validate()
	if err != nil {
		return nil, err
	}
	whole := cfg.Scenario.during(cfg.Duration).scaled(cfg.TimeScale)
	criteria := whole.Checks // of all workers, who may have a Prometheus
	var leftOut []string
	if cfg.PrometheusURL == "" && (cfg.Worker.whole() || cfg.Worker.Number == 1) { // other workers put no faults in
		whole, leftOut = whole.withoutAlerts()
	}
	r := &run{cfg: cfg, target: target, scn: whole.forWorker(cfg.Worker), criteria: criteria, leftOut: leftOut}
	r.shared = newShared(r.scn, strings.TrimSuffix(target.String(), "/"), strconv.FormatInt(time.Now().UnixMicro(), 36))
	if r.shared.worker = cfg.Worker; !cfg.Worker.whole() {
		r.shared.id += "w" + strconv.Itoa(cfg.Worker.Number) // workers may begin in the same microsecond
	}
	w := cfg.waiter
	if w == nil {
		if w, err = newWaiter(); err != nil {
			return nil, err
		}
	}
	r.agenda = &agenda{
		warm: r.scn.WarmUp, end: r.scn.Total(), last: r.scn.Total() + r.scn.longestTimeout(), clock: r.clock, wait: w,
	}
	r.ex = &exchange{users: make([]*user, cfg.Worker.share(r.scn.slots())), clock: r.clock}
	r.col = newCollector(r.scn, r.present, func(reason string) { r.cancel(abortError(reason)) })
	if cfg.windows > 0 {
		r.col.width = cfg.windows
	}
	readCPU := cfg.serverCPU
	if readCPU == nil {
		readCPU = cpuOf(cfg.ServerPID)
	}
	r.cpu = newCPUWatch(readCPU, r.scn.WarmUp, r.scn.Total(), runtime.NumCPU())
	r.gauge = newGauge(r.scn.WarmUp, r.scn.Total(), runtime.GOMAXPROCS(0))
	r.gauge.shared = cfg.Shared
	if cfg.gauge != nil {
		cfg.gauge(r.gauge)
	}
	r.injector = newInjector(r.scn, cfg.Target, cfg.AdminURL, cfg.TimeScale, r.clock, cfg.observer)
	if r.injector != nil {
		r.injector.alerts = newAlertWatch(r.scn, cfg.PrometheusURL, cfg.AdminURL, cfg.observer)
	}
	if cfg.transport == nil && cfg.dial == nil || cfg.observer != nil {
		r.observer = newObserver(&cfg, r.scn, target, admin, r.clock, r.col.abort)
	}
	return r, nil
}

func (r *run) clock() time.Duration { return time.Since(r.began) }

// address is where the target listens.
func (r *run) address() string {
	port := r.target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.target.Scheme]
	}
	return net.JoinHostPort(r.target.Hostname(), port)
}

// knock finds out whether anybody listens, because a report full of refused connections helps nobody.
func (r *run) knock(ctx context.Context) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", r.address())
	if err != nil {
		return fmt.Errorf("reach target %s: %w", r.target, err)
	}
	return conn.Close()
}

func (r *run) run(ctx context.Context) (*Result, error) {
	inside, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel, r.agenda.ctx = cancel, inside
	r.people(inside)
	if r.observer != nil {
		r.observer.prepare(ctx)
	}
	r.began = time.Now()
	if r.observer != nil {
		r.observer.start()
	}
	if r.cfg.Vegeta != nil {
		r.col.log = newVegetaLog(r.cfg.Vegeta, r.scn.Name, r.shared.base, r.began)
	}
	if r.cfg.Logger != nil {
		r.cfg.Logger.Info("load test started", "scenario", r.scn.Name, "target", r.target.String(), "load", r.scn.Load(),
			"warm_up_s", r.scn.WarmUp.Seconds(), "duration_s", r.scn.Duration.Seconds(), "time_scale", r.cfg.TimeScale)
	}
	var wg sync.WaitGroup
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { r.watch(watching) })
	alerts, enough := context.WithCancel(ctx) // they outlast the load, but not a run that was stopped
	defer enough()
	if r.injector != nil {
		wg.Go(func() { r.injector.run(watching, alerts) })
	}
	r.send(inside)
	ended := r.clock()
	if inside.Err() != nil {
		enough()
	}
	stop()
	if r.observer != nil {
		r.observer.finish(inside.Err() != nil)
	}
	wg.Wait()
	r.col.finish(ended)
	return r.result(ended, context.Cause(inside))
}

// people makes the users and puts them on the agenda.
func (r *run) people(ctx context.Context) {
	skipped := r.col.skip
	for i := range r.ex.users {
		u := newUser(i, r.shared, r.cfg.Seed)
		u.skipped, u.ctx = skipped, ctx
		r.ex.users[i] = u
		if r.scn.Users == nil {
			r.agenda.free = append(r.agenda.free, u)
		} else if at, ok := r.scn.Users.curve.reaches(float64(u.identity), 0); ok {
			u.begin()
			r.agenda.push(u, at)
		}
	}
	if r.scn.Arrivals != nil {
		r.agenda.arrivals = newArrivalClock(r.scn.Arrivals, r.cfg.Seed, r.cfg.Worker)
	}
}

// send sends all requests: by a crew, or where that cannot, over TLS, by vegeta and net/http.
func (r *run) send(ctx context.Context) {
	if r.crewCan() {
		c := &crew{
			agenda: r.agenda, ex: r.ex, wires: r.wires(newDialer(), newDirectDialer(r.address())), slow: r.wires(newSlowDialer(), nil),
			perUser: r.scn.PerUser, after: r.answered, waiting: int64(cmp.Or(r.cfg.waiting, maxWaiting)),
		}
		c.run(ctx)
		return
	}
	for _, f := range r.ex.connect(ctx, r.cfg.transport, r.scn.PerUser) {
		defer f()
	}
	a := &attack{agenda: r.agenda, users: r.ex.users, exchange: r.ex, began: r.began, after: r.answered}
	a.run(ctx)
}

// crewCan tells whether the target is one for a crew. Host names that are not ASCII, and zones of addresses, stand in a
// request otherwise than in a URL.
func (r *run) crewCan() bool {
	host := r.target.Host
	return r.cfg.transport == nil && r.target.Scheme == "http" &&
		!strings.ContainsFunc(host, func(c rune) bool { return c > '~' || c == '%' })
}

func (r *run) wires(d *net.Dialer, direct *directDialer) *wires {
	ls := &wires{
		dial: d.DialContext, direct: direct, addr: r.address(), began: r.began, clock: r.clock, opened: &r.ex.opened, open: map[*wire]struct{}{},
	}
	if r.cfg.dial != nil {
		ls.dial, ls.direct = r.cfg.dial, nil
	}
	return ls
}

// answered counts what u has and returns when it asks again, or that it does not: the visitor leaves, the user goes home.
func (r *run) answered(u *user, sent time.Duration) (at time.Duration, back bool) {
	first := r.scn.Arrivals != nil && u.step == 0 && u.repeat == 0
	r.col.add(u, sent, first)
	at = u.next()
	if u.advance() {
		return at, true
	}
	if r.scn.Users == nil {
		return 0, false
	}
	u.begin()
	// Where the curve falls, the users above it rest until it rises again, and go home when it never does.
	return r.scn.Users.curve.reaches(float64(u.identity), at)
}

// present is how many users or visitors there are at t.
func (r *run) present(t time.Duration) int {
	if r.scn.Users != nil {
		return r.cfg.Worker.share(int(r.scn.Users.curve.at(t) + 1e-9))
	}
	return r.agenda.present()
}

// watch closes windows, samples the gauge and tells the progress until ctx ends.
func (r *run) watch(ctx context.Context) {
	r.gauge.sample(r.clock())
	r.cpu.sample(r.clock())
	ticker := time.NewTicker(min(500*time.Millisecond, max(10*time.Millisecond, r.scn.Duration/20)))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := r.clock()
		r.gauge.sample(now)
		r.cpu.sample(now)
		r.col.tick(now)
		if r.cfg.Progress != nil {
			r.cfg.Progress(r.progress(now))
		}
	}
}

func (r *run) progress(now time.Duration) Progress {
	p := r.col.progress()
	p.Elapsed, p.Total, p.Users = now, r.scn.Total(), r.present(now)
	p.StatementsPerRequest, p.HitRate = -1, -1
	if r.observer != nil {
		p.StatementsPerRequest, p.HitRate = r.observer.lately()
	}
	switch {
	case now < r.scn.WarmUp:
		p.State = WarmingUp
	case now < r.scn.Total():
		p.State = Measuring
	default:
		p.State = Finishing
	}
	return p
}

// abortError ends a run because a check with abort was broken.
type abortError string

func (e abortError) Error() string { return string(e) }
