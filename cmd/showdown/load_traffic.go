package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// requests is the traffic of a load test: one request, or several by weight. It
// is never changed once made.
type requests struct {
	each   [][]byte
	upTo   []uint64 // each one's share, summed up and scaled to all of a uint64
	expect func(body []byte) error
}

// Append gives the k-th request. Which one it is depends on k alone, so that each
// run asks the same in the same order.
func (r *requests) Append(dst []byte, k uint64) ([]byte, int) {
	if len(r.each) == 1 {
		return append(dst, r.each[0]...), 0
	}
	return append(dst, r.each[r.pick(k)]...), 0
}

func (r *requests) pick(k uint64) int {
	// From another start than the sample's, which must not depend on the request.
	x := showdown.Scatter((k ^ 0x75726c73) * 0x9e3779b97f4a7c15)
	return min(sort.Search(len(r.upTo), func(i int) bool { return x < r.upTo[i] }), len(r.each)-1)
}

// Check holds an answer against --expect.
func (r *requests) Check(_ uint64, body []byte) error {
	if r.expect == nil {
		return nil
	}
	return r.expect(body)
}

// weighted is a request of the command line or of a line of --urls.
type weighted struct {
	weight float64
	method string // "" where none was given
	url    *url.URL
}

// readTargets finds what is to be asked: the URL of the command line or those of --urls.
func (f *loadFlags) readTargets(args []string, stdin io.Reader) ([]weighted, error) {
	switch {
	case len(args) == 1 && f.urls != "":
		return nil, showdown.Usage("", "give a URL or --urls, not both")
	case len(args) == 1:
		u, err := parseTarget(args[0])
		return []weighted{{1, "", u}}, err
	case f.urls == "":
		return nil, showdown.Usage("such as showdown load http://127.0.0.1:8080/path", "give a URL, or a file of them with --urls")
	}
	name, read := f.urls, os.ReadFile
	if name == "-" {
		name, read = "standard input", func(string) ([]byte, error) { return io.ReadAll(stdin) }
	}
	text, err := read(f.urls)
	if err != nil {
		return nil, showdown.Usage("a line of the file is [WEIGHT] [METHOD] URL", "read the URLs: %w", err)
	}
	return parseURLs(name, string(text))
}

func parseTarget(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || defaultPorts[u.Scheme] == "" {
		return nil, showdown.Usage("such as http://127.0.0.1:8080/path", "%q is not an http, https, ws or wss URL", address)
	}
	if u.User != nil {
		return nil, showdown.Usage("give --header 'Authorization: …'", "user and password in a URL are not used")
	}
	if strings.Contains(u.RequestURI(), " ") {
		return nil, showdown.Usage("write %20 for a space", "%q has a space in its query", address)
	}
	return u, nil
}

var defaultPorts = map[string]string{"http": "80", "https": "443", "ws": "80", "wss": "443"}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// field is a word of a line, and at which character of it it begins, from 1.
type field struct {
	text   string
	column int
}

func fieldsOf(line string) (fields []field) {
	rest, column := line, 1
	for {
		trimmed := strings.TrimLeft(rest, " \t\r")
		column += len(rest) - len(trimmed) // blanks are one byte each
		word := trimmed
		if end := strings.IndexAny(trimmed, " \t\r"); end >= 0 {
			word = trimmed[:end]
		}
		if word == "" || word[0] == '#' {
			return fields
		}
		fields = append(fields, field{word, column})
		rest, column = trimmed[len(word):], column+utf8.RuneCountInString(word)
	}
}

// parseURLs reads lines of [WEIGHT] [METHOD] URL, with comments after #. All must
// be of one origin: connections are to one server. Errors point into the text.
func parseURLs(name, text string) ([]weighted, error) {
	var all []weighted
	for i, line := range strings.Split(text, "\n") {
		fields := fieldsOf(line)
		if len(fields) == 0 {
			continue
		}
		w, at, err := parseURLLine(fields)
		if err == nil && len(all) > 0 {
			if first := all[0].url; w.url.Scheme != first.Scheme || hostPort(w.url) != hostPort(first) {
				err = showdown.Usage("one load test has one server: the scheme, host and port of all URLs are the same",
					"%s is not of %s://%s", w.url.Host, first.Scheme, first.Host)
			}
		}
		if err != nil {
			return nil, pointAt(name, i+1, at.column, line, err)
		}
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil, showdown.Usage("a line is [WEIGHT] [METHOD] URL", "%s: no URL", name)
	}
	return all, nil
}

// parseURLLine also gives the field that an error is about: the URL, in the end.
func parseURLLine(fields []field) (w weighted, at field, err error) {
	w.weight, at = 1, fields[0]
	if len(fields) > 1 && strings.ContainsRune("+-.0123456789", rune(at.text[0])) {
		w.weight, err = strconv.ParseFloat(at.text, 64)
		if err != nil || !(w.weight > 0 && w.weight <= 1e9) {
			return w, at, showdown.Usage("such as 3 or 0.5", "%q is not a weight", at.text)
		}
		fields = fields[1:]
	}
	if at = fields[0]; len(fields) > 1 {
		if w.method = at.text; !isToken(w.method) {
			return w, at, showdown.Usage("a line is [WEIGHT] [METHOD] URL", "%q is not an HTTP method", at.text)
		}
		fields = fields[1:]
	}
	if at = fields[0]; len(fields) > 1 {
		at = fields[1]
		return w, at, showdown.Usage("a line is [WEIGHT] [METHOD] URL", "%q is one word too many", at.text)
	}
	w.url, err = parseTarget(at.text)
	return w, at, err
}

// pointAt shows the line that an error is about, with a caret below the column.
func pointAt(name string, line, column int, text string, err error) error {
	text = printable(strings.ReplaceAll(strings.TrimRight(text, "\r"), "\t", " "))
	number := strconv.Itoa(line)
	return showdown.Usage(showdown.HintOf(err), "%s:%d:%d: %s\n  %s | %s\n  %s | %s^", name, line, column, err,
		number, cut(text, 120), strings.Repeat(" ", len(number)), strings.Repeat(" ", min(column, 120)-1))
}

// head is what all requests have in common.
type head struct {
	names map[string]bool // of the headers, in lower case
	lines string
}

// ours are the headers that say how an answer ends or what is spoken.
var ours = []string{
	"content-length", "transfer-encoding", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
}

func (f *loadFlags) head() (*head, error) {
	h := &head{names: map[string]bool{}}
	for _, text := range f.headers {
		name, value, ok := strings.Cut(text, ":")
		value = strings.TrimSpace(value)
		if !ok || !isToken(name) || strings.ContainsAny(value, "\r\n\x00") {
			return nil, showdown.Usage("such as 'Accept: text/html'", "%q is not a header", text)
		}
		h.add(name, value)
	}
	for _, name := range ours {
		if h.names[name] {
			return nil, showdown.Usage("leave it to Showdown", "the header %s cannot be set", name)
		}
	}
	return h, nil
}

func (h *head) add(name, value string) {
	h.names[strings.ToLower(name)] = true
	h.lines += name + ": " + value + "\r\n"
}

// open writes a request's first lines, but not the empty one that ends them.
func (h *head) open(method string, u *url.URL) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\n", method, u.RequestURI())
	if !h.names["host"] {
		b = fmt.Appendf(b, "Host: %s\r\n", u.Host)
	}
	if !h.names["user-agent"] {
		b = append(b, "User-Agent: showdown\r\n"...)
	}
	return append(b, h.lines...)
}

// write writes a whole request.
func (h *head) write(method string, u *url.URL, body []byte) []byte {
	b := h.open(method, u)
	if len(body) > 0 || method == "POST" || method == "PUT" || method == "PATCH" {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(body))
	}
	return append(append(b, "\r\n"...), body...)
}

// readBody reads --body, which may be a file's name.
func (f *loadFlags) readBody() ([]byte, error) {
	file, ok := strings.CutPrefix(f.body, "@")
	if !ok {
		return []byte(f.body), nil
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, showdown.Usage("--body @FILE reads a file", "read the body: %w", err)
	}
	return body, nil
}

// traffic writes the requests, and lists them for the result.
func (f *loadFlags) traffic(targets []weighted, h *head, body []byte) (requests, []report.LoadRequest, error) {
	if f.method != "" && !isToken(f.method) {
		return requests{}, nil, showdown.Usage("such as GET or POST", "%q is not an HTTP method", f.method)
	}
	expect, err := parseExpect(f.expect)
	if err != nil {
		return requests{}, nil, err
	}
	total := 0.0
	for _, t := range targets {
		total += t.weight
	}
	r, sum := requests{expect: expect}, 0.0
	var list []report.LoadRequest
	for _, t := range targets {
		method, sent := t.method, body
		switch {
		case method == "" && f.method != "":
			method = f.method
		case method == "" && len(body) > 0:
			method = "POST"
		case method == "":
			method = "GET"
		case method == "GET" || method == "HEAD":
			sent = nil // in a file, --body is for those that take one
		}
		sum += t.weight
		r.each, r.upTo = append(r.each, h.write(method, t.url, sent)), append(r.upTo, showdown.Portion(sum/total))
		list = append(list, report.LoadRequest{Method: method, URL: t.url.String(), Share: t.weight / total})
	}
	return r, list, nil
}

// parseExpect reads --expect: a text, or a regular expression between slashes.
func parseExpect(s string) (func([]byte) error, error) {
	if s == "" {
		return nil, nil
	}
	text := []byte(s)
	holds := func(body []byte) bool { return bytes.Contains(body, text) }
	if inner, ok := strings.CutPrefix(s, "/"); ok && len(inner) > 1 && strings.HasSuffix(inner, "/") {
		pattern, err := regexp.Compile(inner[:len(inner)-1])
		if err != nil {
			return nil, showdown.Usage("Go's syntax: https://pkg.go.dev/regexp/syntax", "--expect: %w", err)
		}
		holds = pattern.Match
	}
	return func(body []byte) error {
		if holds(body) {
			return nil
		}
		if len(body) == 0 {
			return errors.New("the answer is empty")
		}
		return fmt.Errorf("the answer lacks %s: %s", s, cut(printable(string(body[:min(len(body), 400)])), 80))
	}, nil
}

// isToken is RFC 9110's token.
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(marks, r) {
			return false
		}
	}
	return s != ""
}
