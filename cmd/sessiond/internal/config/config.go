// Package config reads a configuration file: a YAML mapping from names of flags to their values.
//
//	store: file:/var/lib/sessiond/sessions.db
//	trusted-proxy: [10.0.0.0/8]
package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
	"go.yaml.in/yaml/v3"
)

// File is a configuration file, which is read when the first value is asked for. The zero File has
// no values. It is not safe for concurrent use.
type File struct {
	// Path is that of the file; "" is none. It is set before the first value is asked for.
	Path string

	read   bool
	values map[string]string
	err    error
}

// Value returns a source of the flag with the name.
func (f *File) Value(name string) cli.ValueSource { return &value{f, name} }

// Check returns an error if the file can't be read, or has names that are none of these.
func (f *File) Check(names []string) error {
	f.load()
	if f.err != nil {
		return f.err
	}
	for _, name := range slices.Sorted(maps.Keys(f.values)) {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s: there is no setting %q", f.Path, name)
		}
	}
	return nil
}

func (f *File) load() {
	if f.read || f.Path == "" {
		return
	}
	f.read = true
	text, err := os.ReadFile(f.Path)
	if err != nil {
		f.err = err
		return
	}
	if f.values, err = parse(text); err != nil {
		f.err = fmt.Errorf("%s: %w", f.Path, err)
	}
}

func parse(text []byte) (map[string]string, error) {
	var nodes map[string]yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(text))
	if err := in.Decode(&nodes); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := in.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, cmp.Or(err, errors.New("there is more than one document"))
	}
	values := make(map[string]string, len(nodes))
	for name, node := range nodes {
		switch node.Kind {
		case yaml.ScalarNode:
			values[name] = node.Value
		case yaml.SequenceNode:
			items := make([]string, len(node.Content))
			for i, item := range node.Content {
				if item.Kind != yaml.ScalarNode || strings.Contains(item.Value, ",") {
					return nil, fmt.Errorf("line %d: %s: an item must be a text without commas", item.Line, name)
				}
				items[i] = item.Value
			}
			values[name] = strings.Join(items, ",") // as on the command line
		default:
			return nil, fmt.Errorf("line %d: %s: the value must be a text or a list", node.Line, name)
		}
	}
	return values, nil
}

// value is one value of the file.
type value struct {
	file *File
	name string
}

// Lookup implements cli.ValueSource. A file that can't be read has no values; Check tells why.
func (v *value) Lookup() (string, bool) {
	v.file.load()
	text, ok := v.file.values[v.name]
	return text, ok
}

func (v *value) String() string   { return fmt.Sprintf("%s in the configuration file", v.name) }
func (v *value) GoString() string { return v.String() }
