package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// profiled is what was sent while the profile was taken.
type profiled struct {
	requests, statements int
	first, again         int // statements of 30 searches, and of the same 30 sent again
}

// profile sends requests and profiles them, once for the bench.
func (b *bench) profile(ctx context.Context) (*StatementWindow, error) {
	if b.window != nil {
		return b.window, nil
	}
	if b.v.cfg.TopStatements == nil {
		return nil, fmt.Errorf("%w: there is nothing that reads the server's statements", errUndecided)
	}
	end, err := b.v.cfg.TopStatements(b.admin)(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin the profile: %w", err)
	}
	count := func(a *reply, err error) error {
		if err == nil && a.status >= 300 {
			err = fmt.Errorf("the server answered %d: %s", a.status, clip(string(a.body), 200))
		}
		if err == nil {
			b.sent.requests++
			b.sent.statements += max(0, a.number("X-Tomehub-Statements"))
		}
		return err
	}
	for round := range 2 {
		before := b.sent.statements
		for i := range 30 {
			if err := count(b.post(ctx, "/api/search", fmt.Sprintf(`{"query": %q, "page_size": 5}`, varied(i)))); err != nil {
				return nil, err
			}
		}
		if round == 0 {
			b.sent.first = b.sent.statements - before
		} else {
			b.sent.again = b.sent.statements - before
		}
	}
	for i := range 27 {
		if err := count(b.get(ctx, fmt.Sprintf("/api/content/%d", i+1))); err != nil {
			return nil, err
		}
	}
	for _, path := range []string{"/api/books", "/api/books/1"} {
		if err := count(b.get(ctx, path)); err != nil {
			return nil, err
		}
	}
	if err := count(b.post(ctx, "/api/ingest", `{"title": "Profiled", "content": "A book of one passage, to see the statements that add it."}`)); err != nil {
		return nil, err
	}
	w, err := end(ctx)
	if err != nil {
		return nil, fmt.Errorf("end the profile: %w", err)
	}
	if len(w.Statements) == 0 {
		return nil, fmt.Errorf("the profile of %d requests has no statements", b.sent.requests)
	}
	b.window = w
	return w, nil
}

func slowestStatements(ctx context.Context, b *bench) (finding, error) {
	w, err := b.profile(ctx)
	if err != nil {
		return finding{}, err
	}
	above := 0
	for _, s := range w.Statements {
		if s.AvgMS > 1000 {
			above++
		}
	}
	slow := slices.MaxFunc(w.Statements, func(a, b TopStatement) int { return cmp.Compare(a.AvgMS, b.AvgMS) })
	return judge(slow.AvgMS > 0 && slow.Name != "", "%s with %s on average; %d above 1 s", slow.Name, formatMS(slow.AvgMS), above)
}

func mostExecuted(ctx context.Context, b *bench) (finding, error) {
	w, err := b.profile(ctx)
	if err != nil {
		return finding{}, err
	}
	most := slices.MaxFunc(w.Statements, func(a, b TopStatement) int { return cmp.Compare(a.Executions, b.Executions) })
	upkeep := w.Executions - int64(b.sent.statements)
	// The library looks for changes of other processes now and then.
	return judge(upkeep >= 0 && upkeep <= 20 && most.Executions >= 27, "%s, %d times; %d executions in all, %d told by the answers, the rest is upkeep", most.Name, most.Executions, w.Executions, b.sent.statements)
}

// isScan tells a step of an SQLite plan that reads a whole table of the library: by its name, or by what the statement
// calls it.
func isScan(statement, step string) bool {
	words := strings.Fields(step)
	if len(words) < 2 || words[0] != "SCAN" || strings.Contains(step, "VIRTUAL TABLE") {
		return false
	}
	if strings.HasPrefix(words[1], "TOMEHUB_") {
		return true
	}
	named, err := regexp.MatchString(`(?i)\bTOMEHUB_[A-Z_]+\s+AS\s+`+regexp.QuoteMeta(words[1])+`\b`, statement)
	return err == nil && named
}

func tableScans(ctx context.Context, b *bench) (finding, error) {
	w, err := b.profile(ctx)
	if err != nil {
		return finding{}, err
	}
	if b.v.cfg.Explain == nil {
		return finding{}, fmt.Errorf("%w: there is nothing that explains statements", errUndecided)
	}
	explained, scans := 0, []string{}
	for _, s := range w.Statements {
		if !isQuery(s.SQL) || strings.HasPrefix(s.Name, "book") { // a list of all books reads them all
			continue
		}
		plan, err := b.v.cfg.Explain(ctx, b.spawned.DataDir(), s.SQL)
		if err != nil {
			return finding{}, fmt.Errorf("%w: explain %s: %w", errUndecided, s.Name, err)
		}
		explained++
		for _, step := range plan {
			if isScan(s.SQL, step) {
				scans = append(scans, s.Name+": "+step)
			}
		}
	}
	if len(scans) > 0 {
		return judge(false, "%s", strings.Join(scans, "; "))
	}
	return judge(explained > 0, "none of %d queries scans a table", explained)
}

// isQuery tells a statement that only reads the library.
func isQuery(text string) bool {
	_, text, _ = strings.Cut(text, "*/")
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return (strings.EqualFold(word, "SELECT") || strings.EqualFold(word, "WITH")) && strings.Contains(text, "TOMEHUB_")
}

func repeatedStatements(ctx context.Context, b *bench) (finding, error) {
	if _, err := b.profile(ctx); err != nil {
		return finding{}, err
	}
	share := 100 * float64(b.sent.again) / float64(max(1, b.sent.first+b.sent.again))
	return judge(b.sent.first > 0 && b.sent.again == b.sent.first, "yes: %d of %d statements of searches (%.0f %%) repeat earlier ones; B2.1 shows that they go away", b.sent.again, b.sent.first+b.sent.again, share)
}

func topTen(ctx context.Context, b *bench) (finding, error) {
	w, err := b.profile(ctx)
	if err != nil {
		return finding{}, err
	}
	ordered := slices.IsSortedFunc(w.Statements, func(a, b TopStatement) int { return cmp.Compare(b.TotalMS, a.TotalMS) })
	var list []string
	for _, s := range w.Statements {
		if s.Executions > 0 {
			list = append(list, fmt.Sprintf("%s ×%d", s.Name, s.Executions))
		}
	}
	return judge(ordered && len(list) >= 10, "%s", strings.Join(list, ", "))
}

func detailsAsked(ctx context.Context, b *bench) (finding, error) {
	user := b.newUser()
	without, err := b.searchAs(ctx, user, "dasein", `"page_size": 10`)
	if err != nil {
		return finding{}, err
	}
	with, err := b.searchAs(ctx, user, "dasein", `"page_size": 10, "include_details": true`)
	if err != nil {
		return finding{}, err
	}
	texts := func(s *searched) (n int) {
		for _, r := range s.Results {
			if r.Content != "" {
				n++
			}
		}
		return n
	}
	return judge(texts(without) == 0 && texts(with) == 10 && slices.Equal(without.ids(), with.ids()),
		"%d of %d results have their text with it, %d of %d without", texts(with), len(with.Results), texts(without), len(without.Results))
}

// batched is the answer of the batch endpoint.
type batched struct {
	Items []struct {
		ID      int64  `json:"id"`
		Content string `json:"content"`
	} `json:"items"`
	Unknown []int64 `json:"unknown_ids"`

	statements int
}

func (b *bench) batch(ctx context.Context, ids []int64) (*batched, error) {
	a, err := b.post(ctx, "/api/content/batch", idsBody(ids))
	if err != nil {
		return nil, err
	}
	out := &batched{statements: a.number("X-Tomehub-Statements")}
	return out, a.into(out)
}

func idsBody(ids []int64) string {
	return `{"ids": [` + strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ", "), "[]") + "]}"
}

func firstIDs(n int) (ids []int64) {
	for i := range n {
		ids = append(ids, int64(i+1))
	}
	return ids
}

func batchWorks(ctx context.Context, b *bench) (finding, error) {
	const nobody = 1 << 40
	ids := firstIDs(100)
	got, err := b.batch(ctx, append([]int64{nobody}, ids...)[:100])
	if err != nil {
		return finding{}, err
	}
	tooMany, err := b.post(ctx, "/api/content/batch", idsBody(firstIDs(100000)))
	if err != nil {
		return finding{}, err
	}
	inOrder := len(got.Items) == 99
	for i, item := range got.Items {
		inOrder = inOrder && item.ID == ids[i] && item.Content != ""
	}
	refused := tooMany.status == http.StatusBadRequest || tooMany.status == http.StatusRequestEntityTooLarge
	return judge(inOrder && slices.Equal(got.Unknown, []int64{nobody}) && refused, "%d passages in the order asked, unknown_ids %v; 100,000 ids get %d", len(got.Items), got.Unknown, tooMany.status)
}

func batchAgainstSingles(ctx context.Context, b *bench) (finding, error) {
	var ratio [2]float64
	var times [2]string
	for i, args := range [][]string{{"--lab-statement-time", "30ms"}, nil} {
		server, err := b.v.start(ctx, slices.Concat([]string{"--phase", "B", "--query-cache=false"}, unlimited, args), nil)
		if err != nil {
			return finding{}, err
		}
		single, batch, err := server.singlesAndBatch(ctx)
		closing := server.close(ctx)
		if err = cmp.Or(err, closing); err != nil {
			return finding{}, err
		}
		ratio[i] = single.Seconds() / batch.Seconds()
		times[i] = fmt.Sprintf("100 reads %v, a batch of 100 %v: %.1f×", single.Round(time.Millisecond), batch.Round(100*time.Microsecond), ratio[i])
	}
	return judge(ratio[0] >= 10, "lab: %s. Embedded, one connection, no lab: %s", times[0], times[1])
}

// singlesAndBatch times 100 reads one after the other, and the mean of ten batches of the same 100.
func (b *bench) singlesAndBatch(ctx context.Context) (single, batch time.Duration, err error) {
	ids := firstIDs(100)
	if _, err := b.batch(ctx, ids); err != nil { // the connection is open, the pages are read
		return 0, 0, err
	}
	began := time.Now()
	for _, id := range ids {
		a, err := b.get(ctx, fmt.Sprintf("/api/content/%d", id))
		if err != nil {
			return 0, 0, err
		}
		if a.status != http.StatusOK {
			return 0, 0, fmt.Errorf("passage %d: the server answered %d", id, a.status)
		}
	}
	single = time.Since(began)
	const batches = 10
	began = time.Now()
	for range batches {
		if _, err := b.batch(ctx, ids); err != nil {
			return 0, 0, err
		}
	}
	return single, time.Since(began) / batches, nil
}

func noNPlusOne(ctx context.Context, b *bench) (finding, error) {
	var counts []int
	for _, size := range []int{1, 10, 100} {
		s, err := b.search(ctx, "dasein time", fmt.Sprintf(`"page_size": %d, "include_details": true`, size))
		if err != nil {
			return finding{}, err
		}
		if len(s.Results) != size {
			return judge(false, "a page of %d has %d results", size, len(s.Results))
		}
		counts = append(counts, s.statements)
	}
	batch, err := b.batch(ctx, firstIDs(100))
	if err != nil {
		return finding{}, err
	}
	seen := fmt.Sprintf("%d, %d, %d statements for 1, 10, 100 details; %d for a batch of 100", counts[0], counts[1], counts[2], batch.statements)
	if counts[0] < 0 {
		return finding{}, fmt.Errorf("%w: the server does not tell its statements (X-Tomehub-Statements)", errUndecided)
	}
	return judge(slices.Max(counts) <= 2 && batch.statements <= 1, "%s", seen)
}

func sameDetails(ctx context.Context, b *bench) (finding, error) {
	found, err := b.search(ctx, "dasein", `"page_size": 20, "include_details": true`)
	if err != nil {
		return finding{}, err
	}
	batch, err := b.batch(ctx, found.ids())
	if err != nil {
		return finding{}, err
	}
	if len(batch.Items) != len(found.Results) {
		return judge(false, "%d results of the search, %d items of the batch", len(found.Results), len(batch.Items))
	}
	for i, r := range found.Results {
		a, err := b.get(ctx, fmt.Sprintf("/api/content/%d", r.ID))
		if err != nil {
			return finding{}, err
		}
		var one struct {
			ID      int64  `json:"id"`
			Content string `json:"content"`
		}
		if err := a.into(&one); err != nil {
			return finding{}, err
		}
		if batch.Items[i].ID != r.ID || batch.Items[i].Content != r.Content || one.ID != r.ID || one.Content != r.Content {
			return judge(false, "passage %d is not the same in search, batch and read", r.ID)
		}
	}
	return judge(len(found.Results) > 0, "%d passages are the same in all three", len(found.Results))
}
