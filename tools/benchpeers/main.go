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
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

const help = `bench-peers holds tomehub loadtest against other load generators and prints a table in Markdown.

A server is pinned to one core and each tool in turn to another, in an order shuffled anew in each
round. A is a server of net/http, B one that does next to nothing, so that the tool is the bottleneck.
Requests are counted by the server. Before the rounds each tool must show that it counts itself what
the server counted, within the requests that its end cuts off; one that does not is left out. Ratios
are medians of the ratios of each round. Then each tool holds -users connections of its own; the
server counts those that are open at the same time, and the table says so where they are fewer.

vegeta, k6, bombardier, fortio and hey are built once by go install from the module proxy (some
minutes, k6 most of them), wrk and ab come from the system (apt-get install wrk apache2-utils). What
cannot be had is left out with a line that says why.

With all tools and the defaults it takes about 19 minutes, without k6 16; how long it will take is
said at the start. The table goes to standard output, each run as it ends to standard error. It ends
with 1 when tomehub is measured and a floor is not reached, with 2 when a flag is wrong.

  make bench-peers
  make bench-peers ARGS='-without k6 -seconds 5'
  make bench-peers ARGS='-only tomehub,vegeta,wrk -users 0'
  make bench-peers ARGS='-only ab -rounds 1 -seconds 2'

Flags:
`

func main() {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "bench-peers serve:", err)
			os.Exit(1)
		}
		return
	}
	var b bench
	var only, without string
	cache, _ := os.UserCacheDir() // "" is refused by go install
	flags := flag.NewFlagSet("bench-peers", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), help); flags.PrintDefaults() }
	flags.StringVar(&b.ours, "tomehub", "", "the `program` to measure; make bench-peers builds it")
	flags.StringVar(&b.cache, "cache", filepath.Join(cache, "tomehub-peers"), "`directory` where built tools stay")
	flags.StringVar(&only, "only", "", "the `tools` to measure, with commas: tomehub, vegeta, k6, bombardier, fortio, hey, wrk, ab; all when empty")
	flags.StringVar(&without, "without", "", "`tools` to leave out, with commas")
	flags.IntVar(&b.rounds, "rounds", 5, "rounds of the measurement of speed")
	flags.IntVar(&b.seconds, "seconds", 10, "seconds of each run of it")
	flags.IntVar(&b.connections, "connections", 32, "connections of each run of it")
	flags.IntVar(&b.users, "users", 10_000, "users in the measurement of memory; 0 leaves memory out")
	flags.StringVar(&b.serverCore, "server-core", "0", "`core` of the server")
	flags.StringVar(&b.core, "core", "1", "`core` of the generators")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil {
		os.Exit(2)
	}
	if err := b.check(flags.NArg(), only, without); err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	held, err := b.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
	}
	if err != nil || !held {
		os.Exit(1)
	}
}

// check reads the names of the tools and refuses what cannot be measured.
func (b *bench) check(rest int, only, without string) (err error) {
	var faults []error
	if b.ours == "" || rest > 0 {
		faults = append(faults, errors.New("-tomehub must name the program to measure, and nothing may follow the flags"))
	}
	if b.rounds < 1 || b.seconds < 1 || b.connections < 1 || b.users < 0 {
		faults = append(faults, errors.New("-rounds, -seconds and -connections must be 1 or more, -users 0 or more"))
	}
	if b.peers, err = chosen(peers(b.ours), only, without); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
