package wire

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Negotiate prepares a writer for answers to a request: compressed where the client takes that.
func Negotiate(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	return &negotiated{ResponseWriter: w, gzip: strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")}
}

type negotiated struct {
	http.ResponseWriter
	gzip bool
}

const (
	// oneRead is what a client reads at once, with the header.
	oneRead = 3500
	// roundTrip is less than a network on the way to AWS takes.
	roundTrip = 20 * time.Millisecond
)

// respond writes an answer, small enough for one read of the client if that can be: the AWS SDK for Go closes the
// request body as soon as the answer begins (smithy-go, ClientHandler.Handle), and when net/http has not looked for the
// body's end by then it takes that for a failed write and drops the connection, in the middle of an answer that comes
// in several reads. Behind a network nobody answers that fast; on loopback it happens. So large answers are compressed,
// and what is still large waits as a network would.
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
