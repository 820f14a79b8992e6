package server

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/store"
)

type bookItem struct {
	ID         int64     `json:"id"`
	Title      string    `json:"title"`
	Author     string    `json:"author"`
	SourceType string    `json:"source_type"`
	Passages   int       `json:"passages"`
	Words      int       `json:"words"`
	CreatedAt  time.Time `json:"created_at"`
	Shared     bool      `json:"shared"` // in the shared library, not the caller's own
}

func bookOf(b store.Book) bookItem {
	return bookItem{
		ID: b.ID, Title: b.Title, Author: b.Author, SourceType: b.SourceType,
		Passages: b.Passages, Words: b.Words, CreatedAt: b.CreatedAt, Shared: b.Owner == "",
	}
}

type bookPage struct {
	Books      []bookItem `json:"books"`
	TotalCount int        `json:"total_count"`
	Page       int        `json:"page"`
	PageSize   int        `json:"page_size"`
	TotalPages int        `json:"total_pages"`
	HasNext    bool       `json:"has_next"`
}

// books answers GET /api/books.
func (s *Server) books(c *gin.Context) {
	page, size, err := decodePage(c.Request.URL.RawQuery)
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	list, err := s.lib.Books(ctx, exchangeOf(c).scope(), page, size)
	if err != nil {
		s.fail(c, err)
		return
	}
	out := bookPage{
		Books: make([]bookItem, len(list.Books)), TotalCount: list.TotalCount, Page: list.Page,
		PageSize: list.PageSize, TotalPages: list.TotalPages, HasNext: list.HasNext,
	}
	for i, b := range list.Books {
		out.Books[i] = bookOf(b)
	}
	s.answer(c, http.StatusOK, out)
}

// decodePage reads page and page_size of a URL, under the bounds of a search.
func decodePage(raw string) (page, size int, err error) {
	var f searchFields
	err = walkValues(raw, "malformed_url", func(name, v string) error {
		if name != "page" && name != "page_size" {
			return nil
		}
		return f.takeValue(name, v, inURL)
	})
	if err != nil {
		return 0, 0, err
	}
	page, size = f.pages()
	return page, size, nil
}

// book answers GET /api/books/:id.
func (s *Server) book(c *gin.Context) {
	id, err := parseID("id", c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	b, err := s.lib.Book(ctx, exchangeOf(c).scope(), id)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.answer(c, http.StatusOK, bookOf(b))
}

// deleteBook answers DELETE /api/books/:id. A caller deletes only what is the caller's own.
func (s *Server) deleteBook(c *gin.Context) {
	id, err := parseID("id", c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	if err := s.lib.DeleteBook(ctx, exchangeOf(c).owner, id); err != nil {
		s.fail(c, err)
		return
	}
	s.answer(c, http.StatusOK, map[string]int64{"deleted": id})
}
