package main

import (
	"fmt"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/sessionbridge/sessionbridge/bridge"
	"github.com/sessionbridge/sessionbridge/example/frameworks/chiapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/echoapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/ginapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gobwasapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gorillaapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/gwsapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/htmxapp"
	"github.com/sessionbridge/sessionbridge/example/frameworks/templapp"
	"github.com/sessionbridge/sessionbridge/livestore"
)

// apps are the functions that return the application's handler, by framework.
var apps = map[string]func(*bridge.Bridge) http.Handler{
	"chi":     chiapp.New,
	"gin":     ginapp.New,
	"echo":    echoapp.New,
	"gorilla": gorillaapp.New,
	"gobwas":  gobwasapp.New,
	"gws":     gwsapp.New,
	"htmx":    htmxapp.New,
	"templ":   templapp.New,
}

const addr = "127.0.0.1:3000"

func main() {
	if len(os.Args) != 2 || apps[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go run . FRAMEWORK; one of", slices.Sorted(maps.Keys(apps)))
		os.Exit(2)
	}
	b, err := bridge.New(livestore.New(), nil) // sessions in memory
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr:              addr,
		Handler:           http.NewCrossOriginProtection().Handler(apps[os.Args[1]](b)),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Print("http://" + addr)
	log.Fatal(server.ListenAndServe())
}
