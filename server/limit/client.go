package limit

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many X-Forwarded-For entries are walked. Real chains have a handful of proxies.
const maxHops = 32

// ClientKey names the client a request comes from, for rules per address.
//
// It is the address of the connection's other end, unless that is a trusted proxy: then it is the last
// X-Forwarded-For entry that no trusted proxy wrote about another one, found from the right. Entries further left were
// written by the client and are never looked at, so forged headers gain nothing; X-Real-IP, Forwarded and the
// like are ignored. An entry that is no address ends the walk at the proxy that wrote it.
//
// IPv6 clients are named by their /64, the smallest network a customer is given; else each of its 2^64 addresses would have
// a budget of its own. IPv4 in IPv6 is IPv4, zones are ignored. A connection without an IP address (a unix socket) is "local".
func ClientKey(r *http.Request, trusted []netip.Prefix) string {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "local"
	}
	peer := ap.Addr().WithZone("").Unmap()
	if len(trusted) > 0 {
		peer = walk(peer, r.Header["X-Forwarded-For"], trusted)
	}
	if peer.Is6() {
		return netip.PrefixFrom(peer, 64).Masked().String()
	}
	return peer.String()
}

// UserKey names a client for rules per user: the owner, or the address for callers without one. The two cannot be mistaken
// for each other, so nobody can take a user name that spends another's budget.
func UserKey(owner, clientKey string) string {
	if owner == "" {
		return "address:" + clientKey
	}
	return "user:" + owner
}

func walk(peer netip.Addr, fields []string, trusted []netip.Prefix) netip.Addr {
	hops := 0
	for i := len(fields) - 1; i >= 0; i-- {
		for rest, more := fields[i], true; more; {
			if hops++; hops > maxHops || !contains(trusted, peer) {
				return peer
			}
			entry := rest
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				more = false
			}
			addr, ok := parseAddr(strings.Trim(entry, " \t"))
			if !ok {
				return peer
			}
			peer = addr
		}
	}
	return peer
}

func contains(trusted []netip.Prefix, a netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without port, in brackets or not, as connections and proxies write them.
func parseAddr(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			inner, open := strings.CutPrefix(s, "[")
			inner, closed := strings.CutSuffix(inner, "]")
			if a, err = netip.ParseAddr(inner); err != nil || !open || !closed || a.Is4() {
				return netip.Addr{}, false
			}
			return a.WithZone("").Unmap(), true
		}
		a = ap.Addr()
	}
	return a.WithZone("").Unmap(), true
}

// ParsePrefixes reads a list of trusted proxies for ClientKey: networks or single addresses, separated by commas or
// spaces. It reports every faulty entry at once.
func ParsePrefixes(list string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	var faults []error
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		p, err := parsePrefix(s)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, errors.Join(faults...)
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("read trusted proxy %q: want an address or a network such as 10.0.0.0/8", s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() { // ClientKey compares unmapped addresses
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("read trusted proxy %q: a mapped IPv4 network has at least 96 bits", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
