package loadtest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
)

// harFile is what is read of a HAR file (version 1.2 of the format). Headers and cookies are read for their names alone.
type harFile struct {
	Log struct {
		Entries []harEntry `json:"entries"`
	} `json:"log"`
}

type harEntry struct {
	Started string  `json:"startedDateTime"`
	TimeMS  float64 `json:"time"`
	Request struct {
		Method  string `json:"method"`
		URL     string `json:"url"`
		Headers []struct {
			Name string `json:"name"`
		} `json:"headers"`
		PostData struct {
			MimeType string `json:"mimeType"`
			Text     string `json:"text"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status int `json:"status"`
	} `json:"response"`
}

// readHAR takes the requests to one host.
func (r *recording) readHAR(in io.Reader, opt ImportOptions) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var file harFile
	if err := json.Unmarshal(data, &file); err != nil {
		return located(data, err)
	}
	host := opt.Host
	if host == "" {
		host = mainHost(file.Log.Entries)
	}
	for i, e := range file.Log.Entries {
		u, err := url.Parse(e.Request.URL)
		if err != nil {
			return fmt.Errorf("entry %d: its URL is none", i+1) // the error of url.Parse quotes the URL, which may hold a secret
		}
		started, err := time.Parse(time.RFC3339, e.Started)
		if err != nil {
			return fmt.Errorf("entry %d: startedDateTime %q is no time", i+1, clip(e.Started, 40))
		}
		if !strings.EqualFold(u.Host, host) || !slices.Contains([]string{"http", "https"}, u.Scheme) {
			r.leave("to other hosts (--host names the one to keep)")
			continue
		}
		q := recorded{
			at: started, took: time.Duration(e.TimeMS * float64(time.Millisecond)), method: e.Request.Method, path: u.EscapedPath(), query: u.RawQuery,
			status: e.Response.Status, body: e.Request.PostData.Text,
		}
		if q.path == "" {
			q.path = "/"
		}
		if !(e.TimeMS >= 0 && e.TimeMS < 1e9) {
			q.took = -1
		}
		q.media, _, _ = mime.ParseMediaType(e.Request.PostData.MimeType)
		if !r.takesBody(&q) {
			r.leave("with a body that is neither JSON nor a form")
			continue
		}
		for _, h := range e.Request.Headers {
			if name := strings.ToLower(h.Name); name == "cookie" || name == "authorization" || isSecretName(name) {
				r.secrets["header "+strings.ToLower(clip(h.Name, 40))]++
			}
		}
		if err := r.keep(q); err != nil {
			return err
		}
	}
	return nil
}

// takesBody tells whether a scenario can send the request's body; what stands for nothing is emptied.
func (r *recording) takesBody(q *recorded) bool {
	switch {
	case q.body == "":
		return true
	case len(q.body) > 64<<10:
		return false
	case q.media == "application/x-www-form-urlencoded":
		return true
	}
	return json.Valid([]byte(q.body))
}

// mainHost is the one that most requests went to, the first of equals.
func mainHost(entries []harEntry) string {
	count := map[string]int{}
	best := ""
	for _, e := range entries {
		u, err := url.Parse(e.Request.URL)
		if err != nil {
			continue
		}
		count[u.Host]++
	}
	for _, e := range entries {
		if u, err := url.Parse(e.Request.URL); err == nil && count[u.Host] > count[best] {
			best = u.Host
		}
	}
	return best
}
