package queue_test

import (
	"os"
	"strconv"
)

// stressRounds returns how many rounds a test of chance runs: n, times what the
// environment variable QUEUE_STRESS says.
func stressRounds(n int) int {
	if factor, err := strconv.Atoi(os.Getenv("QUEUE_STRESS")); err == nil {
		return n * factor
	}
	return n
}
