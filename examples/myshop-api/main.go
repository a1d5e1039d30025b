package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  myshop-api [serve]                        serve HTTP until SIGTERM
  myshop-api migrate [--migrations DIR] up  bring the schema to the newest version
  myshop-api whoami                         connect as serve does, and print the database user
  myshop-api soak [--clients N] [--reconnect] [--write]
                                            list orders as serve does, with N clients (default 50), until
                                            SIGTERM, then print the results; with --write, place orders
                                            and look for the acknowledged ones in the end
`

// errUsage marks an invalid command line: the program prints the usage and exits with 2.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	err := run(ctx, os.Args[1:], os.Getenv, log)
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "myshop-api: %v\n%s", err, usage)
		os.Exit(2) //nolint:gocritic // stop() only unregisters a signal handler of a process that ends here
	default:
		log.Error("stopped", "error", err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, log *slog.Logger) error {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		if len(args) > 0 {
			return fmt.Errorf("%w: serve takes no arguments, got %q", errUsage, args)
		}
		return serve(ctx, getenv, log)
	case "whoami":
		if len(args) > 0 {
			return fmt.Errorf("%w: whoami takes no arguments, got %q", errUsage, args)
		}
		cfg, err := poolConfig(ctx, getenv)
		if err != nil {
			return err
		}
		return whoAmI(ctx, cfg, os.Stdout)
	case "soak":
		flags := flag.NewFlagSet("soak", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		clients := flags.Uint("clients", 50, "number of concurrent clients")
		reconnect := flags.Bool("reconnect", false, "open a connection for each request")
		write := flags.Bool("write", false, "place orders, and look for those that were acknowledged in the end")
		if err := flags.Parse(args); err != nil {
			return fmt.Errorf("%w: soak: %w", errUsage, err)
		}
		if flags.NArg() > 0 || *clients < 1 || *clients > 1000 {
			return fmt.Errorf("%w: soak wants 1 to 1000 --clients and no arguments, got %d and %q", errUsage, *clients,
				flags.Args())
		}
		cfg, err := poolConfig(ctx, getenv)
		if err != nil {
			return err
		}
		if *write {
			return soakWrites(ctx, cfg, *clients, *reconnect, os.Stdout)
		}
		return soak(ctx, cfg, *clients, *reconnect, os.Stdout)
	case "migrate":
		flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		dir := flags.String("migrations", getenv("MIGRATIONS_DIR"), "folder of migrations")
		if err := flags.Parse(args); err != nil {
			return fmt.Errorf("%w: migrate: %w", errUsage, err)
		}
		// The flag can come before or after the verb.
		if flags.Arg(0) != "up" {
			return fmt.Errorf("%w: migrate wants the word up, got %q", errUsage, flags.Args())
		}
		if err := flags.Parse(flags.Args()[1:]); err != nil {
			return fmt.Errorf("%w: migrate up: %w", errUsage, err)
		}
		if flags.NArg() > 0 {
			return fmt.Errorf("%w: migrate up takes no arguments, got %q", errUsage, flags.Args())
		}
		return migrateUp(ctx, getenv("DATABASE_URL"), *dir, log)
	default:
		return fmt.Errorf("%w: unknown command %q", errUsage, command)
	}
}
