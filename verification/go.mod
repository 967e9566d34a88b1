module github.com/boundq/queue/verification

go 1.26.0

replace github.com/boundq/queue => ../

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/boundq/queue v0.1.0
	github.com/stretchr/testify v1.12.1
	github.com/yuin/goldmark v1.8.7
	go.uber.org/goleak v1.3.0
	golang.org/x/mod v0.41.0
	golang.org/x/tools v0.51.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.23.0 // indirect
)
