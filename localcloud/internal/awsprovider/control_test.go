package awsprovider_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// call is one request to the control API.
type call struct {
	Method string
	Query  map[string]string
	Type   string         `json:"type"`
	Name   string         `json:"name"`
	ID     string         `json:"id"`
	Region string         `json:"region"`
	Olds   map[string]any `json:"olds"`
	Inputs map[string]any `json:"inputs"`
}

// recordingControl is a control API on a Unix socket that records all calls and gives the answers of the test.
type recordingControl struct {
	socket string

	mu    sync.Mutex
	calls []call
	// answer returns the status and the body of an answer.
	answer func(call) (int, any)
}

func newControl(t *testing.T, answer func(call) (int, any)) *recordingControl {
	t.Helper()
	d := &recordingControl{socket: filepath.Join(t.TempDir(), "control.sock"), answer: answer}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", d.socket)
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: d}}
	server.Start()
	t.Cleanup(server.Close)
	return d
}

func (d *recordingControl) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call{Method: r.Method, Query: map[string]string{}}
	if r.URL.Path != "/aws/resources" {
		http.NotFound(w, r)
		return
	}
	for k := range r.URL.Query() {
		c.Query[k] = r.URL.Query().Get(k)
	}
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	d.mu.Lock()
	d.calls = append(d.calls, c)
	d.mu.Unlock()
	status, body := d.answer(c)
	w.WriteHeader(status)
	if body != nil {
		json.NewEncoder(w).Encode(body)
	}
}

func (d *recordingControl) seen() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]call(nil), d.calls...)
}

// echo answers creations and updates with the inputs as outputs.
func echo(c call) (int, any) {
	if c.Method == http.MethodDelete {
		return http.StatusNoContent, nil
	}
	return http.StatusOK, map[string]any{"id": "id-1", "inputs": c.Inputs, "outputs": c.Inputs}
}
