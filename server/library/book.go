package library

import (
	"context"
	"fmt"

	"github.com/tomehub/tomehub/server/store"
)

// Book returns one book that the scope can see, or store.ErrNotFound.
func (l *Library) Book(ctx context.Context, sc store.Scope, id int64) (store.Book, error) {
	b, err := l.store.Book(ctx, sc, id)
	if err != nil {
		return store.Book{}, fmt.Errorf("read book %d: %w", id, err)
	}
	return b, nil
}
