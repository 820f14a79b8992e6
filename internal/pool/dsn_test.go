package pool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// places writes endpoints in one line each.
func placesText(list []endpoint) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%v", e)
		if e.sid != "" {
			b.WriteString(" sid")
		}
		if e.instance != "" {
			b.WriteString(" instance=" + e.instance)
		}
		b.WriteString(e.extra)
		if e.certDN != "" {
			b.WriteString(" dn=" + e.certDN)
		}
		if e.skipName {
			b.WriteString(" any name")
		}
		if e.walletFolder != "" {
			b.WriteString(" wallet=" + e.walletFolder)
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestAddressesAsOperatorsWriteThem(t *testing.T) {
	f := func(dsn, want string) {
		t.Helper()
		got, alias, err := parseDSN(dsn)
		if err != nil || alias != "" {
			t.Errorf("%s: alias %q, error %v", dsn, alias, err)
			return
		}
		if diff := cmp.Diff(want, placesText(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dsn, diff)
		}
	}
	f("db:1522/FREEPDB1", "db:1522/FREEPDB1")
	f(" db/svc ", "db:1521/svc") // the listener's usual port
	f("//db.example.org:1521/sales.example.org", "db.example.org:1521/sales.example.org")
	f("oracle://db:1521/svc", "db:1521/svc")            // as go-ora writes it, without its credentials
	f("jdbc:oracle:thin:@//db:1521/svc", "db:1521/svc") // copied from a Java service
	f("jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(HOST=db)(PORT=9))(CONNECT_DATA=(SID=X)))", "db:9/X sid")
	f("tcps://db/svc", "tcps://db:2484/svc") // Easy Connect Plus
	f("tcps://db:2484/svc?ssl_server_dn_match=no&wallet_location=/w", "tcps://db:2484/svc any name wallet=/w")
	f("[::1]:1522/svc", "[::1]:1522/svc")
	f("//[fd00::7]/svc", "[fd00::7]:1521/svc")
	f("127.0.0.1/svc:pooled", "127.0.0.1:1521/svc(SERVER=POOLED)")
	f("db/svc/orcl1", "db:1521/svc instance=orcl1")
	f("a,b:1522,c/svc", "a:1522/svc\nb:1522/svc\nc:1521/svc") // a host without a port has that of the next
	f("a:1;b:2/svc", "a:1/svc\nb:2/svc")
	f(`(DESCRIPTION=
  (CONNECT_TIMEOUT=5)(RETRY_COUNT=3)(FAILOVER=ON)(LOAD_BALANCE=OFF)
  (ADDRESS_LIST=
    (ADDRESS=(PROTOCOL=TCP)(HOST=one)(PORT=1521))
    (ADDRESS=(PROTOCOL = tcp)(HOST = fd00::7)(PORT = 1522)))
  (CONNECT_DATA=(SERVER=DEDICATED)(SERVICE_NAME=tome.example.org)(FAILOVER_MODE=(TYPE=SELECT))))`,
		"one:1521/tome.example.org(SERVER=DEDICATED)\n[fd00::7]:1522/tome.example.org(SERVER=DEDICATED)")
	f(`(description_list=(description=(address=(host=a))(connect_data=(service_name=x)))(description=(address=(host=b))(connect_data=(sid=y))))`,
		"a:1521/x\nb:1521/y sid")
	f(`(description=(address=(protocol=tcps)(port=1522)(host=adb.example.com))(connect_data=(service_name=g_tp.adb.example.com))(security=(ssl_server_cert_dn="CN=adb, O=Oracle, C=US")(my_wallet_directory=/opt/w)))`,
		"tcps://adb.example.com:1522/g_tp.adb.example.com dn=CN=adb, O=Oracle, C=US wallet=/opt/w")
}

func TestAddressesThatAreRefused(t *testing.T) {
	f := func(dsn, part string) {
		t.Helper()
		_, _, err := parseDSN(dsn)
		switch {
		case err == nil:
			t.Errorf("%s was taken", dsn)
		case !strings.Contains(err.Error(), part), !strings.Contains(err.Error(), "DB_DSN"), strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: %v, want one line with DB_DSN and %q", dsn, err, part)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error shows the password: %v", dsn, err)
		}
	}
	f("", "empty")
	f("oracle://tome:hunter2@db:1521/svc", "DB_USER and DB_PASSWORD")
	f("tome/hunter2@db:1521/svc", "DB_USER and DB_PASSWORD") // as for sqlplus
	f("jdbc:oracle:thin:tome/hunter2@db:1521/svc", "DB_USER and DB_PASSWORD")
	f("db:1521", "names no service")
	f("db:1521/", "names no service")
	f("/svc", "names no host")
	f("db:99999/svc", "1 to 65535")
	f("db:x/svc", "1 to 65535")
	f("d b:1521/svc", "host")
	f("[db]:1/svc", "IPv6")
	f("db/svc)(SID=hunter2", "characters") // would end the item and begin another
	f("db/svc:fast", "dedicated, shared, pooled")
	f("db/svc?password=hunter2", "DB_USER and DB_PASSWORD")
	f("db/svc?User=tome", "DB_USER and DB_PASSWORD")
	f("db/svc?loud=yes", "not known")
	f("(DESCRIPTION=(ADDRESS=(HOST=db))(CONNECT_DATA=(SERVICE_NAME=x)(USER=tome)(PASSWORD=hunter2)))", "DB_USER and DB_PASSWORD")
	f("(DESCRIPTION=(ADDRESS=(HOST=db))(CONNECT_DATA=(SERVICE_NAME=x))(SECURITY=(PASSWORD=hunter2)))", "DB_USER and DB_PASSWORD")
	f("postgres://db/svc", "scheme")
	f("(DESCRIPTION=(ADDRESS=(HOST=db)(PORT=1521))", "parentheses")
	f("(DESCRIPTION=(ADDRESS=(HOST=db))(CONNECT_DATA=(SERVICE_NAME=x))))", "parentheses")
	f("(DESCRIPTION=(ADDRESS=(HOST=db)))", "names no service")
	f("(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=x)))", "names no host")
	f("(DESCRIPTION=(ADDRESS=(PROTOCOL=BEQ)(PROGRAM=oracle))(CONNECT_DATA=(SERVICE_NAME=x)))", "tcp or tcps")
	f("(DESCRIPTION=(ADDRESS=(HTTPS_PROXY=p)(HOST=db))(CONNECT_DATA=(SERVICE_NAME=x)))", "HTTPS_PROXY")
	f("(ADDRESS=(HOST=db))", "(DESCRIPTION=")
	f(strings.Repeat("(A=", 10000), "parentheses") // no deep recursion
	f(strings.Repeat("x", maxDSN+1), "bytes")
}

const tnsnames = `# written by hand
TOME, tome.world =
  (DESCRIPTION =   # the first
    (ADDRESS = (PROTOCOL = TCP)(HOST = one)(PORT = 1521))
    (CONNECT_DATA = (SERVICE_NAME = tome)))

broken = (DESCRIPTION = (ADDRESS = (HOST = x)
LISTENER_X = here
last =
(DESCRIPTION=(ADDRESS=(PROTOCOL=TCPS)(HOST=two)(PORT=2484))(CONNECT_DATA=(SERVICE_NAME="la#st"))(SECURITY=(SSL_SERVER_CERT_DN="CN=a#b")))
`

func TestNamesOfTnsnames(t *testing.T) {
	f := func(text, alias, want, part string) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tnsnames.ora"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := resolveAlias(alias, t.TempDir(), dir) // the first folder has no such file
		switch {
		case part == "" && err != nil:
			t.Errorf("%s: %v", alias, err)
		case part != "" && (err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "tnsnames.ora")):
			t.Errorf("%s: error %v, want the file and %q", alias, err, part)
		case part == "" && placesText(got) != want:
			t.Errorf("%s: %s, want %s", alias, placesText(got), want)
		}
	}
	f(tnsnames, "tome", "one:1521/tome", "")
	f(tnsnames, "TOME.WORLD", "one:1521/tome", "")
	f(tnsnames, "broken", "", "parentheses")
	f(tnsnames, "listener_x", "", "parentheses") // a name, but of no database
	f(tnsnames, "missing", "", "no such name")
	f(strings.ReplaceAll(tnsnames, `"la#st"`, "last"), "last", "tcps://two:2484/last dn=CN=a#b", "") // behind a damaged one; # within quotes is none
	f("IFILE=/etc/other.ora\n"+tnsnames, "missing", "", "IFILE is not read")
	f("\ufeffa=(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(SID=s)))", "a", "h:1521/s sid", "")
	f("", "a", "", "no such name")
	if _, err := resolveAlias("tome"); err == nil || !strings.Contains(err.Error(), "TNS_ADMIN") {
		t.Errorf("a name without TNS_ADMIN: %v", err)
	}
	if _, err := resolveAlias("tome", t.TempDir()); err == nil || !strings.Contains(err.Error(), "TNS_ADMIN") {
		t.Errorf("no tnsnames.ora: %v", err)
	}
}

func TestOracleSettingsAreCheckedTogether(t *testing.T) {
	f := func(o Oracle, parts ...string) {
		t.Helper()
		err := o.Check()
		if err == nil {
			t.Errorf("%+v has no fault", o)
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%v lacks %q", err, p)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is shown: %v", err)
		}
	}
	f(Oracle{DSN: "db:1521", ConnectTimeout: -1}, "DB_USER", "DB_PASSWORD", "DB_DSN", "DB_CONNECT_TIMEOUT")
	f(Oracle{User: "TOME", Password: "hunter2", DSN: "tcps://db/svc", Wallet: t.TempDir()}, "DB_WALLET", "cwallet.sso")
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "cwallet.sso"), []byte{161, 248, 78, 54, 0, 0, 0, 6, 0, 0, 1, 0, 6, 1}, 0o600); err != nil {
		t.Fatal(err)
	}
	f(Oracle{User: "TOME", Password: "hunter2", DSN: "tcps://db/svc", TNSAdmin: damaged}, "DB_WALLET", "damaged")
	if err := (Oracle{User: "TOME", Password: "hunter2", DSN: "db/svc", Wallet: damaged}).Check(); err != nil {
		t.Errorf("a wallet that tcp does not need: %v", err)
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	o := Oracle{User: "TOME", Password: "hunter2", DSN: "db/svc"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, o); strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74657232") {
			t.Errorf("%s: %s", verb, got)
		}
	}
}

func FuzzDSN(f *testing.F) {
	for _, s := range []string{"db:1521/svc", "a,b:1/s", "[::1]:1/s", "tcps://h/s?ssl_server_dn_match=no", "(DESCRIPTION=(ADDRESS=(HOST=h))(CONNECT_DATA=(SID=s)))", "u/p@h", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		places, alias, err := parseDSN(s)
		if err == nil && alias == "" && len(places) == 0 {
			t.Fatal("neither a place nor a fault")
		}
		for _, e := range places {
			if strings.ContainsAny(e.host+e.service+e.sid+e.instance, "()=\"' \n") || e.port < 1 || e.port > 65535 {
				t.Fatalf("%+v would change the descriptor", e)
			}
		}
	})
}

func FuzzTnsnames(f *testing.F) {
	f.Add(tnsnames, "tome")
	f.Add("a,b=(C=(D=e))\nx=y", "b")
	f.Fuzz(func(t *testing.T, text, alias string) {
		if places, err := lookUp(text, alias); err == nil && len(places) == 0 {
			t.Fatal("neither a place nor a fault")
		}
	})
}
