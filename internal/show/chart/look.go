package chart

import (
	_ "embed"
	"fmt"
)

// CSS styles the charts and defines the page's colours as custom properties,
// for light and for dark.
//
//go:embed chart.css
var CSS string

// colours is how many series colours chart.css defines.
const colours = 6

// look is how series number i differs from the others: by colour, by marker and,
// from the seventh on, by dashes.
type look int

// class names the look's colour and dashes: "s2 d0".
func (l look) class() string {
	return fmt.Sprintf("s%d d%d", int(l)%colours, int(l)/colours%3)
}

// outlines are the markers, in tenths of their radius.
var outlines = [...]string{
	"M-9,0A9,9 0 1 0 9,0A9,9 0 1 0 -9,0Z",    // circle
	"M-8,-8H8V8H-8Z",                         // square
	"M0,-11L10,8H-10Z",                       // triangle
	"M0,-12L12,0L0,12L-12,0Z",                // diamond
	"M0,11L10,-8H-10Z",                       // triangle on its tip
	"M-4,-11H4V-4H11V4H4V11H-4V4H-11V-4H-4Z", // plus
}

// marker draws the look's marker, with more attributes if need be.
func (c *canvas) marker(l look, x, y float64, open bool, more ...any) {
	shape := outlines[(int(l)+int(l)/colours)%len(outlines)]
	at := fmt.Sprintf("translate(%s %s)scale(.4)", number(x), number(y))
	c.tag("path", append([]any{"class", filled("mark", open), "d", shape, "transform", at}, more...)...)
}

// dot draws a plain small marker.
func (c *canvas) dot(x, y float64, open bool) {
	c.tag("circle", "class", filled("dot", open), "cx", x, "cy", y, "r", 2.5)
}

func filled(class string, open bool) string {
	if open {
		return class + " open"
	}
	return class
}
