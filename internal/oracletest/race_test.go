//go:build race

package oracletest

const raceDetector = true
