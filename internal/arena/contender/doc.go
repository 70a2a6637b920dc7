// Package contender is one backend's life: manifest, toolchain, build, start,
// ready, stop, reap.
//
// A folder with a showdown.yaml flows in ([Load], [Resolve]). [Manifest.Missing]
// says which toolchains the machine lacks, [Prepare] builds a copy of the folder
// once per content, [Prepared.Start] starts it, and [Process.Stop] ends it and
// everything that it left behind. Between Showdown and the contender stands a
// small guard process (guard.go), so that nothing survives, whatever happens to
// Showdown itself; for that, [RunGuardIfAsked] must be the first line of every
// main and TestMain that starts contenders.
//
// The room knows nothing of scenarios, load, statistics or screens. It says only
// where a contender can be reached and which process is the root of its tree.
package contender
