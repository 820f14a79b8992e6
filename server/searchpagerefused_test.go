package server

import (
	"context"
	"strings"
	"time"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// What people who cannot be answered are told.
func (v visitor) isRefused() {
	t := v.t
	alert := func(parts ...string) {
		t.Helper()
		v.Until(failed)
		text := v.Text("#trouble")
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("it says %q, want %q in it", text, part)
			}
		}
		v.quiet(refused)
	}
	once := pageConfig()
	once.RateLimits.Search = 1
	limited := run(t, once, Deps{Library: echo()})
	v.at(limited.url+"/?q=a", desk, found)
	v.ask("b")
	alert("more often than this server allows", "RATE_LIMIT_SEARCH", "You can ask again in ", " s.")
	v.want(`document.querySelector('#trouble button').disabled`, "true")
	v.want(`document.querySelector('#trouble [aria-live=off]').textContent.length > 0`, "true")
	v.picture("limited")

	full := run(t, pageConfig(), Deps{Library: failing(exhaust(t))})
	v.at(full.url+"/?q=a", desk, failed)
	alert("The library is very busy", "DB_POOL_READ_SIZE", "Request ")
	v.Until(`!document.querySelector('#trouble button').disabled`) // its second is over
	v.at(full.url+"/?q=a&page=x", desk, failed)
	alert(`Page is "x": want an integer.`)
	v.at(full.url+"/?q=%2C", desk, failed)
	v.Open(full.url+"/?q=a&passage=x", desk)
	v.Until(`document.getElementById('trouble').textContent.includes('Id is "x"')`)

	leaving := run(t, pageConfig(), Deps{Library: echo()})
	v.at(leaving.url+"/?q=a", desk, found)
	leaving.stop()
	if err := leaving.ended(t); err != nil {
		t.Fatal(err)
	}
	v.ask("b")
	alert("The server cannot be reached")
	v.want(`document.querySelector('#trouble button').disabled`, "false")
	v.want(`document.querySelectorAll('#list > li').length`, "0") // nothing old under the new query
}

// Answers that are less than usual.
func (v visitor) isDegraded() {
	t := v.t
	begun, stopped := make(chan struct{}), make(chan struct{})
	r := run(t, pageConfig(), Deps{Library: degradedLibrary(), Answerer: brokenOff(begun, stopped)})
	v.at(r.url+"/?q=b&page=1000", desk, found)
	v.want(statusIs("20,001 results, page 1,000 of 2,001"), "true")
	v.want(`document.getElementById('notes').textContent`, "The library is busy, so the concepts of these passages were left out.")
	v.want(`[...document.querySelectorAll('#pages li')].map(e => e.textContent).join(' ')`, "Previous 1 … 998 999 1000 Next")
	v.Click(`#pages a[rel="next"]`)
	v.Until(`location.search === '?q=b&cursor=further' && ` + found)
	v.want(`[...document.querySelectorAll('#pages li')].map(e => e.textContent).join(' ')`, "Previous 1 … 999 1000 1001 Next")
	v.want(`document.querySelector('#pages a').getAttribute('href')`, "?q=b&page=1000")
	v.want(`document.getElementById('notes').textContent.includes('kept from earlier') && document.getElementById('notes').textContent.includes('first 64 words')`, "true")
	v.quiet("")

	// The first words at once, and Escape stops the rest, on the server too.
	v.Click(`#write`)
	v.Until(`document.getElementById('answer-text').textContent === 'The first words'`)
	<-begun
	v.want(`document.getElementById('answer').getAttribute('aria-busy')`, "true")
	v.Press("/")
	v.Press("Escape")
	v.Until(`document.getElementById('answer-note').textContent === 'You stopped this answer.'`)
	v.want(`document.getElementById('q').value`, "b")
	v.want(`document.getElementById('cancel').hidden`, "true")
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Fatal("the server goes on writing the answer that was stopped")
	}
	v.quiet("")

	v.at(r.url+"/?q=model", desk, found)
	v.Click(`#write`)
	v.Until(`document.querySelectorAll('#sources li').length === 1`)
	v.want(`document.getElementById('answer-text').textContent`, "so it is [1] and [9]")
	v.want(`document.querySelectorAll('#answer-text a').length`, "1")
	v.want(`document.getElementById('sources').textContent`, "[1] A, page 3")
	v.want(`document.getElementById('answer-note').textContent.includes('did not answer (timeout)')`, "true")
	v.quiet("")
	v.at(r.url+"/?q=broken", desk, found)
	v.Click(`#write`)
	v.Until(failed)
	v.want(`document.getElementById('answer-note').textContent`, "This answer is not whole.")
	v.want(`document.getElementById('trouble').firstChild.textContent`, "The server failed.")
	v.at(r.url+"/?q=b&cursor=old", desk, failed)
	v.want(`document.querySelector('#trouble a').getAttribute('href')`, "?q=b")
	v.quiet(refused)
}

// degradedLibrary answers without concepts, and from what it kept when it is asked for further pages.
func degradedLibrary() *fake {
	number := 3
	result := library.SearchResult{
		Results:    []library.Result{{ID: 7, BookID: 1, Title: "A", Content: "a b c", PageNumber: &number}},
		TotalCount: 20_001, Page: 1000, PageSize: 10, TotalPages: 2001, HasNext: true, NextCursor: "further", Mode: library.ModeKeyword,
	}
	return &fake{search: func(_ context.Context, _ store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		got := result
		got.Query = r.Query
		if r.Cursor == "further" {
			got.Page, got.Mode, got.Stale, got.QueryTruncated = 1001, library.ModeCached, true, true
		} else if r.Cursor != "" {
			return got, &library.BadInput{Code: library.CodeCursorExpired, Message: "the library has changed"}
		}
		return got, nil
	}}
}

// brokenOff writes the first words of an answer and fails or, when the query is not "broken", waits for its end and closes
// stopped. The answer to "model" begins anew in the middle.
func brokenOff(begun, stopped chan struct{}) answers {
	return answers(func(ctx context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		if r.Query == "model" {
			parts := []answer.Piece{{Text: "void"}, {Restart: true}, {Text: "so it is [", PassageIDs: []int64{7}}, {Text: "1] and [9]"}}
			for _, p := range parts {
				if err := emit(p); err != nil {
					return answer.Result{}, err
				}
			}
			return answer.Result{PassageIDs: []int64{7}, Source: answer.SourceExtractive, Degraded: true, Reason: answer.ReasonTimeout}, nil
		}
		if err := emit(answer.Piece{Text: "The first words"}); err != nil {
			return answer.Result{}, err
		}
		if r.Query == "broken" {
			return answer.Result{}, errBoom
		}
		close(begun)
		<-ctx.Done()
		close(stopped)
		return answer.Result{}, ctx.Err()
	})
}
