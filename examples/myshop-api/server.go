package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	healthTimeout  = 2 * time.Second
	requestTimeout = 10 * time.Second
	// drainTimeout is shorter than Kubernetes' default grace period of 30 s, so that requests in flight end before
	// SIGKILL.
	drainTimeout = 20 * time.Second
	maxBody      = 64 << 10
	defaultLimit = 20
	maxLimit     = 100
)

// orderBook is what the handlers need from the database.
type orderBook interface {
	Ping(ctx context.Context) (version string, err error)
	List(ctx context.Context, limit int32) ([]Order, error)
	Place(ctx context.Context, item string, quantity int32) (Order, error)
}

func serve(ctx context.Context, getenv func(string) string, log *slog.Logger) error {
	cfg, err := poolConfig(ctx, getenv)
	if err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("creating the connection pool: %w", err)
	}
	defer pool.Close()

	address := getenv("LISTEN_ADDRESS")
	if address == "" {
		address = defaultListen
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDRESS: %q: %w", address, err)
	}
	log.Info("serving", "address", listener.Addr().String(), "database", cfg.ConnConfig.Database, "databaseHost",
		cfg.ConnConfig.Host,
		"maxConnections", cfg.MaxConns)
	return serveOn(ctx, listener, routes(orders{pool}, log), log)
}

// serveOn serves until ctx ends. Then it accepts no more connections and completes the requests in flight.
func serveOn(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	log.Info("draining", "atMost", drainTimeout.String())
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return fmt.Errorf("requests were still in flight after %s: %w", drainTimeout, err)
	}
	return nil
}

func routes(book orderBook, log *slog.Logger) http.Handler {
	s := &service{book: book, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	// The liveness probe must not depend on the database: a restart of this process would not bring the database back.
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /{$}", s.list)
	mux.HandleFunc("POST /{$}", s.place)
	return mux
}

type service struct {
	book orderBook
	log  *slog.Logger
}

func (s *service) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	version, err := s.book.Ping(ctx)
	if err != nil {
		s.log.Warn("unhealthy", "error", err.Error())
		s.answer(w, http.StatusServiceUnavailable,
			map[string]string{"status": "unavailable", "error": "the database does not answer"})
		return
	}
	s.answer(w, http.StatusOK, map[string]string{"status": "ok", "postgres": version})
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	limit := int64(defaultLimit)
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = strconv.ParseInt(text, 10, 32); err != nil || limit < 1 || limit > maxLimit {
			s.refuse(w, fmt.Sprintf("limit: want a whole number from 1 to %d", maxLimit))
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	list, err := s.book.List(ctx, int32(limit))
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"orders": list})
}

func (s *service) place(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Item     string `json:"item"`
		Quantity int32  `json:"quantity"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	switch err := decoder.Decode(&order); {
	case err != nil:
		s.refuse(w, `want {"item": "…", "quantity": 1} as JSON`)
		return
	case order.Item == "" || len(order.Item) > 200:
		s.refuse(w, "item: want 1 to 200 bytes")
		return
	case order.Quantity < 1:
		s.refuse(w, "quantity: want at least 1")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	placed, err := s.book.Place(ctx, order.Item, order.Quantity)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusCreated, placed)
}

func (s *service) refuse(w http.ResponseWriter, why string) {
	s.answer(w, http.StatusBadRequest, map[string]string{"error": why})
}

// fail logs the cause for operators and does not show it to clients.
func (s *service) fail(w http.ResponseWriter, err error) {
	if !errors.Is(err, context.Canceled) {
		s.log.Error("request failed", "error", err.Error())
	}
	s.answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the database did not answer; try again"})
}

func (s *service) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.Warn("client went away", "error", err.Error())
	}
}
