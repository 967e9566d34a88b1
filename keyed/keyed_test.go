package keyed_test

import (
	"context"
	"testing"

	"github.com/boundq/queue/keyed"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// A kind is one of the two that Fair comes in.
type kind struct {
	name string
	make func(perKey int) *keyed.Fair[int, int]
}

var kinds = []kind{{"fair", keyed.NewFair[int, int]}, {"serial", keyed.NewSerial[int, int]}}
