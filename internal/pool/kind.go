package pool

import (
	"context"
	"encoding/binary"
)

// Kinds says how sessions show the kind of the work that they are for.
type Kinds int

const (
	NoKinds     Kinds = iota // they show their pool
	FreeKinds                // they show it where that costs no round trip
	AlwaysKinds              // elsewhere, by a call whenever it changes, of two round trips
)

type kindKey struct{}

// KindKey is the key under which a context carries the kind of the work that its statements are for.
var KindKey any = kindKey{}

// WithKind returns a context whose statements are for work of that kind, such as "search". On
// Oracle, with Oracle.Kinds, it is their session's action in v$session. A kind is 1 to 20 printable
// ASCII characters without apostrophe; any other is not shown.
func WithKind(ctx context.Context, kind string) context.Context {
	return context.WithValue(ctx, KindKey, kind)
}

// kindOf returns the kind of ctx, or home when it has none that can be shown.
func kindOf(ctx context.Context, home string) string {
	kind, _ := ctx.Value(KindKey).(string)
	if !showable(kind) {
		return home
	}
	return kind
}

// longestKind leaves room in every packet: a driver that cuts a message into packets leaves 54 bytes free, of which
// a label takes 27 and the kind.
const longestKind = 20

func showable(kind string) bool {
	for i := range len(kind) {
		if c := kind[i]; c < ' ' || c > '~' || c == '\'' {
			return false
		}
	}
	return kind != "" && len(kind) <= longestKind
}

// A label has a session show a kind as its action, without a round trip: it puts what Oracle's own
// drivers send for that, the end-to-end piggyback, ahead of the driver's next call, in the same packet.
//
// That needs packets that go out as the driver put them together. The driver's version call at the
// end of every login has always the same bytes; a label works once it has seen exactly those, which
// it does not below TLS, below the database's own encryption or checksums, and with databases before
// 18c, whose calls it does not know.
type label struct {
	clear bool   // the version call went by in the clear
	on    bool   // the database takes labels
	shown string // the action of the session, as far as is known
	next  string // the one that goes with the next call; equal to shown: none
}

const (
	packetHead  = 10 // of DATA: 8 bytes, and its flags
	packetData  = 6
	ttcFunction = 3
	ttcAhead    = 17 // a piggyback, which the driver sends itself to close cursors
)

// versionCall is go-ora's call for the database's version, in the TTC version of Oracle 18c and later.
var versionCall = []byte{0, 0, 0, 21, packetData, 0, 0, 0, 0, 0, ttcFunction, 0x3B, 0, 1, 2, 1, 0, 1, 1, 1, 1}

// want says that the next call of the driver, which is the next thing it writes, is for that kind.
func (l *label) want(kind string) {
	if l.on {
		l.next = kind
	}
}

// turn turns labels on or off.
func (l *label) turn(on bool) { l.on, l.next = on, l.shown }

// onto returns the packet p, with the label ahead of its call when one is due.
func (l *label) onto(p []byte) []byte {
	if len(p) <= packetHead || p[4] != packetData {
		return p // a marker leaves the label to the call after it
	}
	if !l.clear {
		l.clear = string(p) == string(versionCall)
		return p
	}
	if l.next == l.shown {
		return p
	}
	kind := l.next
	l.next = l.shown
	if !beginsCall(p) {
		return p
	}
	l.shown, l.next = kind, kind
	return labelled(p, kind)
}

// beginsCall tells whether a DATA packet is the first one of a call.
func beginsCall(p []byte) bool {
	return uint64(binary.BigEndian.Uint32(p)) == uint64(len(p)) && p[8] == 0 && p[9] == 0 &&
		(p[packetHead] == ttcFunction || p[packetHead] == ttcAhead)
}

// labelled returns p with the end-to-end piggyback for an action ahead of its call: function 0x87,
// sequence 0 as in all calls of the driver, two null pointers, which attributes change, then for each
// whether it is there and how long it is, then the action itself. Oracle's python-oracledb and
// node-oracledb write the same.
func labelled(p []byte, action string) []byte {
	const setsAction = 0x10
	n := byte(len(action))
	out := make([]byte, 0, len(p)+len(action)+28)
	out = append(out, p[:packetHead]...)
	out = append(out, ttcAhead, 0x87, 0, 0, 0, 1, setsAction,
		0, 0, // client identifier
		0, 0, // module
		1, 1, n, // action
		0, 0, 0, 0, // execution context
		0, 0, // client info
		0, 0, 0, 0, // not used
		0, 0, // database operation
		n)
	out = append(out, action...)
	out = append(out, p[packetHead:]...)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}
