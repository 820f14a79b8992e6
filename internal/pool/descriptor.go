package pool

import (
	"errors"
	"fmt"
	"strings"
)

// maxDepth of parentheses; real descriptors have five or six.
const maxDepth = 16

// item is one (KEY=value) or (KEY=(…)(…)) of Oracle Net's own notation.
type item struct {
	key   string // in capitals
	value string // of a leaf, without quotes
	items []item
}

// descriptorReader reads items one by one.
type descriptorReader struct {
	s  string
	at int
}

func (r *descriptorReader) space() {
	for r.at < len(r.s) && strings.IndexByte(" \t\r\n", r.s[r.at]) >= 0 {
		r.at++
	}
}

// take moves past c, when it comes next after white space.
func (r *descriptorReader) take(c byte) bool {
	r.space()
	if r.at < len(r.s) && r.s[r.at] == c {
		r.at++
		return true
	}
	return false
}

var errDescriptor = errors.New("the description cannot be read: its parentheses do not match, or a (KEY=value) is incomplete")

// item reads one item, parentheses included.
func (r *descriptorReader) item(depth int) (item, error) {
	if depth > maxDepth || !r.take('(') {
		return item{}, errDescriptor
	}
	r.space()
	start := r.at
	for r.at < len(r.s) && strings.IndexByte("=()\"", r.s[r.at]) < 0 {
		r.at++
	}
	it := item{key: strings.ToUpper(strings.TrimSpace(r.s[start:r.at]))}
	if it.key == "" || !r.take('=') {
		return item{}, errDescriptor
	}
	r.space()
	for r.at < len(r.s) && r.s[r.at] == '(' {
		child, err := r.item(depth + 1)
		if err != nil {
			return item{}, err
		}
		it.items = append(it.items, child)
		r.space()
	}
	if it.items == nil {
		var err error
		if it.value, err = r.value(); err != nil {
			return item{}, err
		}
	}
	if !r.take(')') {
		return item{}, errDescriptor
	}
	return it, nil
}

// value reads a leaf: up to the parenthesis, or between quotes.
func (r *descriptorReader) value() (string, error) {
	r.space()
	if r.at < len(r.s) && (r.s[r.at] == '"' || r.s[r.at] == '\'') {
		quote := r.s[r.at]
		end := strings.IndexByte(r.s[r.at+1:], quote)
		if end < 0 {
			return "", errDescriptor
		}
		v := r.s[r.at+1 : r.at+1+end]
		r.at += end + 2
		return v, nil
	}
	start := r.at
	for r.at < len(r.s) && r.s[r.at] != ')' && r.s[r.at] != '(' {
		r.at++
	}
	return strings.TrimSpace(r.s[start:r.at]), nil
}

// find returns the first item of a key below it, at any depth.
func (it item) find(key string) (item, bool) {
	for _, c := range it.items {
		if c.key == key {
			return c, true
		}
		if found, ok := c.find(key); ok {
			return found, true
		}
	}
	return item{}, false
}

func (it item) text(key string) string {
	found, _ := it.find(key)
	return found.value
}

// parseDescriptor reads a full (DESCRIPTION=…) or (DESCRIPTION_LIST=…). All its addresses are
// places to try, in the order written.
func parseDescriptor(s string) ([]endpoint, error) {
	r := descriptorReader{s: s}
	top, err := r.item(0)
	if err != nil {
		return nil, err
	}
	if r.space(); r.at != len(s) {
		return nil, errDescriptor
	}
	return endpointsOf(top)
}

// endpointsOf turns a parsed description into the places it names.
func endpointsOf(top item) ([]endpoint, error) {
	for _, key := range []string{"USER", "PASSWORD"} {
		if _, ok := top.find(key); ok {
			return nil, errCredentials
		}
	}
	var list []endpoint
	switch top.key {
	case "DESCRIPTION_LIST":
		for _, d := range top.items {
			if d.key != "DESCRIPTION" {
				continue
			}
			some, err := describedBy(d)
			if err != nil {
				return nil, err
			}
			list = append(list, some...)
		}
	case "DESCRIPTION":
		var err error
		if list, err = describedBy(top); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("it begins with a parenthesis, but not with (DESCRIPTION=")
	}
	return checkAll(list)
}

// describedBy returns the addresses of one DESCRIPTION.
func describedBy(d item) ([]endpoint, error) {
	connect, _ := d.find("CONNECT_DATA")
	security, _ := d.find("SECURITY")
	proto := endpoint{
		service: connect.text("SERVICE_NAME"), sid: connect.text("SID"), instance: connect.text("INSTANCE_NAME"),
		certDN: security.text("SSL_SERVER_CERT_DN"), skipName: isNo(security.text("SSL_SERVER_DN_MATCH")),
		walletFolder: security.text("MY_WALLET_DIRECTORY"),
	}
	if proto.walletFolder == "" {
		proto.walletFolder = security.text("WALLET_LOCATION")
	}
	for _, key := range []string{"SERVER", "UR"} { // what the listener decides by
		if v := connect.text(key); v != "" && !strings.ContainsFunc(v, notInName) {
			proto.extra += "(" + key + "=" + v + ")"
		}
	}
	var list []endpoint
	var collect func(it item) error
	collect = func(it item) error {
		for _, c := range it.items {
			switch c.key {
			case "ADDRESS":
				e, err := proto.at(c)
				if err != nil {
					return err
				}
				list = append(list, e)
			case "ADDRESS_LIST":
				if err := collect(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return list, collect(d)
}

// at returns the endpoint of one ADDRESS.
func (e endpoint) at(address item) (endpoint, error) {
	e.host, e.port = strings.Trim(address.text("HOST"), "[]"), listenerPort
	switch protocol := strings.ToLower(address.text("PROTOCOL")); protocol {
	case "", "tcp":
	case "tcps":
		e.secure, e.port = true, securePort
	default:
		return e, fmt.Errorf("the protocol %.20q is not spoken: want tcp or tcps", protocol)
	}
	if address.text("HTTPS_PROXY") != "" {
		return e, errors.New("HTTPS_PROXY is not supported: the database must be reached directly")
	}
	if p := address.text("PORT"); p != "" {
		var err error
		if e.port, err = parsePort(p); err != nil {
			return e, err
		}
	}
	return e, nil
}
