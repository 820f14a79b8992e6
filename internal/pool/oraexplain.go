package pool

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// refusesUser reports that the database is there and does not let this user in.
func refusesUser(code int) bool {
	switch code {
	case 1005, 1017, 1045, 28000, 28001, 28003, 28009:
		return true
	}
	return false
}

// advice is what to do about the codes that a login ends with.
var advice = map[int]string{
	1005:  "the password is empty: check DB_PASSWORD",
	1017:  "the user or the password is wrong: check DB_USER and DB_PASSWORD",
	1045:  "the user may not log in: GRANT CREATE SESSION to the user that DB_USER names",
	28000: "the account is locked: have it unlocked (ALTER USER … ACCOUNT UNLOCK), and check DB_PASSWORD wherever it is set",
	28001: "the password has expired: have it changed (ALTER USER … IDENTIFIED BY …), and set DB_PASSWORD to the new one",
	28003: "the password must be changed: have it changed, and set DB_PASSWORD to the new one",
	28009: "SYS cannot be used: set DB_USER to an ordinary user",
	28040: "the database wants an older or newer way of logging in than the driver knows: have its SQLNET.ALLOWED_LOGON_VERSION_SERVER checked, and the password of DB_USER set anew",
	12660: "the database insists on an encryption that the driver does not offer: use an address with tcps in DB_DSN",
	12505: "the listener does not know the SID: check DB_DSN, and that the database is up",
	12506: "the listener's access list keeps this machine out: have it added, or check DB_DSN",
	12514: "the listener does not know the service: check the service in DB_DSN, and that the database is up and registered (lsnrctl services)",
	12521: "the listener does not know the instance: check DB_DSN, and that the instance is up",
}

const (
	notOpen = "the database is starting, stopping or not open: wait, or have it opened"
	full    = "the database takes no more sessions: lower DB_POOL_READ_SIZE and DB_POOL_WRITE_SIZE, or have its processes and sessions raised"
)

// adviceFor returns what to do about a code, or what the database said of it.
func adviceFor(oe *OracleError) string {
	switch oe.Code {
	case 1033, 1034, 1035, 1089, 1090, 1092, 1109, 12526, 12527, 12528, 27101:
		return notOpen
	case 18, 20, 12516, 12518, 12519, 12520:
		return full
	}
	if what, known := advice[oe.Code]; known {
		return what
	}
	return oe.message + ": check DB_DSN, DB_USER and DB_PASSWORD"
}

// explain says in one line why no session could be opened at e.
func (d *oraDialer) explain(e endpoint, err error) *ConnectError {
	ce := &ConnectError{User: d.oracle.User, Place: e.String(), cause: err}
	if oe, ok := asOracle(err); ok {
		ce.Code, ce.cause = oe.Code, oe
		ce.what = fmt.Sprintf("%s (ORA-%05d)", adviceFor(oe), oe.Code)
		return ce
	}
	ce.what = d.explainNetwork(e, err)
	return ce
}

// explainNetwork says what is wrong on the way to the database.
func (d *oraDialer) explainNetwork(e endpoint, err error) string {
	if what := explainTLS(err); what != "" {
		return what
	}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %s is not found: check the host in DB_DSN", e.host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port in DB_DSN, and that the listener is up"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host cannot be reached from here: check the host in DB_DSN, and the network"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		hint := "and firewalls"
		if e.secure {
			hint = "that the port is the one for tcps, and firewalls"
		}
		return fmt.Sprintf("no answer within %v (DB_CONNECT_TIMEOUT): check host and port in DB_DSN, %s", d.oracle.ConnectTimeout, hint)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		hint := "that an Oracle listener is there, and not one that wants tcps"
		if e.secure {
			hint = "that the port is the one for tcps, and that DB_WALLET has the client's certificate if one is wanted"
		}
		return "the connection was closed during the login: check the port in DB_DSN, " + hint
	}
	return fmt.Sprintf("%v: check DB_DSN", err)
}

// explainTLS says what is wrong with certificates; empty: it is something else.
func explainTLS(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		roots   x509.SystemRootsError
	)
	switch {
	case errors.As(err, &record):
		return "the server does not speak TLS there: use tcp instead of tcps, or the port for tcps, in DB_DSN"
	case errors.As(err, &unknown), errors.As(err, &roots):
		return fmt.Sprintf("the server's certificate is not known: %v: set DB_WALLET to the directory of its wallet (cwallet.sso)", err)
	case errors.As(err, &host):
		return fmt.Sprintf("the server's certificate is for another host: %v: check the host, or SSL_SERVER_CERT_DN, in DB_DSN", err)
	case errors.As(err, &invalid):
		return fmt.Sprintf("the server's certificate is not valid: %v: have it renewed, or set DB_WALLET to the current wallet", err)
	case errors.As(err, &alert), isRemoteTLS(err):
		return fmt.Sprintf("the server refuses the TLS connection: %v: set DB_WALLET to the directory of the client's wallet (cwallet.sso)", err)
	}
	return ""
}

// isRemoteTLS tells an alert that the server sent.
func isRemoteTLS(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
