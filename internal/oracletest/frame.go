package oracletest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The TNS packet types that the double reads or writes.
const (
	packetConnect  = 1
	packetAccept   = 2
	packetRefuse   = 4
	packetRedirect = 5
	packetData     = 6
	packetMarker   = 12
)

// What a MARKER says.
const (
	markerBreak = 1
	markerReset = 2
)

const (
	headerSize = 8
	sdu        = 8192    // the session data unit that ACCEPT announces: the largest packet either side sends
	maxPacket  = 1 << 20 // the largest packet taken; drivers keep to the sdu
	maxQueued  = 1 << 20 // bytes read ahead of the session; beyond it the socket is left unread
	maxMessage = 64 << 20

	dataEOF = 0x0040 // data flag: the client is going away
)

var (
	errBreak    = errors.New("the client broke the call")
	errKilled   = errors.New("the session was killed")
	errTooLarge = errors.New("message too large")
)

type packet struct {
	kind byte
	body []byte // after the header
}

// readPacket reads one packet. Lengths are 16 bits wide until ACCEPT, 32 bits after it.
func readPacket(r io.Reader, wide bool) (packet, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return packet{}, err
	}
	length := int64(binary.BigEndian.Uint16(head[:]))
	if wide {
		length = int64(binary.BigEndian.Uint32(head[:]))
	}
	if length < headerSize || length > maxPacket {
		return packet{}, fmt.Errorf("packet of %d bytes; %d to %d are taken", length, headerSize, maxPacket)
	}
	p := packet{kind: head[4], body: make([]byte, length-headerSize)}
	if _, err := io.ReadFull(r, p.body); err != nil {
		return packet{}, err
	}
	return p, nil
}

// appendPacket frames one packet.
func appendPacket(b []byte, kind byte, wide bool, body ...[]byte) []byte {
	n := headerSize
	for _, part := range body {
		n += len(part)
	}
	if wide {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, 0, 0)
	}
	b = append(b, kind, 0, 0, 0)
	for _, part := range body {
		b = append(b, part...)
	}
	return b
}

// appendData frames a message as DATA packets, cut at the sdu minus what drivers keep as slack.
func appendData(b, message []byte) []byte {
	const room = sdu - 32
	for {
		n := min(room, len(message))
		b = appendPacket(b, packetData, true, []byte{0, 0}, message[:n])
		message = message[n:]
		if len(message) == 0 {
			return b
		}
	}
}

// An inbox holds what a client sent, DATA and markers in the one order they came in: with a queue for each, an interrupt
// overtakes the call it meant and every later answer is off by one.
type inbox struct {
	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	queue   []packet
	bytes   int
	markers int // in the queue
	err     error
	cancel  context.CancelCauseFunc // of the running call
}

func newInbox() *inbox {
	in := &inbox{}
	in.changed = sync.NewCond(&in.mu)
	return in
}

// push adds a packet, once there is room for it. A marker ends the running call.
func (in *inbox) push(p packet) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.bytes > maxQueued && in.err == nil {
		in.changed.Wait()
	}
	in.queue = append(in.queue, p)
	in.bytes += len(p.body)
	if p.kind == packetMarker {
		in.markers++
		if in.cancel != nil {
			in.cancel(errBreak)
		}
	}
	in.changed.Broadcast()
}

// pop waits for the next packet. What came before the connection was lost is still delivered.
func (in *inbox) pop() (packet, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.queue) == 0 {
		if in.err != nil {
			return packet{}, in.err
		}
		in.changed.Wait()
	}
	p := in.queue[0]
	in.queue[0] = packet{}
	if in.queue = in.queue[1:]; len(in.queue) == 0 {
		in.queue = nil
	}
	in.bytes -= len(p.body)
	if p.kind == packetMarker {
		in.markers--
	}
	in.changed.Broadcast()
	return p, nil
}

// fail ends the inbox and the running call: the connection is lost.
func (in *inbox) fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err == nil {
		in.err = err
	}
	if in.cancel != nil {
		in.cancel(in.err)
	}
	in.changed.Broadcast()
}

// interrupt ends the running call, if there is one.
func (in *inbox) interrupt(cause error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.cancel != nil {
		in.cancel(cause)
	}
}

// begin says that a call runs; a marker that is waiting already ends it at once.
func (in *inbox) begin(cancel context.CancelCauseFunc) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.cancel = cancel
	if in.markers > 0 {
		cancel(errBreak)
	} else if in.err != nil {
		cancel(in.err)
	}
}

// end says that no call runs any more, and whether a marker or the loss of the connection came during it.
func (in *inbox) end() (broken bool, lost error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.cancel = nil
	return in.markers > 0, in.err
}
