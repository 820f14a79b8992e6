package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func twoPools(ctx context.Context, b *bench) (finding, error) {
	pools, err := b.pools(ctx)
	if err != nil {
		return finding{}, err
	}
	_, read := pools["read"]
	_, write := pools["write"]
	return judge(read && write && len(pools) == 2, "%s", poolsText(pools))
}

func poolsLogged(_ context.Context, b *bench) (finding, error) {
	line := b.logged(`"Database pools: read 5-50, write 2-10, timeout=30s"`)
	if line == "" {
		other := b.logged("Database pool")
		if other == "" {
			return judge(false, "no line about pools")
		}
		return judge(false, "%q", message(other))
	}
	return judge(true, "%q", message(line))
}

// acquired tells how many connections each pool gave while do ran.
func (b *bench) acquired(ctx context.Context, do func() error) (read, write int64, err error) {
	before, err := b.pools(ctx)
	if err != nil {
		return 0, 0, err
	}
	if len(before) != 2 {
		return 0, 0, fmt.Errorf("there are not a read and a write pool, but %s", poolsText(before))
	}
	if err := do(); err != nil {
		return 0, 0, err
	}
	after, err := b.pools(ctx)
	if err != nil {
		return 0, 0, err
	}
	return after["read"].Acquired - before["read"].Acquired, after["write"].Acquired - before["write"].Acquired, nil
}

func searchesRead(ctx context.Context, b *bench) (finding, error) {
	read, write, err := b.acquired(ctx, func() error {
		for i := range 10 {
			if _, err := b.search(ctx, varied(i), ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return finding{}, err
	}
	return judge(read >= 10 && write == 0, "read pool: %d acquired, write pool: %d", read, write)
}

func ingestsWrite(ctx context.Context, b *bench) (finding, error) {
	read, write, err := b.acquired(ctx, func() error {
		return b.ingest(ctx, "Written", "A book that "+b.newUser()+" put in to see which pool it takes.")
	})
	if err != nil {
		return finding{}, err
	}
	return judge(write >= 1, "write pool: %d acquired, read pool: %d", write, read)
}

// side is how long each of the two parts of the comparison lasts.
const side = 2 * time.Second

func searchesBesideIngests(ctx context.Context, b *bench) (finding, error) {
	server, err := b.v.start(ctx, slices.Concat([]string{
		"--phase", "C", "--lab-statement-time", "30ms", "--query-cache=false", "--db-pool-read-size", "10", "--db-pool-write-size", "2", "--max-concurrent-ingests", "8",
	}, unlimited), nil)
	if err != nil {
		return finding{}, err
	}
	f, err := server.besideIngests(ctx)
	return f, errors.Join(err, server.close(ctx))
}

func (b *bench) besideIngests(ctx context.Context) (finding, error) {
	alone, err := b.medianSearch(ctx)
	if err != nil {
		return finding{}, err
	}
	ingesting, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	faults := make([]error, 8)
	counts := make([]int, 8)
	for i := range faults {
		wg.Go(func() {
			for ingesting.Err() == nil {
				err := b.ingest(ingesting, "Beside", fmt.Sprintf("Ingester %d writes book %d beside those who search for dasein.", i, counts[i]))
				if ingesting.Err() != nil {
					return
				}
				if err != nil {
					faults[i] = err
					return
				}
				counts[i]++
			}
		})
	}
	var waiting int64
	wg.Go(func() {
		_, _ = until(ingesting, time.Minute, func() (bool, error) {
			if pools, err := b.pools(ingesting); err == nil {
				waiting = max(waiting, pools["write"].Waiting)
			}
			return false, nil
		})
	})
	beside, err := b.medianSearch(ctx)
	stop()
	wg.Wait()
	if err = errors.Join(err, errors.Join(faults...)); err != nil {
		return finding{}, err
	}
	books := 0
	for _, n := range counts {
		books += n
	}
	if books == 0 || waiting == 0 {
		return judge(false, "%d books went in, and at most %d waited for the write pool: nothing was shown", books, waiting)
	}
	return judge(beside < alone*3/2, "median search %v alone, %v beside %d ingests, of which up to %d waited for a write connection",
		alone.Round(time.Millisecond), beside.Round(time.Millisecond), books, waiting)
}

// medianSearch has 8 users search for a while.
func (b *bench) medianSearch(ctx context.Context) (time.Duration, error) {
	const users = 8
	ending, cancel := context.WithTimeout(ctx, side)
	defer cancel()
	var mu sync.Mutex // guards took and faults
	var took []time.Duration
	var faults []error
	var n atomic.Int64
	var wg sync.WaitGroup
	for range users {
		wg.Go(func() {
			for ending.Err() == nil {
				s, err := b.search(ctx, varied(int(n.Add(1))), `"page_size": 5`)
				mu.Lock()
				if err != nil {
					faults = append(faults, err)
					mu.Unlock()
					return
				}
				took = append(took, s.took)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(faults) > 0 {
		return 0, faults[0]
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func streamLimit(ctx context.Context, b *bench) (finding, error) {
	s, err := b.streamState(ctx)
	if err != nil {
		return finding{}, err
	}
	return judge(s.Limit == 100 || b.spawned == nil && s.Limit > 0, "max_concurrent is %d", s.Limit)
}

type streamFigures struct {
	Active    int            `json:"active_streams"`
	Limit     int            `json:"max_concurrent"`
	Waiting   int            `json:"waiting"`
	Completed int            `json:"completed"`
	Refused   map[string]int `json:"refused"`
}

func (b *bench) streamState(ctx context.Context) (streamFigures, error) {
	var a struct {
		Streams *streamFigures `json:"streams"`
	}
	if err := b.health(ctx, "streams", &a); err != nil {
		return streamFigures{}, err
	}
	if a.Streams == nil {
		return streamFigures{}, errors.New("/api/health/streams tells nothing of streams")
	}
	return *a.Streams, nil
}
