package linearizability

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/boundq/queue"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var orders = []Order{FIFO, LIFO, Priority}

// capacities are those that queues start with; Resize makes others of them.
var capacities = []int{1, 2, 3, queue.Unbounded}

func newQueue(order Order, capacity int) *queue.Queue[Item] {
	switch order {
	case FIFO:
		return queue.New[Item](capacity)
	case LIFO:
		return queue.NewLIFO[Item](capacity)
	default:
		return queue.NewPriority(capacity, func(a, b Item) int {
			yield() // under the queue's lock, so that others run into it
			return Compare(a, b)
		})
	}
}

// fromEnvironment returns what an environment variable says, or else a number
// that was chosen by chance or by us.
func fromEnvironment(t *testing.T, name string, otherwise uint64) uint64 {
	text, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "the environment variable %s is to be a number", name)
	return n
}

// picture draws a history that is not linearizable, and returns the file's name.
// The environment variable QUEUE_PICTURES names the folder that pictures go to.
func picture(t *testing.T, model porcupine.Model, history []porcupine.Operation, name string) string {
	folder := os.Getenv("QUEUE_PICTURES")
	if folder == "" {
		var err error
		folder, err = os.MkdirTemp("", "queue-")
		require.NoError(t, err)
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	path, err := filepath.Abs(filepath.Join(folder, name+".html"))
	require.NoError(t, err)
	_, info := porcupine.CheckOperationsVerbose(model, history, 0)
	require.NoError(t, porcupine.VisualizePath(model, info, path))
	return path
}

// overlapping counts the calls that ran while another did.
func overlapping(history []porcupine.Operation) (n int) {
	for i, a := range history {
		for j, b := range history {
			if a.ClientId != b.ClientId && i != j && a.Call < b.Return && b.Call < a.Return {
				n++
				break
			}
		}
	}
	return n
}

// Programs of up to thirteen calls, made by chance, for each order and capacity.
// QUEUE_STRESS=10 checks ten times as many histories; QUEUE_SEED repeats the
// programs of a run.
func TestConcurrentHistoriesAreLinearizable(t *testing.T) {
	base := fromEnvironment(t, "QUEUE_SEED", uint64(rand.Uint32()))
	rounds := 2000 * fromEnvironment(t, "QUEUE_STRESS", 1)
	histories, steps, concurrent := 0, 0, 0
	seed := base
	for _, order := range orders {
		for _, capacity := range capacities {
			model := Model(order, capacity)
			for range rounds {
				history := record(t, seed, newQueue(order, capacity))
				if !porcupine.CheckOperations(model, history) {
					path := picture(t, model, history, fmt.Sprintf("%s-%d-seed-%d", order, capacity, seed))
					t.Fatalf("%s queue of capacity %d: the history of seed %d is not linearizable (QUEUE_SEED=%d): %s", order, capacity, seed, base, path)
				}
				histories++
				steps += len(history)
				concurrent += overlapping(history)
				seed++
			}
		}
	}
	t.Logf("seed %d: %d histories, %d steps, %d %% of them while another call ran", base, histories, steps, 100*concurrent/steps)
	require.Greater(t, concurrent, steps/4, "the clients hardly ever meet")
}
