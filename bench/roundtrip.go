package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/coder/websocket"

	"github.com/sessionbridge/sessionbridge/bridge"
)

const sockets = 32

func roundTripGroups() []group {
	return []group{{
		name: fmt.Sprintf("round trips on %d sockets", sockets),
		ours: side{"ours", incrementTrips},
		peer: side{"bare echo", echoTrips},
		rows: []row{{"rate", perSecond, target{}}, {"CPU", cpuPerOp, timesBetter(0.87)}},
	}}
}

// incrementTrips sends a message for each increment and gets the count back.
func incrementTrips() (*subject, error) {
	c, err := openConnections(sockets, nil, func(ctx context.Context, c *bridge.Conn) error {
		reply := make([]byte, 0, len(message))
		for {
			kind, _, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if err := c.WithSession(ctx, increment, nil); err != nil {
				return err
			}
			if err := c.Write(ctx, kind, append(reply, message...)); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &subject{run: trips(c.dialled), check: c.counted, close: c.close}, nil
}

// echoTrips does the same with a server that knows no sessions, and coder/websocket as it comes.
func echoTrips() (*subject, error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		for {
			kind, data, err := ws.Read(context.Background())
			if err != nil || ws.Write(context.Background(), kind, data) != nil {
				return
			}
		}
	}))
	var dialled []*websocket.Conn
	closeAll := func() error {
		for _, ws := range dialled {
			_ = ws.CloseNow()
		}
		server.Close()
		return nil
	}
	for range sockets {
		ws, err := dial(server.URL, nil)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		dialled = append(dialled, ws)
	}
	return &subject{run: trips(dialled), close: closeAll}, nil
}

// message goes both ways, on both sides.
var message = []byte("12345678")

// trips returns a run of n round trips, shared among the sockets.
func trips(dialled []*websocket.Conn) func(n int) error {
	return func(n int) error {
		var wg sync.WaitGroup
		errs := make([]error, len(dialled))
		for i, ws := range dialled {
			share := (n + i) / len(dialled) // these add up to n
			wg.Go(func() { errs[i] = talk(ws, share) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
}

func talk(ws *websocket.Conn, n int) error {
	for range n {
		if err := ws.Write(context.Background(), websocket.MessageText, message); err != nil {
			return err
		}
		_, data, err := ws.Read(context.Background())
		if err != nil {
			return err
		}
		if string(data) != string(message) {
			return fmt.Errorf("the reply is %q", data)
		}
	}
	return nil
}
