package identity

import "net/http"

// UserHeader names the user in mode off.
const UserHeader = "X-Tomehub-User"

// maxOwner bounds an owner's name, in characters; Firebase user ids have the same bound.
const maxOwner = 128

// Off believes what the request says: X-Tomehub-User names the user, and without it the caller is anonymous. The server
// must not offer it beyond a loopback address unless told to.
type Off struct{}

// Identify implements Verifier. A user's name has 1 to 128 of A-Z a-z 0-9 . _ - @ + and colon.
func (Off) Identify(r *http.Request) (Identity, error) {
	values := r.Header[UserHeader]
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return Identity{Anonymous: true}, nil
	}
	if len(values) > 1 {
		return Identity{}, refuse(UserMalformed, "The request has more than one "+UserHeader+" header.")
	}
	if !validUser(values[0]) {
		return Identity{}, refuse(UserMalformed, "The "+UserHeader+" header must have 1 to 128 of A-Z, a-z, 0-9, and . _ - @ + : only.")
	}
	return Identity{Owner: values[0]}, nil
}

func validUser(s string) bool {
	if len(s) > maxOwner {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '-', c == '@', c == '+', c == ':':
		default:
			return false
		}
	}
	return true
}
