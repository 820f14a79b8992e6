package server

import (
	"errors"
	"net/http"

	"github.com/tomehub/tomehub/server/lab"
)

// adminLab shows what the lab does. Its routes are there with Deps.Lab only, and 404 otherwise.
func (s *Server) adminLab(w http.ResponseWriter, _ *http.Request) {
	s.adminAnswer(w, http.StatusOK, struct {
		adminReport
		State lab.State `json:"state"`
	}{s.adminReport(), s.deps.Lab.State()})
}

// adminPutFault puts in the fault that the path names, for the time that the body gives.
func (s *Server) adminPutFault(w http.ResponseWriter, r *http.Request) {
	f, err := lab.Read(lab.Name(r.PathValue("fault")), http.MaxBytesReader(w, r.Body, 1<<16))
	if err == nil {
		err = s.deps.Lab.Put(f)
	}
	s.labChanged(w, r, err)
}

func (s *Server) adminClearFault(w http.ResponseWriter, r *http.Request) {
	s.labChanged(w, r, s.deps.Lab.Clear(lab.Name(r.PathValue("fault"))))
}

func (s *Server) labChanged(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
		s.adminLab(w, r)
	case errors.Is(err, lab.ErrUnknownFault):
		s.adminAnswer(w, http.StatusNotFound, errorBody{Error: "no_such_fault", Detail: err.Error()})
	default:
		s.adminAnswer(w, http.StatusBadRequest, errorBody{Error: "bad_fault", Detail: err.Error()})
	}
}
