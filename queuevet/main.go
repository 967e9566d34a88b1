// Command queuevet reports misuse of the queues of github.com/boundq/queue and
// its packages keyed and natsqueue: calls that make Join return early, let a
// worker block on itself, or lose items. Package
// [github.com/boundq/queue/queuevet/misuse] describes what it reports.
//
// Run it on the packages of a module:
//
//	go run github.com/boundq/queue/queuevet@v0.1.0 ./...
//
// or with go vet, which caches its results:
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
// The exit status is nonzero if there are any findings.
package main

import (
	"github.com/boundq/queue/queuevet/misuse"
	"golang.org/x/tools/go/analysis/singlechecker"
)

func main() { singlechecker.Main(misuse.Analyzer) }
