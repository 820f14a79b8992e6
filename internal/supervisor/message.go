package supervisor

import (
	"bufio"
	"io"
	"strings"
)

// What a worker and its supervisor say to each other, a line each, over the control socket. The
// words are those of sd_notify, so that a worker says the same to systemd.
const (
	Ready    = "READY=1"    // the worker answers
	Stopping = "STOPPING=1" // the worker leaves: of its own accord, unless it was asked to
	Alive    = "WATCHDOG=1" // the worker found itself well

	succeeded = "X_SUCCEEDED=1" // to the worker: another one accepts, leave
	alone     = "X_ALONE=1"     // to the worker that serves: those before it are gone
)

// maxMessage bounds a message, bytes. A worker that says more at once is not heard again.
const maxMessage = 4 << 10

type message int

const (
	msgOther message = iota // a status, or what a newer worker may say: never an error
	msgReady
	msgStopping
	msgAlive
	msgSucceeded
	msgAlone
)

// parse tells what a line says.
func parse(line string) message {
	switch strings.TrimSuffix(line, "\r") {
	case Ready:
		return msgReady
	case Stopping:
		return msgStopping
	case Alive:
		return msgAlive
	case succeeded:
		return msgSucceeded
	case alone:
		return msgAlone
	}
	return msgOther
}

// listen hands every message to hear until the other side is gone, which is nil, or a read
// fails. An unfinished last line is no message.
func listen(r io.Reader, hear func(message)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 256), maxMessage)
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		for i, b := range data {
			if b == '\n' {
				return i + 1, data[:i], nil
			}
		}
		if atEOF {
			return len(data), nil, nil
		}
		return 0, nil, nil
	})
	for lines.Scan() {
		hear(parse(lines.Text()))
	}
	return lines.Err()
}
