package pool

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sijms/go-ora/v2/configurations"
)

// autoLogin is the file of a wallet that opens without a password.
const autoLogin = "cwallet.sso"

// walletFolder finds the wallet's directory: DB_WALLET, what the address names, what sqlnet.ora
// names, or TNS_ADMIN itself when a wallet lies there, as those of Autonomous databases do. Empty: none.
func (o Oracle) walletFolder(e endpoint) string {
	switch {
	case o.Wallet != "":
		return o.Wallet
	case e.walletFolder != "" && !strings.EqualFold(e.walletFolder, "system"):
		return e.walletFolder
	case o.TNSAdmin == "":
		return ""
	}
	if text, err := readOraFile(filepath.Join(o.TNSAdmin, "sqlnet.ora")); err == nil {
		dir := ""
		entries(text, func(names []string, it item, err error) bool {
			if err != nil || !strings.EqualFold(names[0], "WALLET_LOCATION") {
				return true
			}
			dir = (item{items: []item{it}}).text("DIRECTORY")
			return false
		})
		if dir != "" && !strings.HasPrefix(dir, "?") { // that is what Autonomous wallets come with
			return dir
		}
	}
	if _, err := os.Stat(filepath.Join(o.TNSAdmin, autoLogin)); err == nil {
		return o.TNSAdmin
	}
	return ""
}

// tlsConfig returns how to speak TLS with an endpoint.
func (o Oracle) tlsConfig(e endpoint) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.roots}
	if dir := o.walletFolder(e); dir != "" {
		if err := loadWallet(cfg, dir); err != nil {
			return nil, err
		}
	}
	// The driver puts the host into ServerName. A server that is known by the whole name in its
	// certificate need not have its host there, so that the check is ours.
	roots := cfg.RootCAs
	cfg.InsecureSkipVerify = true // VerifyConnection does it
	cfg.VerifyConnection = func(s tls.ConnectionState) error { return e.verify(s.PeerCertificates, roots) }
	return cfg, nil
}

// verify checks the server's certificates against roots, nil being the system's, and its name.
func (e endpoint) verify(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the server shows no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return err
	}
	switch {
	case e.skipName:
		return nil
	case e.certDN != "":
		if !sameName(chain[0].Subject, e.certDN) {
			return fmt.Errorf("the server's certificate is for %q, not for the SSL_SERVER_CERT_DN of the address", chain[0].Subject)
		}
		return nil
	}
	return chain[0].VerifyHostname(e.host)
}

// sameName compares a subject with one as Oracle writes it, whatever the order and spacing of the parts.
func sameName(subject pkix.Name, want string) bool {
	return slices.Equal(nameParts(subject.String()), nameParts(want))
}

func nameParts(s string) []string {
	var parts []string
	for p := range strings.FieldsFuncSeq(strings.ReplaceAll(s, `\,`, "\x00"), func(r rune) bool { return r == ',' || r == '+' }) {
		key, value, _ := strings.Cut(p, "=")
		parts = append(parts, strings.ToUpper(strings.TrimSpace(key))+"="+strings.ToLower(strings.TrimSpace(strings.ReplaceAll(value, "\x00", ","))))
	}
	slices.Sort(parts)
	return parts
}

// loadWallet adds the certificates of the wallet in dir to cfg.
func loadWallet(cfg *tls.Config, dir string) (err error) {
	path := filepath.Join(dir, autoLogin)
	defer func() {
		if recover() != nil { // the driver's reader trusts every length in the file
			err = fmt.Errorf("open wallet %s: the file is damaged or is no auto-login wallet: set DB_WALLET to the directory of a sound one", path)
		}
	}()
	w, err := configurations.NewWallet(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open wallet: there is no %s in %s: set DB_WALLET to the unpacked wallet's directory", autoLogin, dir)
	case err != nil:
		return fmt.Errorf("open wallet %s: %w: set DB_WALLET to the directory of an auto-login wallet", path, err)
	}
	cfg.RootCAs = x509.NewCertPool()
	var certs []*x509.Certificate
	for _, der := range w.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("open wallet %s: a certificate cannot be read: %w (DB_WALLET)", path, err)
		}
		certs = append(certs, c)
		cfg.RootCAs.AddCert(c)
	}
	for _, der := range w.PrivateKeys {
		key, err := privateKey(der)
		if err != nil {
			return fmt.Errorf("open wallet %s: its private key cannot be read (DB_WALLET)", path)
		}
		for _, c := range certs {
			if k, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); ok && k.Equal(key.Public()) {
				cfg.Certificates = append(cfg.Certificates, tls.Certificate{Certificate: chainOf(c, certs), PrivateKey: key, Leaf: c})
			}
		}
	}
	return nil
}

// chainOf returns a certificate and those that issued it, as far as they are there.
func chainOf(leaf *x509.Certificate, all []*x509.Certificate) [][]byte {
	chain := [][]byte{leaf.Raw}
	for c := leaf; len(chain) <= len(all) && !bytes.Equal(c.RawIssuer, c.RawSubject); {
		i := slices.IndexFunc(all, func(o *x509.Certificate) bool { return bytes.Equal(o.RawSubject, c.RawIssuer) })
		if i < 0 {
			break
		}
		c = all[i]
		chain = append(chain, c.Raw)
	}
	return chain
}

func privateKey(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	if s, ok := k.(crypto.Signer); ok {
		return s, nil
	}
	return nil, errors.New("the key cannot sign")
}
