package oracletest

// piggyback reads what rides ahead of a function and has no answer of its own.
func (c *conn) piggyback(code byte) error {
	switch code {
	case 0x69:
		c.closeCursors()
	case 0x60:
		c.freeTempLobs()
	case 0x87:
		switch c.srv.endToEndMode() {
		case EndToEndUnknown:
			return errMalformed("piggyback %#x, which this server does not know", code)
		case EndToEndStuck:
			return c.stuck()
		case EndToEndIgnored:
			c.endToEnd(false)
		default:
			c.endToEnd(true)
		}
	default:
		return errMalformed("piggyback %#x, which the double does not know", code)
	}
	return c.r.err
}

// stuck swallows what comes until the connection ends.
func (c *conn) stuck() (err error) {
	for err == nil {
		_, err = c.in.pop()
	}
	return err
}

func (c *conn) closeCursors() {
	c.r.skip(1)
	n := c.r.count(maxBinds)
	for range n {
		id := c.r.ub()
		if c.r.err != nil {
			return
		}
		c.closeCursor(id)
	}
	c.srv.count(func(st *Stats) { st.Calls["close_cursors"]++ })
}

func (c *conn) freeTempLobs() {
	c.r.skip(1)
	total := c.r.count(maxTempLobs * locatorSize)
	c.r.skip(7)
	c.r.ub()
	c.r.skip(11)
	for range total / locatorSize {
		locator := c.r.bytes(locatorSize)
		if c.r.err != nil {
			return
		}
		c.lobs.free(locator)
	}
	c.r.skip(total % locatorSize)
	c.shown.tempLobs.Store(int64(c.lobs.temp))
	c.srv.count(func(st *Stats) { st.Calls["free_lobs"]++ })
}

// endToEnd reads who the client says it is. A string that is announced with length 0 is cleared; one that is not
// announced stays.
func (c *conn) endToEnd(heed bool) {
	const maxText = 1 << 12
	r := &c.r
	r.skip(2)
	r.ub()
	var announced [9]bool
	var lengths [9]int // client id, module, action, two of the ECID, client info, two unused, database operation
	for i := range lengths {
		announced[i] = r.u8() != 0
		lengths[i] = r.count(maxText)
	}
	for i, n := range lengths {
		if !announced[i] {
			continue
		}
		text := c.announced(n)
		if r.err != nil {
			return
		}
		switch {
		case !heed:
		case i == 1:
			c.sess.Module = text
		case i == 2:
			c.sess.Action = text
		}
	}
	c.shown.set(c.sess)
	c.srv.count(func(st *Stats) { st.Calls["end_to_end"]++ })
}
