package pool

import (
	"context"
	"fmt"
	"time"
)

// statementBound is Config.QueryTimeout. The zero value bounds nothing.
type statementBound struct {
	timeout time.Duration
	cause   error // made once: it is the same for every statement
	whole   bool  // of a transaction, whose statements are bounded one by one
}

func newStatementBound(cfg Config) statementBound {
	return statementBound{
		timeout: cfg.QueryTimeout,
		cause:   fmt.Errorf("%w of %v (%s): %w", ErrQueryTimeout, cfg.QueryTimeout, cfg.QueryTimeoutSetting, context.DeadlineExceeded),
	}
}

// context returns ctx with the bound of a statement that starts now. Its cause
// says so when this bound ends it, and not an earlier deadline of ctx.
func (b statementBound) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.timeout <= 0 || ctx.Value(unboundedKey{}) != nil {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, b.timeout, b.cause)
}

type unboundedKey struct{}

// WithoutQueryTimeout returns a context under which Config.QueryTimeout does not
// hold: for statements that take long because there is much to do, such as
// building or merging an index. The end of ctx itself still ends them.
func WithoutQueryTimeout(ctx context.Context) context.Context {
	return context.WithValue(ctx, unboundedKey{}, true)
}
