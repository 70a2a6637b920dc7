package contender

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const maxManifest = 64 << 10

// document is a YAML file whose values can be pointed at.
type document struct {
	file   string
	lines  []string
	places map[string]place // by path, such as "build[0][1]"; a key's by "key:" and the path
}

// place is a line and a column, both from 1; zero is nowhere.
type place struct{ line, column int }

// readDocument decodes YAML into the struct that into points to, after checking
// its shape against the struct's: the keys, what is required and where text,
// lists and mappings stand.
func readDocument(file string, data []byte, into any) (doc *document, err error) {
	doc = &document{file: file, places: map[string]place{}}
	if len(data) > maxManifest {
		return nil, doc.errorAt(place{}, "a manifest says how to run a contender; keep its data elsewhere", "larger than 64 kB")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 || !utf8.Valid(data) {
		return nil, doc.errorAt(place{}, "", "not UTF-8 text")
	}
	doc.lines = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	// The YAML library is fuzzed here too; a panic of its own is a syntax error.
	defer func() {
		if p := recover(); p != nil {
			err = doc.errorAt(place{}, "", "not valid YAML (%v)", p)
		}
	}()
	root, err := doc.parse(string(data))
	if err != nil {
		return nil, err
	}
	if err := doc.walk(root, reflect.TypeOf(into).Elem(), ""); err != nil {
		return nil, err
	}
	if err := yaml.NodeToValue(root, into, yaml.Strict()); err != nil {
		return nil, doc.translate(err)
	}
	return doc, nil
}

// parse gives the root of the one document in text.
func (d *document) parse(text string) (ast.Node, error) {
	tokens := lexer.Tokenize(text)
	if err := d.refuseLarge(tokens); err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(tokens, 0)
	switch {
	case err != nil:
		return nil, d.translate(err)
	case len(parsed.Docs) > 1:
		return nil, d.errorAt(place{}, "remove the lines ---", "holds %d YAML documents, want one", len(parsed.Docs))
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return nil, d.errorAt(place{}, "begin with name: and the other keys of a manifest", "is empty")
	}
	return parsed.Docs[0].Body, nil
}

// refuseLarge keeps what would cost the parser seconds away from it: deep nesting
// and thousands of values. Real manifests have a few hundred tokens.
func (d *document) refuseLarge(tokens token.Tokens) error {
	const deep, many = 16, 4096
	if len(tokens) > many {
		return d.errorAt(tokenPlace(tokens[many]), "a manifest says how to run a contender; keep its data elsewhere", "holds too many values")
	}
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType:
			dashes++
		}
		if brackets > deep || dashes > deep {
			return d.errorAt(tokenPlace(t), "", "nested too deeply")
		}
	}
	return nil
}

// walk compares a node with the type it will be decoded into.
func (d *document) walk(n ast.Node, t reflect.Type, path string) error {
	at := nodePlace(n)
	d.places[path] = at
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return d.errorAt(at, "write the value out", "anchors, aliases and tags are not used in manifests")
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.walkStruct(n, t, path)
	case reflect.Map:
		return d.eachEntry(n, path, func(_ ast.Node, _ string, value ast.Node, inner string) error {
			return d.walk(value, t.Elem(), inner)
		})
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			return d.errorAt(at, "write it as [a, b], or one a line, each after a dash", "%s must be a list, not %s", path, describe(n))
		}
		for i, value := range list.Values {
			if err := d.walk(value, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	default:
		return d.walkText(n, t, path)
	}
}

func (d *document) walkStruct(n ast.Node, t reflect.Type, path string) error {
	fields := fieldsOf(t)
	var seen []string
	err := d.eachEntry(n, path, func(key ast.Node, name string, value ast.Node, inner string) error {
		field, known := fields[name]
		if !known {
			return d.unknown(nodePlace(key), "key", name, keysOf(fields))
		}
		seen = append(seen, name)
		return d.walk(value, field.Type, inner)
	})
	if err != nil {
		return err
	}
	for _, name := range keysOf(fields) {
		if !optional(fields[name]) && !slices.Contains(seen, name) {
			return d.errorAt(d.places[path], fields[name].Tag.Get("jsonschema"), "%s is missing", join(path, name))
		}
	}
	return nil
}

func (d *document) walkText(n ast.Node, t reflect.Type, path string) error {
	at := nodePlace(n)
	var text string
	duration := t == reflect.TypeFor[time.Duration]()
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		if duration {
			break
		}
		return d.errorAt(at, fmt.Sprintf("put it in quotes: %q", n.GetToken().Value), "%s must be text, not %s", path, describe(n))
	default:
		return d.errorAt(at, "", "%s must be text, not %s", path, describe(n))
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return d.errorAt(at, "", "%s holds a control character", path)
	}
	if _, err := time.ParseDuration(text); duration && err != nil {
		return d.errorAt(at, "write a duration such as 30s or 2m", "%s is not a duration", path)
	}
	return nil
}

func (d *document) eachEntry(n ast.Node, path string, do func(key ast.Node, name string, value ast.Node, inner string) error) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		what := path
		if what == "" {
			what = "a manifest"
		}
		return d.errorAt(nodePlace(n), "", "%s must be a mapping, not %s", what, describe(n))
	}
	for it := m.MapRange(); it.Next(); {
		key, ok := it.Key().(*ast.StringNode)
		if !ok {
			return d.errorAt(nodePlace(it.Key()), "", "a key must be plain text")
		}
		inner := join(path, key.Value)
		d.places["key:"+inner] = nodePlace(key)
		if err := do(key, key.Value, it.Value(), inner); err != nil {
			return err
		}
	}
	return nil
}

// unknown says that a word is none of the known ones, and which was meant.
func (d *document) unknown(at place, what, word string, known []string) error {
	hint := "known: " + strings.Join(known, ", ")
	if near := showdown.Nearest(word, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return d.errorAt(at, hint, "unknown %s %q", what, word)
}

// errorf is an error about the value at path.
func (d *document) errorf(path, hint, format string, args ...any) error {
	return d.errorAt(d.places[path], hint, format, args...)
}

// errorAt is an error that shows the line and a caret below the column.
func (d *document) errorAt(at place, hint, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if at.line < 1 || at.line > len(d.lines) {
		return showdown.Usage(hint, "%s: %s", d.file, text)
	}
	number := fmt.Sprint(at.line)
	gap := strings.Repeat(" ", len(number))
	line, caret := excerpt(d.lines[at.line-1], at.column)
	return showdown.Usage(hint, "%s:%d:%d: %s\n  %s | %s\n  %s | %s", d.file, at.line, at.column, text, number, line, gap, caret)
}

// excerpt gives a line that is safe to print, and a caret below its column.
func excerpt(line string, column int) (shown, caret string) {
	const width = 120
	var out, below strings.Builder
	for i, r := range []rune(line) {
		if i >= width && i >= column {
			out.WriteString("…")
			break
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		out.WriteRune(r)
		if i < column-1 {
			below.WriteByte(' ')
		}
	}
	return out.String(), below.String() + "^"
}

// translate turns an error of the YAML library into one of ours.
func (d *document) translate(err error) error {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return d.errorAt(place{}, "", "not valid YAML: %v", err)
	}
	return d.errorAt(tokenPlace(e.GetToken()), "", "%s", strings.TrimSpace(e.GetMessage()))
}

func nodePlace(n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		return nodePlace(m.Values[0].Key) // the mapping's own token is its first colon
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return nodePlace(m.Key)
	}
	if n == nil {
		return place{}
	}
	return tokenPlace(n.GetToken())
}

func tokenPlace(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + n.GetToken().Value
	case *ast.BoolNode:
		return "the truth value " + n.GetToken().Value
	case *ast.SequenceNode:
		return "a list"
	case ast.MapNode:
		return "a mapping"
	default:
		return "nothing"
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fieldsOf gives a struct's fields by their JSON name, which is their YAML name.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			fields[name] = f
		}
	}
	return fields
}

func keysOf(fields map[string]reflect.StructField) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(fields[a].Index, fields[b].Index) })
	return names
}

func optional(f reflect.StructField) bool {
	tag := f.Tag.Get("json")
	return strings.Contains(tag, ",omitempty") || strings.Contains(tag, ",omitzero")
}
