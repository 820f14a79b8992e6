package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// prometheusSettings say which Prometheus has the alerts of a scenario's faults, and how it learns of a server that is
// started for the test.
type prometheusSettings struct {
	url, targets string
}

const targetsSetting = "--prometheus-targets"

func (p *prometheusSettings) add(s *settings, whose string) {
	s.add(textValue{&p.url}, "prometheus", "TOMEHUB_LOADTEST_PROMETHEUS", "URL of a Prometheus that reads "+whose+": the alerts of the scenario's faults must fire there, and end")
	s.add(textValue{&p.targets}, "prometheus-targets", "TOMEHUB_LOADTEST_PROMETHEUS_TARGETS",
		"file (.json) that file_sd_configs of that Prometheus names; the address of the server that is started stands in it for as long as that runs")
}

// validate reports every fault, joined. spawned says that the server is started for the test.
func (p *prometheusSettings) validate(spawned bool) error {
	faults := []error{checkURL("--prometheus", p.url, "http://127.0.0.1:9090")}
	switch {
	case p.targets == "" && p.url != "" && spawned:
		faults = append(faults, errors.New("--prometheus needs --prometheus-targets for a server that is started here: Prometheus must learn of it (see docs/ci.md)"))
	case p.targets != "" && !spawned:
		faults = append(faults, errors.New("--prometheus-targets goes with --spawn: a server that runs already is in the configuration of its Prometheus"))
	case p.targets != "" && !strings.HasSuffix(p.targets, ".json"):
		faults = append(faults, fmt.Errorf("--prometheus-targets is %s: want a name that ends in .json, by which Prometheus tells how to read it", p.targets))
	}
	return errors.Join(faults...)
}

// check finds out before anything is started whether the file can be written.
func (p *prometheusSettings) check() error {
	if p.targets == "" {
		return nil
	}
	return checkFile(targetsSetting, p.targets)
}

// announce tells Prometheus of a server by the URL of its admin listener. retract takes it back, which must come before
// the server stops: that it does not answer is an alert, too.
func (p *prometheusSettings) announce(admin string) (retract func() error, err error) {
	if p.targets == "" {
		return func() error { return nil }, nil
	}
	u, err := url.Parse(admin)
	if err != nil {
		return nil, fmt.Errorf("tell Prometheus of the server: %w", err)
	}
	if err := p.write(u.Host); err != nil {
		return nil, err
	}
	return func() error { return p.write() }, nil
}

// write writes one group of targets, or none, in the form of file_sd_configs. Prometheus may run as another user.
func (p *prometheusSettings) write(targets ...string) error {
	groups := []map[string][]string{}
	if len(targets) > 0 {
		groups = append(groups, map[string][]string{"targets": targets})
	}
	body, err := json.Marshal(groups)
	if err != nil {
		return fmt.Errorf("tell Prometheus of the server: %w", err)
	}
	return writeFile(targetsSetting, p.targets, append(body, '\n'), 0o644)
}
