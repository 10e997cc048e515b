module github.com/sessionbridge/sessionbridge/browsertest

// norace: the servers and browsers are other processes.

go 1.25.0

replace (
	github.com/sessionbridge/sessionbridge => ../
	github.com/sessionbridge/sessionbridge/example/frameworks => ../example/frameworks
)

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.22.1
	github.com/coder/websocket v1.8.15
	github.com/sessionbridge/sessionbridge v0.0.0
	github.com/sessionbridge/sessionbridge/example/frameworks v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/a-h/templ v0.3.943 // indirect
	github.com/felixge/httpsnoop v1.1.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/gorilla/sessions v1.4.0 // indirect
	go.uber.org/goleak v1.3.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/gorilla/websocket v1.5.3
	github.com/redis/rueidis v1.0.79 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.47.0 // indirect
)
