package natsqueue

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOldServersAreRefusedByVersion(t *testing.T) {
	for stated, want := range map[string]string{
		"2.12.0": "", "v2.12.3-RC.1": "", "2.15.2": "", "3.0.0": "", "2.100.0": "",
		"2.11.10": "the server's version is 2.11.10 and must be at least 2.12",
		"2.9.25":  "the server's version is 2.9.25 and must be at least 2.12",
		"1.99.0":  "must be at least 2.12",
		"":        "states no version",
	} {
		_, err := parseVersion(stated)
		if want == "" {
			require.NoError(t, err, stated)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}
