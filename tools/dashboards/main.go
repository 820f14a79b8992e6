// Dashboards writes Grafana's dashboards of TomeHub as JSON:
//
//	go run . -out ../../deploy/grafana/dashboards
//
// They are written from Go, so that every panel looks alike and every expression can be checked; nobody edits the JSON.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "../../deploy/grafana/dashboards", "directory to write to")
	flag.Parse()
	for name, text := range files() {
		if err := os.WriteFile(filepath.Join(*out, name), text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "dashboards:", err)
			os.Exit(1)
		}
	}
}

// files are the dashboards as they stand in deploy/grafana/dashboards, by name.
func files() map[string][]byte {
	all := map[string][]byte{}
	for name, d := range dashboards() {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(d); err != nil {
			panic(err) // structs of texts and numbers
		}
		all[name+".json"] = b.Bytes()
	}
	return all
}
