package awsmodels_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/aws/aws-sdk-go/aws/awserr" //nolint:staticcheck // the models are files of its module
	"github.com/stretchr/testify/require"
)

// newer are members that AWS added after July 2024, when the models of aws-sdk-go stopped to change.
// The types of aws-sdk-go-v2 have them.
var newer = map[string]bool{
	"DBInstance.DatabaseInsightsMode": true,
}

// model is the description of a service.
type model struct {
	Metadata   struct{ APIVersion, Protocol, TargetPrefix string }
	Operations map[string]operation
	Shapes     map[string]*shape
}

type operation struct {
	Input, Output reference
	Errors        []reference
}

type reference struct{ Shape, LocationName, ResultWrapper string }

type shape struct {
	Type       string
	Required   []string
	Members    map[string]reference
	Member     reference // of a list
	Key, Value reference // of a map
	Flattened  bool
	Enum       []string
	Min, Max   *float64
	Error      struct {
		Code           string
		HTTPStatusCode int
	}
}

// modelFolder is the folder of the models in the module's source.
var modelFolder = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go").Output()
	return filepath.Join(strings.TrimSpace(string(out)), "models", "apis"), err
})

func readModel(t *testing.T, service string) *model {
	t.Helper()
	folder, err := modelFolder()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(folder, service, "*", "api-2.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	text, err := os.ReadFile(slices.Max(files))
	require.NoError(t, err)
	m := &model{}
	require.NoError(t, json.Unmarshal(text, m))
	return m
}

func (r reference) named(name string) string {
	if r.LocationName != "" {
		return r.LocationName
	}
	return name
}

// code returns the code and the HTTP status of an error.
func (m *model) code(r reference) (code string, status int) {
	s := m.Shapes[r.Shape]
	code, status = r.Shape, s.Error.HTTPStatusCode
	if s.Error.Code != "" {
		code = s.Error.Code
	}
	if status == 0 {
		status = 400
	}
	return code, status
}

// json returns the differences between a JSON answer and the model.
func (m *model) json(at string, r reference, v any) []string {
	s := m.Shapes[r.Shape]
	var faults []string
	wrong := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	switch s.Type {
	case "structure":
		o, ok := v.(map[string]any)
		if !ok {
			wrong("want an object, got %T", v)
			return faults
		}
		known := map[string]reference{}
		for name, member := range s.Members {
			known[member.named(name)] = member
		}
		for name, value := range o {
			if member, ok := known[name]; ok {
				faults = append(faults, m.json(at+"."+name, member, value)...)
			} else {
				wrong("has %s, which AWS does not send", name)
			}
		}
		for _, name := range s.Required {
			if _, ok := o[s.Members[name].named(name)]; !ok {
				wrong("lacks %s", name)
			}
		}
	case "list":
		list, ok := v.([]any)
		if !ok {
			wrong("want a list, got %T", v)
		}
		for i, item := range list {
			faults = append(faults, m.json(fmt.Sprintf("%s[%d]", at, i), s.Member, item)...)
		}
	case "map":
		o, ok := v.(map[string]any)
		if !ok {
			wrong("want an object, got %T", v)
		}
		for name, value := range o {
			faults = append(faults, m.json(at+"."+name, s.Value, value)...)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			wrong("want a boolean, got %T", v)
		}
	case "timestamp", "double", "float":
		if _, ok := v.(float64); !ok {
			wrong("want a number, got %T", v)
		}
	case "integer", "long":
		if n, ok := v.(float64); !ok || n != math.Trunc(n) {
			wrong("want a whole number, got %v", v)
		}
	default: // string, blob
		text, ok := v.(string)
		if !ok {
			wrong("want text, got %T", v)
		} else if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
			wrong("%q: want one of %v", text, s.Enum)
		}
	}
	return faults
}

// node is an element of an XML answer.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

func parseXML(text string) (node, error) {
	var out node
	d := xml.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&out); err != nil {
		return node{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, errors.New("text after the document")
	}
	return out, nil
}

func (n node) child(name string) *node {
	for i := range n.Nodes {
		if n.Nodes[i].XMLName.Local == name {
			return &n.Nodes[i]
		}
	}
	return nil
}

var wholeNumber = regexp.MustCompile(`^-?\d+$`)

// xml returns the differences between an XML answer and the model.
func (m *model) xml(at string, r reference, n node) []string {
	s := m.Shapes[r.Shape]
	var faults []string
	wrong := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	switch s.Type {
	case "structure":
		known := map[string]reference{}
		for name, member := range s.Members {
			known[member.named(name)] = member
		}
		seen := map[string]bool{}
		for _, child := range n.Nodes {
			name := child.XMLName.Local
			member, ok := known[name]
			switch {
			case newer[r.Shape+"."+name]:
			case !ok:
				wrong("has %s, which AWS does not send", name)
			case seen[name]:
				wrong("has %s twice", name)
			default:
				faults = append(faults, m.xml(at+"."+name, member, child)...)
			}
			seen[name] = true
		}
		for _, name := range s.Required {
			if !seen[s.Members[name].named(name)] {
				wrong("lacks %s", name)
			}
		}
	case "list":
		for i, item := range n.Nodes {
			if want := s.Member.named("member"); item.XMLName.Local != want {
				wrong("has %s in a list of %s", item.XMLName.Local, want)
			}
			faults = append(faults, m.xml(fmt.Sprintf("%s[%d]", at, i), s.Member, item)...)
		}
	case "boolean":
		if n.Text != "true" && n.Text != "false" {
			wrong("%q: want true or false", n.Text)
		}
	case "integer", "long":
		if !wholeNumber.MatchString(n.Text) {
			wrong("%q: want a whole number", n.Text)
		}
	case "double", "float":
		if _, err := strconv.ParseFloat(n.Text, 64); err != nil {
			wrong("%q: want a number", n.Text)
		}
	case "timestamp":
		if _, err := time.Parse(time.RFC3339, n.Text); err != nil {
			wrong("%q: want a time as in RFC 3339", n.Text)
		}
	default:
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, n.Text) {
			wrong("%q: want one of %v", n.Text, s.Enum)
		}
		if len(n.Nodes) > 0 {
			wrong("want text, got elements")
		}
	}
	return faults
}
