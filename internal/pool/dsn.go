package pool

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	listenerPort = 1521
	securePort   = 2484     // of tcps, where none is given
	maxDSN       = 64 << 10 // bytes of an address; longer ones are no address
)

// endpoint is one place where the database may be, with what to ask for there.
type endpoint struct {
	host    string
	port    int
	secure  bool   // TLS (tcps)
	service string // or sid
	sid     string
	// instance and extra, further items of CONNECT_DATA in parentheses, may be empty.
	instance, extra string

	certDN       string // of the server's certificate; empty: its host name is checked
	skipName     bool   // the name in the certificate is not checked at all
	walletFolder string // named by the address itself
}

func (e endpoint) address() string { return net.JoinHostPort(e.host, strconv.Itoa(e.port)) }

func (e endpoint) String() string {
	name := e.service
	if name == "" {
		name = e.sid
	}
	scheme := ""
	if e.secure {
		scheme = "tcps://"
	}
	return scheme + e.address() + "/" + name
}

// errCredentials keeps what it refuses to itself.
var errCredentials = errors.New("DB_DSN holds a user or a password: give them as DB_USER and DB_PASSWORD, and the address alone as DB_DSN")

// parseDSN reads what operators write into DB_DSN, except aliases, for which it returns only alias.
// No error shows what may be a password.
func parseDSN(dsn string) (places []endpoint, alias string, err error) {
	s := strings.TrimSpace(dsn)
	if len(s) > maxDSN {
		return nil, "", fmt.Errorf("DB_DSN has %d bytes: an address has at most %d", len(s), maxDSN)
	}
	if rest, ok := cutPrefixFold(s, "jdbc:oracle:thin:"); ok {
		at := strings.IndexByte(rest, '@')
		if at != 0 {
			return nil, "", errCredentials
		}
		s = rest[1:]
	}
	switch {
	case s == "":
		return nil, "", errors.New("DB_DSN is empty")
	case s[0] == '(':
		places, err = parseDescriptor(s)
	case strings.Contains(beforeQuery(s), "@"):
		return nil, "", errCredentials
	case strings.Contains(s, "://"):
		places, err = parseURL(s)
	case isAlias(s):
		return nil, s, nil
	default:
		places, err = parseEasy(strings.TrimPrefix(s, "//"), false)
	}
	if errors.Is(err, errCredentials) {
		return nil, "", errCredentials
	}
	if err != nil {
		return nil, "", fmt.Errorf("DB_DSN: %w", err)
	}
	return places, "", nil
}

// CheckDSN reports what is wrong with the form of an address in DB_DSN, a user or a password in it
// among that; it looks no alias up. What it refuses must not be shown.
func CheckDSN(dsn string) error {
	_, _, err := parseDSN(dsn)
	return err
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func beforeQuery(s string) string {
	head, _, _ := strings.Cut(s, "?")
	return head
}

// isAlias tells a name of tnsnames.ora from a host, which has a service behind it.
func isAlias(s string) bool {
	return !strings.ContainsAny(s, "/:[](),;?= \t\r\n\"'")
}

// parseURL reads oracle://, tcp:// and tcps://, which are the short form with a scheme.
func parseURL(s string) ([]endpoint, error) {
	scheme, rest, _ := strings.Cut(s, "://")
	switch strings.ToLower(scheme) {
	case "oracle", "tcp":
		return parseEasy(rest, false)
	case "tcps":
		return parseEasy(rest, true)
	}
	return nil, errors.New("the scheme of the address is unknown: want oracle://, tcp:// or tcps://, or no scheme")
}

// parseEasy reads host[,host…][:port]/service[:server][/instance][?parameter=value&…]. A host
// without a port has that of the next one that has.
func parseEasy(s string, secure bool) ([]endpoint, error) {
	s, query, _ := strings.Cut(s, "?")
	hosts, name, _ := strings.Cut(s, "/")
	proto := endpoint{secure: secure}
	if err := proto.parameters(query); err != nil {
		return nil, err
	}
	name, instance, _ := strings.Cut(name, "/")
	name, server, dedicated := strings.Cut(name, ":")
	proto.service, proto.instance = name, instance
	if dedicated {
		switch strings.ToUpper(server) {
		case "DEDICATED", "SHARED", "POOLED":
			proto.extra = "(SERVER=" + strings.ToUpper(server) + ")"
		default:
			return nil, errors.New("what follows the service is not one of dedicated, shared, pooled")
		}
	}
	var list []endpoint
	var ports []int
	for h := range strings.FieldsFuncSeq(hosts, func(r rune) bool { return r == ',' || r == ';' }) {
		host, port, err := splitHost(strings.TrimSpace(h))
		if err != nil {
			return nil, err
		}
		e := proto
		e.host = host
		list, ports = append(list, e), append(ports, port)
	}
	next := listenerPort
	if proto.secure {
		next = securePort
	}
	for i := len(list) - 1; i >= 0; i-- {
		if ports[i] != 0 {
			next = ports[i]
		}
		list[i].port = next
	}
	return checkAll(list)
}

// splitHost separates a host, which may be an IPv6 address in brackets, from its port; 0: it has none.
func splitHost(s string) (host string, port int, err error) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") && (s[0] == '[' || strings.IndexByte(s, ':') == i) {
		host = s[:i]
		if port, err = parsePort(s[i+1:]); err != nil {
			return "", 0, err
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() {
			return "", 0, errors.New("what stands in brackets is not an IPv6 address")
		}
	}
	return host, port, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 1 || n > 65535 {
		return 0, errors.New("the port is not a number from 1 to 65535")
	}
	return n, nil
}

// parameters reads what may follow the short form after a question mark.
func (e *endpoint) parameters(query string) error {
	if query == "" {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the parameters after the question mark cannot be read")
	}
	for key, v := range values {
		value := strings.Trim(v[0], `"`)
		switch strings.ToLower(key) {
		case "user", "password":
			return errCredentials
		case "wallet_location", "my_wallet_directory", "wallet":
			e.walletFolder = value
		case "ssl_server_dn_match":
			e.skipName = isNo(value)
		case "ssl_server_cert_dn":
			e.certDN = value
		case "ssl":
			e.secure = e.secure || isYes(value)
		case "connect_timeout", "transport_connect_timeout", "retry_count", "retry_delay", "expire_time":
			// Bounds of other clients; here DB_CONNECT_TIMEOUT and the pool's retries are the bounds.
		default:
			return fmt.Errorf("the parameter %.40q is not known: want wallet_location, ssl_server_dn_match, ssl_server_cert_dn or ssl", key)
		}
	}
	return nil
}

func isYes(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "yes", "true", "on", "enable", "enabled":
		return true
	}
	return false
}

func isNo(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "no", "false", "off":
		return true
	}
	return false
}

// checkAll refuses endpoints that are incomplete, or that would say something else to the listener than they say here.
func checkAll(list []endpoint) ([]endpoint, error) {
	if len(list) == 0 {
		return nil, errors.New("the address names no host: want host:port/service")
	}
	for _, e := range list {
		if err := e.check(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (e endpoint) check() error {
	if e.service == "" && e.sid == "" {
		return errors.New("the address names no service: want host:port/service")
	}
	if !isHost(e.host) {
		return errors.New("the host is neither a name nor an address")
	}
	for _, name := range []string{e.service, e.sid, e.instance} {
		if strings.ContainsFunc(name, notInName) {
			return errors.New("the service has characters that no service has")
		}
	}
	return nil
}

func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r != '-' && r != '.' && r != '_' && !isAlphanumeric(r) })
}

// notInName keeps the parentheses, quotes and spaces of another descriptor out of a name.
func notInName(r rune) bool {
	return !isAlphanumeric(r) && !strings.ContainsRune("_.$#-", r)
}

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
