package aws

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheOutageOfAZoneReachesTheServersInIt(t *testing.T) {
	a := newAccount(t)
	a.instance("multi", m{"multiAz": true, "availabilityZone": nil})
	fault := func(method, query string) *httptest.ResponseRecorder {
		a.engine.calls = nil
		w := httptest.NewRecorder()
		a.control.ServeHTTP(w, httptest.NewRequest(method, "/aws/faults"+query, http.NoBody))
		return w
	}
	none := fmt.Sprintf("isolate multi %t %t", false, false)
	for zone, call := range map[string]string{
		"a": "isolate multi true false", "b": "isolate multi false true", "c": none,
	} {
		assert.Equal(t, http.StatusNoContent, fault(http.MethodPost, "?zone="+zone).Code)
		assert.Equal(t, []string{call}, a.engine.calls)
	}
	assert.Equal(t, http.StatusNoContent, fault(http.MethodDelete, "").Code)
	assert.Equal(t, []string{none}, a.engine.calls)
	refused := fault(http.MethodPost, "?zone=d")
	assert.Equal(t, http.StatusBadRequest, refused.Code)
	assert.Contains(t, refused.Body.String(), `zone: \"d\": want one of a, b, c`)
}
