package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/loadtest"
)

func (a *app) newLoadtestImportCommand() *cobra.Command {
	var opt loadtest.ImportOptions
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make a scenario of a browser's HAR file or a server's access log",
		Long: `Read what was recorded and print a scenario that does it again: which requests, in which order and
how often, with how much time between, and checks drawn from what was seen.

FILE is a HAR file (a browser's developer tools, network, save all as HAR), or an access log: common or
combined format, with nginx's $request_time behind it when response times are to be known, or one JSON
object a line (nginx's variables, or tomehub's own log with --access-log). What it is, is told by its
first bytes; "-" is standard input.

A HAR file becomes one flow with its pauses, for ten users. A log becomes visitors who come as often as
its sessions (client and agent, ten minutes without a request end one): rows of requests that several
sessions share are flows, the rest are flows of one request, as heavy as they were frequent. Ids in paths,
and queries and fields that differ, become feeders.

Hosts, addresses and users' names are dropped. Cookies, headers and whatever looks like a secret are never
copied, and comments in the scenario say so. Read them, and 'tomehub loadtest validate' the result.`,
		Example: `  tomehub loadtest import session.har > mine.yaml
  tomehub loadtest import /var/log/nginx/access.log > mine.yaml
  zcat access.log.1.gz | tomehub loadtest import - > mine.yaml
  tomehub loadtest run ./mine.yaml --target http://127.0.0.1:8080`,
		Args: oneArg("a HAR file or an access log"),
	}
	cmd.Flags().StringVar(&opt.Host, "host", "", "of a HAR file, the host whose requests are kept; empty for the one that most went to")
	cmd.Flags().BoolVar(&opt.Static, "static", false, "keep pictures, fonts, scripts and style sheets too")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		in, name := a.stdin, "standard input"
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return usageError{fmt.Errorf("import: %w", err)}
			}
			defer f.Close()
			in, name = f, args[0]
		}
		text, err := loadtest.Import(name, in, opt)
		if err != nil {
			return usageError{err}
		}
		_, err = a.stdout.Write(text)
		return err
	}
	return cmd
}
