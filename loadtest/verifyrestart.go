package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// restartFigures is /api/health/restart.
type restartFigures struct {
	Status string `json:"status"`
	Memory *struct {
		Current   float64 `json:"current_percent"`
		Average   float64 `json:"recent_average"`
		Requested bool    `json:"restart_requested"`
		Critical  float64 `json:"critical_threshold"`
		Warning   float64 `json:"warning_threshold"`
		Enabled   bool    `json:"restart_enabled"`
	} `json:"memory"`
}

func (b *bench) restart(ctx context.Context) (*restartFigures, error) {
	var r restartFigures
	if err := b.health(ctx, "restart", &r); err != nil {
		return nil, err
	}
	if r.Memory == nil {
		return nil, errors.New("the memory is not watched: /api/health/restart tells none")
	}
	return &r, nil
}

func restartMonitors(ctx context.Context, b *bench) (finding, error) {
	r, err := b.restart(ctx)
	if err != nil {
		return finding{}, err
	}
	m := r.Memory
	return judge(r.Status == "ok" && m.Enabled && !m.Requested && m.Current > 0 && m.Average > 0,
		"restart_enabled %v, %.1f %% in use, %.1f %% on average, critical at %v %%", m.Enabled, m.Current, m.Average, m.Critical)
}

func restartWarning(ctx context.Context, b *bench) (finding, error) {
	return b.thresholdLogged(ctx, "memory warning", "WARN", 75, 73, 76)
}

func restartHealth(ctx context.Context, b *bench) (finding, error) {
	if err := b.pressure(ctx, 76, 2*time.Second); err != nil {
		return finding{}, err
	}
	m, err := b.memory(ctx)
	if err != nil {
		return finding{}, err
	}
	r, err := b.restart(ctx)
	if err != nil {
		return finding{}, err
	}
	eased, err := until(ctx, 8*time.Second, func() (bool, error) {
		m, err := b.memory(ctx)
		return err == nil && m.Health == "ok", err
	})
	if err != nil {
		return finding{}, err
	}
	return judge(m.Health == "warning" && m.Memory.Warning == 75 && r.Memory.Current > 75 && r.Memory.Current < 77 && !r.Memory.Requested && eased,
		"at 76 %%: health %q, current_percent %.1f, restart_requested %v; after it ok again: %v", m.Health, r.Memory.Current, r.Memory.Requested, eased)
}

// leftSeen is what a restart for memory showed.
type leftSeen struct {
	early      bool // it left below the threshold
	exited     bool // and by itself
	code       int  // with this exit code
	answered   int  // of the searches under way
	faults     []string
	requested  string // the lines of the log
	drained    string
	found      int   // matches of a server that was started again
	startAgain error // why there is none
}

// underWay is how many searches are under way when the memory becomes critical.
const underWay = 8

// leave makes a server leave for want of memory, and starts one again, once for the bench.
func (b *bench) leave(ctx context.Context) (seen *leftSeen, err error) {
	if b.left != nil {
		return b.left, nil
	}
	data, err := os.MkdirTemp("", "tomehub-verify-")
	if err != nil {
		return nil, fmt.Errorf("%w: make a directory: %w", errUndecided, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	if err := os.CopyFS(data, os.DirFS(b.v.library)); err != nil {
		return nil, fmt.Errorf("%w: copy the library: %w", errUndecided, err)
	}
	server, err := b.v.start(ctx, slices.Concat([]string{
		"--phase", "C", "--lab-statement-time", "1s", "--query-cache=false", "--memory-interval", "100ms", "--data-dir", data, "--drain-timeout", "20s",
	}, unlimited), nil)
	if err != nil {
		return nil, err
	}
	seen, err = server.leaves(ctx)
	if closing := server.close(ctx); err == nil && !seen.exited { // one that left says so when it is stopped
		err = closing
	}
	if err != nil {
		return nil, err
	}
	b.left = seen
	again, err := b.v.start(ctx, []string{"--phase", "C", "--data-dir", data}, nil)
	if err != nil {
		seen.startAgain = err
		return seen, nil
	}
	if s, err := again.search(ctx, "dasein", ""); err != nil {
		seen.startAgain = err
	} else {
		seen.found = s.Total
	}
	return seen, again.close(ctx)
}

func (b *bench) leaves(ctx context.Context) (*leftSeen, error) {
	seen := &leftSeen{}
	if err := b.pressure(ctx, 83, 10*time.Second); err != nil {
		return nil, err
	}
	if err := b.pause(ctx, 500*time.Millisecond); err != nil {
		return nil, err
	}
	r, err := b.restart(ctx)
	if err != nil {
		return nil, err
	}
	seen.early = r.Memory.Requested
	var mu sync.Mutex // guards seen.answered and seen.faults
	var wg sync.WaitGroup
	for i := range underWay {
		wg.Go(func() {
			s, err := b.search(ctx, varied(i), "")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				seen.faults = append(seen.faults, err.Error())
			} else if s.Total > 0 {
				seen.answered++
			}
		})
	}
	// A request that is on its way when the listener closes is lost to the network, not to the server.
	_, err = until(ctx, 5*time.Second, func() (bool, error) {
		var h struct {
			InFlight int `json:"in_flight"`
		}
		if err := b.getInto(ctx, "/api/health", &h); err != nil {
			return false, err
		}
		mu.Lock()
		defer mu.Unlock()
		return h.InFlight-1+seen.answered+len(seen.faults) >= underWay, nil
	})
	if err != nil {
		wg.Wait()
		return nil, err
	}
	put, err := b.do(ctx, http.MethodPut, b.admin+"/lab/fault/memory_pressure", `{"for": "20s", "percent": 87, "own": true}`, "")
	if err == nil && put.status != http.StatusOK {
		err = fmt.Errorf("put in memory pressure: the server answered %d", put.status)
	}
	if err == nil {
		most := time.NewTimer(15 * time.Second)
		defer most.Stop()
		select {
		case <-b.spawned.Exited():
			seen.exited, seen.code = true, b.spawned.ExitCode()
		case <-most.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	wg.Wait()
	seen.requested, seen.drained = b.logged(`"msg":"restart requested"`), b.logged(`"msg":"drained"`)
	return seen, err
}

func restartGraceful(ctx context.Context, b *bench) (finding, error) {
	s, err := b.leave(ctx)
	if err != nil {
		return finding{}, err
	}
	if len(s.faults) > 0 {
		return judge(false, "of %d searches under way %d were answered; %s", underWay, s.answered, strings.Join(s.faults[:1], ""))
	}
	if !s.exited {
		return judge(false, "the server still runs after 15 s at 87 %%")
	}
	return judge(!s.early && s.requested != "" && s.drained != "" && s.answered == underWay,
		"stays at 83 %%; at 87 %% logs %q and %q; all %d searches under way are answered", message(s.requested), message(s.drained), s.answered)
}

func restartExit(ctx context.Context, b *bench) (finding, error) {
	s, err := b.leave(ctx)
	if err != nil {
		return finding{}, err
	}
	if !s.exited {
		return judge(false, "the server did not leave")
	}
	if s.startAgain != nil {
		return judge(false, "exit code %d; started again: %v", s.code, s.startAgain)
	}
	return judge(s.code == 75 && s.found > 0, "exit code %d; started again on the same library, a search has %d matches", s.code, s.found)
}
