package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const controlSocket = "control.sock"

// serveControl serves the control socket for `localcloud` commands and for the provider servers on the host.
func (s *supervisor) serveControl() error {
	path := s.project.RunDir(controlSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the control socket: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	// Only root may use the socket: it creates databases and reads their secrets.
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.status())
	})
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, _ *http.Request) {
		s.end(nil)
		w.WriteHeader(http.StatusAccepted)
	})
	s.serveFaults(mux)
	mux.HandleFunc("/aws/", func(w http.ResponseWriter, r *http.Request) {
		door := s.awsControl.Load()
		if door == nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"code":"ServiceUnavailable","message":"the local cloud is still starting"}`)
			return
		}
		(*door).ServeHTTP(w, r)
	})
	s.control = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.control.Serve(listener) }()
	return nil
}

// controlClient returns an HTTP client for the control socket of a running cloud.
func controlClient(p Project) *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", p.RunDir(controlSocket))
			},
		},
	}
}

// askStatus reads the status of a running cloud.
func askStatus(ctx context.Context, p Project) (*Status, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localcloud/status", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := controlClient(p).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var status Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return &status, nil
}

func askShutdown(ctx context.Context, p Project) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localcloud/shutdown", http.NoBody)
	if err != nil {
		return err
	}
	response, err := controlClient(p).Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
