package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

func render(tb testing.TB, r *report.Report) string {
	tb.Helper()
	var out strings.Builder
	require.NoError(tb, report.HTML(&out, r))
	return out.String()
}

func TestAPageOfADrillWithAProblemClaimsNothingAboutWrites(t *testing.T) {
	t.Parallel()
	page := render(t, unmeasured(t))
	read(t, page)
	assert.Contains(t, page, "no route to host")
	assert.NotContains(t, page, "0 lost")
	assert.NotContains(t, page, `data-figure="all.lost"`)
	assert.Contains(t, page, `<svg class="chart wide"`, "what was measured is still drawn")

	read(t, render(t, &report.Report{Problem: "nothing was measured"}))
}

func TestThePageHasTheFiguresOfTheReport(t *testing.T) {
	t.Parallel()
	r := failover(t)
	p := read(t, render(t, r))
	number := func(name string) float64 {
		value, err := strconv.ParseFloat(p.values[name], 64)
		require.NoError(t, err, name)
		return value
	}
	want := map[string]float64{
		"duration": 66.8, "all.write.longest": 4.287, "all.read.longest": 4.155, "all.failed": 77, "all.lost": 0,
		"all.duplicated": 0, "outage.1": 4.331, "error.1": 4, "ledger.acknowledged": 3352, "ledger.lost": 0,
		"ledger.duplicated": 0, "ledger.failed": 33, "ledger.unknown": 3, "ledger.unknownStored": 1,
		"ledger.unknownAbsent": 2,
	}
	for _, g := range r.Load.Groups {
		name := g.Client + "." + g.Kind + "."
		want[name+"longest"], want[name+"outages"] = g.Longest, float64(len(g.Outages))
		want[name+"requests"], want[name+"failed"] = float64(g.Answered+g.Failed), float64(g.Failed)
		want[name+"retries"], want[name+"clients"], want[name+"rate"] = float64(g.Retries), float64(g.Clients), g.Rate
		want[name+"p50"], want[name+"p99"], want[name+"max"] = g.P50, g.P99, g.Max
	}
	for name, value := range want {
		assert.InDelta(t, value, number(name), 1e-9, name)
	}
	assert.Equal(t, r.Figures().Account, p.texts["account"])
	assert.Equal(t, "77", p.texts["bound.max-failed"])
	assert.Equal(t, "4.3s", p.texts["all.write.longest"])
	assert.Equal(t, "1,122", p.texts["persistent.write.requests"])
	assert.Equal(t, "9.3ms", p.texts["reconnecting.write.p50"])
	page := render(t, r)
	for _, f := range slices.Concat(r.Versions, r.Settings) {
		assert.Contains(t, page, "<dt>"+f.Name+"</dt><dd>"+f.Value+"</dd>")
	}
	for _, e := range r.Load.Errors {
		assert.Contains(t, p.text, e.Text)
	}
	assert.NotContains(t, page, "charts lack")
}

func TestThePageBeginsWithItsVerdict(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(r *report.Report){
		`bad">✗ 1 of 3 bounds not met: max-failed<`: func(*report.Report) {},
		`good">✓ 2 of 2 bounds met<`:                func(r *report.Report) { r.Verdict = slices.Delete(r.Verdict, 1, 2) },
		`bad">✗ The drill has a problem<`:           func(r *report.Report) { r.Problem = "no pods" },
		`quiet">Measured, without bounds<`:          func(r *report.Report) { r.Verdict = nil },
		`bad">✗ 1 write lost, 0 duplicated<`: func(r *report.Report) {
			r.Verdict, r.Load.Ledger.Lost = nil, 1
		},
	} {
		r := failover(t)
		change(r)
		assert.Contains(t, render(t, r), `<p class="verdict `+want)
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	t.Parallel()
	p := read(t, render(t, failover(t)))
	for _, e := range p.elements {
		assert.NotContains(t, []string{"script", "link", "img", "iframe", "object", "image", "use", "a"}, e.Name.Local)
		for _, a := range e.Attr {
			assert.NotContains(t, []string{"src", "href", "style"}, a.Name.Local)
		}
	}
	assert.NotContains(t, p.text, "url(")
	assert.NotContains(t, p.text, "@import")
	assert.Contains(t, p.contents, "default-src 'none'; style-src 'unsafe-inline'", "a browser would not load it either")
}

func TestChartsHaveWordsForThoseWhoDoNotSeeThem(t *testing.T) {
	t.Parallel()
	p := read(t, render(t, failover(t)))
	charts := 0
	for _, e := range p.elements {
		for _, a := range e.Attr {
			if a.Name.Local == "aria-labelledby" {
				for _, id := range strings.Fields(a.Value) {
					assert.Contains(t, p.ids, id)
				}
			}
			if a.Name.Local == "role" && a.Value == "img" {
				charts++
			}
		}
	}
	assert.Equal(t, 4*3, charts)
	assert.Contains(t, p.text, "77 in the seconds 2 to 62, at most 17 in one.")
}

func TestNoTextOfAReportMakesHTMLOfItsOwn(t *testing.T) {
	t.Parallel()
	const evil = `"'></title></desc></style><script>alert(1)</script><img src=x onerror=alert(1)>`
	r := failover(t)
	replaceStrings(reflect.ValueOf(r).Elem(), evil)
	page := render(t, r)
	plain := read(t, render(t, failover(t)))
	p := read(t, page)
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "<img")
	assert.Contains(t, p.text, evil, "it is shown as it is")
	for _, e := range p.elements {
		assert.True(t, slices.ContainsFunc(plain.elements, func(other xml.StartElement) bool {
			return other.Name == e.Name
		}) || e.Name.Local == "p", e.Name.Local)
	}
}

// replaceStrings sets every string of a report.
func replaceStrings(v reflect.Value, to string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(to)
	case reflect.Slice:
		for i := range v.Len() {
			replaceStrings(v.Index(i), to)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for _, f := range v.Fields() {
			replaceStrings(f, to)
		}
	default:
	}
}

func TestThePageSaysThatTheFirstSecondsAreMissing(t *testing.T) {
	t.Parallel()
	r := failover(t)
	r.Load.Seconds = r.Load.Seconds[20:]
	assert.Contains(t, render(t, r), "The charts lack the first 20.0s of the load")
}

func TestAnUnfinishedPageIsAnError(t *testing.T) {
	t.Parallel()
	err := report.HTML(full{}, failover(t))
	require.ErrorIs(t, err, errFull)
	assert.Contains(t, err.Error(), "drill failover")
}

var errFull = errors.New("no space left on device")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// parsed is a page as a program reads it.
type parsed struct {
	elements []xml.StartElement
	ids      map[string]bool
	// values and texts are those of the figures.
	values, texts map[string]string
	// contents are those of meta elements.
	contents []string
	// text is all text.
	text string
}

// read parses a page. It is well-formed XML too, so a mark that is not closed or an id that is there twice is an error.
func read(tb testing.TB, page string) parsed {
	tb.Helper()
	p := parsed{ids: map[string]bool{}, values: map[string]string{}, texts: map[string]string{}}
	var all strings.Builder
	open := []string{}
	decoder := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(tb, err)
		switch token := token.(type) {
		case xml.StartElement:
			p.elements = append(p.elements, token.Copy())
			figure := ""
			for _, a := range token.Attr {
				switch a.Name.Local {
				case "id":
					require.False(tb, p.ids[a.Value], "the id %s is there twice", a.Value)
					p.ids[a.Value] = true
				case "data-figure":
					figure = a.Value
				case "content":
					p.contents = append(p.contents, a.Value)
				case "value":
					p.values[figure] = a.Value
				}
			}
			open = append(open, figure)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			all.Write(token)
			if len(open) > 0 && open[len(open)-1] != "" {
				p.texts[open[len(open)-1]] += string(token)
			}
		}
	}
	require.Empty(tb, open)
	p.text = all.String()
	return p
}
