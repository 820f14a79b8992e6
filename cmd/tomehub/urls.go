package main

import (
	"fmt"
	"net/url"
)

// checkURL returns a fault when value, of this flag, is no URL of a server; empty is none. example is one.
func checkURL(flag, value, example string) error {
	if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("%s is no URL such as %s", flag, example)
	}
	return nil
}
