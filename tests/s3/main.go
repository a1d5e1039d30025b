// Command s3 serves S3 buckets in memory, for tests of the driver with such a backend. It is a separate module, because
// no program of this project needs its dependencies. It creates the bucket "states", prints its port on 127.0.0.1, and
// ends when its input ends.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
		os.Exit(1)
	}
}

func serve() error {
	buckets := s3mem.New()
	if err := buckets.CreateBucket("states"); err != nil {
		return fmt.Errorf("creating the bucket: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: gofakes3.New(buckets).Server(), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return fmt.Errorf("parsing the address: %w", err)
	}
	fmt.Println(port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Close()
	}()
	if err := <-ended; err != http.ErrServerClosed { //nolint:errorlint // Serve returns exactly this error.
		return err
	}
	return nil
}
