// Package report writes the results of a run for people and for programs: one
// HTML file without any network, Markdown, JSON, CSV and the terminal's table.
//
// A [showdown.Run] comes in, a [Document] holds it beside what the decide wing
// made of it, and each Write method is one view of that document. The same run
// always gives the same bytes: nothing here reads a clock, a file or a map's order.
//
// Names, versions, notes and logs come from contenders and are not trusted; every
// view escapes them in its own language. Nothing here estimates or tests: figures
// are those of package rank, laid out, and counts and extremes of what was recorded.
package report
