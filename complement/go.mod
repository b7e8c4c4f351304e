// Names the conformance suite and, in go.sum, its checksum. `run` builds the programs of its packages from here. There is no Go file, so
// `go mod tidy` would drop the requirement; another version is taken with `go get` and a build of each package with -mod=mod.
module wardstead/complement

go 1.25.0

require github.com/matrix-org/complement v0.0.0-20260701165844-50044edb68c3
