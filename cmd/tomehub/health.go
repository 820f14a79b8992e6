package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxHealthAnswer bounds what is read and printed of a health answer, in bytes.
const maxHealthAnswer = 64 << 10

func (a *app) newHealthCommand() *cobra.Command {
	target, listen, ready, timeout := "", "127.0.0.1:5001", false, 4*time.Second
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it is well",
		Long: `Ask a running server whether it is well, for health checks of containers, where there is no curl.
Its answer is printed. Exit code 0 when it answers that it is alive, or with --ready that it takes
requests; 1 when it does not. Without --target it asks on this machine, at the port on which the
server of the same environment listens (--listen).`,
		Example: `  tomehub health
  tomehub health --ready --target http://127.0.0.1:5001`,
		Args: noArgs,
	}
	s := &settings{flags: cmd.Flags()}
	s.add(textValue{&target}, "target", "TOMEHUB_TARGET", "URL of the server; empty asks on this machine, see --listen")
	s.add(textValue{&listen}, "listen", "TOMEHUB_LISTEN", "address on which the server of this machine listens")
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it takes requests, not only whether it is alive")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "longest wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := a.load(cmd, s, nil)
		if target == "" {
			_, port, splitErr := net.SplitHostPort(listen)
			if splitErr != nil || port == "0" {
				err = errors.Join(err, fmt.Errorf("--listen %s: want an address with the port on which the server listens, or --target", listen))
			}
			target = "http://" + net.JoinHostPort("127.0.0.1", port)
		}
		err = errors.Join(err, checkURL("--target", target, "http://127.0.0.1:5001"))
		if timeout <= 0 {
			err = errors.Join(err, fmt.Errorf("--timeout is %v: want more than 0", timeout))
		}
		if err != nil {
			return usageError{err}
		}
		path := "/api/health/live"
		if ready {
			path = "/api/health/ready"
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		return askHealth(ctx, a.stdout, strings.TrimSuffix(target, "/")+path)
	}
	return cmd
}

// askHealth prints what the server says, and returns an error when that is anything but 200.
func askHealth(ctx context.Context, out io.Writer, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("ask for health (--target): %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask for health (--target): %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthAnswer))
	if err != nil {
		return fmt.Errorf("read health from %s: %w", address, err)
	}
	if _, err := fmt.Fprintln(out, strings.TrimSpace(string(body))); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return nil
}
