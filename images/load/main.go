package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage:
  load run --run ID         write to and read from the database in DATABASE_URL until SIGTERM, then account for the
                            writes; prints a line of JSON each second, and a last one
    --writers N             writers of each kind of client (default 4)
    --readers N             readers of each kind of client (default 4)
    --rate N                requests per second of each client (default 5)
    --request-timeout D     limit of one attempt (default 10s)
    --max-lifetime D        how long a client keeps a connection at most (default 0, for good)
    --retry-for D           limit of one request of the retrying clients, with all attempts (default 60s)
  load stop                 send SIGTERM to the load in this container
`

// errUsage marks an invalid command line: the program prints the usage and exits with 2.
var errUsage = errors.New("wrong usage")

func main() {
	// As PID 1 of its container the program gets only the signals that it handles.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	err := command(ctx, os.Args[1:], os.Getenv("DATABASE_URL"), os.Stdout)
	var told problemError
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "load: %v\n%s", err, usage)
		os.Exit(2) //nolint:gocritic // stop() only unregisters a signal handler of a process that ends here
	case errors.As(err, &told): // is in the output
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, databaseURL string, out io.Writer) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "run":
		opts, err := parse(args)
		if err != nil {
			return err
		}
		db, err := open(databaseURL, opts.run)
		if err != nil {
			return err
		}
		return run(ctx, opts, db, out)
	case "stop":
		if len(args) > 0 {
			return fmt.Errorf("%w: stop takes no arguments, got %q", errUsage, args)
		}
		return stopRun()
	default:
		return fmt.Errorf("%w: want run or stop, got %q", errUsage, name)
	}
}

// options are the flags of `load run`.
type options struct {
	run string
	// writers and readers are the numbers of clients of each kind. rate is in requests per second of each client.
	writers, readers, rate int
	// attempt limits one attempt, and request one request of a retrying client with all its attempts.
	attempt, request time.Duration
	// lifetime is how long a connection is kept at most, 0 for good.
	lifetime time.Duration
}

const (
	mostClients = 100
	mostPerSec  = 2000
	// A group with fewer requests would show times without an answer in which nothing was asked.
	leastPerSec = 4
)

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.run, "run", "", "")
	flags.IntVar(&o.writers, "writers", 4, "")
	flags.IntVar(&o.readers, "readers", 4, "")
	flags.IntVar(&o.rate, "rate", 5, "")
	flags.DurationVar(&o.attempt, "request-timeout", 10*time.Second, "")
	flags.DurationVar(&o.request, "retry-for", time.Minute, "")
	flags.DurationVar(&o.lifetime, "max-lifetime", 0, "")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("%w: run: %w", errUsage, err)
	}
	fault := func(format string, values ...any) (options, error) {
		return o, fmt.Errorf("%w: run: %s", errUsage, fmt.Sprintf(format, values...))
	}
	all := len(clientKinds) * (o.writers + o.readers) * o.rate
	switch {
	case flags.NArg() > 0:
		return fault("takes no arguments, got %q", flags.Args())
	case o.run == "":
		return fault("--run is missing: it names the rows of this run")
	case min(o.writers, o.readers) < 1 || max(o.writers, o.readers) > mostClients:
		return fault("--writers %d, --readers %d: want 1 to %d of each", o.writers, o.readers, mostClients)
	case o.rate < 1 || min(o.writers, o.readers)*o.rate < leastPerSec:
		return fault("--rate %d: want at least %d requests a second of all writers of a kind, and of all readers",
			o.rate, leastPerSec)
	case all > mostPerSec:
		return fault("--rate %d: these are %d requests a second: want at most %d", o.rate, all, mostPerSec)
	case o.lifetime < 0:
		return fault("--max-lifetime %s: want 0 or more", o.lifetime)
	case o.attempt <= 0 || o.request < o.attempt:
		return fault("--request-timeout %s, --retry-for %s: want a positive time and one that is not shorter",
			o.attempt, o.request)
	}
	return o, nil
}
