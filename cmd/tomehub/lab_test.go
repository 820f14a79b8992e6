package main

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLabSettings(t *testing.T) {
	f := func(want string, args ...string) serveSettings {
		t.Helper()
		c, _, err := resolveServe(t, args, nil, "")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
		return c
	}
	for _, phase := range phases {
		if c := f("", "--phase", phase); c.inLab() || c.labTimeScale != 1 {
			t.Errorf("phase %s is a lab", phase)
		}
		for name := range phasePresets[phase] {
			if strings.HasPrefix(name, "lab") {
				t.Errorf("phase %s sets --%s", phase, name)
			}
		}
	}
	f("unset one of the two", "--lab", "--db-dsn", "db:1521/x", "--db-user", "u")
	f("unset one of the two", "--lab-statement-time", "1ms", "--db-dsn", "db:1521/x", "--db-user", "u")
	f("without a lab", "--lab-time-scale", "0.5")
	f("", "--lab", "--lab-time-scale", "0.5")
	f("want a number from 0.01 to 1", "--lab", "--lab-time-scale", "2")
}

// Every time among the settings shrinks, or stands here with the reason why it does not.
func TestLabScalesEveryTime(t *testing.T) {
	stays := map[string]string{
		"connectTimeout": "of Oracle, which a lab never has", "poolRecycle": "of connections",
		"clockSkew": "of tokens", "shutdownDelay": "of leaving", "drainGrace": "of leaving", "drainTime": "of leaving",
		"superviseReady": "of processes", "superviseWell": "of processes", "superviseWatchdog": "of processes",
	}
	whole, _, err := resolveServe(t, []string{"--lab-statement-time", "300ms", "--shutdown-delay", "1s"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	tenth, _, err := resolveServe(t, []string{"--lab-statement-time", "300ms", "--shutdown-delay", "1s", "--lab-time-scale", "0.1"}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := reflect.ValueOf(whole), reflect.ValueOf(tenth)
	var check func(a, b reflect.Value)
	check = func(a, b reflect.Value) {
		for i := range a.NumField() {
			name := a.Type().Field(i).Name
			if a.Field(i).Kind() == reflect.Struct && a.Type().Field(i).Anonymous {
				check(a.Field(i), b.Field(i))
				continue
			}
			if a.Field(i).Type() != reflect.TypeFor[time.Duration]() {
				continue
			}
			want := time.Duration(a.Field(i).Int()) / 10
			if stays[name] != "" {
				want *= 10
			}
			if got := time.Duration(b.Field(i).Int()); (got - want).Abs() > time.Microsecond {
				t.Errorf("%s is %v at a tenth of the time, want %v: scale it in scaleForLab, or say here why not", name, got, want)
			}
		}
	}
	check(a, b)
	if whole.limitGlobal != 1000 || tenth.limitGlobal != 10_000 || tenth.limitSearch != 1000 || tenth.limitIngest != 100 {
		t.Errorf("rate limits %d, %d, %d", tenth.limitGlobal, tenth.limitSearch, tenth.limitIngest)
	}
}

// A server in the lab says so, fills its library at full speed, and takes a fault that its health then shows.
func TestServeInTheLab(t *testing.T) {
	t.Parallel()
	s := startServer(t, demoLibrary(t), "--demo", "--lab-statement-time", "100ms", "--lab-time-scale", "0.1")
	var health struct{ Lab bool }
	if s.get("/api/health", &health); !health.Lab {
		t.Error("health does not say that this is a lab")
	}
	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.admin+"/lab/fault/database_down", strings.NewReader(`{"for":"1m"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatalf("put in a fault: %v", err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("put in a fault: status %d", answer.StatusCode)
	}
	var breakers struct{ Health string }
	for n := 0; breakers.Health != "degraded"; n++ {
		if n == 20 {
			t.Fatalf("after %d failed searches the breaker is %q", n, breakers.Health)
		}
		if code := s.get("/api/search?q=word"+strconv.Itoa(n), new(any)); code != http.StatusServiceUnavailable {
			t.Errorf("search %d while the database is down: %d", n, code)
		}
		s.get("/api/health/circuit-breaker", &breakers)
	}
	if log := stopped(t, s); !strings.Contains(log, "lab: this server is for load tests, not for people") {
		t.Errorf("the log does not say that this is a lab:\n%s", log)
	}
}
