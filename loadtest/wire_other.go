//go:build !unix

package loadtest

func (l *wire) prepare() {}

func (l *wire) ask(request []byte, a *wireAnswer) (rest []byte, n int, err error) {
	return l.askPlain(request, a)
}

// fill implements filler.
func (l *wire) fill(a *wireAnswer) (int, error) { return l.read(a) }

// quiet cannot be told here without waiting; a wire that was closed is found by the next request, which is sent again if it
// may be.
func (l *wire) quiet() bool { return true }
