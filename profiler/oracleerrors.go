package profiler

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Errors that a caller may branch on.
var (
	ErrGrant = errors.New("the database does not let this user read it")
	// errOracleSlow is the cause of a statement's own deadline.
	errOracleSlow = errors.New("the statement took too long")
)

var oracleCode = regexp.MustCompile(`\bORA-(\d{5})\b`)

// codeOf returns the first ORA code that an error tells, or 0. Drivers differ in their types, and all have the code in
// their text.
func codeOf(err error) int {
	if err == nil {
		return 0
	}
	m := oracleCode.FindStringSubmatch(err.Error())
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// refused tells that a view may not be read: to who may not, it does not exist.
func refused(err error) bool { return errors.Is(err, ErrGrant) }

// goneCodes are those after which a new session may do better.
var goneCodes = []int{28, 1012, 1013, 2396, 2399, 3113, 3114, 3135, 12152, 12537, 12547, 12570, 12571, 25408}

// sessionLost tells that the session was at fault and neither the statement nor its bound.
func sessionLost(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || refused(err) || errors.Is(err, errOracleSlow) {
		return false
	}
	code := codeOf(err)
	return code == 0 && errors.Is(err, errNoAnswer) || slices.Contains(goneCodes, code)
}

// errNoAnswer marks an error without a code: the connection, and not the database, said it.
var errNoAnswer = errors.New("no answer of the database")

// explain says in one line what to do about an error of a statement over a view. ctx is the caller's, bounded the
// statement's own.
func (o *OracleSource) explain(ctx, bounded context.Context, q oracleQuery, err error) error {
	view := o.shown(q.view)
	switch code := codeOf(err); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bounded.Err() != nil && errors.Is(context.Cause(bounded), errOracleSlow):
		return fmt.Errorf("read %s: %w: no end within %v (--statement-timeout): raise it, or ask when the database is less busy", view, errOracleSlow, q.bound)
	case code == 942 || code == 1031:
		return fmt.Errorf("read %s: %w (ORA-%05d): have a DBA run %s", view, ErrGrant, code, o.grant(view))
	case code == 904:
		return fmt.Errorf("read %s: this version of Oracle lacks a column (19c or later is wanted): %w", view, err)
	case code == 4031 || code == 4030:
		return fmt.Errorf("read %s: the database has no memory for it: ask again, or profile with --view '%s': %w", view, ViewStats, err)
	case code == 0:
		return fmt.Errorf("read %s: %w: %w", view, errNoAnswer, err)
	}
	return fmt.Errorf("read %s: %w", view, err)
}

// grant is the statement that lets the user read a view. Grants are on the view behind the synonym (ORA-02030 otherwise).
func (o *OracleSource) grant(view string) string {
	return fmt.Sprintf("GRANT SELECT ON %s TO %s;", behindSynonym(view), grantee(o.user))
}

// behindSynonym turns v$sql into SYS.V_$SQL.
func behindSynonym(view string) string {
	return "SYS." + strings.Replace(strings.ToUpper(view), "V$", "V_$", 1)
}

var plainUser = regexp.MustCompile(`^[A-Z][A-Z0-9_$#]*$`)

func grantee(user string) string {
	switch {
	case user == "":
		return "<the user of DB_USER>"
	case plainUser.MatchString(user):
		return user
	}
	return `"` + strings.ReplaceAll(user, `"`, "") + `"`
}

// grantedViews are all that a full report reads, the indispensable first: one of the first three is enough.
var grantedViews = []string{
	ViewPlanHash, ViewStats, ViewSQL, "v$sql_plan", "v$sql_shared_cursor", "v$session", "v$sys_time_model", "v$instance",
}

// OracleGrants are the statements by which a DBA lets user read what a profile wants, one a line, for all instances with rac.
func OracleGrants(user string, rac bool) string {
	o := OracleSource{cfg: OracleConfig{RAC: rac}, user: user}
	var b strings.Builder
	for _, view := range grantedViews {
		fmt.Fprintln(&b, o.grant(o.shown(view)))
	}
	return b.String()
}

// noView says that nothing is left to read statements from, with everything to ask for.
func (o *OracleSource) noView(tried []string) error {
	names := make([]string, len(tried))
	for i, view := range tried {
		names[i] = o.shown(view)
	}
	hint := ""
	if len(tried) == 1 {
		hint = fmt.Sprintf(" (--view '%s' takes the first of its kind that may be read)", ViewAuto)
	}
	return fmt.Errorf("read %s: %w%s. Have a DBA run this, or GRANT SELECT_CATALOG_ROLE TO %s:\n%s",
		strings.Join(names, ", "), ErrGrant, hint, grantee(o.user), strings.TrimSuffix(OracleGrants(o.user, o.cfg.RAC), "\n"))
}

// without warns that a view may not be read and that the report goes on.
func (o *OracleSource) without(view, what string) string {
	view = o.shown(view)
	return fmt.Sprintf("%s may not be read: %s. To have it: %s", view, what, o.grant(view))
}
