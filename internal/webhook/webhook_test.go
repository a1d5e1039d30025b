package webhook_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/webhook"
)

// hookAt is the hook at a server's secret path, which does not wait.
func hookAt(t *testing.T, server string) (hook *webhook.Hook, waited *[]time.Duration) {
	t.Helper()
	hook, err := webhook.Parse(server + "/hush/token?key=hush")
	require.NoError(t, err)
	waited = new([]time.Duration)
	hook.Wait = func(_ context.Context, before time.Duration) error {
		*waited = append(*waited, before)
		return nil
	}
	return hook, waited
}

func TestADocumentIsPostedAndTriedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answers []int
		calls   int32
		want    string
	}{
		"at once":          {[]int{204}, 1, ""},
		"at the third try": {[]int{503, 429, 200}, 3, ""},
		"never":            {[]int{500, 502, 503}, 3, "it answered 503 Service Unavailable, in 3 attempts"},
		"a wrong path":     {[]int{404}, 1, "it answered 404 Not Found"},
		"a redirect":       {[]int{307}, 1, "it answered 307 Temporary Redirect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				assert.Equal(t, `{"a":1}`, string(body))
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				assert.Equal(t, "POST /hush/token?key=hush", r.Method+" "+r.URL.RequestURI())
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.answers[calls.Add(1)-1])
			}))
			defer server.Close()
			hook, waited := hookAt(t, server.URL)
			err := hook.Post(t.Context(), []byte(`{"a":1}`))
			assert.Equal(t, c.calls, calls.Load())
			assert.Len(t, *waited, int(c.calls)-1)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
}

func TestNoErrorHasAPartOfTheURL(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	cutting := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer cutting.Close()
	for server, want := range map[string]string{
		closed.URL: "connection refused, in 3 attempts", untrusted.URL: "its certificate is not trusted",
		cutting.URL: "the connection failed, in 3 attempts",
	} {
		hook, _ := hookAt(t, server)
		err := hook.Post(t.Context(), nil)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "hush")
		assert.NotContains(t, err.Error(), "127.0.0.1")
	}
	hook, _ := hookAt(t, closed.URL)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, hook.Post(stopped, nil), context.Canceled)
}

func TestAURLIsEncryptedOrOfThisMachine(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"https://example.com/hush", "http://localhost:8080/hush", "http://127.0.0.1/hush", "http://[::1]:1/hush",
	} {
		hook, err := webhook.Parse(text)
		require.NoError(t, err, text)
		assert.Contains(t, hook.Secrets(), text)
		assert.Equal(t, []string{text}, hook.Secrets(), "a short path is a word of other texts")
	}
	const token, key = "xoxb0123456789abcdef", "0123456789/abcdef"
	hook, err := webhook.Parse("https://example.com/apps/" + token + "?a=1&key=0123456789%2Fabcdef")
	require.NoError(t, err)
	assert.Subset(t, hook.Secrets(), []string{token, key, "a=1&key=0123456789%2Fabcdef"})
	assert.NotContains(t, hook.Secrets(), "apps")
	assert.NotContains(t, hook.Secrets(), "1")
	hook, err = webhook.Parse("https://user:hunter@example.com/")
	require.NoError(t, err)
	assert.Contains(t, hook.Secrets(), "hunter")
	for text, want := range map[string]string{
		"": "is empty", "hush": "is not a URL", "https://": "is not a URL", "https:hush": "is not a URL",
		"https://[hush": "is not a URL", "https://a b/hush": "is not a URL", "http://example.com/hush": "want https://",
		"ftp://localhost/hush": "want https://", "http://10.0.0.1/hush": "want https://",
		"http://localhost.example.com/hush": "want https://",
	} {
		_, err := webhook.Parse(text)
		require.ErrorContains(t, err, want, text)
		assert.NotContains(t, err.Error(), "hush", text)
	}
}
