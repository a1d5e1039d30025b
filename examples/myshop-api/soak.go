package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// soakPause is the time between an answer and the client's next request.
const soakPause = time.Second

// soaked is the result of all clients.
type soaked struct {
	Answered int `json:"answered"`
	Failed   int `json:"failed"`
	// LongestSeconds is the longest time that a client waited for an answer, including retries and pauses.
	LongestSeconds float64 `json:"longestSeconds"`
	// Error is one of the errors that clients got.
	Error string `json:"error,omitempty"`
}

// soak lists orders as the service does, with the given number of concurrent clients, until ctx ends. Then it writes
// the result as JSON. Each client has its own connection; with reconnect, each request opens a new one. The connections
// stay open until the process exits.
func soak(ctx context.Context, cfg *pgxpool.Config, clients uint, reconnect bool, out io.Writer) error {
	cfg.MaxConns = 1
	if reconnect {
		cfg.AfterRelease = func(*pgx.Conn) bool { return false }
	}
	books := make([]orderBook, clients)
	for i := range books {
		pool, err := pgxpool.NewWithConfig(ctx, cfg.Copy())
		if err != nil {
			return fmt.Errorf("creating the connection pool: %w", err)
		}
		books[i] = orders{pool}
	}
	all := ask(ctx, books)
	if err := json.NewEncoder(out).Encode(all); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if all.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed", all.Failed, all.Failed+all.Answered)
	}
	return nil
}

func ask(ctx context.Context, books []orderBook) (all soaked) {
	var lock sync.Mutex
	var wait sync.WaitGroup
	for _, book := range books {
		wait.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				// A request that has started is completed, even when ctx ends.
				request, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
				_, err := book.List(request, 1)
				cancel()
				lock.Lock()
				all.LongestSeconds = max(all.LongestSeconds, time.Since(began).Seconds())
				if err == nil {
					all.Answered++
				} else {
					all.Failed++
					all.Error = err.Error()
				}
				lock.Unlock()
				select {
				case <-time.After(soakPause):
				case <-ctx.Done():
				}
			}
		})
	}
	wait.Wait()
	return all
}
