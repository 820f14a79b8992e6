package server

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/page"
)

// routeSearchPage adds the page from which people search, unless it is switched off. Its files ask nobody who they are, for
// a browser has no token to send with them; they count against the general rates as everything else does.
func (s *Server) routeSearchPage() {
	if !s.cfg.SearchPage {
		return
	}
	_, byName := s.identity.(identity.Off)
	site := page.Search(byName)
	paths := site.Paths()
	serve := func(c *gin.Context) {
		if !slices.Contains(paths, c.Request.URL.Path) {
			s.noRoute(c)
			return
		}
		site.ServeHTTP(c.Writer, c.Request)
	}
	for _, path := range []string{"/", "/page/:file"} {
		r := s.count("", http.MethodGet, path)
		r.page = true
		s.add(http.MethodGet, path, s.chain(r, s.draining, s.admitAnyone, serve))
	}
}
