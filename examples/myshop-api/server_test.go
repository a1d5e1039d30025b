package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// book is an order book in memory.
type book struct {
	err    error
	placed []Order
	list   func(ctx context.Context)
	place  func()
}

func (b *book) Ping(context.Context) (string, error) { return "16.14", b.err }

func (b *book) List(ctx context.Context, limit int32) ([]Order, error) {
	if b.list != nil {
		b.list(ctx)
	}
	return b.placed[:min(len(b.placed), int(limit))], b.err
}

func (b *book) Place(_ context.Context, item string, quantity int32) (Order, error) {
	o := Order{ID: int64(len(b.placed) + 1), Item: item, Quantity: quantity, PlacedAt: time.Unix(0, 0).UTC()}
	b.placed = append(b.placed, o)
	if b.place != nil {
		b.place()
	}
	return o, b.err
}

func request(b orderBook, method, target, body string) (status int, answer string) {
	w := httptest.NewRecorder()
	routes(b, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestHealthSaysWhetherTheDatabaseAnswers(t *testing.T) {
	status, answer := request(&book{}, "GET", "/healthz", "")
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `{"status":"ok","postgres":"16.14"}`, answer)

	down := &book{err: errors.New("dial tcp 10.0.0.1: refused")}
	status, answer = request(down, "GET", "/healthz", "")
	assert.Equal(t, 503, status)
	assert.JSONEq(t, `{"status":"unavailable","error":"the database does not answer"}`, answer,
		"the cause is for the log, not for clients")

	status, _ = request(down, "GET", "/livez", "")
	assert.Equal(t, 200, status, "a restart would not bring the database back")
}

func TestOrdersArePlacedAndListed(t *testing.T) {
	b := &book{}
	status, answer := request(b, "POST", "/", `{"item":"cup","quantity":6}`)
	assert.Equal(t, 201, status)
	assert.JSONEq(t, `{"id":1,"item":"cup","quantity":6,"placedAt":"1970-01-01T00:00:00Z"}`, answer)
	status, answer = request(b, "GET", "/?limit=1", "")
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `{"orders":[{"id":1,"item":"cup","quantity":6,"placedAt":"1970-01-01T00:00:00Z"}]}`, answer)
}

func TestBadRequestsAreRefusedWithTheReason(t *testing.T) {
	for name, c := range map[string]struct{ method, target, body, want string }{
		"limit is not a number": {"GET", "/?limit=many", "", "limit"},
		"limit is too large":    {"GET", "/?limit=101", "", "limit"},
		"body is not JSON":      {"POST", "/", "cup", "as JSON"},
		"body has more":         {"POST", "/", `{"item":"cup","quantity":1,"price":0}`, "as JSON"},
		"no item":               {"POST", "/", `{"quantity":1}`, "item"},
		"quantity is nothing":   {"POST", "/", `{"item":"cup"}`, "quantity"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := request(&book{}, c.method, c.target, c.body)
			assert.Equal(t, 400, status)
			assert.Contains(t, answer, c.want)
		})
	}
}

func TestARequestInFlightIsAnsweredAfterSIGTERM(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	b := &book{list: func(context.Context) { close(entered); <-release }}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, terminate := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- serveOn(ctx, listener, routes(b, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	}()
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + listener.Addr().String() + "/")
		if err != nil {
			answered <- 0
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	terminate()
	assert.Eventually(t, func() bool {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	}, 5*time.Second, 10*time.Millisecond, "nothing new is accepted")
	close(release)
	assert.Equal(t, 200, <-answered)
	assert.NoError(t, <-stopped)
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestBadConfigurationIsReportedAllAtOnceAndWithoutThePassword(t *testing.T) {
	const secret = "k]-%hA|RI*[?j(-(l]{("
	for name, c := range map[string]struct {
		url, limit string
		want       []string
	}{
		"nothing set": {"", "", []string{"DATABASE_URL is not set"}},
		"password not encoded": {
			"postgres://u:" + secret + "@h/db", "0",
			[]string{"DATABASE_URL", "DATABASE_MAX_CONNECTIONS", "from 1 to 1000"},
		},
		"CA file does not exist": {
			"postgres://u:" + "x@h/db?sslmode=verify-full&sslrootcert=/nowhere.pem", "9",
			[]string{"sslrootcert"},
		},
		"limit is not a number": {"postgres://u:x@h/db", "ten", []string{"DATABASE_MAX_CONNECTIONS", `"ten"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := poolConfig(t.Context(), env("DATABASE_URL", c.url, "DATABASE_MAX_CONNECTIONS", c.limit))
			require.Error(t, err)
			for _, w := range c.want {
				require.ErrorContains(t, err, w)
			}
			assert.NotContains(t, err.Error(), secret)
			assert.NotContains(t, err.Error(), "hA|RI")
		})
	}
}

func TestPoolSizeComesFromTheEnvironment(t *testing.T) {
	cfg, err := poolConfig(t.Context(), env("DATABASE_URL", "postgres://u:x%3A%23@h:5432/db?sslmode=disable",
		"DATABASE_MAX_CONNECTIONS", "50"))
	require.NoError(t, err)
	assert.EqualValues(t, 50, cfg.MaxConns)
	assert.Equal(t, "x:#", cfg.ConnConfig.Password)
	assert.Equal(t, "myshop-api", cfg.ConnConfig.RuntimeParams["application_name"])
	assert.Equal(t, connectTimeout, cfg.ConnConfig.ConnectTimeout)
}

// An old pod of the pool cuts the clients that stay, so no connection may be older than the service was told.
func TestConnectionsAreKeptNoLongerThanTheEnvironmentSays(t *testing.T) {
	const url, name = "postgres://u:x@h/db?sslmode=disable", "DATABASE_CONNECTION_MAX_LIFETIME_SECONDS"
	cfg, err := poolConfig(t.Context(), env("DATABASE_URL", url, name, "60"))
	require.NoError(t, err)
	assert.Equal(t, time.Minute, cfg.MaxConnLifetime+cfg.MaxConnLifetimeJitter)
	assert.Equal(t, 6*time.Second, cfg.HealthCheckPeriod)
	cfg, err = poolConfig(t.Context(), env("DATABASE_URL", url))
	require.NoError(t, err)
	assert.Equal(t, time.Hour, cfg.MaxConnLifetime, "pgx's own")
	for _, wrong := range []string{"0", "-1", "60s", "86401"} {
		_, err = poolConfig(t.Context(), env("DATABASE_URL", url, name, wrong))
		require.ErrorContains(t, err, name)
	}
}

func TestWrongCommandLinesAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"fly"},
		{"serve", "now"},
		{"migrate"},
		{"migrate", "down"},
		{"migrate", "up", "twice"},
		{"migrate", "--to", "3", "up"},
	} {
		err := run(t.Context(), args, env(), slog.New(slog.DiscardHandler))
		assert.ErrorIs(t, err, errUsage, "%q", args)
	}
}

func TestTheLogOfAServerHoldsNoPassword(t *testing.T) {
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, nil, env("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/db", "LISTEN_ADDRESS", "127.0.0.1:0"),
		slog.New(slog.NewJSONHandler(&out, nil)))
	require.NoError(t, err)
	assert.Contains(t, out.String(), `"database":"db"`)
	assert.NotContains(t, out.String(), "hunter2")
}

func TestSoakRemembersWhatWasAcknowledged(t *testing.T) {
	ctx, enough := context.WithCancel(t.Context())
	done := make(chan written)
	remembered := make(chan map[string]bool, 1)
	places := make(chan struct{}, 100)
	tell := func() { places <- struct{}{} }
	good, bad := &book{place: tell}, &book{place: tell, err: errors.New("the session has ended")}
	go func() {
		items, all := place(ctx, []orderBook{good, bad}, "soak run")
		remembered <- items
		done <- all
	}()
	<-places
	<-places
	enough()
	assert.Equal(t, map[string]bool{"soak run 0-0": true}, <-remembered)
	assert.Equal(t, written{Acknowledged: 1, Unknown: 1, Outages: []float64{}, Error: "the session has ended"}, <-done)
}

func TestSoakTellsWhatItsClientsGot(t *testing.T) {
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	asked := make(chan struct{}, 100)
	waiting := &book{list: func(request context.Context) {
		asked <- struct{}{}
		_, limited := request.Deadline()
		assert.True(t, limited, "a request has an end")
		<-ctx.Done()
		assert.NoError(t, request.Err(), "a request that has begun is let end")
	}}
	done := make(chan soaked)
	go func() { done <- ask(ctx, []orderBook{waiting, waiting, waiting}) }()
	for range 3 {
		<-asked
	}
	enough()
	all := <-done
	assert.Equal(t, 3, all.Answered)
	assert.Zero(t, all.Failed)
	assert.Positive(t, all.LongestSeconds)

	failing := &book{err: errors.New("dial tcp 10.0.0.1: refused"), list: func(context.Context) { asked <- struct{}{} }}
	ctx, enough = context.WithCancel(t.Context())
	defer enough()
	go func() { done <- ask(ctx, []orderBook{failing}) }()
	<-asked
	enough()
	all = <-done
	assert.Equal(t, 1, all.Failed)
	assert.Equal(t, "dial tcp 10.0.0.1: refused", all.Error)
}

func TestSoakRefusesWhatItCannotDo(t *testing.T) {
	for _, args := range [][]string{
		{"soak", "--clients", "0"},
		{"soak", "--clients", "many"},
		{"soak", "now"},
		{"soak", "--clients", "1001"},
	} {
		err := run(t.Context(), args, func(string) string { return "" }, slog.New(slog.DiscardHandler))
		assert.ErrorIs(t, err, errUsage, "%v", args)
	}
}
