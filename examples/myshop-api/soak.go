package main

import (
	"context"
	"crypto/rand"
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

// written is the result of all clients that write.
type written struct {
	// Acknowledged orders were confirmed by the database. Unknown ones failed: they may have been stored.
	Acknowledged int `json:"acknowledged"`
	Unknown      int `json:"unknown"`
	// Lost orders were acknowledged and are not there in the end.
	Lost int `json:"lost"`
	// Outages are the times of more than a second without an acknowledgement, in seconds.
	Outages []float64 `json:"outages"`
	Error   string    `json:"error,omitempty"`
}

// soak lists orders as the service does, with the given number of concurrent clients, until ctx ends. Then it writes
// the result as JSON. Each client has its own connection; with reconnect, each request opens a new one. The connections
// stay open until the process exits.
func soak(ctx context.Context, cfg *pgxpool.Config, clients uint, reconnect bool, out io.Writer) error {
	books, err := bookOf(ctx, cfg, clients, reconnect)
	if err != nil {
		return err
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

// bookOf returns an order book for each client, with a connection of its own.
func bookOf(ctx context.Context, cfg *pgxpool.Config, clients uint, reconnect bool) ([]orderBook, error) {
	cfg.MaxConns = 1
	if reconnect {
		cfg.AfterRelease = func(*pgx.Conn) bool { return false }
	}
	books := make([]orderBook, clients)
	for i := range books {
		pool, err := pgxpool.NewWithConfig(ctx, cfg.Copy())
		if err != nil {
			return nil, fmt.Errorf("creating the connection pool: %w", err)
		}
		books[i] = orders{pool}
	}
	return books, nil
}

// soakWrites places orders, with the given number of concurrent clients, until ctx ends. Then it looks up each order
// that was acknowledged, writes the result as JSON, and deletes the orders.
func soakWrites(ctx context.Context, cfg *pgxpool.Config, clients uint, reconnect bool, out io.Writer) error {
	books, err := bookOf(ctx, cfg, clients, reconnect)
	if err != nil {
		return err
	}
	run := "soak " + rand.Text()
	items, all := place(ctx, books, run)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("creating the connection pool: %w", err)
	}
	defer pool.Close()
	stored, err := again(ctx, pool, true, func(ctx context.Context, c *pgxpool.Conn) ([]string, error) {
		rows, err := c.Query(ctx, "SELECT item FROM orders WHERE item LIKE $1 || ' %'", run)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	})
	if err != nil {
		return fmt.Errorf("looking up the orders: %w", err)
	}
	for _, item := range stored {
		delete(items, item)
	}
	all.Lost = len(items)
	if err := json.NewEncoder(out).Encode(all); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if all.Lost > 0 {
		return fmt.Errorf("%d of %d acknowledged orders are lost", all.Lost, all.Acknowledged)
	}
	if _, err := pool.Exec(ctx, "DELETE FROM orders WHERE item LIKE $1 || ' %'", run); err != nil {
		return fmt.Errorf("deleting the orders: %w", err)
	}
	return nil
}

// place places orders until ctx ends, and returns the items of those that were acknowledged.
func place(ctx context.Context, books []orderBook, run string) (items map[string]bool, all written) {
	items, all.Outages = map[string]bool{}, []float64{}
	last := time.Now()
	repeat(ctx, books, func(ctx context.Context, client, n int) func() {
		item := fmt.Sprintf("%s %d-%d", run, client, n)
		_, err := books[client].Place(ctx, item, 1)
		return func() {
			if err != nil {
				all.Unknown++
				all.Error = err.Error()
				return
			}
			items[item] = true
			all.Acknowledged++
			if now := time.Now(); now.Sub(last) > time.Second {
				all.Outages = append(all.Outages, now.Sub(last).Seconds())
			}
			last = time.Now()
		}
	})
	return items, all
}

func ask(ctx context.Context, books []orderBook) (all soaked) {
	repeat(ctx, books, func(ctx context.Context, client, _ int) func() {
		began := time.Now()
		_, err := books[client].List(ctx, 1)
		return func() {
			all.LongestSeconds = max(all.LongestSeconds, time.Since(began).Seconds())
			if err != nil {
				all.Failed++
				all.Error = err.Error()
				return
			}
			all.Answered++
		}
	})
	return all
}

// repeat makes requests for each client, one after another with a pause, until ctx ends. A request that has started is
// completed, even when ctx ends. The function that it returns counts it; no two of these run at the same time.
func repeat(ctx context.Context, books []orderBook, request func(ctx context.Context, client, n int) (count func())) {
	var lock sync.Mutex
	var wait sync.WaitGroup
	for client := range books {
		wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
				count := request(limited, client, n)
				cancel()
				lock.Lock()
				count()
				lock.Unlock()
				select {
				case <-time.After(soakPause):
				case <-ctx.Done():
				}
			}
		})
	}
	wait.Wait()
}
