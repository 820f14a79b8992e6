package reports

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// errNoChecks: a suite without a test case reads as success in some CI systems and as a broken run in others.
var errNoChecks = errors.New("the report has no checks, and JUnit shows nothing else")

type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Properties []junitProperty `xml:"properties>property,omitempty"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitOutcome `xml:"failure,omitempty"`
	Skipped *junitOutcome `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitOutcome struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes one test case per check. Pairs of class and name are unique, because CI systems merge cases that share
// them. An Inconclusive check is written as skipped: it is no success, and the exit code says so. A report without checks
// is an error. Characters that XML does not allow become U+FFFD.
func (r Report) WriteJUnit(w io.Writer) error {
	if len(r.Checks) == 0 {
		return fmt.Errorf("write JUnit report: %w", errNoChecks)
	}
	suite := junitSuite{Name: r.Title, Tests: len(r.Checks)}
	for _, f := range r.Facts {
		suite.Properties = append(suite.Properties, junitProperty(f))
	}
	class, taken := className(r.Title), map[string]bool{}
	for _, c := range r.Checks {
		tc := junitCase{Class: class, Name: unique(taken, xmlText(c.Name))}
		switch c.Verdict {
		case Fail:
			suite.Failures++
			tc.Failure = &junitOutcome{Type: "bound", Message: c.reason(), Text: c.Why}
		case Inconclusive:
			suite.Skipped++
			tc.Skipped = &junitOutcome{Message: c.reason(), Text: c.Why}
		case Pass:
			tc.Out = c.Why
		}
		suite.Cases = append(suite.Cases, tc)
	}
	out := append([]string{}, r.Notes...)
	if r.Summary != "" {
		out = append([]string{r.Summary}, out...)
	}
	suite.Out = strings.Join(out, "\n")
	all := junitSuites{Name: r.Title, Tests: suite.Tests, Failures: suite.Failures, Skipped: suite.Skipped, Suite: suite}
	body, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", xml.Header, body); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	return nil
}

// reason is Reason, or, when nobody wrote one, what was measured and what is allowed.
func (c Check) reason() string {
	switch {
	case c.Reason != "":
		return c.Reason
	case c.Measured == "":
		return fmt.Sprintf("%s not measured, bound %s", c.Metric, c.Bound)
	}
	return fmt.Sprintf("%s %s, bound %s", c.Metric, c.Measured, c.Bound)
}

// className makes "Checkpoint A: 100 users" into tomehub.checkpoint_a_100_users, which CI systems show as a package.
func className(title string) string {
	words := strings.FieldsFunc(strings.ToLower(title), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		return "tomehub"
	}
	return "tomehub." + strings.Join(words, "_")
}

// unique returns name, or name with the first free number behind it, and takes it.
func unique(taken map[string]bool, name string) string {
	if name == "" {
		name = "check"
	}
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s (%d)", name, n)
	}
	taken[free] = true
	return free
}

// xmlText replaces what XML cannot hold, as encoding/xml does, so that two names which become equal are seen as equal.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r',
			r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
			return r
		}
		return unicode.ReplacementChar
	}, strings.ToValidUTF8(s, "\ufffd"))
}
