package main

import (
	"testing"

	"github.com/boundq/queue/verification/internal/changed"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachFaultIsOneOfTheCodeAsItIs(t *testing.T) {
	root, err := changed.Root(t.Context())
	require.NoError(t, err)
	for _, c := range classes {
		assert.NotEmpty(t, c.faults, c.name)
		for _, f := range c.faults {
			code, err := apply(root, f.edits)
			assert.NoError(t, err, "%s: %s", c.name, f.what)
			assert.NotEmpty(t, code)
		}
	}
}

const source = `package p

type pair[T any] struct{ a, b T }

// sum adds.
func (p *pair[T]) sum(add func(a, b T) T) T {
	// A comment.
	x := add(p.a,
		p.b) // another
	if x := p.a; false {
		return x
	}
	return x
}

func sum(a, b int) int { return a + b }
`

func TestAnEditFindsItsPlaceWhateverTheCommentsAndTheLayout(t *testing.T) {
	for _, c := range []struct{ function, old, new, want string }{
		{"pair.sum", "add(p.a, p.b)", "p.a", "x := p.a // another"},
		{"pair.sum", "x := add(p.a, p.b)\nif x := p.a; false {\nreturn x }", "x := p.b", "\t// A comment.\n\tx := p.b\n\treturn x\n}"},
		{"pair.sum", "p.b", "min($old, $old)", "min(p.b, p.b)) // another"},
		{"sum", "return a + b", "", "int {  }"},
		{"sum", "a + b", "($old) * 2", "return (a + b) * 2 }"},
		{"", "", "var more int", "}\n\nvar more int\n"},
	} {
		code, err := edit{"p.go", c.function, c.old, c.new}.apply(source)
		require.NoError(t, err, c.old)
		require.Contains(t, code, c.want)
	}
}

func TestAnEditIsRefusedWhereItsPlaceIsNotThereOnce(t *testing.T) {
	for _, c := range []struct{ function, old, want string }{
		{"product", "a", "there is no function product"},
		{"pair.product", "a", "there is no function pair.product"},
		{"sum", "b + a", "sum has this 0 times, not once:\nb + a"},
		{"pair.sum", "p.a", "pair.sum has this 2 times, not once:\np.a"},
		{"pair.sum", "return x", "pair.sum has this 2 times, not once:\nreturn x"},
		{"sum", "if {", "neither an expression nor statements"},
	} {
		_, err := edit{"p.go", c.function, c.old, ""}.apply(source)
		require.ErrorContains(t, err, c.want)
	}
}
