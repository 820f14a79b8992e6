package pool

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// authority returns a certificate for 127.0.0.1 alone, and what trusts it.
func authority(t *testing.T, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tome, db", Organization: []string{"House"}},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func secureDouble(t *testing.T, cert tls.Certificate) *oracletest.Server {
	t.Helper()
	s, err := oracletest.Start(oracletest.Config{Handler: &numbers{}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestOracleOverTLS(t *testing.T) {
	cert, roots := authority(t, time.Now().Add(time.Hour))
	s := secureDouble(t, cert)
	f := func(why string, change func(*Oracle), parts ...string) {
		t.Helper()
		o := account(s)
		o.DSN, o.roots = "tcps://"+s.DSN(), roots
		change(&o)
		ps, err := OpenOracle(t.Context(), oracleConfig(), o)
		if len(parts) == 0 {
			if err != nil {
				t.Errorf("%s: %v", why, err)
				return
			}
			wantRight(t, ps, 5)
			if err := ps.Close(); err != nil {
				t.Error(err)
			}
			return
		}
		if err == nil {
			t.Errorf("%s: it was opened", why)
			_ = ps.Close()
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v lacks %q, or is not one line", why, err, p)
			}
		}
	}
	description := func(host, security string) func(*Oracle) {
		return func(o *Oracle) {
			o.DSN = "(DESCRIPTION=(ADDRESS=(PROTOCOL=TCPS)(HOST=" + host + ")(PORT=" + port(s) + "))(CONNECT_DATA=(SERVICE_NAME=FREEPDB1))(SECURITY=" + security + "))"
		}
	}
	f("the host of the certificate", func(*Oracle) {})
	f("a certificate known by its name", description("localhost", `(SSL_SERVER_CERT_DN="O=House, CN=tome\, db")`))
	f("a name that is not to be checked", description("localhost", "(SSL_SERVER_DN_MATCH=no)"))
	f("another host", description("localhost", "(SSL_SERVER_DN_MATCH=yes)"), "another host", "DB_DSN")
	f("another name", description("127.0.0.1", `(SSL_SERVER_CERT_DN="CN=other")`), "SSL_SERVER_CERT_DN")
	f("an unknown authority", func(o *Oracle) { o.roots = x509.NewCertPool() }, "not known", "DB_WALLET")
	stale, staleRoots := authority(t, time.Now().Add(-time.Hour))
	s = secureDouble(t, stale)
	f("an expired certificate", func(o *Oracle) { o.DSN, o.roots = "tcps://"+s.DSN(), staleRoots }, "not valid", "DB_WALLET")
	plain := double(t, &numbers{})
	f("tcp to a port for tcps", func(o *Oracle) { o.DSN, o.ConnectTimeout = s.DSN(), 200*time.Millisecond }, "DB_DSN")
	f("tcps to a port for tcp", func(o *Oracle) { o.DSN, o.ConnectTimeout = "tcps://"+plain.DSN(), 100*time.Millisecond }, "tcps")
}

// Below TLS the break is left to the driver, whose way of asking for one is a data race of its own.
func TestOracleDeadlinesHoldUnderTLS(t *testing.T) {
	if raceDetector {
		t.Skip("SKIPPED: go-ora races with itself when a context ends during a call")
	}
	cert, roots := authority(t, time.Now().Add(time.Hour))
	s := secureDouble(t, cert)
	ps := openOracle(t, s, func(c *Config, o *Oracle) {
		o.DSN, o.roots = "tcps://"+s.DSN(), roots
		c.Read.Size, c.Read.Min, c.QueryTimeout = 1, 1, 100*time.Millisecond
	})
	for _, deaf := range []bool{false, true} {
		s.DeafToBreaks(deaf)
		s.Latency(time.Minute)
		begun := time.Now()
		_, err := query(t, ps, 1)
		if took := time.Since(begun); !errors.Is(err, ErrQueryTimeout) || took > 30*time.Second {
			t.Errorf("deaf %v: %v after %v", deaf, err, took)
		}
		s.Latency(0)
		wantRight(t, ps, 2)
	}
}
