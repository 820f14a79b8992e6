//go:build !linux

package main

// forgetStart does something on Linux only.
func forgetStart() {}
