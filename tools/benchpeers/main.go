// Benchpeers holds tomehub loadtest against other load generators:
//
//	benchpeers -tomehub bin/tomehub
//
// A server is pinned to one core and each generator in turn to another, in an order that is shuffled anew in each round.
// What counts is the work done per second of the generator's CPU time, which a busy machine changes least; and of that the
// ratio to another tool of the same round. A is a server of net/http, B one that does next to nothing, so that the
// generator is the bottleneck. A tool that cannot be had is left out with a line that says why.
//
// It ends with 1 when a floor is not reached.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "benchpeers serve:", err)
			os.Exit(1)
		}
		return
	}
	var b bench
	cache, _ := os.UserCacheDir() // "" is refused below
	flag.StringVar(&b.ours, "tomehub", "", "the program to measure")
	flag.StringVar(&b.cache, "cache", filepath.Join(cache, "tomehub-peers"), "directory where built tools stay")
	flag.StringVar(&b.only, "only", "", "names of the tools to measure, with commas; all when empty")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of each measurement of speed")
	flag.IntVar(&b.seconds, "seconds", 10, "seconds of each run of it")
	flag.IntVar(&b.connections, "connections", 32, "connections of each run of it")
	flag.IntVar(&b.users, "users", 10_000, "users in the measurement of memory; 0 leaves memory out")
	flag.StringVar(&b.serverCore, "server-core", "0", "core of the server")
	flag.StringVar(&b.core, "core", "1", "core of the generators")
	flag.Parse()
	if b.ours == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "benchpeers: -tomehub must name the program to measure")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	held, err := b.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchpeers:", err)
		os.Exit(1)
	}
	if !held {
		os.Exit(1)
	}
}

// A bench is one table.
type bench struct {
	ours, cache, only           string
	rounds, seconds             int
	connections, users          int
	serverCore, core            string
	dir                         string
	server                      *server
	peers                       []*peer
	full, small, rss, perAnswer map[string]float64 // medians, by peer
}

func (b *bench) run(ctx context.Context) (held bool, err error) {
	if b.dir, err = os.MkdirTemp("", "benchpeers"); err != nil {
		return false, err
	}
	defer os.RemoveAll(b.dir)
	for _, p := range peers(b.ours) {
		if b.only != "" && p.name != "tomehub" && !slices.Contains(strings.Split(b.only, ","), p.name) {
			continue
		}
		if err := p.get(b.cache); err != nil {
			fmt.Printf("%s is left out: %v\n", p.name, err)
			continue
		}
		b.peers = append(b.peers, p)
	}
	if b.server, err = startServer(b.serverCore); err != nil {
		return false, err
	}
	defer b.server.stop()
	if b.full, err = b.speed(ctx, b.server.full); err != nil {
		return false, err
	}
	if b.small, err = b.speed(ctx, b.server.small); err != nil {
		return false, err
	}
	if b.users > 0 {
		if err := b.memory(ctx); err != nil {
			return false, err
		}
	}
	b.table()
	return b.bounds()
}

// speed returns the median work per CPU second of each peer against url.
func (b *bench) speed(ctx context.Context, url string) (map[string]float64, error) {
	all := map[string][]float64{}
	for round := range b.rounds {
		order := slices.Clone(b.peers)
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, p := range order {
			args, err := p.load(p, b.dir, url, b.connections, b.seconds, false)
			if err != nil {
				return nil, err
			}
			u, err := run(ctx, b.server, b.core, args)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(os.Stderr, "round %d %s %s: %d requests in %v of CPU, %.0f MiB\n", round+1, url, p.name, u.requests, u.cpu.Round(time.Millisecond), u.rssMiB)
			all[p.name] = append(all[p.name], u.perCPU())
		}
	}
	return medians(all), nil
}

// memory measures what each peer needs for many users: those who think against the full server, all other tools against
// answers that take as long.
func (b *bench) memory(ctx context.Context) error {
	b.rss, b.perAnswer = map[string]float64{}, map[string]float64{}
	const seconds = 15
	for _, p := range b.peers {
		if p.name == "ab" {
			continue // ends at the first connection that it is refused
		}
		url := b.server.full
		if !p.thinks {
			url += "/slow"
		}
		args, err := p.load(p, b.dir, url, b.users, seconds, p.thinks)
		if err != nil {
			return err
		}
		u, err := run(ctx, b.server, b.core, args)
		if err != nil {
			fmt.Printf("%s has no figure for %d users: %v\n", p.name, b.users, err)
			continue
		}
		fmt.Fprintf(os.Stderr, "%d users %s: %d requests in %v, %.0f MiB\n", b.users, p.name, u.requests, u.took.Round(time.Second), u.rssMiB)
		b.rss[p.name] = u.rssMiB
	}
	for _, p := range b.peers {
		if p.name != "tomehub" && p.name != "k6" && p.name != "vegeta" {
			continue
		}
		args, err := p.load(p, b.dir, b.server.small, b.connections, 30, false)
		if err != nil {
			return err
		}
		if b.perAnswer[p.name], err = growth(b.server, b.core, args, 28*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// table prints one row for each peer.
func (b *bench) table() {
	fmt.Printf("\n%d connections, medians of %d shuffled rounds of %d s; server on core %s, generator on core %s\n",
		b.connections, b.rounds, b.seconds, b.serverCore, b.core)
	fmt.Printf("%-11s %12s %12s %10s %10s %14s %14s\n", "tool", "A per CPU s", "B per CPU s", "A /vegeta", "B /vegeta", fmt.Sprintf("MiB, %d", b.users), "B per request")
	for _, p := range b.peers {
		fmt.Printf("%-11s %12.0f %12.0f %10s %10s %14s %14s\n", p.name, b.full[p.name], b.small[p.name],
			over(b.full, p.name, "vegeta"), over(b.small, p.name, "vegeta"), figure(b.rss, p.name, "%.0f"), figure(b.perAnswer, p.name, "%.2f"))
	}
}

func over(m map[string]float64, name, other string) string {
	if m[other] == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", m[name]/m[other])
}

func figure(m map[string]float64, name, format string) string {
	if v, ok := m[name]; ok {
		return fmt.Sprintf(format, v)
	}
	return "-"
}

func medians(all map[string][]float64) map[string]float64 {
	out := map[string]float64{}
	for name, v := range all {
		slices.Sort(v)
		out[name] = (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return out
}
