// Command schemagen writes config/schema.json, the JSON Schema of Pulumi.<stack>.yaml, with which editors complete and
// check the file, and the same for people as docs/reference/configuration.md. `go generate ./config` runs it in the
// folder of package config.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// run writes the schema into the working directory, the folder of package config, and the reference into docs. The
// descriptions are read from the sources there and in ../components.
func run() error {
	root, err := stackSchema(".")
	if err != nil {
		return err
	}
	text, err := encode(root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(schemaFile("."), text, 0o644); err != nil {
		return fmt.Errorf("writing the schema: %w", err)
	}
	if err := os.WriteFile(referenceFile("."), []byte(reference(root)), 0o644); err != nil {
		return fmt.Errorf("writing the reference: %w", err)
	}
	return nil
}

// encode returns the text of the schema.
func encode(root *schema) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return text.Bytes(), nil
}
