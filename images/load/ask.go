package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// controlSocket is where the running load answers `load restored`. The name is abstract, because the container has no
// folder to write to, and is that of the pod. Tests have another one.
var controlSocket = "@dbtier-load"

// question asks the running load to compare its ledger with a restored database.
type question struct {
	Host  string    `json:"host"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// answers serves questions until the listener is closed. open opens the restored database at a host.
func answers(ctx context.Context, listener net.Listener, books *ledger, open func(host string) (database, error)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(2 * lookupTimeout))
			var asked question
			if json.NewDecoder(conn).Decode(&asked) != nil {
				return
			}
			said := line{}
			if found, err := compare(ctx, &asked, books, open); err != nil {
				said.Problem = textOf(err)
			} else {
				said.Restored = found
			}
			_ = write(conn, said)
		}()
	}
}

func compare(
	ctx context.Context, asked *question, books *ledger, open func(host string) (database, error),
) (*restored, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	db, err := open(asked.Host)
	if err != nil {
		return nil, err
	}
	effects := books.tally()
	server, err := db.settle(ctx, effects.add)
	if err != nil {
		return nil, fmt.Errorf("reading the restored database at %s: %w", asked.Host, err)
	}
	found := books.restored(effects, asked.From, asked.Until)
	found.Server = server
	return found, nil
}

// ask asks the running load, and prints its answer.
func ask(ctx context.Context, asked *question, out io.Writer) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", controlSocket)
	if err != nil {
		return fmt.Errorf("no load runs in this pod that knows DIRECT_HOST: %w", err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(asked); err != nil {
		return fmt.Errorf("asking the load: %w", err)
	}
	var said line
	if err := json.NewDecoder(conn).Decode(&said); err != nil {
		return fmt.Errorf("reading the answer of the load: %w", err)
	}
	if said.Problem != "" {
		return problem(out, errors.New(said.Problem))
	}
	return write(out, said)
}
