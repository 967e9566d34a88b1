package main

import (
	"testing"

	"github.com/boundq/queue/verification/internal/changed"
	"github.com/stretchr/testify/require"
)

func TestEachFaultIsOneOfTheCodeAsItIs(t *testing.T) {
	root, err := changed.Root(t.Context())
	require.NoError(t, err)
	require.Len(t, classes, 17)
	for _, c := range classes {
		require.NotEmpty(t, c.faults, c.name)
		for _, f := range c.faults {
			code, err := f.apply(root)
			require.NoError(t, err, "%s: %s", c.name, f.what)
			require.NotEmpty(t, code)
		}
	}
}
