tool = go tool -modfile=tools/go.mod
fuzztime ?= 1m

.PHONY: build test check fuzz update bench-load ci

build:  ; go build -o showdown ./cmd/showdown
test:   ; go test ./...
check:  ; go vet ./... && $(tool) staticcheck ./... && test -z "$$($(tool) gofumpt -l cmd internal bench scenarios contenders | tee /dev/stderr)"
fuzz:   ; go test ./... -list '^Fuzz' | .ci/fuzz $(fuzztime)
update: ; go test ./internal/show/... ./internal/arena/contender -update
bench-load: ; go run ./bench/load $(args)
ci:     ; .ci/run
