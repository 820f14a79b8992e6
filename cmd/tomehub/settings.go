package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/joho/godotenv"
	"github.com/spf13/pflag"
)

// A setting is one value that an operator can set. Every setting but a secret, and but
// the variables that OpenTelemetry has for all services alike, is a flag; every setting
// has an environment name.
type setting struct {
	flag   *pflag.Flag // nil for a secret and for a variable
	env    string      // its name in the environment and in a .env file
	usage  string
	value  *givenValue // nil for a secret
	secret *secret
	origin string // where the value in force came from
	wrong  string // the text that was refused, as it may be shown; the value is the default then
}

// A givenValue is the value of a flag. It keeps what is wrong with the flag's text until
// resolve, so that all faults of a configuration are reported at once and not the
// first flag's alone.
type givenValue struct {
	pflag.Value
	fault error
	wrong string
}

func (v *givenValue) Set(text string) error {
	if err := v.Value.Set(text); err != nil {
		v.wrong = shownText(v.Value, text)
		v.fault = fmt.Errorf("is %q: %w", v.wrong, err)
	}
	return nil
}

// shownText is what may be printed of a text that a value refused.
func shownText(v pflag.Value, text string) string {
	switch v.(type) {
	case storageValue, dsnValue, endpointValue:
		return masked
	}
	return text
}

func (s *setting) name() string {
	if s.flag == nil {
		return s.env
	}
	return "--" + s.flag.Name
}

func (s *setting) shown() string {
	switch {
	case s.secret != nil:
		return s.secret.String()
	case s.wrong != "":
		return s.wrong + " (refused)"
	}
	return s.value.String()
}

// settings are the settings of one command. Values are taken from, first to last: the
// flag, the environment, the .env file, the preset of the phase, the default.
type settings struct {
	flags *pflag.FlagSet
	list  []*setting
}

// sources is where values that no flag gave come from.
type sources struct {
	lookup  func(name string) (string, bool) // the environment
	dotenv  map[string]string                // the .env file
	envFile string                           // its path, for messages
}

// loadSources reads the .env file. A missing file is an error only when it was asked for by
// name. Faulty lines are returned as faults by their numbers, and the others count.
func loadSources(path string, asked bool, lookup func(string) (string, bool)) (sources, error) {
	src := sources{lookup: lookup, envFile: path}
	if path == "" {
		return src, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !asked {
		return src, nil
	}
	if err != nil {
		return src, fmt.Errorf("read settings file (--env-file): %w", err)
	}
	if src.dotenv, err = godotenv.UnmarshalBytes(data); err == nil {
		return src, nil
	}
	// The parser stops at its first fault and quotes the line, which may hold a password.
	src.dotenv = map[string]string{}
	var faults []error
	for n, line := range strings.Split(string(data), "\n") {
		values, err := godotenv.Unmarshal(line)
		if err != nil || values[""] != "" {
			faults = append(faults, fmt.Errorf("%s:%d (--env-file): the line is not of the form NAME=value", path, n+1))
			continue
		}
		maps.Copy(src.dotenv, values)
	}
	return src, errors.Join(faults...)
}

// add makes a setting of a flag value. The value's text at this moment is the default.
func (s *settings) add(v pflag.Value, flag, env, usage string) {
	given := &givenValue{Value: v}
	f := s.flags.VarPF(given, flag, "", usage+" ["+env+"]")
	if v.Type() == "bool" {
		f.NoOptDefVal = "true"
	}
	s.list = append(s.list, &setting{flag: f, env: env, usage: usage, value: given, origin: "default"})
}

// addSecret makes a setting that has no flag: a command line can be read by every
// user of the machine. It comes from the environment, the .env file, or the file
// that NAME_FILE names.
func (s *settings) addSecret(p *secret, env, usage string) {
	s.list = append(s.list, &setting{secret: p, env: env, usage: usage, origin: "default"})
}

// addVariable makes a setting that has no flag because its name is others' and not ours.
func (s *settings) addVariable(v pflag.Value, env, usage string) {
	s.list = append(s.list, &setting{env: env, usage: usage, value: &givenValue{Value: v}, origin: "default"})
}

// only returns the settings with that flag.
func (s *settings) only(flag string) []*setting {
	return slices.DeleteFunc(slices.Clone(s.list), func(one *setting) bool {
		return one.flag == nil || one.flag.Name != flag
	})
}

// resolve gives each setting its value and remembers the origin. preset maps flag
// names to the values of the phase named presetName. All faults are returned joined.
func (s *settings) resolve(src sources, preset map[string]string, presetName string) error {
	var faults []error
	for _, one := range s.list {
		if err := one.resolve(src, preset, presetName); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

func (s *setting) resolve(src sources, preset map[string]string, presetName string) error {
	if s.secret != nil {
		return s.resolveSecret(src)
	}
	if s.flag != nil && s.flag.Changed {
		s.origin = "flag"
		if s.value.fault != nil {
			s.wrong = s.value.wrong
			return fmt.Errorf("%s %w", s.name(), s.value.fault)
		}
		return nil
	}
	text, origin := src.find(s.env)
	if origin == "" {
		if s.flag == nil {
			return nil
		}
		var inPreset bool
		if text, inPreset = preset[s.flag.Name]; !inPreset {
			return nil
		}
		origin = "phase " + presetName
	}
	s.origin = origin
	if err := s.value.Value.Set(text); err != nil {
		s.wrong = shownText(s.value.Value, text)
		return fmt.Errorf("%s (from %s) is %q: %w", s.env, origin, s.wrong, err)
	}
	return nil
}

func (s *setting) resolveSecret(src sources) error {
	text, origin := src.find(s.env)
	if origin != "" {
		s.secret.text, s.origin = text, origin
		return nil
	}
	path, origin := src.find(s.env + "_FILE")
	if origin == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s_FILE (from %s): %w", s.env, origin, err)
	}
	s.secret.text, s.origin = strings.TrimRight(string(data), "\r\n"), "file "+path
	return nil
}

// find looks a name up in the environment, then in the .env file. An empty value
// counts as unset: compose files pass NAME= for what the operator left open.
func (src sources) find(name string) (value, origin string) {
	if src.lookup != nil {
		if v, ok := src.lookup(name); ok && v != "" {
			return v, "environment"
		}
	}
	if v := src.dotenv[name]; v != "" {
		return v, src.envFile
	}
	return "", ""
}

// print writes every setting, its value and where it came from; secrets are masked.
func (s *settings) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "SETTING\tENVIRONMENT\tVALUE\tFROM")
	for _, one := range s.list {
		name, value := "(no flag)", one.shown()
		switch {
		case one.flag != nil:
			name = one.name()
		case one.secret != nil:
			name = "(no flag: secret)"
		}
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", name, one.env, value, one.origin)
	}
	return tw.Flush()
}
