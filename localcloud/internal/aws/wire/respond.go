package wire

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Negotiate returns a writer that compresses answers if the client accepts that.
func Negotiate(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	return &negotiated{ResponseWriter: w, gzip: strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")}
}

type negotiated struct {
	http.ResponseWriter
	gzip bool
}

const (
	// oneRead is how many bytes a client reads at once, headers included.
	oneRead = 3500
	// roundTrip is shorter than a network round trip to AWS.
	roundTrip = 20 * time.Millisecond
)

// respond writes an answer, if possible small enough for one read of the client. The AWS SDK for Go closes the request
// body as soon as the answer begins (smithy-go, ClientHandler.Handle). If net/http has not reached the end of the body
// by then, it takes the close for a failed write and drops the connection in the middle of a longer answer. This
// happens on loopback, where answers come faster than over any network. So large answers are compressed, and answers
// that are still large are delayed by a round trip.
func respond(w http.ResponseWriter, status int, contentType string, text []byte, requestID string) {
	if n, ok := w.(*negotiated); ok && n.gzip && len(text) > oneRead {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, errWrite := z.Write(text)
		if errWrite == nil && z.Close() == nil {
			w.Header().Set("Content-Encoding", "gzip")
			text = b.Bytes()
		}
	}
	if len(text) > oneRead {
		<-time.After(roundTrip)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set(requestIDHeader, requestID)
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
