//go:build browser

package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

// measure is what a browser shows at one width.
type measure struct {
	Width, PageWidth int
	Dark             bool
	// Tables are those that are wider than the page.
	Tables []string
	Charts []struct {
		Size string
		// Letters is the size of letters in pixels of the screen.
		Letters           float64
		Overlaps, Outside int
	}
	Figures map[string]string
	// Faint are texts with too little contrast.
	Faint []string
}

func TestABrowserShowsThePageReadableAtEachWidth(t *testing.T) {
	t.Parallel()
	sizes := map[int]string{320: "narrow", 400: "narrow", 720: "medium", 1200: "wide"}
	for name, r := range map[string]*report.Report{"failover": failover(t), "busy": busy(t)} {
		page := render(t, r)
		want := read(t, page).texts
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				t.Parallel()
				measures := measures(t, page, dark)
				require.Len(t, measures, len(sizes))
				for _, m := range measures {
					at := strconv.Itoa(m.Width) + " px"
					assert.Equal(t, dark, m.Dark)
					assert.LessOrEqual(t, m.PageWidth, m.Width, "the page of %s must not scroll sideways", at)
					assert.Equal(t, want, m.Figures)
					assert.Empty(t, m.Faint, at)
					if m.Width >= 400 {
						assert.Empty(t, m.Tables, at)
					}
					require.Len(t, m.Charts, 4, "one drawing of each chart is shown")
					for _, c := range m.Charts {
						assert.Equal(t, sizes[m.Width], c.Size)
						assert.GreaterOrEqual(t, c.Letters, 9.5, at)
						assert.Zero(t, c.Overlaps, at)
						assert.Zero(t, c.Outside, at)
					}
				}
			})
		}
	}
}

// busy is a drill with many events at nearly the same time, some at the ends of the charts, and words without a break.
func busy(t *testing.T) *report.Report {
	t.Helper()
	r := failover(t)
	for i := range 14 {
		at := r.Began.Add(time.Duration(12_000+i*300) * time.Millisecond)
		if i > 8 {
			at = r.Load.Ended.Add(-time.Duration(i*700) * time.Millisecond)
		}
		r.Events = append(r.Events, report.Event{
			At: at, Kind: report.Note, Text: "WWWW MMMM " + strings.Repeat("https://status.example/", i),
		})
	}
	slices.SortFunc(r.Events, func(a, b report.Event) int { return a.At.Compare(b.At) })
	r.Problem = strings.Repeat("unbreakable", 40)
	r.Load.Errors[0].Text = strings.Repeat("unbreakable", 40)
	return r
}

// The pictures stay with `go test -artifacts`.
func TestABrowserPaintsThePageInTheColoursThatThePersonWants(t *testing.T) {
	t.Parallel()
	dir := t.ArtifactDir()
	file := filepath.Join(dir, "failover.html")
	require.NoError(t, os.WriteFile(file, []byte(render(t, failover(t))), 0o600))
	for _, width := range []int{400, 1200} {
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			picture := filepath.Join(dir, "failover-"+strconv.Itoa(width)+"-"+scheme+".png")
			chromium(t, dark, "--screenshot="+picture, "--window-size="+strconv.Itoa(width)+",3000", "file://"+file)
			text, err := os.ReadFile(picture)
			require.NoError(t, err)
			decoded, err := png.Decode(bytes.NewReader(text))
			require.NoError(t, err)
			assert.Equal(t, width, decoded.Bounds().Dx())
			red, _, _, _ := decoded.At(1, 1).RGBA()
			assert.Equal(t, dark, red < 1<<15, picture)
		}
	}
}

// measures opens the page in frames of several widths, and returns what a script beside them finds. The page itself
// allows no scripts.
func measures(t *testing.T, page string, dark bool) []measure {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/measure", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/measure.html")
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	dom := chromium(t, dark, "--dump-dom", "--window-size=1300,1000", server.URL+"/measure")
	_, after, found := strings.Cut(dom, `<pre id="result">`)
	require.True(t, found, dom)
	result, _, _ := strings.Cut(after, "</pre>")
	var all []measure
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(result)), &all))
	return all
}

// chromium runs a headless browser. As root it has no sandbox, and it shows only our page.
func chromium(t *testing.T, dark bool, args ...string) string {
	t.Helper()
	var program string
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	require.NotEmpty(t, program, "no Chromium on PATH: `make browser` installs it")
	scheme := "1"
	if dark {
		scheme = "0"
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--user-data-dir=" + t.TempDir(), "--blink-settings=preferredColorScheme=" + scheme,
	}, args...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}
