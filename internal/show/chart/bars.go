package chart

import (
	"html/template"
	"slices"
)

// Bars compares amounts that start at zero, one row each.
type Bars struct {
	ID     string // unique on the page
	Title  string
	Desc   string
	Width  float64
	Label  string               // of the axis
	Format func(float64) string // writes a tick
	Rows   []Bar
}

// Bar is one row.
type Bar struct {
	Label  string
	Value  float64
	Lo, Hi float64 // ends of the whisker; none is drawn where they are equal
	Reach  float64 // a second amount, drawn as an outline behind the bar; none if 0
	Note   string  // the value in words, right of the bar
}

const (
	barHeight = 16.0
	rowWide   = 34.0 // with the label left of the bar
	rowNarrow = 46.0 // with the label above it
	axisRoom  = 44.0
	edge      = 4.0
)

// SVG draws the chart; nothing if no row has an amount.
func (b Bars) SVG() template.HTML {
	b.Rows = slices.DeleteFunc(slices.Clone(b.Rows), func(r Bar) bool { return !Linear.holds(r.Value) })
	if len(b.Rows) == 0 {
		return ""
	}
	var c canvas
	l := b.layout()
	c.frame("bars", b.ID, b.Title, b.Desc, b.Width, l.bottom+axisRoom)
	b.axis(&c, l)
	for i, row := range b.Rows {
		row.draw(&c, l, edge+float64(i)*l.row)
	}
	return c.svg()
}

// barLayout is where the parts of a bar chart lie.
type barLayout struct {
	domain              domain
	left, right, bottom float64 // of the plot
	row                 float64
	labels              float64 // room for a label
}

func (b Bars) layout() barLayout {
	l := barLayout{row: rowWide, right: b.Width - edge}
	notes, amount, far := 0.0, 0.0, 0.0
	for _, r := range b.Rows {
		l.labels = max(l.labels, widthOf(r.Label, textSize)+2)
		notes = max(notes, widthOf(r.Note, textSize))
		amount, far = max(amount, r.Value, r.Reach), max(far, r.far())
	}
	l.labels = min(l.labels, b.Width*.25)
	l.left, l.right = edge+l.labels+10, l.right-notes-8
	if b.Width < narrowBelow {
		l.row, l.left, l.labels = rowNarrow, edge, b.Width-2*edge
	}
	// A few values can have whiskers so long that they would flatten the bars.
	l.domain = Linear.domainOf([]float64{min(far, 1.6*amount)})
	l.bottom = edge + float64(len(b.Rows))*l.row
	return l
}

// x is where an amount lies, at most at the plot's end.
func (l *barLayout) x(v float64) float64 {
	return l.left + min(l.domain.part(v), 1)*(l.right-l.left)
}

func (b Bars) axis(c *canvas, l barLayout) {
	free := 0.0
	for _, v := range l.domain.ticks(max(2, int((l.right-l.left)/64))) {
		c.line(l.x(v), edge, l.x(v), l.bottom, "grid")
		text := b.Format(v)
		half := widthOf(text, tickSize) / 2
		at := max(l.x(v), half)
		if at-half < free {
			continue
		}
		c.text(at, l.bottom+16, "tick middle", text)
		free = at + half + 8
	}
	c.text(l.left, l.bottom+36, "label", fit(b.Label, tickSize, b.Width-l.left-edge))
}

// far is the row's farthest point from zero.
func (r Bar) far() float64 { return max(r.Value, r.Hi, r.Reach) }

func (r Bar) draw(c *canvas, l barLayout, top float64) {
	y := top + (l.row-barHeight)/2
	c.open("g", "class", "row")
	if l.row == rowNarrow {
		y = top + l.row - barHeight - 6
		c.text(l.left, top+textSize+4, "name", fit(r.Label, textSize, l.labels))
	} else {
		c.text(l.left-10, y+barHeight-4, "name end", fit(r.Label, textSize, l.labels))
	}
	if r.Reach > 0 {
		c.rect(l.left, y, l.x(r.Reach)-l.left, barHeight, "reach")
	}
	c.rect(l.left, y, l.x(r.Value)-l.left, barHeight, "bar")
	if r.Lo < r.Hi {
		r.whisker(c, l, y+barHeight/2)
	}
	c.text(l.x(r.far())+8, y+barHeight-4, "note", r.Note)
	c.close("g")
}

// whisker draws the interval. One that leaves the plot has no cap at that end.
func (r Bar) whisker(c *canvas, l barLayout, y float64) {
	lo, hi := l.x(max(0, r.Lo)), l.x(r.Hi)
	for _, class := range []string{"halo", "whisker"} { // the halo parts it from a bar of any colour
		c.line(lo, y, hi, y, class)
		c.line(lo, y-4, lo, y+4, class)
		if r.Hi <= l.domain.hi {
			c.line(hi, y-4, hi, y+4, class)
		}
	}
}
