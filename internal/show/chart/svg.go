package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// canvas collects SVG elements. All attributes and text are escaped here and
// nowhere else.
type canvas struct{ b strings.Builder }

// frame opens the root element and says what the drawing is to those who
// cannot see it.
func (c *canvas) frame(kind, id, title, desc string, width, height float64) {
	c.open("svg", "class", "chart "+kind+" "+size(width), "role", "img", "aria-labelledby", id+"-title "+id+"-desc",
		"viewBox", "0 0 "+number(width)+" "+number(height), "xmlns", "http://www.w3.org/2000/svg")
	c.node("title", title, "id", id+"-title")
	c.node("desc", desc, "id", id+"-desc")
}

// open starts an element with attributes given as name, value, name, value.
func (c *canvas) open(tag string, attributes ...any) { c.start(tag, attributes, ">") }

func (c *canvas) close(tag string) { c.b.WriteString("</" + tag + ">\n") }

// tag writes an element without content.
func (c *canvas) tag(tag string, attributes ...any) { c.start(tag, attributes, "/>\n") }

// node writes an element that holds text.
func (c *canvas) node(tag, text string, attributes ...any) {
	c.start(tag, attributes, ">")
	c.b.WriteString(html.EscapeString(printable(text)))
	c.close(tag)
}

func (c *canvas) text(x, y float64, class, s string) {
	c.node("text", s, "x", x, "y", y, "class", class)
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	c.tag("line", "x1", x1, "y1", y1, "x2", x2, "y2", y2, "class", class)
}

func (c *canvas) rect(x, y, w, h float64, class string) {
	c.tag("rect", "x", x, "y", y, "width", max(0, w), "height", max(0, h), "rx", 2, "class", class)
}

func (c *canvas) start(tag string, attributes []any, end string) {
	c.b.WriteString("<" + tag)
	for i := 0; i+1 < len(attributes); i += 2 {
		fmt.Fprintf(&c.b, ` %s="%s"`, attributes[i], attribute(attributes[i+1]))
	}
	c.b.WriteString(end)
}

func (c *canvas) svg() template.HTML {
	c.close("svg")
	return template.HTML(c.b.String())
}

func attribute(v any) string {
	switch v := v.(type) {
	case float64:
		return number(v)
	case string:
		return html.EscapeString(printable(v))
	default:
		return html.EscapeString(fmt.Sprint(v))
	}
}

// number writes a coordinate to a tenth of a unit, which is finer than a screen.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// narrowBelow is the width under which a drawing is laid out for a telephone.
const narrowBelow = 500

func size(width float64) string {
	if width < narrowBelow {
		return "narrow"
	}
	return "wide"
}
