package oracletest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// The 12c verifier (18453): the one that every driver speaks alike.
const (
	verifier12c     = 18453
	verifierTurns   = 4096
	sessionTurns    = 3
	sessionKeySize  = 32
	authFunctionOne = 0x76
	authFunctionTwo = 0x73
)

// A verifier is what the server keeps of a password. Deriving it takes milliseconds, so each user has one for the life of
// the server, with one salt; Oracle does the same.
type verifier struct {
	password string
	salt     []byte
	hash     []byte
}

type verifiers struct {
	mu   sync.Mutex // guards made
	made map[string]verifier
}

// of returns the user's verifier; one that nobody can meet for a user that does not exist.
func (vs *verifiers) of(users map[string]string, name string) (verifier, error) {
	password, known := users[name]
	if !known {
		name, password = "", rand.Text()
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v, ok := vs.made[name]; ok {
		return v, nil
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // crypto/rand does not fail
	key, err := pbkdf2.Key(sha512.New, password, append(bytes.Clone(salt), "AUTH_PBKDF2_SPEEDY_KEY"...), verifierTurns, 64)
	if err != nil {
		return verifier{}, fmt.Errorf("derive a verifier: %w", err)
	}
	sum := sha512.Sum512(append(key, salt...))
	v := verifier{password: password, salt: salt, hash: sum[:32]}
	if vs.made == nil {
		vs.made = map[string]verifier{}
	}
	vs.made[name] = v
	return v, nil
}

// A login holds the two halves together.
type login struct {
	user      string
	verifier  verifier
	csk       []byte // the salt of the combined key
	serverKey []byte
}

// authHead reads what both phases begin with: the user's name and the number of pairs.
func (c *conn) authHead() (user string, pairs map[string]string) {
	r := &c.r
	hasUser := r.u8() != 0
	length := r.count(1 << 10)
	r.ub() // mode
	r.skip(1)
	n := r.count(1 << 10)
	r.skip(2)
	if hasUser {
		user = strings.ToUpper(c.announced(length))
	}
	pairs = map[string]string{}
	for range n {
		key := string(r.dlc())
		value := string(r.dlc())
		r.ub()
		if r.err != nil {
			break
		}
		pairs[key] = value
	}
	return user, pairs
}

// announced reads a string whose length is known: counted once more by most clients, bare bytes from some.
func (c *conn) announced(length int) string {
	if length == 0 {
		return ""
	}
	if c.counted {
		return string(c.r.clr())
	}
	return string(c.r.bytes(length))
}

// authenticate answers both phases of the login. It returns false when the login was refused.
func (c *conn) authenticate() (bool, error) {
	var l *login
	for {
		c.r.begin()
		if kind, function := c.r.u8(), c.r.u8(); c.r.err == nil && (kind != 3 || function != authFunctionOne && (function != authFunctionTwo || l == nil)) {
			return false, errMalformed("message %d, function %#x instead of a login", kind, function)
		}
		c.r.u8() // sequence
		user, pairs := c.authHead()
		if c.r.err != nil {
			return false, c.r.err
		}
		if l == nil {
			var err error
			if l, err = c.authOne(user); err != nil {
				return false, err
			}
			if err := c.flush(); err != nil {
				return false, err
			}
			continue
		}
		if refusal := c.authTwo(l, pairs); refusal != nil {
			c.srv.count(func(st *Stats) { st.Refused++; st.Errors[refusal.Code]++ })
			c.w.reset()
			c.summary(summary{code: refusal.Code, text: refusal.text()})
			return false, c.flush()
		}
		return true, c.flush()
	}
}

// authOne answers with what the client needs to prove that it knows the password.
func (c *conn) authOne(user string) (*login, error) {
	v, err := c.srv.verifiers.of(c.srv.cfg.Users, user)
	if err != nil {
		return nil, err
	}
	l := &login{user: user, verifier: v, csk: make([]byte, 16), serverKey: make([]byte, sessionKeySize)}
	_, _ = rand.Read(l.csk)
	_, _ = rand.Read(l.serverKey)
	w := &c.w
	w.put(8)
	w.ub(5)
	w.keyValue("AUTH_SESSKEY", upperHex(crypt(cipher.NewCBCEncrypter, v.hash, l.serverKey)), 0)
	w.keyValue("AUTH_VFR_DATA", upperHex(v.salt), verifier12c)
	w.keyValue("AUTH_PBKDF2_CSK_SALT", upperHex(l.csk), 0)
	w.keyValue("AUTH_PBKDF2_VGEN_COUNT", strconv.Itoa(verifierTurns), 0)
	w.keyValue("AUTH_PBKDF2_SDER_COUNT", strconv.Itoa(sessionTurns), 0)
	c.summary(summary{})
	return l, nil
}

// authTwo checks the password and opens the session.
func (c *conn) authTwo(l *login, pairs map[string]string) *Error {
	denied := &Error{Code: 1017, Message: "invalid username/password; logon denied"}
	clientKey, err := hex.DecodeString(pairs["AUTH_SESSKEY"])
	if err != nil || len(clientKey) < sessionKeySize {
		return denied
	}
	clientKey = crypt(cipher.NewCBCDecrypter, l.verifier.hash, clientKey[:sessionKeySize])
	combined, err := pbkdf2.Key(sha512.New, upperHex(append(clientKey, l.serverKey...)), l.csk, sessionTurns, 32)
	if err != nil {
		return denied
	}
	sealed, err := hex.DecodeString(pairs["AUTH_PASSWORD"])
	if err != nil || len(sealed) < 2*aes.BlockSize || len(sealed)%aes.BlockSize != 0 {
		return denied
	}
	open := crypt(cipher.NewCBCDecrypter, combined, sealed)
	padding := int(open[len(open)-1])
	if padding < 1 || padding > aes.BlockSize || string(open[aes.BlockSize:len(open)-padding]) != l.verifier.password {
		return denied
	}
	if refusal := c.openSession(l.user, pairs); refusal != nil {
		return refusal
	}
	proof := make([]byte, aes.BlockSize)
	_, _ = rand.Read(proof)
	c.authAnswer(upperHex(crypt(cipher.NewCBCEncrypter, combined, append(proof, "SERVER_TO_CLIENT"...))))
	return nil
}

func (c *conn) authAnswer(proof string) {
	answers := [][2]string{
		{"AUTH_VERSION_NO", strconv.Itoa(serverVersion)},
		{"AUTH_VERSION_STRING", "- 64bit Production"},
		{"AUTH_SESSION_ID", strconv.FormatInt(c.sess.ID&0xFFFF, 10)},
		{"AUTH_SERIAL_NUM", strconv.FormatInt(c.sess.ID>>16+1, 10)},
		{"AUTH_SC_SERVER_HOST", "localhost"},
		{"AUTH_SC_SERVICE_NAME", c.service},
		{"AUTH_SC_INSTANCE_NAME", c.service},
		{"AUTH_DBNAME", c.service},
		{"AUTH_INSTANCENAME", c.service},
		{"AUTH_MAX_OPEN_CURSORS", strconv.Itoa(c.srv.cfg.MaxCursors)},
		{"AUTH_SVR_RESPONSE", proof},
	}
	w := &c.w
	w.put(8)
	w.ub(len(answers))
	for _, a := range answers {
		w.keyValue(a[0], a[1], 0)
	}
	// The national language settings, which go-ora else asks for with a PL/SQL block of 13 OUT binds.
	nls := []struct {
		key, value string
		flag       int
	}{
		{"AUTH_NLS_LXLAN", "AMERICAN", 16}, {"AUTH_NLS_LXCTERRITORY", "AMERICA", 9}, {"AUTH_NLS_LXCCURRENCY", "$", 0},
		{"SESSION_NLS_LXCCHARSET", "AL32UTF8", 10}, {"AUTH_NLS_LXCDATEFM", "DD-MON-RR", 7}, {"AUTH_NLS_LXCSORT", "BINARY", 11},
	}
	w.put(23, 5)
	w.ub(0)
	w.put(0)
	w.ub(len(nls))
	w.put(0)
	for _, pair := range nls {
		w.keyValue(pair.key, pair.value, pair.flag)
	}
	w.ub(0)
	c.summary(summary{})
}

// crypt runs AES-CBC with an iv of zeros over whole blocks.
func crypt(mode func(cipher.Block, []byte) cipher.BlockMode, key, data []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // keys are 32 bytes, always
	}
	out := make([]byte, len(data))
	mode(block, make([]byte, aes.BlockSize)).CryptBlocks(out, data)
	return out
}

func upperHex(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }
