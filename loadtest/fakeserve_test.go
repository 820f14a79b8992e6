package loadtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// fakeServe is this test program as "tomehub serve". It takes the arguments that Spawn gives, and --fake for how to behave.
func fakeServe(args []string) {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	flags.Bool("demo", false, "")
	listen := flags.String("listen", "", "")
	admin := flags.String("admin-listen", "", "")
	data := flags.String("data-dir", "", "")
	ready := flags.String("ready-file", "", "")
	flags.String("answer-url", "", "")
	flags.String("answer-model", "", "")
	behave := flags.String("fake", "", "")
	if err := flags.Parse(args); err != nil {
		panic(err)
	}
	switch *behave {
	case "fail":
		for i := range 30 {
			fmt.Fprintf(os.Stderr, "line %d\n", i+1)
		}
		fmt.Fprint(os.Stderr, "no end")
		os.Exit(1)
	case "hang":
		fmt.Fprintln(os.Stderr, "still loading")
		select {}
	case "leave":
		os.Exit(0)
	case "garbage":
		writeAtomically(*ready, `{"public_url":"nowhere"}`)
		time.Sleep(time.Minute)
	}
	stop := make(chan os.Signal, 1)
	if *behave == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(stop, syscall.SIGTERM)
	}
	addr := [2]string{}
	for i, at := range []string{*listen, *admin} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			panic(err)
		}
		addr[i] = "http://" + l.Addr().String()
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			dir, _ := os.Getwd()
			_ = json.NewEncoder(w).Encode(map[string]any{"env": os.Environ(), "dir": dir, "args": args, "data": *data})
		}))
	}
	if err := os.MkdirAll(*data, 0o755); err != nil {
		panic(err)
	}
	writeAtomically(*ready, fmt.Sprintf(`{"public_url":%q,"admin_url":%q,"pid":%d}`, addr[0], addr[1], os.Getpid()))
	fmt.Fprintln(os.Stderr, strings.Repeat("x", 2*maxLine)) // a line beyond all bounds
	<-stop
	if *behave == "die badly" {
		fmt.Fprintln(os.Stderr, "lost the library")
		os.Exit(7)
	}
}

func writeAtomically(file, text string) {
	temp := filepath.Join(filepath.Dir(file), "ready.tmp")
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		panic(err)
	}
	if err := os.Rename(temp, file); err != nil {
		panic(err)
	}
}
