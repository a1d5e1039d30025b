package wire_test

import (
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/wire"
)

func TestUnreadParametersAreRefusedByName(t *testing.T) {
	p := wire.NewParams(url.Values{
		"Action": {"Do"}, "Version": {"1"}, "A": {"1"}, "Zeta": {"x"},
		"Beta.member.1": {"y"}, "X-Amz-Date": {"z"},
	})
	p.String("A")
	err := p.Check()
	require.NotNil(t, err)
	assert.Equal(t, wire.CodeNotModelled, err.Code)
	assert.Contains(t, err.Message, "Beta.member.1, Zeta of Do")
}

func TestParametersAreRead(t *testing.T) {
	p := wire.NewParams(url.Values{
		"Action": {"Do"}, "N": {"5"}, "B": {"TRUE"}, "L.member.1": {"a"}, "L.member.2": {"b"}, "L.member.4": {"d"},
		"S.x.1.Key": {"k"}, "S.x.2.Key": {"l"},
	})
	assert.Equal(t, 5, p.Int("N", 0))
	assert.Equal(t, 7, p.Int("M", 7))
	assert.True(t, *p.Bool("B"))
	assert.Nil(t, p.Bool("C"))
	assert.Equal(t, []string{"a", "b"}, p.Strings("L.member"), "lists have no gaps")
	assert.Equal(t, 2, p.Count("S.x"))
	assert.Equal(t, "k", p.String("S.x.1.Key"))
	p.String("S.x.2.Key")
	assert.Contains(t, p.Check().Message, "L.member.4")
}

func TestAllFaultsOfParametersAreReportedTogether(t *testing.T) {
	p := wire.NewParams(url.Values{"Action": {"Do"}, "N": {"x"}, "B": {"maybe"}})
	p.Int("N", 0)
	p.Bool("B")
	p.Required("R")
	err := p.Check()
	for _, says := range []string{"N must be a whole number", "B must be true or false", "the parameter R"} {
		assert.Contains(t, err.Message, says)
	}
}

type input struct {
	SecretID string `json:"SecretId"`
	Count    int
}

func TestJSONInputsAreStrict(t *testing.T) {
	in, err := wire.DecodeJSON[input]("Do", []byte(`{"SecretId":"x","Count":3}`))
	require.NoError(t, err)
	assert.Equal(t, input{"x", 3}, in)
	_, err = wire.DecodeJSON[input]("Do", nil)
	require.NoError(t, err)
	for body, code := range map[string]string{
		`[]`: "SerializationException", `{`: "SerializationException", `{"Count":"hunter2"}`: "SerializationException",
		`{"Count":1234567890123456789012}`: "SerializationException",
		`{"Other":1}`:                      wire.CodeNotModelled, `{"secretid":"x"}`: wire.CodeNotModelled,
	} {
		_, err := wire.DecodeJSON[input]("Do", []byte(body))
		var e *wire.Error
		require.ErrorAs(t, err, &e, body)
		assert.Equal(t, code, e.Code, body)
		assert.NotContains(t, e.Message, "hunter2", "a value that may be a secret is not quoted")
		assert.NotContains(t, e.Message, "123456789", "nor a number")
	}
}

func TestErrorsHaveTheShapeOfTheirProtocol(t *testing.T) {
	e := wire.Status(http.StatusForbidden, "AccessDenied", "no <way>")
	w := httptest.NewRecorder()
	wire.WriteQueryError(w, e, "urn:x", "id-1")
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Equal(t,
		`<ErrorResponse xmlns="urn:x"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no &lt;way&gt;</Message></Error><RequestId>id-1</RequestId></ErrorResponse>`, w.Body.String())

	w = httptest.NewRecorder()
	wire.WriteJSONError(w, e, "id-2")
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Equal(t, "id-2", w.Header().Get("X-Amzn-Requestid"))
	var body map[string]string
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	assert.Equal(t, "AccessDeniedException", body["__type"])
	assert.Equal(t, "no <way>", body["message"])

	w = httptest.NewRecorder()
	wire.WriteEC2Error(w, wire.NotModelled("it"), "id-3")
	assert.Contains(t, w.Body.String(), "<Response><Errors><Error><Code>NotImplemented</Code>")
	assert.Equal(t, http.StatusNotImplemented, w.Code)
}

func TestResultsAreWrappedInTheirAction(t *testing.T) {
	w := httptest.NewRecorder()
	wire.WriteQuery(w, "Do", "urn:x", struct{ A string }{"b"}, "id")
	assert.Equal(t,
		`<DoResponse xmlns="urn:x"><DoResult><A>b</A></DoResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DoResponse>`, w.Body.String())
	w = httptest.NewRecorder()
	wire.WriteQuery(w, "Do", "urn:x", nil, "id")
	assert.NotContains(t, w.Body.String(), "DoResult")
	require.NoError(t, xml.Unmarshal(w.Body.Bytes(), &struct{ XMLName xml.Name }{}))
}

func TestTimesAreSecondsWithMilliseconds(t *testing.T) {
	text, err := json.Marshal(wire.Time{Time: time.UnixMilli(1795428000123)})
	require.NoError(t, err)
	assert.Equal(t, "1795428000.123", string(text))
}

func TestLargeAnswersAreCompressedIfTheClientAcceptsIt(t *testing.T) {
	large := strings.Repeat("many secrets ", 2000)
	for accept, compressed := range map[string]bool{"gzip": true, "": false} {
		r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		wire.WriteJSON(wire.Negotiate(w, r), http.StatusOK, large, "id")
		body := io.Reader(w.Body)
		assert.Equal(t, compressed, w.Header().Get("Content-Encoding") == "gzip")
		if compressed {
			assert.Less(t, w.Body.Len(), 3500)
			z, err := gzip.NewReader(w.Body)
			require.NoError(t, err)
			body = z
		}
		var got string
		require.NoError(t, json.NewDecoder(body).Decode(&got))
		assert.Equal(t, large, got)
	}
}
