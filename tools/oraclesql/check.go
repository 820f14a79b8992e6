package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antlr4-go/antlr/v4"
	plsql "github.com/bytebase/plsql-parser"
)

// A fault is one reason why Oracle would refuse a statement.
type fault struct {
	line    int // of the file, from 1
	message string
}

// checkFile checks the statements of one file: one, or, where many is set, those ended by
// lines "/" as SQL*Plus has them.
func checkFile(text string, many bool) (statements int, faults []fault) {
	for _, s := range split(text, many) {
		statements++
		for _, f := range checkStatement(s.text) {
			f.line += s.line - 1
			faults = append(faults, f)
		}
	}
	if statements == 0 {
		faults = append(faults, fault{1, "no statement"})
	}
	return statements, faults
}

type statement struct {
	line int // where it starts, from 1
	text string
}

func split(text string, many bool) []statement {
	if !many {
		return []statement{{1, text}}
	}
	var all []statement
	start, line := 1, 0
	var b strings.Builder
	end := func() {
		if strings.TrimSpace(b.String()) != "" {
			all = append(all, statement{start, b.String()})
		}
		b.Reset()
		start = line + 1
	}
	for l := range strings.Lines(text) {
		line++
		if strings.TrimSpace(l) == "/" {
			end()
			continue
		}
		b.WriteString(l)
	}
	end()
	return all
}

// checkStatement parses one statement as a driver would send it. The grammar wants a
// semicolon after most kinds of statements, where Oracle's server wants none (ORA-00933):
// it is added here, and one that is already there is a fault. PL/SQL has its own.
func checkStatement(text string) []fault {
	l := &listener{DefaultErrorListener: antlr.NewDefaultErrorListener()}
	own := visible(scan(text, nil))
	if len(own) == 0 {
		return []fault{{1, "no statement"}}
	}
	block := isBlock(own)
	if last := own[len(own)-1]; last.GetText() == ";" && !block {
		return []fault{{last.GetLine(), "a semicolon after the statement: a driver's statement has none (ORA-00933)"}}
	}
	comment := comments(scan(text, nil))
	text, expressions := bridge(text, own)
	if !block {
		text += "\n;"
	}
	tokens := scan(text, l)
	p := plsql.NewPlSqlParser(tokens)
	p.SetVersion12(true)
	p.RemoveErrorListeners()
	p.AddErrorListener(l)
	p.Unit_statement()
	next := tokens.LT(1)
	if next.GetText() == ";" && !block {
		next = tokens.LT(2)
	}
	if len(l.faults) == 0 && next.GetTokenType() != antlr.TokenEOF {
		l.faults = append(l.faults, fault{next.GetLine(), fmt.Sprintf("column %d: %q after the end of the statement", next.GetColumn()+1, next.GetText())})
	}
	end := own[len(own)-1].GetLine() // not the line of the semicolon that was added
	for i := range l.faults {
		l.faults[i].line = min(l.faults[i].line, end)
	}
	faults := slices.Concat(l.faults, comment, dialect(own, block))
	for _, e := range expressions {
		for _, f := range checkStatement(e.text) {
			faults = append(faults, fault{f.line + e.line - 1, f.message})
		}
	}
	return faults
}

// scan cuts text into tokens. Without a listener its faults are passed over.
func scan(text string, l *listener) *antlr.CommonTokenStream {
	lexer := plsql.NewPlSqlLexer(antlr.NewInputStream(text))
	lexer.RemoveErrorListeners()
	if l != nil {
		lexer.AddErrorListener(l)
	}
	return antlr.NewCommonTokenStream(lexer, antlr.TokenDefaultChannel)
}

// isBlock tells PL/SQL, which ends in a semicolon and may hold others, from SQL.
func isBlock(tokens []antlr.Token) bool {
	word := func(i int) string {
		if i >= len(tokens) {
			return ""
		}
		return strings.ToUpper(tokens[i].GetText())
	}
	if word(0) != "CREATE" {
		return word(0) == "BEGIN" || word(0) == "DECLARE"
	}
	i := 1
	for slices.Contains([]string{"OR", "REPLACE", "EDITIONABLE", "NONEDITIONABLE"}, word(i)) {
		i++
	}
	return slices.Contains([]string{"FUNCTION", "PROCEDURE", "TRIGGER", "PACKAGE", "TYPE"}, word(i))
}

// visible returns the tokens that are neither blanks nor comments nor the end.
func visible(tokens *antlr.CommonTokenStream) []antlr.Token {
	tokens.Fill()
	return slices.DeleteFunc(slices.Clone(tokens.GetAllTokens()), func(t antlr.Token) bool {
		return t.GetChannel() != antlr.TokenDefaultChannel || t.GetTokenType() == antlr.TokenEOF
	})
}

// comments refuses "--": go-ora loses placeholders after an apostrophe in one (ORA-01008).
func comments(tokens *antlr.CommonTokenStream) []fault {
	var faults []fault
	tokens.Fill()
	for _, t := range tokens.GetAllTokens() {
		if t.GetTokenType() == plsql.PlSqlLexerSINGLE_LINE_COMMENT {
			faults = append(faults, fault{t.GetLine(), "a comment with --: go-ora misses placeholders after an apostrophe in one; write /* */"})
		}
	}
	return faults
}

// A listener collects what lexer and parser complain of.
type listener struct {
	*antlr.DefaultErrorListener
	faults []fault
}

func (l *listener) SyntaxError(_ antlr.Recognizer, _ any, line, column int, msg string, _ antlr.RecognitionException) {
	const most = 200 // the parser lists every token it would have taken: hundreds
	if len(msg) > most {
		msg = msg[:most] + "…"
	}
	l.faults = append(l.faults, fault{line, fmt.Sprintf("column %d: %s", column+1, msg)})
}
