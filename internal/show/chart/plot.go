package chart

import (
	"slices"
	"strings"
)

// Point is one value of a series.
type Point struct {
	X, Y float64
	Open bool   // drawn hollow
	Text string // Y in words, shown when pointed at
}

// Limit is a level of the y axis that is marked across a chart.
type Limit struct {
	Y     float64
	Label string
}

// plot is a rectangle with two axes.
type plot struct {
	x, y                     domain
	left, top, right, bottom float64
}

func (p *plot) px(v float64) float64 { return p.left + p.x.part(v)*(p.right-p.left) }
func (p *plot) py(v float64) float64 { return p.bottom - p.y.part(v)*(p.bottom-p.top) }

// visible are the points that the axes have a place for.
func visible(points []Point, x, y Scale) []Point {
	return slices.DeleteFunc(slices.Clone(points), func(v Point) bool { return !x.holds(v.X) || !y.holds(v.Y) })
}

// path joins the points by straight lines.
func (p *plot) path(points []Point) string {
	var b strings.Builder
	for i, v := range points {
		if i == 0 {
			b.WriteByte('M')
		} else {
			b.WriteByte('L')
		}
		b.WriteString(number(p.px(v.X)) + "," + number(p.py(v.Y)))
	}
	return b.String()
}

// yAxis draws the levels, and their values left of them.
func (p *plot) yAxis(c *canvas, format func(float64) string) {
	for _, v := range p.yTicks() {
		c.line(p.left, p.py(v), p.right, p.py(v), "grid")
		if format != nil {
			c.text(p.left-8, p.py(v)+4, "tick end", format(v))
		}
	}
}

func (p *plot) yTicks() []float64 { return p.y.ticks(int((p.bottom - p.top) / 32)) }

// xAxis draws the values under the plot that have room.
func (p *plot) xAxis(c *canvas, format func(float64) string) {
	c.line(p.left, p.bottom, p.right, p.bottom, "base")
	free := 0.0
	for _, v := range p.x.ticks(int((p.right - p.left) / 48)) {
		text := format(v)
		half := widthOf(text, tickSize) / 2
		c.line(p.px(v), p.bottom, p.px(v), p.bottom+4, "base")
		if p.px(v)-half < free {
			continue
		}
		c.text(p.px(v), p.bottom+18, "tick middle", text)
		free = p.px(v) + half + 8
	}
}

func (p *plot) limit(c *canvas, l *Limit) {
	if l != nil && p.y.scale.holds(l.Y) {
		c.line(p.left, p.py(l.Y), p.right, p.py(l.Y), "limit")
	}
}

// head writes the y axis's label above a chart and, at its right, what the limit is.
func (c *canvas) head(label string, l *Limit, width float64) {
	if l != nil {
		start := width - edge - widthOf(l.Label, tickSize)
		c.line(start-30, 10, start-6, 10, "limit")
		c.text(width-edge, 14, "label end", l.Label)
		width = start - 30
	}
	c.text(edge, 14, "label", fit(label, tickSize, width-2*edge))
}

// widest is the room that an axis needs for its values.
func widest(values []float64, format func(float64) string) float64 {
	w := 0.0
	for _, v := range values {
		w = max(w, widthOf(format(v), tickSize))
	}
	return w
}
