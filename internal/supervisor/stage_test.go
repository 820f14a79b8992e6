package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A stage is a supervisor in a bubble of time whose workers are played by the test.
type stage struct {
	*testing.T
	s       *Supervisor
	mu      sync.Mutex // guards workers; a deadline orders nothing before what the test read
	workers []*actor
	noStart error // the next start fails with it
	told    []string
	stop    context.CancelFunc
	done    chan error
}

type actor struct {
	stage  *stage
	number int
	began  time.Duration // after the stage's start
	counts string        // what it is told of restarts

	mu      sync.Mutex // guards signals
	signals []os.Signal
	told    bool
	alone   bool
	deaf    bool // cannot be told of its successor
	gone    bool
}

var curtain time.Time // when the stage began; one stage plays at a time

func (a *actor) pid() int { return 1000 + a.number }

func (a *actor) signal(sig os.Signal) error {
	if a.gone {
		return os.ErrProcessDone
	}
	a.mu.Lock()
	a.signals = append(a.signals, sig)
	a.mu.Unlock()
	if sig == os.Kill {
		a.end(-1)
	}
	return nil
}

func (a *actor) got() []os.Signal {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.signals)
}

func (a *actor) tell(line string) error {
	if a.deaf {
		return errors.New("broken pipe")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch line {
	case succeeded:
		a.told = true
	case alone:
		a.alone = true
	}
	return nil
}

func (a *actor) post(e event) {
	e.worker = a.number
	go func() { a.stage.s.events <- e }()
}

func (a *actor) says(m message) { a.post(event{said: m}); synctest.Wait() }

// end ends the process; -1 is the death by a signal.
func (a *actor) end(code int) {
	if !a.gone {
		a.gone = true
		a.post(event{exited: true, code: code, how: fmt.Sprintf("exit status %d", code)})
	}
}

func (a *actor) ends(code int) { a.end(code); synctest.Wait() }

func testConfig() Config {
	return Config{
		Path: "worker", Args: []string{"worker"}, Sockets: []Socket{{Name: PublicSocket}},
		ReadyTimeout: time.Minute, StopTimeout: 30 * time.Second, WellAfter: 10 * time.Second, MaxFailures: 5, UsageCode: 2, RestartCode: 75,
	}
}

// play runs the supervisor in a bubble. The test ends every worker, or the bubble never ends.
func play(t *testing.T, cfg Config, act func(st *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		st := &stage{T: t, done: make(chan error, 1)}
		cfg.Notify = func(state string) error { st.told = append(st.told, state); return nil }
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		curtain, st.s = time.Now(), s
		s.launch = func(number int) (process, error) {
			if st.noStart != nil {
				return nil, st.noStart
			}
			a := &actor{stage: st, number: number, began: time.Since(curtain), counts: formatRestarts(s.restarts)}
			st.mu.Lock()
			st.workers = append(st.workers, a)
			st.mu.Unlock()
			return a, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		st.stop = cancel
		go func() { st.done <- s.Run(ctx) }()
		synctest.Wait()
		act(st)
		cancel()
		synctest.Wait()
		for _, a := range st.all() {
			a.ends(0)
		}
		select {
		case <-st.done: // or the act has received it
		default:
		}
	})
}

func (st *stage) all() []*actor {
	st.mu.Lock()
	defer st.mu.Unlock()
	return slices.Clone(st.workers)
}

// want checks that so many workers were started, and returns the last.
func (st *stage) want(n int, why string) *actor {
	st.Helper()
	synctest.Wait()
	if len(st.all()) != n {
		st.Fatalf("%s: %d workers were started, want %d", why, len(st.all()), n)
	}
	return st.all()[n-1]
}

// serving starts the first worker and lets it serve for d.
func (st *stage) serving(d time.Duration) *actor {
	w := st.want(1, "at the start")
	w.says(msgReady)
	time.Sleep(d)
	return w
}
