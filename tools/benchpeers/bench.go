package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

const (
	proofSeconds  = 2
	memorySeconds = 15
	growthSeconds = 30
)

// A bench is one table.
type bench struct {
	ours, cache        string
	rounds, seconds    int
	connections, users int
	serverCore, core   string
	dir                string
	server             *server
	peers              []*peer
	a, b               *target // the server of net/http, the one that does little
	own, seen          map[string]int64
	crowd              map[string]usage   // with many users
	perAnswer          map[string]float64 // bytes of growth per request
}

// A target is one of the two servers, with what each peer did against it, round by round.
type target struct {
	name, url string
	runs      map[string][]usage
}

func (b *bench) run(ctx context.Context) (held bool, err error) {
	if b.dir, err = os.MkdirTemp("", "benchpeers"); err != nil {
		return false, err
	}
	defer os.RemoveAll(b.dir)
	b.peers = slices.DeleteFunc(b.peers, func(p *peer) bool {
		err := p.get(b.cache)
		if err != nil {
			fmt.Printf("%s is left out: %v\n", p.name, err)
		}
		return err != nil
	})
	if len(b.peers) == 0 {
		return false, fmt.Errorf("no tool is left to measure")
	}
	if b.server, err = startServer(b.serverCore); err != nil {
		return false, err
	}
	defer b.server.stop()
	b.a = &target{name: "A", url: b.server.full, runs: map[string][]usage{}}
	b.b = &target{name: "B", url: b.server.small, runs: map[string][]usage{}}
	b.own, b.seen = map[string]int64{}, map[string]int64{}
	b.crowd, b.perAnswer = map[string]usage{}, map[string]float64{}
	fmt.Fprintf(os.Stderr, "this takes about %v\n", b.takes().Round(time.Minute))
	if err := b.prove(ctx); err != nil {
		return false, err
	}
	for round := range b.rounds {
		for _, t := range []*target{b.a, b.b} {
			if err := b.round(ctx, t, round+1); err != nil {
				return false, err
			}
		}
	}
	if b.users > 0 {
		if err := b.memory(ctx); err != nil {
			return false, err
		}
	}
	b.table(os.Stdout)
	if !b.has(ourName) {
		return true, nil
	}
	return b.bounds()
}

// takes is how long the whole takes, with half a second for the start and the end of each run.
func (b *bench) takes() time.Duration {
	n := float64(len(b.peers))
	seconds := 2*n*(proofSeconds+0.5) + 2*n*float64(b.rounds)*(float64(b.seconds)+0.5)
	if b.users > 0 {
		seconds += n * (memorySeconds + 2)
		for _, p := range b.peers {
			if p.grows() {
				seconds += growthSeconds + 1
			}
		}
	}
	if b.has(ourName) {
		seconds += 15
	}
	return time.Duration(seconds * float64(time.Second))
}

func (b *bench) has(name string) bool {
	return slices.ContainsFunc(b.peers, func(p *peer) bool { return p.name == name })
}

// drop leaves a tool out from here on. Without ours there is nothing to compare.
func (b *bench) drop(p *peer, why error) error {
	if p.name == ourName {
		return why
	}
	fmt.Printf("%s is left out: %v\n", p.name, why)
	b.peers = slices.DeleteFunc(b.peers, func(o *peer) bool { return o == p })
	delete(b.own, p.name)
	delete(b.seen, p.name)
	return nil
}

// prove lets each peer run shortly against both servers and holds its own count of right answers against the server's.
func (b *bench) prove(ctx context.Context) error {
	for _, p := range slices.Clone(b.peers) {
		for _, t := range []*target{b.a, b.b} {
			u, err := b.counted(ctx, p, load{url: t.url, connections: b.connections, seconds: proofSeconds, counted: true})
			if err == nil {
				err = p.agrees(u, b.connections)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				if err := b.drop(p, fmt.Errorf("against %s: %w", t.name, err)); err != nil {
					return err
				}
				break
			}
			b.count(p, u)
		}
	}
	return nil
}

// round measures each peer once against t, in a new order.
func (b *bench) round(ctx context.Context, t *target, number int) error {
	order := slices.Clone(b.peers)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, p := range order {
		u, err := b.counted(ctx, p, load{url: t.url, connections: b.connections, seconds: b.seconds})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && u.own != unknown {
			err = p.agrees(u, b.connections)
		}
		if err != nil {
			if err := b.drop(p, fmt.Errorf("against %s in round %d: %w", t.name, number, err)); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(os.Stderr, "round %d, %s, %-10s %8d requests, %6.2f s of CPU, %4.0f MiB\n", number, t.name, p.name, u.requests, u.cpu().Seconds(), u.rssMiB)
		t.runs[p.name] = append(t.runs[p.name], u)
		b.count(p, u)
	}
	return nil
}

// count keeps what a tool counted itself beside what the server did.
func (b *bench) count(p *peer, u usage) {
	if u.own != unknown {
		b.own[p.name] += u.own
		b.seen[p.name] += u.requests
	}
}

// counted lets p run to its end and reads what it counted itself.
func (b *bench) counted(ctx context.Context, p *peer, l load) (usage, error) {
	u, out, err := b.once(ctx, p, l)
	if err != nil {
		return u, err
	}
	if u.own, err = p.count(p, b.dir, out, l); err != nil {
		return u, fmt.Errorf("how many right answers it had is not told: %w", err)
	}
	return u, nil
}

// once lets p run to its end and returns what it printed.
func (b *bench) once(ctx context.Context, p *peer, l load) (usage, []byte, error) {
	args, err := p.args(p, b.dir, l)
	if err != nil {
		return usage{}, nil, err
	}
	return run(ctx, b.server, b.core, args, time.Duration(l.seconds)*time.Second)
}

// memory measures what each peer needs for many users, each with a connection of its own: those who think against the
// full server, all other tools against answers that take as long.
func (b *bench) memory(ctx context.Context) error {
	for _, p := range b.peers {
		url := b.a.url
		if !p.thinks {
			url += "/slow"
		}
		u, _, err := b.once(ctx, p, load{url: url, connections: b.users, seconds: memorySeconds, think: p.thinks})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s has no figure for %d users: %v\n", p.name, b.users, err)
			continue
		}
		fmt.Fprintf(os.Stderr, "%d users, %-10s %8d requests, %6.2f s of CPU, %4.0f MiB, %d connections\n", b.users, p.name, u.requests, u.cpu().Seconds(), u.rssMiB, u.open)
		b.crowd[p.name] = u
	}
	for _, p := range b.peers {
		if !p.grows() {
			continue
		}
		args, err := p.args(p, b.dir, load{url: b.b.url, connections: b.connections, seconds: growthSeconds})
		if err != nil {
			return err
		}
		grown, err := growth(b.server, b.core, args, (growthSeconds-2)*time.Second)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s has no figure of its growth: %v\n", p.name, err)
			continue
		}
		b.perAnswer[p.name] = grown
	}
	return nil
}
