package kuberules

import (
	"errors"
	"regexp"
	"strings"
	"sync"
)

// The grammar of image references. Source: distribution/reference, by which kubelets and registries read them.
var (
	imageForm = sync.OnceValue(func() *regexp.Regexp {
		const (
			component = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
			label     = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
			host      = `(?:` + label + `(?:\.` + label + `)*|\[[a-fA-F0-9:]+\])(?::\d{1,5})?`
			tag       = `\w[\w.-]{0,127}`
			digest    = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}`
		)
		return regexp.MustCompile(
			`^((?:(` + host + `)/)?` + component + `(?:/` + component + `)*)(?::(` + tag + `))?(?:@(` + digest + `))?$`)
	})
	sha256Form = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })
)

// imageNameLimit is the longest name of an image without tag and digest, in characters.
const imageNameLimit = 255

// CheckImage returns an error if text is not the name of an image as a kubelet reads it (InvalidImageName).
func CheckImage(text string) error {
	parts := imageForm().FindStringSubmatch(text)
	if parts == nil {
		return errors.New(imageReason(text))
	}
	name, host, digest := parts[1], parts[2], parts[4]
	switch {
	case len(name) > imageNameLimit:
		return errors.New("has a name of more than 255 characters")
	case host != "" && host != "localhost" && !strings.ContainsAny(host, ".:"):
		// The first part is a host only if it looks like one. Otherwise it is a part of the name.
		if host != strings.ToLower(host) {
			return errors.New("has capitals, which the name of an image cannot have")
		}
	case strings.HasPrefix(digest, "sha256:") && !sha256Form().MatchString(digest):
		return errors.New("has a digest that is not sha256: and 64 digits of 0-9a-f")
	}
	return nil
}

// imageReason says what is wrong with a text that is not the name of an image.
func imageReason(text string) string {
	const want = "want the name of an image, such as registry.example/myshop-api:1.4.2"
	rest := text[strings.LastIndexByte(text, '/')+1:]
	switch {
	case text == "":
		return "is missing: " + want
	case strings.ContainsAny(text, " \t\n\r"):
		return "has white space; " + want
	case strings.Contains(text, "://"):
		return "is a URL; want the name without its scheme, such as registry.example/myshop-api:1.4.2"
	case strings.ContainsAny(text, "${}"):
		return "has a variable that nothing replaces; " + want
	case strings.HasSuffix(text, ":"):
		return "has an empty tag; " + want
	case strings.Count(rest, ":") > 1 && !strings.Contains(rest, "@"):
		return "has two tags; keep one"
	case strings.ToLower(text) != text:
		return "has capitals, which the name of an image cannot have"
	}
	return want
}
