package oracletest

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// What the double is by its own account: an Oracle 19c. TNS 317 is where all drivers agree: from 315 on lengths are 32
// bits wide, 318 brings out-of-band breaks, 319 other ends of answers and fast authentication.
const (
	tnsVersion    = 317
	ttcVersion    = 11 // the TTC field version: what clients use with 19c
	serverVersion = 0x13000000
	banner        = "Oracle Database 19c Enterprise Edition (double)"

	maxDescriptor = 64 << 10
)

var serviceName = regexp.MustCompile(`(?i)\(\s*(?:SERVICE_NAME|SID)\s*=\s*([^()]*?)\s*\)`)

// connect answers CONNECT. It returns false after REFUSE and REDIRECT.
func (c *conn) connect() (bool, error) {
	p, err := readPacket(c.input, false)
	if err != nil {
		return false, err
	}
	if p.kind != packetConnect || len(p.body) < 50 {
		return false, errMalformed("packet type %d of %d bytes instead of CONNECT", p.kind, len(p.body))
	}
	c.srv.packetIn(len(p.body) + headerSize)
	descriptor, err := c.descriptor(p.body)
	if err != nil {
		return false, err
	}
	refuse, redirect := c.srv.welcome()
	c.service = c.srv.cfg.Services[0]
	if m := serviceName.FindStringSubmatch(descriptor); m != nil {
		c.service = m[1]
		if refuse == 0 && !slices.ContainsFunc(c.srv.cfg.Services, func(s string) bool { return strings.EqualFold(s, m[1]) }) {
			refuse = 12514
		}
	}
	switch {
	case refuse != 0:
		c.srv.count(func(st *Stats) { st.Refused++; st.Errors[refuse]++ })
		text := fmt.Sprintf("(DESCRIPTION=(TMP=)(VSNNUM=%d)(ERR=%d)(ERROR_STACK=(ERROR=(CODE=%d)(EMFI=4))))", serverVersion, refuse, refuse)
		body := append([]byte{4, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(text)))...)
		return false, c.send(appendPacket(nil, packetRefuse, false, body, []byte(text)))
	case redirect != "":
		host, port, _ := strings.Cut(redirect, ":")
		text := fmt.Sprintf("(ADDRESS=(PROTOCOL=tcp)(HOST=%s)(PORT=%s))", host, port)
		body := binary.BigEndian.AppendUint16(nil, uint16(len(text)))
		return false, c.send(appendPacket(nil, packetRedirect, false, body, []byte(text)))
	}
	return true, c.send(appendPacket(nil, packetAccept, false, acceptBody()))
}

// descriptor returns the connect string, which follows in a DATA packet of its own when it is long.
func (c *conn) descriptor(body []byte) (string, error) {
	length := int(binary.BigEndian.Uint16(body[24-headerSize:]))
	offset := int(binary.BigEndian.Uint16(body[26-headerSize:])) - headerSize
	if offset >= 0 && offset+length <= len(body) {
		return string(body[offset : offset+length]), nil
	}
	if length > maxDescriptor {
		return "", errMalformed("a descriptor of %d bytes; %d are taken", length, maxDescriptor)
	}
	var b []byte
	for len(b) < length {
		p, err := readPacket(c.input, false)
		if err != nil {
			return "", err
		}
		if p.kind != packetData || len(p.body) < 2 {
			return "", errMalformed("packet type %d instead of the descriptor", p.kind)
		}
		c.srv.packetIn(len(p.body) + headerSize)
		b = append(b, p.body[2:]...)
	}
	return string(b), nil
}

// acceptBody is ACCEPT behind its header. Drivers want the data offset to be the packet's length.
func acceptBody() []byte {
	b := make([]byte, 45-headerSize)
	at := func(offset int) []byte { return b[offset-headerSize:] }
	binary.BigEndian.PutUint16(at(8), tnsVersion)
	binary.BigEndian.PutUint16(at(10), 0x0801) // without 0x0400: no breaks by urgent data
	binary.BigEndian.PutUint16(at(12), sdu)
	binary.BigEndian.PutUint16(at(14), 0xFFFF)
	binary.BigEndian.PutUint16(at(16), 1)
	binary.BigEndian.PutUint16(at(20), 45)
	at(22)[0] = 0x05 // with 0x04: no advanced negotiation
	at(23)[0] = 0x09
	binary.BigEndian.PutUint32(at(32), sdu)
	binary.BigEndian.PutUint32(at(36), 0x200000)
	return b
}

// compileCaps are the server's compile-time capabilities; what is not named here is copied from what clients send.
func compileCaps() []byte {
	b := []byte{
		6, 1, 0, 0, 0x6F, 1, 1, ttcVersion, 1, 1, 1, 1, 1, 1, 0, 0x29,
		0x90, 3, 7, 3, 0, 1, 0, 0xEB, 1, 0, 5, 1, 0, 0, 0, 0x18,
		0, 0, 7, 0x20, 2, 0x22, 0, 0, 5, 0, 0, 0, 0,
	}
	b[15] |= 1 // every summary has an end-of-call status
	b[16] |= 1 // and an end-to-end sequence, which node and python read in any case
	return b
}

// runtimeCaps: time zones are exchanged at login, strings have 32767 bytes.
var runtimeCaps = []byte{2, 1, 0, 0, 0, 0, 4}

// negotiate answers the messages before the login: advanced negotiation, which python sends unasked, protocol and
// data types.
func (c *conn) negotiate() error {
	for {
		c.r.begin()
		switch t := c.r.u8(); {
		case c.r.err != nil:
			return c.r.err
		case t == 0xDE:
			c.advancedNegotiation()
		case t == 1:
			c.protocol()
		case t == 2:
			c.dataTypes()
			if c.r.err == nil {
				return c.flush()
			}
		default:
			return errMalformed("message type %d before the login", t)
		}
		if c.r.err != nil {
			return c.r.err
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
}

func (c *conn) advancedNegotiation() {
	c.r.skip(3) // AD BE EF
	total := c.r.u16()
	if total < 6 {
		c.r.fail(errMalformed("an advanced negotiation of %d bytes", total))
		return
	}
	c.r.skip(total - 6)
	c.w.put(0xDE, 0xAD, 0xBE, 0xEF, 0, 13)
	c.w.u32(serverVersion)
	c.w.put(0, 0, 0) // no services
}

func (c *conn) protocol() {
	for c.r.u8() != 0 && c.r.err == nil { // the versions it speaks
	}
	for c.r.u8() != 0 && c.r.err == nil { // its name
	}
	c.w.put(1, 6, 0)
	c.w.text(banner)
	c.w.put(0)
	c.w.u16le(charsetUTF8)
	c.w.put(1)
	c.w.u16le(0)
	c.w.u16(11)
	c.w.zeros(9)
	c.w.u16(charsetUTF16)
	caps := compileCaps()
	c.w.put(byte(len(caps)))
	c.w.put(caps...)
	c.w.put(byte(len(runtimeCaps)))
	c.w.put(runtimeCaps...)
}

// dataTypes reads how the client wants its types. Two things in it change everything later: whether strings with an
// announced length are counted once more, and how a column's scale is written.
func (c *conn) dataTypes() {
	r := &c.r
	r.skip(4)
	c.counted = r.u8()&2 != 0
	caps := append([]byte(nil), r.bytes(int(r.u8()))...)
	runtime := append([]byte(nil), r.bytes(int(r.u8()))...)
	c.version = ttcVersion
	if len(caps) > 7 {
		c.version = min(c.version, int(caps[7]))
	}
	zone, zoneVersion := len(runtime) > 1 && runtime[1]&1 != 0, false
	if zone {
		r.skip(11)
		if zoneVersion = len(caps) > 37 && caps[37]&2 != 0; zoneVersion {
			r.skip(4)
		}
	}
	wire := r.u16()
	if wire == 0xD007 { // the national charset, little end first: go-ora sends it, the others do not
		wire = r.u16()
	}
	for ; wire != 0 && r.err == nil; wire = r.u16() {
		if r.u16() == 0 {
			continue
		}
		representation := r.u16()
		r.skip(2)
		if wire == 27 { // SB1, the type of a scale
			c.rawScale = representation == 10
		}
	}
	c.w.put(2)
	if zone {
		c.w.put(0x80, 0, 0, 0, 60, 60, 60, 0x80, 0, 0, 0)
		if zoneVersion {
			c.w.u32(32)
		}
	}
	c.w.put(0, 0)
}

// versionAnswer answers 0x3B.
func (c *conn) versionCall() {
	c.r.skip(1)
	c.r.ub()
	c.r.skip(2)
	if c.version >= 11 {
		c.r.ub()
	}
	c.w.put(8)
	c.w.ub(len(banner))
	c.w.clrText(banner)
	c.w.ub(serverVersion)
	c.status()
}

var errEnd = io.EOF // the client is gone, in whatever way
