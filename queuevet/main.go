// Command queuevet reports misuse of the queues of github.com/boundq/queue,
// that of its package keyed and that of natsqueue included: calls that make
// Join return early, block a worker on itself, or lose items. Package
// [github.com/boundq/queue/queuevet/misuse] lists what it reports.
//
// Run it over the packages of a module:
//
//	go run github.com/boundq/queue/queuevet@v0.1.0 ./...
//
// or through go vet, which caches its results:
//
//	go install github.com/boundq/queue/queuevet@v0.1.0
//	go vet -vettool="$(go env GOPATH)/bin/queuevet" ./...
//
// The flag -blank also reports results that are assigned to the blank
// identifier. A comment silences the line on which it ends, or, if it stands
// alone, the next line:
//
//	//queuevet:ignore REASON
//
// The exit status is not zero if anything is reported.
package main

import (
	"github.com/boundq/queue/queuevet/misuse"
	"golang.org/x/tools/go/analysis/singlechecker"
)

func main() { singlechecker.Main(misuse.Analyzer) }
