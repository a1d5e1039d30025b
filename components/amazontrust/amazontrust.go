package amazontrust

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed roots/*.pem
var roots embed.FS

// Bundle is the PEM text of all roots, Amazon's own first.
func Bundle() string {
	files, err := fs.Glob(roots, "roots/*.pem")
	var bundle strings.Builder
	for _, file := range files {
		text, readErr := roots.ReadFile(file)
		if readErr != nil {
			err = readErr
		}
		bundle.Write(text)
	}
	if err != nil {
		// The folder is compiled in.
		panic(err)
	}
	return bundle.String()
}
