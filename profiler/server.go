package profiler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Errors that a caller may branch on.
var (
	ErrUnreachable = errors.New("the server cannot be reached")
	ErrNotTomehub  = errors.New("this is not the admin listener of a tomehub")
)

// snapshotTimeout bounds one reading of all counters. A tomehub answers in milliseconds also under load; a listener that
// takes this long will not answer.
const snapshotTimeout = 15 * time.Second

// Server is the Source that reads a running tomehub.
type Server struct {
	admin  *url.URL
	client *http.Client
}

// NewServer prepares to read the tomehub whose admin listener (serve --admin-listen) is at adminURL: http://host:port, or
// host:port alone. A nil client means one of our own that follows no redirects. Nothing is sent yet.
func NewServer(adminURL string, client *http.Client) (*Server, error) {
	if !strings.Contains(adminURL, "://") {
		adminURL = "http://" + adminURL
	}
	u, err := url.Parse(adminURL)
	if err != nil {
		var fault *url.Error // its own text repeats the URL, with the password
		if errors.As(err, &fault) {
			err = fault.Err
		}
		return nil, fmt.Errorf("read the server's address (--url): %w; it looks like http://127.0.0.1:5002", err)
	}
	extra := u.RawQuery != "" || u.Fragment != ""
	u.RawQuery, u.Fragment = "", "" // may hold a secret, so they are not printed
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || extra {
		return nil, fmt.Errorf("read the server's address (--url) %q: it looks like http://127.0.0.1:5002, with nothing behind", u.Redacted())
	}
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Server{admin: u, client: client}, nil
}

// Name returns "tomehub at " and the address, without a password.
func (s *Server) Name() string { return "tomehub at " + strings.TrimSuffix(s.admin.Redacted(), "/") }

// Kind returns Tomehub.
func (s *Server) Kind() Kind { return Tomehub }

// Snapshot asks the server once for all its statements and waits at most 15 s. An error wraps ErrUnreachable, ErrNotTomehub, ctx's own error, or
// says what the server answered.
func (s *Server) Snapshot(ctx context.Context, _ *Snapshot) (Snapshot, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, snapshotTimeout, fmt.Errorf("no answer within %v", snapshotTimeout))
	defer cancel()
	snap, err := s.get(bounded)
	switch {
	case err == nil:
		snap.Source = s.Name()
		return snap, nil
	case ctx.Err() != nil:
		return Snapshot{}, fmt.Errorf("read the statements of %s: %w", s.Name(), ctx.Err())
	case bounded.Err() != nil:
		err = fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(bounded))
	}
	return Snapshot{}, fmt.Errorf("read the statements of %s: %w%s", s.Name(), err, hint(err))
}

func (s *Server) get(ctx context.Context) (Snapshot, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin.JoinPath("statements").String(), nil)
	if err != nil {
		return Snapshot{}, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		var fault *url.Error // its own text repeats the URL
		if errors.As(err, &fault) {
			err = fault.Err
		}
		return Snapshot{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return Snapshot{}, fmt.Errorf("the server refuses it: %s", status(resp))
	case resp.StatusCode >= 500:
		return Snapshot{}, fmt.Errorf("the server answered %s: %s", status(resp), beginning(resp.Body))
	case resp.StatusCode != http.StatusOK:
		return Snapshot{}, fmt.Errorf("%w: it answered %s", ErrNotTomehub, status(resp))
	}
	snap, err := decode(resp.Body)
	if errors.Is(err, ErrNotSnapshot) {
		return Snapshot{}, fmt.Errorf("%w: %w", ErrNotTomehub, err)
	}
	return snap, err
}

// status names the answer's status in our words: those of the server may hold anything.
func status(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

// beginning returns the first words of a body that is not to be trusted, on one line.
func beginning(body io.Reader) string {
	head, err := io.ReadAll(io.LimitReader(body, 200))
	if err != nil && len(head) == 0 {
		return "its reason cannot be read"
	}
	return fmt.Sprintf("%q", strings.Join(strings.Fields(string(head)), " "))
}

// hint says what to do about an error, where something can be said.
func hint(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, ErrNotTomehub):
		return "; --url takes the address of --admin-listen (port 5002 by default), not the one that serves searches"
	case errors.Is(err, ErrUnreachable) && errors.As(err, &op) && op.Op == "dial":
		return "; is the server running, and is --url the address that its --admin-listen names?" +
			" The admin listener stands on 127.0.0.1:5002 by default, so it is reached from the same machine only"
	case errors.Is(err, ErrUnreachable):
		return "; is --url the address that the server's --admin-listen names?"
	}
	return ""
}
