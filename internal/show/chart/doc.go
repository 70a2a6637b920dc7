// Package chart draws data as inline SVG that needs no script, no network and
// no colour: [Bars] with whiskers, [Lines] labelled at their ends, and [Panels],
// one small drawing a series on shared axes.
//
// A chart is a value with the data, the words and a width in it; its SVG method
// gives the drawing. It is not aware of contenders or units: callers format
// numbers. Colours, type and dark mode are classes that [CSS] describes, and
// every series is also told apart by its marker, its dashes and its label.
//
// Text cannot be measured here, so it is taken to be as wide as in DejaVu Sans,
// the widest of the usual system fonts. A page that is to be read on a telephone
// draws a chart twice, wide and narrow, and lets a media query choose: scaling
// one drawing down would make its text too small.
package chart
